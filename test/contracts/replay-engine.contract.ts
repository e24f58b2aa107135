/** What every replay engine must do, checked against an origin that speaks raw bytes. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Clock, MonotonicClock } from '../../src/base/clock.ts'
import { OUTCOME_NAMES } from '../../src/base/drop.ts'
import {
  type Engine,
  type EngineFactory,
  type EngineListener,
  type EngineOptions,
  Fault,
} from '../../src/sinks/replay/engine.ts'
import type { OutgoingRequest } from '../../src/sinks/replay/outgoing-request.ts'
import { captured, connection } from '../sinks/replay/support/captured.ts'
import {
  closedPort,
  ok,
  RawOrigin,
  says,
  saysAndCloses,
  saysAndResets,
  staysSilent,
} from '../sinks/replay/support/raw-origin.ts'
import { ThreadOrigin } from '../sinks/replay/support/thread-origin.ts'
import { TEST_CERTIFICATE, TEST_KEY } from '../sinks/replay/support/tls-certificate.ts'

/** A request to send, as text: header lines as name, value, name, value, … */
export interface Composition {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Buffer | null
}

export interface EngineUnderTest {
  readonly open: EngineFactory
  /** A request of the engine's own class, as its `prepare` would make it. */
  compose(what: Composition): OutgoingRequest
  /** Where it does less than HTTP asks; each named in its own documentation. */
  readonly limits: {
    /** Cannot send `OPTIONS *`. */
    readonly noAsterisk?: boolean
    /** Refuses in `send` what cannot be an HTTP request; for others `prepare` cannot make such requests. */
    readonly checksInSend?: boolean
    /** 204 and 304 with a Content-Length cost the connection. */
    readonly losesConnectionOnLength?: boolean
    /** Only one 100 (Continue), in one piece, is skipped. */
    readonly oneContinue?: boolean
    /** Does not say `poisoned`. */
    readonly hidesPoison?: boolean
    /** An empty line behind an answer costs the connection or is not tolerated. */
    readonly noBlankLines?: boolean
  }
}

const FAULT_NAMES = Object.keys(Fault)

interface Ending {
  readonly pooled: number
  /** An outcome's name, or `unsendable`. */
  readonly outcome: string
  /** `answered`, or the name of the fault. */
  readonly kind: string
  readonly bodyBytes: number
  readonly latencyUs: number
}

/** Turns callbacks into promises, one ending per pooled connection and send. */
class Recorder implements EngineListener {
  readonly endings: Ending[] = []
  connections = 0
  poisonings = 0
  readonly writtenUs: number[] = []
  onAnswered: ((pooled: number) => void) | null = null
  onWritten: (() => void) | null = null
  private waiters: (() => void)[] = []

  answered(pooled: number, outcome: number, latencyUs: number, bodyBytes: number): void {
    this.push({ pooled, outcome: OUTCOME_NAMES[outcome]!, kind: 'answered', bodyBytes, latencyUs })
    this.onAnswered?.(pooled)
  }

  failed(pooled: number, outcome: number, fault: number, bodyBytes: number): void {
    this.push({ pooled, outcome: OUTCOME_NAMES[outcome]!, kind: FAULT_NAMES[fault]!, bodyBytes, latencyUs: -1 })
  }

  unsendable(pooled: number): void {
    this.push({ pooled, outcome: 'unsendable', kind: 'unsendable', bodyBytes: 0, latencyUs: -1 })
  }

  connected(): void {
    this.connections++
  }

  written(_pooled: number, atUs: number): void {
    this.writtenUs.push(atUs)
    this.onWritten?.()
  }

  poisoned(): void {
    this.poisonings++
  }

  async ending(n: number): Promise<Ending> {
    while (this.endings.length < n) await new Promise<void>((resolve) => this.waiters.push(resolve))
    return this.endings[n - 1]!
  }

  private push(ending: Ending): void {
    this.endings.push(ending)
    for (const wake of this.waiters.splice(0)) wake()
  }
}

export function replayEngineContract(name: string, { open, compose, limits }: EngineUnderTest): void {
  function request(
    method = 'GET',
    target = '/',
    body: string | null = null,
    headers: readonly string[] = [],
  ): OutgoingRequest {
    const bytes = body === null ? null : Buffer.from(body, 'latin1')
    const length = bytes === null ? [] : ['Content-Length', String(bytes.length)]
    return compose({ method, target, headers: ['Host', 'origin.test', ...length, ...headers], body: bytes })
  }

  describe(`${name} as replay engine`, () => {
    let origin: RawOrigin
    let engine: Engine
    let recorder: Recorder
    let sweeper: NodeJS.Timeout | undefined
    const clock = new MonotonicClock()
    /** A clock that stands until the test moves it. */
    const stepped = { now: 0, nowUs: () => stepped.now }

    function start(over: Partial<EngineOptions> = {}, time: Clock = clock): void {
      recorder = new Recorder()
      const options: EngineOptions = {
        origin: origin.url,
        connections: 2,
        connectTimeoutMs: 2_000,
        headersTimeoutMs: 2_000,
        bodyTimeoutMs: 2_000,
        requestTimeoutMs: 4_000,
        keepAliveTimeoutMs: 2_000,
        maxAnswerBytes: 1024 ** 3,
        keepHost: false,
        ...over,
      }
      engine = open(options, time, recorder)
      sweeper = setInterval(() => engine.sweep(time.nowUs()), 10)
    }

    async function sendOne(what: OutgoingRequest = request()): Promise<Ending> {
      const n = recorder.endings.length
      engine.send(0, what)
      expect(recorder.endings.length).toBe(n)
      return recorder.ending(n + 1)
    }

    /** What the origin wrote before was read: an exchange on another connection is over, and its answer was written later. */
    async function everythingIsRead(): Promise<void> {
      const n = recorder.endings.length
      engine.send(1, request('GET', '/other'))
      expect((await recorder.ending(n + 1)).pooled).toBe(1)
    }

    /** The next request on the pooled connection goes through: nothing is left over from the one before. */
    async function expectRecovery(): Promise<void> {
      origin.answer = ok
      expect(await sendOne(request('GET', '/after'))).toMatchObject({ outcome: '2xx', kind: 'answered', bodyBytes: 2 })
      expect(origin.requests.filter((r) => r.target === '/after')).toHaveLength(1)
    }

    beforeEach(async () => {
      origin = await RawOrigin.listen()
    })
    afterEach(async () => {
      clearInterval(sweeper)
      await engine.close()
      await engine.close()
      await origin.close()
    })

    describe('answers that are complete', () => {
      const complete: [string, string, string, number, OutgoingRequest?][] = [
        ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', '2xx', 5],
        [
          'chunked with extension and trailer',
          'HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n',
          '2xx',
          5,
        ],
        ['without a body', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', '4xx', 0],
        [
          'redirects, not followed',
          'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
          '3xx',
          0,
        ],
        ['server errors', 'HTTP/1.1 503 No\r\nContent-Length: 1\r\n\r\nx', '5xx', 1],
        ['204', 'HTTP/1.1 204 No Content\r\n\r\n', '2xx', 0],
        ['204 that states a length all the same', 'HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n', '2xx', 0],
        [
          '304 with the length of what it does not send',
          'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
          '3xx',
          0,
        ],
        [
          'HEAD with the length of what it does not send',
          'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n',
          '2xx',
          0,
          request('HEAD'),
        ],
        [
          '100 (Continue) that nobody asked for',
          'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
          '2xx',
          2,
        ],
        [
          '103 (Early Hints) before the answer',
          'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
          '2xx',
          2,
        ],
        ['a head of 20 KB', `HTTP/1.1 200 OK\r\nX-Big: ${'b'.repeat(20_000)}\r\nContent-Length: 2\r\n\r\nok`, '2xx', 2],
        ['no reason phrase', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', '2xx', 2],
      ]
      test.each(complete)('%s', async (_name, bytes, outcome, bodyBytes, what) => {
        start()
        origin.answer = says(bytes)
        const ending = await sendOne(what ?? request())
        expect(ending).toMatchObject({ outcome, kind: 'answered', bodyBytes })
        expect(ending.latencyUs).toBeGreaterThan(0)
        await expectRecovery()
      })

      test('ended by the close of the connection', async () => {
        start()
        origin.answer = saysAndCloses('HTTP/1.1 200 OK\r\n\r\nuntil the end')
        expect(await sendOne()).toMatchObject({ outcome: '2xx', kind: 'answered', bodyBytes: 13 })
        await expectRecovery()
      })

      test('with Connection: close, and the next request on a new connection', async () => {
        start()
        origin.answer = saysAndCloses('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
        expect(await sendOne()).toMatchObject({ outcome: '2xx', kind: 'answered' })
        await expectRecovery()
        expect(origin.connections).toBe(2)
      })

      test('100 (Continue) in a segment of its own', async () => {
        start()
        origin.answer = (_request, socket) => {
          socket.write('HTTP/1.1 100 Continue\r\n\r\n')
          setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 20)
        }
        expect(await sendOne(request('POST', '/', 'body'))).toMatchObject({ outcome: '2xx', kind: 'answered' })
        await expectRecovery()
      })

      test('byte by byte', async () => {
        start()
        origin.answer = (_request, socket) => {
          const bytes = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
          let i = 0
          const next = () => {
            if (i < bytes.length && !socket.destroyed) socket.write(bytes[i++]!, () => setImmediate(next))
          }
          next()
        }
        expect(await sendOne()).toMatchObject({ outcome: '2xx', bodyBytes: 2 })
      })
    })

    describe('where one answer ends', () => {
      const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
      const POISON = 'HTTP/1.1 500 Poison\r\nContent-Length: 0\r\n\r\n'

      const surplus: [string, string, string][] = [
        ['a second answer behind the first', OK + POISON, '2xx'],
        ['more body than the length says', `${OK}kk`, '2xx'],
        ['garbage behind a chunked body', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\0\0`, '2xx'],
        ['a body behind 304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello`, '3xx'],
        ['a body behind 204', `HTTP/1.1 204 No Content\r\n\r\nhello`, '2xx'],
      ]
      test.each(surplus)('%s is no answer to the next request', async (_name, bytes, outcome) => {
        start()
        origin.answer = says(bytes)
        expect(await sendOne()).toMatchObject({ outcome })
        await expectRecovery()
        expect(origin.connections).toBe(2)
        if (limits.hidesPoison !== true) expect(recorder.poisonings).toBe(1)
      })

      test('a body behind the answer to HEAD is no answer to the next request', async () => {
        start()
        origin.answer = says(OK)
        expect((await sendOne(request('HEAD'))).kind).toBe('answered')
        await expectRecovery()
        expect(origin.connections).toBe(2)
      })

      test.runIf(limits.noBlankLines !== true)('an empty line behind an answer harms nothing', async () => {
        start()
        for (let i = 0; i < 3; i++) {
          origin.answer = says(`${OK}\r\n`)
          expect((await sendOne()).outcome).toBe('2xx')
          origin.answer = ok
          expect((await sendOne()).outcome).toBe('2xx')
          origin.writeToAll('\r\n')
          await everythingIsRead()
        }
        // The second one is that of the other exchanges.
        expect(origin.connections).toBe(2)
        expect(recorder.poisonings).toBe(0)
      })

      test('204 and 304 with a length leave the connection in use', async () => {
        start()
        for (const status of ['204 No Content', '304 Not Modified']) {
          origin.answer = says(`HTTP/1.1 ${status}\r\nContent-Length: 9\r\n\r\n`)
          expect((await sendOne()).kind).toBe('answered')
        }
        await expectRecovery()
        expect(origin.connections).toBe(limits.losesConnectionOnLength === true ? 3 : 1)
      })

      test('HTTP/1.0 closes, and stays where it says keep-alive', async () => {
        start()
        origin.answer = says('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok')
        expect((await sendOne()).outcome).toBe('2xx')
        origin.answer = says('HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok')
        expect((await sendOne()).outcome).toBe('2xx')
        expect(origin.connections).toBe(2)
        await expectRecovery()
        expect(origin.connections).toBe(2)
      })

      test('the origin’s Keep-Alive hint shortens the idle time', async () => {
        start({ keepAliveTimeoutMs: 600_000 })
        origin.answer = says('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=5\r\nContent-Length: 2\r\n\r\nok')
        expect((await sendOne()).outcome).toBe('2xx')
        await origin.allClosed()
        await expectRecovery()
      })

      test('cut at any byte, an answer is the same', async () => {
        start()
        const bytes =
          'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' +
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nT: v\r\n\r\n'
        for (let cut = 1; cut < bytes.length; cut++) {
          origin.answer = (_request, socket) => {
            socket.write(bytes.slice(0, cut), () => setTimeout(() => socket.write(bytes.slice(cut)), 2))
          }
          expect(await sendOne(), `cut at ${cut}`).toMatchObject({ outcome: '2xx', kind: 'answered', bodyBytes: 3 })
        }
        expect(origin.connections).toBe(1)
      })

      test.runIf(limits.oneContinue !== true)('100 (Continue) in pieces, and many of them', async () => {
        start()
        origin.answer = (_request, socket) => {
          const bytes = `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(50)}${OK}`
          for (let i = 0; i < bytes.length; i += 7) socket.write(bytes.slice(i, i + 7))
        }
        expect(await sendOne(request('POST', '/', 'body'))).toMatchObject({ outcome: '2xx', kind: 'answered' })
        await expectRecovery()
        expect(origin.connections).toBe(1)
      })

      test('1,000 interim answers, then the answer', async () => {
        start()
        origin.answer = says(`${'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(1000)}${OK}`)
        expect(await sendOne()).toMatchObject({ outcome: '2xx', kind: 'answered', bodyBytes: 2 })
        await expectRecovery()
      })

      test('interim answers without end: the time-out of the head ends it', async () => {
        start({ headersTimeoutMs: 80 })
        origin.answer = (_request, socket) => {
          const storm = setInterval(() => {
            if (socket.destroyed) clearInterval(storm)
            else socket.write('HTTP/1.1 102 Processing\r\n\r\n')
          }, 5)
        }
        expect(await sendOne()).toMatchObject({ outcome: 'timeout', kind: 'answering' })
        await expectRecovery()
      })

      test('an answer before the request was read ends it, and the next one goes elsewhere', async () => {
        let answered = 0
        const early = net.createServer((socket) => {
          socket.on('error', () => {})
          socket.once('data', () => {
            answered++
            socket.pause()
            socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n')
          })
        })
        early.listen(0, '127.0.0.1')
        await once(early, 'listening')
        start({ origin: new URL(`http://127.0.0.1:${(early.address() as AddressInfo).port}`) })
        const large = 'x'.repeat(20_000_000)
        expect((await sendOne(request('POST', '/large', large))).outcome).toBe('4xx')
        expect((await sendOne(request('GET', '/after'))).outcome).toBe('4xx')
        expect(answered).toBe(2)
        early.close()
        await engine.close()
      })

      test('answers of node:http with random heads, bodies and chunks are seen with their status and length', async () => {
        const random = seededRandom(20_261_124)
        const expected: { status: number; bodyBytes: number }[] = []
        const server = http.createServer((incoming, answer) => {
          incoming.resume()
          const status = [200, 201, 204, 301, 304, 404, 500, 503][random(8)]!
          const chunks = Array.from({ length: random(5) }, () =>
            Buffer.alloc(random(3) === 0 ? random(40_000) : random(40), 'c'),
          )
          const bodyBytes = chunks.reduce((n, chunk) => n + chunk.length, 0)
          answer.statusCode = status
          for (let i = random(12); i > 0; i--) answer.setHeader(`X-${i}`, 'v'.repeat(random(200)))
          const hasBody = status !== 204 && status !== 304 && incoming.method !== 'HEAD'
          if (random(2) === 0 && status !== 204) answer.setHeader('Content-Length', bodyBytes)
          else if (random(4) === 0 && hasBody) answer.setHeader('Trailer', 'X-Sum')
          if (random(6) === 0) answer.setHeader('Connection', 'close')
          expected.push({ status, bodyBytes: hasBody ? bodyBytes : 0 })
          for (const chunk of chunks) answer.write(chunk)
          if (answer.hasHeader('Trailer')) answer.addTrailers({ 'X-Sum': 'abc' })
          answer.end()
        })
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        start({ origin: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) })
        for (let i = 0; i < 200; i++) {
          const method = ['GET', 'GET', 'HEAD', 'POST'][random(4)]!
          const ending = await sendOne(request(method, `/${i}`, method === 'POST' ? 'body' : null))
          const { status, bodyBytes } = expected[i]!
          expect(ending, `answer ${i}`).toMatchObject({
            outcome: `${(status / 100) | 0}xx`,
            kind: 'answered',
            bodyBytes,
          })
        }
        await engine.close()
        server.close()
      })
    })

    describe('answers that are not', () => {
      const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!'
      const broken: [string, (bytes: string) => ReturnType<typeof says>, string, string, string][] = [
        ['a body cut short by FIN', saysAndCloses, HALF, 'truncated', 'answering'],
        ['a body cut short by RST', saysAndResets, HALF, 'truncated', 'answering'],
        [
          'a body cut short on a connection to be closed',
          saysAndCloses,
          HALF.replace('Con', 'Connection: close\r\nCon'),
          'truncated',
          'answering',
        ],
        [
          'a chunked body cut short by FIN',
          saysAndCloses,
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
          'truncated',
          'answering',
        ],
        [
          'a chunked body cut short on a connection to be closed',
          saysAndCloses,
          'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
          'truncated',
          'answering',
        ],
        ['a head cut short by RST', saysAndResets, 'HTTP/1.1 200 OK\r\nConte', 'truncated', 'answering'],
        ['a head cut short by FIN', saysAndCloses, 'HTTP/1.1 200 OK\r\nConte', 'truncated', 'answering'],
        ['nothing, then RST', saysAndResets, '', 'reset', 'origin'],
        ['nothing, then FIN', saysAndCloses, '', 'reset', 'origin'],
        ['garbage', says, 'SSH-2.0-OpenSSH_9.2\r\n', 'invalid', 'answering'],
        [
          'a chunk size that is none',
          says,
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
          'invalid',
          'answering',
        ],
        ['a head of 100 KB', says, `HTTP/1.1 200 OK\r\nX-Big: ${'b'.repeat(100_000)}\r\n\r\n`, 'invalid', 'answering'],
        [
          '101 that nobody asked for',
          says,
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
          '1xx',
          'answering',
        ],
        ['101 without Upgrade', says, 'HTTP/1.1 101 Switching Protocols\r\n\r\n', '1xx', 'answering'],
      ]
      test.each(broken)('%s', async (_name, how, bytes, outcome, kind) => {
        start()
        origin.answer = how(bytes)
        expect(await sendOne()).toMatchObject({ outcome, kind })
        await expectRecovery()
      })

      /** Nothing ends until `limitMs` have passed, and then it is the time-out. */
      async function timesOutAfter(limitMs: number): Promise<Ending> {
        const n = recorder.endings.length
        // Takes note of the body's bytes that came.
        engine.sweep(stepped.now)
        stepped.now += limitMs * 1000
        engine.sweep(stepped.now)
        await new Promise((resolve) => setImmediate(resolve))
        expect(recorder.endings).toHaveLength(n)
        stepped.now += 1
        engine.sweep(stepped.now)
        return recorder.ending(n + 1)
      }

      test('silence: time-out of the head', async () => {
        start({ headersTimeoutMs: 60 }, stepped)
        origin.answer = staysSilent
        engine.send(0, request())
        await origin.received(1)
        expect(await timesOutAfter(60)).toMatchObject({ outcome: 'timeout', kind: 'none' })
        await expectRecovery()
      })

      test('silence inside the body: time-out of the body', async () => {
        start({ bodyTimeoutMs: 60, headersTimeoutMs: 10 }, stepped)
        origin.answer = (got, socket) => (got.target === '/half' ? says(HALF) : ok)(got, socket)
        engine.send(0, request('GET', '/half'))
        await origin.received(1)
        await everythingIsRead()
        expect(await timesOutAfter(60)).toMatchObject({ outcome: 'timeout', kind: 'answering', bodyBytes: 5 })
        await expectRecovery()
      })

      test('no end in time: the total time-out, whatever the others are', async () => {
        start({ requestTimeoutMs: 60 }, stepped)
        origin.answer = staysSilent
        engine.send(0, request())
        await origin.received(1)
        expect(await timesOutAfter(60)).toMatchObject({ outcome: 'timeout', kind: 'none' })
        await expectRecovery()
      })

      test('one byte now and then: the total time-out ends it', async () => {
        start({ requestTimeoutMs: 150, bodyTimeoutMs: 100, headersTimeoutMs: 100 })
        origin.answer = (_request, socket) => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
          const drip = setInterval(() => (socket.destroyed ? clearInterval(drip) : socket.write('x')), 10)
        }
        expect(await sendOne()).toMatchObject({ outcome: 'timeout', kind: 'answering' })
        await expectRecovery()
      })

      test('aborted by the caller', async () => {
        start()
        origin.answer = staysSilent
        engine.send(0, request())
        await origin.received(1)
        engine.abort(0)
        engine.abort(0)
        expect((await recorder.ending(1)).kind).toBe('none')
        engine.abort(1)
        await expectRecovery()
        expect(recorder.endings).toHaveLength(2)
      })
    })

    describe('connections', () => {
      test('refused', async () => {
        start({ origin: new URL(`http://127.0.0.1:${await closedPort()}`) })
        for (let i = 0; i < 3; i++) expect(await sendOne()).toMatchObject({ outcome: 'refused', kind: 'origin' })
      })

      test('a name that does not resolve', async () => {
        start({ origin: new URL('http://origin.invalid') })
        expect(await sendOne()).toMatchObject({ outcome: 'unreachable', kind: 'origin' })
      })

      test('no connection within the time-out', async () => {
        // A TLS handshake with a server that never says a word.
        const mute = net.createServer((socket) => socket.on('error', () => {}))
        mute.listen(0, '127.0.0.1')
        await once(mute, 'listening')
        const { port } = mute.address() as AddressInfo
        start({ origin: new URL(`https://127.0.0.1:${port}`), connectTimeoutMs: 80 })
        expect(await sendOne()).toMatchObject({ outcome: 'connectTimeout', kind: 'origin' })
        mute.close()
      })

      test('an origin that is slow to accept is waited for', async () => {
        const slow = net.createServer({ pauseOnConnect: true }, (socket) => {
          socket.on('error', () => {})
          socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
        })
        const arrived = once(slow, 'connection')
        slow.listen(0, '127.0.0.1')
        await once(slow, 'listening')
        start({ origin: new URL(`http://127.0.0.1:${(slow.address() as AddressInfo).port}`) }, stepped)
        const written = new Promise<void>((resolve) => {
          recorder.onWritten = resolve
        })
        engine.send(0, request())
        const [[socket]] = await Promise.all([arrived, written])
        stepped.now += 100_000
        socket.resume()
        expect(await recorder.ending(1)).toMatchObject({ outcome: '2xx', bodyBytes: 2, latencyUs: 100_000 })
        slow.close()
        await engine.close()
      })

      test('TLS to a server that speaks none', async () => {
        const plain = net.createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
        plain.listen(0, '127.0.0.1')
        await once(plain, 'listening')
        start({ origin: new URL(`https://127.0.0.1:${(plain.address() as AddressInfo).port}`) })
        expect(await sendOne()).toMatchObject({ outcome: 'tls', kind: 'origin' })
        plain.close()
      })

      test('TLS, trusted by --tls-ca or not at all, with a kept Host that is not the name on the certificate', async () => {
        const paths: string[] = []
        const secure = https.createServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, (incoming, answer) => {
          paths.push(`${incoming.url} ${incoming.headers.host} ${incoming.socket.remotePort}`)
          answer.end('ok')
        })
        secure.listen(0, '127.0.0.1')
        await once(secure, 'listening')
        const url = new URL(`https://localhost:${(secure.address() as AddressInfo).port}`)
        start({ origin: url })
        expect(await sendOne()).toMatchObject({ outcome: 'tls', kind: 'origin' })
        clearInterval(sweeper)
        await engine.close()
        for (const trust of [{ tlsCa: TEST_CERTIFICATE }, { tlsInsecure: true }]) {
          start({ origin: url, ...trust })
          expect(await sendOne(request('GET', '/1'))).toMatchObject({ outcome: '2xx', bodyBytes: 2 })
          expect(await sendOne(request('GET', '/2', null, []))).toMatchObject({ outcome: '2xx', bodyBytes: 2 })
          expect(recorder.connections).toBe(1)
          clearInterval(sweeper)
          await engine.close()
        }
        expect(paths).toHaveLength(4)
        expect(paths[0]).toContain('/1 origin.test')
        start()
        secure.close()
      })

      test('one connection carries many requests, of all methods, with and without body', async () => {
        start()
        for (const method of ['GET', 'POST', 'HEAD', 'DELETE', 'PUT', 'OPTIONS', 'PATCH', 'PURGE']) {
          expect((await sendOne(request(method, '/a', method === 'HEAD' ? null : 'body'))).kind).toBe('answered')
          // An answer to HEAD has no body: the two bytes of `ok` would be taken for the next answer.
          origin.answer = method === 'POST' ? says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n') : ok
        }
        expect(origin.connections).toBe(1)
        expect(recorder.connections).toBe(1)
        expect(origin.requests.map((r) => r.onConnection)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
      })

      describe.each(['http', 'https'] as const)('an origin that answers at once (%s)', (scheme) => {
        let quick: ThreadOrigin
        let afterWriting: (() => void) | null
        beforeEach(async () => {
          afterWriting = null
          quick = await ThreadOrigin.listen(scheme)
          start({ origin: quick.url, tlsInsecure: true })
        })
        afterEach(async () => {
          clearInterval(sweeper)
          await engine.close()
          await quick.close()
        })

        /** The answer is there before this thread has a chance to learn that the request was written. */
        async function answeredAtOnce(what: OutgoingRequest): Promise<Ending> {
          const n = recorder.endings.length
          // Not out of a callback of a socket: the turn of the event loop that learns of writes is still to come.
          await new Promise((resolve) => setTimeout(resolve, 0))
          let wasAnswered = false
          recorder.onWritten = () => {
            const answered = quick.answered
            // It is written when what runs now is over.
            process.nextTick(() => {
              wasAnswered = quick.blockUntilAnswered(answered + 1)
              afterWriting?.()
            })
          }
          engine.send(0, what)
          const ending = await recorder.ending(n + 1)
          expect(wasAnswered).toBe(true)
          return ending
        }

        test('gets all requests on one connection', async () => {
          for (let i = 0; i < 200; i++)
            expect(await answeredAtOnce(request('GET', `/${i}`))).toMatchObject({ outcome: '2xx', bodyBytes: 2 })
          expect([quick.connections, recorder.connections]).toEqual([1, 1])
        })

        test('gets all requests on one connection, bodies too, and each sent from inside the answer before', async () => {
          let left = 400
          recorder.onAnswered = (pooled) => {
            if (--left > 0) engine.send(pooled, request('POST', `/${left}`, 'x'.repeat(left % 2 === 0 ? 10 : 30_000)))
          }
          engine.send(0, request())
          expect((await recorder.ending(400)).outcome).toBe('2xx')
          expect(recorder.endings.every(({ outcome }) => outcome === '2xx')).toBe(true)
          expect([quick.connections, recorder.connections]).toEqual([1, 1])
        })

        test.each(['abort', 'close'] as const)(
          'ends its request once, as answered, when %s comes behind the answer',
          async (how) => {
            await answeredAtOnce(request())
            const ending = answeredAtOnce(request())
            afterWriting = () => {
              // Runs when the answer was read, and before what the reading itself put off.
              setImmediate(() => (how === 'abort' ? engine.abort(0) : void engine.close()))
            }
            expect((await ending).kind).toBe('answered')
            await engine.close()
            expect(recorder.endings).toHaveLength(2)
          },
        )
      })

      test('a pooled connection used again from inside its answer sends on the same socket', async () => {
        start()
        let left = 20
        recorder.onAnswered = (pooled) => {
          if (left-- > 0) engine.send(pooled, request('GET', `/${left}`))
        }
        engine.send(0, request())
        expect((await recorder.ending(21)).outcome).toBe('2xx')
        expect(origin.connections).toBe(1)
      })

      test('a reused connection that closes without a byte is stale, and nothing is sent twice by the engine', async () => {
        start()
        expect((await sendOne()).kind).toBe('answered')
        for (const how of [saysAndResets(''), saysAndCloses('')]) {
          origin.answer = how
          expect(await sendOne(request('POST', '/once', 'x'))).toMatchObject({ outcome: 'reset', kind: 'stale' })
          origin.answer = ok
          expect((await sendOne()).kind).toBe('answered')
        }
        expect(origin.requests.filter((r) => r.target === '/once')).toHaveLength(2)
      })

      test('a reused connection that closes inside the head of an answer is not stale', async () => {
        start()
        expect((await sendOne()).kind).toBe('answered')
        origin.answer = saysAndResets('HTTP/1.1 2')
        expect(await sendOne()).toMatchObject({ outcome: 'truncated', kind: 'answering' })
      })

      test('a connection closed while idle is replaced without a failure', async () => {
        start()
        expect((await sendOne()).kind).toBe('answered')
        origin.endAll()
        await origin.allClosed()
        expect((await sendOne()).kind).toBe('answered')
        expect(origin.connections).toBe(2)
      })

      test('bytes nobody asked for on an idle connection are not taken for an answer', async () => {
        start()
        expect((await sendOne()).outcome).toBe('2xx')
        origin.writeToAll('HTTP/1.1 500 Poison\r\nContent-Length: 0\r\n\r\n')
        // The engine has read them when it closes the connection for them.
        await origin.allClosed()
        if (limits.hidesPoison !== true) expect(recorder.poisonings).toBe(1)
        expect((await sendOne()).outcome).toBe('2xx')
        expect(origin.connections).toBe(2)
      })

      test('idle connections are closed after the keep-alive time-out', async () => {
        start({ keepAliveTimeoutMs: 50 })
        await sendOne()
        expect(origin.openSockets).toBe(1)
        await expect.poll(() => origin.openSockets, { timeout: 3_000 }).toBe(0)
      })

      test('closing the engine fails what is in flight and leaves no socket', async () => {
        start()
        origin.answer = staysSilent
        engine.send(0, request())
        engine.send(1, request())
        await origin.received(2)
        await engine.close()
        expect((await recorder.ending(2)).kind).not.toBe('answered')
        expect(recorder.endings).toHaveLength(2)
        await expect.poll(() => origin.openSockets).toBe(0)
      })
    })

    describe('bytes', () => {
      test('method, target and body arrive as given, obs-text too', async () => {
        start()
        const body = '\x00\x01\xff\xfe\r\n\r\nGET / HTTP/1.1\r\n'
        await sendOne(
          request('pUrGe', '/\xe4?q=a|b"<>{}#frag', body, ['X-Obs', 'caf\xe9', 'x-obs', 'again', 'X-Empty', '']),
        )
        const got = origin.requests[0]!
        expect(got.lines[0]).toBe('pUrGe /\xe4?q=a|b"<>{}#frag HTTP/1.1')
        expect(got.body.toString('latin1')).toBe(body)
        expect(got.lines.filter((line) => /^x-/i.test(line))).toEqual(['X-Obs: caf\xe9', 'x-obs: again', 'X-Empty: '])
      })

      test.runIf(limits.checksInSend)(
        'a request that cannot be sent is said to be, N + 1 times, and the connection goes on',
        async () => {
          start()
          const unsendable = [
            request('GET', '/with blank'),
            request('GET', '/\u0100'),
            request('GET', '/', null, ['X-Control', 'a\x01b']),
            request('B(AD', '/'),
          ]
          for (const what of unsendable) expect((await sendOne(what)).outcome).toBe('unsendable')
          expect(origin.requests).toHaveLength(0)
          await expectRecovery()
        },
      )

      test('OPTIONS * is sent, or refused beforehand', async () => {
        start()
        expect(engine.prepare(captured('GET / HTTP/1.1\nHost: h'), connection())).not.toBeNull()
        const asterisk = engine.prepare(captured('OPTIONS * HTTP/1.1\nHost: h'), connection())
        if (limits.noAsterisk === true) {
          expect(asterisk).toBeNull()
          return
        }
        await sendOne(asterisk!)
        expect(origin.requests[0]!.target).toBe('*')
      })

      test('a body of 3 MB arrives whole, and the next request on the same connection', async () => {
        start()
        const body = 'a\r\n\xff'.repeat(750_000)
        expect(await sendOne(request('PUT', '/large', body))).toMatchObject({ outcome: '2xx', kind: 'answered' })
        expect(origin.requests[0]!.body.equals(Buffer.from(body, 'latin1'))).toBe(true)
        await expectRecovery()
        expect(origin.connections).toBe(1)
      })

      test('the moment of writing is told, once for each request', async () => {
        start()
        const before = clock.nowUs()
        await sendOne()
        const between = clock.nowUs()
        await sendOne()
        expect(recorder.writtenUs).toHaveLength(2)
        expect(recorder.writtenUs[0]).toBeGreaterThan(before)
        expect(recorder.writtenUs[0]).toBeLessThan(between)
        expect(recorder.writtenUs[1]).toBeGreaterThan(between)
      })
    })
  })
}

/** Whole numbers below `n`, the same in every run: xorshift. */
function seededRandom(seed: number): (n: number) => number {
  let x = seed
  return (n) => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) % n
  }
}
