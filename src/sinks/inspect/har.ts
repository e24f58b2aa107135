/**
 * Entries of HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/). Sizes that are not known are -1, as it says; what it
 * has no place for is left out.
 */
import { printableJson } from '../../base/printable.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import type { OwnedMessage } from '../../exchange/message.ts'
import { clientEnd, elapsedMsOf, headersOf, rfc3339, serverEnd, startUs } from './exchange-lines.ts'
import type { Headers, Redaction } from './redaction.ts'

export const HAR_HEAD = '{"log":{"version":"1.2","creator":{"name":"mirrorshard","version":"1"},"entries":[\n'
export const HAR_END = '\n]}}\n'
/** Written before each entry; the first one's is left out. */
export const HAR_SEPARATOR = ',\n'

/** An entry after its separator; empty where the request was not seen: HAR has no place for a response alone. */
export function harEntry(exchange: Exchange, redaction: Redaction | null): string {
  const { connection, request, response } = exchange
  if (request === null) return ''
  const headers = headersOf(request, redaction)
  const server = serverEnd(connection)
  const uri = request.target()
  const host = headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? server
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(uri) ? uri : `http://${host}${uri}`
  const query = uri.split('#')[0]!.split('?').slice(1).join('?')
  const elapsed = Math.max(0, response === null ? -1 : (elapsedMsOf(response, request) ?? -1))
  const entry = {
    startedDateTime: `${rfc3339(startUs(exchange)).slice(0, 23)}Z`,
    time: elapsed,
    request: {
      method: request.method(),
      url,
      httpVersion: `HTTP/1.${request.minorVersion}`,
      cookies: [],
      headers: namedHeaders(headers),
      queryString: query === '' ? [] : query.split('&').map(queryPair),
      headersSize: -1,
      bodySize: request.bodyBytes,
      ...(request.bodyKept ? { postData: { mimeType: contentType(headers), ...bodyText(request) } } : {}),
    },
    response: harResponse(response, redaction),
    cache: {},
    timings: { send: 0, wait: elapsed, receive: 0 },
    serverIPAddress: connection.serverAddress,
    connection: clientEnd(connection),
  }
  return HAR_SEPARATOR + printableJson(entry)
}

function harResponse(response: OwnedMessage | null, redaction: Redaction | null): Record<string, unknown> {
  const headers = response === null ? [] : headersOf(response, redaction)
  const bodyBytes = response?.bodyBytes ?? -1
  return {
    status: response?.status ?? 0,
    statusText: '',
    httpVersion: 'HTTP/1.1',
    cookies: [],
    headers: namedHeaders(headers),
    content: {
      size: Math.max(0, bodyBytes),
      mimeType: contentType(headers),
      ...(response?.bodyKept === true ? bodyText(response) : {}),
    },
    redirectURL: headers.find(([name]) => name.toLowerCase() === 'location')?.[1] ?? '',
    headersSize: -1,
    bodySize: bodyBytes,
  }
}

function bodyText({ body }: OwnedMessage): { text: string; encoding: 'base64' } {
  return { text: body.toString('base64'), encoding: 'base64' }
}

function namedHeaders(headers: Headers): { name: string; value: string }[] {
  return headers.map(([name, value]) => ({ name, value }))
}

function contentType(headers: Headers): string {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
}

function queryPair(pair: string): { name: string; value: string } {
  const [name = '', ...value] = pair.split('=')
  return { name, value: value.join('=') }
}
