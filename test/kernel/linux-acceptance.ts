/**
 * A model of what Linux's TCP accepts on a passive socket: RFC 9293 section 3.10.7, RFC 7323 section 5 (PAWS), RFC 5961 sections 3 to 5,
 * and where Linux decides otherwise, Linux. It sees both directions in the order in which they crossed the receiver's wire: what the
 * receiver sent says where its window ends and what it acknowledged last. Held against the kernel by every scenario of `npm run
 * test:kernel`.
 *
 * Not in it: timers, memory pressure, the 24 days after which a timestamp means nothing, MPTCP (a connection that agrees on it is
 * marked), TCP-AO on kernels that are built with it.
 */
import { seqAdd, seqBefore, seqDistance } from '../../src/wire/seq.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { AheadOfHole, type Coalescing } from './ahead-of-hole.ts'
import { findOption, Option, type Seen } from './segment.ts'

export type Verdict =
  /** Taken, wholly or in part, now or to wait behind a hole. */
  | 'accepted'
  | 'ignored'
  /** Ignored, and answered with an ACK (RFC 5961). */
  | 'challenge'
  /** Ends the connection, or the handshake. */
  | 'reset'

type State = 'listen' | 'synSent' | 'synReceived' | 'open' | 'peerClosed' | 'timeWait' | 'closed'

/** What one accepted connection's application can read. */
export interface ModelledStream {
  readonly chunks: Buffer[]
  /** Offsets in the stream of bytes that were urgent: read or not, as SO_OOBINLINE has it. */
  readonly urgent: Set<number>
  /** The application may never hear of it, or what it reads is not this: MPTCP, a handshake that ended with a SYN. */
  isUndecided: boolean
  end: 'none' | 'fin' | 'reset'
}

/** What decides and does not show in what comes before. */
export interface Unseen {
  /** Whether segments behind a hole that touch become one: depends on how the driver laid them out in memory. */
  readonly coalescing: Coalescing
  /** Whether header prediction is on, which takes a segment with an old acknowledgement: depends on buffers and on what was read when. */
  predictsHeader(seen: Seen): boolean
  /** Whether the end of a handshake must echo the timestamp of a SYN+ACK: since Linux 6.14. */
  readonly checksEcho: boolean
}

const { syn, fin, rst, ack, urg } = TcpFlag
/** Tolerated by PAWS once the connection stands, ticks of the timestamp clock. */
const PAWS_SLACK = 1

export class LinuxReceiver {
  /** Accepted connections, in order. */
  readonly streams: ModelledStream[] = []
  rcvNxt = 0
  /** What the receiver acknowledged last, and where its window ends. */
  rcvWup = 0
  windowEnd = 0
  private readonly unseen: Unseen
  private state: State = 'listen'
  private irs = 0
  private iss = 0
  private sndUna = 0
  private sndNxt = 0
  private maxWindow = 0
  private clientScale = 0
  private serverScale = 0
  private hasTimestamps = false
  private hasSack = false
  private tsRecent = 0
  private ahead: AheadOfHole
  private hasSynAck = false
  /** Timestamps of the first and the last SYN+ACK: the client's end of the handshake echoes one of them. */
  private firstSynAckTime = 0
  private lastSynAckTime = 0
  private wasAsking = false
  /** Last window field that was taken. */
  private clientWindow = -1
  private hasSentFin = false
  private closedFirst = false
  private stream: ModelledStream | null = null
  /** Of the SYN, in case its data is accepted (RFC 7413). */
  private synData: Buffer = Buffer.alloc(0)
  private synOffersScale = false
  private synOffersTimestamps = false
  private synOffersSack = false
  private isMptcpOffered = false

  constructor(unseen: Unseen) {
    this.unseen = unseen
    this.ahead = new AheadOfHole(unseen.coalescing)
  }

  /** A segment that the receiver sent. */
  sent(seen: Seen): void {
    const { flags } = seen
    const scale = findOption(seen, Option.windowScale)
    if ((flags & rst) !== 0) {
      const isAbort = this.isEstablished && seqDistance(this.sndNxt, seen.seq) === 0
      const isRefusal = this.state === 'synReceived' && !this.hasSynAck
      if (isAbort || isRefusal) this.finish('reset')
      return
    }
    if ((flags & syn) !== 0) {
      if (this.isEstablished) return
      const isSynAck = (flags & ack) !== 0
      if (!isSynAck && this.state !== 'synReceived') this.state = 'synSent'
      this.iss = seen.seq
      this.sndUna = seen.seq
      this.sndNxt = seqAdd(seen.seq, 1)
      this.serverScale = scale === null ? 0 : scale[0]!
      if (!isSynAck) return
      this.hasTimestamps = this.synOffersTimestamps && findOption(seen, Option.timestamps) !== null
      this.hasSack = this.synOffersSack && findOption(seen, Option.sackPermitted) !== null
      if (!this.synOffersScale) this.clientScale = 0
      // Where both ask at once Linux keeps its own scale, whatever the other offers.
      if (!this.synOffersScale && !this.wasAsking) this.serverScale = 0
      this.lastSynAckTime = findOption(seen, Option.timestamps)?.readInt32BE(0) ?? 0
      if (!this.hasSynAck) this.firstSynAckTime = this.lastSynAckTime
      this.rcvWup = this.rcvNxt
      this.windowEnd = seqAdd(seen.ack, seen.window)
      // Data of a SYN that is acknowledged at once: Fast Open.
      const early = seqDistance(seqAdd(this.irs, 1), seen.ack)
      if (early > 0 && early <= this.synData.length && this.state === 'synReceived') {
        this.establish(findOption(seen, Option.mptcp) !== null)
        this.take(this.rcvNxt, this.synData.subarray(0, early), false)
        this.state = 'open'
      }
      this.hasSynAck = true
      this.isMptcpOffered = findOption(seen, Option.mptcp) !== null
      return
    }
    const end = seqAdd(seen.seq, seen.data.length + ((flags & fin) !== 0 ? 1 : 0))
    if (seqBefore(this.sndNxt, end)) this.sndNxt = end
    if ((flags & fin) !== 0 && this.isEstablished && !this.hasSentFin) {
      this.hasSentFin = true
      this.closedFirst = this.state === 'open'
    }
    if ((flags & ack) === 0 || !this.isEstablished) return
    this.rcvWup = seen.ack
    this.windowEnd = seqAdd(seen.ack, seen.window << this.serverScale)
  }

  /** A segment that came for it, its checksums right and its header whole. */
  segment(seen: Seen): Verdict {
    if (findOption(seen, Option.md5) !== null || seen.hasBadOptions) return 'ignored'
    switch (this.state) {
      case 'listen':
      case 'closed':
        return this.listening(seen)
      case 'synSent':
        return this.opening(seen)
      case 'synReceived':
        return this.handshaking(seen)
      case 'timeWait':
        return this.waiting(seen)
      default:
        return this.established(seen)
    }
  }

  /** Something was taken that cannot be read yet. */
  get hasHole(): boolean {
    return this.isEstablished && !this.ahead.isEmpty
  }

  get isHandshaking(): boolean {
    return this.state === 'synReceived'
  }

  get isWaiting(): boolean {
    return this.state === 'timeWait'
  }

  get isEstablished(): boolean {
    return this.state === 'open' || this.state === 'peerClosed'
  }

  private listening(seen: Seen): Verdict {
    const { flags } = seen
    if ((flags & rst) !== 0) return 'ignored'
    if ((flags & ack) !== 0) return 'ignored'
    if ((flags & syn) === 0 || (flags & fin) !== 0) return 'ignored'
    this.begin(seen)
    return 'accepted'
  }

  /** Only a SYN that cannot be an old one opens it again (RFC 6191). */
  private waiting(seen: Seen): Verdict {
    const { flags } = seen
    if ((flags & rst) !== 0) {
      if (seen.seq !== this.rcvNxt) return 'ignored'
      this.state = 'closed'
      return 'reset'
    }
    const time = findOption(seen, Option.timestamps)
    const newer = time !== null && this.hasTimestamps ? seqDistance(this.tsRecent, time.readInt32BE(0)) : 0
    const isNew = newer >= 0 && (seqBefore(this.rcvNxt, seen.seq) || newer > 0)
    if ((flags & (syn | ack)) !== syn || !isNew) return 'challenge'
    this.begin(seen)
    return 'accepted'
  }

  private begin(seen: Seen): void {
    this.irs = seen.seq
    this.rcvNxt = seqAdd(seen.seq, 1)
    this.rcvWup = this.rcvNxt
    const time = findOption(seen, Option.timestamps)
    const scale = findOption(seen, Option.windowScale)
    this.synOffersTimestamps = time !== null
    this.synOffersScale = scale !== null
    this.synOffersSack = findOption(seen, Option.sackPermitted) !== null
    this.clientScale = scale === null ? 0 : Math.min(14, scale[0]!)
    this.tsRecent = time === null ? 0 : time.readInt32BE(0)
    this.maxWindow = seen.window
    this.synData = seen.data
    this.ahead = new AheadOfHole(this.unseen.coalescing)
    this.stream = null
    this.hasSentFin = false
    this.hasSynAck = false
    this.wasAsking = false
    this.state = 'synReceived'
  }

  /** It asked itself, and may be met half-way (RFC 9293 section 3.5, simultaneous open). */
  private opening(seen: Seen): Verdict {
    const { flags } = seen
    if ((flags & ack) !== 0 && seen.ack !== this.sndNxt) return 'ignored'
    if ((flags & rst) !== 0) {
      if ((flags & ack) === 0) return 'ignored'
      this.state = 'closed'
      return 'reset'
    }
    if ((flags & syn) === 0) return 'ignored'
    const { sndNxt } = this
    this.begin(seen)
    this.wasAsking = true
    this.sndNxt = sndNxt
    if ((flags & ack) !== 0) {
      this.establish(false)
      this.sndUna = seen.ack
      this.hasTimestamps = this.synOffersTimestamps
      this.hasSack = this.synOffersSack
    }
    return 'accepted'
  }

  /** A request that waits for the handshake's end: the socket does not exist yet. */
  private handshaking(seen: Seen): Verdict {
    let { flags } = seen
    const time = this.synOffersTimestamps ? findOption(seen, Option.timestamps) : null
    const isOld = time !== null && seqBefore(time.readInt32BE(0), this.tsRecent)
    if (seen.seq === this.irs && (flags & (syn | ack | rst | fin)) === syn && !isOld) return 'ignored'
    if ((flags & (ack | rst)) === ack && seen.ack !== this.sndNxt) return 'ignored'
    const end = endOf(seen)
    const echo = time === null || this.wasAsking || !this.unseen.checksEcho ? 0 : time.readInt32BE(4)
    const isEchoWrong = echo !== 0 && (seqBefore(echo, this.firstSynAckTime) || seqBefore(this.lastSynAckTime, echo))
    if (isOld || isEchoWrong || !overlapsWindow(seen.seq, end, this.rcvNxt, this.windowEnd))
      return (flags & rst) !== 0 ? 'ignored' : 'challenge'
    if (time !== null && !seqBefore(this.rcvNxt, seen.seq)) this.tsRecent = time.readInt32BE(0)
    if (seen.seq === this.irs) flags &= ~syn
    if ((flags & rst) !== 0 && seen.seq !== this.rcvNxt) return 'challenge'
    if ((flags & (rst | syn)) !== 0) {
      this.state = 'closed'
      return 'reset'
    }
    if ((flags & ack) === 0) return 'ignored'
    // With a SYN in it the segment makes the connection, and is refused by it: the listener is not woken.
    const hasSyn = (seen.flags & syn) !== 0
    this.establish(this.isMptcpOffered || hasSyn)
    this.sndUna = seen.ack
    this.clientWindow = seen.window
    this.maxWindow = Math.max(this.maxWindow, seen.window << this.clientScale)
    return hasSyn ? 'challenge' : this.receive(seen, flags)
  }

  private establish(isUndecided: boolean): void {
    this.stream = { chunks: [], urgent: new Set(), isUndecided, end: 'none' }
    this.streams.push(this.stream)
    this.state = 'open'
  }

  private established(seen: Seen): Verdict {
    const { flags, seq } = seen
    if ((flags & (ack | rst | syn)) === 0) return 'ignored'
    const time = this.hasTimestamps ? findOption(seen, Option.timestamps) : null
    const behind = time === null ? 0 : seqDistance(time.readInt32BE(0), this.tsRecent)
    // PAWS, not for a reset (RFC 7323 section 5.2).
    if (behind > PAWS_SLACK && this.tsRecent !== 0 && (flags & rst) === 0) return 'challenge'
    const end = endOf(seen)
    const isInWindow = !seqBefore(end, this.rcvWup) && !seqBefore(this.windowEnd, seq)
    if ((flags & rst) !== 0) {
      const isLast = this.state === 'peerClosed' && seq === seqAdd(this.rcvNxt, -1)
      const isExact = isInWindow && (seq === this.rcvNxt || (this.hasSack && seq === this.ahead.end))
      if (!isExact && !isLast) return isInWindow ? 'challenge' : 'ignored'
      this.finish('reset')
      return 'reset'
    }
    if ((flags & syn) !== 0) return 'challenge'
    if (!isInWindow || seqBefore(this.windowEnd, end)) return 'challenge'
    // RFC 5961 section 5: acknowledgements from before the largest window, or of what was never sent.
    const old = seqDistance(seen.ack, this.sndUna)
    if (
      old > 0 &&
      !this.isPredicted(seen) &&
      old > Math.min(this.maxWindow, seqDistance(seqAdd(this.iss, 1), this.sndUna))
    )
      return 'challenge'
    if (seqBefore(this.sndNxt, seen.ack)) return 'ignored'
    if (old <= 0) {
      this.sndUna = seen.ack
      this.clientWindow = seen.window
      this.maxWindow = Math.max(this.maxWindow, seen.window << this.clientScale)
      if (time !== null && behind <= 0 && !seqBefore(this.rcvWup, seq)) this.tsRecent = time.readInt32BE(0)
    }
    const verdict = this.state === 'peerClosed' ? 'ignored' : this.receive(seen, flags)
    const isOver = (this.state as State) === 'peerClosed' && this.hasSentFin && seen.ack === this.sndNxt
    if (isOver) this.state = this.closedFirst ? 'timeWait' : 'closed'
    return verdict
  }

  /**
   * Header prediction: what comes in order and changes nothing else is queued whatever its acknowledgement says, however old. Whether
   * it is on depends on more than the wire shows; this is nearly right.
   */
  private isPredicted(seen: Seen): boolean {
    return (
      this.state === 'open' &&
      !this.hasSentFin &&
      seen.seq === this.rcvNxt &&
      (seen.flags & (syn | fin | urg | 0xc0)) === 0 &&
      seen.window === this.clientWindow &&
      this.ahead.isEmpty &&
      this.unseen.predictsHeader(seen) &&
      seen.options.length === (this.hasTimestamps ? 1 : 0)
    )
  }

  private receive(seen: Seen, flags: number): Verdict {
    const isFin = (flags & fin) !== 0
    if ((flags & urg) !== 0) this.urgent(seen)
    if (seen.data.length === 0 && !isFin) return 'accepted'
    const end = seqAdd(seen.seq, seen.data.length + (isFin ? 1 : 0))
    if (!seqBefore(this.rcvNxt, end)) return 'ignored'
    if (seqDistance(this.rcvNxt, this.windowEnd) <= 0 && !(isFin && seen.data.length === 0)) return 'ignored'
    if (seqBefore(this.rcvNxt, seen.seq)) {
      if (!seqBefore(seen.seq, this.windowEnd)) return 'ignored'
      this.ahead.insert(seen.seq, seen.data, isFin)
      return 'accepted'
    }
    this.take(seen.seq, seen.data, isFin)
    for (let next = this.ahead.next(this.rcvNxt); next !== null; next = this.ahead.next(this.rcvNxt))
      this.take(next.seq, next.data, next.isFin)
    return 'accepted'
  }

  /** Begins at or below what is expected, ends behind it. */
  private take(seq: number, data: Buffer, isFin: boolean): void {
    const rest = data.subarray(seqDistance(seq, this.rcvNxt))
    if (this.state === 'peerClosed') return
    this.stream?.chunks.push(rest)
    this.rcvNxt = seqAdd(this.rcvNxt, rest.length)
    if (!isFin) return
    this.rcvNxt = seqAdd(this.rcvNxt, 1)
    this.state = 'peerClosed'
    if (this.stream !== null) this.stream.end = 'fin'
    // What stands behind the FIN is none of the stream.
    this.ahead = new AheadOfHole(this.unseen.coalescing)
  }

  /** The pointer names the byte behind the urgent one (RFC 6093 section 3.1, as Linux reads it). */
  private urgent(seen: Seen): void {
    const at = seqAdd(seen.seq, seen.urgent === 0 ? 0 : seen.urgent - 1)
    if (seqBefore(at, this.rcvNxt)) return
    this.stream?.urgent.add(seqDistance(seqAdd(this.irs, 1), at))
  }

  private finish(how: 'fin' | 'reset'): void {
    if (this.stream !== null) this.stream.end = how
    this.stream = null
    this.state = 'closed'
  }
}

function endOf({ seq, data, flags }: Seen): number {
  return seqAdd(seq, data.length + ((flags & syn) !== 0 ? 1 : 0) + ((flags & fin) !== 0 ? 1 : 0))
}

function overlapsWindow(seq: number, end: number, from: number, to: number): boolean {
  if (seq === from) return true
  if (seqBefore(from, end) && seqBefore(seq, to)) return true
  return seq === to && seq === end
}
