/**
 * Responses out of one server's stream (RFC 9112). Their framing depends on the request they answer, so each head is shown to
 * whoever pairs them. A response that lost bytes is passed on as incomplete; framing that cannot be known ends HTTP on this
 * direction, or waits for a proven boundary behind a gap.
 */
import { ResponseDrop } from '../base/drop.ts'
import { MessageFlag, type MessageView } from '../exchange/message.ts'
import type { StreamPiece } from '../reassembly/stream-consumer.ts'
import { End } from '../reassembly/stream-consumer.ts'
import { seqAdd } from '../wire/seq.ts'
import { BodyReader, type BodyTarget } from './body-reader.ts'
import { CR, LF } from './characters.ts'
import { beginsWithStatusLine, HEAD_INCOMPLETE, responseFault } from './head.ts'
import { type Holding, MESSAGE_OVERHEAD, type MessageHolder } from './http-memory.ts'
import type { PartialHead } from './partial-head.ts'
import type { ParserContext } from './request-parser.ts'

/** How a response's body is framed besides its own headers. */
export const Body = {
  /** As the headers say. */
  stated: 0,
  /** None: to HEAD, 1xx, 204, 304 (RFC 9112 section 6.3). */
  none: 1,
  /** What follows is not HTTP: 101, or 2xx to CONNECT. */
  tunnel: 2,
} as const

export interface ResponseEvents {
  /**
   * A status line was recognised: the response counts and ends in `responseEnd`. `view` is lent. Returns one of Body.
   * @param seq sequence number of its first byte
   * @param ack what the server had of the client's stream when it sent that byte; null where unknown
   */
  responseHead(view: MessageView, seq: number, ack: number | null): number
  responseBody(bytes: Buffer, at: number, end: number): void
  /** @param fault 0 when it is complete, else a code of ResponseDrop */
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
  responseBytesSkipped(bytes: number, afterAmbiguous: boolean): void
}

const State = { idle: 0, head: 1, body: 2, resync: 3, stopped: 4 } as const

export class ResponseParser implements BodyTarget, MessageHolder {
  private state: number
  private readonly context: ParserContext
  private readonly events: ResponseEvents
  private readonly body: BodyReader
  private partial: PartialHead | null = null
  /** While bytes of a head are kept. Bodies are not: they are handed on as they come. */
  private holding: Holding | null = null
  private firstLineSeen = false
  private isFresh = true
  private mayBeginHere: boolean
  private hadNoData = true
  /** What the response in hand has lost so far: a code of ResponseDrop or 0. */
  private fault = 0
  private firstUs = 0
  private firstSeq = 0
  private firstAck: number | null = null
  private lastUs = 0

  constructor(context: ParserContext, events: ResponseEvents, startsInMiddle: boolean, mayBeginHere: boolean) {
    this.context = context
    this.events = events
    this.body = new BodyReader(context.maxHeadBytes)
    this.state = startsInMiddle ? State.resync : State.idle
    this.mayBeginHere = mayBeginHere
  }

  /** No message is in hand, as far as anything was seen. */
  get isAtBoundary(): boolean {
    return this.state === State.idle || this.hadNoData
  }

  /** Takes the piece; returns the bytes taken, fewer only where requests wait that come before the next response. */
  data(piece: StreamPiece): number {
    const { bytes, end } = piece
    this.hadNoData = false
    this.lastUs = piece.timeUs
    let i = piece.at
    if (piece.startsSegment && !this.isAtHead(piece)) this.events.responseUnproven(bytes, i, end)
    while (i < end) {
      switch (this.state) {
        case State.idle:
          if (i > piece.at && this.events.responsesPause) return i - piece.at
          // Some servers send an empty line, or half of one, behind a body: no reader takes it for a response.
          if (bytes[i] === CR || bytes[i] === LF) i++
          else i = this.beginHead(piece, i)
          break
        case State.head:
          i = this.continueHead(piece, i)
          break
        case State.body: {
          const next = this.body.read(bytes, i, end, this)
          if (next < 0) {
            i = this.body.faultAt
            this.state = State.stopped
            this.events.responseEnd(responseFault(this.body.fault), piece.timeUs)
          } else {
            i = next
            if (this.body.isDone) this.complete(piece.timeUs)
          }
          break
        }
        case State.resync:
          if (this.isBoundary(piece, i)) this.state = State.idle
          else {
            this.events.responseBytesSkipped(end - i, false)
            i = end
          }
          this.mayBeginHere = false
          break
        default:
          this.events.responseBytesSkipped(end - i, true)
          i = end
      }
    }
    return end - piece.at
  }

  gap(length: number, reason: number): void {
    this.mayBeginHere = false
    if (this.state === State.head) this.tryPartialHead()
    if (this.state === State.body) {
      this.fault = reason
      if (this.body.skip(length)) {
        if (this.body.isDone) this.complete(this.lastUs)
        return
      }
      this.state = State.resync
      this.events.responseEnd(reason, this.lastUs)
    } else if (this.state === State.stopped) return
    else if (this.state === State.head) this.giveUpHead(reason)
    this.state = State.resync
    this.events.responsesLost()
  }

  end(reason: number): void {
    const fault = endedBy(reason)
    if (this.state === State.head) this.tryPartialHead()
    if (this.state === State.body) {
      this.state = State.stopped
      // A body that runs until the connection ends is complete when the server closes in order.
      const isComplete = this.body.endsWithConnection && reason === End.fin
      this.events.responseEnd(isComplete ? this.fault : this.fault || fault, this.lastUs)
    } else if (this.state === State.head) this.giveUpHead(fault)
    this.releasePartial()
    this.state = State.stopped
  }

  /** HTTP is over on this stream. */
  stop(): void {
    const wasReading = this.state === State.body
    this.releasePartial()
    this.state = State.stopped
    if (wasReading) this.events.responseEnd(ResponseDrop.incomplete, this.lastUs)
  }

  bodyData(bytes: Buffer, at: number, end: number): void {
    this.events.responseBody(bytes, at, end)
  }

  /** The piece goes on with a head, or begins one beyond doubt. */
  private isAtHead(piece: StreamPiece): boolean {
    return (
      this.state === State.idle ||
      this.state === State.head ||
      (this.state === State.resync && this.isBoundary(piece, piece.at))
    )
  }

  private isBoundary(piece: StreamPiece, i: number): boolean {
    if (i !== piece.at || !piece.startsSegment || !(piece.isAckedTo || this.mayBeginHere)) return false
    return beginsWithStatusLine(piece.bytes, i, piece.end)
  }

  private beginHead(piece: StreamPiece, at: number): number {
    const { reader, view } = this.context
    this.firstUs = piece.timeUs
    this.firstSeq = seqAdd(piece.seq, at - piece.at)
    this.firstAck = piece.hasAck ? piece.ack : null
    const headEnd = reader.response(piece.bytes, at, piece.end, view)
    if (headEnd > 0) return this.headComplete(view, piece, headEnd)
    if (headEnd === HEAD_INCOMPLETE) {
      this.firstLineSeen = reader.firstLineRead
      this.partial = this.context.takePartialHead()
      this.partial.append(piece.bytes, at, piece.end)
      this.state = State.head
      this.hold(this.partial.bytes.length)
      return piece.end
    }
    this.firstLineSeen = reader.firstLineRead
    this.headFault(responseFault(reader.fault), piece.bytes, at, piece.end)
    return at
  }

  private continueHead(piece: StreamPiece, at: number): number {
    const partial = this.partial!
    const capacity = partial.bytes.length
    const i = partial.append(piece.bytes, at, piece.end)
    if (partial.bytes.length > capacity && !this.hold(partial.bytes.length)) return i
    if (!partial.shouldParse(this.context.maxHeadBytes) || this.tryPartialHead() < 0) return i
    // Whoever takes the head may ask for memory too, and must not shed what is being handed over.
    this.closeHolding()
    const next = this.headComplete(this.context.view, piece, i)
    this.releasePartial()
    return next
  }

  /** As in RequestParser: also where the head breaks off. */
  private tryPartialHead(): number {
    const { reader, view } = this.context
    const { bytes, length } = this.partial!
    const headEnd = reader.response(bytes, 0, length, view)
    this.firstLineSeen = reader.firstLineRead
    if (headEnd < 0 && headEnd !== HEAD_INCOMPLETE) {
      this.headFault(responseFault(reader.fault), bytes, 0, length)
      this.events.responseBytesSkipped(length, true)
    }
    return headEnd
  }

  private headComplete(view: MessageView, piece: StreamPiece, at: number): number {
    this.isFresh = false
    this.fault = 0
    view.firstUs = this.firstUs
    const framing = this.events.responseHead(view, this.firstSeq, this.firstAck)
    if (framing === Body.stated && view.has(MessageFlag.chunked)) this.body.startChunked()
    else if (framing === Body.stated && view.has(MessageFlag.hasLength)) this.body.startLength(view.contentLength)
    else if (framing === Body.stated) this.body.startUntilClose()
    else this.body.stop()
    this.state = framing === Body.tunnel ? State.stopped : State.body
    if (this.body.isDone) this.complete(piece.timeUs)
    return at
  }

  private complete(timeUs: number): void {
    if (this.state === State.body) this.state = State.idle
    this.events.responseEnd(this.fault, timeUs)
  }

  private headFault(fault: number, bytes: Buffer, at: number, end: number): void {
    this.state = State.stopped
    // A malformed answer that begins like HTTP says nothing against the requests.
    if (this.isFresh && !this.firstLineSeen && !isNamedHttp(bytes, at, end)) {
      if (this.events.responsesAreOther(bytes, at, end)) this.state = State.resync
    } else this.events.responseDropped(fault, this.context.view.status)
    this.releasePartial()
  }

  private giveUpHead(fault: number): void {
    // The view still holds the trial parse of what came of it.
    if (this.firstLineSeen) this.events.responseDropped(fault, this.context.view.status)
    this.releasePartial()
  }

  /** MessageHolder: the head in hand has to make room. As in RequestParser, with the reader and the view of all. */
  shed(): void {
    this.tryPartialHead()
    if (this.state !== State.head) return
    this.events.responseBytesSkipped(this.partial!.length, false)
    this.state = State.resync
    this.giveUpHead(ResponseDrop.memoryLimit)
    // What was dropped may have been the consent to a tunnel.
    if (this.state === State.resync) this.events.responsesLost()
  }

  /** Asks for memory for `bytes` of the head in hand. False: it was shed. */
  private hold(bytes: number): boolean {
    const { memory } = this.context
    this.holding ??= memory.open(this)
    return memory.resize(this.holding, bytes + MESSAGE_OVERHEAD)
  }

  private releasePartial(): void {
    if (this.partial === null) return
    this.context.givePartialHead(this.partial)
    this.partial = null
    this.closeHolding()
  }

  private closeHolding(): void {
    if (this.holding === null) return
    this.context.memory.close(this.holding)
    this.holding = null
  }
}

function endedBy(reason: number): number {
  if (reason === End.evicted) return ResponseDrop.memoryLimit
  return reason === End.expired ? ResponseDrop.expired : ResponseDrop.incomplete
}

function isNamedHttp(bytes: Buffer, at: number, end: number): boolean {
  return bytes.toString('latin1', at, Math.min(end, at + 5)) === 'HTTP/'
}
