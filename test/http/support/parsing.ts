/** Runs one parser over pieces of a stream and writes down what it says, in values that can be compared. */
import { REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../../../src/base/drop.ts'
import { MessageFlag, MessageView } from '../../../src/exchange/message.ts'
import { Fault, requestDropOf, responseDropOf } from '../../../src/http/fault.ts'
import { HeadReader } from '../../../src/http/head.ts'
import { HeldMessages } from '../../../src/http/held-messages.ts'
import { HttpMemory } from '../../../src/http/http-memory.ts'
import { MessageReader } from '../../../src/http/message-reader.ts'
import { Body, Skipped } from '../../../src/http/message-role.ts'
import type { ParserContext } from '../../../src/http/parser-context.ts'
import { PartialHead } from '../../../src/http/partial-head.ts'
import { type RequestEvents, RequestRole } from '../../../src/http/request-role.ts'
import { type ResponseEvents, ResponseRole } from '../../../src/http/response-role.ts'
import { CounterBlock } from '../../../src/metrics/counters.ts'
import { End, NO_OFFSET, StreamPiece } from '../../../src/reassembly/stream-parser.ts'

export interface Limits {
  readonly maxHeadBytes?: number
  readonly maxFields?: number
  readonly maxBodyBytes?: number
  readonly keepBodies?: boolean
  readonly lenientWhiteSpace?: boolean
  /** Bounds of what HTTP holds. */
  readonly connectionBytes?: number
  readonly messageBytes?: number
}

/** A parser context that knows how many gathered heads are out. */
export class TestContext implements ParserContext {
  readonly reader: HeadReader
  readonly view: MessageView
  readonly heldMessages = new HeldMessages()
  readonly maxHeadBytes: number
  readonly maxBodyBytes: number
  readonly keepBodies: boolean
  readonly counters = new CounterBlock()
  readonly memory: HttpMemory
  partialHeadsOut = 0

  constructor(limits: Limits = {}) {
    this.maxHeadBytes = limits.maxHeadBytes ?? 65_536
    this.maxBodyBytes = limits.maxBodyBytes ?? 8 * 1024 * 1024
    this.keepBodies = limits.keepBodies ?? true
    const maxFields = limits.maxFields ?? 100
    const lenientWhiteSpace = limits.lenientWhiteSpace ?? false
    this.reader = new HeadReader({ maxHeadBytes: this.maxHeadBytes, maxFields, lenientWhiteSpace })
    this.view = new MessageView(maxFields)
    const { connectionBytes = 1 << 24, messageBytes = 1 << 28 } = limits
    this.memory = new HttpMemory({ connectionBytes, messageBytes }, this.counters)
  }

  takePartialHead(): PartialHead {
    this.partialHeadsOut++
    return new PartialHead()
  }

  givePartialHead(partial: PartialHead): void {
    this.partialHeadsOut--
    // Whoever still looks at a head that was given back must fail.
    partial.bytes.fill(0x58)
  }
}

export const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')

export interface PieceFacts {
  readonly startsSegment?: boolean
  readonly isAckedTo?: boolean
  readonly ack?: number
  readonly timeUs?: number
}

/** A piece that does not begin at the start of its buffer, as none from a packet does. */
export function pieceOf(content: Buffer, offset: number, facts: PieceFacts = {}): StreamPiece {
  const piece = new StreamPiece()
  piece.bytes = Buffer.concat([Buffer.from('\0\r\nGET'), content, Buffer.from('\r\n\r\n0')])
  piece.at = 6
  piece.end = 6 + content.length
  piece.offset = offset
  piece.startsSegment = facts.startsSegment ?? true
  piece.isAckedTo = facts.isAckedTo ?? false
  piece.peerOffset = facts.ack ?? NO_OFFSET
  piece.timeUs = facts.timeUs ?? 1
  return piece
}

/** What a view says, checked against its own bounds. */
export function shown(view: MessageView) {
  const n = view.bytes.length
  const bounds = [view.headAt, view.methodEnd, view.targetAt, view.targetEnd, view.headEnd]
  const isOrdered = bounds.every((at, i) => at >= 0 && at <= n && (i === 0 || view.status > 0 || at >= bounds[i - 1]!))
  if (!isOrdered) throw new Error(`offsets out of order or bounds: ${bounds} of ${n}`)
  for (let i = 0; i < view.fieldCount * 4; i++) {
    const at = view.fields[i]!
    if (at < view.headAt || at > view.headEnd || (i % 4 !== 0 && at < view.fields[i - 1]!))
      throw new Error(`field offset ${i}: ${at}`)
  }
  if (view.bodyAt < 0 || view.bodyEnd < view.bodyAt || view.bodyEnd > view.body.length)
    throw new Error('body out of bounds')
  const headers: [string, string][] = []
  for (let i = 0; i < view.fieldCount; i++) headers.push([view.fieldName(i), view.fieldValue(i)])
  return {
    version: `1.${view.minorVersion}`,
    headers,
    body: view.copyBody()?.toString('latin1') ?? '',
    bodyBytes: view.bodyBytes,
  }
}

/** Bits of a view by name. */
export function flagsOf(view: MessageView): string[] {
  return Object.entries(MessageFlag).flatMap(([name, bit]) => (view.has(bit) ? [name] : []))
}

export type Request = { method: string; target: string } & ReturnType<typeof shown>

/** `began` and its end as one word where nothing else matters: `POST /x`, `-gap`. */
export class RequestLog implements RequestEvents {
  readonly context: TestContext
  readonly parser: MessageReader
  readonly events: string[] = []
  readonly requests: Request[] = []
  readonly endOffsets: number[] = []
  readonly flags: string[][] = []
  skippedUnproven = 0
  skippedAmbiguous = 0
  skippedBehindClose = 0
  offset = 0
  private open = 0

  constructor(limits: Limits = {}, start: { inMiddle?: boolean; mayBegin?: boolean; context?: TestContext } = {}) {
    this.context = start.context ?? new TestContext(limits)
    const role = new RequestRole(this.context, this)
    this.parser = new MessageReader(this.context, role, start.inMiddle ?? false, start.mayBegin ?? false)
  }

  /** Feeds one piece; returns how many bytes were taken. */
  data(content: Buffer | string, facts: PieceFacts = {}): number {
    const bytes = typeof content === 'string' ? bytesOf(content) : content
    const piece = pieceOf(bytes, this.offset, facts)
    const taken = this.parser.data(piece)
    // The bytes were lent.
    piece.bytes.fill(0x5a)
    this.offset += taken
    return taken
  }

  gap(length: number, reason: number = Fault.lost): this {
    this.parser.gap(length, reason)
    this.offset += length
    return this
  }

  end(reason: number = End.fin): this {
    this.parser.end(reason)
    if (this.open !== 0) throw new Error(`${this.open} requests neither complete nor dropped`)
    if (this.context.partialHeadsOut !== 0) throw new Error('a gathered head was not given back')
    return this
  }

  requestBegan(): void {
    if (++this.open !== 1) throw new Error('a request began inside another')
  }

  requestHead(view: MessageView): number {
    if (this.open !== 1) throw new Error('a head of no request')
    shown(view)
    return 0
  }

  requestComplete(view: MessageView, endOffset: number): void {
    this.settle()
    this.requests.push({ method: view.method(), target: view.target(), ...shown(view) })
    this.flags.push(flagsOf(view))
    this.endOffsets.push(endOffset)
    this.events.push(`${view.method()} ${view.target()}`)
  }

  requestDropped(fault: number): void {
    this.settle()
    this.events.push(`-${REQUEST_DROP_NAMES[requestDropOf(fault)]}`)
  }

  requestsWait(): void {
    this.events.push('wait')
  }

  requestsFound(): void {}

  requestsLost(): void {
    this.events.push('lost')
  }

  requestsAreOther(): boolean {
    this.events.push('other')
    return false
  }

  /** In these tests the client may have had an answer where it says that it had any byte of the server's. */
  mayKnowAnswer(peerOffset: number): boolean {
    return peerOffset > 0
  }

  readonly unanswered = 0

  requestBytesSkipped(bytes: number, why: number): void {
    if (bytes <= 0) throw new Error('nothing was skipped')
    if (why === Skipped.behindClose) this.skippedBehindClose += bytes
    else if (why === Skipped.ambiguous) this.skippedAmbiguous += bytes
    else this.skippedUnproven += bytes
  }

  private settle(): void {
    if (--this.open !== 0) throw new Error('a request ended twice, or before it began')
  }
}

/** Everything a parser said, for comparing two ways of feeding it. */
export function said(log: RequestLog) {
  return { events: log.events, requests: log.requests, endOffsets: log.endOffsets, skipped: log.skippedAmbiguous }
}

/** Feeds all pieces, resuming behind upgrades as if each was refused, and ends the stream. */
export function parseRequests(pieces: readonly Buffer[], limits: Limits = {}): RequestLog {
  const log = new RequestLog(limits)
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      at += log.data(piece.subarray(at))
      if (log.parser.isWaiting) log.parser.resume()
    }
  }
  return log.end()
}

export const parseWhole = (text: string, limits: Limits = {}): RequestLog => parseRequests([bytesOf(text)], limits)

/** Cuts at every byte. */
export const inBytes = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))

export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = [...new Set([0, ...places.map((p) => p % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}

export interface Response {
  status: number
  reason: string
  body: string
  /** Name of a drop, '' when complete. */
  fault: string
}

export class ResponseLog implements ResponseEvents {
  readonly context: TestContext
  readonly parser: MessageReader
  readonly events: string[] = []
  readonly responses: Response[] = []
  readonly responsesPause = false
  skippedUnproven = 0
  skippedAmbiguous = 0
  skippedBehindClose = 0
  offset = 0
  /** What pairing would answer, by status. */
  private readonly framing: (status: number) => number
  private open: Response | null = null

  constructor(framing = statedFraming, limits: Limits = {}) {
    this.context = new TestContext(limits)
    this.framing = framing
    this.parser = new MessageReader(this.context, new ResponseRole(this.context, this), false, false)
  }

  data(content: Buffer | string, facts: PieceFacts = {}): this {
    const bytes = typeof content === 'string' ? bytesOf(content) : content
    const piece = pieceOf(bytes, this.offset, facts)
    this.parser.data(piece)
    piece.bytes.fill(0x5a)
    this.offset += bytes.length
    return this
  }

  gap(length: number, reason: number = Fault.lost): this {
    this.parser.gap(length, reason)
    this.offset += length
    return this
  }

  end(reason: number = End.fin): this {
    this.parser.end(reason)
    if (this.open !== null) throw new Error('a response did not end')
    if (this.context.partialHeadsOut !== 0) throw new Error('a gathered head was not given back')
    return this
  }

  responseHead(view: MessageView): number {
    if (this.open !== null) throw new Error('a response inside another')
    shown(view)
    this.open = { status: view.status, reason: view.target(), body: '', fault: '' }
    return this.framing(view.status)
  }

  responseBody(bytes: Buffer, at: number, end: number): void {
    if (at < 0 || end > bytes.length || at >= end) throw new Error('body out of bounds')
    this.open!.body += bytes.toString('latin1', at, end)
  }

  responseEnd(fault: number): void {
    const response = this.open!
    response.fault = RESPONSE_DROP_NAMES[responseDropOf(fault)]!
    this.responses.push(response)
    this.events.push(`${response.status} ${response.body.length}${fault === 0 ? '' : ` -${response.fault}`}`)
    this.open = null
  }

  responseDropped(fault: number): void {
    this.events.push(`-${RESPONSE_DROP_NAMES[responseDropOf(fault)]}`)
  }

  responsesAreOther(): boolean {
    this.events.push('other')
    return false
  }

  responseUnproven(): void {}

  responsesLost(): void {
    this.events.push('lost')
  }

  responseBytesSkipped(bytes: number, why: number): void {
    if (bytes <= 0) throw new Error('nothing was skipped')
    if (why === Skipped.behindClose) this.skippedBehindClose += bytes
    else if (why === Skipped.ambiguous) this.skippedAmbiguous += bytes
    else this.skippedUnproven += bytes
  }
}

/** Framing as pairing answers it for GET. */
export function statedFraming(status: number): number {
  if (status === 101) return Body.tunnel
  return status < 200 || status === 204 || status === 304 ? Body.none : Body.stated
}
