/**
 * One direction of a connection: where its stream began, what of it was delivered, acknowledged and announced, and how far the other
 * side lets it continue. A direction is named by its key; its state stands in the columns of the flow table.
 *
 *   base ........ nextSeq ........ highAck ........ sentEnd ........ rightEdge
 *     delivered    |  pending gap,    |  seen, and not   |  may still come
 *     or in a gap  |  acknowledged    |  acknowledged    |
 *
 * What is drawn is the usual order, not a promise: a mirror delivers late and loses.
 */
import { Direction } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import type { Segment, SegmentPiece } from './segment.ts'
import { MIDSTREAM_OFFSET, NO_OFFSET } from './stream-parser.ts'

/** Beyond any window a real sender uses between two packets we see: such a packet belongs to another connection. */
export const MAX_JUMP = 1 << 24
/** The largest window without scaling (RFC 7323 section 2.1). */
export const UNSCALED_WINDOW = 65_535
/** Streams longer than this are compared with no number of their beginning: it has come round again. */
const COMPARABLE = 2 ** 31

export class HalfStreams {
  private readonly table: FlowTable

  constructor(table: FlowTable) {
    this.table = table
  }

  has(key: number, bits: number): boolean {
    return (this.table.directionFlags[key]! & bits) === bits
  }

  /**
   * @param isBeginning the SYN before `seq` was seen
   * @param isHeard a parser may have been told of offsets of the direction
   */
  start(key: number, seq: number, isBeginning: boolean, isHeard: boolean): void {
    const { table } = this
    // What was said of an anchored direction must stay right.
    const mustKeep = isHeard && this.has(key, Direction.anchored)
    table.nextOffset[key] = isBeginning && !mustKeep ? 0 : this.midstreamOffset(key, seq)
    table.base[key] = seq
    table.nextSeq[key] = seq
    table.sentEnd[key] = seq
    table.directionFlags[key]! |= Direction.known
    // Acknowledgements seen before could not be checked against anything.
    if (!isNear(seq, table.highAck[key]!)) table.directionFlags[key]! &= ~Direction.acked
  }

  /** Its numbers were none: it starts again with the next packet that tells. */
  forgetStart(key: number): void {
    this.table.directionFlags[key]! &= ~(Direction.known | Direction.hole | Direction.anchored | Direction.bounded)
    this.table.tsRecent[key] = 0
  }

  /** What the other side acknowledged came from numbers that were none. */
  forgetAcknowledged(key: number): void {
    this.table.directionFlags[key]! &= ~(Direction.acked | Direction.anchored | Direction.bounded)
  }

  /** Something of it was delivered, or given up. */
  hasMoved(key: number): boolean {
    return this.has(key, Direction.known) && this.table.nextSeq[key] !== this.table.base[key]
  }

  /** `length` bytes were delivered, or are in a gap. */
  moveNext(key: number, length: number): void {
    const { table } = this
    table.nextSeq[key] = seqAdd(table.nextSeq[key]!, length)
    table.nextOffset[key]! += length
  }

  /** Of a sequence number of the direction; NO_OFFSET where none is known, or it lies before the stream. */
  offsetOf(key: number, seq: number): number {
    const { table } = this
    if ((table.directionFlags[key]! & (Direction.known | Direction.anchored)) === 0) return NO_OFFSET
    const offset = table.nextOffset[key]! + seqDistance(table.nextSeq[key]! | 0, seq)
    return offset < 0 ? NO_OFFSET : offset
  }

  /** Written into the piece and never returned: a number beyond 31 bits that a function returns is an object. */
  fillOffsets(key: number, piece: SegmentPiece): void {
    const { nextOffset, nextSeq, directionFlags } = this.table
    const peer = key ^ 1
    piece.offset = nextOffset[key]!
    piece.peerOffset = NO_OFFSET
    if (!piece.hasAck || (directionFlags[peer]! & (Direction.known | Direction.anchored)) === 0) return
    const peerOffset = nextOffset[peer]! + seqDistance(nextSeq[peer]! | 0, piece.ack)
    if (peerOffset >= 0) piece.peerOffset = peerOffset
  }

  /** The other side says that it has all bytes before `ack`. Returns whether that is news. */
  acknowledge(key: number, ack: number): boolean {
    const { table } = this
    const flags = table.directionFlags[key]!
    const isKnown = (flags & Direction.known) !== 0
    const next = table.nextSeq[key]!
    if (isKnown && !isNear(next, ack)) return false
    if ((flags & Direction.acked) !== 0) {
      const highAck = table.highAck[key]!
      // Where acknowledgements were not seen for long, the last one says nothing any more: it may even seem to lie ahead.
      if ((!isKnown || isNear(next, highAck)) && !seqBefore(highAck, ack)) return false
    }
    table.highAck[key] = ack
    table.directionFlags[key]! |= Direction.acked
    if (!isKnown) this.anchor(key, ack)
    return true
  }

  /** Nothing was seen of the direction but what the other side acknowledges of it: that much has an offset. */
  anchor(key: number, ack: number): void {
    const { table } = this
    if (this.has(key, Direction.anchored)) table.nextOffset[key]! += seqDistance(table.nextSeq[key]! | 0, ack)
    else table.nextOffset[key] = MIDSTREAM_OFFSET
    table.nextSeq[key] = ack
    table.directionFlags[key]! |= Direction.anchored
  }

  /** A FIN stands at `finSeq`. */
  finish(key: number, finSeq: number): void {
    const { table } = this
    if (this.has(key, Direction.ended) || !isNear(table.nextSeq[key]!, finSeq)) return
    // Of several the one that comes in order counts; else the first.
    const isInOrder = table.nextSeq[key] === finSeq && seqBefore(finSeq, table.finSeq[key]!)
    if (this.has(key, Direction.fin) && !isInOrder) return
    // A FIN before what was delivered is a stale one. In a gap, one byte before its end: its acknowledgement had been taken for that byte.
    const earliest = this.has(key, Direction.behindGap) ? -1 : 0
    if (seqDistance(table.nextSeq[key]!, finSeq) < earliest) return
    table.directionFlags[key]! |= Direction.fin
    table.finSeq[key] = finSeq
  }

  /** The end of what is known to have been sent, a FIN included: what the other side can acknowledge. */
  sentEnd(key: number): number {
    const { table } = this
    const next = this.has(key, Direction.ended) ? seqAdd(table.finSeq[key]!, 1) : table.nextSeq[key]!
    const sent = table.sentEnd[key]!
    return isShortlyBefore(next, sent) ? sent : next
  }

  noteSent(key: number, end: number): void {
    if (seqBefore(this.sentEnd(key), end)) this.table.sentEnd[key] = end
  }

  /** The packet, of `key`, says how far the other side may send. RFC 7323 section 2.3: the window of a SYN is not scaled. */
  noteWindow(key: number, segment: Segment): void {
    const { table } = this
    if (!segment.hasAck || !(segment.isSyn || this.has(key, Direction.scaleKnown))) return
    const peer = key ^ 1
    const edge = seqAdd(segment.ack, segment.isSyn ? segment.window : segment.window << table.windowScale[key]!)
    if (this.has(peer, Direction.bounded) && !seqBefore(table.rightEdge[peer]!, edge)) return
    table.rightEdge[peer] = edge
    table.directionFlags[peer]! |= Direction.bounded
  }

  /**
   * The window test (RFC 9293 section 3.10.7.4, first): what ends at `end` lies in the window that the other side advertised, as far
   * as it is known. Without the handshake it is not: windows are scaled by what was agreed there. Nor is it where the stream has
   * gone past the last one seen.
   */
  isWithinWindow(key: number, end: number): boolean {
    const edge = this.table.rightEdge[key]!
    return !this.has(key, Direction.bounded) || !seqBefore(edge, end) || seqBefore(edge, this.table.nextSeq[key]!)
  }

  /** The window that the other side of `key` advertised, as far as it is known: for directions that are acknowledged and bounded. */
  windowOf(key: number): number {
    const { table } = this
    return Math.max(0, seqDistance(table.highAck[key]!, table.rightEdge[key]!))
  }

  /** The number belongs to no packet of the connection: far ahead, or before where its stream began. */
  isFar(key: number, seq: number): boolean {
    const { table } = this
    const ahead = seqDistance(table.nextSeq[key]!, seq)
    if (ahead >= -MAX_JUMP) return ahead > MAX_JUMP
    const read = seqDistance(table.base[key]!, table.nextSeq[key]!)
    const isComparable = read > 0 && table.nextOffset[key]! % MIDSTREAM_OFFSET < COMPARABLE
    return !isComparable || -ahead > read + MAX_JUMP
  }

  /** Where the first data seen of a direction stands: the other side's acknowledgements may have anchored it. */
  private midstreamOffset(key: number, seq: number): number {
    const offset = this.has(key, Direction.anchored) ? this.offsetOf(key, seq) : NO_OFFSET
    return offset === NO_OFFSET ? MIDSTREAM_OFFSET : offset
  }
}

/** `a` stands before `b`, by less than a connection can jump. */
export function isShortlyBefore(a: number, b: number): boolean {
  const distance = seqDistance(a, b)
  return distance > 0 && distance <= MAX_JUMP
}

export function isNear(a: number, b: number): boolean {
  const distance = seqDistance(a, b)
  return distance <= MAX_JUMP && distance >= -MAX_JUMP
}
