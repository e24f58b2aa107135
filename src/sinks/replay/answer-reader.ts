/**
 * Reads one answer of the origin after the other, incrementally over any split, with the parts that read captured responses: what the
 * product refuses in a capture it refuses here.
 *
 * Framing is RFC 9112 section 6.3; bodies are counted, not kept.
 */

import { FIELD_STRIDE, MessageFlag, MessageView } from '../../exchange/message.ts'
import { BodyReader, type BodyTarget } from '../../http/body-reader.ts'
import { CR, LF } from '../../http/characters.ts'
import { HEAD_INCOMPLETE, HeadReader } from '../../http/head.ts'
import { PartialHead } from '../../http/partial-head.ts'
import { MAX_ANSWER_HEAD_BYTES } from './engine.ts'

export const AnswerState = {
  /** No byte of it came. */
  none: 0,
  /** Its head is being read, or that of an interim answer before it. */
  head: 1,
  body: 2,
  complete: 3,
  /** Not HTTP/1, or framed in a way that two readers could understand differently. */
  invalid: 4,
  /** 101 (Switching Protocols), which nobody asked for: what follows is not HTTP. */
  switched: 5,
} as const

/** Header lines of an answer. Chosen: more than any server sends; the head's bytes are bounded too. */
const MAX_ANSWER_FIELDS = 1000

/** Chosen: more than most heads have, and at worst, one byte at a time, ten milliseconds of parsing in all. */
const TRIED_BYTES = 4096

/** What the readers of one engine share: nothing of it is kept between two calls, but for heads that come in pieces. */
export class AnswerContext {
  readonly reader = new HeadReader({
    maxHeadBytes: MAX_ANSWER_HEAD_BYTES,
    maxFields: MAX_ANSWER_FIELDS,
    lenientWhiteSpace: false,
  })
  readonly view = new MessageView(MAX_ANSWER_FIELDS)
  private readonly partials: PartialHead[] = []

  takePartial(): PartialHead {
    return this.partials.pop() ?? new PartialHead()
  }

  givePartial(partial: PartialHead): void {
    partial.clear()
    this.partials.push(partial)
  }
}

export class AnswerReader implements BodyTarget {
  /** One of AnswerState. */
  state: number = AnswerState.none
  /** Of the final answer; 0 before it. */
  status = 0
  bodyBytes = 0
  /** The origin means to keep the connection open after this answer. */
  keepsAlive = false
  /** How long the origin says it keeps an idle connection (Keep-Alive: timeout=seconds); -1 when it says nothing. */
  keepAliveSeconds = -1
  private readonly context: AnswerContext
  private readonly body = new BodyReader(MAX_ANSWER_HEAD_BYTES)
  private partial: PartialHead | null = null
  private toHead = false

  constructor(context: AnswerContext) {
    this.context = context
  }

  /** The next bytes belong to the answer to a request just sent. @param toHead the request's method is HEAD */
  begin(toHead: boolean): void {
    this.state = AnswerState.none
    this.status = 0
    this.bodyBytes = 0
    this.toHead = toHead
  }

  /** Takes bytes of [at, end); returns the index after what it took, less than `end` only when the answer is over. */
  read(bytes: Buffer, at: number, end: number): number {
    let i = at
    while (i < end) {
      switch (this.state) {
        case AnswerState.none:
          // Some servers send an empty line, or half of one, after a body: no reader takes it for an answer.
          if (bytes[i] === CR || bytes[i] === LF) i++
          else {
            this.state = AnswerState.head
            i = this.beginHead(bytes, i, end)
          }
          break
        case AnswerState.head:
          i = this.partial === null ? this.beginHead(bytes, i, end) : this.continueHead(this.partial, bytes, i, end)
          break
        case AnswerState.body:
          i = this.body.read(bytes, i, end, this)
          if (i < 0) {
            this.state = AnswerState.invalid
            return this.body.faultAt
          }
          if (this.body.isDone) this.state = AnswerState.complete
          break
        default:
          return i
      }
    }
    return i
  }

  /** The origin has closed its side in order: that completes an answer that runs until then. */
  ended(): void {
    if (this.state === AnswerState.body && this.body.endsWithConnection) {
      this.state = AnswerState.complete
      this.keepsAlive = false
    }
  }

  /** No more bytes will come: what is there of a head may be wrong already. */
  judge(): void {
    if (this.state === AnswerState.head && this.partial !== null) this.tryPartial(this.partial)
  }

  /** The connection is gone. */
  release(): void {
    if (this.partial === null) return
    this.context.givePartial(this.partial)
    this.partial = null
  }

  bodyData(_bytes: Buffer, at: number, end: number): void {
    this.bodyBytes += end - at
  }

  private beginHead(bytes: Buffer, at: number, end: number): number {
    const { reader, view } = this.context
    const headEnd = reader.response(bytes, at, end, view)
    if (headEnd > 0) {
      this.headComplete(view)
      return headEnd
    }
    if (headEnd !== HEAD_INCOMPLETE) {
      this.state = AnswerState.invalid
      return at
    }
    this.partial = this.context.takePartial()
    this.partial.append(bytes, at, end)
    return end
  }

  private continueHead(partial: PartialHead, bytes: Buffer, at: number, end: number): number {
    const i = partial.append(bytes, at, end)
    // Ends that come late are rare, so a short head is tried with each piece: garbage is known at once. A long one: as PartialHead says.
    if (partial.shouldParse(MAX_ANSWER_HEAD_BYTES) || partial.length <= TRIED_BYTES) this.tryPartial(partial)
    return i
  }

  private tryPartial(partial: PartialHead): void {
    const { reader, view } = this.context
    const headEnd = reader.response(partial.bytes, 0, partial.length, view)
    if (headEnd === HEAD_INCOMPLETE) return
    if (headEnd > 0) this.headComplete(view)
    else this.state = AnswerState.invalid
    this.release()
  }

  /** The state is `head`: for an interim answer it stays so. */
  private headComplete(view: MessageView): void {
    const { status } = view
    if (status < 200) {
      if (status === 101) {
        this.status = status
        this.state = AnswerState.switched
      }
      return
    }
    this.status = status
    this.readPersistence(view)
    const { body } = this
    if (this.toHead || status === 204 || status === 304) body.startLength(0)
    else if (view.has(MessageFlag.chunked)) body.startChunked()
    else if (view.has(MessageFlag.hasLength)) body.startLength(view.contentLength)
    else body.startUntilClose()
    this.state = body.isDone ? AnswerState.complete : AnswerState.body
  }

  /** RFC 9112 section 9.3; and how long, as servers say it outside the RFCs' core. */
  private readPersistence(view: MessageView): void {
    const { bytes, fields } = view
    this.keepsAlive = view.minorVersion === 1 && !view.has(MessageFlag.close)
    this.keepAliveSeconds = -1
    for (let i = 0, at = 0; i < view.fieldCount; i++, at += FIELD_STRIDE) {
      const nameAt = fields[at]!
      // Connection and Keep-Alive are of one length.
      if (fields[at + 1]! - nameAt !== 10) continue
      const first = bytes[nameAt]! | 0x20
      if (first === 0x6b && view.fieldName(i).toLowerCase() === 'keep-alive')
        this.keepAliveSeconds = timeoutOf(bytes, fields[at + 2]!, fields[at + 3]!)
      else if (first === 0x63 && view.minorVersion === 0 && !view.has(MessageFlag.close))
        this.keepsAlive ||= /^connection:.*\bkeep-alive\b/i.test(`${view.fieldName(i)}:${view.fieldValue(i)}`)
    }
  }
}

/** The number after `timeout=` in a Keep-Alive value, or -1. */
function timeoutOf(bytes: Buffer, at: number, end: number): number {
  const value = bytes.toString('latin1', at, end)
  const found = /(?:^|[\s,])timeout=(\d{1,9})/i.exec(value)
  return found === null ? -1 : Number(found[1])
}
