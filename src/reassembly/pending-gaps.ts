/**
 * Missing bytes of the streams: waited for while they may still arrive, declared gaps when not.
 *
 * A pending gap is declared when its bytes are known to have reached the receiver (acknowledged, or before a FIN) and still have not come
 * within the reorder window: a mirror delivers out of order, so an acknowledgement often arrives before the data it covers.
 */
import { Direction } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import { seqBefore } from '../wire/seq.ts'
import type { Delivery } from './delivery.ts'
import type { Disorders } from './disorders.ts'
import type { Doubts } from './doubts.ts'
import { type HalfStreams, isShortlyBefore } from './half-stream.ts'
import { Demand, type StreamParser } from './stream-parser.ts'

export interface GapOptions {
  /** Bound of the out-of-order store, bytes with overhead: per direction and for the whole shard. */
  readonly outOfOrderBytes: number
  readonly outOfOrderTotalBytes: number
  /** A pending gap whose bytes were acknowledged is declared after so many packets of its flow, or after so long. */
  readonly reorderWindowPackets: number
  readonly reorderWindowMs: number
}

export class PendingGaps {
  /** A gap must be told, and there is no memory for somebody to tell: an eviction is due before the next packet. */
  wantsRoom = false
  private readonly options: GapOptions
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly disorders: Disorders
  private readonly delivery: Delivery
  private readonly doubts: Doubts

  constructor(
    options: GapOptions,
    table: FlowTable,
    half: HalfStreams,
    disorders: Disorders,
    delivery: Delivery,
    doubts: Doubts,
  ) {
    this.options = options
    this.table = table
    this.half = half
    this.disorders = disorders
    this.delivery = delivery
    this.doubts = doubts
  }

  /** There is a pending gap in the direction, or something of it waits. */
  isPending(key: number): boolean {
    return this.disorders.storeOf(key) !== null || this.gapEnd(key) !== null
  }

  /** Declares the pending gap of the direction whose time has passed. Returns whether anything was delivered or given up. */
  declareOld(key: number): boolean {
    const { table } = this
    const slot = key >> 1
    const end = this.gapEnd(key)
    if (end === null) {
      table.directionFlags[key]! &= ~Direction.hole
      return false
    }
    const disorder = this.disorders.need(slot)
    const packets = table.packets[slot]!
    const { nowUs } = this.delivery
    if (!this.half.has(key, Direction.hole)) {
      const first = this.disorders.storeOf(key)?.first()
      table.directionFlags[key]! |= Direction.hole
      disorder.gapPackets[key & 1] = first === undefined ? packets : first.packet
      disorder.gapUs[key & 1] = first === undefined ? nowUs : first.arrivedUs
    }
    const isOld =
      ((packets - disorder.gapPackets[key & 1]!) | 0) >= this.options.reorderWindowPackets ||
      nowUs - disorder.gapUs[key & 1]! >= this.options.reorderWindowMs * 1000
    if (!isOld) return false
    if (this.delivery.parsers[slot] == null && !this.delivery.mayOpen()) {
      // Told with the next packet, or the next look at the flow.
      this.wantsRoom = true
      return false
    }
    this.declare(key, end)
    return true
  }

  /** After a segment was stored: gives up what its direction waits for, until the bounds hold again. */
  enforceBounds(key: number): void {
    const { outOfOrderBytes, outOfOrderTotalBytes } = this.options
    for (;;) {
      const store = this.disorders.storeOf(key)
      const cost = (store?.cost ?? 0) + (this.disorders.doubtfulOf(key)?.cost ?? 0)
      if (cost <= outOfOrderBytes && this.disorders.storedBytes <= outOfOrderTotalBytes) return
      // The shard's bound held before this segment, so it holds again when its direction has given up enough.
      if (!(store === null ? this.doubts.dropOldest(key) : this.force(key)) && !this.doubts.dropOldest(key)) return
    }
  }

  /** No more packets will come: every pending gap is declared, every wait over. */
  flush(key: number): void {
    while (this.disorders.storeOf(key) !== null && this.force(key));
    for (let end = this.gapEnd(key); end !== null && this.disorders.storeOf(key) === null; end = this.gapEnd(key))
      this.declare(key, end)
    this.delivery.endIfFinished(key)
  }

  /**
   * The end of the pending gap at nextSeq whose bytes the receiver is known to have, or which stand before a FIN; null when there is
   * none. In a capture of one direction nothing is ever acknowledged: later data must do.
   */
  private gapEnd(key: number): number | null {
    const { table, half } = this
    const flags = table.directionFlags[key]!
    if ((flags & (Direction.known | Direction.ended)) !== Direction.known) return null
    const next = table.nextSeq[key]!
    const first = this.disorders.storeOf(key)?.first()
    const isOneSided = !half.has(key ^ 1, Direction.seen)
    let end: number
    // The acknowledgement of a FIN stands one after it, so a known FIN goes first.
    if ((flags & Direction.fin) !== 0) end = table.finSeq[key]!
    else if ((flags & Direction.acked) !== 0 && isShortlyBefore(next, table.highAck[key]!)) end = table.highAck[key]!
    else if (first !== undefined && isOneSided) end = first.seq
    else return null
    if (first !== undefined && seqBefore(first.seq, end)) end = first.seq
    return seqBefore(next, end) ? end : null
  }

  /** A doubtful copy of the bytes is better than none, where the receiver has them. */
  private declare(key: number, end: number): void {
    if (!this.doubts.takeAcknowledged(key)) this.delivery.gapUpTo(key, end)
  }

  /** The store is full: whatever its first segment waits for is given up. False when that changed nothing. */
  private force(key: number): boolean {
    const { nextSeq } = this.table
    const { delivery, disorders } = this
    const store = disorders.storeOf(key)
    const first = store?.first()
    if (store === null || first === undefined) return false
    const own = nextSeq[key]
    const peers = nextSeq[key ^ 1]
    const parser = delivery.parser(key >> 1)
    const wasPaused = isPaused(parser)
    if (first.seq !== own) {
      this.declare(key, first.seq)
      // A response to what was lost comes before the next request.
      if (disorders.storeOf(key ^ 1) !== null) delivery.drain(key ^ 1)
    } else if (parser.demand(key & 1) === Demand.paused) parser.giveUpPause(key & 1)
    else if (delivery.peerIsBehind(key, first)) {
      const peerFirst = disorders.storeOf(key ^ 1)?.first()
      const waitsItself = peerFirst !== undefined && peerFirst.seq === nextSeq[key ^ 1]
      if (waitsItself) parser.giveUpPause((key ^ 1) & 1)
      else
        this.declare(
          key ^ 1,
          peerFirst !== undefined && seqBefore(peerFirst.seq, first.ack) ? peerFirst.seq : first.ack,
        )
      if (disorders.storeOf(key) !== null) delivery.drain(key)
      if (disorders.storeOf(key ^ 1) !== null) delivery.drain(key ^ 1)
    }
    if (disorders.storeOf(key) !== null) delivery.drain(key)
    return nextSeq[key] !== own || nextSeq[key ^ 1] !== peers || wasPaused !== isPaused(parser)
  }
}

function isPaused(parser: StreamParser): boolean {
  return parser.demand(0) === Demand.paused || parser.demand(1) === Demand.paused
}
