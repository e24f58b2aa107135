/** Work grows with the bytes, not with their square. Work is counted, not timed: bytes looked at, bytes of memory asked for. */
import { expect, test } from 'vitest'
import { bytesOf, type Limits, pieceOf, RequestLog } from './support/parsing.ts'

const MB = 1024 * 1024
const WIDE: Limits = { maxHeadBytes: 16 * MB, maxFields: 200_000 }

interface Work {
  readonly events: readonly string[]
  /** Bytes of heads handed to the reader, over all attempts. */
  readonly parsedBytes: number
  /** Bytes of all buffers that gathered a head, the outgrown ones too. */
  readonly gatheredBytes: number
  /** The largest of them. */
  readonly largestBytes: number
}

function workOf(wire: string, pieceLength: number, limits: Limits): Work {
  const log = new RequestLog(limits)
  const { reader } = log.context
  const request = reader.request.bind(reader)
  let parsedBytes = 0
  reader.request = (bytes, at, end, view) => {
    parsedBytes += end - at
    return request(bytes, at, end, view)
  }
  let gatheredBytes = 0
  let largestBytes = 0
  const take = log.context.takePartialHead.bind(log.context)
  log.context.takePartialHead = () => {
    const partial = take()
    const append = partial.append.bind(partial)
    let known: Buffer | null = null
    partial.append = (bytes, at, end) => {
      const next = append(bytes, at, end)
      if (partial.bytes !== known) gatheredBytes += partial.bytes.length
      known = partial.bytes
      largestBytes = Math.max(largestBytes, known.length)
      return next
    }
    return partial
  }
  const piece = pieceOf(bytesOf(wire), 0)
  const { at: start, end } = piece
  for (let at = start; at < end; at += pieceLength) {
    piece.at = at
    piece.end = Math.min(at + pieceLength, end)
    log.parser.data(piece)
  }
  return { events: log.end().events, parsedBytes, gatheredBytes, largestBytes }
}

const START = 'POST / HTTP/1.1\r\n'
const CHUNKED = `${START}Transfer-Encoding: chunked\r\n\r\n`

test.each<[string, string, number, Limits, string]>([
  ['a head of 64 KiB in pieces of one byte', `${START}A: ${'b'.repeat(65_536 - 24)}\r\n\r\n`, 1, {}, 'POST /'],
  ['10,000 header lines in pieces of one byte', `${START}${'A: b\r\n'.repeat(10_000)}\r\n`, 1, WIDE, 'POST /'],
  ['1 MB of header in pieces of 100', `${START}A: ${'b'.repeat(MB)}\r\n\r\n`, 100, WIDE, 'POST /'],
  ['1 MB of header lines at once', `${START}${'A: b\r\n'.repeat(MB / 6)}\r\n`, 8 * MB, WIDE, 'POST /'],
  ['1 MB of a head without end', `${START}A: ${'b'.repeat(MB)}`, 7, {}, '-headerTooLarge'],
  ['a first line without end', `GET /${'b'.repeat(MB)}`, 7, {}, '-headerTooLarge'],
  ['a chunk extension without end', `${CHUNKED}1;${'a'.repeat(MB)}`, 3, {}, '-chunkSize'],
  ['a trailer without end', `${CHUNKED}0\r\n${'A: b\r\n'.repeat(MB / 6)}`, 3, {}, '-trailer'],
  [
    '50,000 chunks of one byte in pieces of one byte',
    `${CHUNKED}${'1\r\na\r\n'.repeat(50_000)}0\r\n\r\n`,
    1,
    {},
    'POST /',
  ],
])('%s costs linear work', (_what, wire, pieceLength, limits, event) => {
  const work = workOf(wire, pieceLength, limits)
  expect(work.events).toEqual([event])
  expect(work.parsedBytes).toBeLessThanOrEqual(4 * wire.length)
  expect(work.gatheredBytes).toBeLessThanOrEqual(4 * wire.length + 4096)
})

test('a gathered head stays within twice the limit', () => {
  const { events, largestBytes } = workOf(`${START}A: ${'b'.repeat(MB)}`, 1, { maxHeadBytes: 4096 })
  expect(events).toEqual(['-headerTooLarge'])
  expect(largestBytes).toBeLessThanOrEqual(2 * 4096)
})

test('memory for a body that comes byte by byte is asked for by doubling', () => {
  const log = new RequestLog()
  const piece = pieceOf(bytesOf(`${START}Content-Length: 100000\r\n\r\n${'b'.repeat(100_000)}`), 0)
  const { at: start, end } = piece
  const allocate = Buffer.allocUnsafe
  let allocated = 0
  Buffer.allocUnsafe = (n) => {
    allocated += n
    return allocate(n)
  }
  try {
    for (let at = start; at < end; at++) {
      piece.at = at
      piece.end = at + 1
      log.parser.data(piece)
    }
  } finally {
    Buffer.allocUnsafe = allocate
  }
  expect(log.end().requests[0]!.bodyBytes).toBe(100_000)
  expect(allocated).toBeLessThan(6 * 100_000)
})
