/** What is read, what is dropped and why, as a table: each row is fed whole and byte by byte. */
import { expect, test } from 'vitest'
import { REQUEST_DROP_NAMES } from '../../src/base/drop.ts'
import { bytesOf, inBytes, type Limits, parseRequests, parseWhole } from './support/parsing.ts'

const NEXT = 'GET /next HTTP/1.1\r\n\r\n'
/** A POST of `fields` (lines), then `body`, then another request. */
const post = (fields: string, body = '') => `POST /a HTTP/1.1\r\n${fields}\r\n${body}${NEXT}`
const get = (fields: string) => `GET /a HTTP/1.1\r\n${fields}\r\n${NEXT}`
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body)

const BOTH_READ = ['POST /a', 'GET /next']
const GETS = ['GET /a', 'GET /next']

type Row = readonly [name: string, wire: string, events: readonly string[], limits?: Limits]

const READ: readonly Row[] = [
  ['any method token', "M!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n\r\n", ["M!#$%&'*+-.^_`|~9 /"]],
  ['a method in lower case is another method', 'get / HTTP/1.1\r\n\r\n', ['get /']],
  ['absolute-form', 'GET http://a.test:81/b?c HTTP/1.1\r\n\r\n', ['GET http://a.test:81/b?c']],
  [
    'authority-form, then waiting for the answer',
    'CONNECT a.test:443 HTTP/1.1\r\n\r\n',
    ['CONNECT a.test:443', 'wait'],
  ],
  ['asterisk-form', 'OPTIONS * HTTP/1.1\r\n\r\n', ['OPTIONS *']],
  ['obs-text in a target', 'GET /\xe4\xff HTTP/1.1\r\n\r\n', ['GET /\xe4\xff']],
  ['visible ASCII that no URI may hold', 'GET /"<>\\^`{|} HTTP/1.1\r\n\r\n', ['GET /"<>\\^`{|}']],
  ['no Host', 'GET /a HTTP/1.1\r\n\r\n', ['GET /a']],
  ['HTTP/1.0', 'GET /a HTTP/1.0\r\n\r\n', ['GET /a']],
  ['HTTP/1.0 with a body', 'POST /a HTTP/1.0\r\nContent-Length: 2\r\n\r\nab', ['POST /a']],
  [
    'HTTP/1.0 that goes on',
    `POST /a HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nab${NEXT}`,
    BOTH_READ,
  ],
  [
    'HTTP/1.0 that goes on, as browsers said it to proxies',
    `POST /a HTTP/1.0\r\nProxy-Connection: keep-alive\r\nContent-Length: 2\r\n\r\nab${NEXT}`,
    BOTH_READ,
  ],
  ['GET with a body', 'GET /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc', ['GET /a']],
  ['empty lines in front', `\r\n\r\n${get('')}`, GETS],
  ['duplicate headers', get('A: 1\r\nA: 1\r\na: 2\r\nHost: a\r\nHost: b\r\n'), GETS],
  ['Expect: 100-continue', post('Expect: 100-continue\r\nContent-Length: 1\r\n', 'x'), BOTH_READ],
  ['nothing behind Connection: close (RFC 9112 section 9.6)', get('Connection: close\r\n'), ['GET /a']],
  [
    'nothing behind close in a list, with a body',
    post('Connection: x, Close\r\nContent-Length: 1\r\n', 'x'),
    ['POST /a'],
  ],
  ['Content-Length with leading zeros', post('Content-Length: 00000000000000000000002\r\n', 'ab'), BOTH_READ],
  ['Content-Length in any case, with blanks around', post('cOnTeNt-LeNgTh:\t 2 \t\r\n', 'ab'), BOTH_READ],
  ['Content-Length 0', post('Content-Length: 0\r\n'), BOTH_READ],
  ['Transfer-Encoding: Chunked, case ignored', post('transfer-encoding: cHUNKED\r\n', '0\r\n\r\n'), BOTH_READ],
  ['chunk sizes with leading zeros', chunked('0003\r\nabc\r\n000\r\n\r\n'), BOTH_READ],
  ['chunk sizes in upper and lower case', chunked('A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n'), BOTH_READ],
  ['chunk extensions, quoted ones too', chunked('1;a;b=c;d="e;\\"f"\r\nx\r\n0;z="\xe4"\r\n\r\n'), BOTH_READ],
  ['a trailer', chunked('1\r\nx\r\n0\r\nA: b\r\nC:\r\nContent-Length: 9\r\n\r\n'), BOTH_READ],
  ['100 requests in one piece', NEXT.repeat(100), Array(100).fill('GET /next')],
  ['a body that looks like a request', post('Content-Length: 22\r\n', NEXT), BOTH_READ],
  ['an upgrade refused: the next one is read', get('Upgrade: websocket\r\n'), ['GET /a', 'wait', 'GET /next']],
]

/** The framing stays certain: this message is dropped, the next one is read. */
const DROPPED: readonly Row[] = [
  [
    'Content-Length twice, the same',
    post('Content-Length: 2\r\ncontent-length: 02\r\n', 'ab'),
    ['-repeatedLength', 'GET /next'],
  ],
  [
    'a CONNECT dropped for that still waits for its answer',
    'CONNECT a:1 HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n',
    ['-repeatedLength', 'wait'],
  ],
  [
    'a body longer than the limit, by Content-Length',
    post('Content-Length: 5\r\n', 'abcde'),
    ['-bodyTooLarge', 'GET /next'],
    { maxBodyBytes: 4 },
  ],
  [
    'a body longer than the limit, in chunks',
    chunked('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'),
    ['-bodyTooLarge', 'GET /next'],
    { maxBodyBytes: 4 },
  ],
  ['a body of exactly the limit', post('Content-Length: 4\r\n', 'abcd'), BOTH_READ, { maxBodyBytes: 4 }],
  ['a chunked body of exactly the limit', chunked('2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n'), BOTH_READ, { maxBodyBytes: 4 }],
  ['a blank in the target', `GET /a b HTTP/1.1\r\n\r\n${NEXT}`, ['-requestLine', 'GET /next']],
  ['a TAB in the target', `GET /a\tb HTTP/1.1\r\n\r\n${NEXT}`, ['-requestLine', 'GET /next']],
  ['two blanks in the request line', `GET  /a HTTP/1.1\r\n\r\n${NEXT}`, ['-requestLine', 'GET /next']],
  ['the same where wide lines are shown', `GET   /a\t HTTP/1.1 \r\n\r\n${NEXT}`, GETS, { lenientWhiteSpace: true }],
]

/** What follows could be read in two ways: nothing is read any more. */
const AMBIGUOUS: readonly Row[] = [
  ['HTTP/0.9', `GET /a\r\n${NEXT}`, ['-requestLine']],
  ['no target', `GET HTTP/1.1\r\n\r\n${NEXT}`, ['-requestLine']],
  ['an empty target', `GET  HTTP/1.1\r\n\r\n${NEXT}`, ['-requestLine']],
  ['HTTP in lower case', `GET /a http/1.1\r\n\r\n${NEXT}`, ['-requestLine']],
  ['HTTP/1.10', `GET /a HTTP/1.10\r\n\r\n${NEXT}`, ['-requestLine']],
  ['HTTP/2.0', `GET /a HTTP/2.0\r\n\r\n${NEXT}`, ['-version']],
  ['HTTP/1.2', `GET /a HTTP/1.2\r\n\r\n${NEXT}`, ['-version']],
  ['NUL in the target', `GET /\0 HTTP/1.1\r\n\r\n${NEXT}`, ['-nul']],
  ['NUL in a name', get('A\0: b\r\n'), ['-nul']],
  ['NUL in a value', get('A: b\0\r\n'), ['-nul']],
  ['bare LF behind the request line', `GET /a HTTP/1.1\nA: b\r\n\r\n${NEXT}`, ['-bareLf']],
  ['bare LF behind a header', get('A: b\nC: d\r\n'), ['-bareLf']],
  ['bare LF as empty line', `GET /a HTTP/1.1\r\nA: b\r\n\n${NEXT}`, ['-bareLf']],
  ['only bare LF', `GET /a HTTP/1.1\n\n${NEXT}`, ['-bareLf']],
  ['bare CR in a value', get('A: b\rc\r\n'), ['-bareCr']],
  ['bare CR behind the request line', `GET /a HTTP/1.1\rA: b\r\n\r\n${NEXT}`, ['-bareCr']],
  ['CR CR LF', get('A: b\r\r\n'), ['-bareCr']],
  ['bare CR in front of the second request', `${NEXT}\r${NEXT}`, ['GET /next', '-bareCr']],
  ['a continued header line', get('A: b\r\n c\r\n'), ['-obsFold']],
  ['a continued line with TAB', get('A: b\r\n\tc\r\n'), ['-obsFold']],
  ['a blank in front of the first header', get(' A: b\r\n'), ['-obsFold']],
  ['a line of blanks', get('A: b\r\n \r\n'), ['-obsFold']],
  ['a blank before the colon', get('A : b\r\n'), ['-headerName']],
  ['a TAB before the colon', get('Content-Length\t: 5\r\n'), ['-headerName']],
  ['no name', get(': b\r\n'), ['-headerName']],
  ['no colon', get('Ab\r\n'), ['-headerName']],
  ['a delimiter in a name', get('A(b: c\r\n'), ['-headerName']],
  ['obs-text in a name', get('A\xe4: c\r\n'), ['-headerName']],
  ['too many header lines', get('A: b\r\nA: b\r\nA: b\r\nA: b\r\n'), ['-tooManyHeaders'], { maxFields: 3 }],
  ['CL and TE', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), ['-lengthAndChunked']],
  ['TE and CL', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'), ['-lengthAndChunked']],
  ['differing Content-Lengths', post('Content-Length: 2\r\nContent-Length: 3\r\n', 'ab'), ['-contentLength']],
  [
    'three of which the last differs',
    post('Content-Length: 2\r\nContent-Length: 2\r\nContent-Length: 3\r\n', 'ab'),
    ['-contentLength'],
  ],
  ...['', '+5', '-5', '5,5', '5, 5', '5 5', '0x5', '5.0', '5e1', '\x0b5', '5;', '1234567890123456', '\xb2'].map(
    (v): Row => [`Content-Length ${JSON.stringify(v)}`, post(`Content-Length: ${v}\r\n`, 'abcde'), ['-contentLength']],
  ),
  ...[
    '',
    'xchunked',
    'chunkedx',
    'chunked, chunked',
    'gzip, chunked',
    'chunked, gzip',
    'identity',
    'chunked;a',
    '"chunked"',
    'chunked,',
    ',chunked',
    '\x0bchunked',
  ].map(
    (v): Row => [
      `Transfer-Encoding ${JSON.stringify(v)}`,
      post(`Transfer-Encoding: ${v}\r\n`, '0\r\n\r\n'),
      ['-transferCoding'],
    ],
  ),
  [
    'Transfer-Encoding twice',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    ['-transferCoding'],
  ],
  [
    'Transfer-Encoding in HTTP/1.0',
    `POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
    ['-transferCoding'],
  ],
  ...[
    '0x3',
    ' 3',
    '3 ',
    '3 ;a',
    '+3',
    '-3',
    '',
    ';a',
    'g',
    '3\t',
    '10000000000000000',
    '3;a\nb',
    '3;a\0',
    '3;a\rb',
  ].map((s): Row => [`chunk size ${JSON.stringify(s)}`, chunked(`${s}\r\nabc\r\n0\r\n\r\n`), ['-chunkSize']]),
  ...['3;a="b', '3;a="\\"', '3;a="b\nc"'].map(
    (s): Row => [`a quoted string that does not end: ${s}`, chunked(`${s}\r\nabc\r\n0\r\n\r\n`), ['-chunkSize']],
  ),
  ['CONNECT with a length', `CONNECT a:1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde${NEXT}`, ['-connectBody']],
  [
    'CONNECT with chunks',
    `CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
    ['-connectBody'],
  ],
  [
    'two words that could be the version, and chunks, which only one of the versions has',
    `POST  /a HTTP/1.0 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
    ['-requestLine'],
  ],
  ['bare LF behind a chunk size', chunked('3\nabc\r\n0\r\n\r\n'), ['-chunkSize']],
  ['bare CR behind a chunk size', chunked('3\rabc\r\n0\r\n\r\n'), ['-chunkSize']],
  ['a chunk longer than it says', chunked('3\r\nabcd\r\n0\r\n\r\n'), ['-chunkEnd']],
  ['no CRLF behind chunk data', chunked('3\r\nabc0\r\n\r\n'), ['-chunkEnd']],
  ['bare LF behind chunk data', chunked('3\r\nabc\n0\r\n\r\n'), ['-chunkEnd']],
  ['an endless chunk extension', chunked(`3;${'a'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`), ['-chunkSize']],
  ['endless zeros in a chunk size', chunked(`${'0'.repeat(20_000)}3\r\nabc\r\n0\r\n\r\n`), ['-chunkSize']],
  ['a trailer line without colon', chunked('0\r\nAb\r\n\r\n'), ['-trailer']],
  ['a blank before the colon of a trailer', chunked('0\r\nA : b\r\n\r\n'), ['-trailer']],
  ['a continued trailer line', chunked('0\r\nA: b\r\n c\r\n\r\n'), ['-trailer']],
  ['bare LF in the trailer', chunked('0\r\nA: b\n\r\n'), ['-trailer']],
  ['bare LF behind the last chunk', chunked('0\r\n\n'), ['-trailer']],
  [
    'a trailer longer than the head limit',
    chunked(`0\r\nA: ${'b'.repeat(100)}\r\n\r\n`),
    ['-trailer'],
    { maxHeadBytes: 80 },
  ],
]

function eventsOf([, wire, , limits]: Row, how: 'whole' | 'bytes'): readonly string[] {
  const bytes = bytesOf(wire)
  return parseRequests(how === 'whole' ? [bytes] : inBytes(bytes), limits).events
}

for (const [title, rows] of [
  ['read', READ],
  ['dropped, the next one is read', DROPPED],
  ['ambiguous, HTTP ends here', AMBIGUOUS],
] as const) {
  test.each(rows)(`${title}: %s`, (...row) => {
    expect(eventsOf(row as unknown as Row, 'whole')).toEqual(row[2])
    expect(eventsOf(row as unknown as Row, 'bytes')).toEqual(row[2])
  })
}

test('the rows above reach every reason that reading a request has', () => {
  const reached = new Set(
    [...DROPPED, ...AMBIGUOUS].flatMap(([, , events]) =>
      events.filter((e) => e.startsWith('-')).map((e) => e.slice(1)),
    ),
  )
  const ofOtherPlaces = [
    'gap',
    'truncated',
    'urgentData',
    'conflictingCopies',
    'multipath',
    'earlyAnswer',
    'behindClose',
    'incomplete',
    'expired',
    'shardLost',
    'headerTooLarge',
  ]
  const ofSinks = [
    'connect',
    'upgrade',
    'loop',
    'method',
    'path',
    'host',
    'status',
    'sampledOut',
    'rateLimited',
    'queueFull',
    'circuitOpen',
    'unsendable',
    'memoryLimit',
    'drainTimeout',
  ]
  expect([...reached].sort()).toEqual(
    REQUEST_DROP_NAMES.filter((n) => n !== '' && ![...ofOtherPlaces, ...ofSinks].includes(n)).sort(),
  )
})

test('blanks around a value are not part of it, blanks inside are', () => {
  const { headers } = parseWhole('GET / HTTP/1.1\r\nA:b\r\nB: \t c  d\t \r\nC:\r\nD:   \r\nE: \xe4: \x01x\r\n\r\n')
    .requests[0]!
  expect(headers).toEqual([
    ['A', 'b'],
    ['B', 'c  d'],
    ['C', ''],
    ['D', ''],
    ['E', '\xe4: \x01x'],
  ])
})

test('a head of exactly the limit is read, one byte more is too long, however it is split', () => {
  const head = (n: number) => `GET / HTTP/1.1\r\nA: ${'b'.repeat(n - 23)}\r\n\r\n`
  for (const limits of [{}, { maxHeadBytes: 100 }]) {
    const max = limits.maxHeadBytes ?? 65_536
    expect(head(max).length).toBe(max)
    for (const cut of [(b: Buffer) => [b], inBytes, (b: Buffer) => [b.subarray(0, max - 1), b.subarray(max - 1)]]) {
      expect(parseRequests(cut(bytesOf(head(max) + NEXT)), limits).events).toEqual(['GET /', 'GET /next'])
      expect(parseRequests(cut(bytesOf(head(max + 1) + NEXT)), limits).events).toEqual(['-headerTooLarge'])
    }
  }
})

test('a head that never ends is dropped at the limit, also where it never had a whole line', () => {
  expect(parseWhole(`GET /${'a'.repeat(70_000)}`).events).toEqual(['-headerTooLarge'])
  expect(parseRequests(inBytes(bytesOf(`GET /${'a'.repeat(70_000)}`))).events).toEqual(['-headerTooLarge'])
})

test('as many header lines as the limit are read', () => {
  expect(parseWhole(get('A: b\r\n'.repeat(100))).events).toEqual(GETS)
  expect(parseWhole(get('A: b\r\n'.repeat(101))).events).toEqual(['-tooManyHeaders'])
})

test('a body that is not kept is still counted', () => {
  const log = parseRequests([bytesOf(chunked('3\r\nabc\r\n0\r\n\r\n'))], { keepBodies: false })
  expect(log.requests[0]).toMatchObject({ body: '', bodyBytes: 3 })
})

test('flags tell what later stages ask for', () => {
  const flags = (fields: string, line = 'GET / HTTP/1.1') => parseWhole(`${line}\r\n${fields}\r\n`).flags[0]
  expect(flags('')).toEqual([])
  expect(flags('Connection: keep-alive, Close\r\n')).toEqual(['close', 'keepAlive'])
  expect(flags('Connection: closed\r\n')).toEqual([])
  expect(flags('Upgrade: h2c\r\n')).toEqual(['upgrade'])
  expect(flags('Upgrade: h2c, WebSocket/13\r\n')).toEqual(['upgrade', 'webSocket', 'foreignUpgrade'])
  expect(flags('X-MirrorShard: 1\r\n')).toEqual(['marked'])
  expect(flags('Expect: 100-Continue\r\nContent-Length: 0\r\n')).toEqual(['hasLength', 'expect'])
  expect(flags('Transfer-Encoding: chunked\r\n\r\n0\r\n')).toEqual(['chunked'])
  expect(flags('', 'CONNECT a:1 HTTP/1.1')).toEqual(['connect'])
  expect(flags('', 'connect a:1 HTTP/1.1')).toEqual([])
})

test('what never was HTTP is named other, what was is counted as a request', () => {
  expect(parseWhole('\x16\x03\x01\x02\x00\x01').events).toEqual(['other'])
  expect(parseWhole('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').events).toEqual(['other'])
  expect(parseWhole('SSH-2.0-x\r\n').events).toEqual(['other'])
  expect(parseWhole('\rGET / HTTP/1.1\r\n\r\n').events).toEqual(['other'])
  expect(parseWhole('GET /\x00').events).toEqual(['-nul'])
  expect(parseWhole(`${NEXT}\x16\x03\x01`).events).toEqual(['GET /next', '-requestLine'])
})

test('a request cut off by the end is incomplete; a first line that is not whole is no request', () => {
  expect(parseWhole('POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab').events).toEqual(['-incomplete'])
  expect(parseWhole('GET /a HTTP/1.1\r\nA').events).toEqual(['-incomplete'])
  expect(parseWhole('GET /a HTTP/1.1\r').events).toEqual([])
  expect(parseRequests([bytesOf('GET /a HTTP/1.1\r\n'), bytesOf('A: b\nC')]).events).toEqual(['-bareLf'])
})
