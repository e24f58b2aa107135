/**
 * Segments of one direction that its receiver may have discarded: what we saw does not decide it. They are kept apart from the
 * stream until something does (see Doubt), and forgotten when other bytes have taken their place.
 */
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import type { SegmentPiece } from './segment.ts'

/** Why a segment is doubtful, and what decides. */
export const Doubt = {
  /**
   * It acknowledges what its peer has not sent, as far as was seen. The peer decides: it acknowledges the segment in one that stands
   * before what the segment acknowledged, or in one that does not.
   */
  ackAhead: 0,
  /** Its acknowledgement is older than any window (RFC 5961 section 5.2). Taken where it was acknowledged and no other copy came. */
  oldAck: 1,
  /** Its timestamp is older than one that came in order (RFC 7323 section 5). As oldAck. */
  oldTimestamp: 2,
  /** It reaches beyond the receiver's window. As oldAck. */
  beyondWindow: 3,
  /** It carries the authentication option where none was agreed, or none where it was: kernels differ. As oldAck. */
  authentication: 4,
  /** Its acknowledgement is so old that kernels differ. As oldAck, but another copy may be the false one. */
  unclearAck: 6,
  /** Data of a SYN (RFC 7413): taken where the SYN+ACK acknowledges it. */
  synData: 5,
  /** The server refuses it while the connection is not open. As oldAck. */
  handshake: 7,
  /** Of a connection of which the other side has shown nothing. As ackAhead, but only an acknowledgement of it decides. */
  unanswered: 8,
  /** It opens the connection, but for its echo of a timestamp that was not seen. Taken where it was acknowledged. */
  newerEcho: 9,
} as const

/** One of them: its bytes are a copy. */
export interface DoubtfulSegment {
  readonly doubt: number
  seq: number
  bytes: Buffer
  /** It was truncated, and its receiver had more. */
  readonly missing: number
  readonly isFin: boolean
  readonly ack: number
  readonly hasAck: boolean
  readonly timeUs: number
  /** Offset of the urgent byte from the first, where it has the flag; -1: not urgent. */
  readonly urgentPointer: number
  startsSegment: boolean
}

/** Chosen: what a window holds in segments of the usual size; few enough to look at each for every packet. */
const MOST = 1024
const OVERHEAD = 192

export class DoubtfulSegments {
  /** Bytes held, overhead included. */
  cost = 0
  readonly segments: DoubtfulSegment[] = []

  /** Returns what had to go for it, or null. */
  add(segment: DoubtfulSegment): DoubtfulSegment | null {
    this.segments.push(segment)
    this.cost += segment.bytes.length + OVERHEAD
    return this.segments.length > MOST ? this.takeAt(0) : null
  }

  takeAt(i: number): DoubtfulSegment {
    const [segment] = this.segments.splice(i, 1)
    this.cost -= segment!.bytes.length + OVERHEAD
    return segment!
  }

  /** The first of them that holds the byte at `seq`, or a FIN there; -1: none. */
  at(seq: number): number {
    return this.segments.findIndex((s) => !seqBefore(seq, s.seq) && seqBefore(seq, endOf(s)))
  }

  /** Drops the front of segment `i`. */
  cutFront(i: number, n: number): void {
    const segment = this.segments[i]!
    segment.seq = seqAdd(segment.seq, n)
    segment.bytes = segment.bytes.subarray(n)
    segment.startsSegment = false
    this.cost -= n
  }
}

/** After its last byte, and its FIN. */
export function endOf(s: DoubtfulSegment): number {
  return seqAdd(s.seq, s.bytes.length + s.missing + (s.isFin ? 1 : 0))
}

/** How many bytes the piece and the segment have in common; 0: none. */
export function overlapOf(s: DoubtfulSegment, piece: SegmentPiece): number {
  const from = Math.max(0, seqDistance(s.seq, piece.seq))
  const to = Math.min(s.bytes.length, seqDistance(s.seq, piece.seq) + piece.end - piece.at)
  return Math.max(0, to - from)
}

/** The bytes that both have differ. */
export function differs(s: DoubtfulSegment, piece: SegmentPiece): boolean {
  const length = overlapOf(s, piece)
  if (length === 0) return false
  const ahead = seqDistance(s.seq, piece.seq)
  const own = Math.max(0, ahead)
  const others = piece.at + Math.max(0, -ahead)
  return s.bytes.compare(piece.bytes, others, others + length, own, own + length) !== 0
}
