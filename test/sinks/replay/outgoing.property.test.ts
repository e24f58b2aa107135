/**
 * What replay changes, stated once more as plainly as possible, and held against both engines for random requests: parsed by the
 * product's own reader, prepared, and read again by a few lines that know nothing of either.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../../src/base/clock.ts'
import type { ConnectionFacts } from '../../../src/exchange/connection.ts'
import { MessageView } from '../../../src/exchange/message.ts'
import { HeadReader } from '../../../src/http/head.ts'
import { ByteRequest } from '../../../src/sinks/replay/byte-request.ts'
import { ENGINE_NAMES, type Engine, type EngineListener } from '../../../src/sinks/replay/engine.ts'
import { loadEngine } from '../../../src/sinks/replay/engines.ts'
import { FieldRequest } from '../../../src/sinks/replay/field-request.ts'
import { REPLAY_DEFAULTS } from '../../../src/sinks/replay/options.ts'
import { connection } from './support/captured.ts'

interface Field {
  readonly name: string
  /** Blanks, value, blanks, as they stand behind the colon. */
  readonly before: string
  readonly value: string
  readonly after: string
}

interface Captured {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly fields: readonly Field[]
  readonly body: Buffer
}

/** Method, target, then name and value of each field. */
type Sent = readonly [string, string, ...(readonly [string, string])[]]

const HOP = ['keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'http2-settings', 'expect', 'connection']
const NAMED = ['x-hop', 'x-other']

/** docs/replay.md, as a list of rules applied one after the other. Null: not sent. */
function transformed(captured: Captured, from: ConnectionFacts, origin: string, keepHost: boolean): Sent | null {
  const { method, body } = captured
  const absolute = /^https?:\/\/(?:[^/?#]*@)?([^/?#@]+)(.*)$/is.exec(captured.target)
  let target = captured.target
  if (absolute !== null) {
    const rest = absolute[2]!
    target = rest === '' ? (method === 'OPTIONS' ? '*' : '/') : rest.startsWith('/') ? rest : `/${rest}`
  }
  if (target !== '*' && !target.startsWith('/')) return null
  const is = (field: readonly [string, string], name: string) => field[0].toLowerCase() === name
  let fields = captured.fields.map(({ name, value }) => [name, value] as [string, string])
  const hosts = fields.filter((field) => is(field, 'host'))
  if (keepHost && hosts.length > 1) return null
  const capturedHost = absolute?.[1] ?? hosts[0]?.[1] ?? ''
  const options = fields
    .filter((field) => is(field, 'connection'))
    .flatMap(([, value]) => value.split(',').map((option) => option.trim().toLowerCase()))
  fields = fields.filter(([name]) => !HOP.includes(name.toLowerCase()))
  fields = fields.filter(([name]) => !(NAMED.includes(name.toLowerCase()) && options.includes(name.toLowerCase())))
  fields = fields.filter((field) => !is(field, 'host') || field[1] === hosts[0]?.[1])
  let hostsSeen = 0
  fields = fields.filter((field) => !is(field, 'host') || hostsSeen++ === 0)
  fields = fields.map((field) => (is(field, 'host') && !keepHost ? [field[0], origin] : field))
  if (hosts.length === 0) fields.unshift(['Host', keepHost && absolute !== null ? absolute[1]! : origin])
  fields = fields.map((field) => (is(field, 'transfer-encoding') ? ['Content-Length', String(body.length)] : field))
  const chain = fields.findLastIndex((field) => is(field, 'x-forwarded-for'))
  if (chain < 0) fields.push(['X-Forwarded-For', from.clientAddress])
  else {
    const [name, value] = fields[chain]!
    fields[chain] = [name, value === '' ? from.clientAddress : `${value}, ${from.clientAddress}`]
  }
  const addWhereAbsent = (name: string, value: string) => {
    if (!fields.some((field) => is(field, name.toLowerCase()))) fields.push([name, value])
  }
  addWhereAbsent('X-Forwarded-Port', String(from.serverPort))
  addWhereAbsent('X-Forwarded-Proto', 'http')
  if (capturedHost !== '') addWhereAbsent('X-Forwarded-Host', capturedHost)
  fields.push(['X-Mirrorshard', '1'])
  return [method, target, ...fields]
}

/** A view as the parser lends it. */
function parsed({ method, target, version, fields, body }: Captured): MessageView {
  const lines = fields.map(({ name, before, value, after }) => `${name}:${before}${value}${after}\r\n`)
  const head = `${method} ${target} HTTP/${version}\r\n${lines.join('')}\r\n`
  const bytes = Buffer.from(`....${head}`, 'latin1')
  const view = new MessageView(64)
  const reader = new HeadReader({ maxHeadBytes: 65_536, maxFields: 64, lenientWhiteSpace: false })
  expect(reader.request(bytes, 4, bytes.length, view), JSON.stringify(head)).toBe(bytes.length)
  expect(reader.recoverable).toBe(0)
  view.body = Buffer.concat([Buffer.from('in front'), body, Buffer.from('behind')])
  view.bodyAt = 8
  view.bodyEnd = 8 + body.length
  view.bodyBytes = body.length
  return view
}

function readWire(request: ByteRequest): { sent: Sent; body: Buffer; lines: string[] } {
  const head = Buffer.from(request.headText(), 'latin1')
  const bytes = request.body === null ? head : Buffer.concat([head, request.body])
  const end = bytes.indexOf('\r\n\r\n')
  const lines = bytes.toString('latin1', 0, end).split('\r\n')
  const [method, target, version, ...more] = lines[0]!.split(' ')
  expect([version, more]).toEqual(['HTTP/1.1', []])
  const fields = lines.slice(1).map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')] as const
  })
  return { sent: [method!, target!, ...fields], body: bytes.subarray(end + 4), lines: lines.slice(1) }
}

const anyCase = (name: string) => fc.constantFrom(name, name.toLowerCase(), name.toUpperCase())
const blanks = fc.constantFrom('', ' ', '\t', '  ')
const plainValue = fc.constantFrom('', 'a', 'a b', '"q, r"', 'caf\xe9', 'x'.repeat(90), '1.2.3.4', 'a:b', 'close')
const field = (name: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<Field> =>
  fc.record({ name, before: blanks, value, after: blanks })
const others = [
  ['X-A', plainValue],
  ['Accept', plainValue],
  ['Cookie', plainValue],
  ['Authorization', plainValue],
  ['User-Agent', fc.constantFrom('curl/8', 'M'.repeat(70))],
  ['X-Hop', plainValue],
  ['X-Other', plainValue],
  ['X-Forwarded-For', plainValue],
  ['X-Forwarded-Port', plainValue],
  ['X-Forwarded-Proto', plainValue],
  ['X-Forwarded-Host', plainValue],
  ['Host', fc.constantFrom('shop.example', 'shop.example:81', '')],
  ['Keep-Alive', plainValue],
  ['Proxy-Connection', plainValue],
  ['TE', plainValue],
  ['Trailer', plainValue],
  ['Upgrade', fc.constant('h2c')],
  ['HTTP2-Settings', plainValue],
  ['Expect', fc.constant('100-continue')],
  [
    'Connection',
    fc.constantFrom('close', 'Keep-Alive', 'x-hop', 'X-HOP , te,, x-other', 'Authorization, host', 'transfer-encoding'),
  ],
] as const
const anyField = fc.oneof(...others.map(([name, value]) => field(anyCase(name), value)))
const target = fc.constantFrom(
  '/',
  '/a?b=c',
  '*',
  '/\xe4|"<>#f',
  'http://h/x?y',
  'HTTP://u:p@h:8/',
  'http://h',
  'http://h?q',
  '//h/x',
  'h/x',
  'ftp://h/x',
)
const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(4_000, 16_384, 16_385, 70_000).map((n) => new Uint8Array(n).map((_, i) => i * 31)),
)

const requests: fc.Arbitrary<Captured> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'pUrGe', 'M-SEARCH'),
    target,
    fields: fc.array(anyField, { maxLength: 12 }),
    body: bodies.map((bytes) => Buffer.from(bytes)),
    version: fc.constantFrom('1.1', '1.0'),
    framing: fc.constantFrom('length', 'LENGTH', 'chunked'),
    at: fc.nat(12),
    before: blanks,
  })
  .map(({ fields, body, framing, at, before, version, ...rest }) => {
    const all = [...fields]
    const isChunked = framing === 'chunked' && version === '1.1'
    if (isChunked) all.splice(at, 0, { name: 'Transfer-Encoding', before, value: 'chunked', after: '' })
    else if (body.length > 0) {
      const name = framing === 'LENGTH' ? 'CONTENT-LENGTH' : 'Content-Length'
      all.splice(at, 0, { name, before, value: String(body.length), after: '' })
    }
    return { ...rest, version, fields: all, body }
  })

const ORIGIN = new URL('http://staging.example:8080')
const SILENT: EngineListener = {
  answered() {},
  failed() {},
  unsendable() {},
  connected() {},
  written() {},
  poisoned() {},
}

describe.each(ENGINE_NAMES)('over the %s engine', (name) => {
  test.each([false, true])('a random request is sent as docs/replay.md says (--keep-host %s)', async (keepHost) => {
    const open = await loadEngine(name)
    const engine: Engine = open({ ...REPLAY_DEFAULTS, origin: ORIGIN, keepHost }, new MonotonicClock(), SILENT)
    const from = [connection(), connection({ clientAddress: '2001:db8::1', serverPort: 80 })]
    const earlier: [ByteRequest, string][] = []
    fc.assert(
      fc.property(requests, fc.nat(1), (captured, which) => {
        const expected = transformed(captured, from[which]!, ORIGIN.host, keepHost)
        const request = engine.prepare(parsed(captured), from[which]!)
        if (request instanceof ByteRequest) {
          const { sent, body, lines } = readWire(request)
          expect(sent).toEqual(expected)
          expect(body.equals(captured.body)).toBe(true)
          expect(request.isHead).toBe(captured.method === 'HEAD')
          // Blanks and all: what is not changed is there as captured.
          for (const { name, before, value, after } of captured.fields)
            if (/^(x-a|accept|cookie|authorization|content-length)$/i.test(name))
              expect(lines).toContain(`${name}:${before}${value}${after}`)
          earlier.push([request, request.headText()])
        } else if (request instanceof FieldRequest) {
          const { headers } = request
          const fields = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]!] as const] : []))
          expect([request.method, request.target, ...fields]).toEqual(expected)
          expect((request.body ?? Buffer.alloc(0)).equals(captured.body)).toBe(true)
        } else {
          const isRefused = expected === null || (name === 'undici' && expected[1] === '*')
          expect(isRefused, JSON.stringify(expected)).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
    // Memory is shared between requests, their bytes are not.
    for (const [request, text] of earlier) expect(request.headText()).toBe(text)
    expect(earlier.length > 0).toBe(name === 'wire')
    await engine.close()
  })
})
