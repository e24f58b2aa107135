/**
 * Reads the head of an HTTP/1 message (RFC 9112 sections 2 to 6) in one pass, into a MessageView of offsets.
 *
 * Strict where two readers could disagree: what follows an ambiguous head could be a body for one and a request for another,
 * so the caller ends HTTP on that direction. Lenient where nothing can be misread (any method token, any header value).
 */

import { FIELD_STRIDE, MessageFlag, type MessageView } from '../exchange/message.ts'
import { CHARACTERS, Char, COLON, CR, LF, SP } from './characters.ts'
import { Fault } from './fault.ts'
import { Framing, mayBeNoted } from './framing.ts'
import { isText, pastTarget, pastValue, trimmedEnd, word } from './text.ts'

/** Results of the head readers besides the end of the head (which is greater than its start). */
export const HEAD_INCOMPLETE = -1
export const HEAD_FAULT = -2

export interface HeadLimits {
  /** Bytes from the first line to the empty line. */
  readonly maxHeadBytes: number
  /** Header lines. */
  readonly maxFields: number
  /** Show requests whose request line has too much white space (RFC 9112 section 3). They are never sent: replay does not set it. */
  readonly lenientWhiteSpace: boolean
  /**
   * Of responses only Content-Length and Transfer-Encoding are read, and no field is kept: for whoever needs nothing but to know where
   * they end. Names of other fields are not checked then.
   */
  readonly skipsResponseFields?: boolean
}

export class HeadReader {
  /** What was wrong, after HEAD_FAULT: a code of Fault. */
  fault = 0
  /** After a complete head: an error that leaves the framing certain, so that only this message is dropped; else 0. */
  recoverable = 0
  /** Whether the first line was whole and recognised, also when the rest is not. */
  firstLineRead = false
  private readonly limits: HeadLimits
  private readonly framing = new Framing()

  constructor(limits: HeadLimits) {
    this.limits = limits
  }

  /** Reads a request head that begins at `at`. Returns its end, HEAD_INCOMPLETE or HEAD_FAULT. */
  request(bytes: Buffer, at: number, end: number, view: MessageView): number {
    const limit = at + this.limits.maxHeadBytes
    return this.withinLimit(this.readRequest(bytes, at, Math.min(end, limit), view), end >= limit)
  }

  /** Reads a response head that begins at `at`. Returns its end, HEAD_INCOMPLETE or HEAD_FAULT. */
  response(bytes: Buffer, at: number, end: number, view: MessageView): number {
    const limit = at + this.limits.maxHeadBytes
    return this.withinLimit(this.readResponse(bytes, at, Math.min(end, limit), view), end >= limit)
  }

  /** Nothing beyond the limit is looked at, so what is found does not depend on how many bytes came at once. */
  private withinLimit(result: number, isLimitReached: boolean): number {
    return result === HEAD_INCOMPLETE && isLimitReached ? this.fail(Fault.headTooLarge) : result
  }

  private readRequest(bytes: Buffer, at: number, end: number, view: MessageView): number {
    this.begin(bytes, at, view)
    let i = at
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.token) !== 0) i++
    if (i === end) return HEAD_INCOMPLETE
    if (i === at || bytes[i] !== SP) return this.fail(bytes[i] === 0 ? Fault.nul : Fault.firstLine)
    view.methodEnd = i
    if (i - at === 7 && isText(bytes, at, CONNECT)) view.flags |= MessageFlag.connect
    view.targetAt = ++i
    i = pastTarget(bytes, i, end)
    if (i === end) return HEAD_INCOMPLETE
    if (i === view.targetAt || bytes[i] !== SP) return this.looseLine(bytes, end, view)
    view.targetEnd = i++
    // "HTTP/1.x" and CRLF.
    for (let k = 0; k < HTTP_VERSION.length; k++, i++) {
      if (i === end) return HEAD_INCOMPLETE
      if (bytes[i] === HTTP_VERSION[k]) continue
      return k === HTTP_VERSION.length - 2 ? this.fail(Fault.version) : this.looseLine(bytes, end, view)
    }
    const minor = this.minorVersion(bytes, i, end, view)
    if (minor !== 0) return minor < 0 ? minor : this.fail(minor)
    i++
    const line = this.lineEnd(bytes, i, end, Fault.firstLine)
    if (line < 0) return line
    this.firstLineRead = true
    return this.fields(bytes, line, end, view)
  }

  /**
   * A request line with more blanks than it should have. Readers agree on its end, so framing stays certain (a recoverable error); they
   * may not agree on the target. Where only the gaps between the words are too wide, RFC 9112 section 3 lets a recipient read it.
   */
  private looseLine(bytes: Buffer, end: number, view: MessageView): number {
    let i = view.methodEnd
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.value) !== 0) i++
    const line = this.lineEnd(bytes, i, end, Fault.firstLine)
    if (line < 0) return line
    const lineEnd = trimmedEnd(bytes, view.methodEnd, i)
    const versionAt = lineEnd - HTTP_VERSION.length - 1
    let targetAt = view.methodEnd
    while (targetAt < versionAt && (CHARACTERS[bytes[targetAt]!]! & Char.blank) !== 0) targetAt++
    const targetEnd = trimmedEnd(bytes, targetAt, versionAt)
    const isVersion = targetEnd > targetAt && targetEnd < versionAt && isText(bytes, versionAt, HTTP_VERSION)
    if (!isVersion || this.minorVersion(bytes, lineEnd - 1, lineEnd, view) !== 0) return this.fail(Fault.firstLine)
    let isOneWord = true
    for (let k = targetAt; k < targetEnd; k++) if ((CHARACTERS[bytes[k]!]! & Char.target) === 0) isOneWord = false
    view.targetAt = targetAt
    view.targetEnd = targetEnd
    if (!isOneWord || !this.limits.lenientWhiteSpace) this.recoverable = Fault.firstLine
    this.firstLineRead = true
    return this.fields(bytes, line, end, view)
  }

  private readResponse(bytes: Buffer, at: number, end: number, view: MessageView): number {
    this.begin(bytes, at, view)
    let i = at
    for (let k = 0; k < HTTP_VERSION.length; k++, i++) {
      if (i === end) return HEAD_INCOMPLETE
      if (bytes[i] !== HTTP_VERSION[k]) return this.fail(Fault.firstLine)
    }
    const minor = this.minorVersion(bytes, i, end, view)
    if (minor !== 0) return minor < 0 ? minor : this.fail(Fault.firstLine)
    i++
    if (i < end && bytes[i] !== SP) return this.fail(Fault.firstLine)
    i++
    let status = 0
    for (let k = 0; k < 3; k++, i++) {
      if (i >= end) return HEAD_INCOMPLETE
      if ((CHARACTERS[bytes[i]!]! & Char.digit) === 0) return this.fail(Fault.firstLine)
      status = status * 10 + bytes[i]! - 0x30
    }
    if (status < 100) return this.fail(Fault.firstLine)
    view.status = status
    // The blank before an empty reason phrase is often left out, but something else is no reason phrase.
    const hasReason = i < end && bytes[i] === SP
    if (hasReason) i++
    view.targetAt = i
    if (hasReason) i = pastValue(bytes, i, end)
    view.targetEnd = i
    const line = this.lineEnd(bytes, i, end, Fault.firstLine)
    if (line < 0) return line
    this.firstLineRead = true
    return this.fields(bytes, line, end, view)
  }

  private begin(bytes: Buffer, at: number, view: MessageView): void {
    view.bytes = bytes
    view.headAt = at
    view.status = 0
    view.flags = 0
    view.fieldCount = 0
    view.contentLength = 0
    this.fault = 0
    this.recoverable = 0
    this.firstLineRead = false
    this.framing.begin()
  }

  private fail(fault: number): number {
    this.fault = fault
    return HEAD_FAULT
  }

  /** 0: read; negative: a result of the reader; positive: the fault. */
  private minorVersion(bytes: Buffer, i: number, end: number, view: MessageView): number {
    if (i === end) return HEAD_INCOMPLETE
    const minor = bytes[i]! - 0x30
    if (minor !== 0 && minor !== 1) return Fault.version
    view.minorVersion = minor
    return 0
  }

  /** The index after CRLF at `i`; HEAD_INCOMPLETE or HEAD_FAULT. */
  private lineEnd(bytes: Buffer, i: number, end: number, otherwise: number): number {
    if (i >= end) return HEAD_INCOMPLETE
    const c = bytes[i]
    if (c === CR) {
      if (i + 1 === end) return HEAD_INCOMPLETE
      return bytes[i + 1] === LF ? i + 2 : this.fail(Fault.bareCr)
    }
    if (c === LF) return this.fail(Fault.bareLf)
    return this.fail(c === 0 ? Fault.nul : otherwise)
  }

  /** The header section from `from` on. */
  private fields(bytes: Buffer, from: number, end: number, view: MessageView): number {
    const { maxFields, skipsResponseFields } = this.limits
    const isSkipping = skipsResponseFields === true && view.status !== 0
    let i = from
    for (let lines = 0; ; lines++) {
      if (i === end) return HEAD_INCOMPLETE
      const c = bytes[i]!
      if ((CHARACTERS[c]! & Char.token) === 0) return this.sectionEnd(bytes, i, end, view)
      const isOneTooMany = lines >= maxFields
      if (isSkipping && !isOneTooMany && c !== SMALL_C && c !== LARGE_C && c !== SMALL_T && c !== LARGE_T) {
        // Neither Content-Length nor Transfer-Encoding: only its end matters.
        i = this.behindLine(bytes, pastValue(bytes, i, end), end)
      } else i = this.field(bytes, i, end, view, isOneTooMany)
      if (i < 0) return i
    }
  }

  /**
   * One field line that begins with a token at `nameAt`. Returns the index after it, HEAD_INCOMPLETE or HEAD_FAULT.
   * @param isOneTooMany that is its fault, once it is whole and not wrong in itself: splits do not matter then
   */
  private field(bytes: Buffer, nameAt: number, end: number, view: MessageView, isOneTooMany: boolean): number {
    let i = nameAt + 1
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.token) !== 0) i++
    if (i === end) return HEAD_INCOMPLETE
    const nameEnd = i
    if (bytes[i] !== COLON && view.status !== 0) {
      // Of a response a proxy takes the white space before the colon away (RFC 9112 section 5.1); in a request it is an error.
      while (i < end && (CHARACTERS[bytes[i]!]! & Char.blank) !== 0) i++
      if (i === end) return HEAD_INCOMPLETE
    }
    if (bytes[i] !== COLON) return this.fail(bytes[i] === 0 ? Fault.nul : Fault.fieldName)
    i++
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.blank) !== 0) i++
    const valueAt = i
    let valueEnd = pastValue(bytes, i, end)
    const next = this.behindLine(bytes, valueEnd, end)
    if (next < 0) return next
    if (valueEnd > valueAt && bytes[valueEnd - 1]! <= SP) valueEnd = trimmedEnd(bytes, valueAt, valueEnd)
    const { fields } = view
    const f = view.fieldCount * FIELD_STRIDE
    if (isOneTooMany || f >= fields.length) return this.fail(Fault.tooManyFields)
    view.fieldCount++
    fields[f] = nameAt
    fields[f + 1] = nameEnd
    fields[f + 2] = valueAt
    fields[f + 3] = valueEnd
    if (!mayBeNoted(bytes, nameAt, nameEnd)) return next
    return this.framing.note(bytes, nameAt, nameEnd, valueAt, valueEnd, view) ? next : this.fail(this.framing.fault)
  }

  /** What stands at `i` begins no field: the empty line, or a fault. */
  private sectionEnd(bytes: Buffer, i: number, end: number, view: MessageView): number {
    if ((CHARACTERS[bytes[i]!]! & Char.blank) !== 0) return this.fail(Fault.obsFold)
    const headEnd = this.lineEnd(bytes, i, end, Fault.fieldName)
    if (headEnd < 0) return headEnd
    view.headEnd = headEnd
    const { framing } = this
    if (!framing.check(view, this.recoverable !== 0)) return this.fail(framing.fault)
    if (framing.isRepeated) this.recoverable = Fault.repeatedLength
    return headEnd
  }

  /** The index after the CRLF of a field line, at `i`; HEAD_INCOMPLETE or HEAD_FAULT. */
  private behindLine(bytes: Buffer, i: number, end: number): number {
    if (end - i > 1 && bytes[i] === CR && bytes[i + 1] === LF) return i + 2
    return this.lineEnd(bytes, i, end, Fault.fieldName)
  }
}

const HTTP_VERSION = word('HTTP/1.')
const CONNECT = word('CONNECT')

const SMALL_C = 0x63
const LARGE_C = 0x43
const SMALL_T = 0x74
const LARGE_T = 0x54
