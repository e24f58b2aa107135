/**
 * Connections that are captured twice with different numbers: on both sides of a firewall that changes the sequence numbers of one side or
 * of both. Each direction of one copy is the other's, moved by a constant. Of two copies one is read, the other is passed over.
 *
 * On the same five-tuple a second pair of SYN and SYN+ACK may also open another connection, where the end of the one before was not
 * captured. The first data tells: a copy begins as the connection began that is read, within the reorder window of its SYN. So the
 * numbers are kept until data comes, and nothing is ended for a handshake alone.
 */
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import { i32 } from '../wire/bytes.ts'
import { seqAdd, seqDistance } from '../wire/seq.ts'
import type { Opening } from './disorder.ts'
import { type HalfStreams, MAX_JUMP } from './half-stream.ts'
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

/** Of the first data so much is compared, bytes. Chosen: a request line and the first fields. */
const COMPARED_BYTES = 512

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
  private readonly windowUs: number
  /** By slot. */
  private readonly copies = new Map<number, SecondCopy>()

  constructor(table: FlowTable, half: HalfStreams, windowUs: number) {
    this.table = table
    this.half = half
    this.windowUs = windowUs
  }

  /** There is none: nothing needs to be looked at. */
  get isEmpty(): boolean {
    return this.copies.size === 0
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
    return copy.isCopy ? Copy.passedOver : Copy.begins
  }

  /** The copy's packet is the first that shows what it is: see `judge`. */
  isKnown(slot: number): boolean {
    return this.copies.get(slot)?.isCopy ?? false
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
    const own = this.distances(key, copy, segment.start)
    if (own.toCopy > MAX_JUMP) return false
    if (!segment.hasAck) return own.toCopy < own.toOwn
    const acknowledged = this.distances(key ^ 1, copy, segment.ack)
    return own.toCopy + acknowledged.toCopy < own.toOwn + acknowledged.toOwn
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
