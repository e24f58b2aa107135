/**
 * HTTP/1 on one captured connection: which side is the client, one reader a direction, which response belongs to which request as far as
 * framing needs it (HEAD, CONNECT, upgrades), and where HTTP ends.
 */
import { CONNECTION_BYTES } from '../base/memory-weights.ts'
import { MessageFlag, type MessageView } from '../exchange/message.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import {
  Demand,
  End,
  GapReason,
  NO_OFFSET,
  Phase,
  type StreamParser,
  type StreamPiece,
} from '../reassembly/stream-parser.ts'
import { ClientRole, Evidence, SYSTEM_PORTS } from './client-role.ts'
import { Fault, requestDropOf, responseDropOf } from './fault.ts'
import { Probe, probeStatusLine } from './first-line.ts'
import type { HttpEvents, PendingRequest } from './http-events.ts'
import { MessageReader } from './message-reader.ts'
import { Body, type MessageStart, Skipped } from './message-role.ts'
import type { ParserContext } from './parser-context.ts'
import { isSocksHandshake, isTlsRecord, type Protocol, type ProtocolCensus, recogniseProtocol } from './protocol.ts'
import { type ProxiedEnds, ProxyHeader, ProxyHeaderReader } from './proxy-header.ts'
import { type RequestEvents, RequestRole } from './request-role.ts'
import { type ResponseEvents, ResponseRole } from './response-role.ts'
import { ServerProgress } from './server-progress.ts'
import { Switching } from './switching.ts'
import { Transactions } from './transactions.ts'
import type { TunnelRegister } from './tunnel-register.ts'

export interface HttpContext extends ParserContext {
  readonly counters: CounterBlock
  readonly census: ProtocolCensus
  readonly tunnels: TunnelRegister
  readonly upgradeWaitUs: number
  /** Server ports taken; null: any. */
  ports: ReadonlySet<number> | null
  /** Requests behind Connection: close of the server are passed on, and dropped later where they were not answered. Replay does not set it. */
  readonly showsUnanswered: boolean
  /** Requests recognised and not yet complete or dropped, over all connections. */
  requestsInParsing: number
}

/** @param proxied what a PROXY header in front of the connection says about its ends */
export type OpenEvents = (clientDirection: number, proxied: ProxiedEnds | null) => HttpEvents

/** What a message lost its bytes by, by GapReason. */
const GAP_FAULTS: readonly number[] = Object.assign([] as number[], {
  [GapReason.lost]: Fault.lost,
  [GapReason.truncated]: Fault.truncated,
  [GapReason.urgent]: Fault.urgentData,
  [GapReason.conflict]: Fault.conflictingCopies,
})

const Mode = {
  /** Which side is the client is not known yet. */
  undecided: 0,
  http: 1,
  /** HTTP has ended: a tunnel, another protocol, or a port that is not taken. */
  over: 2,
} as const

export class HttpConnection implements StreamParser, RequestEvents, ResponseEvents {
  private mode: number = Mode.undecided
  private client = -1
  private readonly context: HttpContext
  private readonly flowHash: number
  private readonly ports: readonly [number, number]
  private readonly openEvents: OpenEvents
  private events: HttpEvents | null = null
  private requests: MessageReader | null = null
  private requestRole: RequestRole | null = null
  private responses: MessageReader | null = null
  private readonly role: ClientRole
  private readonly transactions: Transactions
  private readonly switching = new Switching()
  private readonly server = new ServerProgress()
  /** At the very beginning of a client's stream. */
  private proxyHeader: ProxyHeaderReader | null = null
  private proxied: ProxiedEnds | null = null
  /** The start of the connection was not seen. */
  private readonly beganInMiddle: boolean
  /** What was not seen may have been the beginning of a tunnel: nothing is a request before the server has answered in HTTP. */
  private readonly isMidMessage: boolean
  /** The connection began with a SOCKS handshake: HTTP may follow it. */
  private isSocks = false
  /** The client's first bytes are no request; what the server says decides what they were. */
  private isUnknown = false
  private nowUs = 0
  /** Counter that takes bytes once HTTP is over. */
  private overCounter: number = Counter.otherProtocolBytes

  /**
   * @param ports of the endpoints that send in direction 0 and 1
   * @param clientDirection -1 where the start of the connection was not seen
   * @param isMidMessage its first data may lie in the middle of a message or in a tunnel, and is evidence of nothing
   */
  constructor(
    context: HttpContext,
    flowHash: number,
    ports: readonly [number, number],
    clientDirection: number,
    openEvents: OpenEvents,
    isMidMessage = false,
  ) {
    this.context = context
    this.flowHash = flowHash
    this.ports = ports
    this.openEvents = openEvents
    this.isMidMessage = isMidMessage
    this.role = new ClientRole(ports, isMidMessage)
    this.transactions = new Transactions(context.memory, (missed) => this.missed(missed))
    this.beganInMiddle = clientDirection < 0
    const isContradicted = clientDirection >= 0 && ports[clientDirection]! < SYSTEM_PORTS
    context.memory.connection(CONNECTION_BYTES)
    if (clientDirection >= 0) {
      context.tunnels.delete(flowHash)
      // Its port is no client's, as where both sides opened it at once: whoever sends a request first is the client.
      if (isContradicted) this.role.trustsNoPort = true
      else {
        this.proxyHeader = new ProxyHeaderReader()
        this.decide(clientDirection, false, false, false)
      }
    } else if (context.tunnels.has(flowHash)) this.over(Counter.tunnelBytes)
  }

  // --- StreamParser --------------------------------------------------------------------------------------------------------

  data(direction: number, piece: StreamPiece): number {
    this.nowUs = piece.timeUs
    if (this.mode === Mode.undecided && !this.tryDecide(direction, piece)) return piece.end - piece.at
    if (this.proxyHeader !== null && direction === this.client) return this.dataBehindProxyHeader(piece)
    if (this.mode === Mode.over) {
      this.context.counters.add(this.overCounter, piece.end - piece.at)
      return piece.end - piece.at
    }
    return direction === this.client ? this.clientData(piece) : this.serverData(piece)
  }

  gap(direction: number, length: number, why: number): void {
    if (this.mode === Mode.undecided) this.context.counters.add(Counter.resyncUnproven, this.role.gap(direction))
    if (this.mode !== Mode.http) return
    const fault = GAP_FAULTS[why]!
    if (direction === this.client) {
      if (this.proxyHeader !== null) this.skipped(this.proxyHeader.kept.length, Skipped.unproven)
      this.proxyHeader = null
      this.requests!.gap(length, fault)
    } else {
      this.server.gap(length)
      this.responses!.gap(length, fault)
    }
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
    const { counters, census, memory, tunnels } = this.context
    counters.add(Counter.resyncUnproven, this.role.forget())
    if (this.mode === Mode.http) {
      this.requests!.end(reason)
      this.responses!.end(reason)
      if (this.proxyHeader !== null) counters.add(Counter.otherProtocolBytes, this.proxyHeader.kept.length)
    }
    if (this.isUnknown) census.add('unknown', this.ports[this.client ^ 1]!)
    // A silent tunnel that goes on later begins in the middle, and must still be known as one; so must one of which so much was lost
    // that it looks like another connection.
    const mayGoOn = reason === End.expired || reason === End.evicted || reason === End.replaced
    if (!mayGoOn && this.mode !== Mode.undecided) tunnels.delete(this.flowHash)
    this.transactions.close()
    this.events?.closed()
    memory.connection(-CONNECTION_BYTES)
  }

  demand(direction: number): number {
    if (this.mode !== Mode.http) return Demand.ready
    const requests = this.requests!
    // While requests wait for an answer, that answer may acknowledge bytes which are held back.
    if (direction !== this.client) return requests.isWaiting ? Demand.ready : Demand.afterPeer
    if (requests.isWaiting) return Demand.paused
    // Behind a loss of requests, or of a body, an answer that the client had heard may say that what it sends is none: the accepted upgrade
    // to a tunnel, or a refusal of the body.
    return requests.isLost || requests.isInBody ? Demand.afterPeer : Demand.ready
  }

  giveUpPause(): void {
    if (this.mode === Mode.http && this.requests!.isWaiting) this.answerIsMissing()
  }

  get phase(): number {
    if (this.mode === Mode.http && !this.requests!.isIdle) return Phase.message
    return this.isAtBoundary ? Phase.boundary : Phase.opaque
  }

  private get isAtBoundary(): boolean {
    // Another protocol is recognised again by its own bytes; a tunnel's may be anything.
    if (this.mode === Mode.over) return this.overCounter !== Counter.tunnelBytes
    if (this.mode !== Mode.http || !(this.requests!.isAtBoundary || this.requests!.isClosed)) return false
    // Text in an answer is no request where its sender's port is no client's.
    return this.responses!.isUntouched || !this.role.canBeClient(this.client ^ 1)
  }

  get wakeAtUs(): number {
    if (this.mode !== Mode.http) return Number.POSITIVE_INFINITY
    const { upgradeWaitUs } = this.context
    if (this.requests!.isWaiting) return this.switching.deadlineUs(upgradeWaitUs)
    return this.requests!.isUndecided ? this.requests!.lastUs + upgradeWaitUs : Number.POSITIVE_INFINITY
  }

  tick(nowUs: number): void {
    if (nowUs < this.wakeAtUs) return
    if (this.requests!.isUndecided) this.requests!.decide()
    else this.answerIsMissing()
  }

  // --- who is the client -----------------------------------------------------------------------------------------------------------

  /** A connection whose start was not seen. False: the piece is passed over, or kept. */
  private tryDecide(direction: number, piece: StreamPiece): boolean {
    const { role } = this
    const { bytes, at, end } = piece
    const isFirst = role.first(direction)
    const isProven = piece.startsSegment && (isFirst || piece.isAckedTo)
    if (piece.startsSegment && (this.isMidMessage || !isProven) && this.mayBeHiddenAcceptance(bytes, at, end)) {
      this.tunnelBegins(null)
      return true
    }
    const isGathering = role.isGathering(direction)
    const seen = role.see(direction, piece, isProven)
    if (seen === Evidence.more) return false
    if (seen === Evidence.request) {
      const { gathered } = role
      const isOthersFirst = !role.hasSeen(direction ^ 1)
      role.gathered = null
      if (gathered !== null && !isGathering) this.skipped(gathered.length, Skipped.unproven)
      this.decide(direction, this.beganInMiddle, isGathering || role.isFirst, isOthersFirst)
      if (gathered !== null && isGathering && this.mode === Mode.http) this.requests!.data(gathered.piece)
      return true
    }
    if (isGathering || seen === Evidence.response) this.context.counters.add(Counter.resyncUnproven, role.forget())
    if (seen === Evidence.response)
      this.decide(direction ^ 1, this.beganInMiddle, !role.hasSeen(direction ^ 1), isFirst)
    else if (isFirst && isTlsRecord(bytes, at, end)) this.isOther('tls', Math.min(this.ports[0], this.ports[1]))
    else {
      this.context.counters.add(Counter.resyncUnproven, end - at)
      return false
    }
    return true
  }

  private decide(client: number, startsInMiddle: boolean, requestMayBegin: boolean, responseMayBegin: boolean): void {
    this.client = client
    const serverPort = this.ports[client ^ 1]!
    if (this.context.ports !== null && !this.context.ports.has(serverPort)) {
      this.proxyHeader = null
      this.over(Counter.otherProtocolBytes)
      return
    }
    this.mode = Mode.http
    this.requestRole = new RequestRole(this.context, this)
    this.requests = new MessageReader(this.context, this.requestRole, startsInMiddle, requestMayBegin)
    this.responses = new MessageReader(
      this.context,
      new ResponseRole(this.context, this),
      startsInMiddle,
      responseMayBegin,
    )
  }

  /** The first bytes of a client whose connection was seen from its start. */
  private dataBehindProxyHeader(piece: StreamPiece): number {
    const header = this.proxyHeader!
    const { bytes, at, end, offset, startsSegment } = piece
    const result = header.take(bytes, at, end)
    if (result === ProxyHeader.more) return end - at
    this.proxyHeader = null
    if (result === ProxyHeader.malformed) {
      this.context.counters.add(this.overCounter, header.before)
      this.isOther('proxyHeader', this.ports[this.client ^ 1]!)
      return this.data(this.client, piece)
    }
    this.proxied = header.ends
    if (result === ProxyHeader.absent) {
      if (header.kept.length > 0) {
        const before = header.keptPiece(piece)
        this.clientData(before)
      }
      return this.data(this.client, piece)
    }
    const { next } = header
    if (next === end) return end - at
    piece.at = next
    piece.offset = offset + (next - at)
    piece.startsSegment = false
    const taken = this.data(this.client, piece)
    piece.at = at
    piece.offset = offset
    piece.startsSegment = startsSegment
    return next - at + taken
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
    this.events ??= this.openEvents(this.client, this.proxied)
    return this.events
  }

  // --- requests ----------------------------------------------------------------------------------------------------------------

  private clientData(piece: StreamPiece): number {
    const requests = this.requests!
    const taken = requests.data(piece)
    // Whoever takes over this flow after a crash must not begin anew behind an ambiguous message either.
    if (requests.isAmbiguous) this.context.tunnels.add(this.flowHash)
    return taken
  }

  requestBegan(): void {
    this.context.counters.add(Counter.requestsParsed)
    this.context.requestsInParsing++
  }

  requestHead(view: MessageView, peerOffset: number): number {
    const { server, transactions, context } = this
    server.requestBegins(peerOffset, this.responses!.isUntouched)
    const { last } = transactions
    // Behind HTTP/1.0 without keep-alive nothing is a request that was sent before a byte of the answer had come.
    const isPipelined = last?.isLast === true && peerOffset <= last.peerOffset && peerOffset !== NO_OFFSET
    const { closesAt } = server
    const isBehindClose = closesAt !== NO_OFFSET
    transactions.begin(view, peerOffset, isBehindClose)
    if (isPipelined) return Fault.behindClose
    return isBehindClose && (peerOffset <= closesAt || !context.showsUnanswered) ? Fault.behindClose : 0
  }

  requestComplete(view: MessageView, endOffset: number): void {
    const asked = this.transactions.end('complete', endOffset)!
    this.context.requestsInParsing--
    this.context.counters.add(Counter.requestBodyBytes, view.bodyBytes)
    this.open.request(view, asked)
  }

  requestDropped(fault: number): void {
    this.context.requestsInParsing--
    this.context.counters.requestDrop(requestDropOf(fault))
    this.open.requestDropped(this.transactions.end('dropped'))
  }

  requestsWait(): void {
    const asked = this.transactions.last!
    if (asked.isAnswered) {
      // Refused before its body was complete.
      this.requests!.resume()
      return
    }
    this.switching.await(asked, this.nowUs)
    // Until the answer refuses: whoever takes over this flow after a crash must not read a tunnel as requests.
    this.context.tunnels.add(this.flowHash)
  }

  requestsLost(isRefused: boolean): void {
    this.transactions.requestsLost()
    if (isRefused) this.server.requireAnswer()
  }

  requestsAreOther(bytes: Buffer, at: number, end: number): boolean {
    if (isSocksHandshake(bytes, at, end)) {
      this.isSocks = true
      return true
    }
    const protocol = recogniseProtocol(bytes, at, end)
    // To a request it cannot read an HTTP server answers in HTTP.
    if (protocol === 'unknown') this.isUnknown = true
    else this.isOther(protocol, this.ports[this.client ^ 1]!)
    return false
  }

  mayKnowAnswer(peerOffset: number, start: MessageStart): boolean {
    return this.server.mayHaveAnswered(peerOffset, start.peerOffset, this.transactions.last)
  }

  mayResume(peerOffset: number): boolean {
    return this.server.mayResume(peerOffset)
  }

  requestBytesSkipped(bytes: number, why: number): void {
    this.skipped(bytes, why)
  }

  private skipped(bytes: number, why: number): void {
    const { counters } = this.context
    if (this.mode === Mode.over) counters.add(this.overCounter, bytes)
    else if (why === Skipped.behindClose) counters.add(Counter.behindCloseBytes, bytes)
    else if (why === Skipped.unproven) counters.add(Counter.resyncUnproven, bytes)
    else counters.add(this.isUnknown ? Counter.otherProtocolBytes : Counter.afterAmbiguous, bytes)
  }

  // --- responses -----------------------------------------------------------------------------------------------------------------

  private serverData(piece: StreamPiece): number {
    this.switching.hasResumed = false
    const { server } = this
    server.at = piece.offset
    const taken = this.responses!.data(piece)
    server.delivered(piece.offset + taken, this.responses!.isReadable)
    return taken
  }

  responseHead(view: MessageView, offset: number, peerOffset: number): number {
    const { transactions, switching, context } = this
    const { counters } = context
    counters.add(Counter.responsesParsed)
    counters.add(Counter.responsesHeld)
    const { status } = view
    if (this.isUnknown) counters.add(Counter.unreadableConnections)
    this.isUnknown = false
    const isInterim = status < 200 && status !== 101
    const asked = transactions.answer(isInterim, offset, peerOffset)
    if (!isInterim) {
      if (asked === null) counters.add(Counter.unaskedResponses)
      this.server.finalAnswer(offset, asked)
    }
    this.open.responseHead(view, asked)
    switching.isAccepted = switching.isAcceptedBy(status, asked)
    if (switching.isAccepted) return Body.tunnel
    if (!isInterim && (view.has(MessageFlag.close) || view.isOneShot)) this.closesBehind(asked, offset)
    if (asked !== null && !isInterim) this.httpGoesOn(asked)
    else if (this.mayBeUnseenAcceptance(view)) this.endRequests()
    if (isInterim || status === 204 || status === 304 || asked?.isHead === true) return Body.none
    return asked === null && this.mayHaveLostRequests ? Body.unlessAnswer : Body.stated
  }

  responseBody(bytes: Buffer, at: number, end: number): void {
    this.events!.responseBody(bytes, at, end)
  }

  responseEnd(fault: number, timeUs: number): void {
    this.nowUs = timeUs
    const { transactions } = this
    const { counters } = this.context
    counters.add(Counter.responsesHeld, -1)
    if (fault === 0) counters.add(Counter.responsesCompleted)
    else counters.responseDrop(responseDropOf(fault))
    const asked = transactions.answering
    transactions.answering = null
    this.events!.responseEnd(transactions.isInterim ? null : asked, fault === 0, timeUs)
    if (this.switching.isAccepted) this.tunnelBegins(asked)
  }

  responseDropped(fault: number, status: number): void {
    const { transactions } = this
    const { counters } = this.context
    counters.add(Counter.responsesParsed)
    counters.responseDrop(responseDropOf(fault))
    // Malformed as it is, the client may have taken it for an accepted upgrade: what follows is no request then.
    if (status === 101 || (status >= 200 && status < 300 && this.switching.awaited?.isConnect === true)) {
      transactions.miss()
      this.tunnelBegins(null)
      return
    }
    const mayHaveAsked = transactions.isNextUnseen && this.mayHaveLostRequests
    this.missAnswers()
    if (mayHaveAsked && status >= 200 && status < 300) this.endRequests()
  }

  responsesAreOther(bytes: Buffer, at: number, end: number): boolean {
    if (this.isSocks) return true
    this.isUnknown = false
    // A server that speaks first, or answers a request in another language.
    this.missAnswers()
    this.isOther(recogniseProtocol(bytes, at, end), this.ports[this.client ^ 1]!)
    return false
  }

  responsesLost(): void {
    this.transactions.responsesLost()
    this.answerMayBeMissing()
  }

  responseBytesSkipped(bytes: number, why: number): void {
    this.skipped(bytes, why)
  }

  /** What waits in front of the next answer goes first. */
  get responsesPause(): boolean {
    return this.switching.hasResumed
  }

  /**
   * What a response that cannot be proven to be one would say: it may end the requests, and nothing else. In the body of an answer to a
   * request that was not seen, too: to HEAD there would be no body.
   */
  responseUnproven(bytes: Buffer, at: number, end: number): void {
    if (this.transactions.answering === null && this.mayBeHiddenAcceptance(bytes, at, end)) this.endRequests()
  }

  private missAnswers(): void {
    this.transactions.miss()
    this.answerMayBeMissing()
  }

  /** Connection: close, by the server: it reads nothing behind the request that it answers (RFC 9112 section 9.6). */
  private closesBehind(asked: PendingRequest | null, offset: number): void {
    const { server, transactions } = this
    if (server.closesAt === NO_OFFSET) server.closesAt = offset
    // Of several that may be the one that was answered, none is known to stand behind it.
    if (asked === null) return
    for (const behind of transactions.withdraw(offset)) {
      if (behind === transactions.reading) this.requestRole!.giveUp(Fault.behindClose)
      else if (behind.state === 'complete') this.open.requestDropped(behind)
    }
  }

  /** The answers to these will not be recognised; those behind Connection: close have none. */
  private missed(pending: readonly PendingRequest[]): void {
    const unread = pending.filter((asked) => asked.isBehindClose && asked.state === 'complete')
    for (const asked of unread) this.open.requestDropped(asked)
    if (unread.length < pending.length) this.open.responsesMissed(pending.filter((asked) => !unread.includes(asked)))
  }

  // --- tunnels -----------------------------------------------------------------------------------------------------------------

  /**
   * A success without a length, to a request that was not seen: a CONNECT that was accepted (RFC 9110 section 9.3.6), or a body that lasts
   * until the server closes. Behind neither comes a request that would be answered.
   */
  private mayBeUnseenAcceptance(view: MessageView): boolean {
    if (this.transactions.answering !== null || !this.mayHaveLostRequests) return false
    const { status } = view
    return status >= 200 && status < 300 && status !== 204 && !view.has(MessageFlag.hasLength | MessageFlag.chunked)
  }

  /** The same of a segment where a response may begin; of one that is cut or malformed, nobody can tell what was asked. */
  private mayBeHiddenAcceptance(bytes: Buffer, at: number, end: number): boolean {
    if (!this.mayHaveLostRequests || probeStatusLine(bytes, at, end) !== Probe.yes) return false
    const { reader, view } = this.context
    const headEnd = reader.response(bytes, at, end, view)
    if (view.status === 101) return true
    return headEnd < 0 ? this.isMidMessage : this.mayBeUnseenAcceptance(view)
  }

  private get mayHaveLostRequests(): boolean {
    return this.beganInMiddle || this.transactions.mayHaveLostRequests
  }

  private endRequests(): void {
    this.context.tunnels.add(this.flowHash)
    this.requests!.stop()
  }

  private tunnelBegins(asked: PendingRequest | null): void {
    if (asked?.isH2c) this.context.census.add('http2', this.ports[this.client ^ 1]!)
    this.context.tunnels.add(this.flowHash)
    this.over(Counter.tunnelBytes)
  }

  /** The head of the final answer to `asked` is here, and it begins no tunnel. */
  private httpGoesOn(asked: PendingRequest): void {
    asked.isAnswered = true
    if (asked !== this.switching.awaited) return
    this.switching.end()
    this.resumeRequests()
  }

  private resumeRequests(): void {
    this.context.tunnels.delete(this.flowHash)
    this.requests!.resume()
    this.switching.hasResumed = true
  }

  private answerMayBeMissing(): void {
    if (this.requests!.isWaiting && this.transactions.count === 0) this.answerIsMissing()
  }

  /** No answer to a CONNECT or an upgrade came in time. */
  private answerIsMissing(): void {
    const asked = this.switching.end()
    // The preface of HTTP/2 stops the reader; what other protocols begin with may read like a request.
    if (asked?.isH2c === true && !asked.isConnect) this.resumeRequests()
    else this.over(Counter.tunnelBytes)
  }
}
