/**
 * Flows that are looked at between their packets: a dense list of slots, and for each slot its place in it.
 *
 * Not a Set: one entry that comes and goes leaves its deleted predecessors in the hash chain until the Set is rehashed, and with
 * 20,000 others in it each look-up then takes ten microseconds (bench `floods`).
 */
import type { FlowTable } from './flow-table.ts'

export class WatchList {
  private readonly table: FlowTable
  private slots = new Int32Array(64)
  private cursor = 0
  size = 0

  constructor(table: FlowTable) {
    this.table = table
  }

  has(slot: number): boolean {
    return this.table.watchPlace[slot] !== 0
  }

  add(slot: number): void {
    const { watchPlace } = this.table
    if (watchPlace[slot] !== 0) return
    if (this.size === this.slots.length) {
      const grown = new Int32Array(this.size * 2)
      grown.set(this.slots)
      this.slots = grown
    }
    this.slots[this.size++] = slot
    watchPlace[slot] = this.size
  }

  /** The last one takes the place. */
  delete(slot: number): void {
    const { watchPlace } = this.table
    const place = watchPlace[slot]! - 1
    if (place < 0) return
    watchPlace[slot] = 0
    const last = this.slots[--this.size]!
    if (place === this.size) return
    this.slots[place] = last
    watchPlace[last] = place + 1
  }

  /** Looks at `most` flows at the most, each in its turn over several calls. `look` may take out any flow. */
  visit(most: number, look: (slot: number) => void): void {
    for (let looks = Math.min(most, this.size); looks > 0 && this.size > 0; looks--) {
      if (this.cursor >= this.size) this.cursor = 0
      const slot = this.slots[this.cursor]!
      look(slot)
      // Where it was taken out another stands in its place now.
      if (this.slots[this.cursor] === slot) this.cursor++
    }
  }
}
