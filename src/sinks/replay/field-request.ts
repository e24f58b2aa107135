/** An outgoing request as strings: what undici takes. Strings are latin-1: one character per byte sent. */
import { type ConnectionFacts, clientOf } from '../../exchange/connection.ts'
import { FIELD_STRIDE, type MessageView } from '../../exchange/message.ts'
import { Action, type HeadPlan, MARKER_NAME, MARKER_VALUE } from './head-plan.ts'
import { heldBytesOf, OutgoingRequest } from './outgoing-request.ts'

export class FieldRequest extends OutgoingRequest {
  /** Origin-form; never a scheme or an authority. */
  readonly target: string
  /** Name, value, name, value, …: the whole header section, with exactly one Host, and a Content-Length wherever there is a body. */
  readonly headers: string[]
  /** Whole, without transfer coding; null when empty. */
  readonly body: Buffer | null

  constructor(method: string, target: string, headers: string[], body: Buffer | null, heldBytes: number) {
    super(method, heldBytes)
    this.target = target
    this.headers = headers
    this.body = body
  }
}

/** @param plan has read `message` */
export function buildFieldRequest(
  message: MessageView,
  plan: HeadPlan,
  originHost: string,
  connection: ConnectionFacts,
): FieldRequest {
  // One conversion of the head; names and values are slices of it.
  const base = message.headAt
  const head = message.text(base, message.headEnd)
  const { fields, fieldCount } = message
  const { actions } = plan
  const headers: string[] = []
  const client = clientOf(connection)
  if (plan.addedHost !== null) headers.push('Host', plan.addedHost)
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_STRIDE) {
    const action = actions[i]!
    if (action === Action.remove) continue
    if (action === Action.coding) {
      headers.push('Content-Length', String(message.bodyBytes))
      continue
    }
    const name = head.slice(fields[at]! - base, fields[at + 1]! - base)
    const value = head.slice(fields[at + 2]! - base, fields[at + 3]! - base)
    if (action === Action.keep) headers.push(name, value)
    else if (action === Action.host) headers.push(name, originHost)
    else if (action === Action.length) headers.push(name, String(message.bodyBytes))
    else headers.push(name, value === '' ? client : `${value}, ${client}`)
  }
  if (plan.addsForwardedFor) headers.push('X-Forwarded-For', client)
  if (plan.addsForwardedPort) headers.push('X-Forwarded-Port', String(connection.serverPort))
  if (plan.addsForwardedProto) headers.push('X-Forwarded-Proto', 'http')
  const forwardedHost = plan.forwardedHostAt < 0 ? plan.forwardedHost : message.fieldValue(plan.forwardedHostAt)
  if (forwardedHost !== null) headers.push('X-Forwarded-Host', forwardedHost)
  headers.push(MARKER_NAME, MARKER_VALUE)
  return new FieldRequest(
    head.slice(0, message.methodEnd - base),
    plan.target ?? head.slice(message.targetAt - base, message.targetEnd - base),
    headers,
    message.copyBody(),
    heldBytesOf(message),
  )
}
