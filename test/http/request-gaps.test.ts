/** Gaps, mid-stream starts and resynchronisation: what is read again behind a hole, and on which evidence. */

import { expect, test } from 'vitest'
import { Fault } from '../../src/http/fault.ts'
import { End } from '../../src/reassembly/stream-parser.ts'

import { RequestLog } from './support/parsing.ts'

const GET = (target: string) => `GET ${target} HTTP/1.1\r\n\r\n`
const POST_10 = 'POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n'
const CHUNKED = 'POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'

/** Behind the hole: a request that is proven to begin there, and one that is not. */
function goesOn(log: RequestLog): readonly string[] {
  log.data(GET('/next'), { isAckedTo: false })
  log.data(GET('/proven'), { isAckedTo: true })
  return log.end().events
}

test.each([
  ['in the middle of a body', 4, 'cdefij'.slice(0, 4)],
  ['exactly to the end of a body', 8, ''],
])('a gap %s drops that message, and the next one needs no proof', (_where, length, rest) => {
  const log = new RequestLog()
  log.data(`${POST_10}ab`)
  log.gap(length)
  if (rest !== '') log.data(rest)
  expect(goesOn(log)).toEqual(['-gap', 'GET /next', 'GET /proven'])
})

test('a gap beyond the end of a body loses the boundary: the next request must be proven', () => {
  const log = new RequestLog()
  log.data(`${POST_10}ab`)
  log.gap(9)
  expect(goesOn(log)).toEqual(['-gap', 'lost', 'GET /proven'])
  expect(log.skippedUnproven).toBe(GET('/next').length)
})

test.each([
  ['in chunk data', '5\r\nab', 2, 'e\r\n0\r\n\r\n'],
  ['to the end of chunk data', '5\r\nab', 3, '\r\n0\r\n\r\n'],
])('a gap %s drops that message only', (_where, before, length, rest) => {
  const log = new RequestLog()
  log.data(CHUNKED + before)
  log.gap(length)
  log.data(rest)
  expect(goesOn(log)).toEqual(['-gap', 'GET /next', 'GET /proven'])
})

test.each([
  ['in a chunk size', CHUNKED],
  ['behind chunk data', `${CHUNKED}2\r\nab`],
  ['from chunk data into framing', `${CHUNKED}2\r\na`],
  ['in the trailer', `${CHUNKED}0\r\nA: b`],
  ['in the head', 'GET /h HTTP/1.1\r\nA: b'],
])('a gap %s drops that message and loses the boundary', (_where, before) => {
  const log = new RequestLog()
  log.data(before)
  log.gap(5)
  expect(goesOn(log)).toEqual(['-gap', 'lost', 'GET /proven'])
})

test('a gap between messages loses the boundary', () => {
  const log = new RequestLog()
  log.data(GET('/1'))
  log.gap(100)
  expect(goesOn(log)).toEqual(['GET /1', 'lost', 'GET /proven'])
})

test('a gap after the CR of an empty line loses the boundary', () => {
  const log = new RequestLog()
  log.data(`${GET('/1')}\r`)
  log.gap(1)
  expect(goesOn(log)).toEqual(['GET /1', 'lost', 'GET /proven'])
})

test('a first line that was not whole before the gap was no request', () => {
  const log = new RequestLog()
  log.data('GET /h')
  log.gap(5)
  expect(goesOn(log)).toEqual(['lost', 'GET /proven'])
})

test('bytes truncated from a packet are named as such', () => {
  const log = new RequestLog()
  log.data(`${POST_10}ab`)
  log.gap(8, Fault.truncated)
  expect(goesOn(log)).toEqual(['-truncated', 'GET /next', 'GET /proven'])
})

test.each([
  ['not at the start of a segment', { startsSegment: false, isAckedTo: true }, GET('/x')],
  ['not acknowledged exactly so far', { startsSegment: true, isAckedTo: false }, GET('/x')],
  ['an unknown method', { isAckedTo: true }, 'FOO /x HTTP/1.1\r\n\r\n'],
  ['a request line that is not whole', { isAckedTo: true }, 'GET /x HTTP/1.1\r'],
  ['an unknown version', { isAckedTo: true }, 'GET /x HTTP/1.2\r\n\r\n'],
  ['a method in lower case', { isAckedTo: true }, 'get /x HTTP/1.1\r\n\r\n'],
  ['the middle of a segment', { isAckedTo: true }, `xx${GET('/x')}`],
])('no resynchronisation at %s', (_why, facts, wire) => {
  const log = new RequestLog()
  log.data(GET('/1'))
  log.gap(3)
  log.data(wire, facts)
  expect(log.end().events).toEqual(['GET /1', 'lost'])
  expect(log.skippedUnproven).toBe(wire.length)
})

test('in the middle of a connection the first data may begin with a whole request line, later data needs proof', () => {
  const begins = new RequestLog({}, { inMiddle: true, mayBegin: true })
  begins.data(GET('/first'))
  expect(begins.end().events).toEqual(['GET /first'])

  const later = new RequestLog({}, { inMiddle: true, mayBegin: true })
  later.data('the end of something')
  later.data(GET('/decoy'))
  later.data(GET('/proven'), { isAckedTo: true })
  expect(later.end().events).toEqual(['GET /proven'])
})

test('an ambiguous head is noticed although a gap comes first: nothing is read again', () => {
  for (const pieces of [
    ['GET / HTTP/1.1\r\nA: b\nC: d'],
    ['GET / HTTP/1.1\r\n', 'A: b\nC: d'],
    ['G', 'ET / HTTP/1.1\r\nA : b'],
  ]) {
    const log = new RequestLog()
    for (const piece of pieces) log.data(piece)
    log.gap(10)
    expect(log.events.length).toBe(1)
    expect(goesOn(log).length).toBe(1)
    expect(log.skippedUnproven).toBe(0)
  }
})

test('after ambiguous framing no gap and no evidence lets anything be read again', () => {
  const log = new RequestLog()
  log.data('POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n')
  log.gap(5)
  expect(goesOn(log)).toEqual(['-lengthAndChunked'])
})

test('after an upgrade nothing is taken until it is refused; a gap meanwhile must be crossed by proof', () => {
  const log = new RequestLog()
  const upgrade = 'GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n'
  expect(log.data(upgrade + GET('/next'))).toBe(upgrade.length)
  expect(log.data(GET('/next'))).toBe(0)
  log.gap(3)
  expect(log.data(GET('/next'))).toBe(0)
  log.parser.resume()
  expect(goesOn(log)).toEqual(['GET /ws', 'wait', 'lost', 'GET /proven'])
})

test('an upgrade whose body has a gap still waits for its response', () => {
  for (const [length, events] of [
    [5, ['-gap', 'wait']],
    [9, ['-gap', 'wait', 'lost']],
  ] as const) {
    const log = new RequestLog()
    log.data('POST / HTTP/1.1\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n')
    log.gap(length)
    expect(log.parser.isWaiting).toBe(true)
    expect(log.data(GET('/decoy'), { isAckedTo: true })).toBe(0)
    log.parser.resume()
    expect(log.end().events).toEqual(events)
  }
})

test('the end of a stream inside a request names why', () => {
  for (const [reason, name] of [
    [End.fin, 'incomplete'],
    [End.reset, 'incomplete'],
    [End.input, 'incomplete'],
    [End.replaced, 'incomplete'],
    [End.expired, 'expired'],
  ] as const) {
    const log = new RequestLog()
    log.data(`${POST_10}ab`)
    expect(log.end(reason).events).toEqual([`-${name}`])
  }
})

test('one parser\u2019s fault says nothing about another connection that shares its reader', () => {
  const first = new RequestLog()
  first.data('GET / HTTP/1.1\r\nA: b\r\n\r\n')
  const second = new RequestLog({}, { context: first.context })
  second.data('\rX')
  expect(second.end().events).toEqual(['other'])
})
