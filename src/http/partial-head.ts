/**
 * A head that arrives in several pieces: gathered in one buffer and parsed once, when its end is there. New bytes are looked at
 * once for that end, so a head in one-byte segments costs linear time; a trial parse each time the gathered bytes have doubled
 * finds heads that are already wrong.
 */
import { CR, LF } from './characters.ts'
import { withRoom } from './room.ts'

const FIRST_BYTES = 1024

export class PartialHead {
  /** Never a part of a slab: it may be held for long, and would hold on to the whole. */
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  length = 0
  /** Bytes of CR LF CR LF seen at the end of what was scanned, 0 to 4; a bare LF LF counts too, so that its fault is found. */
  private matched = 0
  private nextTrial = FIRST_BYTES

  clear(): void {
    this.length = 0
    this.matched = 0
    this.nextTrial = FIRST_BYTES
    if (this.bytes.length > 16 * FIRST_BYTES) this.bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  }

  /** Takes bytes from [at, end) up to and including the end of the head. Returns the index after what it took. */
  append(bytes: Buffer, at: number, end: number): number {
    let matched = this.matched
    let i = at
    while (i < end && matched < 4) {
      const c = bytes[i++]!
      if (c === CR) matched = matched === 2 ? 3 : 1
      else if (c === LF) matched = matched >= 2 ? 4 : 2
      else matched = 0
    }
    this.matched = matched
    const needed = this.length + (i - at)
    this.bytes = withRoom(this.bytes, this.length, needed)
    bytes.copy(this.bytes, this.length, at, i)
    this.length = needed
    return i
  }

  /**
   * The end of the head is there, or it is time to try whether what is there can still become one.
   * @param most length of a head: beyond it there is nothing to wait for
   */
  shouldParse(most: number): boolean {
    if (this.matched === 4 || this.length > most) return true
    if (this.length < this.nextTrial) return false
    this.nextTrial = this.length * 2
    return true
  }
}
