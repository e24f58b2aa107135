/**
 * Reads the head of an HTTP/1 message (RFC 9112 sections 2 to 6) in one pass, into a MessageView of offsets.
 *
 * Strict where two readers could disagree: what follows an ambiguous head could be a body for one and a request for another,
 * so the caller ends HTTP on that direction. Lenient where nothing can be misread (any method token, any header value).
 */
import { RequestDrop, ResponseDrop } from '../base/drop.ts'
import { FIELD_STRIDE, MessageFlag, type MessageView } from '../exchange/message.ts'
import { CHARACTERS, Char, COLON, CR, DEL, LF, SP } from './characters.ts'

/** Results of the head readers besides the end of the head (which is greater than its start). */
export const HEAD_INCOMPLETE = -1
export const HEAD_FAULT = -2

export interface HeadLimits {
  /** Bytes from the first line to the empty line. */
  readonly maxHeadBytes: number
  /** Header lines. */
  readonly maxFields: number
  /** Show requests whose request line has too wide gaps. They are never sent: replay does not set it. */
  readonly readsWideLines: boolean
  /**
   * Of responses only Content-Length and Transfer-Encoding are read, and no field is kept: for whoever needs nothing but to know where
   * they end. Names of other fields are not checked then.
   */
  readonly skipsResponseFields?: boolean
}

export class HeadReader {
  /** What was wrong, after HEAD_FAULT: a code of RequestDrop. */
  fault = 0
  /** After a complete head: a fault that leaves the framing certain, so that only this message is dropped; else 0. */
  mildFault = 0
  /** Whether the first line was whole and recognised, also when the rest is not. */
  firstLineRead = false
  private readonly limits: HeadLimits
  // Gathered while the fields are read.
  private length = -1
  private hasCoding = false

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
    return result === HEAD_INCOMPLETE && isLimitReached ? this.fail(RequestDrop.headerTooLarge) : result
  }

  private readRequest(bytes: Buffer, at: number, end: number, view: MessageView): number {
    this.begin(bytes, at, view)
    let i = at
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.token) !== 0) i++
    if (i === end) return HEAD_INCOMPLETE
    if (i === at || bytes[i] !== SP) return this.fail(bytes[i] === 0 ? RequestDrop.nul : RequestDrop.requestLine)
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
      return k === HTTP_VERSION.length - 2 ? this.fail(RequestDrop.version) : this.looseLine(bytes, end, view)
    }
    const minor = this.minorVersion(bytes, i, end, view)
    if (minor !== 0) return minor < 0 ? minor : this.fail(minor)
    i++
    const line = this.lineEnd(bytes, i, end, RequestDrop.requestLine)
    if (line < 0) return line
    this.firstLineRead = true
    return this.fields(bytes, line, end, view)
  }

  /**
   * A request line with more blanks than it should have. Readers agree on its end, so framing stays certain (a mild fault); they
   * may not agree on the target. Where only the gaps between the words are too wide, RFC 9112 section 3 lets a recipient read it.
   */
  private looseLine(bytes: Buffer, end: number, view: MessageView): number {
    let i = view.methodEnd
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.value) !== 0) i++
    const line = this.lineEnd(bytes, i, end, RequestDrop.requestLine)
    if (line < 0) return line
    const lineEnd = trimmedEnd(bytes, view.methodEnd, i)
    const versionAt = lineEnd - HTTP_VERSION.length - 1
    let targetAt = view.methodEnd
    while (targetAt < versionAt && (CHARACTERS[bytes[targetAt]!]! & Char.blank) !== 0) targetAt++
    const targetEnd = trimmedEnd(bytes, targetAt, versionAt)
    const isVersion = targetEnd > targetAt && targetEnd < versionAt && isText(bytes, versionAt, HTTP_VERSION)
    if (!isVersion || this.minorVersion(bytes, lineEnd - 1, lineEnd, view) !== 0)
      return this.fail(RequestDrop.requestLine)
    let isOneWord = true
    for (let k = targetAt; k < targetEnd; k++) if ((CHARACTERS[bytes[k]!]! & Char.target) === 0) isOneWord = false
    view.targetAt = targetAt
    view.targetEnd = targetEnd
    if (!isOneWord || !this.limits.readsWideLines) this.mildFault = RequestDrop.requestLine
    this.firstLineRead = true
    return this.fields(bytes, line, end, view)
  }

  private readResponse(bytes: Buffer, at: number, end: number, view: MessageView): number {
    this.begin(bytes, at, view)
    let i = at
    for (let k = 0; k < HTTP_VERSION.length; k++, i++) {
      if (i === end) return HEAD_INCOMPLETE
      if (bytes[i] !== HTTP_VERSION[k]) return this.fail(RequestDrop.requestLine)
    }
    const minor = this.minorVersion(bytes, i, end, view)
    if (minor !== 0) return minor < 0 ? minor : this.fail(RequestDrop.requestLine)
    i++
    if (i < end && bytes[i] !== SP) return this.fail(RequestDrop.requestLine)
    i++
    let status = 0
    for (let k = 0; k < 3; k++, i++) {
      if (i >= end) return HEAD_INCOMPLETE
      if ((CHARACTERS[bytes[i]!]! & Char.digit) === 0) return this.fail(RequestDrop.requestLine)
      status = status * 10 + bytes[i]! - 0x30
    }
    if (status < 100) return this.fail(RequestDrop.requestLine)
    view.status = status
    // The blank before an empty reason phrase is often left out, but something else is no reason phrase.
    const hasReason = i < end && bytes[i] === SP
    if (hasReason) i++
    view.targetAt = i
    if (hasReason) i = pastValue(bytes, i, end)
    view.targetEnd = i
    const line = this.lineEnd(bytes, i, end, RequestDrop.requestLine)
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
    this.mildFault = 0
    this.firstLineRead = false
    this.length = -1
    this.hasCoding = false
  }

  private fail(fault: number): number {
    this.fault = fault
    return HEAD_FAULT
  }

  private refuse(fault: number): false {
    this.fault = fault
    return false
  }

  /** 0: read; negative: a result of the reader; positive: the fault. */
  private minorVersion(bytes: Buffer, i: number, end: number, view: MessageView): number {
    if (i === end) return HEAD_INCOMPLETE
    const minor = bytes[i]! - 0x30
    if (minor !== 0 && minor !== 1) return RequestDrop.version
    view.minorVersion = minor
    return 0
  }

  /** The index behind CRLF at `i`; HEAD_INCOMPLETE or HEAD_FAULT. */
  private lineEnd(bytes: Buffer, i: number, end: number, otherwise: number): number {
    if (i >= end) return HEAD_INCOMPLETE
    const c = bytes[i]
    if (c === CR) {
      if (i + 1 === end) return HEAD_INCOMPLETE
      return bytes[i + 1] === LF ? i + 2 : this.fail(RequestDrop.bareCr)
    }
    if (c === LF) return this.fail(RequestDrop.bareLf)
    return this.fail(c === 0 ? RequestDrop.nul : otherwise)
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
   * One field line that begins with a token at `nameAt`. Returns the index behind it, HEAD_INCOMPLETE or HEAD_FAULT.
   * @param isOneTooMany that is its fault, once it is whole and not wrong in itself: splits do not matter then
   */
  private field(bytes: Buffer, nameAt: number, end: number, view: MessageView, isOneTooMany: boolean): number {
    let i = nameAt + 1
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.token) !== 0) i++
    if (i === end) return HEAD_INCOMPLETE
    const nameEnd = i
    if (bytes[i] !== COLON) return this.fail(bytes[i] === 0 ? RequestDrop.nul : RequestDrop.headerName)
    i++
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.blank) !== 0) i++
    const valueAt = i
    let valueEnd = pastValue(bytes, i, end)
    const next = this.behindLine(bytes, valueEnd, end)
    if (next < 0) return next
    if (valueEnd > valueAt && bytes[valueEnd - 1]! <= SP) valueEnd = trimmedEnd(bytes, valueAt, valueEnd)
    const { fields } = view
    const f = view.fieldCount * FIELD_STRIDE
    if (isOneTooMany || f >= fields.length) return this.fail(RequestDrop.tooManyHeaders)
    view.fieldCount++
    fields[f] = nameAt
    fields[f + 1] = nameEnd
    fields[f + 2] = valueAt
    fields[f + 3] = valueEnd
    const length = nameEnd - nameAt
    // Only names of these lengths, and these first letters, matter to framing.
    if (length > LONGEST_NOTED || MAY_BE_NOTED[length * 32 + (bytes[nameAt]! & 31)] === 0) return next
    return this.note(bytes, nameAt, nameEnd, valueAt, valueEnd, view) ? next : HEAD_FAULT
  }

  /** What a field says about the message besides its value; false: a fault. */
  private note(
    bytes: Buffer,
    nameAt: number,
    nameEnd: number,
    valueAt: number,
    valueEnd: number,
    view: MessageView,
  ): boolean {
    switch (nameEnd - nameAt) {
      case 6:
        if (isText(bytes, nameAt, EXPECT) && equalsText(bytes, valueAt, valueEnd, HUNDRED_CONTINUE))
          view.flags |= MessageFlag.expect
        return true
      case 7:
        if (isText(bytes, nameAt, UPGRADE)) {
          view.flags |= MessageFlag.upgrade
          if (!equalsText(bytes, valueAt, valueEnd, H2C)) view.flags |= MessageFlag.foreignUpgrade
          if (hasListToken(bytes, valueAt, valueEnd, WEBSOCKET)) view.flags |= MessageFlag.webSocket
        }
        return true
      case 10:
        if (isText(bytes, nameAt, CONNECTION) && hasListToken(bytes, valueAt, valueEnd, CLOSE))
          view.flags |= MessageFlag.close
        return true
      case 13:
        if (isText(bytes, nameAt, MARKER)) view.flags |= MessageFlag.marked
        return true
      case 14:
        return !isText(bytes, nameAt, CONTENT_LENGTH) || this.contentLength(bytes, valueAt, valueEnd, view)
      case 17:
        return !isText(bytes, nameAt, TRANSFER_ENCODING) || this.transferCoding(bytes, valueAt, valueEnd, view)
      default:
        return true
    }
  }

  /** What stands at `i` begins no field: the empty line, or a fault. */
  private sectionEnd(bytes: Buffer, i: number, end: number, view: MessageView): number {
    if ((CHARACTERS[bytes[i]!]! & Char.blank) !== 0) return this.fail(RequestDrop.obsFold)
    const headEnd = this.lineEnd(bytes, i, end, RequestDrop.headerName)
    if (headEnd < 0) return headEnd
    view.headEnd = headEnd
    return this.frame(view) ? headEnd : HEAD_FAULT
  }

  /** The index behind the CRLF of a field line, at `i`; HEAD_INCOMPLETE or HEAD_FAULT. */
  private behindLine(bytes: Buffer, i: number, end: number): number {
    if (end - i > 1 && bytes[i] === CR && bytes[i + 1] === LF) return i + 2
    return this.lineEnd(bytes, i, end, RequestDrop.headerName)
  }

  private contentLength(bytes: Buffer, at: number, end: number, view: MessageView): boolean {
    let length = 0
    // Leading zeros are allowed; 15 significant digits stay exact in a number.
    let digits = 0
    for (let i = at; i < end; i++) {
      if ((CHARACTERS[bytes[i]!]! & Char.digit) === 0) return this.refuse(RequestDrop.contentLength)
      length = length * 10 + bytes[i]! - 0x30
      if (length > 0 && ++digits > 15) return this.refuse(RequestDrop.contentLength)
    }
    if (at === end) return this.refuse(RequestDrop.contentLength)
    if (this.length >= 0) {
      if (this.length !== length) return this.refuse(RequestDrop.contentLength)
      this.mildFault = RequestDrop.repeatedLength
    }
    this.length = length
    view.contentLength = length
    view.flags |= MessageFlag.hasLength
    return true
  }

  private transferCoding(bytes: Buffer, at: number, end: number, view: MessageView): boolean {
    const isRequest = view.status === 0
    if (isRequest) {
      if (this.hasCoding || !equalsText(bytes, at, end, CHUNKED)) return this.refuse(RequestDrop.transferCoding)
      view.flags |= MessageFlag.chunked
    } else {
      // A response may apply other codings before chunked (RFC 9112 section 6.1); the last one frames it.
      const isLastChunked = endsWithListToken(bytes, at, end, CHUNKED)
      if ((view.flags & MessageFlag.chunked) !== 0) return this.refuse(RequestDrop.transferCoding)
      if (isLastChunked) view.flags |= MessageFlag.chunked
    }
    this.hasCoding = true
    return true
  }

  /** Checks that the framing headers agree (RFC 9112 section 6). */
  private frame(view: MessageView): boolean {
    if (this.hasCoding) {
      if ((view.flags & MessageFlag.hasLength) !== 0) return this.refuse(RequestDrop.lengthAndChunked)
      if (view.minorVersion === 0) return this.refuse(RequestDrop.transferCoding)
      // A reader that takes another word for the version may take this for HTTP/1.0, which has no chunks.
      if (this.mildFault === RequestDrop.requestLine) return this.refuse(RequestDrop.requestLine)
    }
    if ((view.flags & MessageFlag.connect) !== 0 && (this.hasCoding || view.contentLength > 0))
      return this.refuse(RequestDrop.connectBody)
    return true
  }
}

/** The head faults of a response, by the request's names for them. */
export function responseFault(fault: number): number {
  switch (fault) {
    case RequestDrop.requestLine:
    case RequestDrop.version:
      return ResponseDrop.statusLine
    case RequestDrop.headerTooLarge:
      return ResponseDrop.headerTooLarge
    case RequestDrop.tooManyHeaders:
      return ResponseDrop.tooManyHeaders
    case RequestDrop.contentLength:
    case RequestDrop.lengthAndChunked:
    case RequestDrop.transferCoding:
      return ResponseDrop.framing
    case RequestDrop.chunkSize:
    case RequestDrop.chunkEnd:
    case RequestDrop.trailer:
      return ResponseDrop.chunk
    default:
      return ResponseDrop.head
  }
}

function lower(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}

const HTTP_VERSION = lower('HTTP/1.')
const CONNECT = lower('CONNECT')
const EXPECT = lower('expect')
const HUNDRED_CONTINUE = lower('100-continue')
const UPGRADE = lower('upgrade')
const WEBSOCKET = lower('websocket')
const H2C = lower('h2c')
const CONNECTION = lower('connection')
const CLOSE = lower('close')
/** The loop guard's header, set by replay. */
const MARKER = lower('x-mirrorshard')
const CONTENT_LENGTH = lower('content-length')
const TRANSFER_ENCODING = lower('transfer-encoding')
const CHUNKED = lower('chunked')

const SMALL_C = 0x63
const LARGE_C = 0x43
const SMALL_T = 0x74
const LARGE_T = 0x54

/** 1 where a noted name has this length and this first letter. Index: length * 32 + low five bits of the first byte, equal in both cases of a letter. */
const NOTED = [EXPECT, UPGRADE, CONNECTION, MARKER, CONTENT_LENGTH, TRANSFER_ENCODING]
const LONGEST_NOTED = Math.max(...NOTED.map((name) => name.length))
const MAY_BE_NOTED = new Uint8Array((LONGEST_NOTED + 1) * 32)
for (const name of NOTED) MAY_BE_NOTED[name.length * 32 + (name[0]! & 31)] = 1

// Nearly every byte of a head is looked at in one of these two: the table only where a comparison does not decide.

/** The index behind the bytes from `at` on that may stand in a value (Char.value). */
function pastValue(bytes: Buffer, at: number, end: number): number {
  let i = at
  while (i < end) {
    const c = bytes[i]!
    if (c < SP && (CHARACTERS[c]! & Char.value) === 0) break
    i++
  }
  return i
}

/** The index behind the bytes from `at` on that may stand in a target (Char.target). */
function pastTarget(bytes: Buffer, at: number, end: number): number {
  let i = at
  while (i < end) {
    const c = bytes[i]!
    if (c <= SP || c === DEL) break
    i++
  }
  return i
}

/** Bytes from `at` on are `text`; letters of `text` in lower case match either case, in upper case only themselves. */
function isText(bytes: Buffer, at: number, text: Uint8Array): boolean {
  for (let k = 0; k < text.length; k++) {
    const c = bytes[at + k]!
    const t = text[k]!
    if (c !== t && !(t >= 0x61 && t <= 0x7a && c === t - 0x20)) return false
  }
  return true
}

/** The end of [at, end) without the blanks in front of it. */
function trimmedEnd(bytes: Buffer, at: number, end: number): number {
  let i = end
  while (i > at && (CHARACTERS[bytes[i - 1]!]! & Char.blank) !== 0) i--
  return i
}

function equalsText(bytes: Buffer, at: number, end: number, text: Uint8Array): boolean {
  return end - at === text.length && isText(bytes, at, text)
}

/** A comma-separated list holds the token (parameters and versions behind `/` or `;` aside). */
function hasListToken(bytes: Buffer, at: number, end: number, token: Uint8Array): boolean {
  for (let i = at; i < end; ) {
    while (i < end && (bytes[i] === 0x2c || (CHARACTERS[bytes[i]!]! & Char.blank) !== 0)) i++
    const itemAt = i
    while (i < end && (CHARACTERS[bytes[i]!]! & Char.token) !== 0) i++
    if (equalsText(bytes, itemAt, i, token)) return true
    while (i < end && bytes[i] !== 0x2c) i++
  }
  return false
}

function endsWithListToken(bytes: Buffer, at: number, end: number, token: Uint8Array): boolean {
  let itemAt = end
  while (itemAt > at && (CHARACTERS[bytes[itemAt - 1]!]! & Char.token) !== 0) itemAt--
  return equalsText(bytes, itemAt, end, token)
}

/** IANA's registered methods, and those of widely deployed extensions: what a resynchronisation may begin with. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(
  (
    'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY ' +
    'ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE ' +
    'ORDERPATCH PROPFIND PROPPATCH REBIND REPORT SEARCH UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL ' +
    'PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH SOURCE'
  ).split(' '),
)
const LONGEST_METHOD = Math.max(...[...KNOWN_METHODS].map((m) => m.length))

/** [at, end) begins with a whole request line, CRLF included, of a known method. Wide gaps count as one: the parser judges them. */
export function beginsWithRequestLine(bytes: Buffer, at: number, end: number): boolean {
  let i = at
  const methodLimit = Math.min(end, at + LONGEST_METHOD + 1)
  while (i < methodLimit && bytes[i] !== SP) i++
  if (i === methodLimit || !KNOWN_METHODS.has(bytes.toString('latin1', at, i))) return false
  while (i < end && bytes[i] === SP) i++
  const targetAt = i
  while (i < end && (CHARACTERS[bytes[i]!]! & Char.target) !== 0) i++
  while (end - i > 1 && bytes[i] === SP && bytes[i + 1] === SP) i++
  if (i === targetAt || end - i < 11 || bytes[i] !== SP) return false
  if (!isText(bytes, i + 1, HTTP_VERSION)) return false
  return (bytes[i + 8] === 0x30 || bytes[i + 8] === 0x31) && bytes[i + 9] === CR && bytes[i + 10] === LF
}

/** [at, end) begins with a status line as far as the end of its status code. */
export function beginsWithStatusLine(bytes: Buffer, at: number, end: number): boolean {
  if (end - at < 13 || !isText(bytes, at, HTTP_VERSION)) return false
  if ((bytes[at + 7] !== 0x30 && bytes[at + 7] !== 0x31) || bytes[at + 8] !== SP) return false
  for (let k = 9; k < 12; k++) if ((CHARACTERS[bytes[at + k]!]! & Char.digit) === 0) return false
  return bytes[at + 12] === SP || bytes[at + 12] === CR
}
