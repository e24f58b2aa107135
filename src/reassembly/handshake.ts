/**
 * SYN and SYN+ACK: where the two streams of a connection begin, who opened it, and whether it is a new one on a five-tuple in use.
 *
 * In a connection that is open a SYN begins nothing: its receiver answers it with an acknowledgement (RFC 5961 section 4.2), and only
 * when the other side says that it knows of no connection (RST, RFC 9293 section 3.5.1), or both sides have shown their new numbers,
 * there is another one. So a SYN that is none of the connection's is kept in mind until then (see Opening).
 */

import type { EndedConnections } from '../flow/ended-connections.ts'
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import type { Lifecycle } from '../flow/lifecycle.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { seqBefore, seqDistance } from '../wire/seq.ts'
import type { Acceptance } from './acceptance.ts'
import type { Delivery } from './delivery.ts'
import type { Opening } from './disorder.ts'
import type { Disorders } from './disorders.ts'
import { Doubt } from './doubtful-segments.ts'
import type { Doubts } from './doubts.ts'
import { type HalfStreams, isNear, isShortlyBefore } from './half-stream.ts'
import type { Segment } from './segment.ts'
import { End } from './stream-parser.ts'

/** Data that a SYN can carry: more is acknowledged by nobody. */
const MAX_SYN_DATA = 65_535

export class Handshake {
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly acceptance: Acceptance
  private readonly disorders: Disorders
  private readonly delivery: Delivery
  private readonly doubts: Doubts
  private readonly lifecycle: Lifecycle
  private readonly past: EndedConnections
  private readonly counters: CounterBlock
  private readonly startAt: (key: number, seq: number, isBeginning: boolean) => void

  constructor(
    parts: {
      readonly table: FlowTable
      readonly half: HalfStreams
      readonly acceptance: Acceptance
      readonly disorders: Disorders
      readonly delivery: Delivery
      readonly doubts: Doubts
      readonly lifecycle: Lifecycle
      readonly past: EndedConnections
      readonly counters: CounterBlock
    },
    startAt: (key: number, seq: number, isBeginning: boolean) => void,
  ) {
    this.table = parts.table
    this.half = parts.half
    this.acceptance = parts.acceptance
    this.disorders = parts.disorders
    this.delivery = parts.delivery
    this.doubts = parts.doubts
    this.lifecycle = parts.lifecycle
    this.past = parts.past
    this.counters = parts.counters
    this.startAt = startAt
  }

  /** A packet with SYN, of `key`. */
  synchronize(key: number, segment: Segment): void {
    const { table, half } = this
    // The SYN of a connection that was read before: by a previous worker, or before it was evicted.
    const isRecovered = (table.flags[key >> 1]! & Flow.recovered) !== 0 && half.has(key, Direction.known)
    const next = table.nextSeq[key]!
    const isOld = isRecovered && isNear(segment.start, next) && !seqBefore(next, segment.start)
    const opening = this.disorders.of(key >> 1)?.opening
    if (isOld && !(segment.hasAck && opening != null && isAnswerTo(opening.clientFirst, segment.ack))) return
    if (segment.hasAck) this.answered(key, segment)
    else this.asked(key, segment)
  }

  /**
   * A packet of `key` belongs to another connection, by its numbers: to the one that was asked for, or to one whose beginning the mirror
   * lost. Where the server's packets come by, its answer must show that there is one.
   */
  beginOther(key: number, segment: Segment): void {
    const slot = key >> 1
    const { half } = this
    // Right behind a reset that the receiver ignored, as its acknowledgements say.
    const isAcknowledged = (this.table.flags[slot]! & Flow.reset) !== 0 && !half.isFar(key, segment.start)
    const wasAnswered = half.has(key ^ 1, Direction.seen) || this.isUnanswered(slot)
    if (!this.begunBy(key, segment)) this.lifecycle.restart(slot)
    if (wasAnswered && !isAcknowledged) this.table.flags[slot]! |= Flow.unanswered
  }

  /** A packet without SYN shows by its numbers that the connection asked for has begun: its SYN+ACK was lost by the mirror. */
  private begunBy(key: number, segment: Segment): boolean {
    const opening = this.disorders.of(key >> 1)?.opening
    if (opening == null || key !== opening.client || !segment.hasAck) return false
    const peer = key ^ 1
    // Its SYN was not kept, but the server's, which this packet acknowledges.
    const hasSyn = opening.clientOptions !== null
    if (!hasSyn && opening.serverFirst !== segment.ack) return false
    if (segment.start !== opening.clientFirst || this.isPeerNear(peer, segment.ack)) return false
    this.begin(opening, hasSyn ? null : opening.serverFirst)
    return true
  }

  private isPeerNear(peer: number, ack: number): boolean {
    return this.half.has(peer, Direction.known) && isNear(this.table.nextSeq[peer]!, ack)
  }

  /** Where a connection may be the second copy of one that ended, the client's acknowledgement of the server's SYN tells. */
  checkCopy(client: number, serverFirst: number): void {
    const slot = client >> 1
    const { table } = this
    if ((table.flags[slot]! & Flow.mayBeCopy) === 0) return
    table.flags[slot]! &= ~Flow.mayBeCopy
    if (!this.past.has(table.hash[slot]! | 0, table.base[client]! | 0, serverFirst)) return
    this.counters.add(Counter.flowsRepeated)
    this.lifecycle.ignore(slot, End.replaced)
  }

  /** SYN: `key` opens. */
  private asked(key: number, segment: Segment): void {
    const { table, half } = this
    const slot = key >> 1
    const { start: first } = segment
    const isClosed = (table.flags[slot]! & Flow.closed) !== 0
    if (half.has(key, Direction.known)) {
      if (table.base[key] === first && (half.has(key, Direction.syn) || !isClosed)) {
        // Sent again; or, behind a refusal, tried again with the same number.
        if (!this.wasRefused(key)) {
          if (isClosed) table.flags[slot]! |= Flow.askedAgain
          else if (!half.has(key, Direction.syn)) this.opens(key, segment)
          // Or another connection with the same number: then the server's is another.
          else if (half.hasMoved(key) || half.hasMoved(key ^ 1)) this.keepSyn(key, segment)
          return
        }
      } else if (!isClosed && this.isOf(key, first)) {
        if (half.hasMoved(key) || half.has(key, Direction.ended) || this.disorders.storeOf(key) !== null) return
        this.rebase(key, first)
        this.opens(key, segment)
        return
      } else if (
        !isClosed &&
        (half.hasMoved(key) || half.has(key ^ 1, Direction.known | Direction.seen) || this.isUnanswered(slot))
      ) {
        this.keepSyn(key, segment)
        this.counters.add(Counter.segmentsSynInWindow)
        return
      }
      this.lifecycle.restart(slot)
    } else if (isClosed) this.lifecycle.restart(slot)
    this.startAt(key, first, true)
    this.opens(key, segment)
  }

  /** The connection of the SYN's sender begins with it. */
  private opens(key: number, segment: Segment): void {
    const { table, half } = this
    const slot = key >> 1
    this.acceptance.noteHandshake(key, segment)
    this.noteClient(key)
    const mayBeCopy = !half.has(key ^ 1, Direction.known) && !half.hasMoved(key)
    if (mayBeCopy && this.past.hasClient(table.hash[slot]! | 0, table.base[key]! | 0))
      table.flags[slot]! |= Flow.mayBeCopy
    if (segment.length > 0 && !half.hasMoved(key)) this.doubts.keep(key, segment, Doubt.synData)
  }

  /** SYN+ACK: `key` serves, and acknowledges the SYN of its peer. */
  private answered(key: number, segment: Segment): void {
    const { table, half } = this
    const slot = key >> 1
    const client = key ^ 1
    const { start: first, ack } = segment
    const isClosed = (table.flags[slot]! & Flow.closed) !== 0
    const opening = this.disorders.of(slot)?.opening ?? null
    if (half.has(key, Direction.known) && table.base[key] === first && half.has(key, Direction.syn)) {
      if (isClosed) return
      half.acknowledge(client, ack)
      this.doubts.settleSynData(client, ack)
      half.noteWindow(key, segment)
      this.acceptance.noteTimestamp(key, segment)
      return
    }
    if (opening !== null && opening.client === client && isAnswerTo(opening.clientFirst, ack)) {
      if (opening.clientOptions !== null) {
        this.begin(opening, first)
        half.acknowledge(client, ack)
        this.acceptance.noteHandshake(key, segment)
        half.noteWindow(key, segment)
        this.doubts.settleSynData(client, ack)
      }
      return
    }
    const isOfClient = half.has(client, Direction.known) && isAnswerTo(table.base[client]!, ack)
    const isUntouched = !half.hasMoved(key) && this.disorders.storeOf(key) === null && !half.has(key, Direction.ended)
    if (isClosed) {
      // Late, of the connection that ended; else the SYN of another was lost.
      if (isOfClient && !this.mayBeReused(slot, key, first)) return
      this.lifecycle.restart(slot)
    } else if (isOfClient || !half.has(client, Direction.known) || (table.flags[slot]! & Flow.recovered) !== 0) {
      // Another number than the server's packets had: it only counts while nothing was delivered on the old one.
      if (half.has(key, Direction.known) && table.base[key] !== first) {
        if (!isUntouched || this.hasBegun(key)) {
          this.counters.add(Counter.segmentsSynInWindow)
          return
        }
        this.rebase(key, first)
      }
    } else if (
      half.has(client, Direction.syn) ||
      half.hasMoved(client) ||
      half.hasMoved(key) ||
      this.isUnanswered(slot)
    ) {
      this.keepInMind({
        client,
        clientFirst: ack,
        clientOptions: null,
        serverFirst: first,
        serverOptions: { ...segment.options },
      })
      this.counters.add(Counter.segmentsSynInWindow)
      return
    } else this.lifecycle.restart(slot)
    this.begun(key, segment)
  }

  /** Both sides' numbers are known now. */
  private begun(key: number, segment: Segment): void {
    const { table, half } = this
    const client = key ^ 1
    const { start: first, ack } = segment
    if (!half.has(key, Direction.known)) this.startAt(key, first, true)
    if (!half.has(client, Direction.known)) this.startAt(client, ack, true)
    half.acknowledge(client, ack)
    this.acceptance.noteHandshake(key, segment)
    half.noteWindow(key, segment)
    // Not where the client's stream was taken up behind its beginning.
    if (isAnswerTo(table.base[client]!, ack)) this.noteClient(client)
    if ((table.flags[key >> 1]! & Flow.mayBeCopy) !== 0) this.checkCopy(client, first)
    else if (half.has(client, Direction.syn) || !half.hasMoved(client)) this.checkUnasked(client, first)
    if ((table.flags[key >> 1]! & Flow.closed) !== 0) return
    this.doubts.settleSynData(client, ack)
    if (segment.length > 0 && !half.hasMoved(key)) this.doubts.keep(key, segment, Doubt.synData)
  }

  /** The SYN was lost by the mirror, or came before this connection's row was there. */
  private checkUnasked(client: number, serverFirst: number): void {
    const slot = client >> 1
    const { table, half } = this
    if (half.hasMoved(client) || half.hasMoved(client ^ 1)) return
    if (!this.past.has(table.hash[slot]! | 0, table.base[client]! | 0, serverFirst)) return
    this.counters.add(Counter.flowsRepeated)
    this.lifecycle.ignore(slot, End.replaced)
  }

  /** Who sent the SYN without ACK is the client; where both did (RFC 9293 section 3.5, simultaneous), nobody is. */
  private noteClient(client: number): void {
    const { table, half } = this
    const slot = client >> 1
    if (this.delivery.parsers[slot] != null) return
    table.flags[slot]! &= ~(Flow.clientKnown | Flow.clientIs1)
    if (half.has(client ^ 1, Direction.opened)) return
    table.flags[slot]! |= Flow.clientKnown | ((client & 1) !== 0 ? Flow.clientIs1 : 0)
  }

  /** Its SYN was seen and answered: no other SYN of its sender counts (RFC 5961 section 4.2). */
  private hasBegun(key: number): boolean {
    const { table, half } = this
    return half.has(key, Direction.syn | Direction.acked) && table.highAck[key] === table.base[key]
  }

  /** A late SYN of a connection that seemed to begin in the middle. */
  private isOf(key: number, first: number): boolean {
    const { table, half } = this
    if (half.has(key, Direction.syn) || (table.flags[key >> 1]! & Flow.clientKnown) !== 0) return false
    return isShortlyBefore(first, table.base[key]!)
  }

  /** Packets of numbers that are not the connection's were taken for its beginning: what they said goes with them. */
  private rebase(key: number, first: number): void {
    const { table, half } = this
    half.forgetStart(key)
    // A FIN that came before its SYN stays; one of other numbers goes with them.
    const isFinAhead = first === table.finSeq[key] || isShortlyBefore(first, table.finSeq[key]!)
    if (!isFinAhead) table.directionFlags[key]! &= ~Direction.fin
    const peer = key ^ 1
    if (half.has(peer, Direction.syn) && !half.hasMoved(peer)) half.forgetAcknowledged(peer)
    this.startAt(key, first, true)
  }

  private keepSyn(client: number, { start, options }: Segment): void {
    const clientOptions = { ...options }
    this.keepInMind({ client, clientFirst: start, clientOptions, serverFirst: null, serverOptions: null })
  }

  private keepInMind(opening: Omit<Opening, 'sinceUs'>): void {
    const disorder = this.disorders.need(opening.client >> 1)
    const known = disorder.opening
    // Its other half came first.
    const isWhole =
      known?.client === opening.client &&
      known.serverFirst !== null &&
      opening.clientOptions !== null &&
      isAnswerTo(opening.clientFirst, known.clientFirst)
    if (isWhole) {
      const { serverFirst, serverOptions } = known
      this.begin({ ...opening, serverFirst, serverOptions, sinceUs: 0 }, serverFirst)
      return
    }
    disorder.opening = { ...opening, sinceUs: this.delivery.nowUs }
  }

  /** A new connection on the five-tuple of one that was open. @param serverFirst null: not known yet */
  private begin({ client, clientFirst, clientOptions, serverOptions }: Opening, serverFirst: number | null): void {
    const slot = client >> 1
    const { table } = this
    if (serverFirst !== null && this.past.has(table.hash[slot]! | 0, clientFirst, serverFirst)) return
    this.lifecycle.restart(slot)
    this.startAt(client, clientFirst, true)
    if (clientOptions !== null) this.acceptance.noteOptions(client, clientOptions, true, false)
    if (serverFirst !== null) this.startAt(client ^ 1, serverFirst, true)
    if (serverOptions !== null) this.acceptance.noteOptions(client ^ 1, serverOptions, true, true)
    this.noteClient(client)
  }

  private isUnanswered(slot: number): boolean {
    return (this.table.flags[slot]! & Flow.unanswered) !== 0
  }

  /** The SYN of `key` was not answered by another, and the connection ended. */
  private wasRefused(key: number): boolean {
    const { half } = this
    const flags = this.table.flags[key >> 1]!
    if ((flags & (Flow.closed | Flow.ignored)) !== Flow.closed || half.has(key ^ 1, Direction.syn)) return false
    return !half.hasMoved(key) && !half.hasMoved(key ^ 1)
  }

  /** A closed connection whose client may begin again with the number it had: nothing was read of it, or the server's tells. */
  private mayBeReused(slot: number, server: number, first: number): boolean {
    const { half } = this
    const { base, flags } = this.table
    // The client's SYN came again, and the server's is another.
    if ((flags[slot]! & (Flow.askedAgain | Flow.ignored)) === Flow.askedAgain && base[server] !== first) return true
    return (flags[slot]! & Flow.ignored) === 0 && !half.hasMoved(slot * 2) && !half.hasMoved(slot * 2 + 1)
  }
}

/** The acknowledgement is that of a SYN whose stream begins at `first`, with data in it or without. */
function isAnswerTo(first: number, ack: number): boolean {
  const taken = seqDistance(first, ack)
  return taken >= 0 && taken <= MAX_SYN_DATA && !seqBefore(ack, first)
}
