/** Exchanges as NDJSON: the line format of `mirrorshard inspect`, documented in docs/inspect-format.md. */
import { printableJson } from '../../base/printable.ts'
import { endpointText } from '../../exchange/captured-connection.ts'
import type { ConnectionFacts, NamedEnd } from '../../exchange/connection.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import { FIELD_STRIDE, type MessageView, type OwnedMessage } from '../../exchange/message.ts'
import type { Headers, Redaction } from './redaction.ts'

/** RFC 3339 in UTC with microseconds. Times a calendar cannot hold (damaged captures) are shown as its nearest end. */
export function rfc3339(timeUs: number): string {
  const seconds = Math.floor(timeUs / 1e6)
  const micros = Math.floor(timeUs - seconds * 1e6)
  if (seconds !== lastSeconds) {
    const date = new Date(Math.min(Math.max(seconds, 0), 253_402_300_799) * 1000)
    lastSeconds = seconds
    lastText = date.toISOString().slice(0, 19)
  }
  return `${lastText}.${String(micros).padStart(6, '0')}Z`
}

/** Many exchanges begin within one second: its text was a twelfth of what a line costs. */
let lastSeconds = Number.NaN
let lastText = ''

/** One line, without its line feed. @param redaction null: headers stand as they were captured */
export function exchangeLine(exchange: Exchange, redaction: Redaction | null = null): string {
  const { connection, request, response, interim } = exchange
  const line: Record<string, unknown> = {
    ts: rfc3339(startUs(exchange)),
    src: clientEnd(connection),
    dst: serverEnd(connection),
    ...proxiedFields(connection),
    vni: connection.vni,
    ...(request === null ? { method: null } : requestFields(request, redaction)),
    response: response === null ? null : responseFields(response, request, redaction),
  }
  if (interim.length > 0) line.interim = interim.map((r) => responseFields(r, request, redaction))
  return printableJson(line)
}

/** Time of the request's first byte; of the first response where the request was not seen. */
export function startUs({ request, response, interim }: Exchange): number {
  return (request ?? response ?? interim[0])?.firstUs ?? 0
}

/** What the PROXY header at the start of the connection said. */
function proxiedFields({ namedClient, namedServer }: ConnectionFacts): { proxied?: Record<string, string> } {
  if (namedClient === null) return {}
  const text = ({ address, port }: NamedEnd) => endpointText(address, port)
  return { proxied: { client: text(namedClient), ...(namedServer === null ? {} : { server: text(namedServer) }) } }
}

export function clientEnd(connection: ConnectionFacts): string {
  return endpointText(connection.clientAddress, connection.clientPort)
}

export function serverEnd(connection: ConnectionFacts): string {
  return endpointText(connection.serverAddress, connection.serverPort)
}

/** Names and values in the order captured, redacted where asked for. */
export function headersOf(message: MessageView, redaction: Redaction | null): Headers {
  const { fields, fieldCount, headAt, headEnd } = message
  // One conversion of the head; names and values are slices of it.
  const head = message.text(headAt, headEnd)
  const slice = (i: number) => head.slice(fields[i]! - headAt, fields[i + 1]! - headAt)
  const headers: [string, string][] = []
  for (let i = 0; i < fieldCount * FIELD_STRIDE; i += FIELD_STRIDE) headers.push([slice(i), slice(i + 2)])
  return redaction?.apply(headers) ?? headers
}

/**
 * Milliseconds from the request's last byte to the response's last byte, as the capture point saw them; undefined where the request was not
 * seen or the response is incomplete.
 */
export function elapsedMsOf(response: OwnedMessage, request: OwnedMessage | null): number | undefined {
  if (request === null || response.isIncomplete) return undefined
  return Math.max(0, Math.round(response.lastUs - request.lastUs) / 1000)
}

function requestFields(request: OwnedMessage, redaction: Redaction | null): Record<string, unknown> {
  return {
    method: request.method(),
    uri: request.target(),
    version: `1.${request.minorVersion}`,
    headers: headersOf(request, redaction),
    ...bodyFields(request),
  }
}

function responseFields(
  response: OwnedMessage,
  request: OwnedMessage | null,
  redaction: Redaction | null,
): Record<string, unknown> {
  const elapsedMs = elapsedMsOf(response, request)
  return {
    status: response.status,
    headers: headersOf(response, redaction),
    ...bodyFields(response),
    ...(response.isIncomplete ? { incomplete: true } : {}),
    ...(elapsedMs === undefined ? {} : { elapsedMs }),
  }
}

function bodyFields(message: OwnedMessage): Record<string, unknown> {
  return {
    bodyBytes: message.bodyBytes,
    ...(message.sha256 === null ? {} : { bodySha256: message.sha256 }),
    ...(message.bodyKept ? { body: message.body.toString('base64') } : {}),
  }
}
