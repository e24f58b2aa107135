/** What becomes of doubtful segments: see Doubt. Nothing that its receiver may have discarded is delivered before that is known. */
import { Direction } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import type { WatchList } from '../flow/watch-list.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import type { Delivery } from './delivery.ts'
import type { Disorders } from './disorders.ts'
import { Doubt, type DoubtfulSegment, differs, endOf, overlapOf } from './doubtful-segments.ts'
import type { HalfStreams } from './half-stream.ts'
import { type Segment, SegmentPiece } from './segment.ts'
import { GapReason } from './stream-parser.ts'

/** Counts the segments that were not taken, by what they were doubted for. */
const REFUSED: readonly number[] = [
  Counter.segmentsAckUnsent,
  Counter.segmentsAckOld,
  Counter.segmentsOldTimestamp,
  Counter.segmentsOutOfWindow,
  Counter.segmentsUnsigned,
  Counter.segmentsSynData,
  Counter.segmentsAckOld,
  Counter.segmentsAckUnsent,
  Counter.segmentsAckUnsent,
  Counter.segmentsAckUnsent,
]
/** Of these the first copy may be the one that the receiver took. */
const MAY_BE_TRUE: ReadonlySet<number> = new Set([
  Doubt.ackAhead,
  Doubt.unanswered,
  Doubt.unclearAck,
  Doubt.authentication,
  // Older kernels take it.
  Doubt.newerEcho,
])
/** What shows one of them shows all of them that acknowledge the same. */
const IS_DECIDED_ALIKE: ReadonlySet<number> = new Set([Doubt.ackAhead, Doubt.newerEcho])
/** Their acknowledgement was not known otherwise. */
const SHOWS_PROGRESS: ReadonlySet<number> = new Set([
  Doubt.ackAhead,
  Doubt.unanswered,
  Doubt.handshake,
  Doubt.newerEcho,
])
const NOT_URGENT = -1

export class Doubts {
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly disorders: Disorders
  private readonly delivery: Delivery
  private readonly watched: WatchList
  private readonly counters: CounterBlock
  private readonly piece = new SegmentPiece()

  constructor(
    table: FlowTable,
    half: HalfStreams,
    disorders: Disorders,
    delivery: Delivery,
    watched: WatchList,
    counters: CounterBlock,
  ) {
    this.table = table
    this.half = half
    this.disorders = disorders
    this.delivery = delivery
    this.watched = watched
    this.counters = counters
  }

  /** Keeps a segment whose receiver may have thrown it away. */
  keep(key: number, segment: Segment, doubt: number): void {
    const view = segment.view!
    const present = Math.max(0, view.end - segment.payloadAt)
    const bytes = Buffer.allocUnsafeSlow(present)
    view.bytes.copy(bytes, 0, segment.payloadAt, segment.payloadAt + present)
    const kept: DoubtfulSegment = {
      doubt,
      seq: segment.start,
      bytes,
      missing: segment.length - present,
      isFin: segment.isFin,
      ack: segment.ack,
      hasAck: segment.hasAck,
      timeUs: view.timeUs,
      urgentPointer: segment.isUrgent ? segment.urgentPointer : NOT_URGENT,
      startsSegment: true,
    }
    this.fillPiece(kept, false)
    // What ends where delivery has come to is a repetition, whoever sent it.
    if (!seqBefore(this.table.nextSeq[key]!, endOf(kept)) || this.isProbe(key, this.piece)) {
      this.counters.add(Counter.segmentsDuplicate)
      return
    }
    const doubtful = this.disorders.needDoubtful(key)
    const before = doubtful.cost
    const refused = doubtful.add(kept)
    this.disorders.account(doubtful.cost - before)
    if (refused !== null) this.refuse(refused)
    this.watched.add(key >> 1)
  }

  /**
   * A segment that the receiver takes if it is the first with its bytes: what was kept of them is no longer wanted. Where that may have
   * been the true one, and is another, nobody knows what the receiver read.
   * @param doubt why it was in doubt itself; -1: it was not
   */
  meet(key: number, piece: SegmentPiece, doubt = -1): void {
    const doubtful = this.disorders.doubtfulOf(key)
    if (doubtful === null) return
    const before = doubtful.cost
    for (let i = doubtful.segments.length - 1; i >= 0; i--) {
      const kept = doubtful.segments[i]!
      if (overlapOf(kept, piece) === 0) continue
      // Both acknowledged the same, and were doubted for the same alone: the receiver took both or none, so the first is the one it read.
      const isAlike = IS_DECIDED_ALIKE.has(doubt) && kept.doubt === doubt && kept.ack === piece.ack
      if (!isAlike && differs(kept, piece)) {
        // Acknowledged before the other copy came: it was the one. Then all of its bytes were, also those that are still to come otherwise.
        const mayBeTrue = MAY_BE_TRUE.has(kept.doubt) || this.isAcknowledged(key, kept)
        const length = kept.bytes.length + kept.missing
        if (mayBeTrue && seqBefore(this.table.nextSeq[key]!, seqAdd(kept.seq, length)))
          this.disorders.needMarks(key).add(kept.seq, length, GapReason.conflict)
        this.refuse(doubtful.takeAt(i))
        continue
      }
      const covered = seqDistance(kept.seq, seqAdd(piece.seq, piece.end - piece.at))
      // Of the same bytes the front goes; what stands before the piece, and a FIN, stay in doubt.
      if (seqBefore(kept.seq, piece.seq)) continue
      if (covered >= kept.bytes.length && !kept.isFin) doubtful.takeAt(i)
      else doubtful.cutFront(i, Math.min(covered, kept.bytes.length))
    }
    this.disorders.account(doubtful.cost - before)
    this.forgetEmpty(key)
  }

  /**
   * A keep-alive probe that repeats the last byte of what is in doubt, as any byte (RFC 9293 section 3.8.4). Its receiver has that byte, if it
   * took what is in doubt; if it did not, the byte is missing with the rest.
   */
  isProbe(key: number, piece: SegmentPiece): boolean {
    if (piece.end - piece.at !== 1 || piece.seq === this.table.nextSeq[key]) return false
    const end = seqAdd(piece.seq, 1)
    const segments = this.disorders.doubtfulOf(key)?.segments
    return segments?.some((kept) => acknowledgesUnseen(kept) && endOf(kept) === end && differs(kept, piece)) ?? false
  }

  /**
   * A packet of the peer, taken: it may show that the peer had sent what a doubtful segment of `key` acknowledged, or had not.
   */
  settle(key: number, proof: Segment): void {
    const doubtful = this.disorders.doubtfulOf(key)
    if (doubtful === null) return
    for (let i = 0; i < doubtful.segments.length; ) {
      const kept = doubtful.segments[i]!
      const verdict = verdictOf(kept, proof, this.table.base[key ^ 1]!)
      if (verdict === 0) i++
      else if (verdict > 0) {
        this.take(key, i)
        i = 0
      } else this.drop(key, i)
    }
    this.forgetEmpty(key)
  }

  /**
   * What `segment` of `key` acknowledges was sent, as far as a doubtful segment of the peer says, and what that one acknowledges, the
   * segment shows: each of them is the other's proof, where the mirror lost what both speak of.
   */
  isMutual(key: number, segment: Segment): boolean {
    const doubtful = this.disorders.doubtfulOf(key ^ 1)
    if (doubtful === null) return false
    return doubtful.segments.some((kept) => {
      if (!acknowledgesUnseen(kept)) return false
      const isBehind = !seqBefore(segment.start, kept.ack) && !seqBefore(endOf(kept), segment.ack)
      return isBehind || (!seqBefore(kept.seq, segment.ack) && !seqBefore(segment.end, kept.ack))
    })
  }

  /** The server's SYN+ACK acknowledges data of the SYN, or does not (RFC 7413 section 4.2). */
  settleSynData(client: number, ack: number): void {
    const doubtful = this.disorders.doubtfulOf(client)
    if (doubtful === null) return
    const i = doubtful.segments.findIndex((kept) => kept.doubt === Doubt.synData)
    if (i < 0) return
    const kept = doubtful.segments[i]!
    const taken = seqDistance(kept.seq, ack)
    if (taken >= kept.bytes.length + kept.missing) this.take(client, i)
    else this.drop(client, i)
    this.forgetEmpty(client)
  }

  /** What comes of the client next goes on behind the data of its SYN: it was accepted. */
  meetBehindSyn(client: number, seq: number): void {
    const doubtful = this.disorders.doubtfulOf(client)
    const i = doubtful?.segments.findIndex((kept) => kept.doubt === Doubt.synData) ?? -1
    if (i < 0 || seqBefore(seq, endOf(doubtful!.segments[i]!))) return
    this.take(client, i)
    this.forgetEmpty(client)
  }

  /**
   * The pending gap at nextSeq is given up, and the receiver has its bytes: a copy that was kept was the one. Returns whether there was one.
   */
  takeAcknowledged(key: number): boolean {
    const doubtful = this.disorders.doubtfulOf(key)
    if (doubtful === null) return false
    const next = this.table.nextSeq[key]!
    const i = doubtful.segments.findIndex(
      (kept) => !acknowledgesUnseen(kept) && isAt(kept, next) && this.isAcknowledged(key, kept),
    )
    if (i < 0) return false
    const kept = doubtful.segments[i]!
    // Another copy of the same bytes, as doubtful: which one was taken is not known.
    this.fillPiece(kept, false)
    for (const other of doubtful.segments) {
      if (other !== kept && isAt(other, next) && differs(other, this.piece))
        this.disorders.needMarks(key).add(kept.seq, kept.bytes.length, GapReason.conflict)
    }
    this.take(key, i)
    for (let j = doubtful.segments.length - 1; j >= 0; j--) {
      if (!seqBefore(this.table.nextSeq[key]!, endOf(doubtful.segments[j]!))) this.drop(key, j)
    }
    this.forgetEmpty(key)
    return true
  }

  /**
   * Nothing more will come. What acknowledges one byte more than was seen of its peer, which nothing speaks against, acknowledges a FIN
   * that the mirror lost.
   */
  takeBehindLostFin(key: number): void {
    const doubtful = this.disorders.doubtfulOf(key)
    if (doubtful === null) return
    const fin = seqAdd(this.half.sentEnd(key ^ 1), 1)
    for (let i = 0; i < doubtful.segments.length; ) {
      const kept = doubtful.segments[i]!
      if (kept.doubt !== Doubt.ackAhead || kept.ack !== fin) i++
      else this.take(key, i)
    }
    this.forgetEmpty(key)
  }

  /** Memory is short. False: there was none. */
  dropOldest(key: number): boolean {
    if (this.disorders.doubtfulOf(key) === null) return false
    this.drop(key, 0)
    this.forgetEmpty(key)
    return true
  }

  /**
   * The connection is over: what is left was not taken, as far as can be seen.
   * @returns whether some of it may have been: then nobody knows where in a message its stream stands
   */
  dropAll(key: number): boolean {
    const mayHaveBeen = this.disorders.doubtfulOf(key)?.segments.some((kept) => MAY_BE_TRUE.has(kept.doubt)) ?? false
    while (this.dropOldest(key));
    return mayHaveBeen
  }

  /** Byte that an urgent pointer may mean: as Linux reads it, and as RFC 9293 section 3.8.5 does, one behind (RFC 6093 section 2). */
  markUrgent(key: number, seq: number, pointer: number): void {
    const first = seqAdd(seq, pointer === 0 ? 0 : pointer - 1)
    const { table } = this
    // A pointer to what was delivered already is ignored by Linux, too.
    if (seqBefore(seqAdd(first, 1), table.nextSeq[key]!)) return
    this.disorders.needMarks(key).add(first, pointer === 0 ? 1 : 2, GapReason.urgent)
    this.watched.add(key >> 1)
  }

  private isAcknowledged(key: number, kept: DoubtfulSegment): boolean {
    const isOneSided = !this.half.has(key ^ 1, Direction.seen)
    if (isOneSided) return kept.doubt === Doubt.synData
    return this.half.has(key, Direction.acked) && !seqBefore(this.table.highAck[key]!, endOf(kept))
  }

  private take(key: number, i: number): void {
    const doubtful = this.disorders.doubtfulOf(key)!
    const before = doubtful.cost
    const kept = doubtful.takeAt(i)
    this.disorders.account(doubtful.cost - before)
    if (kept.urgentPointer !== NOT_URGENT) this.markUrgent(key, kept.seq, kept.urgentPointer)
    const isAckedTo = this.half.has(key, Direction.acked) && this.table.highAck[key] === kept.seq
    this.fillPiece(kept, isAckedTo)
    // Others may be copies of the same bytes.
    this.meet(key, this.piece, kept.doubt)
    const isNews = kept.hasAck && SHOWS_PROGRESS.has(kept.doubt)
    if (isNews && this.half.acknowledge(key ^ 1, kept.ack)) this.watched.add(key >> 1)
    const length = kept.bytes.length + kept.missing
    if (length > 0) this.delivery.take(key, this.piece, length)
    if (kept.isFin) this.half.finish(key, seqAdd(kept.seq, length))
    this.half.noteSent(key, endOf(kept))
  }

  private drop(key: number, i: number): void {
    const doubtful = this.disorders.doubtfulOf(key)!
    const before = doubtful.cost
    this.refuse(doubtful.takeAt(i))
    this.disorders.account(doubtful.cost - before)
  }

  private refuse(kept: DoubtfulSegment): void {
    this.counters.add(REFUSED[kept.doubt]!)
  }

  private forgetEmpty(key: number): void {
    if (this.disorders.doubtfulOf(key)?.segments.length === 0) this.disorders.forgetDoubtful(key)
  }

  private fillPiece(kept: DoubtfulSegment, isAckedTo: boolean): void {
    const { piece } = this
    piece.bytes = kept.bytes
    piece.at = 0
    piece.end = kept.bytes.length
    piece.seq = kept.seq
    piece.ack = kept.ack
    piece.hasAck = kept.hasAck
    piece.timeUs = kept.timeUs
    piece.startsSegment = kept.startsSegment
    piece.isAckedTo = isAckedTo && kept.startsSegment
  }
}

function isAt(kept: DoubtfulSegment, seq: number): boolean {
  return !seqBefore(seq, kept.seq) && seqBefore(seq, endOf(kept))
}

function acknowledgesUnseen({ doubt }: DoubtfulSegment): boolean {
  return doubt === Doubt.ackAhead || doubt === Doubt.unanswered
}

/**
 * 1: the peer had sent what the segment acknowledges when it came; -1: it had not, though it has bytes of that place now; 0: neither is
 * shown. RFC 5961 section 5.2: what acknowledges data that was never sent is discarded.
 * @param peerBase where the peer's stream begins
 */
function verdictOf(kept: DoubtfulSegment, proof: Segment, peerBase: number): number {
  // What its receiver acknowledges was taken; of the data of a SYN see RFC 7413 section 4.2.
  const isDecidedByAck = kept.doubt === Doubt.synData || kept.doubt === Doubt.newerEcho
  if (isDecidedByAck) return proof.hasAck && !seqBefore(proof.ack, endOf(kept)) ? 1 : 0
  const isLater = proof.hasAck && seqBefore(kept.seq, proof.ack)
  const isProven = isLater && !seqBefore(proof.start, kept.ack)
  // The mirror brings the end of the handshake late, and what the server sent behind it.
  if (kept.doubt === Doubt.handshake) return isProven && seqBefore(peerBase, kept.ack) ? 1 : 0
  if (!acknowledgesUnseen(kept)) return 0
  if (kept.doubt === Doubt.unanswered) return isProven ? 1 : 0
  if (!isLater) return seqBefore(proof.end, kept.ack) ? 0 : 1
  if (isProven) return 1
  // A bare acknowledgement stands where its sender goes on; a keep-alive probe one byte back.
  if (proof.length === 0 && !proof.isFin) return seqDistance(proof.start, kept.ack) > 1 ? -1 : 0
  // Data may be sent again, in other pieces: it says nothing about how far its sender had come.
  return 0
}
