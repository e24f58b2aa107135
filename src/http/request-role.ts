/** Requests, as MessageReader reads them: each counts from its first line on and ends once, complete or dropped with a reason. */

import { MessageFlag, type MessageView } from '../exchange/message.ts'
import { Fault } from './fault.ts'
import type { LineProbe } from './first-line.ts'
import { probeRequestLine, RequestLineProbe } from './first-line.ts'
import { MESSAGE_OVERHEAD, type Reservation, type ReservationOwner } from './http-memory.ts'
import { Body, type MessageRole, type MessageStart } from './message-role.ts'
import type { ParserContext } from './parser-context.ts'

export interface RequestEvents {
  /** A first line was recognised: the request counts from here on and ends in exactly one of `requestComplete` and `requestDropped`. */
  requestBegan(): void
  /**
   * Its head is complete. `view` is borrowed. Returns a code of Fault where it is dropped for where it stands, else 0.
   * @param start of its first byte
   */
  requestHead(view: MessageView, start: MessageStart): number
  /** @param endOffset offset behind its last byte */
  requestComplete(view: MessageView, endOffset: number): void
  /** @param fault a code of Fault */
  requestDropped(fault: number): void
  /** After the last one, a CONNECT or an upgrade, complete or dropped: nothing is read until the reader is told to continue or to stop. */
  requestsWait(): void
  /** An unknown number of requests was lost. */
  requestsLost(): void
  /** The next request begins at a proven boundary. @param unanswered requests before it whose answer may still come, at most */
  requestsFound(unanswered: number): void
  /** The first bytes of the stream are no HTTP/1 request. Returns whether requests may still follow at a proven boundary. */
  requestsAreOther(bytes: Buffer, at: number, end: number): boolean
  /** The client may have known the final response to the request in hand when it had the server's stream so far. */
  mayKnowAnswer(peerOffset: number, start: MessageStart): boolean
  /** Requests whose answer was not seen, the one in hand too. */
  readonly unanswered: number
  /** Bytes that were passed over. @param why one of Skipped */
  requestBytesSkipped(bytes: number, why: number): void
}

const FIRST_BODY_BYTES = 4096

export class RequestRole implements MessageRole, ReservationOwner {
  readonly isRequest = true
  readonly isPaused = false
  /** The message in hand is a CONNECT or an upgrade. */
  waits = false
  /** It says Connection: close. */
  isLast = false
  private readonly context: ParserContext
  private readonly events: RequestEvents
  /** The message whose body is being read, its head copied out of the stream. */
  private message: MessageView | null = null
  /** While bytes of its body are kept. */
  private reservation: Reservation | null = null
  /** The message in hand was counted by `requestBegan` and has not ended. */
  private isCounted = false
  /** The message in hand was dropped; its body is only read over. */
  private isDropped = false

  constructor(context: ParserContext, events: RequestEvents) {
    this.context = context
    this.events = events
  }

  get takesWhole(): boolean {
    return !this.isDropped
  }

  parse(bytes: Buffer, at: number, end: number): number {
    return this.context.reader.request(bytes, at, end, this.context.view)
  }

  probe(bytes: Buffer, at: number, end: number): number {
    return probeRequestLine(bytes, at, end)
  }

  newProbe(): LineProbe {
    return new RequestLineProbe()
  }

  /** It begins with a known method and a blank. */
  looksLikeOne(bytes: Buffer, at: number, end: number): boolean {
    return /^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) /.test(
      bytes.toString('latin1', at, Math.min(end, at + 8)),
    )
  }

  begins(): void {
    this.isDropped = false
    this.waits = false
    this.isLast = false
  }

  firstLine(): void {
    if (this.isCounted) return
    this.isCounted = true
    this.events.requestBegan()
  }

  headFault(fault: number): void {
    this.firstLine()
    this.drop(fault)
  }

  headLost(fault: number): void {
    this.drop(fault)
  }

  head(view: MessageView, start: MessageStart): number {
    view.bodyBytes = 0
    view.bodyAt = 0
    view.bodyEnd = 0
    view.bodyKept = true
    this.waits = (view.flags & (MessageFlag.connect | MessageFlag.upgrade)) !== 0
    this.isLast = view.has(MessageFlag.close)
    const fault = this.events.requestHead(view, start)
    if (fault !== 0) this.drop(fault)
    const { reader, maxBodyBytes } = this.context
    if (reader.recoverable !== 0) this.drop(reader.recoverable)
    if (view.contentLength > maxBodyBytes && !view.has(MessageFlag.chunked)) this.drop(Fault.bodyTooLarge)
    return Body.stated
  }

  whole(view: MessageView, bytes: Buffer, at: number, end: number, endOffset: number, timeUs: number): void {
    view.body = bytes
    view.bodyAt = at
    view.bodyEnd = end
    view.bodyBytes = end - at
    this.handOn(view, endOffset, timeUs)
  }

  bodyBegins(view: MessageView): void {
    if (this.isDropped) return
    this.message = this.context.heldMessages.take(view)
    this.reserve(this.message.bytes.length)
  }

  bodyData(bytes: Buffer, at: number, end: number): void {
    if (this.isDropped) return
    const message = this.message!
    const { maxBodyBytes, keepBodies } = this.context
    const needed = message.bodyBytes + (end - at)
    if (needed > maxBodyBytes) {
      this.drop(Fault.bodyTooLarge)
      return
    }
    if (keepBodies) {
      if (needed > message.body.length) this.growBody(message, needed)
      bytes.copy(message.body, message.bodyBytes, at, end)
      message.bodyEnd = needed
    }
    message.bodyBytes = needed
  }

  bodyGap(fault: number): void {
    this.drop(fault)
  }

  bodyLost(fault: number): void {
    this.drop(fault)
  }

  complete(endOffset: number, timeUs: number): void {
    const { message } = this
    if (message === null) return
    message.bodyKept = this.context.keepBodies
    // What was reserved for it is the taker's to reserve.
    this.message = null
    this.release()
    this.handOn(message, endOffset, timeUs)
    this.context.heldMessages.give(message)
  }

  waitBegins(): void {
    this.events.requestsWait()
  }

  isInDoubt(peerOffset: number, start: MessageStart): boolean {
    return peerOffset !== start.startPeerOffset && this.events.mayKnowAnswer(peerOffset, start)
  }

  get unanswered(): number {
    return this.events.unanswered
  }

  unproven(): void {}

  isOther(bytes: Buffer, at: number, end: number): boolean {
    return this.events.requestsAreOther(bytes, at, end)
  }

  lost(): void {
    this.events.requestsLost()
  }

  found(unanswered: number): void {
    this.events.requestsFound(unanswered)
  }

  skipped(bytes: number, why: number): void {
    this.events.requestBytesSkipped(bytes, why)
  }

  /** ReservationOwner: the body in hand has to make room. Its end is still read where it is certain. */
  evict(): void {
    this.reservation = null
    this.drop(Fault.memoryLimit)
  }

  /** The request in hand follows what closes the connection. Its end is still read. */
  giveUp(fault: number): void {
    this.drop(fault)
  }

  private handOn(view: MessageView, endOffset: number, timeUs: number): void {
    view.lastUs = timeUs
    this.isCounted = false
    this.isDropped = true
    this.events.requestComplete(view, endOffset)
  }

  private drop(fault: number): void {
    if (this.isCounted) this.events.requestDropped(fault)
    this.isCounted = false
    this.isDropped = true
    this.release()
  }

  private growBody(message: MessageView, needed: number): void {
    // Doubled, but never beyond the longest body there may be.
    const doubled = Math.min(Math.max(2 * message.body.length, FIRST_BODY_BYTES), this.context.maxBodyBytes)
    const capacity = Math.max(needed, doubled)
    this.reserve(message.bytes.length + capacity)
    const grown = Buffer.allocUnsafeSlow(capacity)
    message.body.copy(grown, 0, 0, message.bodyBytes)
    message.body = grown
  }

  private reserve(bytes: number): void {
    const { memory } = this.context
    this.reservation ??= memory.open(this)
    memory.resize(this.reservation, bytes + MESSAGE_OVERHEAD)
  }

  private release(): void {
    if (this.message !== null) this.context.heldMessages.give(this.message)
    this.message = null
    if (this.reservation === null) return
    this.context.memory.close(this.reservation)
    this.reservation = null
  }
}
