/** Random HTTP/1 messages for properties: valid ones with what they mean, and damaged ones. */
import fc from 'fast-check'

export interface WireRequest {
  readonly wire: string
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  /** Transfer-decoded. */
  readonly body: string
}

const characters = (set: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...set), minLength, maxLength })
const octets = (maxLength: number) => fc.uint8Array({ maxLength }).map((b) => Buffer.from(b).toString('latin1'))

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const VALUE_INNER = `${LETTERS}0123456789 \t!"#$%&'()*+,-./:;<=>?@[]^_\`{|}~\\\xe9\xff`

const target = fc.oneof(
  characters(`${LETTERS}0123456789-._~!$&'()*+,;=:@/?%"<>[]^\`{|}`, 0, 30).map((t) => `/${t}`),
  fc.constantFrom('*', 'http://example.test:8080/a?b', '/', '/?'),
)
const value = characters(VALUE_INNER, 0, 30).map((v) => v.replace(/^[ \t]+|[ \t]+$/g, ''))
const ows = fc.constantFrom('', ' ', '\t', '  ', ' \t ')
const name = fc.oneof(
  characters(LETTERS, 1, 12).map((n) => `x-${n}`),
  fc.constantFrom('Accept', 'cookie', 'Cookie', "!#$%&'*+-.^_`|~9", 'X-Forwarded-For'),
)

const chunks = fc.array(
  octets(40).filter((c) => c !== ''),
  { maxLength: 4 },
)
const extension = fc.constantFrom('', ';a', ';a=b', ';name="quoted; \\" value"', ';a=1;b=2')

/** [chunked text, content] */
const chunkedBody = fc
  .tuple(chunks, extension, fc.boolean(), fc.boolean(), fc.array(fc.tuple(name, value), { maxLength: 2 }))
  .map(([parts, ext, upper, zeros, trailer]): [string, string] => {
    const size = (n: number) => `${zeros ? '00' : ''}${upper ? n.toString(16).toUpperCase() : n.toString(16)}`
    const data = parts.map((c) => `${size(c.length)}${ext}\r\n${c}\r\n`).join('')
    const fields = trailer.map(([n, v]) => `${n}: ${v}\r\n`).join('')
    return [`${data}0${ext}\r\n${fields}\r\n`, parts.join('')]
  })

type Framing = 'none' | 'length' | 'chunked'

/** A valid request. `methods`: those a particular peer knows. */
export function validRequest(
  methods: fc.Arbitrary<string> = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PROPFIND', 'PURGE', 'X!y'),
): fc.Arbitrary<WireRequest> {
  const framing: fc.Arbitrary<Framing> = fc.constantFrom('none', 'length', 'chunked')
  return fc
    .tuple(
      methods,
      target,
      fc.array(fc.tuple(name, ows, value, ows), { maxLength: 5 }),
      framing,
      chunkedBody,
      octets(60),
      fc.boolean(),
    )
    .map(([method, t, fields, kind, [chunked, content], plain, leadingZeros]) => {
      const headers: [string, string][] = [['Host', 'a']]
      let lines = 'Host: a\r\n'
      for (const [n, before, v, after] of fields) {
        lines += `${n}:${before}${v}${after}\r\n`
        headers.push([n, v])
      }
      const frame: [string, string] | null =
        kind === 'chunked'
          ? ['Transfer-Encoding', 'Chunked']
          : kind === 'length'
            ? ['Content-Length', `${leadingZeros ? '000' : ''}${plain.length}`]
            : null
      if (frame !== null) {
        lines += `${frame[0]}: ${frame[1]}\r\n`
        headers.push(frame)
      }
      const body = kind === 'chunked' ? content : kind === 'length' ? plain : ''
      const wire = `${method} ${t} HTTP/1.1\r\n${lines}\r\n${kind === 'chunked' ? chunked : body}`
      return { wire, method, target: t, headers, body }
    })
}

/** A few valid requests behind each other, some with an empty line in front. */
export const pipelined = (request = validRequest()) =>
  fc.array(fc.tuple(fc.constantFrom('', '', '\r\n'), request), { minLength: 1, maxLength: 5 }).map((list) => ({
    wire: list.map(([gap, r]) => gap + r.wire).join(''),
    requests: list.map(([, r]) => r),
  }))

/** What two readers might not agree about, put into a message at random places. */
const TROUBLE = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '-',
  '+',
  '\x7f',
  '\xff',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Transfer-Encoding: xchunked\r\n',
  'Upgrade: websocket\r\n',
  'Connection: close\r\n',
  '\r\n\r\n',
  'GET /x HTTP/1.1\r\n\r\n',
  ' folded\r\n',
] as const

/** Damage: bytes inserted, removed, doubled or changed. */
export function damaged(wire: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const damage = fc.tuple(
    fc.constantFrom('insert', 'remove', 'double', 'set'),
    fc.nat(),
    fc.constantFrom(...TROUBLE),
    fc.integer({ min: 1, max: 12 }),
  )
  return fc.tuple(wire, fc.array(damage, { minLength: 1, maxLength: 3 })).map(([text, damages]) => {
    let out = text
    for (const [kind, place, trouble, length] of damages) {
      const at = place % (out.length + 1)
      const rest = out.slice(at)
      if (kind === 'insert') out = out.slice(0, at) + trouble + rest
      else if (kind === 'remove') out = out.slice(0, at) + rest.slice(length)
      else if (kind === 'double') out = out.slice(0, at) + rest.slice(0, length) + rest
      else out = out.slice(0, at) + trouble.slice(0, 1) + rest.slice(1)
    }
    return out
  })
}

/** Text that looks like HTTP here and there. */
export const noise = fc
  .array(
    fc.oneof(
      octets(20),
      fc.constantFrom(
        ...TROUBLE,
        'GET / HTTP/1.1\r\n',
        'POST /a HTTP/1.1\r\n',
        'Host: a\r\n',
        '5\r\nhello\r\n',
        '0\r\n\r\n',
        'HTTP/1.1 200 OK\r\n',
      ),
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(''))

/** Places to cut a stream at. */
export const cuts = fc.array(fc.nat(), { maxLength: 12 })
