/**
 * Responses, as MessageReader reads them. Their framing depends on the request they answer, so each head is shown to whoever pairs them.
 * A response that lost bytes is passed on as incomplete; framing that cannot be known ends HTTP on this direction.
 */

import type { MessageView } from '../exchange/message.ts'
import type { LineProbe } from './first-line.ts'
import { probeStatusLine, StatusLineProbe } from './first-line.ts'
import type { MessageRole, MessageStart } from './message-role.ts'
import type { ParserContext } from './parser-context.ts'

export interface ResponseEvents {
  /**
   * A status line was recognised: the response counts and ends in `responseEnd`. `view` is borrowed. Returns one of Body.
   * @param offset of its first byte
   * @param peerOffset how far the server had the client's stream when it sent that byte; NO_OFFSET: unknown
   */
  responseHead(view: MessageView, offset: number, peerOffset: number): number
  responseBody(bytes: Buffer, at: number, end: number): void
  /** @param fault 0 when it is complete, else a code of Fault */
  responseEnd(fault: number, timeUs: number): void
  /**
   * A recognised status line whose head is malformed or never came whole.
   * @param status 0 where the line was not read as far
   */
  responseDropped(fault: number, status: number): void
  /** The first bytes of the stream are no HTTP/1 response. Returns whether responses may still follow at a proven boundary. */
  responsesAreOther(bytes: Buffer, at: number, end: number): boolean
  /** A segment whose beginning may be a response or part of one: nothing tells, or only the framing of a response, which depends on its request. */
  responseUnproven(bytes: Buffer, at: number, end: number): void
  /** Requests wait that come before the next response. */
  readonly responsesPause: boolean
  /** A gap hid an unknown number of responses. */
  responsesLost(): void
  /** Bytes that were passed over. @param why one of Skipped */
  responseBytesSkipped(bytes: number, why: number): void
}

export class ResponseRole implements MessageRole {
  readonly isRequest = false
  readonly waits = false
  readonly isLast = false
  readonly takesWhole = false
  readonly unanswered = 0
  private readonly context: ParserContext
  private readonly events: ResponseEvents
  private hasFirstLine = false
  /** What the response in hand has lost so far. */
  private fault = 0

  constructor(context: ParserContext, events: ResponseEvents) {
    this.context = context
    this.events = events
  }

  get isPaused(): boolean {
    return this.events.responsesPause
  }

  parse(bytes: Buffer, at: number, end: number): number {
    return this.context.reader.response(bytes, at, end, this.context.view)
  }

  probe(bytes: Buffer, at: number, end: number): number {
    return probeStatusLine(bytes, at, end)
  }

  newProbe(): LineProbe {
    return new StatusLineProbe()
  }

  /** A malformed response that begins like HTTP says nothing against the requests. */
  looksLikeOne(bytes: Buffer, at: number, end: number): boolean {
    return bytes.toString('latin1', at, Math.min(end, at + 5)) === 'HTTP/'
  }

  begins(): void {
    this.hasFirstLine = false
  }

  firstLine(): void {
    this.hasFirstLine = true
  }

  headFault(fault: number): void {
    this.events.responseDropped(fault, this.context.view.status)
  }

  headLost(fault: number): void {
    // The view still holds the trial parse of what came of it.
    if (this.hasFirstLine) this.events.responseDropped(fault, this.context.view.status)
  }

  head(view: MessageView, start: MessageStart): number {
    this.fault = 0
    return this.events.responseHead(view, start.startOffset, start.startPeerOffset)
  }

  whole(): void {}

  bodyBegins(): void {}

  bodyData(bytes: Buffer, at: number, end: number): void {
    this.events.responseBody(bytes, at, end)
  }

  bodyGap(fault: number): void {
    this.fault = fault
  }

  bodyLost(fault: number, timeUs: number): void {
    this.events.responseEnd(this.fault || fault, timeUs)
  }

  complete(_endOffset: number, timeUs: number): void {
    this.events.responseEnd(this.fault, timeUs)
  }

  waitBegins(): void {}

  isInDoubt(): boolean {
    return false
  }

  unproven(bytes: Buffer, at: number, end: number): void {
    this.events.responseUnproven(bytes, at, end)
  }

  isOther(bytes: Buffer, at: number, end: number): boolean {
    return this.events.responsesAreOther(bytes, at, end)
  }

  lost(): void {
    this.events.responsesLost()
  }

  found(): void {}

  skipped(bytes: number, why: number): void {
    this.events.responseBytesSkipped(bytes, why)
  }
}
