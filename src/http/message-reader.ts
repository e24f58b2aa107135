/**
 * Reads the messages of one direction out of its stream: strict, incremental, byte-exact (RFC 9112). What requests and responses have in
 * common stands here; in what they differ, the role decides (request-role.ts, response-role.ts).
 *
 * What it does at a fault or a gap is the product's promise that no altered request is sent:
 *
 *   error that leaves the length certain   that message is dropped, the next one is read
 *   gap inside a body of certain length    the same
 *   any other gap, mid-stream start        nothing is read until a message boundary is proven (resynchronisation)
 *   ambiguous framing                      HTTP ends on this direction; the rest is counted
 */

import { MessageFlag } from '../exchange/message.ts'
import { End, type StreamPiece } from '../reassembly/stream-parser.ts'
import { BodyReader } from './body-reader.ts'
import { CR, LF } from './characters.ts'
import { DoubtfulBody } from './doubtful-body.ts'
import { Fault, faultOfEnd } from './fault.ts'
import { Probe } from './first-line.ts'
import { Gathered } from './gathered.ts'
import { State } from './head-assembly.ts'
import { Body, type MessageRole, Skipped } from './message-role.ts'
import { OpenQuestion, Question } from './open-question.ts'
import type { ParserContext } from './parser-context.ts'
import { PossibleReadings } from './possible-readings.ts'
import type { RequestLineSearch } from './request-line-search.ts'

export class MessageReader extends OpenQuestion {
  private body: BodyReader
  /** The next piece is the first data of a stream that began in the middle: its own first line is evidence enough. */
  private mayBeginHere: boolean
  private readonly startsInMiddle: boolean
  /** Of a body whose sender may have given it up. */
  private doubt: DoubtfulBody | null = null
  /** Behind a body that was refused, until a boundary is proven. */
  private possible: PossibleReadings | null = null
  private gapWhileWaiting = false
  /** Gathered bytes are read: the time for them to wait is over. */
  private isReplaying = false
  private endOffset = 0
  private endUs = 0
  /** Time of the last piece. */
  lastUs = 0

  constructor(context: ParserContext, role: MessageRole, startsInMiddle: boolean, mayBeginHere: boolean) {
    super(context, role, startsInMiddle ? State.resync : State.idle)
    this.body = new BodyReader(context.maxHeadBytes)
    this.mayBeginHere = mayBeginHere
    this.startsInMiddle = startsInMiddle
  }

  /** Takes the piece; returns the bytes taken, fewer only where the next message must wait for the other direction. */
  data(piece: StreamPiece): number {
    const { bytes, end } = piece
    const { role } = this
    this.hadNoData = false
    this.lastUs = piece.timeUs
    let i = piece.at
    if (!role.isRequest && piece.startsSegment && !this.isAtHead(piece)) role.unproven(bytes, i, end)
    while (i < end) {
      switch (this.state) {
        case State.idle: {
          if (i > piece.at && role.isPaused && !this.isReplaying) return i - piece.at
          const c = bytes[i]
          if (c === CR && role.isRequest) {
            this.state = State.emptyLine
            i++
          } else if (!role.isRequest && (c === CR || c === LF)) {
            // Some servers send an empty line, or half of one, after a body: no reader takes it for a response.
            i++
          } else i = this.beginHead(piece, i)
          break
        }
        case State.emptyLine:
          // At least one empty line before a request is to be ignored (RFC 9112 section 2.2).
          if (bytes[i] === LF) {
            this.state = State.idle
            i++
          } else {
            role.begins()
            this.headFault(Fault.bareCr, bytes, i, end, false)
          }
          break
        case State.head:
          i = this.continueHead(piece, i)
          break
        case State.body:
          i = this.continueBody(piece, i)
          break
        case State.gather:
          i = this.continueGathering(piece, i)
          break
        case State.waiting:
          return i - piece.at
        case State.resync:
          i = this.resynchronise(piece, i)
          break
        default:
          role.skipped(end - i, this.stopReason)
          i = end
      }
    }
    return end - piece.at
  }

  /** Bytes that will not come. @param fault why: a code of Fault */
  gap(length: number, fault: number): void {
    // After a gap before all data, what follows is the first data seen, as in a mid-stream start.
    this.mayBeginHere = this.role.isRequest && !this.startsInMiddle && this.hadNoData
    this.possible?.gap()
    if (this.state === State.head) this.tryPartialHead()
    switch (this.state) {
      case State.body:
        this.bodyGap(length, fault)
        return
      case State.head:
        this.role.headLost(fault)
        this.loseBoundary()
        return
      case State.gather:
        this.gatherLost(fault)
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

  /** The stream ended. @param reason one of End */
  end(reason: number): void {
    this.endWith(faultOfEnd(reason), reason === End.fin)
  }

  /** HTTP is over on this stream, though it may continue. */
  stop(): void {
    // Half a head of a response is of no use any more.
    if (this.state === State.head && !this.role.isRequest) this.stopped()
    this.endWith(Fault.incomplete, false)
  }

  /** The other direction said that HTTP continues. */
  resume(): void {
    if (this.state !== State.waiting) return
    this.goOn()
    if (this.gapWhileWaiting && !this.isClosed) this.loseBoundary()
    this.gapWhileWaiting = false
  }

  /** The other direction: a final answer begins at `offset`, sent with so much of this stream. */
  answered(offset: number, peerOffset: number): void {
    this.possible?.answered(offset, peerOffset)
  }

  /** The other direction: answers may have been sent from `offset` on that were not recognised. */
  answersHidden(offset: number): void {
    this.possible?.answersHidden(offset)
  }

  /** What would have spoken against the body did not come: it is one, unless bytes behind it may still go on with what began in it. */
  decide(): void {
    if (this.isUndecided) this.settle(this.gathered !== null)
  }

  /** ReservationOwner: what is kept has to make room. */
  override evict(): void {
    if (this.state === State.gather) this.gatherLost(Fault.memoryLimit)
    else super.evict()
  }

  // --- heads -------------------------------------------------------------------------------------------------------------------

  /** The context's view holds a complete head; the message continues at `at` of the piece. Returns the index after what was taken. */
  protected headComplete(piece: StreamPiece, at: number): number {
    const { view } = this.context
    const { role, body } = this
    const { bytes, end } = piece
    this.firstLine()
    view.firstUs = this.startUs
    const framing = role.head(view, this)
    const isChunked = framing !== Body.none && view.has(MessageFlag.chunked)
    const { contentLength } = view
    if (role.takesWhole && !isChunked && contentLength <= end - at && !this.isInDoubt(piece, at)) {
      const bodyEnd = at + contentLength
      role.whole(view, bytes, at, bodyEnd, piece.offset + (bodyEnd - piece.at), piece.timeUs)
      this.releasePartial()
      this.messageEnds()
      return bodyEnd
    }
    if (framing === Body.none || framing === Body.tunnel) body.stop()
    else if (isChunked) body.startChunked()
    else if (view.has(MessageFlag.hasLength) || role.isRequest) body.startLength(contentLength)
    else body.startUntilClose()
    role.bodyBegins(view)
    this.releasePartial()
    if (framing === Body.tunnel) this.state = State.stopped
    else this.state = State.body
    if (body.isDone) this.finish(piece.offset + (at - piece.at), piece.timeUs)
    else if (framing === Body.unlessAnswer) {
      this.endOffset = piece.offset + (at - piece.at)
      this.ask(Question.bodyOrAnswer)
    }
    return at
  }

  // --- bodies ------------------------------------------------------------------------------------------------------------------

  private continueBody(piece: StreamPiece, at: number): number {
    const { bytes, end } = piece
    if (this.doubt === null && this.isInDoubt(piece, at)) this.doubt = new DoubtfulBody()
    const { doubt } = this
    const i = this.body.read(bytes, at, doubt === null ? end : doubt.limit(bytes, at, end), this.role)
    if (i < 0) {
      const { fault, faultAt } = this.body
      if (doubt !== null) {
        doubt.took(bytes, at, faultAt)
        this.refuse(piece.offset + (faultAt - piece.at), doubt.search, true)
      } else {
        this.role.bodyLost(fault, piece.timeUs)
        this.stopped()
      }
      return faultAt
    }
    if (doubt?.took(bytes, at, i) === true)
      this.refuse(piece.offset + (i - piece.at), doubt.search).requestLineEnds(doubt.search)
    else if (this.body.isDone) this.bodyEnds(piece.offset + (i - piece.at), piece.timeUs)
    return i
  }

  private bodyEnds(endOffset: number, timeUs: number): void {
    const { doubt } = this
    if (doubt === null || !doubt.ends()) this.finish(endOffset, timeUs)
    else if (this.role.waits) this.refuse(endOffset, doubt.search)
    else {
      this.endOffset = endOffset
      this.endUs = timeUs
      this.ask(Question.endOfBody)
    }
  }

  /** From here on the sender may have known the final response to the message in hand, and given up the body. */
  private isInDoubt(piece: StreamPiece, at: number): boolean {
    return at < piece.end && this.role.isInDoubt(piece.peerOffset, this)
  }

  /** A body and a request are both possible: neither is passed on, and reading goes on where a boundary is proven. */
  private refuse(offset: number, search: RequestLineSearch, isBroken = false): PossibleReadings {
    const { context, role, body } = this
    role.bodyGap(Fault.earlyAnswer)
    role.bodyLost(Fault.earlyAnswer, this.lastUs)
    const possible = new PossibleReadings(context, body, search, isBroken, role.unanswered, offset)
    if (this.gathered !== null) possible.take(this.gathered.piece, 0)
    this.dropGathered()
    this.body = new BodyReader(context.maxHeadBytes)
    this.doubt = null
    this.state = State.resync
    this.possible = possible
    role.lost()
    return possible
  }

  private bodyGap(length: number, fault: number): void {
    const { role, body } = this
    const { doubt } = this
    role.bodyGap(fault)
    if (doubt !== null) {
      this.refuse(this.endOffset, doubt.search).gap()
      return
    }
    if (body.skip(length)) {
      if (body.isDone) this.finish(this.endOffset, this.lastUs)
      return
    }
    role.bodyLost(fault, this.lastUs)
    if (!role.waits) {
      this.loseBoundary()
      return
    }
    this.messageEnds()
    if (this.isWaiting) this.gapWhileWaiting = true
    else this.loseBoundary()
  }

  private finish(endOffset: number, timeUs: number): void {
    this.role.complete(endOffset, timeUs)
    if (this.state !== State.stopped) this.messageEnds()
  }

  /** At the boundary after a message, complete or dropped. */
  private messageEnds(): void {
    this.doubt = null
    if (this.role.waits) {
      this.state = State.waiting
      this.role.waitBegins()
    } else this.goOn()
  }

  private goOn(): void {
    if (this.role.isLast) {
      this.state = State.stopped
      this.stopReason = Skipped.behindClose
    } else this.state = State.idle
  }

  // --- boundaries --------------------------------------------------------------------------------------------------------------

  private resynchronise(piece: StreamPiece, at: number): number {
    const seen = this.boundary(piece, at)
    this.mayBeginHere = false
    if (seen === Probe.yes) {
      this.boundaryProven()
      return at
    }
    if (seen === Probe.more) {
      this.ask(Question.boundary)
      return at
    }
    this.possible?.take(piece, at)
    this.role.skipped(piece.end - at, Skipped.unproven)
    return piece.end
  }

  /** Whether a message begins here, after a loss: one of Probe. */
  private boundary(piece: StreamPiece, at: number): number {
    if (at !== piece.at || !piece.startsSegment || !(piece.isAckedTo || this.mayBeginHere)) return Probe.no
    if (this.possible?.isBoundary(piece.peerOffset) === false) return Probe.no
    return this.role.probe(piece.bytes, at, piece.end)
  }

  private boundaryProven(): void {
    if (this.possible !== null) this.role.found(this.possible.unanswered)
    this.forgetReadings()
    this.state = State.idle
  }

  private forgetReadings(): void {
    this.possible?.release()
    this.possible = null
  }

  /** The piece continues with a head, or begins one beyond doubt. */
  private isAtHead(piece: StreamPiece): boolean {
    switch (this.state) {
      case State.idle:
      case State.head:
        return true
      case State.gather:
        return this.question === Question.boundary
      case State.resync:
        return this.boundary(piece, piece.at) !== Probe.no
      default:
        return false
    }
  }

  protected loseBoundary(): void {
    this.releasePartial()
    this.state = State.resync
    this.role.lost()
  }

  // --- bytes that wait for those after them -----------------------------------------------------------------------------------

  private continueGathering(piece: StreamPiece, at: number): number {
    const { bytes, end } = piece
    const seen = this.probe === null ? this.doubt!.probe(bytes, at, end) : this.probe.feed(bytes, at, end)
    if (seen !== Probe.more) {
      this.settle(seen === Probe.yes)
      return at
    }
    this.gathered ??= new Gathered(piece, at)
    this.gathered.append(bytes, at, end)
    this.reserve(this.gathered.capacity)
    if (this.gathered.length > this.context.maxHeadBytes) this.gatherLost(Fault.headTooLarge)
    return end
  }

  /** The question is decided; the gathered bytes are read as what they are. */
  private settle(isFirstLine: boolean): void {
    switch (this.question) {
      case Question.boundary:
        if (isFirstLine) {
          this.boundaryProven()
          this.replay()
        } else {
          if (this.gathered !== null) this.possible?.take(this.gathered.piece, 0)
          this.dropGathered()
          this.state = State.resync
        }
        return
      case Question.bodyOrAnswer:
        if (isFirstLine) this.finish(this.endOffset, this.lastUs)
        else this.state = State.body
        this.replay()
        return
      default:
        if (isFirstLine) this.refuse(this.endOffset, this.doubt!.atEnd!)
        else {
          this.finish(this.endOffset, this.endUs)
          this.replay()
        }
    }
  }

  /** Reads what was gathered. */
  private replay(): void {
    const { gathered } = this
    this.gathered = null
    this.probe = null
    this.release()
    if (gathered === null) return
    this.isReplaying = true
    this.data(gathered.piece)
    this.isReplaying = false
  }

  /** Nobody will say what the gathered bytes are. */
  private gatherLost(fault: number): void {
    if (this.question === Question.boundary) {
      this.dropGathered()
      this.loseBoundary()
      return
    }
    this.role.bodyGap(fault)
    if (this.doubt !== null) {
      this.refuse(this.endOffset, this.doubt.search).gap()
      return
    }
    this.role.bodyLost(fault, this.lastUs)
    this.dropGathered()
    this.loseBoundary()
  }

  // --- the end, and memory -----------------------------------------------------------------------------------------------------

  private endWith(fault: number, isOrderly: boolean): void {
    if (this.state === State.gather) {
      if (this.question === Question.boundary) this.dropGathered()
      else this.settle(this.isUndecided && this.gathered !== null)
    }
    if (this.state === State.head) this.tryPartialHead()
    const { role } = this
    if (this.state === State.body) {
      // A body that runs until the connection ends is complete when its sender closes in order.
      const isComplete = isOrderly && this.body.endsWithConnection
      this.state = State.stopped
      if (isComplete) role.complete(this.endOffset, this.lastUs)
      else role.bodyLost(fault, this.lastUs)
    } else if (this.state === State.head) {
      this.state = State.stopped
      // Not even its first line is whole: it counts as no message.
      if (!this.context.reader.firstLineRead) role.skipped(this.partial!.length, Skipped.unproven)
      role.headLost(fault)
    }
    this.stopped()
  }

  private stopped(): void {
    this.releasePartial()
    this.forgetReadings()
    this.doubt = null
    this.state = State.stopped
  }
}
