/**
 * Puts the TCP streams of one shard back together (RFC 9293), as a passive observer: it sees segments late, twice, truncated, in
 * any order or never, and cannot ask for them again. What the receiver took is delivered, once and in order; what is missing is
 * signalled as a gap, never hidden; and what the receiver threw away, or may have, is not delivered (see Acceptance, Doubt).
 *
 * A packet takes the fast path, or it is classified (see Classifier): handshakes, resets and data each have their way. Data are judged,
 * then taken, doubted or refused.
 *
 * In-order segments are handed on where they lie: no copy and no allocation. All times are packet times (offline) or monotonic (live).
 */
import { PacketDrop } from '../base/drop.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import { DeliveredBefore } from '../flow/delivered-before.ts'
import { EndedConnections } from '../flow/ended-connections.ts'
import { Direction, Flow } from '../flow/flow-state.ts'
import { FlowTable } from '../flow/flow-table.ts'
import { type FlowOwner, Lifecycle, type LifecycleOptions } from '../flow/lifecycle.ts'
import { ProgressRegister } from '../flow/progress-register.ts'
import { WatchList } from '../flow/watch-list.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { seqAdd } from '../wire/seq.ts'
import { Acceptance, DOUBTFUL, REFUSED, Verdict } from './acceptance.ts'
import { Classifier, Kind } from './classifier.ts'
import { Delivery } from './delivery.ts'
import { Disorders } from './disorders.ts'
import { Doubt } from './doubtful-segments.ts'
import { Doubts } from './doubts.ts'
import { FastPath } from './fast-path.ts'
import { HalfStreams } from './half-stream.ts'
import { Handshake } from './handshake.ts'
import { Multipath } from './multipath.ts'
import type { OverlapPolicy } from './out-of-order-store.ts'
import { type GapOptions, PendingGaps } from './pending-gaps.ts'
import { Resets } from './resets.ts'
import { SecondCopies } from './second-copies.ts'
import { Segment } from './segment.ts'
import { End, Phase, type StreamParserFactory } from './stream-parser.ts'

export interface ReassemblyOptions extends LifecycleOptions, GapOptions {
  readonly maxFlows: number
  readonly vniInKey: boolean
  /** Equal five-tuples under different VLAN tags are different flows, too. */
  readonly vlanInKey?: boolean
  readonly overlap: OverlapPolicy
}

/** How often watched flows are looked at between their packets. */
const SWEEP_US = 50_000
/**
 * Watched flows looked at in one sweep, besides one for each packet since the last: a flood of flows with pending gaps costs its packets
 * a look each, not every sweep a look at all of them. 20,000 a second: more than have one at once where mirrors work.
 */
const LOOKS_PER_SWEEP = 1024

export class Reassembler implements FlowOwner {
  readonly table: FlowTable
  private readonly counters: CounterBlock
  private readonly segment = new Segment()
  /** Slots that need a look between packets: pending gaps, and parsers that want to be woken. */
  private readonly watched: WatchList
  private readonly half: HalfStreams
  private readonly disorders: Disorders
  private readonly before: DeliveredBefore
  private readonly lifecycle: Lifecycle
  private readonly delivery: Delivery
  private readonly doubts: Doubts
  private readonly gaps: PendingGaps
  private readonly acceptance: Acceptance
  private readonly handshake: Handshake
  private readonly resets: Resets
  private readonly multipath = new Multipath()
  private readonly copies: SecondCopies
  private readonly classifier: Classifier
  private readonly fastPath: FastPath
  private readonly windowUs: number
  private packetsSinceSweep = 0
  private nowUs = 0
  private nextSweepUs = 0
  private readonly lookAtWatched = (slot: number): void => this.look(slot)

  constructor(
    options: ReassemblyOptions,
    factory: StreamParserFactory,
    counters: CounterBlock,
    progress = new ProgressRegister(),
  ) {
    this.counters = counters
    const table = new FlowTable(options.maxFlows, options.vniInKey, options.vlanInKey)
    const half = new HalfStreams(table)
    const disorders = new Disorders(table, counters, options.overlap)
    const watched = new WatchList(table)
    const before = new DeliveredBefore(table, progress, options.closingTimeoutMs * 1000)
    const past = new EndedConnections()
    const lifecycle = new Lifecycle(options, table, watched, before, past, counters, this, End)
    const opened = (slot: number) => lifecycle.noteDelivery(slot)
    const parts = { table, half, disorders, watched, before, counters, lifecycle, past }
    const delivery = new Delivery(parts, factory, options.overlap, opened)
    const doubts = new Doubts(table, half, disorders, delivery, watched, counters)
    const acceptance = new Acceptance(table, half)
    const startAt = (key: number, seq: number, isBeginning: boolean) => this.startAt(key, seq, isBeginning)
    this.table = table
    this.half = half
    this.disorders = disorders
    this.watched = watched
    this.before = before
    this.lifecycle = lifecycle
    this.delivery = delivery
    this.doubts = doubts
    this.acceptance = acceptance
    this.gaps = new PendingGaps(options, table, half, disorders, delivery, doubts)
    this.copies = new SecondCopies(table, half, counters, options.reorderWindowMs * 1000)
    this.handshake = new Handshake({ ...parts, acceptance, delivery, doubts, copies: this.copies }, startAt)
    this.classifier = new Classifier(table, half, disorders, this.copies, this.handshake)
    this.resets = new Resets({ ...parts, acceptance })
    this.fastPath = new FastPath({ ...parts, delivery, gaps: this.gaps })
    this.windowUs = options.reorderWindowMs * 1000
  }

  /** One inner TCP packet. Counts it as processed or dropped. */
  packet(view: PacketView): void {
    const { nowUs } = view
    if (nowUs >= this.nextSweepUs) this.tick(nowUs)
    // Not by a call: if that is not inlined, a time is an object for each packet.
    this.nowUs = nowUs
    this.lifecycle.nowUs = nowUs
    this.delivery.nowUs = nowUs
    this.packetsSinceSweep++
    const key = this.table.find(view)
    if (key < 0 || !this.fastPath.take(view, key)) this.slowPath(view, key)
  }

  /** Time passes without packets: expiry, pending gaps that have become old, pauses that end. */
  tick(nowUs: number): void {
    this.nowUs = nowUs
    this.lifecycle.nowUs = nowUs
    this.delivery.nowUs = nowUs
    this.nextSweepUs = nowUs + SWEEP_US
    this.lifecycle.tick(nowUs)
    this.enforce()
    // Each watched flow in turn, over as many sweeps as it takes.
    this.watched.visit(LOOKS_PER_SWEEP + this.packetsSinceSweep, this.lookAtWatched)
    this.packetsSinceSweep = 0
  }

  /**
   * Closes every flow: the input ended (files), a pass ended, or the process shuts down.
   * @param onProgress called now and then: a million of them take seconds
   */
  closeAll(onProgress: () => void = () => {}): void {
    this.lifecycle.closeAll(onProgress)
  }

  /** Connections not yet ended. */
  get open(): number {
    return this.lifecycle.open
  }

  // --- FlowOwner -----------------------------------------------------------------------------------------------------------

  opened(slot: number): void {
    this.delivery.parsers[slot] = null
    this.disorders.opened(slot)
    this.copies.forget(slot)
  }

  ended(slot: number, why: number): boolean {
    const { delivery, table } = this
    if (why === End.unreadable) this.disorders.clear(slot)
    for (let key = slot * 2; key <= slot * 2 + 1; key++) this.doubts.takeBehindLostFin(key)
    for (let pass = 0; pass < 2; pass++) {
      for (let key = slot * 2; key <= slot * 2 + 1; key++) this.gaps.flush(key)
    }
    let isUnclear = false
    for (let key = slot * 2; key <= slot * 2 + 1; key++) if (this.doubts.dropAll(key)) isUnclear = true
    const parser = delivery.parsers[slot]
    // After a connection that both sides have closed comes another.
    const isMidMessage = parser == null ? (table.flags[slot]! & Flow.midMessage) !== 0 : parser.phase !== Phase.boundary
    if (parser != null) {
      for (let direction = 0; direction < 2; direction++) {
        if (!this.half.has(slot * 2 + direction, Direction.ended)) parser.end(direction, why)
      }
      parser.close(why)
    }
    delivery.parsers[slot] = null
    this.disorders.clear(slot)
    this.multipath.forget(slot)
    return why !== End.fin && (isMidMessage || isUnclear)
  }

  isBusy(slot: number): boolean {
    return this.delivery.parsers[slot]!.phase === Phase.message
  }

  recalled(key: number, seq: number): void {
    this.startAt(key, seq, false)
  }

  // --- a packet ------------------------------------------------------------------------------------------------------------

  private slowPath(view: PacketView, found: number): void {
    const { table, counters, segment, lifecycle } = this
    this.enforce()
    segment.read(view)
    let key = found
    if (key >= 0 && lifecycle.isOverdue(key >> 1)) {
      lifecycle.expireNow(key >> 1)
      key = -1
    }
    if (key < 0) {
      // The last acknowledgement or reset of a connection that is gone, and floods of them, open none.
      if (!this.mayBegin(segment)) {
        counters.add(Counter.packetsProcessed)
        return
      }
      const isRefused = this.before.refuses(view.hash, !segment.isSyn, view.nowUs)
      if (isRefused || (table.isFull && !lifecycle.evictOne())) {
        counters.packetDrop(PacketDrop.flowLimit)
        return
      }
      const slot = table.insert(view)
      lifecycle.begin(slot)
      key = slot * 2
    }
    const kind = this.classifier.classify(key, segment, this.nowUs)
    const isRead = kind === Kind.inWindow || kind === Kind.other || kind === Kind.handshake
    const needsParser = isRead && segment.length > 0 && this.delivery.parsers[key >> 1] == null
    if (needsParser && !this.delivery.mayOpen() && !lifecycle.evictIdle()) {
      counters.packetDrop(PacketDrop.connectionLimit)
      return
    }
    counters.add(Counter.packetsProcessed)
    if (view.network !== table.network[key >> 1]) this.meetOtherNetwork(view.network, key)
    this.take(key, kind)
  }

  /** The packet comes from another network than the connection: a second copy of it, or another connection that the key does not tell apart. */
  private meetOtherNetwork(network: number, key: number): void {
    const { table, segment, half } = this
    const slot = key >> 1
    const isCopy =
      !half.has(key, Direction.known) ||
      (segment.isSyn ? table.base[key] === segment.start : !half.isFar(key, segment.start))
    if (isCopy) return
    if ((table.flags[slot]! & Flow.closed) === 0) this.counters.add(Counter.otherNetworkPackets)
    if (segment.isSyn) table.network[slot] = network
  }

  private take(key: number, kind: number): void {
    const { table, segment, half } = this
    const slot = key >> 1
    table.lastSeenUs[slot] = this.nowUs
    table.packets[slot] = (table.packets[slot]! + 1) | 0
    if (kind === Kind.handshake) {
      if (!segment.hasAck) this.resets.conclude(key, segment)
      this.handshake.synchronize(key, segment)
    }
    if (segment.options.mptcpAt >= 0) this.noteMultipath(key)
    if ((table.flags[slot]! & Flow.ignored) !== 0 && kind !== Kind.handshake) return
    switch (kind) {
      case Kind.handshake:
        table.directionFlags[key]! |= Direction.seen
        break
      case Kind.reset:
        this.resets.meet(key, segment)
        return
      case Kind.late:
        if (segment.length > 0) this.counters.add(Counter.segmentsDuplicate)
        if (segment.hasAck) half.acknowledge(key ^ 1, segment.ack)
        return
      case Kind.outOfWindow:
        table.directionFlags[key]! |= Direction.seen
        break
      case Kind.copy:
        if (segment.length > 0) this.counters.add(Counter.segmentsDuplicate)
        return
      case Kind.other:
        this.handshake.beginOther(key, segment)
        if (!this.classifier.isOfCopy(key, segment, this.nowUs)) this.inWindow(key)
        break
      default:
        this.inWindow(key)
    }
    if ((table.flags[slot]! & Flow.closed) === 0) this.settle(slot)
  }

  /** A packet that belongs to the connection as far as its numbers say. */
  private inWindow(key: number): void {
    const { table, segment, half, acceptance, counters } = this
    const slot = key >> 1
    if (!half.has(key, Direction.known)) {
      if (this.isOfOlder(key, segment)) return
      const isFirst = !half.has(key ^ 1, Direction.known) && (table.flags[slot]! & Flow.recovered) === 0
      if (isFirst) this.copies.beginUnseen(slot, this.nowUs)
      this.startAt(key, segment.seq, false)
    }
    acceptance.noteHandshake(key, segment)
    const verdict = acceptance.judge(key, segment)
    if (verdict >= REFUSED) {
      counters.add(verdict - REFUSED)
      return
    }
    table.directionFlags[key]! |= Direction.seen
    if (verdict === Verdict.empty) return
    if (verdict === DOUBTFUL + Doubt.ackAhead && this.doubts.isMutual(key, segment)) {
      this.accept(key)
      return
    }
    if (verdict >= DOUBTFUL) {
      this.doubts.keep(key, segment, verdict - DOUBTFUL)
      // Where the mirror lost what both speak of, each may be the other's proof.
      if (verdict - DOUBTFUL === Doubt.ackAhead) this.doubts.settle(key ^ 1, segment)
      this.gaps.enforceBounds(key)
      return
    }
    if ((table.flags[slot]! & Flow.mayBeCopy) !== 0) {
      const client = slot * 2 + ((table.flags[slot]! & Flow.clientIs1) !== 0 ? 1 : 0)
      if (key === client) this.handshake.checkCopy(client, segment.ack)
      if ((table.flags[slot]! & Flow.closed) !== 0) return
    }
    this.accept(key)
  }

  /** The connection began by numbers alone, and this answer acknowledges others: it is one to what was on the five-tuple before. */
  private isOfOlder(key: number, segment: Segment): boolean {
    const { table, half } = this
    if ((table.flags[key >> 1]! & Flow.unanswered) === 0 || !segment.hasAck) return false
    return half.has(key ^ 1, Direction.known) && half.isFar(key ^ 1, segment.ack)
  }

  /** The receiver takes the segment, if it is the first with its bytes. */
  private accept(key: number): void {
    const { segment, half, doubts, delivery } = this
    const peer = key ^ 1
    if (this.resets.conclude(key, segment)) return
    this.resets.contradict(key, segment)
    this.acceptance.noteChallenge(key, segment)
    this.acknowledge(peer, segment)
    half.noteWindow(key, segment)
    doubts.meetBehindSyn(key, segment.start)
    if (segment.isUrgent) doubts.markUrgent(key, segment.start, segment.urgentPointer)
    // Before there is a parser nothing waits for its turn: what a response proves comes first.
    if (delivery.parsers[key >> 1] == null) doubts.settle(peer, segment)
    if (segment.length > 0) {
      const { piece } = delivery
      segment.fill(piece, half.has(key, Direction.acked) && this.table.highAck[key] === segment.start)
      if (delivery.parsers[key >> 1] == null) this.copies.noteFirstData(key, segment)
      if (doubts.isProbe(key, piece)) this.counters.add(Counter.segmentsDuplicate)
      else {
        doubts.meet(key, piece)
        delivery.take(key, piece, segment.length)
      }
      this.lifecycle.noteData(key >> 1)
      this.gaps.enforceBounds(key)
    }
    this.acceptance.noteTimestamp(key, segment)
    if (segment.isFin) delivery.finish(key, segment.start, seqAdd(segment.start, segment.length))
    half.noteSent(key, segment.end)
    doubts.settle(peer, segment)
  }

  private mayBegin(segment: Segment): boolean {
    if (segment.isSyn) return !segment.isRst
    return segment.length > 0 && segment.hasAck
  }

  private noteMultipath(key: number): void {
    const { table, half } = this
    const isHandshakeSeen = half.has(key, Direction.syn) || half.has(key ^ 1, Direction.syn)
    for (const slot of this.multipath.observe(key, this.segment, isHandshakeSeen)) {
      if ((table.flags[slot]! & Flow.ignored) !== 0) continue
      this.counters.add(Counter.flowsMultipath)
      this.lifecycle.ignore(slot, End.unreadable)
    }
  }

  /**
   * The peer says what it has of the stream. Before the stream's sender was answered, packets without SYN may be of an older connection
   * (RFC 9293 section 3.5.1): they must acknowledge what was seen of it.
   */
  private acknowledge(key: number, segment: Segment): void {
    const { half } = this
    const isHalfOpen = half.has(key, Direction.syn) && !half.has(key ^ 1, Direction.syn)
    const isUnsent = isHalfOpen && !half.hasMoved(key) && segment.ack !== half.sentEnd(key)
    if (isUnsent && this.disorders.of(key >> 1) === null) return
    if (!half.acknowledge(key, segment.ack)) return
    this.disorders.storeOf(key)?.markAckedTo(segment.ack)
    // After the end of the stream stands its FIN: nothing is missing.
    const ahead = (segment.ack - this.table.nextSeq[key]!) | 0
    if (half.has(key, Direction.known) && !half.has(key, Direction.ended) && ahead > 0) this.watched.add(key >> 1)
  }

  private startAt(key: number, seq: number, isBeginning: boolean): void {
    this.half.start(key, seq, isBeginning, this.delivery.parsers[key >> 1] != null)
    if (isBeginning) this.table.beganUs[key >> 1] = this.nowUs
    this.before.note(key)
  }

  // --- between packets -----------------------------------------------------------------------------------------------------

  /** Evictions that are due: never while a packet is in hand. */
  private enforce(): void {
    if (!this.gaps.wantsRoom) return
    this.gaps.wantsRoom = false
    if (!this.delivery.mayOpen() && !this.lifecycle.evictIdle()) this.lifecycle.evictBusy()
  }

  private look(slot: number): void {
    const parser = this.delivery.parsers[slot]
    if (parser != null && this.nowUs >= parser.wakeAtUs) parser.tick(this.nowUs)
    this.settle(slot)
    if (!this.gaps.wantsRoom) return
    this.enforce()
    this.settle(slot)
  }

  /** Delivers what has become deliverable in both directions, declares pending gaps whose window has passed, and ends what is over. */
  private settle(slot: number): void {
    const { table, half, lifecycle, delivery } = this
    const first = slot * 2
    lifecycle.noteHandshake(slot)
    const isInOrder =
      this.disorders.of(slot) === null &&
      ((table.directionFlags[first]! | table.directionFlags[first + 1]!) & Direction.fin) === 0 &&
      (this.watched.size === 0 || !this.watched.has(slot))
    if (isInOrder) {
      if (this.wantsWake(slot)) this.watched.add(slot)
      return
    }
    if ((table.flags[slot]! & Flow.closed) !== 0) {
      this.watched.delete(slot)
      return
    }
    for (let moved = true; moved; ) {
      moved = false
      for (let key = first; key <= first + 1; key++) {
        if (delivery.drain(key)) moved = true
        if (this.gaps.declareOld(key)) moved = true
        if (delivery.endIfFinished(key)) moved = true
      }
    }
    this.tidy(slot)
    if (half.has(first, Direction.ended) && half.has(first + 1, Direction.ended)) lifecycle.close(slot, End.fin)
    else this.resets.settle(slot)
  }

  private tidy(slot: number): void {
    const disorder = this.disorders.of(slot)
    if (disorder?.opening != null && this.nowUs - disorder.opening.sinceUs >= this.windowUs) disorder.opening = null
    const needsWatch = this.gaps.isPending(slot * 2) || this.gaps.isPending(slot * 2 + 1) || this.wantsWake(slot)
    if (needsWatch || disorder?.opening != null) this.watched.add(slot)
    else this.watched.delete(slot)
    this.disorders.tidy(slot)
  }

  private wantsWake(slot: number): boolean {
    const parser = this.delivery.parsers[slot]
    return parser != null && parser.wakeAtUs !== Number.POSITIVE_INFINITY
  }
}
