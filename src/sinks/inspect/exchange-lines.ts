/** Exchanges as NDJSON: the line format of `mirrorshard inspect`, documented in docs/inspect-format.md. */
import { printableJson } from '../../base/printable.ts'
import { endpointText } from '../../exchange/captured-connection.ts'
import type { CapturedRequest, CapturedResponse, Exchange } from '../../exchange/exchange.ts'
import type { ProxiedEnds } from '../../http/proxy-header.ts'
import type { Redaction } from './redaction.ts'

/** RFC 3339 in UTC with microseconds. Times a calendar cannot hold (damaged captures) are shown as its nearest end. */
export function rfc3339(timeUs: number): string {
  const seconds = Math.floor(timeUs / 1e6)
  const micros = Math.floor(timeUs - seconds * 1e6)
  const date = new Date(Math.min(Math.max(seconds, 0), 253_402_300_799) * 1000)
  return `${date.toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`
}

/** One line, without its line feed. @param redaction null: headers stand as they were captured */
export function exchangeLine(exchange: Exchange, redaction: Redaction | null = null): string {
  const { connection, request, response, interim } = exchange
  const answer = response ?? interim[0]
  const line: Record<string, unknown> = {
    ts: rfc3339(request?.timeUs ?? answer?.timeUs ?? 0),
    src: endpointText(connection.clientAddress, connection.clientPort),
    dst: endpointText(connection.serverAddress, connection.serverPort),
    ...(connection.proxied === null ? {} : { proxied: proxiedFields(connection.proxied) }),
    vni: connection.vni,
    ...(request === null ? { method: null } : requestFields(request, redaction)),
    response: response === null ? null : responseFields(response, request, redaction),
  }
  if (interim.length > 0) line.interim = interim.map((r) => responseFields(r, request, redaction))
  return printableJson(line)
}

/** What the PROXY header in front of the connection said. */
function proxiedFields(ends: ProxiedEnds): Record<string, string> {
  return {
    client: endpointText(ends.clientAddress, ends.clientPort),
    server: endpointText(ends.serverAddress, ends.serverPort),
  }
}

function requestFields(request: CapturedRequest, redaction: Redaction | null): Record<string, unknown> {
  return {
    method: request.method,
    uri: request.target,
    version: request.version,
    headers: redaction?.apply(request.headers) ?? request.headers,
    bodyBytes: request.bodyBytes,
    ...(request.bodySha256 === null ? {} : { bodySha256: request.bodySha256 }),
    ...(request.body === null ? {} : { body: request.body.toString('base64') }),
  }
}

function responseFields(
  response: CapturedResponse,
  request: CapturedRequest | null,
  redaction: Redaction | null,
): Record<string, unknown> {
  return {
    status: response.status,
    headers: redaction?.apply(response.headers) ?? response.headers,
    bodyBytes: response.bodyBytes,
    ...(response.bodySha256 === null ? {} : { bodySha256: response.bodySha256 }),
    ...(response.body === null ? {} : { body: response.body.toString('base64') }),
    ...(response.isIncomplete ? { incomplete: true } : {}),
    // Milliseconds from the request's last byte to this one's last byte, as the capture point saw them.
    ...(request === null || response.isIncomplete
      ? {}
      : { elapsedMs: Math.max(0, Math.round(response.endUs - request.endUs) / 1000) }),
  }
}
