/**
 * What is evicted when memory is short: each flow is in the LRU list of its kind, and the lists are tried in order.
 *
 * A flow changes lists when it becomes another kind of flow, a few times in its life; a packet costs nothing here. Finding the
 * next one to evict is a look at the front of at most four lists, whatever is in them.
 */
import type { FlowTable } from './flow-table.ts'

/** Lists in the order in which they are evicted from. */
export const FlowList = {
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

const LISTS = 5
const NONE = -1

export class EvictionLists {
  private readonly table: FlowTable
  private readonly firsts = new Int32Array(LISTS).fill(NONE)
  private readonly lasts = new Int32Array(LISTS).fill(NONE)

  constructor(table: FlowTable) {
    this.table = table
  }

  /** The oldest in the list, or -1. */
  first(list: number): number {
    return this.firsts[list]! | 0
  }

  /** Takes the flow out of its list and puts it at the end of another, or of the same. A row's list begins as `none`. */
  move(slot: number, list: number): void {
    const { listOf, listNext, listPrevious } = this.table
    const from = listOf[slot]! | 0
    if (from !== FlowList.none) {
      const next = listNext[slot]! | 0
      const previous = listPrevious[slot]! | 0
      if (previous === NONE) this.firsts[from] = next
      else listNext[previous] = next
      if (next === NONE) this.lasts[from] = previous
      else listPrevious[next] = previous
    }
    listOf[slot] = list
    if (list === FlowList.none) return
    const last = this.lasts[list]! | 0
    listNext[slot] = NONE
    listPrevious[slot] = last
    if (last === NONE) this.firsts[list] = slot
    else listNext[last] = slot
    this.lasts[list] = slot
  }
}
