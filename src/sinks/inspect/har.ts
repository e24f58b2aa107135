/**
 * Entries of HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/). Sizes and times that are not known are -1 where it says so;
 * what it has no place for is left out.
 */
import { printableJson } from '../../base/printable.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import type { OwnedMessage } from '../../exchange/message.ts'
import { decodeContent } from './content-coding.ts'
import { clientEnd, headersOf, serverEnd, startUs } from './exchange-lines.ts'
import { formPairs, formParams, millisecondTime, requestCookies, responseCookies, valuesOf } from './har-fields.ts'
import { bodyAsExactText, bodyAsText, parseMediaType } from './media-type.ts'
import type { Headers, Redaction } from './redaction.ts'

/** @param version of the program */
export function harHead(version: string): string {
  return `{"log":{"version":"1.2","creator":${JSON.stringify({ name: 'mirrorshard', version })},"entries":[\n`
}
export const HAR_END = '\n]}}\n'
/** Written before each entry; the first one's is left out. */
export const HAR_SEPARATOR = ',\n'

/**
 * An entry after its separator; empty where the request was not seen: HAR has no place for a response alone.
 * @param maxDecodedBytes longest body of an answer that is decompressed
 */
export function harEntry(exchange: Exchange, redaction: Redaction | null, maxDecodedBytes: number): string {
  const { connection, request, response } = exchange
  if (request === null) return ''
  const timings = timingsOf(request, response)
  const entry = {
    startedDateTime: millisecondTime(startUs(exchange)),
    time: rounded(timings.send + timings.wait + timings.receive),
    request: harRequest(request, serverEnd(connection), redaction),
    response: response === null ? NO_RESPONSE : harResponse(response, redaction, maxDecodedBytes),
    cache: {},
    timings,
    serverIPAddress: connection.serverAddress,
    connection: clientEnd(connection),
  }
  return HAR_SEPARATOR + printableJson(entry)
}

function harRequest(request: OwnedMessage, server: string, redaction: Redaction | null): Record<string, unknown> {
  const captured = headersOf(request, null)
  const headers = redaction?.apply(captured) ?? captured
  const target = request.target()
  const query = /\?([^#]*)/.exec(target)?.[1] ?? ''
  const body = postData(request, headers)
  return {
    method: request.method(),
    url: urlOf(request.method(), target, valuesOf(headers, 'host')[0] ?? server),
    httpVersion: `HTTP/1.${request.minorVersion}`,
    cookies: requestCookies(headers),
    headers: namedHeaders(headers),
    queryString: formPairs(query),
    ...(body === null ? {} : { postData: body }),
    // Of redacted values not even the length is told.
    headersSize: headers === captured ? request.headEnd - request.headAt : -1,
    bodySize: request.bodyBytes,
  }
}

/** As captured where it is a URL or a path; CONNECT names a host, `*` the server itself (RFC 9110 section 7.1). */
function urlOf(method: string, target: string, host: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(target)) return target
  if (method === 'CONNECT') return `http://${target}`
  return `http://${host}${target === '*' ? '/' : target}`
}

/** Byte for byte: as text only where its UTF-8 is what was captured. Null where no body was sent, or it was not kept. */
function postData(request: OwnedMessage, headers: Headers): Record<string, unknown> | null {
  if (!request.bodyKept || request.bodyBytes === 0) return null
  const body = request.body.subarray(request.bodyAt, request.bodyEnd)
  const mimeType = contentTypeOf(headers)
  const params = formParams(body, mimeType)
  const text = bodyAsExactText(body)
  return {
    mimeType,
    ...(params.length > 0 ? { params } : {}),
    ...(text === null ? { text: body.toString('base64'), encoding: 'base64' } : { text }),
  }
}

const NO_RESPONSE = {
  status: 0,
  statusText: '',
  httpVersion: '',
  cookies: [],
  headers: [],
  content: { size: 0, mimeType: '' },
  redirectURL: '',
  headersSize: -1,
  bodySize: -1,
  comment: 'no response was captured',
}

function harResponse(
  response: OwnedMessage,
  redaction: Redaction | null,
  maxDecodedBytes: number,
): Record<string, unknown> {
  const captured = headersOf(response, null)
  const headers = redaction?.apply(captured) ?? captured
  return {
    status: response.status,
    statusText: response.target(),
    httpVersion: `HTTP/1.${response.minorVersion}`,
    cookies: responseCookies(headers, response.lastUs),
    headers: namedHeaders(headers),
    content: contentOf(response, headers, maxDecodedBytes),
    redirectURL: valuesOf(headers, 'location')[0] ?? '',
    headersSize: headers === captured ? response.headEnd - response.headAt : -1,
    bodySize: response.bodyBytes,
    ...(response.isIncomplete ? { comment: 'incomplete: bytes of the body are missing' } : {}),
  }
}

/** What a person reads: decompressed, text as text. `compression` is what that saved. */
function contentOf(response: OwnedMessage, headers: Headers, maxDecodedBytes: number): Record<string, unknown> {
  const mimeType = contentTypeOf(headers)
  if (!response.bodyKept) return { size: response.bodyBytes, mimeType }
  const body = response.body.subarray(response.bodyAt, response.bodyEnd)
  const codings = valuesOf(headers, 'content-encoding').join(',')
  const { bytes, why } = decodeContent(body, codings, maxDecodedBytes)
  const content = bytes ?? body
  const text = bytes === null ? null : bodyAsText(content, parseMediaType(mimeType))
  return {
    size: content.length,
    ...(content === body ? {} : { compression: content.length - body.length }),
    mimeType,
    ...(text === null ? { text: content.toString('base64'), encoding: 'base64' } : { text }),
    ...(why === '' ? {} : { comment: why }),
  }
}

/** Milliseconds, at the capture point. What it cannot see, it does not have. */
function timingsOf(request: OwnedMessage, response: OwnedMessage | null) {
  const span = (fromUs: number, toUs: number) => rounded(Math.max(0, toUs - fromUs) / 1000)
  return {
    blocked: -1,
    dns: -1,
    connect: -1,
    ssl: -1,
    send: span(request.firstUs, request.lastUs),
    wait: response === null ? 0 : span(request.lastUs, response.firstUs),
    receive: response === null ? 0 : span(response.firstUs, response.lastUs),
  }
}

/** To a microsecond. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function namedHeaders(headers: Headers): { name: string; value: string }[] {
  return headers.map(([name, value]) => ({ name, value }))
}

function contentTypeOf(headers: Headers): string {
  return valuesOf(headers, 'content-type')[0] ?? ''
}
