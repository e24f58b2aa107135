/** Parts of HAR 1.2 that are read from header values and bodies: cookies, query, parameters of forms. */
import { rfc3339 } from './exchange-lines.ts'
import { type MediaType, parseMediaType, parseParameters } from './media-type.ts'
import type { Headers } from './redaction.ts'

export interface HarParam {
  readonly name: string
  readonly value?: string
  readonly fileName?: string
  readonly contentType?: string
}

/** Parameters told one by one; more are in the text all the same. Chosen: no form has as many. */
const MOST_PARTS = 10_000

export function valuesOf(headers: Headers, name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
}

/** Of Cookie headers (RFC 6265 section 4.2.1): every pair, in its order, values as captured. */
export function requestCookies(headers: Headers): { name: string; value: string }[] {
  return valuesOf(headers, 'cookie').flatMap((header) =>
    header.split(';').flatMap((text) => {
      const pair = cookiePair(text)
      return pair === null ? [] : [pair]
    }),
  )
}

/** Of Set-Cookie headers, as a browser reads them (RFC 6265 section 5.2). @param receivedUs for Max-Age */
export function responseCookies(headers: Headers, receivedUs: number): Record<string, unknown>[] {
  return valuesOf(headers, 'set-cookie').flatMap((header) => {
    const [first = '', ...attributes] = header.split(';')
    const pair = cookiePair(first)
    if (pair === null) return []
    const cookie: Record<string, unknown> = { ...pair, httpOnly: false, secure: false }
    let maxAge: number | null = null
    for (const text of attributes) {
      const at = text.indexOf('=')
      const name = (at < 0 ? text : text.slice(0, at)).trim().toLowerCase()
      const value = at < 0 ? '' : text.slice(at + 1).trim()
      if (name === 'path') cookie.path = value
      else if (name === 'domain') cookie.domain = value
      else if (name === 'httponly') cookie.httpOnly = true
      else if (name === 'secure') cookie.secure = true
      else if (name === 'samesite') cookie.sameSite = value
      else if (name === 'max-age' && /^-?\d+$/.test(value)) maxAge = Number(value)
      else if (name === 'expires') {
        const ms = Date.parse(value.replaceAll('-', ' '))
        if (!Number.isNaN(ms)) cookie.expires = millisecondTime(ms * 1000)
      }
    }
    // Max-Age has precedence (section 5.3).
    if (maxAge !== null) cookie.expires = millisecondTime(receivedUs + Math.max(0, maxAge) * 1e6)
    return [cookie]
  })
}

function cookiePair(text: string): { name: string; value: string } | null {
  const at = text.indexOf('=')
  const name = text.slice(0, at).trim()
  return at < 0 || name === '' ? null : { name, value: text.slice(at + 1).trim() }
}

/** RFC 3339 with milliseconds. */
export function millisecondTime(timeUs: number): string {
  return `${rfc3339(timeUs).slice(0, 23)}Z`
}

/** `a=1&b`, percent and plus undone; a part that is no UTF-8 stays as captured. */
export function formPairs(text: string): { name: string; value: string }[] {
  if (text === '') return []
  return text
    .split('&', MOST_PARTS)
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=')
      return at < 0
        ? { name: formText(pair), value: '' }
        : { name: formText(pair.slice(0, at)), value: formText(pair.slice(at + 1)) }
    })
}

function formText(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

/** Parameters of a form; none where the body is no form. */
export function formParams(body: Buffer, contentType: string): HarParam[] {
  const type = parseMediaType(contentType)
  if (type.essence === 'application/x-www-form-urlencoded') return formPairs(body.toString('latin1'))
  return type.essence === 'multipart/form-data' ? multipartParams(body, type) : []
}

/** Parts of multipart/form-data (RFC 7578); a value that is no UTF-8 is left out. */
function multipartParams(body: Buffer, { parameters }: MediaType): HarParam[] {
  const boundary = parameters.get('boundary')
  if (boundary === undefined || boundary === '') return []
  const delimiter = Buffer.from(`--${boundary}`, 'latin1')
  const params: HarParam[] = []
  let at = body.indexOf(delimiter)
  while (at >= 0 && params.length < MOST_PARTS) {
    const start = at + delimiter.length
    if (body.toString('latin1', start, start + 2) === '--') break
    const headAt = body.indexOf('\r\n', start) + 2
    at = body.indexOf(`\r\n--${boundary}`, start, 'latin1')
    if (headAt < 2 || at < 0) break
    const part = partParam(body.subarray(headAt, at))
    if (part !== null) params.push(part)
    at += 2
  }
  return params
}

function partParam(part: Buffer): HarParam | null {
  const headEnd = part.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const fields = new Map<string, string>()
  // Names and file names of forms are UTF-8 (RFC 7578 section 5.1).
  for (const line of part.toString('utf8', 0, headEnd).split('\r\n')) {
    const at = line.indexOf(':')
    if (at > 0) fields.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim())
  }
  const disposition = parseParameters(fields.get('content-disposition') ?? '')
  const name = disposition.get('name')
  if (name === undefined) return null
  const fileName = disposition.get('filename')
  const contentType = fields.get('content-type')
  const content = part.subarray(headEnd + 4)
  const text = content.toString('utf8')
  return {
    name,
    ...(Buffer.byteLength(text) === content.length && !text.includes('\ufffd') ? { value: text } : {}),
    ...(fileName === undefined ? {} : { fileName }),
    ...(contentType === undefined ? {} : { contentType }),
  }
}
