/**
 * HTTP/1 on one captured connection: which side asks, one parser a direction, and which response belongs to which request as
 * far as framing needs it (HEAD, CONNECT, upgrades).
 */
import { RequestDrop, ResponseDrop } from '../base/drop.ts'
import { CONNECTION_BYTES } from '../base/memory-weights.ts'
import { MessageFlag, type MessageView } from '../exchange/message.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { End, type StreamConsumer, type StreamPiece } from '../reassembly/stream-consumer.ts'
import { beginsWithRequestLine, beginsWithStatusLine } from './head.ts'
import { PENDING_BYTES } from './http-memory.ts'
import { isSocksHandshake, isTlsRecord, type Protocol, type ProtocolCensus, recogniseProtocol } from './protocol.ts'
import { type ParserContext, type RequestEvents, RequestParser } from './request-parser.ts'
import { Body, type ResponseEvents, ResponseParser } from './response-parser.ts'
import type { TunnelRegister } from './tunnel-register.ts'

/** A request whose answer may still come, in the order sent. `attachment` belongs to whoever pairs exchanges. */
export interface PendingRequest {
  readonly isHead: boolean
  readonly isConnect: boolean
  /** Asks for an upgrade to h2c and nothing else: what follows an accepted one begins with bytes that are no HTTP/1. */
  readonly isH2c: boolean
  /** What the client had acknowledged when it sent the first byte: a response that begins there answers this request. */
  readonly ackedTo: number | null
  /** Requests in front of it were lost: whether a response is its own, or theirs, must be proven. */
  isBehindLoss: boolean
  /** Sequence number behind its last byte, once complete. */
  endSeq: number
  state: 'reading' | 'complete' | 'dropped'
  /** The head of its final answer was seen, and HTTP goes on behind it. */
  isAnswered: boolean
  attachment: unknown
}

/** What the stage behind (pairing, sinks) hears of one connection. Views and bytes are lent. */
export interface HttpEvents {
  request(view: MessageView, pending: PendingRequest): void
  requestDropped(pending: PendingRequest | null): void
  /** @param pending null: the request was not seen */
  responseHead(view: MessageView, pending: PendingRequest | null): void
  responseBody(bytes: Buffer, at: number, end: number): void
  /** @param timeUs of its last byte */
  responseEnd(pending: PendingRequest | null, isComplete: boolean, timeUs: number): void
  /** The answers to these requests will not be recognised. */
  responsesMissed(pending: readonly PendingRequest[]): void
  closed(): void
}

export interface HttpContext extends ParserContext {
  readonly counters: CounterBlock
  readonly census: ProtocolCensus
  readonly tunnels: TunnelRegister
  readonly upgradeWaitUs: number
  /** Server ports taken; null: any. */
  ports: ReadonlySet<number> | null
  /** Requests recognised and not yet complete or dropped, over all connections. */
  requestsInParsing: number
}

/** Requests without an answer kept for pairing: a connection whose responses are not mirrored must not grow for ever. */
const MAX_PENDING = 1024
/** Ports below are for services (RFC 6335 section 6): clients are not given them. */
const SYSTEM_PORTS = 1024

const Mode = {
  /** Which side asks is not known yet. */
  undecided: 0,
  http: 1,
  /** HTTP has ended: a tunnel, another protocol, or a port that is not taken. */
  over: 2,
} as const

export class HttpConnection implements StreamConsumer, RequestEvents, ResponseEvents {
  private mode: number = Mode.undecided
  private client = -1
  private readonly context: HttpContext
  private readonly flowHash: number
  private readonly ports: readonly [number, number]
  private readonly openEvents: (clientDirection: number) => HttpEvents
  /** The start of the connection was not seen. */
  private readonly beganInMiddle: boolean
  private events: HttpEvents | null = null
  private requests: RequestParser | null = null
  private responses: ResponseParser | null = null
  private readonly pending: PendingRequest[] = []
  /** The last request whose head was read. */
  private last: PendingRequest | null = null
  /** The request being read, and the one whose response is being read. */
  private reading: PendingRequest | null = null
  private answering: PendingRequest | null = null
  /** The response being read is an interim one: its request waits on. */
  private isInterim = false
  /** The connection began with a SOCKS handshake: HTTP may follow it. */
  private isProxied = false
  /** The client's first bytes are no request; what the server says decides what they were. */
  private isUnknown = false
  /** A gap hid responses while several requests were pending: pairing goes on only where acknowledgements prove it. */
  private responsesUnsure = false
  /** A gap hid requests since the last one that was read. */
  private requestsWereLost = false
  /** The response being read turns the connection into a tunnel. */
  private isTunnel = false
  /** The CONNECT or upgrade behind which reading waits for the answer. */
  private waitingFor: PendingRequest | null = null
  private waitingSinceUs = 0
  /** What the server sent last let the requests go on. */
  private hasResumed = false
  private nowUs = 0
  private hadData = false
  /** By direction: its first data of a connection that began in the middle was seen. */
  private readonly seenData: [boolean, boolean]
  /** What was not seen may have been the beginning of a tunnel: nothing is a request before the server has answered in HTTP. */
  private readonly isInside: boolean
  /** Counter that takes bytes once HTTP is over. */
  private overCounter: number = Counter.otherProtocolBytes

  /**
   * @param ports of the endpoints that send in direction 0 and 1
   * @param clientDirection -1 where the start of the connection was not seen
   * @param isInside its first data may lie in the middle of a message or in a tunnel, and is evidence of nothing
   */
  constructor(
    context: HttpContext,
    flowHash: number,
    ports: readonly [number, number],
    clientDirection: number,
    openEvents: (clientDirection: number) => HttpEvents,
    isInside = false,
  ) {
    this.context = context
    this.flowHash = flowHash
    this.ports = ports
    this.openEvents = openEvents
    this.seenData = [isInside, isInside]
    this.isInside = isInside
    this.beganInMiddle = clientDirection < 0
    context.memory.connection(CONNECTION_BYTES)
    if (clientDirection >= 0) {
      context.tunnels.delete(flowHash)
      this.decide(clientDirection, false, false, false)
    } else if (context.tunnels.has(flowHash)) this.over(Counter.tunnelBytes)
  }

  // --- StreamConsumer ------------------------------------------------------------------------------------------------------

  data(direction: number, piece: StreamPiece): number {
    this.nowUs = piece.timeUs
    if (this.mode === Mode.undecided && !this.tryDecide(direction, piece)) return piece.end - piece.at
    if (!this.hadData) this.correctClient(direction, piece)
    this.hadData = true
    if (this.mode === Mode.over) {
      this.context.counters.add(this.overCounter, piece.end - piece.at)
      return piece.end - piece.at
    }
    if (direction === this.client) {
      const taken = this.requests!.data(piece)
      // Whoever takes over this flow after a crash must not begin anew behind an ambiguous message either.
      if (this.requests!.isStopped) this.context.tunnels.add(this.flowHash)
      return taken
    }
    this.hasResumed = false
    return this.responses!.data(piece)
  }

  gap(direction: number, length: number, wasCut: boolean): void {
    this.seenData[direction] = true
    this.hadData = true
    if (this.mode !== Mode.http) return
    if (direction === this.client) this.requests!.gap(length, wasCut ? RequestDrop.truncated : RequestDrop.gap)
    else this.responses!.gap(length, wasCut ? ResponseDrop.truncated : ResponseDrop.gap)
  }

  end(direction: number, reason: number): void {
    if (this.mode !== Mode.http) return
    if (direction === this.client) this.requests!.end(reason)
    else {
      // The end may complete the very answer that is waited for.
      this.responses!.end(reason)
      if (this.requests!.isWaiting) this.answerIsMissing()
    }
  }

  close(reason: number): void {
    if (this.mode === Mode.http) {
      this.requests!.end(reason)
      this.responses!.end(reason)
    }
    if (this.isUnknown) this.context.census.add('unknown', this.ports[this.client ^ 1]!)
    // A silent tunnel that goes on later begins in the middle, and must still be known as one; so must one of which so much was lost
    // that it looks like another connection.
    const mayGoOn = reason === End.expired || reason === End.evicted || reason === End.replaced
    if (!mayGoOn && this.mode !== Mode.undecided) this.context.tunnels.delete(this.flowHash)
    this.events?.closed()
    this.context.memory.connection(-CONNECTION_BYTES - this.pending.length * PENDING_BYTES)
    this.pending.length = 0
  }

  waitsForPeer(direction: number): boolean {
    if (this.mode !== Mode.http) return false
    // Behind a loss of requests an answer that the client had heard may say that what it sends is none: the consent to a tunnel.
    if (direction === this.client) return this.requests!.isLost
    // While requests wait for an answer, that answer may acknowledge bytes which are held back.
    return !this.requests!.isWaiting
  }

  isWaiting(direction: number): boolean {
    return this.mode === Mode.http && direction === this.client && this.requests!.isWaiting
  }

  giveUpWaiting(): void {
    if (this.mode === Mode.http && this.requests!.isWaiting) this.answerIsMissing()
  }

  get isIdle(): boolean {
    return this.mode !== Mode.http || this.requests!.isIdle
  }

  get isAtBoundary(): boolean {
    // Another protocol is recognised again by its own bytes; a tunnel's may be anything.
    if (this.mode === Mode.over) return this.overCounter !== Counter.tunnelBytes
    if (this.mode !== Mode.http || !this.requests!.isAtBoundary) return false
    // Text in an answer is no request where its sender's port is no client's.
    return this.responses!.isAtBoundary || !this.mayAsk(this.client ^ 1)
  }

  get wantsTick(): boolean {
    return this.mode === Mode.http && this.requests!.isWaiting
  }

  tick(nowUs: number): void {
    if (this.wantsTick && nowUs - this.waitingSinceUs >= this.context.upgradeWaitUs) this.answerIsMissing()
  }

  // --- who asks ----------------------------------------------------------------------------------------------------------------

  /** A connection whose start was not seen: the first whole request line or status line says which side is which. */
  private tryDecide(direction: number, piece: StreamPiece): boolean {
    const { bytes, at, end } = piece
    const isFirst = !this.seenData[direction]
    this.seenData[direction] = true
    const isProven = piece.startsSegment && (isFirst || piece.isAckedTo)
    if (piece.startsSegment && (this.isInside || !isProven) && this.mayBeHiddenConsent(bytes, at, end))
      this.tunnelBegins(null)
    else if (isProven && !this.isInside && this.mayAsk(direction) && beginsWithRequestLine(bytes, at, end))
      this.decide(direction, true, isFirst, !this.seenData[direction ^ 1])
    else if (isProven && beginsWithStatusLine(bytes, at, end))
      this.decide(direction ^ 1, true, !this.seenData[direction ^ 1], isFirst)
    else if (isFirst && isTlsRecord(bytes, at, end)) this.isOther('tls', Math.min(this.ports[0], this.ports[1]))
    else {
      this.context.counters.add(Counter.resyncUnproven, end - at)
      return false
    }
    return true
  }

  /**
   * A request does not come from a system port to a port above: what looks like one there is part of an answer, the text of a request in a
   * download, say, whoever put it there.
   */
  private mayAsk(direction: number): boolean {
    return this.ports[direction]! >= SYSTEM_PORTS || this.ports[direction ^ 1]! < SYSTEM_PORTS
  }

  /** Whoever asks first is the client, whoever opened the connection. */
  private correctClient(direction: number, piece: StreamPiece): void {
    if (
      this.mode !== Mode.http ||
      direction === this.client ||
      !beginsWithRequestLine(piece.bytes, piece.at, piece.end)
    )
      return
    this.decide(direction, false, false, false)
  }

  private decide(client: number, startsInMiddle: boolean, requestMayBegin: boolean, responseMayBegin: boolean): void {
    this.client = client
    const serverPort = this.ports[client ^ 1]!
    if (this.context.ports !== null && !this.context.ports.has(serverPort)) {
      this.over(Counter.otherProtocolBytes)
      return
    }
    this.mode = Mode.http
    this.requests = new RequestParser(this.context, this, startsInMiddle, requestMayBegin)
    this.responses = new ResponseParser(this.context, this, startsInMiddle, responseMayBegin)
  }

  private isOther(protocol: Protocol, serverPort: number): void {
    this.context.census.add(protocol, serverPort)
    this.over(Counter.otherProtocolBytes)
  }

  /** HTTP ends on the connection. */
  private over(counter: number): void {
    if (this.mode === Mode.http) {
      this.requests!.stop()
      this.responses!.stop()
    }
    this.mode = Mode.over
    this.overCounter = counter
  }

  private get open(): HttpEvents {
    this.events ??= this.openEvents(this.client)
    return this.events
  }

  // --- requests ----------------------------------------------------------------------------------------------------------------

  requestBegan(): void {
    this.context.counters.add(Counter.requestsParsed)
    this.context.requestsInParsing++
  }

  requestHead(view: MessageView, ackedTo: number | null): void {
    const { flags } = view
    const pending: PendingRequest = {
      isHead: isHead(view),
      isConnect: (flags & MessageFlag.connect) !== 0,
      isH2c: (flags & (MessageFlag.upgrade | MessageFlag.foreignUpgrade)) === MessageFlag.upgrade,
      ackedTo,
      isBehindLoss: this.requestsWereLost,
      endSeq: 0,
      state: 'reading',
      isAnswered: false,
      attachment: null,
    }
    this.requestsWereLost = false
    this.last = pending
    this.reading = pending
    const { memory } = this.context
    const mustForget = this.pending.length >= MAX_PENDING || (this.pending.length > 0 && !memory.hasRoomForPending)
    if (mustForget) {
      this.responsesUnsure = true
      this.open.responsesMissed(this.forget(1))
    }
    memory.connection(PENDING_BYTES)
    this.pending.push(pending)
  }

  requestComplete(view: MessageView, endSeq: number): void {
    const pending = this.reading!
    this.reading = null
    pending.endSeq = endSeq
    pending.state = 'complete'
    const { counters } = this.context
    this.context.requestsInParsing--
    counters.add(Counter.requestBodyBytes, view.bodyBytes)
    this.open.request(view, pending)
  }

  requestsWait(): void {
    const asked = this.last!
    if (asked.isAnswered) {
      // Refused before its body was complete.
      this.requests!.resume()
      return
    }
    this.waitingFor = asked
    this.waitingSinceUs = this.nowUs
    // Until the answer refuses: whoever takes over this flow after a crash must not read a tunnel as requests.
    this.context.tunnels.add(this.flowHash)
  }

  requestsLost(): void {
    this.requestsWereLost = true
  }

  requestDropped(reason: number): void {
    const { counters } = this.context
    this.context.requestsInParsing--
    counters.requestDrop(reason)
    const pending = this.reading
    this.reading = null
    if (pending !== null) pending.state = 'dropped'
    this.open.requestDropped(pending)
  }

  requestsAreOther(bytes: Buffer, at: number, end: number): boolean {
    if (isSocksHandshake(bytes, at, end)) {
      this.isProxied = true
      return true
    }
    const protocol = recogniseProtocol(bytes, at, end)
    // To a request it cannot read an HTTP server answers in HTTP.
    if (protocol === 'unknown') this.isUnknown = true
    else this.isOther(protocol, this.ports[this.client ^ 1]!)
    return false
  }

  requestBytesSkipped(bytes: number, afterAmbiguous: boolean): void {
    this.skipped(bytes, afterAmbiguous)
  }

  private skipped(bytes: number, afterAmbiguous: boolean): void {
    const behindFault = this.isUnknown ? Counter.otherProtocolBytes : Counter.afterAmbiguous
    const counter = afterAmbiguous ? behindFault : Counter.resyncUnproven
    this.context.counters.add(this.mode === Mode.over ? this.overCounter : counter, bytes)
  }

  // --- responses -----------------------------------------------------------------------------------------------------------------

  responseHead(view: MessageView, seq: number, ack: number | null): number {
    const { counters } = this.context
    counters.add(Counter.responsesParsed)
    counters.add(Counter.responsesHeld)
    const { status } = view
    this.isUnknown = false
    this.isInterim = status < 200 && status !== 101
    const pending = this.pairOf(seq, ack)
    this.answering = pending
    if (!this.isInterim && pending !== null) {
      this.pending.shift()
      this.context.memory.connection(-PENDING_BYTES)
    }
    this.open.responseHead(view, pending)
    this.isTunnel = status === 101 || (pending?.isConnect === true && status >= 200 && status < 300)
    if (this.isTunnel) return Body.tunnel
    if (pending !== null && !this.isInterim) this.httpGoesOn(pending)
    else if (this.mayBeUnseenConsent(view)) this.endRequests()
    return this.isInterim || status === 204 || status === 304 || pending?.isHead === true ? Body.none : Body.stated
  }

  /**
   * A success without a length, to a request that was not seen: the consent to a CONNECT (RFC 9110 section 9.3.6), or a body that lasts
   * until the server closes. Behind neither comes a request that would be answered.
   */
  private mayBeUnseenConsent(view: MessageView): boolean {
    if (this.answering !== null || !this.mayHaveLostRequests) return false
    const { status } = view
    return status >= 200 && status < 300 && status !== 204 && !view.has(MessageFlag.hasLength | MessageFlag.chunked)
  }

  /**
   * What a response that cannot be proven to be one would say: it may end the requests, and nothing else. In the body of an answer to a
   * request that was not seen, too: to HEAD there would be no body.
   */
  responseUnproven(bytes: Buffer, at: number, end: number): void {
    if (this.answering === null && this.mayBeHiddenConsent(bytes, at, end)) this.endRequests()
  }

  private endRequests(): void {
    this.context.tunnels.add(this.flowHash)
    this.requests!.stop()
  }

  /** The same of a segment where a response may begin; of one that is cut or malformed, nobody can tell what was asked. */
  private mayBeHiddenConsent(bytes: Buffer, at: number, end: number): boolean {
    if (!this.mayHaveLostRequests || !beginsWithStatusLine(bytes, at, end)) return false
    const { reader, view } = this.context
    const headEnd = reader.response(bytes, at, end, view)
    if (view.status === 101) return true
    return headEnd < 0 ? this.isInside : this.mayBeUnseenConsent(view)
  }

  /** Requests were not seen whose answer may still come. */
  private get mayHaveLostRequests(): boolean {
    return this.requestsWereLost || this.beganInMiddle || this.pending[0]?.isBehindLoss === true
  }

  /** What waits in front of the next answer goes first. */
  get responsesPause(): boolean {
    return this.hasResumed
  }

  responseBody(bytes: Buffer, at: number, end: number): void {
    this.events!.responseBody(bytes, at, end)
  }

  responseEnd(fault: number, timeUs: number): void {
    this.nowUs = timeUs
    const { counters } = this.context
    counters.add(Counter.responsesHeld, -1)
    if (fault === 0) counters.add(Counter.responsesCompleted)
    else counters.responseDrop(fault)
    const pending = this.answering
    this.answering = null
    this.events!.responseEnd(this.isInterim ? null : pending, fault === 0, timeUs)
    if (this.isTunnel) this.tunnelBegins(pending)
  }

  responseDropped(fault: number, status: number): void {
    this.context.counters.add(Counter.responsesParsed)
    this.context.counters.responseDrop(fault)
    // Malformed as it is, the client may have taken it for the consent to a tunnel: what follows is no request then.
    if (status === 101 || (status >= 200 && status < 300 && this.waitingFor?.isConnect === true)) {
      this.open.responsesMissed(this.forget(this.pending.length))
      this.tunnelBegins(null)
      return
    }
    const isOfAnother = this.pending.length === 0 || this.pending[0]!.isBehindLoss
    const mayHaveAsked = isOfAnother && this.mayHaveLostRequests
    this.missAnswers(this.pending.length)
    if (mayHaveAsked && status >= 200 && status < 300) this.endRequests()
  }

  responsesAreOther(bytes: Buffer, at: number, end: number): boolean {
    if (this.isProxied) return true
    this.isUnknown = false
    // A server that speaks first, or answers a request in another language.
    this.missAnswers(this.pending.length)
    this.isOther(recogniseProtocol(bytes, at, end), this.ports[this.client ^ 1]!)
    return false
  }

  responsesLost(): void {
    this.responsesUnsure = true
    // With one request pending the next answer may be its own; with several nobody can tell whose it is.
    if (this.pending.length > 1) this.missAnswers(this.pending.length)
  }

  responseBytesSkipped(bytes: number, afterAmbiguous: boolean): void {
    this.skipped(bytes, afterAmbiguous)
  }

  /** The request that the response beginning at `seq` answers, or null when it was not seen. */
  private pairOf(seq: number, ack: number | null): PendingRequest | null {
    if (this.responsesUnsure || this.pending[0]?.isBehindLoss === true) {
      // The client had everything in front of this response when it asked, and the server had the request and nothing behind it.
      const i = this.pending.findIndex((p) => p.ackedTo === seq)
      const asked = this.pending[i]
      if (asked === undefined || asked.state !== 'complete' || asked.endSeq !== ack) return null
      this.missAnswers(i)
      this.responsesUnsure = false
      asked.isBehindLoss = false
    }
    return this.pending[0] ?? null
  }

  private missAnswers(count: number): void {
    if (count > 0) this.open.responsesMissed(this.forget(count))
    if (this.requests!.isWaiting && this.pending.length === 0) this.answerIsMissing()
  }

  /** Takes the oldest requests that wait for their answer out of memory. */
  private forget(count: number): PendingRequest[] {
    const { pending } = this
    this.context.memory.connection(-count * PENDING_BYTES)
    // Of a long array `shift` moves the beginning, `splice` a thousand elements: nine microseconds a request.
    return count === 1 ? [pending.shift()!] : pending.splice(0, count)
  }

  private tunnelBegins(pending: PendingRequest | null): void {
    if (pending?.isH2c) this.context.census.add('http2', this.ports[this.client ^ 1]!)
    this.context.tunnels.add(this.flowHash)
    this.over(Counter.tunnelBytes)
  }

  /** The head of the final answer to `pending` is here, and it begins no tunnel. */
  private httpGoesOn(pending: PendingRequest): void {
    pending.isAnswered = true
    if (pending !== this.waitingFor) return
    this.waitingFor = null
    this.resumeRequests()
  }

  private resumeRequests(): void {
    this.context.tunnels.delete(this.flowHash)
    this.requests!.resume()
    this.hasResumed = true
  }

  /** No answer to a CONNECT or an upgrade came in time. */
  private answerIsMissing(): void {
    const asked = this.waitingFor
    this.waitingFor = null
    // The preface of HTTP/2 stops the reader; what other protocols begin with may read like a request.
    if (asked?.isH2c === true && !asked.isConnect) this.resumeRequests()
    else this.over(Counter.tunnelBytes)
  }
}

function isHead(view: MessageView): boolean {
  const { bytes, headAt } = view
  return (
    view.methodEnd - headAt === 4 &&
    bytes[headAt] === 0x48 &&
    bytes[headAt + 1] === 0x45 &&
    bytes[headAt + 2] === 0x41 &&
    bytes[headAt + 3] === 0x44
  )
}
