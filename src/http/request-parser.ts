/**
 * Requests out of one client's stream: strict, incremental, byte-exact (RFC 9112).
 *
 * What it does at a fault or a gap is the product's promise that no altered request is sent:
 *
 *   fault that leaves the length certain   that message is dropped, the next one is read
 *   gap inside a body of certain length    the same
 *   any other gap, mid-stream start        nothing is read until a message boundary is proven (resynchronisation)
 *   ambiguous framing                      HTTP ends on this direction; the rest is counted
 */
import { RequestDrop } from '../base/drop.ts'
import { MessageFlag, MessageView } from '../exchange/message.ts'
import type { StreamPiece } from '../reassembly/stream-consumer.ts'
import { End } from '../reassembly/stream-consumer.ts'
import { seqAdd } from '../wire/seq.ts'
import { BodyReader, type BodyTarget } from './body-reader.ts'
import { CR, LF } from './characters.ts'
import { beginsWithRequestLine, HEAD_INCOMPLETE, type HeadReader } from './head.ts'
import { type Holding, type HttpMemory, MESSAGE_OVERHEAD, type MessageHolder } from './http-memory.ts'
import type { PartialHead } from './partial-head.ts'

/** What all parsers of a shard share: one of each is enough, because a message is parsed without interruption. */
export interface ParserContext {
  readonly reader: HeadReader
  /** View lent out for messages that lie whole in one piece. */
  readonly view: MessageView
  readonly maxHeadBytes: number
  readonly maxBodyBytes: number
  readonly memory: HttpMemory
  /** Keep request bodies, or only count them. */
  readonly keepBodies: boolean
  takePartialHead(): PartialHead
  givePartialHead(partial: PartialHead): void
}

export interface RequestEvents {
  /** A first line was recognised: the request counts from here on and ends in exactly one of `requestComplete` and `requestDropped`. */
  requestBegan(): void
  /**
   * Its head is complete. `view` is lent.
   * @param ackedTo what the client had of the server's stream when it sent the first byte; null where unknown
   */
  requestHead(view: MessageView, ackedTo: number | null): void
  /** @param endSeq sequence number behind its last byte */
  requestComplete(view: MessageView, endSeq: number): void
  requestDropped(reason: number): void
  /** Behind the last one, a CONNECT or an upgrade, complete or dropped: nothing is read until `resume` or `stop`. */
  requestsWait(): void
  /** A gap hid an unknown number of requests. */
  requestsLost(): void
  /** The first bytes of the stream are no HTTP/1 request. Returns whether requests may still follow at a proven boundary. */
  requestsAreOther(bytes: Buffer, at: number, end: number): boolean
  /** Bytes that were passed over while no message boundary was proven, or behind an ambiguous message. */
  requestBytesSkipped(bytes: number, afterAmbiguous: boolean): void
}

const State = {
  /** At a message boundary. */
  idle: 0,
  /** Behind the CR of an empty line in front of a request. */
  emptyLine: 1,
  /** Gathering a head that began in an earlier piece. */
  head: 2,
  body: 3,
  /** Behind a CONNECT or an upgrade: the server's answer says what follows. */
  waiting: 4,
  /** Looking for a proven message boundary. */
  resync: 5,
  stopped: 6,
} as const

const FIRST_BODY_BYTES = 4096

export class RequestParser implements BodyTarget, MessageHolder {
  private state: number
  private readonly context: ParserContext
  private readonly events: RequestEvents
  private readonly body: BodyReader
  private partial: PartialHead | null = null
  /** The message whose body is being read, its head copied out of the stream. */
  private message: MessageView | null = null
  /** While bytes of the message in hand are kept. */
  private holding: Holding | null = null
  /** The message in hand was counted by `requestBegan` and has not ended. */
  private isCounted = false
  /** The message in hand was dropped; its body is only read over. */
  private isDropped = false
  /** No request was recognised on this stream yet. */
  private isFresh = true
  /** The next piece is the first data of a stream that began in the middle: its own request line is evidence enough. */
  private mayBeginHere: boolean
  /** Nothing was seen yet of a stream whose beginning is known. */
  private hadNoData: boolean
  private gapWhileWaiting = false
  /** The message in hand is a CONNECT or an upgrade. */
  private asksToSwitch = false
  private firstUs = 0
  private firstAck: number | null = null

  constructor(context: ParserContext, events: RequestEvents, startsInMiddle: boolean, mayBeginHere: boolean) {
    this.context = context
    this.events = events
    this.body = new BodyReader(context.maxHeadBytes)
    this.state = startsInMiddle ? State.resync : State.idle
    this.mayBeginHere = mayBeginHere
    this.hadNoData = !startsInMiddle
  }

  /** HTTP has ended on this stream. */
  get isStopped(): boolean {
    return this.state === State.stopped
  }

  get isWaiting(): boolean {
    return this.state === State.waiting
  }

  /** No message is in hand. */
  get isIdle(): boolean {
    return this.state === State.idle || this.state === State.resync || this.state === State.stopped
  }

  /** No message boundary is known. */
  get isLost(): boolean {
    return this.state === State.resync
  }

  /** What comes next begins a message. */
  get isAtBoundary(): boolean {
    return this.state === State.idle
  }

  /** Takes the piece; returns the bytes taken, fewer only when a request in it must wait for its answer. */
  data(piece: StreamPiece): number {
    const { bytes, end } = piece
    this.hadNoData = false
    let i = piece.at
    while (i < end) {
      switch (this.state) {
        case State.idle:
          if (bytes[i] === CR) {
            this.state = State.emptyLine
            i++
          } else i = this.beginHead(piece, i)
          break
        case State.emptyLine:
          // At least one empty line in front of a request is to be ignored (RFC 9112 section 2.2).
          if (bytes[i] === LF) {
            this.state = State.idle
            i++
          } else this.headFault(RequestDrop.bareCr, bytes, i, end, false)
          break
        case State.head:
          i = this.continueHead(piece, i)
          break
        case State.body:
          i = this.continueBody(piece, i)
          break
        case State.waiting:
          return i - piece.at
        case State.resync:
          if (this.isBoundary(piece, i)) this.state = State.idle
          else {
            this.events.requestBytesSkipped(end - i, false)
            i = end
          }
          this.mayBeginHere = false
          break
        default:
          this.events.requestBytesSkipped(end - i, true)
          i = end
      }
    }
    return end - piece.at
  }

  /** Bytes that will not come. `reason`: gap or truncated. */
  gap(length: number, reason: number): void {
    // What follows a hole in front of all data is the first data seen, as in a connection that began in the middle.
    this.mayBeginHere = this.hadNoData
    if (this.state === State.head) this.tryPartialHead()
    switch (this.state) {
      case State.body: {
        this.drop(reason)
        const isBoundaryKnown = this.body.skip(length)
        if (isBoundaryKnown && !this.body.isDone) return
        this.release()
        if (isBoundaryKnown || this.asksToSwitch) this.messageEnds()
        if (isBoundaryKnown) return
        if (this.isWaiting) this.gapWhileWaiting = true
        else this.loseBoundary()
        return
      }
      case State.head:
        this.drop(reason)
        this.release()
        this.loseBoundary()
        return
      case State.waiting:
        this.gapWhileWaiting = true
        return
      case State.stopped:
        return
      default:
        this.loseBoundary()
    }
  }

  /** The stream ended. */
  end(reason: number): void {
    this.endWith(endedBy(reason))
  }

  /** HTTP is over on this stream. */
  stop(): void {
    this.endWith(RequestDrop.incomplete)
  }

  private endWith(reason: number): void {
    if (this.state === State.head) this.tryPartialHead()
    this.drop(reason)
    this.release()
    this.state = State.stopped
  }

  /** The server refused the CONNECT or the upgrade: HTTP goes on. */
  resume(): void {
    if (this.state !== State.waiting) return
    this.state = State.idle
    if (this.gapWhileWaiting) this.loseBoundary()
    this.gapWhileWaiting = false
  }

  bodyData(bytes: Buffer, at: number, end: number): void {
    if (this.isDropped) return
    const message = this.message!
    const n = end - at
    if (message.bodyBytes + n > this.context.maxBodyBytes) {
      this.drop(RequestDrop.bodyTooLarge)
      this.release()
      return
    }
    if (this.context.keepBodies) {
      const need = message.bodyBytes + n
      if (need > message.body.length) {
        // Doubled, but never beyond the longest body there may be.
        const doubled = Math.min(Math.max(2 * message.body.length, FIRST_BODY_BYTES), this.context.maxBodyBytes)
        const capacity = Math.max(need, doubled)
        if (!this.hold(message.bytes.length + capacity)) return
        const grown = Buffer.allocUnsafeSlow(capacity)
        message.body.copy(grown, 0, 0, message.bodyBytes)
        message.body = grown
      }
      bytes.copy(message.body, message.bodyBytes, at, end)
      message.bodyEnd = need
    }
    message.bodyBytes += n
  }

  private isBoundary(piece: StreamPiece, i: number): boolean {
    if (i !== piece.at || !piece.startsSegment || !(piece.isAckedTo || this.mayBeginHere)) return false
    return beginsWithRequestLine(piece.bytes, i, piece.end)
  }

  private beginHead(piece: StreamPiece, at: number): number {
    const { reader, view } = this.context
    const { bytes, end } = piece
    this.firstUs = piece.timeUs
    this.firstAck = piece.hasAck ? piece.ack : null
    const headEnd = reader.request(bytes, at, end, view)
    if (headEnd > 0) return this.headComplete(view, piece, headEnd)
    if (headEnd === HEAD_INCOMPLETE) {
      if (reader.firstLineRead) this.count()
      this.partial = this.context.takePartialHead()
      this.partial.append(bytes, at, end)
      this.state = State.head
      this.hold(this.partial.bytes.length)
      return end
    }
    this.headFault(reader.fault, bytes, at, end, reader.firstLineRead || looksLikeRequest(bytes, at, end))
    return at
  }

  private continueHead(piece: StreamPiece, at: number): number {
    const partial = this.partial!
    const capacity = partial.bytes.length
    const i = partial.append(piece.bytes, at, piece.end)
    if (partial.bytes.length > capacity && !this.hold(partial.bytes.length)) return i
    if (!partial.shouldParse(this.context.maxHeadBytes)) return i
    return this.tryPartialHead() > 0 ? this.headComplete(this.context.view, piece, i) : i
  }

  /**
   * Parses what is gathered of a head; also where the head breaks off, so that its first line and its faults count however the
   * bytes were cut into pieces.
   */
  private tryPartialHead(): number {
    const { reader, view } = this.context
    const { bytes, length } = this.partial!
    const headEnd = reader.request(bytes, 0, length, view)
    if (headEnd === HEAD_INCOMPLETE) {
      if (reader.firstLineRead) this.count()
    } else if (headEnd < 0) {
      this.headFault(reader.fault, bytes, 0, length, reader.firstLineRead || looksLikeRequest(bytes, 0, length))
      this.events.requestBytesSkipped(length, true)
    }
    return headEnd
  }

  /** `view` holds a complete head; the message goes on at `at` of the piece. Returns the index behind what was taken. */
  private headComplete(view: MessageView, piece: StreamPiece, at: number): number {
    const { bytes, end } = piece
    this.count()
    this.isDropped = false
    view.firstUs = this.firstUs
    view.bodyBytes = 0
    view.bodyAt = 0
    view.bodyEnd = 0
    view.bodyKept = true
    this.asksToSwitch = (view.flags & (MessageFlag.connect | MessageFlag.upgrade)) !== 0
    this.events.requestHead(view, this.firstAck)
    if (this.context.reader.mildFault !== 0) this.drop(this.context.reader.mildFault)
    const isChunked = view.has(MessageFlag.chunked)
    if (!isChunked && view.contentLength > this.context.maxBodyBytes) this.drop(RequestDrop.bodyTooLarge)
    if (!isChunked && !this.isDropped && view.contentLength <= end - at) {
      // The whole message lies in this piece: it is handed on where it lies.
      const bodyEnd = at + view.contentLength
      view.body = bytes
      view.bodyAt = at
      view.bodyEnd = bodyEnd
      view.bodyBytes = view.contentLength
      // Whoever takes it may have another head shed, which is read into the same view.
      this.complete(view, piece, bodyEnd)
      return bodyEnd
    }
    if (isChunked) this.body.startChunked()
    else this.body.startLength(view.contentLength)
    const message = this.isDropped ? null : ownHead(view)
    this.releasePartial()
    this.state = State.body
    if (message !== null) {
      this.message = message
      // Last: what is shed for it may end HTTP on this connection.
      this.hold(message.bytes.length)
      return at
    }
    this.release()
    if (this.body.isDone) this.messageEnds()
    return at
  }

  private continueBody(piece: StreamPiece, at: number): number {
    const i = this.body.read(piece.bytes, at, piece.end, this)
    // What was shed for its bytes ended HTTP on this connection.
    if (this.state === State.stopped) return i < 0 ? this.body.faultAt : i
    if (i < 0) {
      this.drop(this.body.fault)
      this.release()
      this.state = State.stopped
      return this.body.faultAt
    }
    if (this.body.isDone) {
      if (this.isDropped) {
        this.release()
        this.messageEnds()
      } else {
        const message = this.message!
        message.bodyKept = this.context.keepBodies
        this.complete(message, piece, i)
      }
    }
    return i
  }

  private complete(view: MessageView, piece: StreamPiece, at: number): void {
    view.lastUs = piece.timeUs
    this.isCounted = false
    // Whoever takes it may ask for memory too, and must not shed what is being handed over.
    this.closeHolding()
    this.events.requestComplete(view, seqAdd(piece.seq, at - piece.at))
    this.release()
    this.messageEnds()
  }

  /** At the boundary behind a message, complete or dropped. */
  private messageEnds(): void {
    this.state = this.asksToSwitch ? State.waiting : State.idle
    if (this.asksToSwitch) this.events.requestsWait()
  }

  private loseBoundary(): void {
    this.state = State.resync
    this.events.requestsLost()
  }

  /** @param isRequest what is wrong is a request all the same, not another protocol */
  private headFault(fault: number, bytes: Buffer, at: number, end: number, isRequest: boolean): void {
    this.state = State.stopped
    if (this.isFresh && !this.isCounted && !isRequest) {
      if (this.events.requestsAreOther(bytes, at, end)) this.state = State.resync
    } else {
      this.count()
      this.drop(fault)
    }
    this.release()
  }

  private count(): void {
    this.isFresh = false
    if (this.isCounted) return
    this.isCounted = true
    this.isDropped = false
    this.events.requestBegan()
  }

  private drop(reason: number): void {
    if (this.isCounted) this.events.requestDropped(reason)
    this.isCounted = false
    this.isDropped = true
  }

  /**
   * MessageHolder: the message in hand has to make room. Its framing is still read where it is certain. Uses the reader and the view of
   * all: whoever asks for memory is done with them.
   */
  shed(): void {
    if (this.state === State.head && this.tryPartialHead() > 0) this.count()
    const isHead = this.state === State.head
    if (isHead) this.events.requestBytesSkipped(this.partial!.length, false)
    this.drop(RequestDrop.memoryLimit)
    this.release()
    if (isHead) this.loseBoundary()
  }

  /** Asks for memory for `bytes` of the message in hand. False: it was shed. */
  private hold(bytes: number): boolean {
    const { memory } = this.context
    this.holding ??= memory.open(this)
    return memory.resize(this.holding, bytes + MESSAGE_OVERHEAD)
  }

  private release(): void {
    this.message = null
    this.releasePartial()
    this.closeHolding()
  }

  private closeHolding(): void {
    if (this.holding === null) return
    this.context.memory.close(this.holding)
    this.holding = null
  }

  private releasePartial(): void {
    if (this.partial === null) return
    this.context.givePartialHead(this.partial)
    this.partial = null
  }
}

function endedBy(reason: number): number {
  if (reason === End.evicted) return RequestDrop.memoryLimit
  return reason === End.expired ? RequestDrop.expired : RequestDrop.incomplete
}

/** A malformed first line that still is a request: it begins with a known method and a blank. */
function looksLikeRequest(bytes: Buffer, at: number, end: number): boolean {
  return /^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) /.test(
    bytes.toString('latin1', at, Math.min(end, at + 8)),
  )
}

/** A view with the head copied into memory of its own, so that it outlives the piece it lies in. */
function ownHead(view: MessageView): MessageView {
  const own = new MessageView(view.fieldCount)
  const base = view.headAt
  // In memory of its own, and not in a slab that it would hold on to as a whole.
  own.bytes = Buffer.allocUnsafeSlow(view.headEnd - base)
  view.bytes.copy(own.bytes, 0, base, view.headEnd)
  own.headEnd = view.headEnd - base
  own.methodEnd = view.methodEnd - base
  own.targetAt = view.targetAt - base
  own.targetEnd = view.targetEnd - base
  own.minorVersion = view.minorVersion
  own.flags = view.flags
  own.fieldCount = view.fieldCount
  own.contentLength = view.contentLength
  own.firstUs = view.firstUs
  for (let i = 0; i < own.fields.length; i++) own.fields[i] = view.fields[i]! - base
  return own
}
