/**
 * A parsed HTTP/1 message: offsets into the captured bytes, no strings.
 *
 * A MessageView is borrowed: it and everything it points to belong to the parser and are valid only during the call that hands them
 * out. Whoever wants to keep something copies it: `keep` the whole message, `text` and `copyBody` parts of it.
 */

/** Facts about a message's head, as bits of `MessageView.flags`. */
export const MessageFlag = {
  /** Transfer-Encoding: chunked. */
  chunked: 1,
  /** A Content-Length is stated. */
  hasLength: 2,
  /** Connection: close. */
  close: 4,
  /** Carries an Upgrade header. */
  upgrade: 8,
  /** The Upgrade header names websocket. */
  webSocket: 16,
  /** The method is CONNECT. */
  connect: 32,
  /** Carries the loop guard's marker header. */
  marked: 64,
  /** Expect: 100-continue. */
  expect: 128,
  /** An Upgrade header names something else than h2c, or nothing. */
  foreignUpgrade: 256,
  /** Connection: keep-alive. */
  keepAlive: 512,
} as const

/** Int32 entries per header field in `MessageView.fields`: name start, name end, value start, value end (blanks around the value excluded). */
export const FIELD_STRIDE = 4

/** Typed where the parser uses it again and again. */
export type Offsets = Int32Array | number[]

export class MessageView {
  /** Holds the head; a Buffer so that `toString` makes its strings. */
  bytes: Buffer
  /** Start of the first line and end of the head (after CRLF CRLF), offsets in `bytes`. */
  headAt = 0
  headEnd = 0
  /** Request: [headAt, methodEnd) is the method, [targetAt, targetEnd) the target exactly as captured. */
  methodEnd = 0
  targetAt = 0
  targetEnd = 0
  /** Response: status code, 100 to 999; the reason phrase is [targetAt, targetEnd). 0 in requests. */
  status = 0
  /** HTTP/1.x: 0 or 1. */
  minorVersion = 1
  flags = 0
  fieldCount = 0
  fields: Offsets
  /** Content-Length where `hasLength`, else 0. */
  contentLength = 0
  /** Transfer-decoded body: [bodyAt, bodyEnd) of `body`; empty where the body was not kept (`bodyKept`). */
  body: Buffer
  bodyAt = 0
  bodyEnd = 0
  bodyKept = true
  /** Length of the transfer-decoded body, also where it was not kept. */
  bodyBytes = 0
  /** Time of the packet that brought the first and the last byte, microseconds since the Unix epoch. */
  firstUs = 0
  lastUs = 0

  constructor(maxFields: number, fields: Offsets = new Int32Array(maxFields * FIELD_STRIDE)) {
    this.bytes = EMPTY
    this.body = EMPTY
    this.fields = fields
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0
  }

  /** Bytes [at, end) of the head as latin-1 text: one character per captured byte. */
  text(at: number, end: number): string {
    return this.bytes.toString('latin1', at, end)
  }

  /** HTTP/1.0 that does not ask to continue: the connection ends after this message and its response (RFC 9112 section 9.3). */
  get isOneShot(): boolean {
    return this.minorVersion === 0 && (this.flags & MessageFlag.keepAlive) === 0
  }

  method(): string {
    return this.text(this.headAt, this.methodEnd)
  }

  target(): string {
    return this.text(this.targetAt, this.targetEnd)
  }

  fieldName(i: number): string {
    return this.text(this.fields[i * FIELD_STRIDE]!, this.fields[i * FIELD_STRIDE + 1]!)
  }

  fieldValue(i: number): string {
    return this.text(this.fields[i * FIELD_STRIDE + 2]!, this.fields[i * FIELD_STRIDE + 3]!)
  }

  /** Copies the head into `copy`, so that it outlives the piece it lies in. Memory that `copy` has is used where it is long enough. */
  copyHeadTo(copy: MessageView): void {
    const length = this.headEnd - this.headAt
    // In memory of its own, and not in a slab that it would hold on to as a whole.
    const bytes = length <= copy.bytes.length ? copy.bytes : Buffer.allocUnsafeSlow(Math.ceil(length / 256) * 256)
    this.copyFields(copy.fields)
    this.copyHead(copy, bytes)
  }

  /** A copy of the transfer-decoded body, or null when there is none. The copy belongs to the caller. */
  copyBody(): Buffer | null {
    const n = this.bodyEnd - this.bodyAt
    if (n === 0) return null
    const copy = Buffer.allocUnsafe(n)
    this.body.copy(copy, 0, this.bodyAt, this.bodyEnd)
    return copy
  }

  /**
   * A copy in memory of its own: the head, and of a request the body where `withBody` and the parser kept it. A response's body comes
   * later, piece by piece: it is not here.
   */
  keep(withBody = true): OwnedMessage {
    const kept = this.copyHead(new OwnedMessage(this.ownFields()), Buffer.allocUnsafe(this.headEnd - this.headAt))
    if (this.status !== 0) return kept
    kept.bodyBytes = this.bodyBytes
    kept.bodyKept = withBody && this.bodyKept
    if (kept.bodyKept) {
      kept.body = this.copyBody() ?? EMPTY
      kept.bodyEnd = kept.body.length
    }
    return kept
  }

  /** A plain array: typed memory for each message alone costs more than copying it, and blocks of it outlive what they are cut for. */
  private ownFields(): number[] {
    const fields: number[] = []
    this.copyFields(fields)
    return fields
  }

  private copyFields(target: Offsets): void {
    const { headAt, fieldCount, fields } = this
    for (let i = 0; i < fieldCount * FIELD_STRIDE; i++) target[i] = fields[i]! - headAt
  }

  /** @param copy with fields of its own @param bytes at least as long as the head */
  private copyHead<T extends MessageView>(copy: T, bytes: Buffer): T {
    const { headAt, headEnd } = this
    this.bytes.copy(bytes, 0, headAt, headEnd)
    copy.bytes = bytes
    copy.headEnd = headEnd - headAt
    copy.methodEnd = this.status === 0 ? this.methodEnd - headAt : 0
    copy.targetAt = this.targetAt - headAt
    copy.targetEnd = this.targetEnd - headAt
    copy.status = this.status
    copy.minorVersion = this.minorVersion
    copy.flags = this.flags
    copy.fieldCount = this.fieldCount
    copy.contentLength = this.contentLength
    copy.firstUs = this.firstUs
    copy.lastUs = this.lastUs
    return copy
  }
}

const EMPTY = Buffer.alloc(0)

/** A message in memory of its own, which nobody else writes to: what waits, is written down, or goes to another thread. */
export class OwnedMessage extends MessageView {
  /** Bytes of the body are missing: `bodyBytes` and `body` are what came. */
  isIncomplete = false
  /** SHA-256 of the transfer-decoded body, lower-case hex; null where it was not asked for, or bytes are missing. */
  sha256: string | null = null

  /** @param fields exactly those of the message, offsets from the start of the head */
  constructor(fields: Offsets) {
    super(0, fields)
    this.bodyKept = false
  }
}
