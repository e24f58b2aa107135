/**
 * Finds the largest of many things whose sizes change all the time, in constant time: things of one class of size are a doubly
 * linked list, and `top` is the highest class that has any.
 *
 * Invariant: an entry is in the list of its class exactly when that class is above 0; no list above `top` has an entry.
 */

/** One thing in one index. */
export class SizeEntry<T> {
  readonly of: T
  /** 0: in no list. */
  sizeClass = 0
  next: SizeEntry<T> | null = null
  previous: SizeEntry<T> | null = null

  constructor(of: T) {
    this.of = of
  }
}

export class SizeIndex<T> {
  /** First entry of each class. */
  private readonly first: (SizeEntry<T> | null)[] = [null]
  private top = 0

  /** One of the largest class; null while all are empty. */
  get largest(): T | null {
    return this.first[this.top]?.of ?? null
  }

  /**
   * @param sizeClass a whole number that grows with the size, 0 for nothing. What `top` goes down it went up before, so a move by k classes
   *   costs at most k steps, now or at an earlier move
   */
  move(entry: SizeEntry<T>, sizeClass: number): void {
    if (entry.sizeClass === sizeClass) return
    if (entry.sizeClass > 0) this.unlink(entry)
    entry.sizeClass = sizeClass
    if (sizeClass > 0) this.link(entry, sizeClass)
    while (this.top > 0 && this.first[this.top] === null) this.top--
  }

  private link(entry: SizeEntry<T>, sizeClass: number): void {
    const { first } = this
    while (first.length <= sizeClass) first.push(null)
    const next = first[sizeClass]!
    entry.next = next
    if (next !== null) next.previous = entry
    first[sizeClass] = entry
    if (sizeClass > this.top) this.top = sizeClass
  }

  private unlink(entry: SizeEntry<T>): void {
    const { next, previous } = entry
    if (previous === null) this.first[entry.sizeClass] = next
    else previous.next = next
    if (next !== null) next.previous = previous
    entry.next = null
    entry.previous = null
  }
}

/** Classes of a size in bytes: exact below 16, then eight to each doubling, so sizes of one class differ by less than an eighth. At most 400. */
export function byteClassOf(bytes: number): number {
  if (bytes < 16) return bytes
  const exponent = bytes < 2 ** 31 ? 31 - Math.clz32(bytes) : Math.floor(Math.log2(bytes))
  return 16 + (exponent - 4) * 8 + Math.floor((bytes / 2 ** exponent - 1) * 8)
}
