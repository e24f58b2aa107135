/** A captured request as it leaves: everything that replay changes, and nothing else. README.md has the table. */
import type { Connection } from '../../exchange/connection.ts'
import { FIELD_STRIDE, type MessageView } from '../../http/message.ts'
import type { Lane } from './lanes.ts'
import { toOriginForm } from './target.ts'

/** The loop guard's header: the HTTP parser flags captured requests that carry it (MessageFlag.marked). */
export const MARKER_NAME = 'X-Mirrorshard'
const MARKER_VALUE = '1'
const CONTENT_LENGTH = 'Content-Length'

/** Owned by the sink from `buildOutgoing` until it is counted. Strings are latin-1: one character per byte sent. */
export class OutgoingRequest {
  readonly method: string
  /** Origin-form; never a scheme or an authority. */
  readonly target: string
  /** Name, value, name, value, …: the whole header section, with exactly one Host, and a Content-Length wherever there is a body. */
  readonly headers: string[]
  /** Whole, without transfer coding; null when empty. */
  readonly body: Buffer | null
  /** Bytes of the captured head and of the body: what it counts for in the queue's bound. */
  readonly heldBytes: number
  readonly lane: Lane
  /** Clock time at which it was queued. */
  queuedUs = 0
  /** It was sent before, on a connection that turned out to be closed. */
  isRetry = false
  /** It is the circuit breaker's probe. */
  isProbe = false
  /** Next in its lane. */
  next: OutgoingRequest | null = null

  constructor(method: string, target: string, headers: string[], body: Buffer | null, heldBytes: number, lane: Lane) {
    this.method = method
    this.target = target
    this.headers = headers
    this.body = body
    this.heldBytes = heldBytes
    this.lane = lane
  }
}

/** What is done with a header field of a known name. Names that are not here are sent as they came. */
const Role = {
  host: 1,
  hop: 2,
  framing: 3,
  connection: 4,
  forwardedFor: 5,
  forwardedPort: 6,
  forwardedProto: 7,
  forwardedHost: 8,
} as const

const ROLES: ReadonlyMap<string, number> = new Map<string, number>([
  ['host', Role.host],
  ['connection', Role.connection],
  // Made anew: the body is sent whole.
  ['content-length', Role.framing],
  ['transfer-encoding', Role.framing],
  // Connection-level whether Connection names them or not (RFC 9110 section 7.6.1).
  ['keep-alive', Role.hop],
  ['proxy-connection', Role.hop],
  ['te', Role.hop],
  ['trailer', Role.hop],
  ['upgrade', Role.hop],
  ['http2-settings', Role.hop],
  // The body is sent with the head: nothing waits for 100 (Continue).
  ['expect', Role.hop],
  ['x-forwarded-for', Role.forwardedFor],
  ['x-forwarded-port', Role.forwardedPort],
  ['x-forwarded-proto', Role.forwardedProto],
  ['x-forwarded-host', Role.forwardedHost],
])

/**
 * Fields that a Connection header cannot take away. They are meant for every recipient, so naming them there is an error of
 * the sender (RFC 9110 section 7.6.1: "MUST NOT send a connection option corresponding to a field that is intended for
 * all recipients"); the captured server, which was no intermediary, saw and used them. Removing them would send another request than
 * the one captured: without its credentials, its conditions, or with an XFF chain cut short.
 */
const END_TO_END: ReadonlySet<string> = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'access-control-request-headers',
  'access-control-request-method',
  'authorization',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'digest',
  'dnt',
  'forwarded',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'max-forwards',
  'origin',
  'pragma',
  'priority',
  'proxy-authorization',
  'range',
  'referer',
  'traceparent',
  'tracestate',
  'user-agent',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-request-id',
])

/**
 * 1 where a known name has this length and this first letter, so that other names cost two loads and no string.
 * Index: length * 32 + low five bits of the first byte (equal in both cases of a letter).
 */
const LONGEST_KNOWN = 31
const MAY_BE_KNOWN = new Uint8Array((LONGEST_KNOWN + 1) * 32)
for (const name of ROLES.keys()) MAY_BE_KNOWN[name.length * 32 + (name.charCodeAt(0) & 31)] = 1

/**
 * @param originHost host[:port] of the origin, for Host
 * @returns null when the request cannot be put to an origin without a guess: its target is neither origin-form, `*` nor an http
 * URL, its body was not kept, or the Host to keep stands there twice
 */
export function buildOutgoing(
  message: MessageView,
  connection: Connection,
  originHost: string,
  keepHost: boolean,
  lane: Lane,
): OutgoingRequest | null {
  // One conversion of the head; names and values are slices of it.
  const base = message.headAt
  const head = message.text(base, message.headEnd)
  const method = head.slice(0, message.methodEnd - base)
  const form = toOriginForm(method, head.slice(message.targetAt - base, message.targetEnd - base))
  if (form === null || message.bodyEnd - message.bodyAt !== message.bodyBytes) return null

  const bytes = message.bytes
  const fields = message.fields
  const headers: string[] = []
  let hostAt = -1
  let hasLength = false
  let capturedHost = form.authority
  let forwardedForAt = -1
  let hasPort = false
  let hasProto = false
  let hasForwardedHost = false
  let nominated: Set<string> | null = null

  for (let i = 0, at = 0; i < message.fieldCount; i++, at += FIELD_STRIDE) {
    const nameAt = fields[at]!
    const nameEnd = fields[at + 1]!
    const name = head.slice(nameAt - base, nameEnd - base)
    const value = head.slice(fields[at + 2]! - base, fields[at + 3]! - base)
    const length = nameEnd - nameAt
    if (length <= LONGEST_KNOWN && MAY_BE_KNOWN[length * 32 + (bytes[nameAt]! & 31)] === 1) {
      switch (ROLES.get(name.toLowerCase())) {
        case Role.host:
          if (hostAt >= 0) {
            if (keepHost) return null
            continue
          }
          hostAt = headers.length
          // An absolute-form target overrides Host (RFC 9112 section 3.2.2).
          capturedHost ??= value
          headers.push(name, keepHost ? value : originHost)
          continue
        case Role.framing:
          if (!hasLength)
            headers.push(length === CONTENT_LENGTH.length ? name : CONTENT_LENGTH, String(message.bodyBytes))
          hasLength = true
          continue
        case Role.hop:
          continue
        case Role.connection:
          nominated = addNominated(value, nominated)
          continue
        case Role.forwardedFor:
          forwardedForAt = headers.length
          break
        case Role.forwardedPort:
          hasPort = true
          break
        case Role.forwardedProto:
          hasProto = true
          break
        case Role.forwardedHost:
          hasForwardedHost = true
          break
      }
    }
    headers.push(name, value)
  }

  if (hostAt < 0) {
    headers.unshift('Host', keepHost && form.authority !== null ? form.authority : originHost)
    if (forwardedForAt >= 0) forwardedForAt += 2
  }
  if (forwardedForAt < 0) headers.push('X-Forwarded-For', connection.clientAddress)
  else {
    const chain = headers[forwardedForAt + 1]!
    headers[forwardedForAt + 1] = chain === '' ? connection.clientAddress : `${chain}, ${connection.clientAddress}`
  }
  if (nominated !== null) removeNominated(headers, nominated)
  if (!hasPort) headers.push('X-Forwarded-Port', String(connection.serverPort))
  if (!hasProto) headers.push('X-Forwarded-Proto', 'http')
  if (!hasForwardedHost && capturedHost !== null && capturedHost !== '') headers.push('X-Forwarded-Host', capturedHost)
  headers.push(MARKER_NAME, MARKER_VALUE)

  return new OutgoingRequest(method, form.target, headers, message.copyBody(), heldBytesOf(message), lane)
}

/** What a captured request would count for in the queue's bound. */
export function heldBytesOf(message: MessageView): number {
  return message.headEnd - message.headAt + (message.bodyEnd - message.bodyAt)
}

/** Adds the field names that a Connection value takes away; null while there are none (`close` and `keep-alive` name no field). */
function addNominated(value: string, names: Set<string> | null): Set<string> | null {
  let all = names
  for (const option of value.split(',')) {
    const name = option.trim().toLowerCase()
    if (name === '' || name === 'close' || name === 'keep-alive' || END_TO_END.has(name)) continue
    all ??= new Set()
    all.add(name)
  }
  return all
}

function removeNominated(headers: string[], names: ReadonlySet<string>): void {
  let kept = 0
  for (let i = 0; i < headers.length; i += 2) {
    if (names.has(headers[i]!.toLowerCase())) continue
    headers[kept] = headers[i]!
    headers[kept + 1] = headers[i + 1]!
    kept += 2
  }
  headers.length = kept
}
