/**
 * Segments behind a hole as Linux keeps them: sorted by where they begin, each whole. Of two that overlap, the one that begins first gives
 * its bytes; of two that begin together, the longer. What is covered wholly by the other is dropped, whichever came first.
 */
import { seqAdd, seqBefore } from '../../src/wire/seq.ts'

/** Whether a segment that begins exactly where one ends becomes a part of that one. */
export type Coalescing = 'always' | 'never'

export interface Waiting {
  readonly seq: number
  readonly data: Buffer
  readonly isFin: boolean
}

export class AheadOfHole {
  private readonly coalescing: Coalescing
  private readonly list: Waiting[] = []

  constructor(coalescing: Coalescing) {
    this.coalescing = coalescing
  }

  /** The highest end of what is selectively acknowledged; null when nothing waits. */
  get end(): number | null {
    let end: number | null = null
    for (const waiting of this.list) {
      const own = endOf(waiting)
      if (end === null || seqBefore(end, own)) end = own
    }
    return this.list.length === 0 ? null : end
  }

  get isEmpty(): boolean {
    return this.list.length === 0
  }

  insert(seq: number, data: Buffer, isFin: boolean): void {
    const { list } = this
    let segment: Waiting = { seq, data, isFin }
    const end = endOf(segment)
    let at = 0
    for (; at < list.length; at++) {
      const other = list[at]!
      if (seqBefore(seq, other.seq)) break
      const otherEnd = endOf(other)
      if (seqBefore(seq, otherEnd)) {
        if (!seqBefore(otherEnd, end)) return
        if (seq === other.seq) {
          list.splice(at, 1)
          break
        }
      } else if (seq === otherEnd && this.coalescing === 'always' && !other.isFin) {
        // Only where nothing else begins in between.
        const next = list[at + 1]
        if (next === undefined || seqBefore(seq, next.seq)) {
          list.splice(at, 1)
          segment = { seq: other.seq, data: Buffer.concat([other.data, data]), isFin }
          break
        }
      }
    }
    list.splice(at, 0, segment)
    while (at + 1 < list.length && !seqBefore(end, endOf(list[at + 1]!))) list.splice(at + 1, 1)
  }

  /** Takes out the next that continues a stream which is whole up to `rcvNxt`. */
  next(rcvNxt: number): Waiting | null {
    for (let first = this.list[0]; first !== undefined; first = this.list[0]) {
      if (seqBefore(rcvNxt, first.seq)) return null
      this.list.shift()
      if (seqBefore(rcvNxt, endOf(first))) return first
    }
    return null
  }
}

function endOf({ seq, data, isFin }: Waiting): number {
  return seqAdd(seq, data.length + (isFin ? 1 : 0))
}
