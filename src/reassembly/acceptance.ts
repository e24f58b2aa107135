/**
 * Which segments the receiver takes: what Linux does in a synchronised state (RFC 9293 section 3.10.7.4, RFC 7323 section 5, RFC 5961),
 * judged by an observer who sees neither side's variables, but what both have shown of them.
 *
 *   no ACK flag, and neither SYN nor RST        discarded
 *   MD5 option without a key, or none with it   discarded (RFC 2385)
 *   timestamp older than the last in order      doubtful: discarded, unless the mirror brings it late
 *   beyond the window                           doubtful: discarded, unless the mirror brings the window late
 *   acknowledges what was not sent              doubtful: discarded, unless the mirror lost or delays what was sent
 *   acknowledges what is older than any window  doubtful, as an old timestamp is
 */
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import { Counter } from '../metrics/counters.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import { Doubt } from './doubtful-segments.ts'
import { type HalfStreams, isShortlyBefore, UNSCALED_WINDOW } from './half-stream.ts'
import type { Segment } from './segment.ts'

/** Linux lets a timestamp be older by one tick (TCP_PAWS_WINDOW). */
const PAWS_TOLERANCE = 1

/** So many of the last window are beyond the largest, too. Chosen: windows grow by less while they are seen. */
const CLEARLY_OLD = 4

/** What a SYN says of the connection besides its number. */
export interface OfferedOptions {
  readonly windowScale: number
  readonly isSackPermitted: boolean
  readonly hasTimestamps: boolean
  readonly tsval: number
  readonly hasMd5: boolean
  readonly hasAuthentication: boolean
}

/** What `judge` returns: REFUSED + counter, DOUBTFUL + doubt, or one of these. */
export const Verdict = {
  taken: 0,
  /** A bare acknowledgement that says nothing: repeated, late or forged. */
  empty: 1,
} as const
export const DOUBTFUL = 1 << 8
export const REFUSED = 1 << 16

export class Acceptance {
  private readonly table: FlowTable
  private readonly half: HalfStreams

  constructor(table: FlowTable, half: HalfStreams) {
    this.table = table
    this.half = half
  }

  /** The first packets of a connection say whether its sides sign, and agree on timestamps, windows and SACK. */
  noteHandshake(key: number, segment: Segment): void {
    this.noteOptions(key, segment.options, segment.isSyn, segment.hasAck)
  }

  /** @param isAnswer a SYN+ACK */
  noteOptions(key: number, options: OfferedOptions, isSyn: boolean, isAnswer: boolean): void {
    const { table } = this
    const slot = key >> 1
    if (isSyn || (table.flags[slot]! & Flow.signingKnown) === 0) {
      table.flags[slot]! &= ~Flow.signed
      table.flags[slot]! |= Flow.signingKnown | (options.hasMd5 || options.hasAuthentication ? Flow.signed : 0)
    }
    if (!isSyn) return
    if (options.hasTimestamps) table.tsRecent[key] = options.tsval
    else table.flags[slot]! |= Flow.withoutTimestamps
    let flags = table.directionFlags[key]! & ~(Direction.scales | Direction.scaleKnown | Direction.sack)
    if (options.windowScale >= 0) flags |= Direction.scales
    if (options.isSackPermitted) flags |= Direction.sack
    table.windowScale[key] = Math.max(0, options.windowScale)
    table.directionFlags[key] = flags | Direction.syn | (isAnswer ? 0 : Direction.opened)
    this.agreeOnScale(key, isAnswer)
  }

  /** One of Verdict, DOUBTFUL + one of Doubt, or REFUSED + one of Counter. For packets without SYN and RST, of a known direction. */
  judge(key: number, segment: Segment): number {
    if (!segment.hasAck) return REFUSED + Counter.segmentsWithoutAck
    const signing = this.judgeSignature(key, segment)
    if (signing !== Verdict.taken) return signing
    const isBare = segment.length === 0 && !segment.isFin
    const doubt = this.doubtOf(key, segment)
    if (doubt < 0) return Verdict.taken
    return isBare ? Verdict.empty : DOUBTFUL + doubt
  }

  /** Whether a signed connection discards what is not signed, and the reverse (RFC 2385 section 2.0). */
  judgeSignature(key: number, segment: Segment): number {
    const flags = this.table.flags[key >> 1]!
    if ((flags & Flow.signingKnown) === 0) return Verdict.taken
    const { hasMd5, hasAuthentication } = segment.options
    const isSigned = hasMd5 || hasAuthentication
    if (isSigned === ((flags & Flow.signed) !== 0)) return Verdict.taken
    return hasAuthentication ? DOUBTFUL + Doubt.authentication : REFUSED + Counter.segmentsUnsigned
  }

  /** Of a RST: whether the receiver ends the connection by it. RFC 5961 section 3.2, and what Linux adds to it. */
  isResetTaken(key: number, segment: Segment): boolean {
    const { table, half } = this
    const peer = key ^ 1
    if (!half.has(key, Direction.known) || !half.has(key, Direction.syn | Direction.seen)) {
      // The response to a SYN: it acknowledges that SYN (RFC 9293 section 3.10.7.3).
      const isAnswer = segment.hasAck && half.has(peer, Direction.syn) && !half.hasMoved(peer)
      if (isAnswer && segment.ack === half.sentEnd(peer)) return true
      if (!half.has(key, Direction.known)) return false
    }
    const { seq } = segment
    const next = table.nextSeq[key]!
    if (half.has(key, Direction.fin)) {
      // After the FIN, or, where the receiver has closed too, at it.
      const behindFin = seqDistance(table.finSeq[key]!, seq)
      if (behindFin === 0 || behindFin === 1) return true
    }
    if (seq === next) return true
    return half.has(key, Direction.acked) && seq === table.highAck[key] && isShortlyBefore(next, seq)
  }

  /** The timestamp of what came in order is the one that the next is compared with (RFC 7323 section 4.3). */
  noteTimestamp(key: number, segment: Segment): void {
    const { table } = this
    const { options } = segment
    // What a server refuses before its connection is open it answers with new timestamps: they are not those of its SYN+ACK.
    if (segment.end === segment.start && !segment.isSyn && this.isOpening(key)) return
    if (!options.hasTimestamps || seqBefore(table.nextSeq[key]!, segment.start)) return
    const recent = table.tsRecent[key]! | 0
    if (recent === 0 || ((options.tsval - recent) | 0) > 0) table.tsRecent[key] = options.tsval
  }

  /** One of Doubt, or -1. */
  private doubtOf(key: number, segment: Segment): number {
    const { table, half } = this
    const peer = key ^ 1
    if (this.isTimestampOld(key, segment)) return Doubt.oldTimestamp
    if (!half.isWithinWindow(key, seqAdd(segment.start, segment.length))) return Doubt.beyondWindow
    if (!half.has(peer, Direction.known | Direction.seen))
      return (table.flags[key >> 1]! & Flow.unanswered) !== 0 ? Doubt.unanswered : -1
    const refused = this.isOpening(peer) ? this.doubtOfHandshake(key, segment) : -1
    if (refused >= 0) return refused
    const sent = half.sentEnd(peer)
    if (seqBefore(sent, segment.ack)) return segment.length === 0 && !segment.isFin ? -1 : Doubt.ackAhead
    if (!half.has(peer, Direction.acked)) return -1
    // Acknowledgements that were seen and are themselves not beyond what was sent.
    const una = seqBefore(sent, table.highAck[peer]!) ? sent : table.highAck[peer]!
    const behind = seqDistance(segment.ack, una)
    if (behind <= 0) return -1
    // RFC 5961 section 5.2; what stands before the peer's whole stream was never sent either.
    const isBeforeAll = half.has(peer, Direction.syn) && behind > seqDistance(table.base[peer]!, una)
    // Windows of a connection that began unseen are not known: nothing speaks for more than an unscaled one, and nothing is clear.
    const isKnown = half.has(peer, Direction.bounded)
    const window = isKnown ? half.windowOf(peer) : UNSCALED_WINDOW
    // The rule is about the largest window there was; only the last is known. Older kernels know no beginning.
    if (isKnown && behind > CLEARLY_OLD * window) return Doubt.oldAck
    return behind > window || isBeforeAll ? Doubt.unclearAck : -1
  }

  /**
   * What opens the connection stands behind the SYN, acknowledges the SYN+ACK and nothing else (RFC 9293 section 3.10.7.4, SYN-RECEIVED),
   * and echoes its timestamp: newer ones are those of refusals (Linux since 6.15), or of a SYN+ACK that was sent again and not captured.
   */
  private doubtOfHandshake(key: number, segment: Segment): number {
    const { table, half } = this
    const peer = key ^ 1
    if (!half.has(key, Direction.opened) || half.hasMoved(peer)) return -1
    if (segment.ack !== table.base[peer] || seqBefore(segment.start, table.base[key]!)) return Doubt.handshake
    const { hasTimestamps, tsecr } = segment.options
    const answered = table.tsRecent[peer]! | 0
    const isNewer = hasTimestamps && segment.length > 0 && tsecr !== 0 && answered !== 0 && seqBefore(answered, tsecr)
    return isNewer ? Doubt.newerEcho : -1
  }

  /** The SYN+ACK was sent, and nothing seen that completes the handshake: neither its acknowledgement, nor one of the server behind the SYN. */
  private isOpening(server: number): boolean {
    const { table } = this
    const client = server ^ 1
    if ((table.directionFlags[server]! & (Direction.syn | Direction.opened | Direction.acked)) !== Direction.syn)
      return false
    return !this.half.has(client, Direction.acked) || !seqBefore(table.base[client]!, table.highAck[client]!)
  }

  private isTimestampOld(key: number, segment: Segment): boolean {
    const { table } = this
    if (!segment.options.hasTimestamps || (table.flags[key >> 1]! & Flow.withoutTimestamps) !== 0) return false
    const recent = table.tsRecent[key]! | 0
    return recent !== 0 && ((recent - segment.options.tsval) | 0) > PAWS_TOLERANCE
  }

  /** RFC 7323 section 2.2: scaled by both, or by none. A SYN+ACK offers it only where the SYN did. */
  private agreeOnScale(key: number, isAnswer: boolean): void {
    const { table, half } = this
    const peer = key ^ 1
    if (!half.has(key, Direction.scales)) {
      table.windowScale[key] = table.windowScale[peer] = 0
      table.directionFlags[key]! |= Direction.scaleKnown
      table.directionFlags[peer]! |= Direction.scaleKnown
      return
    }
    if (isAnswer) table.directionFlags[key]! |= Direction.scaleKnown
    if (!half.has(peer, Direction.syn)) return
    if (!half.has(peer, Direction.scales)) table.windowScale[key] = 0
    table.directionFlags[key]! |= Direction.scaleKnown
    table.directionFlags[peer]! |= Direction.scaleKnown
  }
}
