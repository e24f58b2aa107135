/**
 * Who gives way when memory is short: each flow stands in the line of its kind, oldest first, and the lines are asked in order.
 *
 * A flow changes line when it becomes another kind of flow, a few times in its life; a packet costs nothing here. Taking the
 * next one that must go is a look at the front of at most four lines, whatever is in them.
 */
import type { FlowTable } from './flow-table.ts'

/** Lines in the order in which they give way. */
export const Line = {
  /** In none. */
  none: 0,
  /** Ended: kept only so that late repetitions find it. */
  closed: 1,
  /** Its handshake is not complete and no data came: what a SYN flood is made of. */
  opening: 2,
  /** Handshake complete, no data yet. */
  silent: 3,
  /** Has sent data. */
  data: 4,
} as const

const LINES = 5
const NONE = -1

export class EvictionQueue {
  private readonly table: FlowTable
  private readonly firsts = new Int32Array(LINES).fill(NONE)
  private readonly lasts = new Int32Array(LINES).fill(NONE)

  constructor(table: FlowTable) {
    this.table = table
  }

  /** The oldest in the line, or -1. */
  first(line: number): number {
    return this.firsts[line]! | 0
  }

  /** Takes the flow out of its line and puts it at the end of another, or of the same. A row's line begins as `none`. */
  move(slot: number, line: number): void {
    const { lineOf, lineNext, linePrevious } = this.table
    const from = lineOf[slot]! | 0
    if (from !== Line.none) {
      const next = lineNext[slot]! | 0
      const previous = linePrevious[slot]! | 0
      if (previous === NONE) this.firsts[from] = next
      else lineNext[previous] = next
      if (next === NONE) this.lasts[from] = previous
      else linePrevious[next] = previous
    }
    lineOf[slot] = line
    if (line === Line.none) return
    const last = this.lasts[line]! | 0
    lineNext[slot] = NONE
    linePrevious[slot] = last
    if (last === NONE) this.firsts[line] = slot
    else lineNext[last] = slot
    this.lasts[line] = slot
  }
}
