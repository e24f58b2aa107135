/** Responses: framing as a table, each row fed whole and byte by byte, and the laws of every parser. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Body } from '../../src/http/message-role.ts'
import { End } from '../../src/reassembly/stream-parser.ts'

import { cuts, damaged, noise } from './support/messages.ts'
import { bytesOf, cutAt, inBytes, type Limits, ResponseLog, statedFraming } from './support/parsing.ts'

const NEXT = 'HTTP/1.1 299 x\r\nContent-Length: 1\r\n\r\nn'
const N = '299 1'

type Row = readonly [name: string, wire: string, events: readonly string[], limits?: Limits]

const ROWS: readonly Row[] = [
  ['a body of stated length', `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc${NEXT}`, ['200 3', N]],
  [
    'chunks, extensions, a trailer',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a="b"\r\nab\r\n0\r\nA: b\r\n\r\n${NEXT}`,
    ['200 2', N],
  ],
  [
    'another coding in front of chunked',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n${NEXT}`,
    ['200 1', N],
  ],
  [
    'white space before a colon is taken away (RFC 9112 section 5.1)',
    `HTTP/1.1 200 OK\r\nA : b\r\nContent-Length \t: 1\r\n\r\na${NEXT}`,
    ['200 1', N],
  ],
  [
    'white space before the colon of a coding, too',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n1\r\na\r\n0\r\n\r\n${NEXT}`,
    ['200 1', N],
  ],
  [
    'a length, and a coding behind white space',
    `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding : chunked\r\n\r\n${NEXT}`,
    ['-framing'],
  ],
  [
    'a coding without chunked runs until the end',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n${NEXT}`,
    [`200 ${NEXT.length}`],
  ],
  [
    'a coding that only ends like chunked runs until the end',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nab',
    ['200 2'],
  ],
  ['nothing stated runs until the end', `HTTP/1.1 200 OK\r\n\r\n${NEXT}`, [`200 ${NEXT.length}`]],
  ['HTTP/1.0 runs until the end', 'HTTP/1.0 200 OK\r\n\r\nabc', ['200 3']],
  ['HTTP/1.0 with a length', `HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab${NEXT}`, ['200 2', N]],
  [
    '1xx has no body',
    `HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\nHTTP/1.1 103 x\r\n\r\n${NEXT}`,
    ['100 0', '103 0', N],
  ],
  ['204 has no body', `HTTP/1.1 204 x\r\nContent-Length: 9\r\n\r\n${NEXT}`, ['204 0', N]],
  ['304 has no body', `HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n${NEXT}`, ['304 0', N]],
  ['205 has the body it states', `HTTP/1.1 205 x\r\nContent-Length: 1\r\n\r\na${NEXT}`, ['205 1', N]],
  ['behind 101 nothing is read', `HTTP/1.1 101 x\r\n\r\n${NEXT}`, ['101 0']],
  ['no reason phrase', `HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n${NEXT}`, ['200 0', N]],
  ['no blank in front of it either', `HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n${NEXT}`, ['200 0', N]],
  ['obs-text in the reason phrase', `HTTP/1.1 200 \xe4\t\r\nContent-Length: 0\r\n\r\n${NEXT}`, ['200 0', N]],
  ['empty lines in front', `\r\n\r\n${NEXT}\r\n${NEXT}`, [N, N]],
  ['an empty line, or half of one, behind a body', `${NEXT}\r\n\n${NEXT}\r${NEXT}`, [N, N, N]],
  ['status 999', 'HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n', ['999 0']],
  [
    'Content-Length twice, the same',
    `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na${NEXT}`,
    ['200 1', N],
  ],
  ['CL and TE', `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n${NEXT}`, ['-framing']],
  ['differing lengths', `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n${NEXT}`, ['-framing']],
  ['a length that is no number', `HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n${NEXT}`, ['-framing']],
  [
    'chunked twice',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${NEXT}`,
    ['-framing'],
  ],
  ['Transfer-Encoding in HTTP/1.0', `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${NEXT}`, ['-framing']],
  ['bare LF', `HTTP/1.1 200 OK\nA: b\n\n${NEXT}`, ['-head']],
  ['HTTP/2 at the start', 'HTTP/2 200 OK\r\n\r\n', ['-statusLine']],
  ['bare LF behind a header', `HTTP/1.1 200 OK\r\nA: b\n\r\n${NEXT}`, ['-head']],
  ['a continued line', `HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n${NEXT}`, ['-head']],
  ['a blank inside a name', `HTTP/1.1 200 OK\r\nA b: c\r\n\r\n${NEXT}`, ['-head']],
  ['NUL', `HTTP/1.1 200 OK\r\nA: \0\r\n\r\n${NEXT}`, ['-head']],
  ['too long a head', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(70_000)}\r\n\r\n${NEXT}`, ['-headerTooLarge']],
  [
    'too many header lines',
    `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(4)}\r\n${NEXT}`,
    ['-tooManyHeaders'],
    { maxFields: 3 },
  ],
  ['a malformed chunk', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX${NEXT}`, ['200 2 -chunk']],
  ['a status of four digits', `${NEXT}HTTP/1.1 2000 OK\r\n\r\n`, [N, '-statusLine']],
  ['a status of two digits', `${NEXT}HTTP/1.1 20 OK\r\n\r\n`, [N, '-statusLine']],
  ['a status below 100', `${NEXT}HTTP/1.1 099 OK\r\n\r\n`, [N, '-statusLine']],
  ['HTTP/2', `${NEXT}HTTP/2 200 OK\r\n\r\n`, [N, '-statusLine']],
  ['HTTP/1.2', `${NEXT}HTTP/1.2 200 OK\r\n\r\n`, [N, '-statusLine']],
  ['ICY at the start', 'ICY 200 OK\r\n\r\n', ['other']],
  ['a head that breaks off', 'HTTP/1.1 200 OK\r\nA: b', ['-incomplete']],
  ['a status line that breaks off', 'HTTP/1.1 200 O', []],
  ['a body that breaks off', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab', ['200 2 -incomplete']],
  ['a break inside chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab', ['200 2 -incomplete']],
]

function parse(pieces: readonly Buffer[], limits: Limits = {}): ResponseLog {
  const log = new ResponseLog(statedFraming, limits)
  for (const piece of pieces) log.data(piece)
  return log.end()
}

test.each(ROWS)('%s', (...row) => {
  const [, wire, events, limits] = row as unknown as Row
  expect(parse([bytesOf(wire)], limits).events).toEqual(events)
  expect(parse(inBytes(bytesOf(wire)), limits).events).toEqual(events)
})

test('what runs until the connection ends is complete at FIN only', () => {
  const ends = (reason: number) => new ResponseLog().data('HTTP/1.1 200 OK\r\n\r\nabc').end(reason).events
  expect(ends(End.fin)).toEqual(['200 3'])
  expect(ends(End.reset)).toEqual(['200 3 -incomplete'])
  expect(ends(End.input)).toEqual(['200 3 -incomplete'])
  expect(ends(End.expired)).toEqual(['200 3 -expired'])
})

test('a gap inside what runs until the end makes it incomplete, also at FIN', () => {
  const log = new ResponseLog().data('HTTP/1.1 200 OK\r\n\r\nabc').gap(5).data('def')
  expect(log.end().events).toEqual(['200 6 -gap'])
})

test('gaps: inside a body, to its end, beyond it; in chunk framing; in a head; between responses', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab'
  const chunks = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na'
  const behind = (wire: string, length: number, rest = '') => {
    const log = new ResponseLog().data(wire).gap(length)
    if (rest !== '') log.data(rest)
    return log.data(NEXT).data(NEXT, { isAckedTo: true }).end().events
  }
  expect(behind(head, 3, 'efgh')).toEqual(['200 6 -gap', N, N])
  expect(behind(head, 7)).toEqual(['200 2 -gap', N, N])
  expect(behind(head, 8)).toEqual(['200 2 -gap', 'lost', N])
  expect(behind(chunks, 2, '\r\n0\r\n\r\n')).toEqual(['200 1 -gap', N, N])
  expect(behind(chunks, 3)).toEqual(['200 1 -gap', 'lost', N])
  expect(behind('HTTP/1.1 200 OK\r\nA', 3)).toEqual(['-gap', 'lost', N])
  expect(behind('HTTP/1.1 200', 3)).toEqual(['lost', N])
  expect(behind(NEXT, 3)).toEqual([N, 'lost', N])
})

test('a malformed head is noticed although a gap comes first: nothing is read again', () => {
  const log = new ResponseLog().data('HTTP/1.1 200 OK\r\n').data('A: b\nC').gap(5).data(NEXT, { isAckedTo: true })
  expect(log.end().events).toEqual(['-head'])
})

test('a body that pairing knows not to come is not waited for', () => {
  const log = new ResponseLog((status) => (status === 200 ? Body.none : Body.stated))
  expect(log.data(`HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n${NEXT}`).end().events).toEqual(['200 0', N])
})

const stream = fc
  .array(fc.constantFrom(NEXT, ...ROWS.filter(([, w]) => w.length < 200).map(([, w]) => w)), {
    minLength: 1,
    maxLength: 4,
  })
  .map((parts) => parts.join(''))
const anything = fc.oneof(stream, damaged(stream), noise)

// The log itself throws when offsets leave their bounds, or a response ends twice or not at all.
test('any split of any input gives the same events and the same skipped bytes', () => {
  const said = (log: ResponseLog) => ({ events: log.events, responses: log.responses, skipped: log.skippedAmbiguous })
  fc.assert(
    fc.property(anything, cuts, fc.constantFrom({}, { maxHeadBytes: 40, maxFields: 2 }), (wire, places, limits) => {
      const whole = said(parse([bytesOf(wire)], limits))
      expect(said(parse(cutAt(bytesOf(wire), places), limits))).toEqual(whole)
      expect(said(parse(inBytes(bytesOf(wire)), limits))).toEqual(whole)
    }),
    { numRuns: 500 },
  )
})
