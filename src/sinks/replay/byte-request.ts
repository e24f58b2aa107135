/**
 * An outgoing request as bytes: what the raw HTTP/1 client writes. Between the edits of a HeadPlan the captured head is copied as it
 * is, so names, values, their order and the blanks between them stay by construction.
 */
import { type ConnectionFacts, clientOf } from '../../exchange/connection.ts'
import { FIELD_STRIDE, type MessageView } from '../../exchange/message.ts'
import { Action, type HeadPlan, MARKER_NAME, MARKER_VALUE } from './head-plan.ts'
import { heldBytesOf, OutgoingRequest } from './outgoing-request.ts'

export class ByteRequest extends OutgoingRequest {
  /** [at, end) of `bytes`: the head, and after it the body where that is short. */
  private readonly bytes: Buffer
  private readonly at: number
  private readonly end: number
  /** What `bytes` belongs to; null: to this request alone. */
  readonly block: Block | null
  /** A long body, to be written right after it; null where there is none. */
  readonly body: Buffer | null
  /** Its answer has no body (RFC 9110 section 9.3.2). */
  readonly isHead: boolean

  constructor(method: string, memory: Buffer | Block, at: number, end: number, body: Buffer | null, heldBytes: number) {
    super(method, heldBytes)
    this.block = memory instanceof Block ? memory : null
    this.bytes = memory instanceof Block ? memory.bytes : memory
    this.at = at
    this.end = end
    this.body = body
    this.isHead = method === 'HEAD'
  }

  /** The head, one character per byte. A copy, so that no socket ever holds memory that is used again; it costs less to make and to write than a view. */
  headText(): string {
    return this.bytes.toString('latin1', this.at, this.end)
  }
}

/** Requests are cut from blocks of this size. Small, because one that waits keeps its whole block: with a full queue at worst 160 MiB. */
const BLOCK_BYTES = 16 * 1024
/** A request that may need more gets memory of its own. */
const SHARED_BYTES = BLOCK_BYTES / 4
/** Bodies up to this length stand after the head, in the same write. Longer ones cost less as a second buffer than as a longer copy. */
const SHORT_BODY_BYTES = 16 * 1024
/** Empty blocks that are kept, 1 MiB in all. Chosen: more than stand in a queue whose feeder waits (ReplaySink.hasRoom). */
const SPARE_BLOCKS = 64

class Block {
  readonly bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  /** Requests cut from it that were not given back. */
  users = 0
}

export class ByteRequestBuilder {
  private readonly plan: HeadPlan
  private readonly originHost: Uint8Array
  private block = new Block()
  private blockAt = 0
  private readonly spare: Block[] = []
  // The request being built.
  private out = this.block.bytes
  private at = 0

  constructor(plan: HeadPlan, originHost: string) {
    this.plan = plan
    this.originHost = latin1(originHost)
  }

  /** @returns null where HeadPlan has no way to send it */
  build(message: MessageView, connection: ConnectionFacts): ByteRequest | null {
    if (!this.plan.read(message)) return null
    const isShort = message.bodyBytes <= SHORT_BODY_BYTES
    // No edit makes a target longer, and the captured host appears at most twice.
    const enough =
      2 * (message.headEnd - message.headAt) +
      this.originHost.length +
      MOST_ADDED_BYTES +
      (isShort ? message.bodyBytes : 0)
    const isOwn = enough > SHARED_BYTES
    if (isOwn) {
      this.out = Buffer.allocUnsafeSlow(enough)
      this.at = 0
    } else {
      if (this.blockAt + enough > BLOCK_BYTES) this.nextBlock()
      this.out = this.block.bytes
      this.at = this.blockAt
    }
    const startAt = this.at
    this.writeHead(message, connection)
    if (isShort) this.copy(message.body, message.bodyAt, message.bodyEnd)
    if (!isOwn) {
      this.blockAt = this.at
      this.block.users++
    }
    const memory = isOwn ? this.out : this.block
    // Not kept longer than its request.
    this.out = this.block.bytes
    const body = isShort ? null : message.copyBody()
    return new ByteRequest(methodOf(message), memory, startAt, this.at, body, heldBytesOf(message))
  }

  /**
   * The bytes of a request are needed no more, neither for sending it again nor by a write under way: its memory may be used again.
   * To be called at most once; a request that is never given back is as safe, its block is then the garbage collector's.
   */
  release({ block }: ByteRequest): void {
    if (block === null || --block.users > 0) return
    if (block === this.block) this.blockAt = 0
    else if (this.spare.length < SPARE_BLOCKS) this.spare.push(block)
  }

  private nextBlock(): void {
    this.block = this.spare.pop() ?? new Block()
    this.blockAt = 0
  }

  private writeHead(message: MessageView, connection: ConnectionFacts): void {
    const { plan } = this
    const { bytes, fields, fieldCount, headEnd } = message
    const { actions } = plan
    /** Captured bytes from here on are not yet copied. */
    let from = message.headAt
    const fieldsAt = fieldCount > 0 ? fields[0]! : headEnd - 2
    if (plan.target !== null) {
      this.copy(bytes, from, message.targetAt)
      this.text(plan.target)
      from = message.targetEnd
    }
    if (message.minorVersion !== 1) {
      this.copy(bytes, from, message.targetEnd)
      this.bytes(VERSION_LINE_END)
      from = fieldsAt
    }
    if (plan.addedHost !== null) {
      this.copy(bytes, from, fieldsAt)
      this.bytes(HOST)
      this.text(plan.addedHost)
      this.bytes(CRLF)
      from = fieldsAt
    }
    for (let i = 0, f = 0; i < fieldCount; i++, f += FIELD_STRIDE) {
      const action = actions[i]!
      // The captured line of a length says what is sent: the body is whole, or the request was dropped.
      if (action === Action.keep || action === Action.length) continue
      if (action === Action.host) {
        this.copy(bytes, from, fields[f + 2]!)
        this.bytes(this.originHost)
        from = fields[f + 3]!
      } else if (action === Action.appendClient) {
        this.copy(bytes, from, fields[f + 3]!)
        if (fields[f + 3]! > fields[f + 2]!) this.bytes(COMMA)
        this.text(clientOf(connection))
        from = fields[f + 3]!
      } else {
        this.copy(bytes, from, fields[f]!)
        if (action === Action.coding) this.contentLength(message.bodyBytes)
        from = i + 1 < fieldCount ? fields[f + FIELD_STRIDE]! : headEnd - 2
      }
    }
    this.copy(bytes, from, headEnd - 2)
    this.writeForwarded(message, connection)
    this.bytes(MARKER_AND_END)
  }

  private writeForwarded(message: MessageView, connection: ConnectionFacts): void {
    const { plan } = this
    if (plan.addsForwardedFor) {
      this.bytes(FORWARDED_FOR)
      this.text(clientOf(connection))
      this.bytes(CRLF)
    }
    if (plan.addsForwardedPort) {
      this.bytes(FORWARDED_PORT)
      this.number(connection.serverPort)
      this.bytes(CRLF)
    }
    if (plan.addsForwardedProto) this.bytes(FORWARDED_PROTO)
    const { forwardedHost, forwardedHostAt } = plan
    if (forwardedHost === null && forwardedHostAt < 0) return
    this.bytes(FORWARDED_HOST)
    if (forwardedHost !== null) this.text(forwardedHost)
    else {
      const f = forwardedHostAt * FIELD_STRIDE
      this.copy(message.bytes, message.fields[f + 2]!, message.fields[f + 3]!)
    }
    this.bytes(CRLF)
  }

  private contentLength(length: number): void {
    this.bytes(CONTENT_LENGTH)
    this.number(length)
    this.bytes(CRLF)
  }

  /** In decimal. @param value a whole number, 0 or more */
  private number(value: number): void {
    let digits = 1
    for (let limit = 10; value >= limit; limit *= 10) digits++
    let rest = value
    for (let at = this.at + digits - 1; at >= this.at; at--) {
      this.out[at] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    this.at += digits
  }

  private copy(source: Buffer, from: number, end: number): void {
    const { out } = this
    let { at } = this
    if (end - from > LOOP_BYTES) {
      source.copy(out, at, from, end)
      this.at = at + (end - from)
      return
    }
    for (let i = from; i < end; i++) out[at++] = source[i]!
    this.at = at
  }

  private bytes(source: Uint8Array): void {
    const { out } = this
    let { at } = this
    for (let i = 0; i < source.length; i++) out[at++] = source[i]!
    this.at = at
  }

  private text(text: string): void {
    const { out } = this
    let { at } = this
    for (let i = 0; i < text.length; i++) out[at++] = text.charCodeAt(i)
    this.at = at
  }
}

/** Up to here a loop costs less than a call of `copy`. */
const LOOP_BYTES = 64

function latin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

const FORWARDED_FOR = latin1('X-Forwarded-For: ')
const FORWARDED_PORT = latin1('X-Forwarded-Port: ')
const FORWARDED_PROTO = latin1('X-Forwarded-Proto: http\r\n')
const FORWARDED_HOST = latin1('X-Forwarded-Host: ')
const HOST = latin1('Host: ')
const CONTENT_LENGTH = latin1('Content-Length: ')
const CRLF = latin1('\r\n')
const COMMA = latin1(', ')
const VERSION_LINE_END = latin1(' HTTP/1.1\r\n')
const MARKER_AND_END = latin1(`${MARKER_NAME}: ${MARKER_VALUE}\r\n\r\n`)

/** Everything that an edit can add, apart from hosts: names, a client address twice (39 characters), a length. */
const MOST_ADDED_BYTES = 512

const METHODS: readonly (readonly [string, Uint8Array])[] = [
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
].map((method) => [method, latin1(method)])

/** The method, for usual ones without making a string. */
function methodOf(message: MessageView): string {
  const { bytes, headAt } = message
  const length = message.methodEnd - headAt
  for (const [method, name] of METHODS) {
    if (name.length !== length) continue
    let k = 0
    while (k < length && bytes[headAt + k] === name[k]) k++
    if (k === length) return method
  }
  return message.method()
}
