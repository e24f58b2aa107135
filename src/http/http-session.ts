/**
 * HTTP/1 between a client and a server that are known: one reader a direction, which response belongs to which request as far as framing
 * needs it (HEAD, CONNECT, upgrades), and when the requests end.
 */

import { MessageFlag, type MessageView } from '../exchange/message.ts'
import { Counter } from '../metrics/counters.ts'
import { Demand, NO_OFFSET, type StreamPiece } from '../reassembly/stream-parser.ts'
import { Fault, requestDropOf, responseDropOf } from './fault.ts'
import type { HttpContext } from './http-context.ts'
import { type HttpEvents, Pending, type PendingRequest } from './http-events.ts'
import { MessageReader } from './message-reader.ts'
import { Body, type MessageStart, Skipped } from './message-role.ts'
import { isSocksHandshake, type ProtocolName } from './protocol.ts'
import { type RequestEvents, RequestRole } from './request-role.ts'
import { type ResponseEvents, ResponseRole } from './response-role.ts'
import { ServerProgress } from './server-progress.ts'
import { isConnect, mayAcceptConnect, mayHideAcceptance, Switching } from './switching.ts'
import { type TransactionOwner, Transactions } from './transactions.ts'

/** What the session needs of its connection. */
export interface SessionOwner {
  readonly flowHash: number
  readonly serverPort: number
  readonly beganInMiddle: boolean
  readonly isMidMessage: boolean
  /** Counter that takes bytes once HTTP is over; -1 before. */
  readonly overCounter: number
  openEvents(): HttpEvents
  /** HTTP ends on the connection. */
  over(counter: number): void
  /** It is of another protocol. */
  isOther(protocol: ProtocolName): void
}

export class HttpSession implements RequestEvents, ResponseEvents, TransactionOwner {
  readonly requests: MessageReader
  readonly responses: MessageReader
  nowUs = 0
  private readonly context: HttpContext
  private readonly owner: SessionOwner
  private readonly flowHash: number
  private readonly serverPort: number
  private readonly isMidMessage: boolean
  private readonly requestRole: RequestRole
  private readonly transactions: Transactions
  private readonly switching = new Switching()
  private readonly server = new ServerProgress()
  private events: HttpEvents | null = null
  /** The connection began with a SOCKS handshake: HTTP may follow it. */
  private isSocks = false
  /** The client's first bytes are no request; what the server says decides what they were. */
  private isUnknown = false

  /** @param requestMayBegin the first data of the client is evidence by itself, though the connection began in the middle */
  constructor(context: HttpContext, owner: SessionOwner, requestMayBegin: boolean, responseMayBegin: boolean) {
    const { beganInMiddle } = owner
    this.context = context
    this.owner = owner
    this.flowHash = owner.flowHash
    this.serverPort = owner.serverPort
    this.isMidMessage = owner.isMidMessage
    this.transactions = new Transactions(context.memory, this, beganInMiddle)
    this.requestRole = new RequestRole(context, this)
    this.requests = new MessageReader(context, this.requestRole, beganInMiddle, requestMayBegin)
    this.responses = new MessageReader(context, new ResponseRole(context, this), beganInMiddle, responseMayBegin)
  }

  /** One of Demand. */
  demand(isClient: boolean): number {
    const { requests } = this
    // While requests wait for a response, that response may acknowledge bytes which are held back.
    if (!isClient) return requests.isWaiting ? Demand.ready : Demand.afterPeer
    if (requests.isWaiting) return Demand.paused
    // After a loss of requests, or in a body, a response that the client had received may say that what it sends is no request: the accepted upgrade
    // to a tunnel, or a refusal of the body.
    return requests.isLost || requests.isInBody ? Demand.afterPeer : Demand.ready
  }

  get wakeAtUs(): number {
    const { requests, switching, context } = this
    if (requests.isWaiting) return switching.deadlineUs(context.upgradeWaitUs)
    return requests.isUndecided ? requests.lastUs + context.upgradeWaitUs : Number.POSITIVE_INFINITY
  }

  tick(nowUs: number): void {
    if (nowUs < this.wakeAtUs) return
    if (this.requests.isUndecided) this.requests.decide()
    else this.answerIsMissing()
  }

  serverGap(length: number, fault: number): void {
    this.requests.answersHidden(this.server.gap(length))
    this.responses.gap(length, fault)
  }

  serverEnd(reason: number): void {
    // The end may complete the very response that is waited for.
    this.responses.end(reason)
    if (this.requests.isWaiting) this.answerIsMissing()
  }

  /** HTTP is over, the connection may continue. */
  stop(): void {
    this.requests.stop()
    this.responses.stop()
  }

  close(reason: number): void {
    if (this.owner.overCounter < 0) {
      this.requests.end(reason)
      this.responses.end(reason)
    }
    if (this.isUnknown) this.context.protocolCounts.add('unknown', this.serverPort)
    this.transactions.close()
    this.events?.closed()
  }

  private get open(): HttpEvents {
    this.events ??= this.owner.openEvents()
    return this.events
  }

  // --- requests ----------------------------------------------------------------------------------------------------------------

  clientData(piece: StreamPiece): number {
    const requests = this.requests
    const taken = requests.data(piece)
    // Whoever takes over this flow after a crash must not begin anew after an ambiguous message either.
    if (requests.isAmbiguous) this.context.tunnels.add(this.flowHash)
    return taken
  }

  requestBegan(): void {
    this.context.counters.add(Counter.requestsParsed)
    this.context.requestsInParsing++
  }

  requestHead(view: MessageView, start: MessageStart): number {
    const { startOffset, startPeerOffset: peerOffset } = start
    const { server, transactions, context } = this
    server.requestBegins(peerOffset, this.responses.isUntouched)
    const { last } = transactions
    // After HTTP/1.0 without keep-alive nothing is a request that was sent before a byte of the response had come.
    const isPipelined =
      last !== null && (last.is & Pending.last) !== 0 && peerOffset <= last.peerOffset && peerOffset !== NO_OFFSET
    const { closesAt } = server
    const isBehindClose = closesAt !== NO_OFFSET
    transactions.begin(view, peerOffset, server.hadAllBefore(startOffset, peerOffset), isBehindClose)
    if (isPipelined) return Fault.behindClose
    return isBehindClose && (peerOffset <= closesAt || !context.showsUnanswered) ? Fault.behindClose : 0
  }

  requestComplete(view: MessageView, endOffset: number): void {
    const request = this.transactions.end('complete', endOffset)!
    this.context.requestsInParsing--
    this.context.counters.add(Counter.requestBodyBytes, view.bodyBytes)
    this.open.request(view, request)
  }

  requestDropped(fault: number): void {
    this.context.requestsInParsing--
    this.context.counters.requestDrop(requestDropOf(fault))
    this.open.requestDropped(this.transactions.end('dropped'))
  }

  requestsWait(): void {
    const request = this.transactions.last!
    if (request.answerOffset !== NO_OFFSET) {
      // Refused before its body was complete.
      this.requests.resume()
      return
    }
    this.switching.await(request, this.nowUs)
    // Until the response refuses: whoever takes over this flow after a crash must not read a tunnel as requests.
    this.context.tunnels.add(this.flowHash)
  }

  requestsLost(): void {
    this.transactions.requestsLost()
  }

  requestsFound(unanswered: number): void {
    this.transactions.requestsFound(unanswered)
  }

  requestsAreOther(bytes: Buffer, at: number, end: number): boolean {
    if (isSocksHandshake(bytes, at, end)) {
      this.isSocks = true
      return true
    }
    const protocol = this.context.protocols.recognise(bytes, at, end)
    // To a request it cannot read an HTTP server answers in HTTP.
    if (protocol === 'unknown') this.isUnknown = true
    else this.owner.isOther(protocol)
    return false
  }

  mayKnowAnswer(peerOffset: number, start: MessageStart): boolean {
    return this.server.mayHaveAnswered(peerOffset, start.startPeerOffset, this.transactions.last)
  }

  get unanswered(): number {
    return this.transactions.count
  }

  requestBytesSkipped(bytes: number, why: number): void {
    this.skipped(bytes, why)
  }

  skipped(bytes: number, why: number): void {
    const { counters } = this.context
    const { overCounter } = this.owner
    if (overCounter >= 0) counters.add(overCounter, bytes)
    else if (why === Skipped.behindClose) counters.add(Counter.behindCloseBytes, bytes)
    else if (why === Skipped.unproven) counters.add(Counter.resyncUnproven, bytes)
    else counters.add(this.isUnknown ? Counter.otherProtocolBytes : Counter.afterAmbiguous, bytes)
  }

  // --- responses -----------------------------------------------------------------------------------------------------------------

  serverData(piece: StreamPiece): number {
    this.switching.hasResumed = false
    const { server, responses } = this
    server.at = piece.offset
    const taken = responses.data(piece)
    server.delivered(piece.offset + taken, responses.isReadable)
    if (!responses.isReadable) this.requests.answersHidden(piece.offset)
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
    const request = transactions.answer(isInterim, offset, peerOffset)
    if (!isInterim) {
      if (request === null && !transactions.mayBeOfOneWaiting()) counters.add(Counter.unaskedResponses)
      this.server.finalAnswer(offset, peerOffset, request)
      this.requests.answered(offset, peerOffset)
    }
    this.open.responseHead(view, request)
    switching.isAccepted = switching.isAcceptedBy(status, request)
    if (switching.isAccepted) return Body.tunnel
    const hasNoBody = isInterim || status === 204 || status === 304 || isHead(request)
    const endsConnection =
      view.has(MessageFlag.close) || view.isOneShot || (request !== null && !hasNoBody && lastsUntilClose(view))
    if (!isInterim && endsConnection) this.closesBehind(request, offset)
    if (request !== null && !isInterim) this.httpGoesOn(request)
    else if (this.mayBeUnseenAcceptance(view)) this.endRequests()
    if (hasNoBody) return Body.none
    return request === null && this.mayHaveLostRequests ? Body.unlessAnswer : Body.stated
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
    const request = transactions.answering
    transactions.answering = null
    this.events!.responseEnd(transactions.isInterim ? null : request, fault === 0, timeUs)
    if (this.switching.isAccepted) this.tunnelBegins(request)
  }

  responseDropped(fault: number, status: number): void {
    const { transactions } = this
    const { counters } = this.context
    counters.add(Counter.responsesParsed)
    counters.responseDrop(responseDropOf(fault))
    // Malformed as it is, the client may have taken it for an accepted upgrade: what follows is no request then.
    if (status === 101 || (status >= 200 && status < 300 && isConnect(this.switching.awaited))) {
      transactions.miss()
      this.tunnelBegins(null)
      return
    }
    const mayAnswerUnseen = transactions.isNextUnseen && this.mayHaveLostRequests
    this.missAnswers()
    if (mayAnswerUnseen && status >= 200 && status < 300) this.endRequests()
  }

  responsesAreOther(bytes: Buffer, at: number, end: number): boolean {
    if (this.isSocks) return true
    this.isUnknown = false
    // A server that speaks first, or answers a request in another protocol.
    this.missAnswers()
    this.owner.isOther(this.context.protocols.recognise(bytes, at, end))
    return false
  }

  responsesLost(): void {
    this.transactions.responsesLost()
    this.answerMayBeMissing()
  }

  responseBytesSkipped(bytes: number, why: number): void {
    this.skipped(bytes, why)
  }

  /** What waits before the next response goes first. */
  get responsesPause(): boolean {
    return this.switching.hasResumed
  }

  /**
   * What a response that cannot be proven to be one would say: it may end the requests, and nothing else. In the body of a response to a
   * request that was not seen, too: to HEAD there would be no body.
   */
  responseUnproven(bytes: Buffer, at: number, end: number): void {
    const mayBe = this.transactions.answering === null && this.mayHaveLostRequests
    if (mayBe && mayHideAcceptance(this.context, bytes, at, end, this.isMidMessage)) this.endRequests()
  }

  private missAnswers(): void {
    this.transactions.miss()
    this.answerMayBeMissing()
  }

  /** Connection: close, by the server: it reads nothing after the request that it answers (RFC 9112 section 9.6). */
  private closesBehind(request: PendingRequest | null, offset: number): void {
    const { server, transactions } = this
    if (server.closesAt === NO_OFFSET) server.closesAt = offset
    // Of several that may be the one that was answered, none is known to follow it.
    if (request === null) return
    for (const behind of transactions.withdraw(offset)) {
      if (behind === transactions.reading) this.requestRole.giveUp(Fault.behindClose)
      else if (behind.state === 'complete') this.open.requestDropped(behind)
    }
    // The mirror may bring the response after what its client sent after it.
    const { reading } = transactions
    if (this.context.showsUnanswered) transactions.standBehindClose()
    else if (reading !== null && reading !== request) this.requestRole.giveUp(Fault.behindClose)
  }

  /** The responses to these will not be recognised; those after Connection: close have none. */
  answersMissed(pending: readonly PendingRequest[]): void {
    const unread = pending.filter((request) => (request.is & Pending.behindClose) !== 0 && request.state === 'complete')
    for (const request of unread) this.open.requestDropped(request)
    if (unread.length < pending.length)
      this.open.responsesMissed(pending.filter((request) => !unread.includes(request)))
  }

  // --- tunnels -----------------------------------------------------------------------------------------------------------------

  private mayBeUnseenAcceptance(view: MessageView): boolean {
    return this.transactions.answering === null && this.mayHaveLostRequests && mayAcceptConnect(view)
  }

  private get mayHaveLostRequests(): boolean {
    return this.owner.beganInMiddle || this.transactions.mayHaveLostRequests
  }

  private endRequests(): void {
    this.context.tunnels.add(this.flowHash)
    this.requests.stop()
  }

  private tunnelBegins(request: PendingRequest | null): void {
    if (isH2c(request)) this.context.protocolCounts.add('http2', this.serverPort)
    this.context.tunnels.add(this.flowHash)
    this.owner.over(Counter.tunnelBytes)
  }

  /** The head of the final response to `request` is here, and it begins no tunnel. */
  private httpGoesOn(request: PendingRequest): void {
    if (request !== this.switching.awaited) return
    this.switching.end()
    this.resumeRequests()
  }

  private resumeRequests(): void {
    this.context.tunnels.delete(this.flowHash)
    this.requests.resume()
    this.switching.hasResumed = true
  }

  private answerMayBeMissing(): void {
    if (this.requests.isWaiting && this.transactions.count === 0) this.answerIsMissing()
  }

  /** No response to a CONNECT or an upgrade came in time. */
  answerIsMissing(): void {
    const request = this.switching.end()
    // The preface of HTTP/2 stops the reader; what other protocols begin with may read like a request.
    if (isH2c(request) && !isConnect(request)) this.resumeRequests()
    else this.owner.over(Counter.tunnelBytes)
  }
}

function isHead(request: PendingRequest | null): boolean {
  return request !== null && (request.is & Pending.head) !== 0
}

/** Nothing but the end of the connection ends its body (RFC 9112 section 6.3). */
function lastsUntilClose(view: MessageView): boolean {
  return (view.flags & (MessageFlag.hasLength | MessageFlag.chunked)) === 0
}

function isH2c(request: PendingRequest | null): boolean {
  return request !== null && (request.is & Pending.h2c) !== 0
}
