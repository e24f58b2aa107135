/** What the sample site answers. The captured conversations and the built-in origin give the same answers. */

export interface SampleAnswer {
  readonly status: number
  readonly reason: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
  /** The body is sent in chunks, of unknown length. */
  readonly isChunked: boolean
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  301: 'Moved Permanently',
  304: 'Not Modified',
  404: 'Not Found',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}
const LONGEST_BODY = 2_600

/** The same request gets the same answer, however often it comes. @param target in origin-form */
export function answerTo(method: string, target: string): SampleAnswer {
  const hash = hashOf(`${method} ${target}`)
  const status = statusOf(method, hash % 100)
  const isBodiless = status === 204 || status === 304
  const length = isBodiless ? 0 : hash % 3 === 0 ? (hash >>> 8) % LONGEST_BODY : (hash >>> 8) % 300
  const headers: [string, string][] = [['Server', 'sample']]
  if (status === 301) headers.push(['Location', '/moved'])
  if (status === 304) headers.push(['ETag', 'W/"5d8c72a5edda8"'])
  if (length > 0) headers.push(['Content-Type', 'text/plain'])
  return {
    status,
    reason: REASONS[status]!,
    headers,
    body: Buffer.alloc(length, `${status} ${target}\n`),
    isChunked: !isBodiless && method !== 'HEAD' && hash % 4 === 1,
  }
}

function statusOf(method: string, share: number): number {
  if (share < 78) return method === 'POST' && share < 40 ? 201 : 200
  if (share < 84) return 204
  if (share < 88) return method === 'GET' || method === 'HEAD' ? 304 : 200
  if (share < 91) return 301
  if (share < 97) return 404
  if (share < 98) return 429
  return share < 99 ? 500 : 503
}

/** FNV-1a, 32 bits, unsigned. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  // Its low bits alone are poor; the callers use all.
  hash ^= hash >>> 15
  return Math.imul(hash, 0x2c1b3c6d) >>> 0
}
