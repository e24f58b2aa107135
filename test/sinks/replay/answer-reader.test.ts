/** The three laws of parsers, for the answers of an origin. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnswerContext, AnswerReader, AnswerState } from '../../../src/sinks/replay/answer-reader.ts'
import { MAX_ANSWER_HEAD_BYTES } from '../../../src/sinks/replay/engine.ts'

const STATE_NAMES = Object.keys(AnswerState)

interface Reading {
  readonly state: string
  readonly status: number
  readonly bodyBytes: number
  readonly keepsAlive: boolean
  /** Bytes that the answer took. */
  readonly taken: number
}

/** Reads `pieces` as the engine does: every piece in one buffer that is written over by the next. */
function read(pieces: readonly Buffer[], toHead = false, ends = false, context = new AnswerContext()): Reading {
  const reader = new AnswerReader(context)
  reader.begin(toHead)
  const input = Buffer.alloc(Math.max(1, ...pieces.map((piece) => piece.length)))
  let taken = 0
  for (const piece of pieces) {
    input.fill(0xee)
    piece.copy(input)
    const end = reader.read(input, 0, piece.length)
    expect(end).toBeGreaterThanOrEqual(0)
    expect(end).toBeLessThanOrEqual(piece.length)
    taken += end
    if (end < piece.length) break
  }
  if (ends) {
    reader.ended()
    reader.judge()
  }
  reader.release()
  const isOver = reader.state === AnswerState.complete
  return {
    state: STATE_NAMES[reader.state]!,
    status: reader.status,
    bodyBytes: reader.bodyBytes,
    keepsAlive: isOver && reader.keepsAlive,
    taken: isOver ? taken : -1,
  }
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((n) => n % (bytes.length + 1)))].sort((a, b) => a - b)
  const pieces: Buffer[] = []
  let from = 0
  for (const end of [...ends, bytes.length]) {
    if (end > from) pieces.push(bytes.subarray(from, end))
    from = Math.max(from, end)
  }
  return pieces
}

const text = (value: string) => Buffer.from(value, 'latin1')

const piece = fc.constantFrom(
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.0 200 OK\r\n',
  'HTTP/1.1 204 No Content\r\n',
  'HTTP/1.1 304 Not Modified\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n',
  'HTTP/1.1 101 Switching\r\n\r\n',
  'HTTP/1.1 500\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 7\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Keep-Alive: timeout=5\r\n',
  'X-A: b\r\n',
  'X-A: b\n',
  '\r\n',
  '\n',
  'hello',
  '3\r\nabc\r\n',
  '0\r\n\r\n',
  '5;x="y"\r\n',
  'T: v\r\n',
  '\0',
)
const anyBytes = fc.oneof(
  { weight: 4, arbitrary: fc.array(piece, { maxLength: 9 }).map((parts) => text(parts.join(''))) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)) },
)
const cuts = fc.array(fc.nat(400), { maxLength: 12 })

describe('answers', () => {
  test('any split of the bytes gives the same answer, and the same end of it', () => {
    const context = new AnswerContext()
    fc.assert(
      fc.property(anyBytes, cuts, fc.boolean(), fc.boolean(), (bytes, at, toHead, ends) => {
        const whole = read(bytes.length === 0 ? [] : [bytes], toHead, ends, context)
        expect(read(cut(bytes, at), toHead, ends, context)).toEqual(whole)
        expect(
          read(
            cut(
              bytes,
              Array.from(bytes, (_, i) => i),
            ),
            toHead,
            ends,
            context,
          ),
        ).toEqual(whole)
      }),
      { numRuns: 3000 },
    )
  })

  test('a reader used again begins anew, whatever came before', () => {
    const context = new AnswerContext()
    const reader = new AnswerReader(context)
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        reader.begin(false)
        reader.read(bytes, 0, bytes.length)
        // As the engine does when the connection goes.
        reader.release()
        reader.begin(false)
        const answer = text('HTTP/1.1 201 C\r\nContent-Length: 3\r\n\r\nabc')
        expect(reader.read(answer, 0, answer.length)).toBe(answer.length)
        expect([reader.state, reader.status, reader.bodyBytes]).toEqual([AnswerState.complete, 201, 3])
      }),
    )
  })

  const HELLO = 'Content-Length: 5\r\n\r\nhello'
  test.each<[string, string, Partial<Reading>, { toHead?: boolean; ends?: boolean }?]>([
    ['with a length', `HTTP/1.1 200 OK\r\n${HELLO}`, { state: 'complete', bodyBytes: 5, keepsAlive: true }],
    ['and what follows is not its own', `HTTP/1.1 200 OK\r\n${HELLO}HTTP/1.1`, { state: 'complete', taken: 43 }],
    ['to HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', { state: 'complete', bodyBytes: 0 }, { toHead: true }],
    ['to be closed', `HTTP/1.1 200 OK\r\nConnection: x, Close\r\n${HELLO}`, { state: 'complete', keepsAlive: false }],
    ['of HTTP/1.0', `HTTP/1.0 200 OK\r\n${HELLO}`, { state: 'complete', keepsAlive: false }],
    ['of HTTP/1.0 that stays', `HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n${HELLO}`, { keepsAlive: true }],
    [
      'until the end',
      'HTTP/1.1 200 OK\r\n\r\nhello',
      { state: 'complete', bodyBytes: 5, keepsAlive: false },
      { ends: true },
    ],
    [
      'another coding runs until the end',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc',
      { state: 'body', bodyBytes: 3 },
    ],
    ['a coding and a length', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${HELLO}`, { state: 'invalid' }],
    ['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n${HELLO}`, { state: 'invalid' }],
    ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', { state: 'invalid' }],
    ['bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', { state: 'invalid' }],
    ['a folded line', 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n', { state: 'invalid' }],
    [
      'cut inside a chunked body',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
      { state: 'body' },
      { ends: true },
    ],
    ['interim answers only', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n', { state: 'head', status: 0 }],
    ['an empty line in front', `\r\nHTTP/1.1 200 OK\r\n${HELLO}`, { state: 'complete', bodyBytes: 5 }],
    ['nothing but empty lines', '\r\n\r\n', { state: 'none' }],
    ['101', 'HTTP/1.1 101 Switching\r\n\r\n\x81\x00', { state: 'switched', status: 101 }],
  ])('%s', (_name, bytes, expected, how = {}) => {
    expect(read([text(bytes)], how.toHead, how.ends)).toMatchObject(expected)
  })

  test('a head may be as long as the limit and no longer, however it comes', () => {
    const fixed = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Big: \r\n\r\n'.length
    for (const [over, state] of [
      [0, 'complete'],
      [1, 'invalid'],
    ] as const) {
      const big = 'b'.repeat(MAX_ANSWER_HEAD_BYTES - fixed + over)
      const bytes = text(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Big: ${big}\r\n\r\n`)
      expect(read([bytes]).state).toBe(state)
      expect(read(cut(bytes, [100, 30_000, 60_000])).state).toBe(state)
    }
  })
})
