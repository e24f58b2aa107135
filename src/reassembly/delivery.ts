/**
 * Hands the two directions of each connection to its parser: what is in order at once and where it lies, what came early when its turn
 * comes, and a response not before the requests it acknowledges.
 */

import type { DeliveredBefore } from '../flow/delivered-before.ts'
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import type { WatchList } from '../flow/watch-list.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import type { Disorders } from './disorders.ts'
import { type HalfStreams, MAX_JUMP } from './half-stream.ts'
import type { OverlapPolicy } from './out-of-order-store.ts'
import { SegmentPiece } from './segment.ts'
import { Demand, End, GapReason, type StreamParser, type StreamParserFactory } from './stream-parser.ts'

/** FINs of one direction that wait: a sender has one. */
const MOST_FINS = 16

/** What of a piece, or of a segment that waits, says when its time has come. */
interface Acknowledging {
  readonly hasAck: boolean
  readonly ack: number
  readonly timeUs: number
}

export class Delivery {
  nowUs = 0
  /** By slot; a connection has a parser from its first data on. */
  readonly parsers: (StreamParser | null)[] = []
  /** The one piece that is borrowed. */
  readonly piece = new SegmentPiece()
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly disorders: Disorders
  private readonly watched: WatchList
  private readonly before: DeliveredBefore
  private readonly counters: CounterBlock
  private readonly factory: StreamParserFactory
  private readonly overlap: OverlapPolicy
  private readonly opened: (slot: number) => void

  /** @param opened told of each connection that got a parser */
  constructor(
    parts: {
      readonly table: FlowTable
      readonly half: HalfStreams
      readonly disorders: Disorders
      readonly watched: WatchList
      readonly before: DeliveredBefore
      readonly counters: CounterBlock
    },
    factory: StreamParserFactory,
    overlap: OverlapPolicy,
    opened: (slot: number) => void,
  ) {
    this.table = parts.table
    this.half = parts.half
    this.disorders = parts.disorders
    this.watched = parts.watched
    this.before = parts.before
    this.counters = parts.counters
    this.factory = factory
    this.overlap = overlap
    this.opened = opened
  }

  mayOpen(): boolean {
    return this.factory.mayOpen()
  }

  parser(slot: number): StreamParser {
    const present = this.parsers[slot]
    if (present != null) return present
    const { flags } = this.table
    const clientKnown = (flags[slot]! & Flow.clientKnown) !== 0
    const client = clientKnown ? ((flags[slot]! & Flow.clientIs1) !== 0 ? 1 : 0) : -1
    const parser = this.factory.open(slot, client, this.nowUs, !clientKnown && (flags[slot]! & Flow.midMessage) !== 0)
    this.parsers[slot] = parser
    this.opened(slot)
    // A direction may have ended without a byte, before there was anybody to tell.
    for (let direction = 0; direction < 2; direction++) {
      if (this.half.has(slot * 2 + direction, Direction.ended)) parser.end(direction, End.fin)
    }
    return parser
  }

  /**
   * Data that the receiver took, from a packet or kept: delivered where it is in order and its time has come, else stored.
   * @param trueLength of the data; the piece may hold less where the packet was truncated
   */
  take(key: number, piece: SegmentPiece, trueLength: number): void {
    let length = trueLength
    const { table, counters } = this
    if (this.half.has(key, Direction.fin)) {
      this.dropCoveredFins(key, piece.seq, seqAdd(piece.seq, length))
      // The stream ends at the FIN: what claims to stand behind it (the garbage byte of a keep-alive probe) is none of it. Behind one that waits
      // it waits too: the FIN may still be covered.
      const left = Math.max(0, seqDistance(piece.seq, table.finSeq[key]!))
      const isInOrder = !seqBefore(table.nextSeq[key]!, piece.seq) || this.isAtFin(key)
      if (left < length && isInOrder && this.half.has(key, Direction.fin)) {
        length = left
        piece.end = Math.min(piece.end, piece.at + left)
      }
    }
    const behind = seqDistance(piece.seq, table.nextSeq[key]!)
    if (length === 0 || behind >= length) {
      counters.add(Counter.segmentsDuplicate)
      return
    }
    if (behind > 0) {
      // What was delivered wins; only the tail is new.
      const present = Math.min(behind, piece.end - piece.at)
      piece.skip(present)
      piece.seq = table.nextSeq[key]!
    }
    const presentEnd = seqAdd(piece.seq, piece.end - piece.at)
    if (piece.end - piece.at < length - Math.max(behind, 0)) {
      table.truncatedSeq[key] = presentEnd
      table.directionFlags[key]! |= Direction.truncated
      this.watched.add(key >> 1)
    }
    if (piece.end === piece.at) return
    const store = this.disorders.storeOf(key)
    const isInOrder = behind >= 0
    // What waits came before this one: where they overlap, the store decides.
    const first = store?.first()
    const mayPass =
      isInOrder && (first === undefined || this.overlap === 'last' || !seqBefore(first.seq, seqAdd(piece.seq, length)))
    if (mayPass && !this.mustWait(key, piece)) {
      const present = piece.end - piece.at
      const taken = this.deliver(key, piece)
      this.disorders.trim(key)
      if (taken < present) this.store(key, piece)
      return
    }
    counters.add(Counter.segmentsOutOfOrder)
    this.store(key, piece)
  }

  /** Hands the piece on; what was taken of it, or is in a gap, is cut off its front. Returns how much. */
  deliver(key: number, piece: SegmentPiece): number {
    const marks = this.disorders.marksOf(key)
    if (marks === null) {
      const taken = this.deliverUnmarked(key, piece)
      if (taken < piece.end - piece.at) piece.skip(taken)
      return taken
    }
    const { nextSeq } = this.table
    let done = 0
    while (piece.at < piece.end) {
      const mark = marks.first(nextSeq[key]!)
      const length = piece.end - piece.at
      const free = mark === undefined ? length : Math.min(length, Math.max(0, seqDistance(nextSeq[key]!, mark.seq)))
      if (done > 0 && this.mustWait(key, piece)) return done
      if (free === 0) {
        const hidden = Math.min(length, seqDistance(nextSeq[key]!, mark!.end))
        this.gap(key, hidden, mark!.why)
        piece.skip(hidden)
        done += hidden
        continue
      }
      const { end } = piece
      piece.end = piece.at + free
      const taken = this.deliverUnmarked(key, piece)
      piece.end = end
      if (taken > 0) piece.skip(taken)
      done += taken
      if (taken < free) return done
    }
    return done
  }

  /** Bytes that will not come. @param why one of GapReason */
  gap(key: number, length: number, why: number): void {
    this.counters.add(Counter.gaps)
    this.counters.add(Counter.gapBytes, length)
    this.parser(key >> 1).gap(key & 1, length, why)
    this.half.moveNext(key, length)
    this.before.note(key)
    this.table.directionFlags[key]! &= ~(Direction.hole | Direction.behindGap)
    if (why === GapReason.lost) this.table.directionFlags[key]! |= Direction.behindGap
  }

  /** The same up to `end`: lost, or truncated. */
  gapUpTo(key: number, end: number): void {
    const { table } = this
    const isTruncated = this.half.has(key, Direction.truncated) && table.truncatedSeq[key] === table.nextSeq[key]
    this.gap(key, seqDistance(table.nextSeq[key]!, end), isTruncated ? GapReason.truncated : GapReason.lost)
  }

  /** The piece is in order but its time has not come: see StreamParser.demand. */
  mustWait(key: number, piece: Acknowledging): boolean {
    const parser = this.parsers[key >> 1]
    if (parser == null) return this.mustWaitForHandshake(key, piece)
    const demand = parser.demand(key & 1)
    if (demand !== Demand.afterPeer) return demand === Demand.paused
    return this.peerIsBehind(key, piece) && !this.peerWaits(key, piece, parser)
  }

  /** The other direction has not delivered all that the piece acknowledges, though its packets are captured. */
  peerIsBehind(key: number, piece: Acknowledging): boolean {
    if (!piece.hasAck) return false
    const { table } = this
    const peer = key ^ 1
    if (!this.half.has(peer, Direction.known | Direction.seen) || this.half.has(peer, Direction.ended)) return false
    const ahead = seqDistance(table.nextSeq[peer]!, piece.ack)
    return ahead > 0 && ahead <= MAX_JUMP
  }

  store(key: number, piece: SegmentPiece): void {
    const { table } = this
    const slot = key >> 1
    const store = this.disorders.needStore(key)
    const before = store.cost
    const differing = store.differing
    const segment = {
      seq: piece.seq,
      bytes: piece.bytes,
      at: piece.at,
      end: piece.end,
      ack: piece.ack,
      hasAck: piece.hasAck,
      timeUs: piece.timeUs,
      packet: table.packets[slot]!,
      arrivedUs: this.nowUs,
      startsSegment: piece.startsSegment,
      isAckedTo: piece.isAckedTo,
      isWhole: true,
    }
    store.insert(segment, table.nextSeq[key]!)
    for (const { seq, length } of store.conflicts) this.disorders.needMarks(key).add(seq, length, GapReason.conflict)
    this.counters.add(Counter.overlapsDiffering, store.differing - differing)
    this.disorders.account(store.cost - before)
    this.watched.add(slot)
  }

  /** Delivers what of the store has become deliverable. Returns whether anything was. */
  drain(key: number): boolean {
    const store = this.disorders.storeOf(key)
    if (store === null) return false
    const { table, piece } = this
    const before = store.cost
    let moved = false
    store.trimBefore(table.nextSeq[key]!)
    for (let first = store.first(); first !== undefined; first = store.first()) {
      if (first.seq !== table.nextSeq[key] || this.isAtFin(key) || this.mustWait(key, first)) break
      store.shift()
      if (this.half.has(key, Direction.fin))
        first.end = Math.min(first.end, first.at + seqDistance(first.seq, table.finSeq[key]!))
      const length = first.end - first.at
      piece.bytes = first.bytes
      piece.at = first.at
      piece.end = first.end
      piece.seq = first.seq
      piece.ack = first.ack
      piece.hasAck = first.hasAck
      piece.timeUs = first.timeUs
      piece.startsSegment = first.startsSegment
      piece.isAckedTo = first.isAckedTo
      const taken = this.deliver(key, piece)
      if (taken > 0) moved = true
      if (taken < length) {
        const { seq, at, startsSegment, isAckedTo } = piece
        const isWhole = taken === 0
        store.putBack({
          ...first,
          seq: isWhole ? first.seq : seq,
          at: isWhole ? first.at : at,
          startsSegment: isWhole ? first.startsSegment : startsSegment,
          isAckedTo: isWhole ? first.isAckedTo : isAckedTo,
        })
        break
      }
      store.trimBefore(table.nextSeq[key]!)
    }
    this.disorders.account(store.cost - before)
    if (store.length === 0) this.disorders.forgetStore(key)
    return moved
  }

  /**
   * A FIN of a segment that begins at `start`. Behind a gap it waits as data does: what covers the whole segment takes its place, the FIN
   * with it, whichever came first.
   */
  finish(key: number, start: number, finSeq: number): void {
    const { half, disorders, table } = this
    const store = disorders.storeOf(key)
    if (store?.covers(start, seqAdd(finSeq, 1)) ?? false) return
    const isFirst = !half.has(key, Direction.fin)
    half.finish(key, finSeq)
    if (!half.has(key, Direction.fin) || this.isAtFin(key) || !seqBefore(table.nextSeq[key]!, finSeq)) return
    const { fins } = disorders.need(key >> 1)
    if (isFirst) fins[key & 1] = []
    if (fins[key & 1]!.length >= MOST_FINS) return
    const touches = store?.covers(seqAdd(start, -1), start) ?? false
    fins[key & 1]!.push({ seq: finSeq, start: touches ? null : start })
    if (seqBefore(finSeq, table.finSeq[key]!)) table.finSeq[key] = finSeq
  }

  /** Everything in front of the FIN was delivered: the direction ends. */
  endIfFinished(key: number): boolean {
    const { table } = this
    if ((table.directionFlags[key]! & (Direction.fin | Direction.ended)) !== Direction.fin) return false
    if (seqDistance(table.nextSeq[key]!, table.finSeq[key]!) > 0) {
      this.watched.add(key >> 1)
      return false
    }
    table.directionFlags[key]! |= Direction.ended
    // What claims to stand behind the FIN is none of the stream.
    this.disorders.forgetStore(key)
    this.parsers[key >> 1]?.end(key & 1, End.fin)
    return true
  }

  /** The segment [from, to) comes while FINs wait behind a gap: see `finish`. */
  private dropCoveredFins(key: number, from: number, to: number): void {
    const { half, table } = this
    const next = table.nextSeq[key]!
    if (!seqBefore(next, table.finSeq[key]!) || !seqBefore(table.finSeq[key]!, to)) return
    // Its receiver had it in order.
    if (half.has(key, Direction.acked) && table.highAck[key] === seqAdd(table.finSeq[key]!, 1)) return
    const isInOrder = !seqBefore(next, from)
    const { fins } = this.disorders.need(key >> 1)
    const left = fins[key & 1]!.filter(({ seq, start }) => {
      if (isInOrder) return !seqBefore(seq, to)
      return (
        start === null ||
        !(seqBefore(from, start) ? seqBefore(seq, to) : from === start && seqBefore(seqAdd(seq, 1), to))
      )
    })
    fins[key & 1] = left
    if (left.length === 0) half.forgetFin(key)
    else table.finSeq[key] = left.reduce((first, { seq }) => (seqBefore(seq, first) ? seq : first), left[0]!.seq)
  }

  private isAtFin(key: number): boolean {
    return this.half.has(key, Direction.fin) && !seqBefore(this.table.nextSeq[key]!, this.table.finSeq[key]!)
  }

  /** Where no mark lies in the direction and nothing of it is pending: the piece as it is. Returns how much was taken. */
  deliverInOrder(key: number, piece: SegmentPiece, parser: StreamParser): number {
    this.half.fillOffsets(key, piece)
    const taken = parser.data(key & 1, piece)
    this.half.moveNext(key, taken)
    this.before.note(key)
    this.counters.add(Counter.segmentBytes, taken)
    return taken
  }

  private deliverUnmarked(key: number, piece: SegmentPiece): number {
    const { table } = this
    const taken = this.deliverInOrder(key, piece, this.parser(key >> 1))
    // The pending gap is filled; the next one has a window of its own.
    const filled = Direction.hole | Direction.behindGap
    if (taken > 0 && (table.directionFlags[key]! & filled) !== 0) table.directionFlags[key]! &= ~filled
    return taken
  }

  /** Before any data it is the handshake that says who serves, and whether the connection is one of its own. */
  private mustWaitForHandshake(key: number, piece: Acknowledging): boolean {
    const flags = this.table.flags[key >> 1]!
    if ((flags & Flow.mayBeCopy) !== 0) return true
    if ((flags & Flow.clientKnown) === 0) return false
    const clientIs1 = (flags & Flow.clientIs1) !== 0
    return (key & 1) === (clientIs1 ? 0 : 1) && this.peerIsBehind(key, piece)
  }

  /**
   * The other direction's next piece is here, came no earlier and waits for this one: where segments were sent again, either may
   * acknowledge the other.
   */
  private peerWaits(key: number, piece: Acknowledging, parser: StreamParser): boolean {
    const peer = key ^ 1
    const first = this.disorders.storeOf(peer)?.first()
    if (first === undefined || first.seq !== this.table.nextSeq[peer] || first.timeUs < piece.timeUs) return false
    return parser.demand(peer & 1) === Demand.afterPeer && this.peerIsBehind(peer, first)
  }
}
