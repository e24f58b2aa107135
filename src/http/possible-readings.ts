/**
 * Behind a refused body: everything that the client's bytes may be. They may still be that body, or requests from the line on that was found in
 * it, and each such request may be given up before its body in turn (RFC 9110 section 10.1.1). Every reading is followed, nothing of it is passed
 * on, and each final answer rules out those in which nobody had asked for it. A boundary is proven where an answer to a request of its own was
 * had in every reading that is left, and all of them stand between two messages.
 */
import { MessageFlag } from '../exchange/message.ts'
import { NO_OFFSET, type StreamPiece } from '../reassembly/stream-parser.ts'
import { BodyReader, type BodyTarget } from './body-reader.ts'
import { CR, LF } from './characters.ts'
import { Probe, probeRequestLine } from './first-line.ts'
import { HEAD_INCOMPLETE } from './head.ts'
import { MESSAGE_OVERHEAD, type Reservation, type ReservationOwner } from './http-memory.ts'
import type { ParserContext } from './parser-context.ts'
import { PartialHead } from './partial-head.ts'
import { RequestLineSearch } from './request-line-search.ts'

/** Text with more request lines than this is not followed: no boundary is proven behind it. */
const MAX_READINGS = 16
/** What is unanswered in one reading; more: as above. */
const MAX_ASKED = 1024

const At = {
  /** Between two messages. */
  boundary: 0,
  head: 1,
  body: 2,
  /** Behind what nobody would read on from, or a loss. */
  opaque: 3,
  /** No client sends what it would have to be. */
  ruledOut: 4,
} as const

class Reading {
  at: number = At.boundary
  head: PartialHead | null = null
  body: BodyReader | null = null
  /** Offset behind the head in hand, and of the final answer that its client may have; NO_OFFSET: none. */
  headEnd = 0
  answerOffset: number = NO_OFFSET
  /** Looks for request lines in a body that may have been given up; and for one that only began in it. */
  search: RequestLineSearch | null = null
  tail: RequestLineSearch | null = null
  /** Offsets behind the heads of requests that wait for their answers, in order. */
  readonly asked: number[]

  constructor(asked: readonly number[]) {
    this.asked = [...asked]
  }

  get isAtBoundary(): boolean {
    return this.at === At.boundary && this.tail === null
  }
}

export class PossibleReadings implements BodyTarget, ReservationOwner {
  private readonly context: ParserContext
  private readings: Reading[] = []
  /** Offset of the refusal: requests before it do not count as proof. */
  private readonly from: number
  /** Bytes were lost: a segment that begins with a request line may be a request. */
  private isBehindLoss = false
  /** Nothing will be proven any more. */
  private isHopeless = false
  /** Offset of the answer that proves the next boundary; NO_OFFSET: none yet. */
  private provenBy: number = NO_OFFSET
  private reservation: Reservation | null = null

  /**
   * The body that was refused, and what looks for request lines in it.
   * @param unanswered requests before it, and itself, whose answer was not seen
   * @param offset behind what was read of it
   */
  constructor(
    context: ParserContext,
    body: BodyReader,
    search: RequestLineSearch,
    isBroken: boolean,
    unanswered: number,
    offset: number,
  ) {
    this.context = context
    this.from = offset
    const first = new Reading(new Array<number>(Math.min(unanswered, MAX_ASKED)).fill(0))
    first.answerOffset = 0
    if (isBroken) {
      first.at = At.opaque
      first.search = search
    } else if (body.isDone) first.tail = search
    else {
      first.at = At.body
      first.body = body
      first.search = search
    }
    this.readings.push(first)
  }

  /** A request line that was found in the body ends here. */
  requestLineEnds(search: RequestLineSearch): void {
    this.branch(this.readings[0]!, search)
  }

  /** A message that begins here, sent with so much of the server's stream, begins here in every reading. */
  isBoundary(peerOffset: number): boolean {
    if (this.isHopeless || this.provenBy === NO_OFFSET || peerOffset <= this.provenBy) return false
    return this.readings.every((reading) => reading.isAtBoundary)
  }

  /** Answers that may still come to requests before the boundary: the most of any reading. */
  get unanswered(): number {
    return Math.max(...this.readings.map(({ asked }) => asked.length))
  }

  /** Follows the bytes of the piece from `at` on. */
  take(piece: StreamPiece, at: number): void {
    if (this.isHopeless) return
    if (this.isBehindLoss && at === piece.at && piece.startsSegment && piece.isAckedTo) this.mayBeginAt(piece)
    // Those that branch off are appended, and begin where their line ends.
    const starts = this.readings.map(() => at)
    for (let i = 0; i < this.readings.length && !this.isHopeless; i++) {
      const before = this.readings.length
      this.follow(this.readings[i]!, piece, starts[i]!, starts)
      if (this.readings.length > before) this.provenBy = NO_OFFSET
    }
    if (this.isHopeless) return
    this.merge()
    if (this.readings.length === 0) this.gap()
    this.reserve()
  }

  /** Bytes of the client will not come. */
  gap(): void {
    this.isBehindLoss = true
    this.provenBy = NO_OFFSET
    const asked = this.readings.map((reading) => reading.asked).reduce((a, b) => (b.length > a.length ? b : a), [])
    const unknown = new Reading(asked)
    unknown.at = At.opaque
    this.readings = [unknown]
  }

  /** A final answer begins at `offset`; its server had so much of the client's stream. */
  answered(offset: number, peerOffset: number): void {
    for (const reading of this.readings) this.mayBeAnswered(reading, offset, peerOffset)
    if (peerOffset === NO_OFFSET) return
    let isProof = true
    const left = this.readings.filter(({ asked }) => {
      const headEnd = asked[0]
      if (headEnd === undefined || headEnd > peerOffset) return false
      asked.shift()
      if (headEnd <= this.from) isProof = false
      return true
    })
    if (left.length === 0) this.gap()
    else {
      this.readings = left
      if (isProof) this.provenBy = offset
    }
  }

  /** From `offset` on the server may have sent answers that were not seen. */
  answersHidden(offset: number): void {
    for (const reading of this.readings) this.mayBeAnswered(reading, Math.max(offset, 0), NO_OFFSET)
  }

  /** Bytes of a body: nobody has them. */
  bodyData(): void {}

  /** ReservationOwner: heads that are followed have to make room. */
  evict(): void {
    this.reservation = null
    this.giveUp()
  }

  /** Nothing is followed any more. */
  release(): void {
    if (this.reservation !== null) this.context.memory.close(this.reservation)
    this.reservation = null
  }

  private giveUp(): void {
    this.isHopeless = true
    this.readings = []
    this.release()
  }

  private mayBeAnswered(reading: Reading, offset: number, peerOffset: number): void {
    if (reading.at !== At.body || reading.answerOffset !== NO_OFFSET) return
    if (peerOffset === NO_OFFSET || peerOffset >= reading.headEnd) reading.answerOffset = offset
  }

  private mayBeginAt(piece: StreamPiece): void {
    if (probeRequestLine(piece.bytes, piece.at, piece.end) === Probe.no) return
    const unknown = this.readings.find(({ at }) => at === At.opaque)
    if (unknown === undefined) return
    this.readings.push(new Reading(unknown.asked))
    this.provenBy = NO_OFFSET
  }

  private follow(reading: Reading, piece: StreamPiece, from: number, starts: number[]): void {
    const { bytes, end } = piece
    this.followTail(reading, piece, from, starts)
    let i = from
    while (i < end && !this.isHopeless) {
      switch (reading.at) {
        case At.boundary:
          // Empty lines in front of a request are ignored (RFC 9112 section 2.2).
          if (bytes[i] === CR || bytes[i] === LF) i++
          else {
            reading.head = new PartialHead()
            reading.at = At.head
          }
          break
        case At.head:
          i = this.followHead(reading, piece, i)
          break
        case At.body:
          i = this.followBody(reading, piece, i, starts)
          break
        default:
          this.searchOn(reading, reading.search, piece, i, starts)
          i = end
      }
    }
  }

  private followHead(reading: Reading, piece: StreamPiece, at: number): number {
    const { context } = this
    const head = reading.head!
    const i = head.append(piece.bytes, at, piece.end)
    if (!head.shouldParse(context.maxHeadBytes)) return i
    const { view } = context
    const headEnd = context.reader.request(head.bytes, 0, head.length, view)
    if (headEnd === HEAD_INCOMPLETE) return i
    reading.head = null
    if (headEnd < 0 && !context.reader.firstLineRead) {
      reading.at = At.ruledOut
      return piece.end
    }
    reading.headEnd = piece.offset + (i - piece.at)
    reading.answerOffset = NO_OFFSET
    reading.asked.push(reading.headEnd)
    if (reading.asked.length > MAX_ASKED) this.giveUp()
    if (headEnd < 0 || view.has(MessageFlag.close) || view.has(MessageFlag.connect)) {
      reading.at = At.opaque
      return i
    }
    const body = new BodyReader(context.maxHeadBytes)
    if (view.has(MessageFlag.chunked)) body.startChunked()
    else body.startLength(view.contentLength)
    reading.body = body
    reading.at = body.isDone ? At.boundary : At.body
    return i
  }

  private followBody(reading: Reading, piece: StreamPiece, at: number, starts: number[]): number {
    const { bytes, end, peerOffset } = piece
    const body = reading.body!
    if (reading.search === null && isHad(reading.answerOffset, peerOffset)) reading.search = new RequestLineSearch()
    const { search } = reading
    let limit = end
    if (search !== null) {
      const found = search.ahead(bytes, at, end)
      if (found >= 0) limit = found
    }
    const i = body.read(bytes, at, limit, this)
    if (i < 0) {
      // No server reads on; but the client may have given the body up.
      reading.at = At.opaque
      return at
    }
    const isLine = search !== null && search.find(bytes, at, i) >= 0
    if (isLine) this.branch(reading, search, starts, i)
    if (!body.isDone) return i
    reading.at = At.boundary
    reading.search = null
    if (search === null) return i
    search.bodyEnds()
    reading.tail = search
    this.followTail(reading, piece, i, starts)
    return i
  }

  /** A request line that began in a body which may have been given up. */
  private followTail(reading: Reading, piece: StreamPiece, at: number, starts: number[]): void {
    const { tail } = reading
    if (tail === null) return
    this.searchOn(reading, tail, piece, at, starts)
    if (!tail.isOpen) reading.tail = null
  }

  private searchOn(
    reading: Reading,
    search: RequestLineSearch | null,
    { bytes, end }: StreamPiece,
    at: number,
    starts: number[],
  ): void {
    if (search === null) return
    for (let i = search.find(bytes, at, end); i >= 0; i = search.find(bytes, i, end))
      this.branch(reading, search, starts, i)
  }

  /** The client gave up the body in hand: a request of its own began in it, and its line ends here. */
  private branch(from: Reading, search: RequestLineSearch, starts?: number[], at = 0): void {
    if (this.readings.length >= MAX_READINGS) {
      this.giveUp()
      return
    }
    const reading = new Reading(from.asked)
    reading.at = At.head
    reading.head = new PartialHead()
    // Of the line only the method counts, and the version.
    const { isConnect, minorVersion, lineEnd } = search
    const line = `${isConnect ? 'CONNECT a:1' : 'GET /'} HTTP/1.${minorVersion}${String.fromCharCode(lineEnd)}`
    reading.head.append(Buffer.from(line, 'latin1'), 0, line.length)
    this.readings.push(reading)
    starts?.push(at)
  }

  /** Readings between two messages that wait for the same answers go on the same. */
  private merge(): void {
    const seen = new Set<string>()
    this.readings = this.readings.filter((reading) => {
      if (reading.at === At.ruledOut) return false
      if (!reading.isAtBoundary) return true
      const key = reading.asked.join()
      if (seen.has(key)) return false
      seen.add(key)
      return true
    })
  }

  private reserve(): void {
    const { memory } = this.context
    let bytes = 0
    for (const { head } of this.readings) bytes += MESSAGE_OVERHEAD + (head?.bytes.length ?? 0)
    this.reservation ??= memory.open(this)
    memory.resize(this.reservation, bytes)
  }
}

/** The client had a byte of the answer when it had so much of the server's stream; unknown: it may have had it. */
function isHad(answerOffset: number, peerOffset: number): boolean {
  return answerOffset !== NO_OFFSET && (peerOffset === NO_OFFSET || peerOffset > answerOffset)
}
