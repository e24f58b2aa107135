/** Answers made to fill memory, to last for ever or to be taken for something else. The origin is compromised here, or broken. */
import type net from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { ENGINE_NAMES } from '../../../src/sinks/replay/engine.ts'
import type { ReplaySinkOptions } from '../../../src/sinks/replay/options.ts'
import { captured, connection } from './support/captured.ts'
import { RawOrigin, says } from './support/raw-origin.ts'
import { SinkRig } from './support/sink-rig.ts'

const MIB = 1024 * 1024
/** Buffers of both sides, which are this process, and what a garbage collector leaves lying on a busy machine; a fifth of what is sent. */
const MOST_GROWTH_BYTES = 96 * MIB
/** An answer that would last for ever may last this long; noticed within 20 ms, and a busy machine is late. */
const REQUEST_TIMEOUT_MS = 1500
const LATE_MS = 5000

interface Ended {
  readonly outcomes: Record<string, number>
  readonly bodyBytes: number
  readonly tookMs: number
  /** Memory at its highest while the answer came, above that before. */
  readonly growthBytes: number
}

function memory(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Writes pieces for as long as the other side takes them, as an origin with all the time in the world. */
function endless(head: string, piece: Buffer, limitBytes = Number.POSITIVE_INFINITY) {
  return (_request: unknown, socket: net.Socket) => {
    socket.write(head, 'latin1')
    let sent = 0
    const more = () => {
      while (sent < limitBytes && !socket.destroyed) {
        sent += piece.length
        if (!socket.write(piece)) return
      }
    }
    socket.on('drain', more)
    more()
  }
}

describe.each(ENGINE_NAMES)('a hostile answer, engine %s', (engine) => {
  let origin: RawOrigin | null = null

  afterEach(async () => {
    await origin?.close()
    origin = null
  })

  /** undici takes 100 (Continue) in odd pieces for an answer, and gives up at once: docs/replay.md. */
  const endOfInterim = (status: number, outcome: string) =>
    engine === 'undici' && status === 100 ? { '1xx': 1 } : { [outcome]: 1 }

  /** One request to an origin that answers so, and whether the next one finds a working origin again. */
  async function ended(answer: RawOrigin['answer'], options: Partial<ReplaySinkOptions> = {}): Promise<Ended> {
    origin = await RawOrigin.listen(answer)
    const rig = new SinkRig(origin.url, {
      engine,
      connections: 1,
      headersTimeoutMs: REQUEST_TIMEOUT_MS,
      bodyTimeoutMs: REQUEST_TIMEOUT_MS,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      ...options,
    })
    const before = memory()
    const startedMs = performance.now()
    let highest = before
    const watch = setInterval(() => {
      highest = Math.max(highest, memory())
    }, 5)
    rig.give(captured('GET / HTTP/1.1\nHost: a\nAccept-Encoding: gzip'), connection())
    while (rig.sink.held > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    clearInterval(watch)
    const tookMs = performance.now() - startedMs
    const outcomes = rig.outcomes
    const bodyBytes = rig.count('replayBodyBytes')
    origin.answer = says('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    rig.give(captured('GET /after HTTP/1.1\nHost: a'), connection())
    await rig.drain()
    expect(rig.outcomes['2xx'] ?? 0).toBe((outcomes['2xx'] ?? 0) + 1)
    return { outcomes, bodyBytes, tookMs, growthBytes: highest - before }
  }

  test('a head without end is invalid at 64 KiB', async () => {
    const line = Buffer.from(`X-Long: ${'x'.repeat(8000)}\r\n`)
    const result = await ended(endless('HTTP/1.1 200 OK\r\n', line))
    expect(result.outcomes).toEqual({ invalid: 1 })
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
    expect(result.tookMs).toBeLessThan(LATE_MS)
  })

  test('one header line without end is invalid at 64 KiB', async () => {
    const result = await ended(endless('HTTP/1.1 200 OK\r\nX: ', Buffer.alloc(16_384, 'x')))
    expect(result.outcomes).toEqual({ invalid: 1 })
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
  })

  test('a million header lines are invalid', async () => {
    const lines = Buffer.from('a:\r\n'.repeat(10_000))
    const result = await ended(endless('HTTP/1.1 200 OK\r\n', lines, 1_000_000 * 4))
    expect(result.outcomes).toEqual({ invalid: 1 })
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
  })

  test('a header of 20 KB is fine', async () => {
    const head = `HTTP/1.1 200 OK\r\nSet-Cookie: ${'c'.repeat(20_000)}\r\nContent-Length: 0\r\n\r\n`
    expect((await ended(says(head))).outcomes).toEqual({ '2xx': 1 })
  })

  test.each([100, 103])('interim answers %i without end stop at the time-out', async (status) => {
    const interim = Buffer.from(`HTTP/1.1 ${status} More\r\nX-Pad: ${'x'.repeat(1000)}\r\n\r\n`.repeat(16))
    const result = await ended(endless('', interim), { maxAnswerBytes: 1024 ** 4 })
    expect(result.outcomes).toEqual(endOfInterim(status, 'timeout'))
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
    expect(result.tookMs).toBeLessThan(REQUEST_TIMEOUT_MS + LATE_MS)
  })

  test.each([100, 103])('interim answers %i without end stop at --max-answer-bytes', async (status) => {
    const interim = Buffer.from(`HTTP/1.1 ${status} More\r\nX-Pad: ${'x'.repeat(1000)}\r\n\r\n`.repeat(16))
    const result = await ended(endless('', interim), {
      maxAnswerBytes: MIB,
      headersTimeoutMs: 30_000,
      requestTimeoutMs: 30_000,
    })
    expect(result.outcomes).toEqual(endOfInterim(status, 'answerTooLarge'))
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
  })

  test('a chunk extension without end ends the answer in memory that stays flat', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x='
    const result = await ended(endless(head, Buffer.alloc(16_384, 'y')))
    // undici's parser reads extensions of any length and keeps nothing: what ends it there is the time, or the bytes.
    expect(result.outcomes).toEqual(
      engine === 'wire' ? { invalid: 1 } : expect.toBeOneOf([{ invalid: 1 }, { timeout: 1 }, { answerTooLarge: 1 }]),
    )
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
    expect(result.tookMs).toBeLessThan(REQUEST_TIMEOUT_MS + LATE_MS)
  })

  test('trailer lines without end do not fill memory', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n'
    const result = await ended(endless(head, Buffer.from(`X-T: ${'t'.repeat(8000)}\r\n`)))
    expect(result.outcomes).toEqual(
      engine === 'wire' ? { invalid: 1 } : expect.toBeOneOf([{ invalid: 1 }, { timeout: 1 }, { answerTooLarge: 1 }]),
    )
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
    expect(result.tookMs).toBeLessThan(REQUEST_TIMEOUT_MS + LATE_MS)
  })

  test.each([
    ['of a terabyte announced', 'Content-Length: 1099511627776'],
    ['in chunks', 'Transfer-Encoding: chunked'],
    ['until the connection closes', 'Connection: close'],
  ])(
    'a body without end, %s, stops at --max-answer-bytes',
    async (_how, header) => {
      const data = Buffer.alloc(65_536, 'z')
      const isChunked = header.startsWith('Transfer')
      const piece = isChunked ? Buffer.concat([Buffer.from('10000\r\n'), data, Buffer.from('\r\n')]) : data
      const result = await ended(endless(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n`, piece), {
        maxAnswerBytes: 200 * MIB,
        requestTimeoutMs: 60_000,
      })
      expect(result.outcomes).toEqual({ answerTooLarge: 1 })
      expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
    },
    30_000,
  )

  test('a body without end stops at --request-timeout-ms where no bound on bytes is reached', async () => {
    const result = await ended(
      endless('HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n', Buffer.alloc(65_536)),
      {
        maxAnswerBytes: 1024 ** 4,
      },
    )
    expect(result.outcomes).toEqual({ timeout: 1 })
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
    expect(result.tookMs).toBeLessThan(REQUEST_TIMEOUT_MS + LATE_MS)
  })

  test('an answer of exactly --max-answer-bytes is whole, one byte more is not', async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n'
    const answer = head + 'b'.repeat(70_000)
    expect((await ended(says(answer), { maxAnswerBytes: answer.length })).outcomes).toEqual({ '2xx': 1 })
    await origin!.close()
    expect((await ended(says(answer), { maxAnswerBytes: answer.length - 1 })).outcomes).toEqual({ answerTooLarge: 1 })
  })

  test('a gzip bomb is counted packed: nobody unpacks it', async () => {
    // 256 MiB of zeros in a quarter of a megabyte.
    const bomb = gzipSync(Buffer.alloc(256 * MIB), { level: 1 })
    const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`
    const result = await ended((_request, socket) => {
      socket.write(head)
      socket.write(bomb)
    })
    expect(result.outcomes).toEqual({ '2xx': 1 })
    expect(origin!.requests[0]!.lines).toContain('Accept-Encoding: gzip')
    expect(result.growthBytes).toBeLessThan(MOST_GROWTH_BYTES)
  })
})
