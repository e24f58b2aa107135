/**
 * Connections that are captured twice with different numbers: on both sides of a firewall that changes the sequence numbers of one side or
 * of both. Each direction of one copy is the other's, moved by a constant. Of two copies one is read, the other is passed over.
 *
 * On the same five-tuple a second pair of SYN and SYN+ACK may also open another connection, where the end of the one before was not
 * captured. The first data tells: a copy begins as the connection began that is read, within the reorder window of its SYN. So the
 * numbers are kept until data comes, and nothing is ended for a handshake alone.
 *
 * Where the handshake was not captured, the first packet says which copy is read. What is further from it than an unscaled window is
 * passed over for the first segments; one of them with the bytes of a segment that is read gives the constants.
 */
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { i32 } from '../wire/bytes.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import type { Opening } from './disorder.ts'
import { type HalfStreams, MAX_JUMP, UNSCALED_WINDOW } from './half-stream.ts'
import { isAnswerTo, type Segment } from './segment.ts'

/** What a packet is, beside the connection that is read. */
export const Copy = {
  /** No packet of a second copy. */
  none: 0,
  /** It is one, or says nothing yet. */
  passedOver: 1,
  /** What was kept is another connection: it begins. */
  begins: 2,
} as const

/** A second copy comes with the first, but for the way through the firewall. Chosen; the reorder window, where that is shorter. */
const MOST_LAG_US = 1_000_000

/** Of the first data so much is compared, bytes. Chosen: a request line and the first fields. */
const COMPARED_BYTES = 512

/** Looked at where a connection began unseen, segments with data. Chosen: some turns of both sides. */
const FIRST_SEGMENTS = 32
/** So many in a row of the other numbers: those that were read are nobody's. Chosen: more than one copy sends before the other comes. */
const MOST_IN_A_ROW = 8
/** Shorter ones are too often alike, bytes. */
const COMPARABLE_BYTES = 16

/** A segment of a connection that began unseen. */
interface FirstSegment {
  readonly key: number
  readonly seq: number
  readonly ack: number
  readonly fingerprint: number
  /** It is not of the numbers that are read. */
  readonly isOther: boolean
}

interface UnseenStart {
  readonly sinceUs: number
  readonly segments: FirstSegment[]
  othersInARow: number
}

interface SecondCopy {
  /** Its numbers. */
  opening: Opening
  /** First numbers of the connection that is read: the row may be another's by now. */
  readonly ofClient: number
  readonly ofServer: number
  /** Decided: it is a copy. */
  isCopy: boolean
  /** How far the connection had come, by direction: delivered, and acknowledged. */
  readonly delivered: [number, number]
  readonly acknowledged: [number, number]
  /** Since when the connection stands still though the copy goes on. */
  readonly stillUs: [number, number]
}

export class SecondCopies {
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly counters: CounterBlock
  private readonly windowUs: number
  /** By slot. */
  private readonly copies = new Map<number, SecondCopy>()
  /** By slot, with Flow.mayBeTwice. */
  private readonly starts = new Map<number, UnseenStart>()

  constructor(table: FlowTable, half: HalfStreams, counters: CounterBlock, windowUs: number) {
    this.table = table
    this.half = half
    this.counters = counters
    this.windowUs = Math.min(windowUs, MOST_LAG_US)
  }

  /** There is none: nothing needs to be looked at. */
  get isEmpty(): boolean {
    return this.copies.size === 0 && this.starts.size === 0
  }

  /** Numbers beside those that are read now. */
  keep(opening: Opening): void {
    const { table } = this
    const { client } = opening
    const first = client & ~1
    this.copies.set(client >> 1, {
      opening,
      ofClient: table.base[client]!,
      ofServer: table.base[client ^ 1]!,
      isCopy: false,
      delivered: [table.nextSeq[first]!, table.nextSeq[first + 1]!],
      acknowledged: [table.highAck[first]!, table.highAck[first + 1]!],
      stillUs: [0, 0],
    })
  }

  /** The row is another's. */
  forget(slot: number): void {
    this.copies.delete(slot)
    this.starts.delete(slot)
  }

  /** A connection begins unseen with the packet of `key`. */
  beginUnseen(slot: number, nowUs: number): void {
    this.table.flags[slot]! |= Flow.mayBeTwice
    this.starts.set(slot, { sinceUs: nowUs, segments: [], othersInARow: 0 })
  }

  /** One of Copy, for a connection that began unseen. */
  private judgeStart(key: number, segment: Segment, nowUs: number): number {
    const slot = key >> 1
    const start = this.starts.get(slot)
    if (start === undefined) return Copy.none
    const { segments } = start
    const isOver =
      (this.table.flags[slot]! & Flow.mayBeTwice) === 0 ||
      segments.length >= FIRST_SEGMENTS ||
      nowUs - start.sinceUs >= this.windowUs ||
      segment.isSyn
    // Before anything of a direction came, what it acknowledges of the other must do.
    const isPlaced = this.half.has(key, Direction.known)
    const isOther = isPlaced
      ? this.isFarther(key, segment.start)
      : segment.hasAck && this.isFarther(key ^ 1, segment.ack)
    start.othersInARow = isOther ? start.othersInARow + 1 : 0
    if (isOver || start.othersInARow > MOST_IN_A_ROW) {
      this.starts.delete(slot)
      this.table.flags[slot]! &= ~Flow.mayBeTwice
      return Copy.none
    }
    if (segment.length >= COMPARABLE_BYTES && segment.hasAck) {
      segments.push({ key, seq: segment.start, ack: segment.ack, fingerprint: fingerprintOf(segment), isOther })
    }
    if (isOther) this.findCopy(slot, segments)
    return isOther ? Copy.passedOver : Copy.none
  }

  /** The numbers that were kept, and are not any more. */
  take(slot: number): Opening {
    const { opening } = this.copies.get(slot)!
    this.copies.delete(slot)
    return opening
  }

  /** Data came, and the connection has no parser yet: where it is the first of a client whose SYN was seen, it is what a copy begins with. */
  noteFirstData(key: number, segment: Segment): void {
    const { table } = this
    const slot = key >> 1
    const isClients =
      (table.flags[slot]! & Flow.clientKnown) !== 0 &&
      (key & 1) === ((table.flags[slot]! & Flow.clientIs1) !== 0 ? 1 : 0)
    if (isClients && segment.start === table.base[key]) table.firstData[slot] = fingerprintOf(segment)
  }

  /** A connection is read that began within the reorder window, and what opens beside it may be a copy. */
  canBeCopied(client: number, nowUs: number): boolean {
    const slot = client >> 1
    const { table } = this
    if (table.firstData[slot] === 0 || !this.half.has(client ^ 1, Direction.known)) return false
    const isOfClient = (client & 1) === ((table.flags[slot]! & Flow.clientIs1) !== 0 ? 1 : 0)
    return isOfClient && nowUs - table.beganUs[slot]! < this.windowUs
  }

  /** One of Copy. */
  judge(key: number, segment: Segment, nowUs: number): number {
    const start = this.judgeStart(key, segment, nowUs)
    if (start !== Copy.none) return start
    const copy = this.of(key >> 1)
    if (copy === undefined) return Copy.none
    const { opening } = copy
    const isClient = key === opening.client
    if (segment.isSyn) return this.isSynOf(copy, isClient, segment) ? Copy.passedOver : Copy.none
    if (!this.isNearer(key, copy, segment)) return Copy.none
    if (copy.isCopy) return this.goesOnAlone(key, copy, segment, nowUs) ? Copy.begins : Copy.passedOver
    if (segment.length === 0) return Copy.passedOver
    const { firstData } = this.table
    const isFirst = isClient && segment.start === opening.clientFirst && firstData[key >> 1] !== 0
    copy.isCopy = isFirst ? firstData[key >> 1] === fingerprintOf(segment) : this.hasGoneOn(key, copy)
    if (!copy.isCopy) return Copy.begins
    this.counters.add(Counter.flowsRepeated)
    return Copy.passedOver
  }

  /** What was kept is a copy: that was decided. */
  isKnown(slot: number): boolean {
    return this.copies.get(slot)?.isCopy ?? false
  }

  /** Further from where the direction is than an unscaled window reaches. */
  private isFarther(key: number, seq: number): boolean {
    const distance = seqDistance(this.table.nextSeq[key]!, seq)
    return this.half.has(key, Direction.known) && Math.abs(distance) > UNSCALED_WINDOW
  }

  /** A segment of the other numbers and one of those that are read have the same bytes, and no third has. */
  private findCopy(slot: number, segments: readonly FirstSegment[]): void {
    const { base } = this.table
    const client = slot * 2
    if (!this.half.has(client, Direction.known) || !this.half.has(client + 1, Direction.known)) return
    for (const other of segments) {
      if (!other.isOther) continue
      const alike = segments.filter(({ key, fingerprint }) => key === other.key && fingerprint === other.fingerprint)
      const own = alike.find(({ isOther }) => !isOther)
      if (alike.length !== 2 || own === undefined) continue
      const moved = seqDistance(own.seq, other.seq)
      const peerMoved = seqDistance(own.ack, other.ack)
      const isClient = other.key === client
      this.starts.delete(slot)
      this.table.flags[slot]! &= ~Flow.mayBeTwice
      this.keep({
        client,
        clientFirst: seqAdd(base[client]!, isClient ? moved : peerMoved),
        clientOptions: null,
        serverFirst: seqAdd(base[client + 1]!, isClient ? peerMoved : moved),
        serverOptions: null,
        sinceUs: 0,
      })
      this.copies.get(slot)!.isCopy = true
      this.counters.add(Counter.flowsRepeated)
      return
    }
  }

  private of(slot: number): SecondCopy | undefined {
    const copy = this.copies.get(slot)
    if (copy === undefined) return undefined
    const { client } = copy.opening
    const { base } = this.table
    const isSame =
      base[client] === copy.ofClient && (base[client ^ 1] === copy.ofServer || !this.half.hasMoved(client ^ 1))
    if (isSame) return copy
    this.copies.delete(slot)
    return undefined
  }

  private isSynOf(copy: SecondCopy, isClient: boolean, segment: Segment): boolean {
    const { opening } = copy
    if (isClient) return !segment.hasAck && segment.start === opening.clientFirst
    if (!segment.hasAck || !isAnswerTo(opening.clientFirst, segment.ack)) return false
    if (opening.serverFirst !== null) return segment.start === opening.serverFirst
    copy.opening = { ...opening, serverFirst: segment.start, serverOptions: { ...segment.options } }
    return true
  }

  /** By its numbers the packet stands nearer to where the copy is than to where the connection is. */
  private isNearer(key: number, copy: SecondCopy, segment: Segment): boolean {
    if (this.isInOrder(key, segment)) return false
    const own = this.distances(key, copy, segment.start)
    if (own.toCopy > MAX_JUMP) return false
    if (!segment.hasAck) return own.toCopy < own.toOwn
    const acknowledged = this.distances(key ^ 1, copy, segment.ack)
    return own.toCopy + acknowledged.toCopy < own.toOwn + acknowledged.toOwn
  }

  /** Exactly what comes next of the connection that is read, as the fast path takes it: whatever else is near. */
  private isInOrder(key: number, segment: Segment): boolean {
    const { half } = this
    const { nextSeq, highAck } = this.table
    const peer = key ^ 1
    if (!half.has(key, Direction.known) || segment.start !== nextSeq[key] || !segment.hasAck) return false
    if (!half.has(peer, Direction.acked) || seqBefore(segment.ack, highAck[peer]!)) return false
    return !half.has(peer, Direction.known) || !seqBefore(nextSeq[peer]!, segment.ack)
  }

  private distances(key: number, { opening, ofClient, ofServer }: SecondCopy, seq: number) {
    const { table, half } = this
    const isClient = key === opening.client
    const first = isClient ? opening.clientFirst : opening.serverFirst
    const isRead = half.has(key, Direction.known)
    const next = table.nextSeq[key]!
    const moved = isRead && first !== null ? seqAdd(next, seqDistance(isClient ? ofClient : ofServer, first)) : first
    return {
      toOwn: isRead ? Math.abs(seqDistance(next, seq)) : MAX_JUMP,
      toCopy: moved === null ? MAX_JUMP : Math.abs(seqDistance(moved, seq)),
    }
  }

  /** Something of the connection came since the copy's numbers were seen. */
  private hasGoneOn(key: number, copy: SecondCopy): boolean {
    const { nextSeq, highAck } = this.table
    const first = key & ~1
    for (let d = 0; d < 2; d++) {
      if (nextSeq[first + d] !== copy.delivered[d] || highAck[first + d] !== copy.acknowledged[d]) return true
    }
    return false
  }

  /** What seemed a copy brings data that the connection does not bring within the reorder window: it is another one. */
  private goesOnAlone(key: number, copy: SecondCopy, segment: Segment, nowUs: number): boolean {
    const { opening, ofClient, ofServer, delivered, stillUs } = copy
    const first = key === opening.client ? opening.clientFirst : opening.serverFirst
    if (first === null || segment.length === 0) return false
    const next = this.table.nextSeq[key]!
    const end = seqAdd(segment.start, segment.length)
    const ahead = seqDistance(next, seqAdd(end, seqDistance(first, key === opening.client ? ofClient : ofServer)))
    const d = key & 1
    if (ahead <= 0 || delivered[d] !== next || stillUs[d] === 0) {
      delivered[d] = next
      stillUs[d] = ahead > 0 ? nowUs : 0
      return false
    }
    return nowUs - stillUs[d]! >= this.windowUs
  }
}

/** Of the segment's length and first bytes; never 0. */
function fingerprintOf(segment: Segment): number {
  const { bytes, end } = segment.view!
  const from = segment.payloadAt
  const to = Math.min(end, from + COMPARED_BYTES)
  let hash = segment.length | 0
  let at = from
  for (; at + 4 <= to; at += 4) hash = Math.imul(hash ^ i32(bytes, at), 0x5bd1e995) ^ (hash >>> 15)
  for (; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x5bd1e995)
  return hash === 0 ? 1 : hash
}
