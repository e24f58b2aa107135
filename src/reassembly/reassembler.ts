/**
 * Puts the TCP streams of one shard back together (RFC 9293), as a passive observer: it sees segments late, twice, cut, in
 * any order or never, and cannot ask for them again. What an endpoint would have delivered is delivered, once and in order;
 * what is missing is signalled as a gap, never hidden.
 *
 * Differences from an endpoint, each with its reason:
 * - A hole is not waited for for ever. It is declared a gap when its bytes are known to have reached the receiver
 *   (acknowledged, or in front of a FIN) and still have not come within the reorder window: a mirror delivers out of order, so
 *   an acknowledgement often arrives before the data it covers.
 * - Answers wait for their questions: a piece from the server waits until what it acknowledges was delivered.
 * - A flow may begin in the middle; sequence numbers are then taken from its first packet.
 *
 * In-order segments are handed on where they lie: no copy and no allocation. Everything else goes through the
 * out-of-order store. All times are packet times (offline) or monotonic (live).
 */
import { PacketDrop } from '../base/drop.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import { EvictionQueue, Line } from '../flow/eviction-queue.ts'
import { ExpiryWheel } from '../flow/expiry-wheel.ts'
import { FlowTable } from '../flow/flow-table.ts'
import { WatchList } from '../flow/watch-list.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { i32 } from '../wire/bytes.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import { TCP_ACK, TCP_FLAGS, TCP_SEQ, TcpFlag, tcpHeaderLength } from '../wire/tcp.ts'
import { OutOfOrderStore, type OverlapPolicy } from './out-of-order-store.ts'
import { NO_ENTRY, ProgressRegister } from './progress-register.ts'
import {
  Demand,
  End,
  GapReason,
  MIDSTREAM_OFFSET,
  NO_OFFSET,
  Phase,
  type StreamParser,
  type StreamParserFactory,
  StreamPiece,
} from './stream-parser.ts'

export interface ReassemblyOptions {
  readonly maxFlows: number
  readonly vniInKey: boolean
  /** Equal five-tuples under different VLAN tags are different flows, too. */
  readonly vlanInKey?: boolean
  readonly overlap: OverlapPolicy
  readonly idleTimeoutMs: number
  /** The same for a connection whose handshake is not complete and that sent no data. */
  readonly openingTimeoutMs: number
  /** How long a finished connection stays in the table, so that late repetitions find it. */
  readonly closingTimeoutMs: number
  /** Bound of the out-of-order store, bytes with overhead: per direction and for the whole shard. */
  readonly outOfOrderBytes: number
  readonly outOfOrderTotalBytes: number
  /** A hole whose bytes were acknowledged becomes a gap after so many packets of its flow, or after so long. */
  readonly reorderWindowPackets: number
  readonly reorderWindowMs: number
}

/** Bits of FlowTable.flags. */
const Flow = {
  /** Both directions ended: only late packets are expected. */
  closed: 1,
  /** Closed by a RST: data that goes on behind it is a connection again. */
  reset: 2,
  /** A SYN showed which side opened: direction 0 or, with `clientIs1`, direction 1. */
  clientKnown: 4,
  clientIs1: 8,
  /** A shard that died had it before, or it gave way and came back: bytes before nextSeq were delivered. */
  adopted: 16,
  /** What was read of it before ended where no message boundary was known. */
  inside: 32,
} as const

/** Bits of FlowTable.directionFlags. */
const Direction = {
  /** nextSeq is valid. */
  known: 1,
  /** A packet from this direction was seen. */
  seen: 2,
  /** highAck is valid. */
  acked: 4,
  /** finSeq is valid. */
  fin: 8,
  /** `end` was called. */
  ended: 16,
  /** cutSeq is valid. */
  cut: 32,
  /** A hole is waited for: Disorder says since when. */
  hole: 64,
  /** Not known, but acknowledged: nextSeq and nextOffset say what the last acknowledgement covers. */
  anchored: 128,
} as const

/** None of these in a direction: no packet of it needs more than `tryPlain`. */
const PLAIN_WITHOUT = Direction.fin | Direction.ended | Direction.cut | Direction.hole

/** Beyond any window a real sender uses between two packets we see: such a packet belongs to another connection. */
const MAX_JUMP = 1 << 24
/** So many stray packets in a row are a new connection whose SYN was lost. */
const STRAYS_BEFORE_RESTART = 3
/** How often watched flows are looked at between their packets. */
const SWEEP_US = 50_000
/**
 * Watched flows looked at in one sweep, besides one for each packet since the last: a flood of flows with holes costs its packets
 * a look each, not every sweep a look at all of them. 20,000 a second: more than have a hole at once where mirrors work.
 */
const LOOKS_PER_SWEEP = 1024
/** Between two signs of progress: some 10 ms. */
const CLOSED_AT_ONCE = 1024
/**
 * A connection in the middle of a message gives way to another only when it was silent for so long: what is under way is worth
 * more than what may come. Chosen: longer than the packets of one message are apart.
 */
const EVICTABLE_AFTER_US = 5_000_000
/** Connections looked at for one that may go, before the new one is refused. The busy ones go to the end of the line. */
const EVICTION_LOOKS = 4
/** Flows known to have been forgotten, 256 KiB where there are any. Repetitions come soon: of more the last ones stay. */
const FORGOTTEN_FLOWS = 1 << 16

export class Reassembler {
  readonly table: FlowTable
  private readonly options: ReassemblyOptions
  private readonly counters: CounterBlock
  private readonly factory: StreamParserFactory
  private readonly wheel: ExpiryWheel
  private readonly queue: EvictionQueue
  private readonly progress: ProgressRegister
  /** By slot, like all that is not a number; numbers stand in the table's columns. */
  private readonly parsers: (StreamParser | null)[] = []
  private readonly disorders: (Disorder | null)[] = []
  /** The last one given up: where neighbours change places, the next is needed at once. */
  private spareDisorder: Disorder | null = null
  private readonly piece = new SegmentPiece()
  /** Slots that need a look between packets: holes, and parsers that wait for something. */
  private readonly watched: WatchList
  private packetsSinceSweep = 0
  private storedBytes = 0
  private openFlows = 0
  private nowUs = 0
  /**
   * Until then no connection begins in the middle: one that was read and gave way could not be remembered, and what is repeated of it
   * would be read again.
   */
  private forgetfulUntilUs = 0
  /** Hashes of those that could not be remembered, each at its own low bits: not even a SYN opens them meanwhile. */
  private forgotten: Int32Array | null = null
  private nextSweepUs = 0
  private readonly idleUs: number
  private readonly openingUs: number
  private readonly closingUs: number
  private readonly windowUs: number
  private readonly lookAtWatched = (slot: number): void => {
    const parser = this.parsers[slot]
    if (parser != null && this.nowUs >= parser.wakeAtUs) parser.tick(this.nowUs)
    this.advance(slot)
    this.closeIfEnded(slot)
  }
  private readonly lookAtExpiry = (slot: number): void => this.expireOrReschedule(slot)

  constructor(
    options: ReassemblyOptions,
    factory: StreamParserFactory,
    counters: CounterBlock,
    progress = new ProgressRegister(),
  ) {
    this.progress = progress
    this.options = options
    this.factory = factory
    this.counters = counters
    this.table = new FlowTable(options.maxFlows, options.vniInKey, options.vlanInKey)
    this.wheel = new ExpiryWheel(this.table)
    this.queue = new EvictionQueue(this.table)
    this.watched = new WatchList(this.table)
    this.idleUs = options.idleTimeoutMs * 1000
    this.openingUs = Math.min(options.openingTimeoutMs, options.idleTimeoutMs) * 1000
    this.closingUs = options.closingTimeoutMs * 1000
    this.windowUs = options.reorderWindowMs * 1000
  }

  /** One inner TCP packet. Counts it as processed or dropped. */
  packet(view: PacketView): void {
    if (view.nowUs >= this.nextSweepUs) this.tick(view.nowUs)
    this.nowUs = view.nowUs
    this.packetsSinceSweep++
    const key = this.table.find(view)
    if (key < 0 || !this.tryPlain(view, key)) this.anyPacket(view, key)
  }

  /**
   * The packet that nearly all are: neither SYN, FIN nor RST, of a connection under way without a hole, in order or a bare
   * acknowledgement. Does what `anyPacket` would do. False: nothing was done yet, something about it is not plain.
   */
  private tryPlain(view: PacketView, key: number): boolean {
    const { table } = this
    const { bytes, tcpAt, nowUs } = view
    const slot = key >> 1
    const peer = key ^ 1
    const own = table.directionFlags[key]! | 0
    const others = table.directionFlags[peer]! | 0
    const next = table.nextSeq[key]! | 0
    const seq = i32(bytes, tcpAt + TCP_SEQ)
    const isPlain =
      (bytes[tcpAt + TCP_FLAGS]! & (TcpFlag.syn | TcpFlag.fin | TcpFlag.rst | TcpFlag.ack)) === TcpFlag.ack &&
      seq === next &&
      view.end === view.trueEnd &&
      (own & (Direction.known | Direction.seen | PLAIN_WITHOUT)) === (Direction.known | Direction.seen) &&
      (others & (Direction.acked | PLAIN_WITHOUT)) === Direction.acked &&
      (table.flags[slot]! & Flow.closed) === 0 &&
      nowUs - table.lastSeenUs[slot]! < this.idleUs &&
      this.disorders[slot] === null &&
      table.strays[key] === 0 &&
      (this.watched.size === 0 || !this.watched.has(slot))
    if (!isPlain) return false
    // What it acknowledges: nothing new, or more of what was delivered of the other direction.
    const ack = i32(bytes, tcpAt + TCP_ACK)
    const isAckNew = ack !== table.highAck[peer]
    if (isAckNew) {
      const delivered = seqDistance(ack, table.nextSeq[peer]! | 0)
      const isPlainAck =
        seqBefore(table.highAck[peer]! | 0, ack) &&
        ((others & Direction.known) === 0 || (delivered >= 0 && delivered <= MAX_JUMP))
      if (!isPlainAck) return false
    }
    const payloadAt = tcpAt + tcpHeaderLength(bytes, tcpAt)
    const length = view.end - payloadAt
    const parser = this.parsers[slot]
    const piece = this.piece
    if (length > 0) {
      if (parser == null) return false
      this.fillPiece(view, key, payloadAt, seq, ack, true)
      if (this.mustWait(key, piece)) return false
    }
    this.counters.add(Counter.packetsProcessed)
    table.lastSeenUs[slot] = nowUs
    table.packets[slot] = (table.packets[slot]! + 1) | 0
    if (isAckNew) {
      table.highAck[peer] = ack
      if ((others & Direction.known) === 0) this.anchor(peer, ack)
    }
    if (length <= 0 || parser == null) return true
    const taken = this.deliver(key, piece)
    if (taken < length) this.storeRest(key, piece, taken)
    if (parser.wakeAtUs !== Infinity) this.watched.add(slot)
    return true
  }

  private anyPacket(view: PacketView, found: number): void {
    const { table, counters } = this
    const { bytes, tcpAt } = view
    const flags = bytes[tcpAt + TCP_FLAGS]!
    const seq = i32(bytes, tcpAt + TCP_SEQ)
    const ack = i32(bytes, tcpAt + TCP_ACK)
    const hasAck = (flags & TcpFlag.ack) !== 0
    const payloadAt = tcpAt + tcpHeaderLength(bytes, tcpAt)
    // What a reset carries says why, and is none of the stream (RFC 9293 section 3.5.3).
    const length = (flags & TcpFlag.rst) !== 0 ? 0 : view.trueEnd - payloadAt

    let key = found
    if (key >= 0 && view.nowUs - table.lastSeenUs[key >> 1]! >= this.timeoutUs(key >> 1)) {
      this.wheel.cancel(key >> 1)
      this.expire(key >> 1)
      key = -1
    }
    if (key < 0) {
      // The last acknowledgement or reset of a connection that is gone, and floods of them, open none.
      if (length <= 0 && (flags & TcpFlag.syn) === 0) {
        counters.add(Counter.packetsProcessed)
        return
      }
      const isMidstream = (flags & TcpFlag.syn) === 0
      const mayBeRepeated = view.nowUs < this.forgetfulUntilUs && (isMidstream || this.isForgotten(view.hash))
      if (mayBeRepeated || (table.isFull && !this.evictOne())) {
        counters.packetDrop(PacketDrop.flowLimit)
        return
      }
      const slot = table.insert(view)
      this.opened(slot)
      this.wheel.schedule(slot, view.nowUs + this.openingUs)
      key = slot * 2
    }
    const needsParser = length > 0 && this.parsers[key >> 1] == null && !this.isLate(key, flags, seq, length)
    if (needsParser && !this.mayOpenParser()) {
      counters.packetDrop(PacketDrop.connectionLimit)
      return
    }
    counters.add(Counter.packetsProcessed)
    const slot = key >> 1
    if (view.network !== table.network[slot]) this.meetOtherNetwork(view, key, flags, seq)

    if ((flags & TcpFlag.syn) !== 0) this.synchronize(key, seq, ack, hasAck)
    else if (this.isOfAnotherConnection(key, seq, length)) this.restart(slot)
    table.lastSeenUs[slot] = view.nowUs
    table.packets[slot] = (table.packets[slot]! + 1) | 0
    if ((table.directionFlags[key]! & Direction.known) === 0) this.startAt(key, seq, false)
    table.directionFlags[key]! |= Direction.seen
    const start = (flags & TcpFlag.syn) !== 0 ? seqAdd(seq, 1) : seq
    // Nothing a stray packet says is believed: an acknowledgement out of nowhere would declare bytes lost that still come.
    const isStray = this.isStray(key, start)
    if (hasAck && !isStray) this.acknowledge(key ^ 1, ack)
    if (length > 0 && !isStray) {
      this.fillPiece(view, key, payloadAt, start, ack, hasAck)
      this.segment(key, this.piece, length)
    }
    if ((flags & TcpFlag.fin) !== 0) this.finish(key, seqAdd(start, length))
    this.advance(slot)
    if (table.lineOf[slot] === Line.opening && this.isOpen(slot)) this.queue.move(slot, Line.silent)
    if ((flags & TcpFlag.rst) !== 0 && this.isCredibleReset(key, seq)) this.reset(slot)
    else this.closeIfEnded(slot)
  }

  /** Makes the one piece that is lent of what the packet brings of its direction's stream, from `payloadAt` on. */
  private fillPiece(view: PacketView, key: number, payloadAt: number, seq: number, ack: number, hasAck: boolean): void {
    const { piece, table } = this
    piece.bytes = view.bytes
    piece.at = payloadAt
    piece.end = Math.max(view.end, payloadAt)
    piece.seq = seq
    piece.ack = ack
    piece.hasAck = hasAck
    piece.timeUs = view.timeUs
    piece.startsSegment = true
    piece.isAckedTo = (table.directionFlags[key]! & Direction.acked) !== 0 && table.highAck[key] === seq
  }

  /** Time passes without packets: expiry, holes that have become old, waits that end. */
  tick(nowUs: number): void {
    this.nowUs = nowUs
    this.nextSweepUs = nowUs + SWEEP_US
    this.wheel.advance(nowUs, this.lookAtExpiry)
    // Each watched flow in turn, over as many sweeps as it takes.
    this.watched.visit(LOOKS_PER_SWEEP + this.packetsSinceSweep, this.lookAtWatched)
    this.packetsSinceSweep = 0
  }

  /**
   * Closes every flow: the input ended (files), a pass ended, or the process shuts down.
   * @param onProgress called now and then: a million of them take seconds
   */
  closeAll(onProgress: () => void = () => {}): void {
    for (const [i, slot] of this.table.slots().entries()) {
      if (i % CLOSED_AT_ONCE === 0) onProgress()
      this.end(slot, End.input)
      this.wheel.cancel(slot)
      this.removed(slot)
    }
  }

  /** Connections not yet ended. */
  get open(): number {
    return this.openFlows
  }

  // --- flows -------------------------------------------------------------------------------------------------------------

  private opened(slot: number): void {
    this.counters.add(Counter.flowsOpened)
    this.openFlows++
    this.parsers[slot] = null
    this.disorders[slot] = null
    this.table.lastSeenUs[slot] = this.nowUs
    this.queue.move(slot, Line.opening)
    this.adopt(slot)
  }

  /** @param leftAtUs when it was read last, where it may come back and what was read must be known then */
  private removed(slot: number, leftAtUs: number | null = null, isInside = false): void {
    this.watched.delete(slot)
    this.queue.move(slot, Line.none)
    const entry = this.table.progress[slot]! | 0
    if (entry !== NO_ENTRY) {
      if (leftAtUs !== null) this.progress.leave(entry & ~1, secondsOf(leftAtUs), isInside)
      else this.progress.remove(entry & ~1)
    }
    this.table.remove(slot)
  }

  /** The same five-tuple begins a new connection. */
  private restart(slot: number): void {
    this.end(slot, End.replaced)
    // It may be the same one, of which too much was lost, or whose reset was none. Where a SYN says otherwise, nobody asks.
    const inside = this.table.flags[slot]! & Flow.inside
    this.table.clearState(slot)
    this.table.flags[slot] = inside
    this.queue.move(slot, Line.opening)
    this.counters.add(Counter.flowsOpened)
    this.openFlows++
  }

  private timeoutUs(slot: number): number {
    const line = this.table.lineOf[slot]!
    return line === Line.closed ? this.closingUs : line === Line.opening ? this.openingUs : this.idleUs
  }

  /** Each side has answered the other: no forged address did that. */
  private isOpen(slot: number): boolean {
    const { directionFlags } = this.table
    const both = directionFlags[slot * 2]! & directionFlags[slot * 2 + 1]!
    return (both & (Direction.seen | Direction.acked)) === (Direction.seen | Direction.acked)
  }

  // --- giving way ----------------------------------------------------------------------------------------------------------

  /** The table is full: whoever is missed least goes. False: nobody may. */
  private evictOne(): boolean {
    const { queue } = this
    for (let line: number = Line.closed; line <= Line.silent; line++) {
      const slot = queue.first(line)
      if (slot >= 0) {
        this.evict(slot)
        return true
      }
    }
    return this.evictIdle()
  }

  /** Of the connections that sent data, the longest there that has no message in hand, or none that goes on. */
  private evictIdle(): boolean {
    const { queue, table } = this
    for (let looks = 0; looks < EVICTION_LOOKS; looks++) {
      const slot = queue.first(Line.data)
      if (slot < 0) return false
      const isSilent = this.nowUs - table.lastSeenUs[slot]! >= EVICTABLE_AFTER_US
      if (isSilent || this.parsers[slot]!.phase !== Phase.message) {
        this.evict(slot)
        return true
      }
      queue.move(slot, Line.data)
    }
    return false
  }

  /** The same where one has to go. */
  private evictBusy(): void {
    const slot = this.queue.first(Line.data)
    if (slot >= 0) this.evict(slot)
  }

  private evict(slot: number): void {
    const flags = this.table.flags[slot]!
    if ((flags & Flow.closed) === 0) this.counters.add(Counter.flowsEvicted)
    this.end(slot, End.evicted)
    this.wheel.cancel(slot)
    // What was delivered must not be delivered again when it is repeated. Floods of connections without data leave nothing.
    const wasAdopted = (flags & (Flow.adopted | Flow.inside)) !== 0
    const wasRead = wasAdopted || this.hasDelivered(slot * 2) || this.hasDelivered(slot * 2 + 1)
    if (wasRead && this.table.progress[slot] === NO_ENTRY) this.forget(this.table.hash[slot]!)
    this.removed(slot, wasRead ? this.nowUs : null, this.isInside(slot))
  }

  private forget(hash: number): void {
    this.forgotten ??= new Int32Array(FORGOTTEN_FLOWS)
    if (this.nowUs >= this.forgetfulUntilUs) this.forgotten.fill(0)
    this.forgotten[hash & (FORGOTTEN_FLOWS - 1)] = hash
    this.forgetfulUntilUs = this.nowUs + this.closingUs
  }

  private isForgotten(hash: number): boolean {
    return this.forgotten![hash & (FORGOTTEN_FLOWS - 1)] === hash
  }

  private hasDelivered(key: number): boolean {
    const { directionFlags, nextSeq, base } = this.table
    return (directionFlags[key]! & Direction.known) !== 0 && nextSeq[key] !== base[key]
  }

  private isInside(slot: number): boolean {
    return (this.table.flags[slot]! & Flow.inside) !== 0
  }

  /** Data of a connection that has ended: it begins no other on its five-tuple. */
  private isLate(key: number, flags: number, seq: number, length: number): boolean {
    const hasEnded = (this.table.flags[key >> 1]! & Flow.closed) !== 0
    return hasEnded && (flags & TcpFlag.syn) === 0 && !this.isOfAnotherConnection(key, seq, length)
  }

  /** Data came for a flow without a parser. */
  private mayOpenParser(): boolean {
    return this.factory.mayOpen() || this.evictIdle()
  }

  private expireOrReschedule(slot: number): void {
    const due = this.table.lastSeenUs[slot]! + this.timeoutUs(slot)
    if (due > this.nowUs) {
      this.wheel.schedule(slot, due)
      return
    }
    this.expire(slot)
  }

  /** It is off the wheel. */
  private expire(slot: number): void {
    const wasOpen = (this.table.flags[slot]! & Flow.closed) === 0
    if (wasOpen) this.counters.add(Counter.flowsExpired)
    this.end(slot, End.expired)
    // What goes on inside a message after all is still inside it.
    const isInside = wasOpen && this.isInside(slot)
    this.removed(slot, isInside ? this.table.lastSeenUs[slot]! : null, isInside)
  }

  /** Delivers what can be delivered, declares the rest lost, and closes the parser. Idempotent. */
  private end(slot: number, reason: number): void {
    if ((this.table.flags[slot]! & Flow.closed) !== 0) return
    for (let pass = 0; pass < 2; pass++) {
      for (let key = slot * 2; key <= slot * 2 + 1; key++) this.flush(key)
    }
    const parser = this.parsers[slot]
    // Behind a connection that both sides have closed comes another.
    const isInside = reason !== End.fin && (parser == null ? this.isInside(slot) : parser.phase !== Phase.boundary)
    if (isInside) this.table.flags[slot]! |= Flow.inside
    else this.table.flags[slot]! &= ~Flow.inside
    this.table.flags[slot]! |= Flow.closed
    this.queue.move(slot, Line.closed)
    this.openFlows--
    if (parser != null) {
      for (let direction = 0; direction < 2; direction++) {
        if ((this.table.directionFlags[slot * 2 + direction]! & Direction.ended) === 0) parser.end(direction, reason)
      }
      parser.close(reason)
    }
    this.parsers[slot] = null
    this.forgetStore(slot * 2)
    this.forgetStore(slot * 2 + 1)
    this.disorders[slot] = null
  }

  private closeIfEnded(slot: number): void {
    const { directionFlags } = this.table
    if ((directionFlags[slot * 2]! & directionFlags[slot * 2 + 1]! & Direction.ended) === 0) return
    if ((this.table.flags[slot]! & Flow.closed) !== 0) return
    this.end(slot, End.fin)
    this.scheduleClosing(slot)
  }

  private scheduleClosing(slot: number): void {
    this.wheel.cancel(slot)
    this.wheel.schedule(slot, this.nowUs + this.closingUs)
  }

  private parser(slot: number): StreamParser {
    const present = this.parsers[slot]
    if (present != null) return present
    const flags = this.table.flags[slot]!
    const client = (flags & Flow.clientKnown) === 0 ? -1 : (flags & Flow.clientIs1) !== 0 ? 1 : 0
    const parser = this.factory.open(slot, client, this.nowUs, client < 0 && this.isInside(slot))
    this.parsers[slot] = parser
    this.queue.move(slot, Line.data)
    // A direction may have ended without a byte, before there was anybody to tell.
    for (let direction = 0; direction < 2; direction++) {
      if ((this.table.directionFlags[slot * 2 + direction]! & Direction.ended) !== 0) parser.end(direction, End.fin)
    }
    return parser
  }

  /** Takes up what is known of the flow from before: by a predecessor of this shard, or from before it gave way. */
  private adopt(slot: number): void {
    const { table, progress } = this
    const own = table.portOf(slot, 0)
    const other = table.portOf(slot, 1)
    const isFlipped = own > other || (own === other && table.isAddressAbove(slot))
    const ports = isFlipped ? (other << 16) | own : (own << 16) | other
    const entry = progress.take(table.hash[slot]! | 0, ports, secondsOf(this.nowUs))
    table.progress[slot] = isFlipped && entry !== NO_ENTRY ? entry | 1 : entry
    if (entry === NO_ENTRY) return
    if (progress.takeInside(entry)) table.flags[slot]! |= Flow.inside
    if (!progress.hasAnySeq(entry)) return
    for (let direction = 0; direction < 2; direction++) {
      const endpoint = isFlipped ? direction ^ 1 : direction
      if (progress.hasSeq(entry, endpoint)) this.startAt(slot * 2 + direction, progress.nextSeq(entry, endpoint), false)
    }
    table.flags[slot]! |= Flow.adopted
  }

  private note(key: number): void {
    const entry = this.table.progress[key >> 1]! | 0
    if (entry !== NO_ENTRY) this.progress.setNextSeq(entry & ~1, (key ^ entry) & 1, this.table.nextSeq[key]! | 0)
  }

  // --- sequence numbers ----------------------------------------------------------------------------------------------------

  /** @param isBeginning the SYN in front of `seq` was seen */
  private startAt(key: number, seq: number, isBeginning: boolean): void {
    const { table } = this
    // What a parser heard of an anchored direction must still be right.
    const isAnchored = (table.directionFlags[key]! & Direction.anchored) !== 0 && this.parsers[key >> 1] != null
    table.nextOffset[key] = isBeginning && !isAnchored ? 0 : this.midstreamOffset(key, seq)
    table.base[key] = seq
    table.nextSeq[key] = seq
    table.directionFlags[key]! |= Direction.known
    this.note(key)
    // Acknowledgements seen before could not be checked against anything.
    if (!isNear(seq, table.highAck[key]!)) table.directionFlags[key]! &= ~Direction.acked
  }

  /** Where the first data seen of a direction stands: the other side's acknowledgements may have anchored it. */
  private midstreamOffset(key: number, seq: number): number {
    if ((this.table.directionFlags[key]! & Direction.anchored) === 0) return MIDSTREAM_OFFSET
    const offset = this.offsetOf(key, seq)
    return offset === NO_OFFSET ? MIDSTREAM_OFFSET : offset
  }

  /** Written into the piece and never returned: a number beyond 31 bits that a function returns is an object. */
  private fillOffsets(key: number, piece: SegmentPiece): void {
    const { nextOffset, nextSeq, directionFlags } = this.table
    const peer = key ^ 1
    piece.offset = nextOffset[key]!
    piece.peerOffset = NO_OFFSET
    if (!piece.hasAck || (directionFlags[peer]! & (Direction.known | Direction.anchored)) === 0) return
    const peerOffset = nextOffset[peer]! + seqDistance(nextSeq[peer]! | 0, piece.ack)
    if (peerOffset >= 0) piece.peerOffset = peerOffset
  }

  /** Of a sequence number of the direction; NO_OFFSET where none is known, or it lies in front of the stream. */
  private offsetOf(key: number, seq: number): number {
    const { table } = this
    if ((table.directionFlags[key]! & (Direction.known | Direction.anchored)) === 0) return NO_OFFSET
    const offset = table.nextOffset[key]! + seqDistance(table.nextSeq[key]! | 0, seq)
    return offset < 0 ? NO_OFFSET : offset
  }

  /** Nothing was seen of the direction but what the other side acknowledges of it: that much has an offset. */
  private anchor(key: number, ack: number): void {
    const { table } = this
    const isAnchored = (table.directionFlags[key]! & Direction.anchored) !== 0
    if (isAnchored) table.nextOffset[key]! += seqDistance(table.nextSeq[key]! | 0, ack)
    else table.nextOffset[key] = MIDSTREAM_OFFSET
    table.nextSeq[key] = ack
    table.directionFlags[key]! |= Direction.anchored
  }

  private moveNext(key: number, length: number): void {
    const { table } = this
    table.nextSeq[key] = seqAdd(table.nextSeq[key]!, length)
    table.nextOffset[key]! += length
  }

  private synchronize(key: number, isn: number, ack: number, hasAck: boolean): void {
    const { table } = this
    const first = seqAdd(isn, 1)
    const peer = key ^ 1
    const slot = key >> 1
    // The SYN of a connection that a shard before this one had read from.
    if (
      (table.flags[slot]! & Flow.adopted) !== 0 &&
      (table.directionFlags[key]! & Direction.known) !== 0 &&
      isNear(first, table.nextSeq[key]!) &&
      !seqBefore(table.nextSeq[key]!, first)
    )
      return
    if ((table.directionFlags[key]! & Direction.known) !== 0 && table.base[key] !== first) {
      const hasEnded = (table.directionFlags[key]! & Direction.ended) !== 0
      const isUntouched = table.nextSeq[key] === table.base[key] && this.storeOf(key) === null && !hasEnded
      const isSameConnection = hasAck
        ? (table.directionFlags[peer]! & Direction.known) !== 0 && table.base[peer] === ack
        : (table.flags[slot]! & (Flow.clientKnown | Flow.closed)) === 0 && isShortlyBefore(first, table.base[key]!)
      // A late SYN of a connection that seemed to begin in the middle, or a SYN-ACK sent again with another number: it only
      // counts while nothing was delivered on the old one.
      if (isSameConnection && !isUntouched) return
      if (!isSameConnection) this.restart(slot)
      table.directionFlags[key]! &= ~(Direction.known | Direction.hole | Direction.anchored)
      // A FIN that came before its SYN stays; one of other numbers goes with them.
      const isFinAhead = first === table.finSeq[key] || isShortlyBefore(first, table.finSeq[key]!)
      if (!isFinAhead) table.directionFlags[key]! &= ~Direction.fin
    }
    if ((table.directionFlags[key]! & Direction.known) === 0) this.startAt(key, first, true)
    if (hasAck && (table.directionFlags[peer]! & Direction.known) === 0) this.startAt(peer, ack, true)
    const clientKey = hasAck ? peer : key
    // Not where the client's stream was taken up behind its beginning.
    const isClientWhole = table.base[clientKey] === (hasAck ? ack : first)
    if (this.parsers[slot] == null && isClientWhole)
      table.flags[slot]! |= Flow.clientKnown | ((clientKey & 1) !== 0 ? Flow.clientIs1 : 0)
  }

  /** The packet comes from another network than the connection: a second copy of it, or another connection that the key does not tell apart. */
  private meetOtherNetwork(view: PacketView, key: number, flags: number, seq: number): void {
    const { table } = this
    const slot = key >> 1
    const isSyn = (flags & TcpFlag.syn) !== 0
    const isKnown = (table.directionFlags[key]! & Direction.known) !== 0
    const isCopy = !isKnown || (isSyn ? table.base[key] === seqAdd(seq, 1) : !this.isStray(key, seq))
    if (isCopy) return
    if ((table.flags[slot]! & Flow.closed) === 0) this.counters.add(Counter.otherNetworkPackets)
    if (isSyn) table.network[slot] = view.network
  }

  /** A packet without SYN that cannot belong to the connection in the table: the SYN of a new one was lost. */
  private isOfAnotherConnection(key: number, seq: number, length: number): boolean {
    const { table } = this
    if ((table.directionFlags[key]! & Direction.known) === 0) return false
    const ahead = seqDistance(table.nextSeq[key]!, seq)
    if ((table.flags[key >> 1]! & Flow.closed) !== 0) {
      // Late repetitions lie at or before the FIN; data behind it, or right behind a RST, is new.
      const fresh = (table.flags[key >> 1]! & Flow.reset) !== 0 ? 0 : 2
      return length > 0 && (ahead >= fresh || ahead < -MAX_JUMP)
    }
    if (ahead <= MAX_JUMP && ahead >= -MAX_JUMP) {
      table.strays[key] = 0
      return false
    }
    table.strays[key]! += 1
    return table.strays[key]! >= STRAYS_BEFORE_RESTART
  }

  private isStray(key: number, start: number): boolean {
    const ahead = seqDistance(this.table.nextSeq[key]!, start)
    return ahead > MAX_JUMP || ahead < -MAX_JUMP
  }

  /** The other side says that it has all bytes of `key` before `ack`. */
  private acknowledge(key: number, ack: number): void {
    const { table } = this
    const flags = table.directionFlags[key]!
    const isKnown = (flags & Direction.known) !== 0
    const next = table.nextSeq[key]!
    if (isKnown && !isNear(next, ack)) return
    if ((flags & Direction.acked) !== 0) {
      const highAck = table.highAck[key]!
      // Where acknowledgements were not seen for long, the last one says nothing any more: it may even seem to lie ahead.
      if ((!isKnown || isNear(next, highAck)) && !seqBefore(highAck, ack)) return
    }
    table.highAck[key] = ack
    table.directionFlags[key]! |= Direction.acked
    if (!isKnown) this.anchor(key, ack)
    const store = this.storeOf(key)
    if (store !== null) store.markAckedTo(ack)
    // Behind the end of the stream stands its FIN: nothing is missing.
    if ((flags & (Direction.known | Direction.ended)) === Direction.known && seqBefore(next, ack))
      this.watched.add(key >> 1)
  }

  private finish(key: number, finSeq: number): void {
    const { table } = this
    if ((table.directionFlags[key]! & Direction.fin) !== 0 || this.isStray(key, finSeq)) return
    // A FIN before what was delivered is of an older connection; one byte before: its acknowledgement had been taken for a gap.
    if (seqDistance(table.nextSeq[key]!, finSeq) < -1) return
    table.directionFlags[key]! |= Direction.fin
    table.finSeq[key] = finSeq
  }

  /** Blind resets are ignored: the sequence number must lie near the window. */
  private isCredibleReset(key: number, seq: number): boolean {
    return isNear(this.table.nextSeq[key]!, seq)
  }

  private reset(slot: number): void {
    if ((this.table.flags[slot]! & Flow.closed) !== 0) return
    this.end(slot, End.reset)
    this.table.flags[slot]! |= Flow.reset
    this.scheduleClosing(slot)
  }

  // --- data ------------------------------------------------------------------------------------------------------------------

  /** @param trueLength of the segment's data; the piece may hold less where the packet was cut */
  private segment(key: number, piece: SegmentPiece, trueLength: number): void {
    let length = trueLength
    const { table, counters } = this
    const slot = key >> 1
    if ((table.flags[slot]! & Flow.closed) !== 0) {
      counters.add(Counter.segmentsDuplicate)
      return
    }
    if ((table.directionFlags[key]! & Direction.fin) !== 0) {
      // The stream ends at the FIN: what claims to stand behind it (the garbage byte of a keep-alive probe) is none of it.
      const left = Math.max(0, seqDistance(piece.seq, table.finSeq[key]!))
      if (left < length) {
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
      piece.at = Math.min(piece.at + behind, piece.end)
      piece.seq = table.nextSeq[key]!
      piece.startsSegment = false
      piece.isAckedTo = false
    }
    const presentEnd = seqAdd(piece.seq, piece.end - piece.at)
    if (piece.end - piece.at < length - Math.max(behind, 0)) {
      table.cutSeq[key] = presentEnd
      table.directionFlags[key]! |= Direction.cut
      this.watched.add(slot)
    }
    if (piece.end === piece.at) return
    const store = this.storeOf(key)
    const isInOrder = behind >= 0
    // Under `first` a stored copy came before this one, so the store decides.
    const mayPass = isInOrder && (store === null || store.length === 0 || this.options.overlap !== 'first')
    if (mayPass && !this.mustWait(key, piece)) {
      const taken = this.deliver(key, piece)
      if (store !== null) this.trim(key, store)
      if (taken < piece.end - piece.at) this.storeRest(key, piece, taken)
      return
    }
    counters.add(Counter.segmentsOutOfOrder)
    this.store(key, piece)
  }

  /** Keeps what the parser did not take of a piece: it waits for the other direction. */
  private storeRest(key: number, piece: SegmentPiece, taken: number): void {
    piece.at += taken
    piece.seq = this.table.nextSeq[key]!
    piece.startsSegment = false
    piece.isAckedTo = false
    this.store(key, piece)
  }

  private deliver(key: number, piece: SegmentPiece): number {
    const { table } = this
    this.fillOffsets(key, piece)
    const taken = this.parser(key >> 1).data(key & 1, piece)
    this.moveNext(key, taken)
    this.note(key)
    // The hole that was waited for is filled; the next one has a window of its own.
    if (taken > 0 && (table.directionFlags[key]! & Direction.hole) !== 0) table.directionFlags[key]! &= ~Direction.hole
    this.counters.add(Counter.segmentBytes, taken)
    return taken
  }

  /** The piece is in order but its time has not come: see StreamParser. */
  private mustWait(key: number, piece: Acknowledging): boolean {
    const parser = this.parsers[key >> 1]
    if (parser == null) {
      // Before any data it is the handshake that says who serves.
      const flags = this.table.flags[key >> 1]!
      if ((flags & Flow.clientKnown) === 0) return false
      const clientIs1 = (flags & Flow.clientIs1) !== 0
      return (key & 1) === (clientIs1 ? 0 : 1) && this.peerIsBehind(key, piece)
    }
    const demand = parser.demand(key & 1)
    if (demand !== Demand.afterPeer) return demand === Demand.paused
    return this.peerIsBehind(key, piece) && !this.peerWaits(key, piece, parser)
  }

  /**
   * The other direction's next piece is here, came no earlier and waits for this one: where segments were sent again, either may
   * acknowledge the other.
   */
  private peerWaits(key: number, piece: Acknowledging, parser: StreamParser): boolean {
    const peer = key ^ 1
    const first = this.storeOf(peer)?.first()
    if (first === undefined || first.seq !== this.table.nextSeq[peer] || first.timeUs < piece.timeUs) return false
    return parser.demand(peer & 1) === Demand.afterPeer && this.peerIsBehind(peer, first)
  }

  /** The other direction has not delivered all that the piece acknowledges, though its packets are captured. */
  private peerIsBehind(key: number, piece: Acknowledging): boolean {
    if (!piece.hasAck) return false
    const { table } = this
    const peer = key ^ 1
    const flags = table.directionFlags[peer]!
    if ((flags & (Direction.known | Direction.seen)) !== (Direction.known | Direction.seen)) return false
    if ((flags & Direction.ended) !== 0) return false
    const ahead = seqDistance(table.nextSeq[peer]!, piece.ack)
    return ahead > 0 && ahead <= MAX_JUMP
  }

  private store(key: number, piece: SegmentPiece): void {
    const { table } = this
    const slot = key >> 1
    const disorder = this.disorderOf(slot)
    const store = disorder.stores[key & 1] ?? new OutOfOrderStore(this.options.overlap)
    disorder.stores[key & 1] = store
    const before = store.cost
    const differing = store.differing
    store.insert({
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
    })
    this.counters.add(Counter.overlapsDiffering, store.differing - differing)
    this.account(store.cost - before)
    this.watched.add(slot)
    // It did send data, though nothing could be handed on yet.
    if (table.lineOf[slot] === Line.opening) this.queue.move(slot, Line.silent)
    const { outOfOrderBytes, outOfOrderTotalBytes } = this.options
    // The shard's bound held before this segment, so it holds again when its direction has given up enough.
    while (store.cost > outOfOrderBytes || this.storedBytes > outOfOrderTotalBytes) if (!this.force(key)) return
  }

  private account(bytes: number): void {
    this.storedBytes += bytes
    this.counters.set(Counter.outOfOrderBytes, this.storedBytes)
  }

  private trim(key: number, store: OutOfOrderStore): void {
    const before = store.cost
    store.trimBefore(this.table.nextSeq[key]!)
    this.account(store.cost - before)
  }

  private forgetStore(key: number): void {
    const store = this.storeOf(key)
    if (store === null) return
    this.account(-store.cost)
    this.disorderOf(key >> 1).stores[key & 1] = null
  }

  private storeOf(key: number): OutOfOrderStore | null {
    return this.disorders[key >> 1]?.stores[key & 1] ?? null
  }

  private disorderOf(slot: number): Disorder {
    const present = this.disorders[slot]
    if (present != null) return present
    const disorder = this.spareDisorder ?? new Disorder()
    this.spareDisorder = null
    this.disorders[slot] = disorder
    return disorder
  }

  private forgetDisorder(slot: number): void {
    const disorder = this.disorders[slot]
    if (disorder == null || disorder.stores[0] !== null || disorder.stores[1] !== null) return
    const { directionFlags } = this.table
    if (((directionFlags[slot * 2]! | directionFlags[slot * 2 + 1]!) & Direction.hole) !== 0) return
    this.disorders[slot] = null
    this.spareDisorder = disorder
  }

  /** Delivers what has become deliverable in both directions, and declares holes whose window has passed. */
  private advance(slot: number): void {
    const { table } = this
    const first = slot * 2
    const isPlain =
      this.disorders[slot] == null &&
      ((table.directionFlags[first]! | table.directionFlags[first + 1]!) & Direction.fin) === 0 &&
      (this.watched.size === 0 || !this.watched.has(slot))
    if (isPlain) {
      if ((this.parsers[slot]?.wakeAtUs ?? Infinity) !== Infinity) this.watched.add(slot)
      return
    }
    if ((table.flags[slot]! & Flow.closed) !== 0) {
      this.watched.delete(slot)
      return
    }
    for (let moved = true; moved; ) {
      moved = false
      for (let key = first; key <= first + 1; key++) {
        if (this.storeOf(key) !== null && this.drain(key)) moved = true
        if (this.declareOldHole(key)) moved = true
        if (this.endIfFinished(key)) moved = true
      }
    }
    if (this.needsWatch(slot)) this.watched.add(slot)
    else this.watched.delete(slot)
    this.forgetDisorder(slot)
  }

  private drain(key: number): boolean {
    const store = this.storeOf(key)!
    const { table, piece } = this
    const before = store.cost
    let moved = false
    store.trimBefore(table.nextSeq[key]!)
    for (let first = store.first(); first !== undefined; first = store.first()) {
      if (first.seq !== table.nextSeq[key] || this.mustWait(key, first)) break
      store.shift()
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
      if (taken < first.end - first.at) {
        const isWhole = taken === 0
        store.insert({
          ...first,
          seq: seqAdd(first.seq, taken),
          at: first.at + taken,
          startsSegment: isWhole && first.startsSegment,
          isAckedTo: isWhole && first.isAckedTo,
        })
        break
      }
    }
    this.account(store.cost - before)
    if (store.length === 0) this.forgetStore(key)
    return moved
  }

  private endIfFinished(key: number): boolean {
    const { table } = this
    const flags = table.directionFlags[key]!
    if ((flags & (Direction.fin | Direction.ended)) !== Direction.fin) return false
    if (seqBefore(table.nextSeq[key]!, table.finSeq[key]!)) {
      this.watched.add(key >> 1)
      return false
    }
    table.directionFlags[key]! |= Direction.ended
    // What claims to stand behind the FIN is none of the stream.
    this.forgetStore(key)
    this.parsers[key >> 1]?.end(key & 1, End.fin)
    return true
  }

  // --- holes -----------------------------------------------------------------------------------------------------------------

  private needsWatch(slot: number): boolean {
    if (this.storeOf(slot * 2) !== null || this.storeOf(slot * 2 + 1) !== null) return true
    if ((this.parsers[slot]?.wakeAtUs ?? Infinity) !== Infinity) return true
    return this.holeEnd(slot * 2) !== null || this.holeEnd(slot * 2 + 1) !== null
  }

  /**
   * The end of the hole at nextSeq whose bytes the receiver is known to have, or which stand before a FIN; null when there is
   * no such hole. In a capture of one direction nothing is ever acknowledged: data behind the hole must do.
   */
  private holeEnd(key: number): number | null {
    const { table } = this
    const flags = table.directionFlags[key]!
    if ((flags & (Direction.known | Direction.ended)) !== Direction.known) return null
    const next = table.nextSeq[key]!
    const first = this.storeOf(key)?.first()
    const isOneSided = (table.directionFlags[key ^ 1]! & Direction.seen) === 0
    let end: number
    // The acknowledgement of a FIN stands one behind it, so a known FIN goes first.
    if ((flags & Direction.fin) !== 0) end = table.finSeq[key]!
    else if ((flags & Direction.acked) !== 0 && isShortlyBefore(next, table.highAck[key]!)) end = table.highAck[key]!
    else if (first !== undefined && isOneSided) end = first.seq
    else return null
    if (first !== undefined && seqBefore(first.seq, end)) end = first.seq
    return seqBefore(next, end) ? end : null
  }

  private declareOldHole(key: number): boolean {
    const { table } = this
    const slot = key >> 1
    const end = this.holeEnd(key)
    if (end === null) {
      table.directionFlags[key]! &= ~Direction.hole
      return false
    }
    const disorder = this.disorderOf(slot)
    const packets = table.packets[slot]!
    if ((table.directionFlags[key]! & Direction.hole) === 0) {
      const first = this.storeOf(key)?.first()
      table.directionFlags[key]! |= Direction.hole
      disorder.holePackets[key & 1] = first === undefined ? packets : first.packet
      disorder.holeUs[key & 1] = first === undefined ? this.nowUs : first.arrivedUs
    }
    const isOld =
      ((packets - disorder.holePackets[key & 1]!) | 0) >= this.options.reorderWindowPackets ||
      this.nowUs - disorder.holeUs[key & 1]! >= this.windowUs
    if (!isOld) return false
    // The gap must be told, so there must be somebody to tell.
    if (this.parsers[slot] == null && !this.factory.mayOpen() && !this.evictIdle()) this.evictBusy()
    this.declareGap(key, end)
    return true
  }

  private declareGap(key: number, end: number): void {
    const { table } = this
    const length = seqDistance(table.nextSeq[key]!, end)
    const wasCut = (table.directionFlags[key]! & Direction.cut) !== 0 && table.cutSeq[key] === table.nextSeq[key]
    this.counters.add(Counter.gaps)
    this.counters.add(Counter.gapBytes, length)
    this.parser(key >> 1).gap(key & 1, length, wasCut ? GapReason.truncated : GapReason.lost)
    this.moveNext(key, length)
    this.note(key)
    table.directionFlags[key]! &= ~Direction.hole
  }

  /** The store is full: whatever its first segment waits for is given up. False when that changed nothing. */
  private force(key: number): boolean {
    const { nextSeq } = this.table
    const store = this.storeOf(key)
    const first = store?.first()
    if (store === null || first === undefined) return false
    const own = nextSeq[key]
    const peers = nextSeq[key ^ 1]
    const parser = this.parser(key >> 1)
    const wasPaused = isPaused(parser)
    if (first.seq !== own) {
      this.declareGap(key, first.seq)
      // An answer to what was lost comes before what was asked next.
      if (this.storeOf(key ^ 1) !== null) this.drain(key ^ 1)
    } else if (parser.demand(key & 1) === Demand.paused) parser.giveUpPause(key & 1)
    else if (this.peerIsBehind(key, first)) {
      const peerFirst = this.storeOf(key ^ 1)?.first()
      const waitsItself = peerFirst !== undefined && peerFirst.seq === this.table.nextSeq[key ^ 1]
      if (waitsItself) parser.giveUpPause((key ^ 1) & 1)
      else
        this.declareGap(
          key ^ 1,
          peerFirst !== undefined && seqBefore(peerFirst.seq, first.ack) ? peerFirst.seq : first.ack,
        )
      if (this.storeOf(key) !== null) this.drain(key)
      if (this.storeOf(key ^ 1) !== null) this.drain(key ^ 1)
    }
    if (this.storeOf(key) !== null) this.drain(key)
    return nextSeq[key] !== own || nextSeq[key ^ 1] !== peers || wasPaused !== isPaused(parser)
  }

  /** No more packets will come: every hole is lost, every wait over. */
  private flush(key: number): void {
    while (this.storeOf(key) !== null && this.force(key));
    const end = this.holeEnd(key)
    if (end !== null && this.storeOf(key) === null) this.declareGap(key, end)
    this.endIfFinished(key)
  }
}

/** What of a piece, or of a segment that waits, says when its time has come. */
interface Acknowledging {
  readonly hasAck: boolean
  readonly ack: number
  readonly timeUs: number
}

/** What a flow has only while something of it is missing or waits, by direction: most flows never do. */
class Disorder {
  readonly stores: [OutOfOrderStore | null, OutOfOrderStore | null] = [null, null]
  /** When the present hole was noticed, by the flow's packet count and by time; valid with Direction.hole. */
  readonly holePackets: [number, number] = [0, 0]
  readonly holeUs: [number, number] = [0, 0]
}

/** A piece as reassembly has it: with the numbers of the segment that brought it. */
class SegmentPiece extends StreamPiece {
  /** Sequence number of the byte at `at` (int32). */
  seq = 0
  /** Acknowledgement number of the packet that brought it, where `hasAck`. */
  ack = 0
  hasAck = false
}

function isPaused(parser: StreamParser): boolean {
  return parser.demand(0) === Demand.paused || parser.demand(1) === Demand.paused
}

function secondsOf(us: number): number {
  return Math.floor(us / 1e6) | 0
}

/** `a` stands before `b`, by less than a connection can jump. */
function isShortlyBefore(a: number, b: number): boolean {
  const distance = seqDistance(a, b)
  return distance > 0 && distance <= MAX_JUMP
}

function isNear(a: number, b: number): boolean {
  const distance = seqDistance(a, b)
  return distance <= MAX_JUMP && distance >= -MAX_JUMP
}
