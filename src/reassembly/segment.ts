/** One TCP packet, read once: what the slow path needs of it. */
import type { PacketView } from '../decapsulation/packet-view.ts'
import { i32 } from '../wire/bytes.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import {
  NO_OPTIONS,
  TCP_ACK,
  TCP_DATA_OFFSET,
  TCP_FLAGS,
  TCP_SEQ,
  TCP_URGENT_POINTER,
  TCP_WINDOW,
  TcpFlag,
  tcpHeaderLength,
} from '../wire/tcp.ts'
import { TcpOptions } from '../wire/tcp-options.ts'
import { StreamPiece } from './stream-parser.ts'

/** Data that a SYN can carry: more is acknowledged by nobody. */
const MAX_SYN_DATA = 65_535

/** A piece as reassembly has it: with the numbers of the segment that brought it. */
export class SegmentPiece extends StreamPiece {
  /** Sequence number of the byte at `at` (int32). */
  seq = 0
  /** Acknowledgement number of the packet that brought it, where `hasAck`. */
  ack = 0
  hasAck = false

  /** Drops `n` bytes in front; what is left begins in the middle of a segment. */
  skip(n: number): void {
    this.at += n
    this.seq = seqAdd(this.seq, n)
    this.startsSegment = false
    this.isAckedTo = false
  }
}

/** Reused, one for all packets of a shard. Sequence numbers are int32. */
export class Segment {
  view: PacketView | null = null
  seq = 0
  ack = 0
  /** As in the packet: not scaled. */
  window = 0
  urgentPointer = 0
  isSyn = false
  isFin = false
  isRst = false
  hasAck = false
  isUrgent = false
  payloadAt = 0
  /** Bytes of the stream that it brings, or brought before it was truncated. */
  length = 0
  /** Sequence number of the first of them. */
  start = 0
  readonly options = new TcpOptions()

  read(view: PacketView): void {
    const { bytes, tcpAt } = view
    const flags = bytes[tcpAt + TCP_FLAGS]!
    this.view = view
    this.seq = i32(bytes, tcpAt + TCP_SEQ)
    this.ack = i32(bytes, tcpAt + TCP_ACK)
    this.window = (bytes[tcpAt + TCP_WINDOW]! << 8) | bytes[tcpAt + TCP_WINDOW + 1]!
    this.urgentPointer = (bytes[tcpAt + TCP_URGENT_POINTER]! << 8) | bytes[tcpAt + TCP_URGENT_POINTER + 1]!
    this.isSyn = (flags & TcpFlag.syn) !== 0
    this.isFin = (flags & TcpFlag.fin) !== 0
    this.isRst = (flags & TcpFlag.rst) !== 0
    this.hasAck = (flags & TcpFlag.ack) !== 0
    this.isUrgent = (flags & TcpFlag.urg) !== 0
    this.payloadAt = tcpAt + tcpHeaderLength(bytes, tcpAt)
    // What a reset carries says why, and is none of the stream (RFC 9293 section 3.5.3).
    this.length = this.isRst ? 0 : view.trueEnd - this.payloadAt
    this.start = this.isSyn ? seqAdd(this.seq, 1) : this.seq
    this.options.read(bytes, tcpAt)
  }

  /** After its last byte, and after the FIN where it has one. */
  get end(): number {
    return seqAdd(this.start, this.isFin ? this.length + 1 : this.length)
  }

  get hasOptions(): boolean {
    const { bytes, tcpAt } = this.view!
    return bytes[tcpAt + TCP_DATA_OFFSET]! >> 4 !== NO_OPTIONS >> 4
  }

  /** What it brings of its direction's stream. */
  fill(piece: SegmentPiece, isAckedTo: boolean): void {
    const view = this.view!
    piece.bytes = view.bytes
    piece.at = this.payloadAt
    piece.end = Math.max(view.end, this.payloadAt)
    piece.seq = this.start
    piece.ack = this.ack
    piece.hasAck = this.hasAck
    piece.timeUs = view.timeUs
    piece.startsSegment = true
    piece.isAckedTo = isAckedTo
  }
}

/** The acknowledgement is that of a SYN whose stream begins at `first`, with data in it or without. */
export function isAnswerTo(first: number, ack: number): boolean {
  const taken = seqDistance(first, ack)
  return taken >= 0 && taken <= MAX_SYN_DATA && !seqBefore(ack, first)
}
