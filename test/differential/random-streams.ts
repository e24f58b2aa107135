/** Random client streams near the edges of the grammar: requests put together from odd parts, neighbours behind them, then damage. */
import { Random } from '../../src/demo/traffic/random.ts'
import { makeRequest, requestHead } from '../../src/demo/traffic/sample-request.ts'
import { SHAPES } from './smuggling-shapes.ts'

const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
  'M-SEARCH',
  'PURGE',
]
const ODD_METHODS = ['get', 'Post', 'X', "A!#$%&'*+-.^_`|~9", 'CONNECT', 'PRI', 'HTTP', 'GETX', 'QUERY', 'TRACE', '0']
const TARGETS = [
  '/',
  '/a/b?c=d&e',
  '//b/c',
  '/?',
  '/??a#b',
  '/%',
  '/%00%zz%0d%0a',
  '/a%20b',
  '/../../c/./d',
  '/;a;b=c',
  '/\\a',
  '/"<>^`{|}',
  '/caf\xe9\xff\x80',
  '*',
  'http://b/c?d',
  'HTTP://B:80',
  'https://b/?',
  'http://u:p@b/c',
  'http://a@b@c/',
  'http://b\\c',
  'http:///c',
  'http://[::1]:80/d',
  'http://b?c',
  'ftp://b/c',
  'b:443',
  'b',
  '@b',
  'a:b@c',
  '#',
  '?a',
]
const NAMES = [
  'X-A',
  'x-a',
  'X-Case',
  'Cookie',
  'cookie',
  'Authorization',
  'Content-Type',
  'User-Agent',
  'Accept',
  'Via',
]
const ODD_NAMES = [
  "!#$%&'*+-.^_`|~9",
  'X_A',
  'A.B',
  '0',
  'x',
  '-',
  'Content_Length',
  'Transfer_Encoding',
  'Content-Lengt',
]
const VALUES = ['', 'a', 'a b', 'a, b', '"c, d"', 'a:b', 'caf\xe9', '\x80\xff', 'x=1; y=2', '*/*', '\t', 'a \t b']
const ODD_VALUES = ['\x01', 'a\x0bb', 'a\x7f', '\x1b[0m', '\x85\xa0', 'Content-Length: 5', 'chunked']
const OWS = [...Array<string>(20).fill(' '), '', '', '\t', '  ', ' \t ']
const HOPS: readonly (readonly [string, readonly string[]])[] = [
  [
    'Connection',
    ['close', 'keep-alive', 'X-A', 'x-a, TE, close', 'content-length', 'transfer-encoding', 'Host', ', ,', ''],
  ],
  ['TE', ['trailers', 'chunked', 'gzip;q=0.5']],
  ['Trailer', ['X-T', 'Content-Length']],
  ['Upgrade', ['h2c', 'websocket', 'TLS/1.0, h2c', 'tcp', '']],
  ['Expect', ['100-continue', '100-Continue', 'x', '']],
  ['Keep-Alive', ['timeout=5', '']],
  ['Proxy-Connection', ['keep-alive']],
  ['HTTP2-Settings', ['AAMAAABk']],
  ['Host', ['b', '', 'b:80', 'a@b', 'a, b']],
  ['X-Forwarded-For', ['192.0.2.1', '', 'a, b']],
  ['X-Forwarded-Host', ['c', '']],
  ['X-Mirrorshard', ['1']],
]
const EXTENSIONS = [
  '',
  '',
  '',
  ';',
  ';a',
  ';a=b',
  ';a="b"',
  ';a="b;\\"c\r"'.replace('\r', ''),
  '; a = b ',
  ';\x01',
  ';"',
]

/** What two readers might not agree about. */
const TROUBLE = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  '\x0b',
  ':',
  ';',
  ',',
  '"',
  '0',
  '-',
  '+',
  '\x7f',
  '\x80',
  '\xff',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'content-length:\t3 \r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Transfer-Encoding: xchunked\r\n',
  'Transfer-Encoding:\r\n chunked\r\n',
  'Upgrade: h2c\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\n',
  'Expect: 100-continue\r\n',
  '0\r\n\r\n',
  '\r\n\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
  ' folded\r\n',
  ' HTTP/1.0',
]

export class StreamMaker {
  private readonly random: Random

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  /** One client stream, latin-1. */
  next(): string {
    const { random } = this
    const share = random.below(100)
    if (share < 12) return this.damage(random.pick(SHAPES).bytes, random.between(0, 2))
    const count = random.pick([1, 1, 1, 2, 3])
    let stream = random.chance(0.05) ? '\r\n' : ''
    for (let i = 0; i < count; i++) stream += share < 30 ? this.ordinary(i) : this.odd()
    return random.chance(0.45) ? this.damage(stream, random.between(1, 4)) : stream
  }

  /** As the demo's traffic has them. */
  private ordinary(index: number): string {
    const place = { connection: 1, index, isLast: false, clientAddress: '192.0.2.7', serverPort: 80 }
    const request = makeRequest(this.random, place)
    return requestHead(request).toString('latin1') + request.wireBody.toString('latin1')
  }

  private odd(): string {
    const { random } = this
    const method = random.chance(0.12) ? random.pick(ODD_METHODS) : random.pick(METHODS)
    const version = random.chance(0.12) ? 'HTTP/1.0' : 'HTTP/1.1'
    const lines: string[] = []
    if (!random.chance(0.08)) lines.push(this.line('Host', 'a.test'))
    for (let n = random.below(6); n > 0; n--) lines.push(this.field())
    let body = ''
    const framing = random.below(10)
    if (framing < 4 && method !== 'CONNECT') {
      body = this.body()
      const zeros = random.chance(0.15) ? '0'.repeat(random.between(1, 20)) : ''
      lines.push(
        this.line(random.pick(['Content-Length', 'content-length', 'CONTENT-LENGTH']), `${zeros}${body.length}`),
      )
    } else if (framing < 7 && version === 'HTTP/1.1' && method !== 'CONNECT') {
      body = this.chunked(this.body())
      const name = random.pick(['Transfer-Encoding', 'transfer-encoding', 'TRANSFER-ENCODING'])
      lines.push(this.line(name, random.pick(['chunked', 'chunked', 'Chunked', 'CHUNKED'])))
    }
    const order = lines.map((line) => [random.word(), line] as const).sort(([a], [b]) => a - b)
    return `${method} ${this.target()} ${version}\r\n${order.map(([, line]) => line).join('')}\r\n${body}`
  }

  private target(): string {
    const { random } = this
    if (random.chance(0.75)) return `/${random.hex(random.between(0, 12))}`
    if (random.chance(0.03)) return `/${'a'.repeat(random.between(1_000, 9_000))}`
    if (!random.chance(0.25)) return random.pick(TARGETS)
    let target = random.pick(['/', '/', 'http://b/'])
    for (let n = random.between(1, 12); n > 0; n--) target += String.fromCharCode(random.between(0x21, 0xff))
    return target.replaceAll('\x7f', '')
  }

  private field(): string {
    const { random } = this
    if (random.chance(0.2)) {
      const [name, values] = random.pick(HOPS)
      return this.line(random.chance(0.2) ? name.toLowerCase() : name, random.pick(values))
    }
    const name = random.chance(0.15) ? random.pick(ODD_NAMES) : random.pick(NAMES)
    if (random.chance(0.02)) return this.line(name, 'v'.repeat(random.between(500, 6_000)))
    return this.line(name, random.chance(0.08) ? random.pick(ODD_VALUES) : random.pick(VALUES))
  }

  private line(name: string, value: string): string {
    return `${name}:${this.random.pick(OWS)}${value}${this.random.chance(0.1) ? this.random.pick(OWS) : ''}\r\n`
  }

  private body(): string {
    const { random } = this
    switch (random.below(6)) {
      case 0:
        return ''
      case 1:
        return 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
      case 2:
        return '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
      case 3:
        return random.bytes(random.between(1, 3_000)).toString('latin1')
      default:
        return random.bytes(random.between(1, 40)).toString('latin1')
    }
  }

  private chunked(body: string): string {
    const { random } = this
    let out = ''
    for (let at = 0; at < body.length; ) {
      const end = Math.min(body.length, at + random.between(1, random.chance(0.5) ? 20 : 2_000))
      const hex = (end - at).toString(16)
      const size = random.pick([hex, hex, hex.toUpperCase(), `000${hex}`])
      out += `${size}${random.pick(EXTENSIONS)}\r\n${body.slice(at, end)}\r\n`
      at = end
    }
    out += `${random.pick(['0', '0', '000'])}${random.pick(EXTENSIONS)}\r\n`
    for (let n = random.chance(0.25) ? random.between(1, 2) : 0; n > 0; n--)
      out += this.line(random.pick(['X-T', 'Content-Length', 'Transfer-Encoding', 'Host', 'x-a']), random.pick(VALUES))
    return `${out}\r\n`
  }

  private damage(text: string, times: number): string {
    const { random } = this
    let out = text
    for (let n = times; n > 0; n--) {
      // Heads matter more than bodies.
      const reach = random.chance(0.8) ? Math.min(out.length, 200) : out.length
      const at = random.below(reach + 1)
      const rest = out.slice(at)
      switch (random.below(5)) {
        case 0:
          out = out.slice(0, at) + random.pick(TROUBLE) + rest
          break
        case 1:
          out = out.slice(0, at) + rest.slice(random.between(1, 4))
          break
        case 2:
          out = out.slice(0, at) + rest.slice(0, random.between(1, 12)) + rest
          break
        case 3: {
          // At the beginning of a line: the place for a header.
          const line = out.indexOf('\r\n', at) + 2
          if (line > 1) out = out.slice(0, line) + random.pick(TROUBLE) + out.slice(line)
          break
        }
        default:
          out = out.slice(0, at) + String.fromCharCode(random.below(256)) + rest.slice(1)
      }
    }
    return out
  }
}
