/**
 * When flows expire: a wheel of one-second buckets over the flow table's linked-list columns.
 *
 * A packet touches only `lastSeenUs`; the wheel looks at a flow when its bucket comes round and moves it on if it was seen
 * since. So a packet costs nothing here, and a flow one look per time-out.
 */
import type { FlowTable } from './flow-table.ts'

const TICK_US = 1_000_000
const BUCKETS = 1024
const NONE = -1

export class ExpiryWheel {
  private readonly table: FlowTable
  /** First slot of each bucket's list. */
  private readonly heads = new Int32Array(BUCKETS).fill(NONE)
  /** The last tick handled; ticks count seconds since the epoch. */
  private tick = NONE

  constructor(table: FlowTable) {
    this.table = table
  }

  /** Looks at the flow again at `dueUs`, or earlier. It must not be scheduled already. */
  schedule(slot: number, dueUs: number): void {
    const due = Math.ceil(dueUs / TICK_US)
    // A due time beyond the wheel is looked at when its bucket first comes round, and moved on.
    const bucket = (due <= this.tick ? this.tick + 1 : due) % BUCKETS
    const { wheelNext, wheelPrevious, wheelBucket } = this.table
    const next = this.heads[bucket]! | 0
    wheelNext[slot] = next
    wheelPrevious[slot] = NONE
    wheelBucket[slot] = bucket
    if (next !== NONE) wheelPrevious[next] = slot
    this.heads[bucket] = slot
  }

  cancel(slot: number): void {
    const { wheelNext, wheelPrevious, wheelBucket } = this.table
    const next = wheelNext[slot]! | 0
    const previous = wheelPrevious[slot]! | 0
    if (previous === NONE) this.heads[wheelBucket[slot]!] = next
    else wheelNext[previous] = next
    if (next !== NONE) wheelPrevious[next] = previous
  }

  /** Calls `look` with each flow whose bucket has come, taken off the wheel: it must schedule or remove the flow. */
  advance(nowUs: number, look: (slot: number) => void): void {
    const now = Math.floor(nowUs / TICK_US)
    // A jump over the whole wheel looks at each bucket once, and so does the first call: nobody said what time it was.
    const first = Math.max(this.tick + 1, now - BUCKETS + 1, 0)
    this.tick = Math.max(this.tick, now)
    for (let tick = first; tick <= now; tick++) {
      let slot = this.heads[tick % BUCKETS]! | 0
      this.heads[tick % BUCKETS] = NONE
      while (slot !== NONE) {
        const next = this.table.wheelNext[slot]! | 0
        look(slot)
        slot = next
      }
    }
  }
}
