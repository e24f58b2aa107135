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
import { seqBefore } from '../wire/seq.ts'
import type { Acceptance, OfferedOptions } from './acceptance.ts'
import type { Delivery } from './delivery.ts'
import type { Opening } from './disorder.ts'
import type { Disorders } from './disorders.ts'
import { Doubt } from './doubtful-segments.ts'
import type { Doubts } from './doubts.ts'
import { type HalfStreams, isNear, isShortlyBefore } from './half-stream.ts'
import type { SecondCopies } from './second-copies.ts'
import { isAnswerTo, type Segment } from './segment.ts'
import { End } from './stream-parser.ts'

export class Handshake {
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly acceptance: Acceptance
  private readonly disorders: Disorders
  private readonly delivery: Delivery
  private readonly doubts: Doubts
  private readonly lifecycle: Lifecycle
  private readonly past: EndedConnections
  private readonly copies: SecondCopies
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
      readonly copies: SecondCopies
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
    this.copies = parts.copies
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
   * lost. Where the server's packets come by, its response must show that there is one.
   */
  beginOther(key: number, segment: Segment): void {
    const slot = key >> 1
    const { half } = this
    // Right after a reset that the receiver ignored, as its acknowledgements say.
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
        // Sent again; or, after a refusal, tried again with the same number.
        if (!this.wasRefused(key)) {
          if (isClosed) table.flags[slot]! |= Flow.askedAgain
          else if (!half.has(key, Direction.syn)) this.opens(key, segment)
          // Or another connection with the same number: then the server's is another.
          else if (half.has(key ^ 1, Direction.syn) || half.hasMoved(key) || half.hasMoved(key ^ 1))
            this.keepSyn(key, segment)
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
      const old = this.untouched(slot)
      this.lifecycle.restart(slot)
      this.startAt(key, first, true)
      this.opens(key, segment)
      if (old?.client === key) this.copies.keep(old)
      return
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
        if (!this.begin({ ...opening, serverOptions: { ...segment.options } }, first)) return
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
          this.keepBeside(client, ack, first, { ...segment.options })
          return
        }
        const before = half.has(key, Direction.syn) ? table.base[key]! : null
        const offered = before === null ? null : this.offeredBy(key)
        this.rebase(key, first)
        if (before !== null) this.keepBeside(client, ack, before, offered)
      }
    } else if (half.has(client, Direction.syn) || half.hasMoved(client) || half.hasMoved(key)) {
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
    // Not where the client's stream was taken up after its beginning.
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

  /**
   * A connection on the five-tuple of one that is open, or its second copy: where that is not clear, its numbers are kept until data comes.
   * @param serverFirst null: not known yet
   * @returns whether it began
   */
  private begin(opening: Opening, serverFirst: number | null): boolean {
    const { client, clientFirst } = opening
    const slot = client >> 1
    const { table, copies } = this
    if (serverFirst !== null && this.past.has(table.hash[slot]! | 0, clientFirst, serverFirst)) return false
    if (!copies.canBeCopied(client, this.delivery.nowUs)) {
      this.start(opening, serverFirst)
      return true
    }
    if (copies.isKnown(slot)) return false
    const disorder = this.disorders.of(slot)
    if (disorder !== null) disorder.opening = null
    copies.keep({ ...opening, serverFirst })
    return false
  }

  private start({ client, clientFirst, clientOptions, serverOptions }: Opening, serverFirst: number | null): void {
    const slot = client >> 1
    const old = this.untouched(slot)
    this.lifecycle.restart(slot)
    this.copies.forget(slot)
    this.startAt(client, clientFirst, true)
    if (clientOptions !== null) this.noteSyn(client, clientOptions, false)
    if (serverFirst !== null) {
      this.startAt(client ^ 1, serverFirst, true)
      this.half.acknowledge(client, clientFirst)
    }
    if (serverOptions !== null) this.noteSyn(client ^ 1, serverOptions, true)
    this.noteClient(client)
    if (old?.client === client) this.copies.keep(old)
  }

  /** What was kept beside the connection that is read begins: see SecondCopies. */
  beginKept(slot: number): void {
    const opening = this.copies.take(slot)
    const wasSeen = this.half.has(opening.client ^ 1, Direction.seen)
    this.start(opening, opening.serverFirst)
    if (wasSeen && opening.serverOptions === null) this.table.flags[slot]! |= Flow.unanswered
  }

  /** The numbers of the open connection, of which nothing but the handshake came: its second copy may go on first. */
  private untouched(slot: number): Opening | null {
    const { table, half } = this
    const flags = table.flags[slot]!
    const client = slot * 2 + ((flags & Flow.clientIs1) !== 0 ? 1 : 0)
    const server = client ^ 1
    if ((flags & (Flow.closed | Flow.clientKnown)) !== Flow.clientKnown || !half.has(client, Direction.known))
      return null
    if (half.hasMoved(client) || half.hasMoved(server) || this.disorders.storeOf(client) !== null) return null
    return {
      client,
      clientFirst: table.base[client]!,
      clientOptions: half.has(client, Direction.syn) ? this.offeredBy(client) : null,
      serverFirst: half.has(server, Direction.known) ? table.base[server]! : null,
      serverOptions: half.has(server, Direction.syn) ? this.offeredBy(server) : null,
      sinceUs: this.delivery.nowUs,
    }
  }

  private offeredBy(key: number): OfferedOptions {
    const { table, half } = this
    const flags = table.flags[key >> 1]!
    return {
      windowScale: half.has(key, Direction.scales) ? table.windowScale[key]! : -1,
      isSackPermitted: half.has(key, Direction.sack),
      hasTimestamps: (flags & Flow.withoutTimestamps) === 0,
      tsval: table.tsRecent[key]!,
      hasMd5: (flags & Flow.signed) !== 0,
      hasAuthentication: false,
    }
  }

  /** A SYN that was kept in mind: the packets of its sender are captured. */
  private noteSyn(key: number, options: OfferedOptions, isAnswer: boolean): void {
    this.acceptance.noteOptions(key, options, true, isAnswer)
    this.table.directionFlags[key]! |= Direction.seen
  }

  /** Another answer to the SYN of the open connection: of its second copy, or of another connection with the client's number of this one. */
  private keepBeside(
    client: number,
    clientFirst: number,
    serverFirst: number,
    serverOptions: OfferedOptions | null,
  ): void {
    const { flags } = this.table
    const slot = client >> 1
    const isClient =
      (flags[slot]! & Flow.clientKnown) !== 0 && ((flags[slot]! & Flow.clientIs1) !== 0 ? 1 : 0) === (client & 1)
    if (!isClient || this.copies.isKnown(slot)) return
    const clientOptions = this.offeredBy(client)
    const sinceUs = this.delivery.nowUs
    this.copies.keep({ client, clientFirst, clientOptions, serverFirst, serverOptions, sinceUs })
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
