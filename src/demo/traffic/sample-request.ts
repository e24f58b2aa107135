/** Requests as production sees them: ordinary ones mostly, and every legal oddity that a replayer must not smooth over. */
import type { Random } from './random.ts'

export type Field = readonly [name: string, value: string]

/** A request as it was sent: the ground truth. Header text is latin-1: one character per byte. */
export interface SampleRequest {
  /** Number of its connection, from 1, and its place there, from 0. */
  readonly connection: number
  readonly index: number
  readonly method: string
  readonly target: string
  readonly version: '1.0' | '1.1'
  readonly headers: readonly Field[]
  /** Without transfer coding. */
  readonly body: Buffer
  /** The coded body as it stands on the wire. */
  readonly wireBody: Buffer
  readonly isChunked: boolean
  readonly expectsContinue: boolean
  /** Textual address of the client, and the port it asked. */
  readonly clientAddress: string
  readonly serverPort: number
}

/** Where a request stands. */
export interface RequestPlace {
  readonly connection: number
  readonly index: number
  readonly isLast: boolean
  readonly clientAddress: string
  readonly serverPort: number
}

/** The field by which a request is known again at the origin. */
export const ID_FIELD = 'X-Request-Id'

const HOSTS = ['shop.example', 'api.shop.example', 'www.shop.example:8080', 'static.shop.example']
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15',
  'okhttp/4.12.0',
  'curl/8.8.0',
  'Go-http-client/1.1',
]
const WORDS = ['shoes', 'lamp', 'teapot', 'caf%C3%A9', 'a%20b', 'x+y', '100%25', '%E2%82%AC']
/** Fields that some clients send and some tools lose: order, case, repetition, emptiness, bytes above 0x7f. */
const ODD_FIELDS: readonly (readonly Field[])[] = [
  [['Cookie', 'session=9f8e7d; theme=dark; empty=']],
  [
    ['cookie', 'a=1'],
    ['cookie', 'b=2'],
  ],
  [['X-Empty', '']],
  [
    ['x-lower-case', 'kept'],
    ['X-UPPER-CASE', 'KEPT'],
  ],
  [
    ['Accept', 'text/html'],
    ['Accept', '*/*;q=0.1'],
  ],
  [['X-Latin', 'caf\u00e9 \u00fc\u00df']],
  [
    ['X-Forwarded-For', '203.0.113.7'],
    ['X-Forwarded-Proto', 'https'],
  ],
  [
    ['X-Forwarded-For', '198.51.100.23, 10.0.0.4'],
    ['X-Forwarded-Host', 'edge.shop.example'],
    ['X-Forwarded-Port', '443'],
  ],
  [
    ['Connection', 'X-Hop, keep-alive'],
    ['X-Hop', 'for the next hop only'],
    ['X-Hop', 'twice'],
  ],
  [
    ['Connection', 'keep-alive'],
    ['Keep-Alive', 'timeout=5'],
  ],
  [
    ['TE', 'trailers'],
    ['Connection', 'TE'],
  ],
  [
    ['If-None-Match', 'W/"5d8c72a5edda8"'],
    ['Cache-Control', 'no-cache'],
  ],
  [['Authorization', 'Basic ZGVtbzpub3QgYSBzZWNyZXQ=']],
  [['Range', 'bytes=0-1023']],
  [['X-List', 'a,b , c,,"d,e"']],
]
const LONGEST_BODY = 9_000

export function makeRequest(random: Random, place: RequestPlace): SampleRequest {
  const method = chooseMethod(random)
  const host = random.pick(HOSTS)
  const path = chooseTarget(random)
  const isBodiless =
    method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || (method === 'DELETE' && random.chance(0.8))
  // HTTP/1.0 without keep-alive ends its connection, and has no chunks.
  const version = place.isLast && random.chance(0.1) ? '1.0' : '1.1'
  const body = isBodiless ? Buffer.alloc(0) : chooseBody(random)
  const isChunked = !isBodiless && version === '1.1' && random.chance(0.45)
  const expectsContinue = body.length > 0 && version === '1.1' && random.chance(0.12)

  const headers: Field[] = [
    ['Host', host],
    ['User-Agent', random.pick(AGENTS)],
    ['Accept', random.pick(['*/*', 'application/json', 'text/html,application/xhtml+xml;q=0.9'])],
    [ID_FIELD, `${place.connection}-${place.index}`],
  ]
  if (random.chance(0.45)) headers.push(...random.pick(ODD_FIELDS))
  if (random.chance(0.1)) headers.push(['X-Trace', random.hex(random.between(1, 900))])
  if (body.length > 0)
    headers.push([
      'Content-Type',
      random.pick(['application/json', 'application/x-www-form-urlencoded', 'application/octet-stream']),
    ])
  const trailers: Field[] = isChunked && random.chance(0.3) ? [['X-Checksum', random.hex(16)]] : []
  if (trailers.length > 0) headers.push(['Trailer', 'X-Checksum'])
  if (isChunked) headers.push([random.pick(['Transfer-Encoding', 'transfer-encoding']), 'chunked'])
  else if (!isBodiless) headers.push([random.pick(['Content-Length', 'content-length']), String(body.length)])
  if (expectsContinue) headers.push(['Expect', '100-continue'])
  if (place.isLast && version === '1.1' && random.chance(0.3)) headers.push(['Connection', 'close'])

  return {
    ...place,
    method,
    target: random.chance(0.04) ? `http://${host}${path}` : path,
    version,
    headers,
    body,
    wireBody: isChunked ? chunked(body, trailers, random) : body,
    isChunked,
    expectsContinue,
  }
}

/** Request line and header section, as bytes. */
export function requestHead(request: SampleRequest): Buffer {
  const fields = request.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.from(`${request.method} ${request.target} HTTP/${request.version}\r\n${fields}\r\n`, 'latin1')
}

function chooseMethod(random: Random): string {
  const share = random.below(100)
  if (share < 60) return 'GET'
  if (share < 67) return 'HEAD'
  if (share < 88) return 'POST'
  if (share < 93) return 'PUT'
  if (share < 96) return 'PATCH'
  return share < 98 ? 'DELETE' : 'OPTIONS'
}

function chooseTarget(random: Random): string {
  const n = random.between(1, 99_999)
  switch (random.below(12)) {
    case 0:
      return '/'
    case 1:
      return `/search?q=${random.pick(WORDS)}&q=${random.pick(WORDS)}&page=${n % 20}`
    case 2:
      return `/static/app.${random.hex(8)}.js`
    case 3:
      return `/a//b/./c/../${n}`
    case 4:
      return `/cart;id=${n}?`
    case 5:
      return `/redirect?to=https://shop.example/%2e%2e/${n}?x=y`
    case 6:
      return `/img/${n}@2x.png?v=${random.hex(4)}`
    case 7:
      return `/long/${random.hex(random.between(100, 1_200))}`
    default:
      return `/api/v2/${random.pick(['orders', 'items', 'customers'])}/${n}`
  }
}

function chooseBody(random: Random): Buffer {
  const share = random.below(100)
  if (share < 5) return Buffer.alloc(0)
  if (share < 45)
    return Buffer.from(JSON.stringify({ order: random.hex(12), items: random.between(1, 9), note: 'caf\u00e9 \u2615' }))
  if (share < 60) return Buffer.from(`user=${random.hex(8)}&item=${random.pick(WORDS)}&submit=`)
  // Bytes of every value: also CR LF, chunk sizes and what looks like a request line.
  if (share < 65)
    return Buffer.from(`0\r\n\r\nGET /not-a-request HTTP/1.1\r\nHost: inside.a.body\r\n\r\n${random.hex(20)}`)
  return random.bytes(random.between(1, random.chance(0.15) ? LONGEST_BODY : 1_400))
}

/** Chunked transfer coding (RFC 9112 section 7.1), with extensions and the spellings of sizes that it allows. */
function chunked(body: Buffer, trailers: readonly Field[], random: Random): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const end = Math.min(body.length, at + random.between(1, random.chance(0.3) ? 16 : 4_096))
    const hex = (end - at).toString(16)
    const size = random.pick([hex, hex, hex.toUpperCase(), `00${hex}`])
    const extension = random.chance(0.2) ? random.pick([';a', ';name=value', ';sig="a;b, c\\" d"']) : ''
    parts.push(Buffer.from(`${size}${extension}\r\n`), body.subarray(at, end), Buffer.from('\r\n'))
    at = end
  }
  parts.push(Buffer.from(`0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`))
  return Buffer.concat(parts)
}
