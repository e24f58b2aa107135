/**
 * What happens to each header field of a captured request on its way to the origin: the one place that decides it, for every engine.
 * docs/replay.md has the table.
 */
import { FIELD_STRIDE, type MessageView } from '../../exchange/message.ts'
import { toOriginForm } from '../filter/target.ts'

/** The loop guard's header: the HTTP parser flags captured requests that carry it (MessageFlag.marked). */
export const MARKER_NAME = 'X-Mirrorshard'
export const MARKER_VALUE = '1'

/** What is done with one field. */
export const Action = {
  /** Sent as captured. */
  keep: 0,
  remove: 1,
  /** Its value becomes the origin's host. */
  host: 2,
  /** The captured Content-Length, which says the length of the whole body. */
  length: 3,
  /** A transfer coding: Content-Length stands in its place. */
  coding: 4,
  /** The captured client is appended to its value. */
  appendClient: 5,
} as const

/** Header fields that mean something to replay. */
const Role = {
  none: 0,
  host: 1,
  hop: 2,
  length: 3,
  coding: 4,
  connection: 5,
  forwardedFor: 6,
  forwardedPort: 7,
  forwardedProto: 8,
  forwardedHost: 9,
} as const

const ROLES: readonly (readonly [string, number])[] = [
  ['host', Role.host],
  ['connection', Role.connection],
  ['content-length', Role.length],
  ['transfer-encoding', Role.coding],
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
]

/**
 * Fields that a Connection header cannot take away. They are meant for every recipient, so naming them there is an error of
 * the sender (RFC 9110 section 7.6.1: "MUST NOT send a connection option corresponding to a field that is intended for
 * all recipients"); the captured server, which was no intermediary, saw and used them. Removing them would send another request than
 * the one captured: without its credentials, its conditions, or with an XFF chain cut short.
 */
export const END_TO_END: ReadonlySet<string> = new Set([
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

interface KnownName {
  /** Lower case. */
  readonly text: Uint8Array
  readonly role: number
}

/**
 * Known names by length and first letter, so that other names cost two loads and no string.
 * Index: length * 32 + low five bits of the first byte (equal in both cases of a letter).
 */
const LONGEST_KNOWN = 31
const KNOWN: (KnownName[] | null)[] = new Array((LONGEST_KNOWN + 1) * 32).fill(null)
for (const [name, role] of ROLES) {
  const at = name.length * 32 + (name.charCodeAt(0) & 31)
  KNOWN[at] = [...(KNOWN[at] ?? []), { text: Uint8Array.from(Buffer.from(name)), role }]
}

function roleOf(bytes: Buffer, at: number, end: number): number {
  const length = end - at
  if (length > LONGEST_KNOWN) return Role.none
  const known = KNOWN[length * 32 + (bytes[at]! & 31)]!
  if (known === null) return Role.none
  for (let k = 0; k < known.length; k++) if (isName(bytes, at, known[k]!.text)) return known[k]!.role
  return Role.none
}

/** Bytes from `at` on are `name` in either case. */
function isName(bytes: Buffer, at: number, name: Uint8Array): boolean {
  for (let k = 0; k < name.length; k++) {
    const c = bytes[at + k]!
    const t = name[k]!
    if (c !== t && !(t >= 0x61 && t <= 0x7a && c === t - 0x20)) return false
  }
  return true
}

const FIRST_FIELDS = 128
const SLASH = 47

/** Reused for every request of an engine: valid until the next `read`. */
export class HeadPlan {
  /** One Action per field. */
  actions = new Uint8Array(FIRST_FIELDS)
  /** Origin-form of the target where that is not the captured one; null where it is. */
  target: string | null = null
  /** Host where the captured request has none; null where it has one. */
  addedHost: string | null = null
  addsForwardedFor = true
  addsForwardedPort = true
  addsForwardedProto = true
  /** Value of the X-Forwarded-Host to add: a text, or field `forwardedHostAt`; neither: none is added. */
  forwardedHost: string | null = null
  forwardedHostAt = -1

  private readonly originHost: string
  /** May change between two requests. */
  keepsHost: boolean

  /** @param originHost host[:port] of the origin, for Host */
  constructor(originHost: string, keepsHost: boolean) {
    this.originHost = originHost
    this.keepsHost = keepsHost
  }

  /**
   * @returns false when the request cannot be put to an origin without a guess: its target is neither origin-form, `*` nor an http
   * URL, its body was not kept, or the Host to keep stands there twice
   */
  read(message: MessageView): boolean {
    if (message.bodyEnd - message.bodyAt !== message.bodyBytes) return false
    let authority: string | null = null
    this.target = null
    if (message.bytes[message.targetAt] !== SLASH) {
      const captured = message.target()
      const form = toOriginForm(message.method(), captured)
      if (form === null) return false
      authority = form.authority
      if (form.target !== captured) this.target = form.target
    }
    return this.readFields(message, authority)
  }

  private readFields(message: MessageView, authority: string | null): boolean {
    const { bytes, fields, fieldCount } = message
    if (fieldCount > this.actions.length) this.actions = new Uint8Array(2 * fieldCount)
    const { actions } = this
    let hostAt = -1
    let forwardedForAt = -1
    let hasLength = false
    let hasPort = false
    let hasProto = false
    let hasForwardedHost = false
    let nominated: Set<string> | null = null
    for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
      let action: number = Action.keep
      switch (roleOf(bytes, fields[at]!, fields[at + 1]!)) {
        case Role.none:
          break
        case Role.host:
          if (hostAt < 0) {
            hostAt = i
            if (!this.keepsHost) action = Action.host
          } else if (this.keepsHost) return false
          else action = Action.remove
          break
        case Role.length:
          action = hasLength ? Action.remove : Action.length
          hasLength = true
          break
        case Role.coding:
          action = hasLength ? Action.remove : Action.coding
          hasLength = true
          break
        case Role.hop:
          action = Action.remove
          break
        case Role.connection:
          action = Action.remove
          if (namesFields(message, at)) nominated = addNominated(message.fieldValue(i), nominated)
          break
        case Role.forwardedFor:
          // To the last of them: it is the end of the chain.
          if (forwardedForAt >= 0) actions[forwardedForAt] = Action.keep
          forwardedForAt = i
          action = Action.appendClient
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
      actions[i] = action
    }
    if (nominated !== null) this.removeNominated(message, nominated)
    this.addedHost = hostAt >= 0 ? null : this.keepsHost && authority !== null ? authority : this.originHost
    this.addsForwardedFor = forwardedForAt < 0
    this.addsForwardedPort = !hasPort
    this.addsForwardedProto = !hasProto
    // An absolute-form target overrides Host (RFC 9112 section 3.2.2).
    this.forwardedHost = hasForwardedHost ? null : authority
    const hasHostValue = hostAt >= 0 && fields[hostAt * FIELD_STRIDE + 3]! > fields[hostAt * FIELD_STRIDE + 2]!
    this.forwardedHostAt = hasForwardedHost || authority !== null || !hasHostValue ? -1 : hostAt
    return true
  }

  private removeNominated(message: MessageView, names: ReadonlySet<string>): void {
    for (let i = 0; i < message.fieldCount; i++) {
      // What is changed on the way is replay's own (Connection: transfer-encoding does not take the length away).
      if (this.actions[i] === Action.keep && names.has(message.fieldName(i).toLowerCase()))
        this.actions[i] = Action.remove
    }
  }
}

/** A Connection value other than the two that nearly all have, and that name no field. `at`: index into `fields`. */
function namesFields({ bytes, fields }: MessageView, at: number): boolean {
  const valueAt = fields[at + 2]!
  const length = fields[at + 3]! - valueAt
  if (length === KEEP_ALIVE.length) return !isName(bytes, valueAt, KEEP_ALIVE)
  return length !== CLOSE.length || !isName(bytes, valueAt, CLOSE)
}

const KEEP_ALIVE = Uint8Array.from(Buffer.from('keep-alive'))
const CLOSE = Uint8Array.from(Buffer.from('close'))

/** Adds the field names that a Connection value takes away; null while there are none (`close` and `keep-alive` name no field). */
function addNominated(value: string, names: Set<string> | null): Set<string> | null {
  let all = names
  for (const option of value.split(',')) {
    const name = withoutBlanks(option).toLowerCase()
    if (name === '' || name === 'close' || name === 'keep-alive' || END_TO_END.has(name)) continue
    all ??= new Set()
    all.add(name)
  }
  return all
}

/** Without SP and HTAB around it; with other white space, it is no name of a field. In linear time, which a pattern for its end would not be. */
function withoutBlanks(text: string): string {
  let at = 0
  let end = text.length
  while (at < end && isBlank(text.charCodeAt(at))) at++
  while (end > at && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(at, end)
}

const isBlank = (code: number) => code === 0x20 || code === 0x09
