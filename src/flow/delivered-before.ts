/**
 * What was delivered of connections that are in the table no more, so that it is not delivered again when a mirror repeats it: those
 * that were evicted, those of a worker before this one, and those that could not be remembered.
 */

import { Flow } from './flow-state.ts'
import type { FlowTable } from './flow-table.ts'
import { NO_ENTRY, type ProgressRegister } from './progress-register.ts'

/** Flows known to have been forgotten, 256 KiB where there are any. Repetitions come soon: of more the last ones stay. */
const FORGOTTEN_FLOWS = 1 << 16

export class DeliveredBefore {
  private readonly table: FlowTable
  private readonly progress: ProgressRegister
  private readonly rememberedUs: number
  /**
   * Until then no connection begins in the middle: one that was read and evicted could not be remembered, and what is repeated of
   * it would be read again.
   */
  private forgetfulUntilUs = 0
  /** Hashes of those that could not be remembered, each at its own low bits: not even a SYN opens them meanwhile. */
  private forgotten: Int32Array | null = null

  /** @param rememberedUs how long repetitions are expected */
  constructor(table: FlowTable, progress: ProgressRegister, rememberedUs: number) {
    this.table = table
    this.progress = progress
    this.rememberedUs = rememberedUs
  }

  /** Takes up what is known of the flow, and calls `start` with each direction of which something was delivered, and where that ended. */
  recall(slot: number, nowUs: number, start: (key: number, seq: number) => void): void {
    const { table, progress } = this
    const own = table.portOf(slot, 0)
    const other = table.portOf(slot, 1)
    const isFlipped = own > other || (own === other && table.isAddressAbove(slot))
    const ports = isFlipped ? (other << 16) | own : (own << 16) | other
    const entry = progress.take(table.hash[slot]! | 0, ports, secondsOf(nowUs))
    table.progress[slot] = isFlipped && entry !== NO_ENTRY ? entry | 1 : entry
    if (entry === NO_ENTRY) return
    if (progress.takeMidMessage(entry)) table.flags[slot]! |= Flow.midMessage
    if (!progress.hasAnySeq(entry)) return
    for (let direction = 0; direction < 2; direction++) {
      const endpoint = isFlipped ? direction ^ 1 : direction
      if (progress.hasSeq(entry, endpoint)) start(slot * 2 + direction, progress.nextSeq(entry, endpoint))
    }
    table.flags[slot]! |= Flow.recovered
  }

  /** The direction was delivered up to nextSeq. */
  note(key: number): void {
    const entry = this.table.progress[key >> 1]! | 0
    if (entry !== NO_ENTRY) this.progress.setNextSeq(entry & ~1, (key ^ entry) & 1, this.table.nextSeq[key]! | 0)
  }

  /**
   * The flow leaves the table.
   * @param leftAtUs when it was read last, where it may come back; null: it will not
   */
  remember(slot: number, leftAtUs: number | null, isMidMessage: boolean): void {
    const entry = this.table.progress[slot]! | 0
    if (entry === NO_ENTRY) return
    if (leftAtUs !== null) this.progress.leave(entry & ~1, secondsOf(leftAtUs), isMidMessage)
    else this.progress.remove(entry & ~1)
  }

  /** The flow has been read and is evicted without an entry in the register. */
  forget(slot: number, nowUs: number): void {
    if (this.table.progress[slot] !== NO_ENTRY) return
    const hash = this.table.hash[slot]!
    this.forgotten ??= new Int32Array(FORGOTTEN_FLOWS)
    if (nowUs >= this.forgetfulUntilUs) this.forgotten.fill(0)
    this.forgotten[hash & (FORGOTTEN_FLOWS - 1)] = hash
    this.forgetfulUntilUs = nowUs + this.rememberedUs
  }

  /** A flow that begins now may be one that was read and could not be remembered. */
  refuses(hash: number, isMidstream: boolean, nowUs: number): boolean {
    if (nowUs >= this.forgetfulUntilUs) return false
    return isMidstream || this.forgotten![hash & (FORGOTTEN_FLOWS - 1)] === hash
  }
}

function secondsOf(us: number): number {
  return Math.floor(us / 1e6) | 0
}
