/** The table "What changes" of docs/replay.md, line by line, as bytes on the wire, for both engines. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ConnectionFacts } from '../../../src/exchange/connection.ts'
import { ENGINE_NAMES } from '../../../src/sinks/replay/engine.ts'
import type { ReplaySinkOptions } from '../../../src/sinks/replay/options.ts'
import { captured, connection } from './support/captured.ts'
import { RawOrigin, says } from './support/raw-origin.ts'
import { SinkRig } from './support/sink-rig.ts'

describe.each(ENGINE_NAMES)('over the %s engine', (engine) => {
  let origin: RawOrigin
  beforeEach(async () => {
    origin = await RawOrigin.listen(says('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  })
  afterEach(() => origin.close())

  interface Options extends Partial<ReplaySinkOptions> {
    readonly from?: Partial<ConnectionFacts>
  }

  /** The lines the origin gets; `ORIGIN` stands for its host and port. */
  async function replayed(
    head: string,
    body: string | Buffer = '',
    { from, ...options }: Options = {},
  ): Promise<string[]> {
    const rig = new SinkRig(origin.url, { engine, ...options })
    rig.give(captured(head, body), connection(from))
    await rig.drain()
    await rig.sink.close()
    expect(rig.drops).toEqual({})
    const got = origin.requests.at(-1)!
    expect(got.body).toEqual(Buffer.from(body))
    return got.lines.map((line) => line.replace(`127.0.0.1:${origin.port}`, 'ORIGIN'))
  }

  /** What every replayed request ends with when the captured one had no X-Forwarded-* and no Host. */
  const ADDED = ['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-Port: 8080', 'X-Forwarded-Proto: http']
  const MARK = 'X-Mirrorshard: 1'
  const isWire = engine === 'wire'
  /** Host, where it was captured first or not at all; and what undici itself puts there. */
  const FRONT = isWire ? ['Host: ORIGIN'] : ['host: ORIGIN', 'connection: keep-alive']
  /** A length that was captured at the end: undici puts it behind everything. */
  const behind = (line: string) => (isWire ? [] : [line.toLowerCase()])
  const inPlace = (line: string) => (isWire ? [line] : [])

  test('Host becomes the origin’s, and the captured one goes into X-Forwarded-Host', async () => {
    expect(await replayed('GET /a?b=c HTTP/1.1\nHost: shop.example:81')).toEqual([
      'GET /a?b=c HTTP/1.1',
      ...FRONT,
      ...ADDED,
      'X-Forwarded-Host: shop.example:81',
      MARK,
    ])
  })

  test('Host stays with --keep-host', async () => {
    expect((await replayed('GET / HTTP/1.1\nHost: shop.example', '', { keepHost: true }))[1]).toBe(
      isWire ? 'Host: shop.example' : 'host: shop.example',
    )
  })

  test('Host is added where it is absent, and the version becomes 1.1', async () => {
    for (const keepHost of [false, true]) {
      expect(await replayed('GET / HTTP/1.0', '', { keepHost })).toEqual(['GET / HTTP/1.1', ...FRONT, ...ADDED, MARK])
    }
  })

  test('Connection names what stands between blanks and tabs, and nothing with other blanks around it', async () => {
    const lines = await replayed('GET / HTTP/1.1\nHost: h\nConnection: X-A\xa0, \t X-B \nX-A: kept\nX-B: gone')
    expect(lines.filter((line) => /^x-[ab]:/i.test(line))).toEqual(['X-A: kept'])
  })

  test('a second Host goes; with --keep-host there is no telling which, and the request is not sent', async () => {
    const head = 'GET / HTTP/1.1\nHost: a\nhost: b'
    expect((await replayed(head)).filter((line) => /^host:/i.test(line))).toEqual([FRONT[0]])
    const rig = new SinkRig(origin.url, { engine, keepHost: true })
    rig.give(captured(head), connection())
    expect(rig.drops).toEqual({ unsendable: 1 })
    await rig.sink.close()
  })

  test.each([
    ['http://h/x?y#z', '/x?y#z'],
    ['http://h', '/'],
    ['HTTPS://h:8443?q=http://other/', '/?q=http://other/'],
    ['http://user:pw@h/@x', '/@x'],
    ['//evil.example/x', '//evil.example/x'],
  ])('absolute-form becomes origin-form: %s', async (target, sent) => {
    const lines = await replayed(`GET ${target} HTTP/1.1\nHost: h`)
    expect(lines[0]).toBe(`GET ${sent} HTTP/1.1`)
    expect(lines[1]).toBe(FRONT[0])
  })

  test('the authority of absolute-form overrides Host in X-Forwarded-Host, without its user', async () => {
    expect(await replayed('GET http://user@real.example:81/ HTTP/1.1\nHost: other')).toContain(
      'X-Forwarded-Host: real.example:81',
    )
  })

  test('connection-level headers go, whatever their case', async () => {
    expect(
      await replayed(
        [
          'POST / HTTP/1.1',
          'Host: h',
          'KEEP-ALIVE: timeout=5',
          'Proxy-Connection: keep-alive',
          'te: trailers',
          'Trailer: X-Sum',
          'Upgrade: h2c',
          'HTTP2-Settings: AAMAAABk',
          'Expect: 100-continue',
          'Connection: Upgrade, HTTP2-Settings, keep-alive',
          'Tenant: stays',
          'X-Upgrade: stays',
        ].join('\n'),
      ),
    ).toEqual([
      'POST / HTTP/1.1',
      ...FRONT,
      'Tenant: stays',
      'X-Upgrade: stays',
      ...ADDED,
      'X-Forwarded-Host: h',
      MARK,
      ...behind('content-length: 0'),
    ])
  })

  test('Connection: close does not close our connection', async () => {
    const lines = await replayed('GET / HTTP/1.0\nConnection: close')
    expect(lines.filter((line) => /^connection:/i.test(line))).toEqual(isWire ? [] : ['connection: keep-alive'])
  })

  test('what Connection names goes, in all its lines', async () => {
    const lines = await replayed(
      'GET / HTTP/1.1\nX-Hop: 1\nConnection: x-hop\nx-HOP: 2\nConnection: ,X-Other ,\nX-Other: 3\nX-Stays: 4',
    )
    expect(lines.filter((line) => /hop|other|stays/i.test(line))).toEqual(['X-Stays: 4'])
  })

  test('what is meant for the origin stays, though Connection names it', async () => {
    const essentials = [
      'Authorization: Bearer t',
      'Cookie: a=b',
      'Content-Type: text/plain',
      'Range: bytes=0-1',
      'Accept: */*',
    ]
    const head = `POST / HTTP/1.1\nHost: h\nConnection: Host, Content-Length, Authorization, Cookie, Content-Type, Range, Accept, X-Forwarded-For, X-Mirrorshard\n${essentials.join('\n')}\nX-Forwarded-For: 192.0.2.1\nContent-Length: 3`
    expect(await replayed(head, 'abc')).toEqual([
      'POST / HTTP/1.1',
      ...FRONT,
      ...essentials,
      'X-Forwarded-For: 192.0.2.1, 203.0.113.9',
      ...inPlace('Content-Length: 3'),
      'X-Forwarded-Port: 8080',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: h',
      MARK,
      ...behind('content-length: 3'),
    ])
  })

  test('a chunked body is sent whole with Content-Length, in the place of the coding', async () => {
    const lines = await replayed(
      'PUT /f HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nTrailer: X-T\nX-A: 1',
      'twelve bytes',
    )
    expect(lines).toEqual([
      'PUT /f HTTP/1.1',
      ...FRONT,
      ...inPlace('Content-Length: 12'),
      'X-A: 1',
      ...ADDED,
      'X-Forwarded-Host: h',
      MARK,
      ...behind('content-length: 12'),
    ])
  })

  test('Connection cannot take away the length that stands for a coding', async () => {
    const lines = await replayed(
      'PUT /f HTTP/1.1\nConnection: transfer-encoding\nTransfer-Encoding: chunked',
      'twelve bytes',
    )
    expect(lines.filter((line) => /length|transfer/i.test(line))).toEqual([
      isWire ? 'Content-Length: 12' : 'content-length: 12',
    ])
  })

  test('a body on GET, HEAD, DELETE and OPTIONS is sent', async () => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      const lines = await replayed(`${method} / HTTP/1.1\ncontent-LENGTH: 4\nX-A: 1`, 'body')
      if (isWire) expect(lines.slice(1, 4)).toEqual(['Host: ORIGIN', 'content-LENGTH: 4', 'X-A: 1'])
      else expect(lines.at(-1)).toBe('content-length: 4')
    }
  })

  test('Content-Length: 0 is sent as captured; undici has it for POST and its kind, and only for them', async () => {
    const length = (lines: string[]) => lines.filter((line) => /^content-length/i.test(line))
    expect(length(await replayed('POST / HTTP/1.1\nHost: h'))).toEqual(behind('content-length: 0'))
    expect(length(await replayed('POST / HTTP/1.1\nContent-Length: 00'))).toEqual([
      isWire ? 'Content-Length: 00' : 'content-length: 0',
    ])
    expect(length(await replayed('DELETE / HTTP/1.1\nContent-Length: 0'))).toEqual(inPlace('Content-Length: 0'))
  })

  test('X-Forwarded-For gets the captured client: appended to the last, or added', async () => {
    const pick = (lines: string[]) => lines.filter((line) => /^x-forwarded-for/i.test(line))
    expect(
      pick(await replayed('GET / HTTP/1.1\nx-forwarded-for: 1.1.1.1\nX-A: 1\nX-FORWARDED-FOR: 2.2.2.2, 3.3.3.3')),
    ).toEqual(['x-forwarded-for: 1.1.1.1', 'X-FORWARDED-FOR: 2.2.2.2, 3.3.3.3, 203.0.113.9'])
    expect(pick(await replayed('GET / HTTP/1.1\nX-Forwarded-For: '))).toEqual(['X-Forwarded-For: 203.0.113.9'])
    expect(pick(await replayed('GET / HTTP/1.1', '', { from: { clientAddress: '2001:db8::1' } }))).toEqual([
      'X-Forwarded-For: 2001:db8::1',
    ])
  })

  test('X-Forwarded-Port, -Proto and -Host stay where they are', async () => {
    const own = ['x-forwarded-port: 443', 'X-Forwarded-Proto: https', 'X-FORWARDED-HOST: front.example']
    expect(await replayed(`GET / HTTP/1.1\nHost: h\n${own.join('\n')}`)).toEqual([
      'GET / HTTP/1.1',
      ...FRONT,
      ...own,
      'X-Forwarded-For: 203.0.113.9',
      MARK,
    ])
  })

  test('order, case, duplicates, empty values and obs-text of everything else stay', async () => {
    const others = [
      'accept: a',
      'X-B: 1',
      'ACCEPT: b',
      'x-b: 2',
      'X-Empty: ',
      'X-Latin: caf\xe9 \x80\xff',
      'X-Tab: a\tb',
      'Cookie: a=b; c="d, e"',
      'cookie: second',
      'If-None-Match: "x"',
      'User-Agent: \xdcber/1.0',
      'Proxy-Authorization: Basic eA==',
      'Via: 1.1 front',
    ]
    const lines = await replayed(`pUrGe /p\xe4th?a=1&a=2;%00%2F|"<> HTTP/1.1\nHost: h\n${others.join('\n')}`)
    expect(lines).toEqual([
      'pUrGe /p\xe4th?a=1&a=2;%00%2F|"<> HTTP/1.1',
      ...FRONT,
      ...others,
      ...ADDED,
      'X-Forwarded-Host: h',
      MARK,
    ])
  })

  test('blanks around a value are not part of it: sent as captured, by undici as one behind the colon', async () => {
    const lines = ['X-A:tight', 'X-B: \t wide \t ', 'X-C:']
    expect(await replayed(`GET / HTTP/1.1\n${lines.join('\n')}`)).toEqual(
      expect.arrayContaining(isWire ? lines : ['X-A: tight', 'X-B: wide', 'X-C: ']),
    )
    const around = await replayed('GET / HTTP/1.1\nHost:h  \nX-Forwarded-For:1.1.1.1 \nX-Z: 1')
    expect(around.filter((line) => /^(host|x-forwarded-for):/i.test(line))).toEqual(
      isWire
        ? ['Host:ORIGIN  ', 'X-Forwarded-For:1.1.1.1, 203.0.113.9 ']
        : ['host: ORIGIN', 'X-Forwarded-For: 1.1.1.1, 203.0.113.9'],
    )
  })

  test('the body is not touched, whatever stands in it', async () => {
    const body = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 31) & 255))
    await replayed('POST / HTTP/1.1\nContent-Type: application/octet-stream\nContent-Length: 70000', body)
  })

  test.each([
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\nHost: h', 'OPTIONS * HTTP/1.1'],
    ['OPTIONS of a whole server in absolute-form', 'OPTIONS http://h HTTP/1.1\nHost: h', 'OPTIONS * HTTP/1.1'],
    ['a control character in a value', 'GET / HTTP/1.1\nX-A: a\x01b', 'GET / HTTP/1.1'],
    ['a target that is none', 'GET h/x HTTP/1.1\nHost: h', null],
    ['another scheme', 'GET ftp://h/x HTTP/1.1\nHost: h', null],
    ['a host of which URL parsers disagree where it ends', 'GET http://h\\x HTTP/1.1\nHost: h', null],
    ['two @: which host is meant is not certain', 'GET http://a@b@c/ HTTP/1.1\nHost: h', null],
  ])('sent as captured or not at all: %s', async (_name, head, wireLine) => {
    if (isWire && wireLine !== null) {
      expect((await replayed(head))[0]).toBe(wireLine)
      return
    }
    const rig = new SinkRig(origin.url, { engine })
    rig.give(captured(head), connection())
    await rig.drain()
    await rig.sink.close()
    expect(rig.drops).toEqual({ unsendable: 1 })
    expect(origin.requests).toEqual([])
  })
})
