import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../../src/base/clock.ts'
import { ADDED_LATENCIES } from '../../../src/metrics/counters.ts'
import { ADDED_LATENCY_BUCKETS } from '../../../src/metrics/time-buckets.ts'
import { RATE_LIMITER_BYTES, SharedRateLimiter } from '../../../src/sinks/filter/rate-limiter.ts'
import { ENGINE_NAMES } from '../../../src/sinks/replay/engine.ts'
import { captured, connection } from './support/captured.ts'
import { latencyCount } from './support/ledger.ts'
import {
  closedPort,
  ok,
  RawOrigin,
  type RawRequest,
  says,
  saysAndCloses,
  saysAndResets,
  staysSilent,
} from './support/raw-origin.ts'
import { SinkRig } from './support/sink-rig.ts'

const get = (target = '/') => captured(`GET ${target} HTTP/1.1\nHost: h`)
const post = (target: string, body = 'body') =>
  captured(`POST ${target} HTTP/1.1\nContent-Length: ${body.length}`, body)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe.each(ENGINE_NAMES)('over the %s engine', (engine) => {
  let origin: RawOrigin
  const rigs: SinkRig[] = []
  function rig(...[url, options, deps]: ConstructorParameters<typeof SinkRig>): SinkRig {
    const made = new SinkRig(url, { engine, ...options }, deps)
    rigs.push(made)
    return made
  }

  beforeEach(async () => {
    origin = await RawOrigin.listen()
  })
  afterEach(async () => {
    for (const made of rigs.splice(0)) {
      await made.sink.close()
      await made.sink.close()
      made.check()
      expect(made.sink.held).toBe(0)
    }
    await origin.close()
  })

  /** A connection that closes as soon as its requests are given. */
  function giveAll(to: SinkRig, targets: readonly string[]): void {
    const from = connection()
    for (const target of targets) to.give(get(target), from)
    to.close(from)
  }

  describe('order', () => {
    test('requests of a connection arrive in order, the next one after the answer to the one before', async () => {
      const waiting: [RawRequest, () => void][] = []
      origin.answer = (request, socket) => waiting.push([request, () => ok(request, socket)])
      const to = rig(origin.url)
      giveAll(to, ['/a1', '/a2', '/a3'])
      for (const target of ['/a1', '/a2', '/a3']) {
        await origin.received(origin.requests.length + (waiting.length === 0 ? 1 : 0))
        await pause(5)
        expect(waiting.map(([request]) => request.target)).toEqual([target])
        waiting.shift()![1]()
      }
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 3 })
    })

    test('a connection that waits holds up no other', async () => {
      let answerSlow = () => {}
      origin.answer = (request, socket) => {
        if (request.target !== '/slow') ok(request, socket)
        else answerSlow = () => ok(request, socket)
      }
      const to = rig(origin.url, { connections: 2 })
      giveAll(to, ['/slow', '/behind'])
      for (let i = 0; i < 50; i++) giveAll(to, [`/fast/${i}`, `/fast/${i}`])
      await expect.poll(() => to.outcomes['2xx'], { timeout: 20_000 }).toBe(100)
      expect(origin.requests.some((request) => request.target === '/behind')).toBe(false)
      expect(to.sink.unsettledConnections).toBe(1)
      answerSlow()
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 102 })
      expect(origin.requests.at(-1)!.target).toBe('/behind')
    })

    test('with --order none a connection’s requests are in flight together', async () => {
      origin.answer = staysSilent
      const to = rig(origin.url, { order: 'none', connections: 4 })
      giveAll(to, ['/1', '/2', '/3', '/4', '/5'])
      await origin.received(4)
      expect([to.count('replayInFlight'), to.count('replayQueued')]).toEqual([4, 1])
      origin.answer = ok
      await to.sink.drain(0)
      expect(to.drops).toEqual({ drainTimeout: 5 })
    })

    test('a failed request does not stop its connection', async () => {
      origin.answer = (request, socket) =>
        request.target === '/bad' ? saysAndCloses('HTTP/1.1 2')(request, socket) : ok(request, socket)
      const to = rig(origin.url)
      giveAll(to, ['/1', '/bad', '/2'])
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 2, truncated: 1 })
      expect(origin.requests.map((request) => request.target)).toEqual(['/1', '/bad', '/2'])
    })

    test('never more in flight than connections', async () => {
      let most = 0
      let now = 0
      origin.answer = (request, socket) => {
        most = Math.max(most, ++now)
        setTimeout(() => {
          now--
          ok(request, socket)
        }, 3)
      }
      const to = rig(origin.url, { connections: 3 })
      for (let i = 0; i < 60; i++) giveAll(to, ['/x', '/y'])
      await to.drain()
      expect(most).toBe(3)
      expect(origin.connections).toBe(3)
      expect(to.count('replayConnections')).toBe(3)
    })
  })

  describe('outcomes', () => {
    test('each status has its class, and the body of the answer is counted', async () => {
      origin.answer = (request, socket) =>
        says(`HTTP/1.1 ${request.target.slice(1)} X\r\nContent-Length: 3\r\n\r\nabc`)(request, socket)
      const to = rig(origin.url)
      for (const status of [200, 201, 302, 404, 418, 500, 599]) to.give(get(`/${status}`), connection())
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 2, '3xx': 1, '4xx': 2, '5xx': 2 })
      expect(to.count('replayBodyBytes')).toBe(21)
      expect(latencyCount(to.counters)).toBe(7)
      expect(to.count('latencySumUs')).toBeGreaterThan(0)
    })

    test('filters drop before anything is queued, each with its reason', async () => {
      const to = rig(origin.url, { exclude: ['/no*'] })
      to.give(captured('CONNECT h:443 HTTP/1.1'), connection())
      to.give(captured('GET / HTTP/1.1\nUpgrade: websocket\nConnection: upgrade'), connection())
      to.give(captured('GET / HTTP/1.1\nX-Mirrorshard: 1'), connection())
      to.give(get('/nothing'), connection())
      to.give(captured('GET ftp://h/ HTTP/1.1'), connection())
      expect(to.drops).toEqual({ connect: 1, upgrade: 1, loop: 1, path: 1, unsendable: 1 })
      expect(to.sink.held).toBe(0)
      await to.drain()
    })

    test('N + 1 requests that the engine refuses stop nothing', async () => {
      const to = rig(origin.url, { connections: 3 })
      const from = connection()
      // undici takes this one and refuses it later; over the wire there is no such request.
      const refused = engine === 'undici' ? 'GET / HTTP/1.1\nX-A: \x01' : 'GET h/x HTTP/1.1'
      for (let i = 0; i < 10; i++) to.give(captured(refused), i % 2 === 0 ? from : connection())
      for (let i = 0; i < 10; i++) to.give(get(), i % 2 === 0 ? from : connection())
      await to.drain()
      expect(to.drops).toEqual({ unsendable: 10 })
      expect(to.outcomes).toEqual({ '2xx': 10 })
    })
  })

  describe('added latency', () => {
    const added = (to: SinkRig) =>
      Array.from({ length: ADDED_LATENCY_BUCKETS.count }, (_, i) => i).filter(
        (i) => to.counters.get(ADDED_LATENCIES + i) > 0,
      )

    test('live: from the last packet of a request to its writing', async () => {
      const clock = { nowUs: () => 1_000_000_000 }
      const to = rig(origin.url, { shed: true }, { clock })
      const message = get()
      message.lastUs = clock.nowUs() - 250_000
      to.give(message, connection())
      await to.drain()
      const [bucket, ...more] = added(to)
      expect(more).toEqual([])
      expect(ADDED_LATENCY_BUCKETS.end(bucket!)).toBeGreaterThan(250_000)
      expect(to.count('addedLatencySumUs')).toBe(250_000)
    })

    test('a request that waits for its turn waits in it, too', async () => {
      const clock = { us: 1_000_000_000, nowUs: () => clock.us }
      origin.answer = (request, socket) => {
        clock.us += 60_000
        ok(request, socket)
      }
      const to = rig(origin.url, { shed: true }, { clock })
      const from = connection()
      for (let i = 0; i < 3; i++) {
        const message = get()
        message.lastUs = clock.nowUs()
        to.give(message, from)
      }
      await to.drain()
      expect(to.count('addedLatencySumUs')).toBe(60_000 + 120_000)
    })

    test('a request that is sent again counts once; one that does not leave, not at all', async () => {
      const to = rig(origin.url, { shed: true, exclude: ['/no'] })
      to.give(get('/1'), connection())
      await to.drain()
      origin.answer = (request, socket) => (request.onConnection > 1 ? socket.destroy() : ok(request, socket))
      to.give(get('/2'), connection())
      to.give(get('/no'), connection())
      await to.drain()
      expect(to.count('replayRetries')).toBe(1)
      expect(added(to).reduce((n, i) => n + to.counters.get(ADDED_LATENCIES + i), 0)).toBe(2)
    })

    test('files have none: their packets tell another time', async () => {
      const to = rig(origin.url, { shed: false })
      to.give(get(), connection())
      await to.drain()
      expect(added(to)).toEqual([])
    })
  })

  describe('an origin connection that is of no more use', () => {
    test('idle connections are closed though nothing is sent any more', async () => {
      const to = rig(origin.url, { keepAliveTimeoutMs: 300 })
      to.give(get(), connection())
      await to.drain()
      expect(origin.openSockets).toBe(1)
      await origin.allClosed()
      to.give(get(), connection())
      await to.drain()
      expect(origin.connections).toBe(2)
    })

    test.runIf(engine === 'wire')('bytes that answer nothing are counted', async () => {
      origin.answer = says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more')
      const to = rig(origin.url)
      to.give(get(), connection())
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 1 })
      expect(to.count('replayPoisoned')).toBe(1)
    })
  })

  describe('retry', () => {
    /** Answers the first request of each connection and drops the connection at the second. */
    const closesAtSecond = (request: RawRequest, socket: Parameters<typeof ok>[1]) =>
      request.onConnection === 1 ? ok(request, socket) : saysAndCloses('')(request, socket)

    test.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])(
      '%s on a reused connection that closed is sent once more',
      async (method) => {
        origin.answer = closesAtSecond
        const to = rig(origin.url, { connections: 1 })
        giveAll(to, ['/first'])
        await to.drain()
        to.give(captured(`${method} /second HTTP/1.1`), connection())
        await to.sink.drain(5_000)
        expect(to.outcomes).toEqual({ '2xx': 2 })
        expect(to.count('replayRetries')).toBe(1)
        expect(to.count('circuitOpened')).toBe(0)
      },
    )

    test.each(['POST', 'PATCH', 'PURGE', 'get'])('%s is not: it may have been done', async (method) => {
      origin.answer = closesAtSecond
      const to = rig(origin.url, { connections: 1 })
      giveAll(to, ['/first'])
      await to.drain()
      to.give(captured(`${method} /second HTTP/1.1`), connection())
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 1, reset: 1 })
      expect(origin.requests.filter((request) => request.target === '/second')).toHaveLength(1)
      expect(to.count('replayRetries')).toBe(0)
    })

    test('not on a new connection, and not after a byte of an answer', async () => {
      origin.answer = saysAndResets('')
      const to = rig(origin.url, { connections: 1 })
      giveAll(to, ['/new'])
      await to.drain()
      origin.answer = ok
      giveAll(to, ['/'])
      await to.drain()
      origin.answer = saysAndResets('H')
      giveAll(to, ['/byte'])
      await to.drain()
      expect(to.outcomes).toEqual({ reset: 1, '2xx': 1, truncated: 1 })
      expect(to.count('replayRetries')).toBe(0)
    })

    test('once only, and in its place in the order', async () => {
      const to = rig(origin.url, { connections: 1 })
      giveAll(to, ['/0'])
      await to.drain()
      let failuresLeft = 2
      origin.answer = (request, socket) =>
        failuresLeft-- > 0 ? saysAndCloses('')(request, socket) : ok(request, socket)
      giveAll(to, ['/1', '/2'])
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 2, reset: 1 })
      expect(origin.requests.map((request) => request.target)).toEqual(['/0', '/1', '/1', '/2'])
    })

    test('no POST arrives twice, whenever the origin hangs up', async () => {
      const to = rig(origin.url, { connections: 4, circuitFailures: 1_000_000 })
      let n = 0
      origin.answer = (request, socket) => {
        const how = [
          ok,
          ok,
          saysAndCloses(''),
          saysAndResets(''),
          saysAndCloses('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
        ]
        n += 7
        how[n % how.length]!(request, socket)
      }
      for (let i = 0; i < 40; i++) {
        const from = connection()
        for (let j = 0; j < 10; j++) to.give(j % 3 === 0 ? get(`/g/${i}/${j}`) : post(`/p/${i}/${j}`), from)
        to.close(from)
        if (i % 5 === 0) await pause(2)
      }
      await to.drain()
      const posts = origin.requests
        .filter((request) => request.lines[0]!.startsWith('POST'))
        .map((request) => request.target)
      expect(new Set(posts).size).toBe(posts.length)
    })
  })

  describe('bounds, live', () => {
    test('beyond --queue-requests and --queue-bytes: queueFull, and what is queued stays', async () => {
      origin.answer = staysSilent
      const to = rig(origin.url, { connections: 1, queueRequests: 5, requestTimeoutMs: 100 })
      giveAll(to, ['/0', '/1', '/2', '/3', '/4', '/5', '/6', '/7'])
      expect(to.drops).toEqual({ queueFull: 2 })
      expect(to.sink.held).toBe(6)
      await to.drain()
      expect(to.outcomes).toEqual({ timeout: 6 })

      const small = rig(origin.url, { connections: 1, queueBytes: 3_000, requestTimeoutMs: 100 })
      small.give(post('/large', 'x'.repeat(5_000)), connection())
      small.give(get(), connection())
      expect(small.drops).toEqual({ queueFull: 1 })
      await small.drain()
      for (let i = 0; i < 5; i++) small.give(post('/', 'x'.repeat(900)), connection())
      expect(small.drops).toEqual({ queueFull: 3 })
      expect(small.count('replayQueuedBytes')).toBeLessThanOrEqual(3_000)
      await small.drain()
    })

    test('--rate drops what is beyond it', async () => {
      const clock = { nowUs: () => 1_700_000_000_000_500 }
      const rateLimiter = new SharedRateLimiter(new SharedArrayBuffer(RATE_LIMITER_BYTES), 100, clock, 3)
      const to = rig(origin.url, {}, { rateLimiter })
      for (let i = 0; i < 10; i++) giveAll(to, ['/'])
      await to.drain()
      expect(to.drops).toEqual({ rateLimited: 7 })
      expect(to.outcomes).toEqual({ '2xx': 3 })
    })
  })

  describe('bounds, offline', () => {
    test('nothing is dropped: hasRoom holds back the feeder', async () => {
      const to = rig(origin.url, { shed: false, connections: 2, queueRequests: 10, queueBytes: 100_000 })
      for (let i = 0; i < 500; ) {
        // The feeder looks between packets, and a packet may bring several requests.
        while (i < 500 && to.sink.hasRoom()) {
          giveAll(to, [`/${i++}`, `/${i++}`, `/${i++}`, `/${i++}`])
          expect(to.count('replayQueued')).toBeLessThan(14)
        }
        await pause(1)
      }
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 500 })
      expect(to.drops).toEqual({})
    })

    test('a feeder waits while there is work for every connection, and reads on while there is not', async () => {
      const to = rig(origin.url, { shed: false, connections: 2 })
      let given = 0
      for (; to.sink.hasRoom(); given++) giveAll(to, ['/'])
      // Two are in flight.
      expect(given).toBe(258)
      await to.drain()
      const [one, two] = [connection(), connection()]
      for (let i = 0; i < 1_000; i++) to.give(get('/'), one)
      // One captured connection keeps one busy.
      expect(to.sink.hasRoom()).toBe(true)
      for (let i = 0; i < 2; i++) to.give(get('/'), two)
      expect(to.sink.hasRoom()).toBe(false)
      await to.drain()
      expect(to.sink.hasRoom()).toBe(true)
      expect(to.outcomes).toEqual({ '2xx': 1_260 })
    })

    test('bytes close the door too', async () => {
      const to = rig(origin.url, { shed: false, connections: 1, queueBytes: 2_000 })
      expect(to.sink.hasRoom()).toBe(true)
      for (let i = 0; i < 3; i++) to.give(post('/', 'x'.repeat(1_000)), connection())
      expect(to.sink.hasRoom()).toBe(false)
      await to.drain()
      expect(to.sink.hasRoom()).toBe(true)
    })

    test('--rate delays, and drops nothing', async () => {
      const rateLimiter = new SharedRateLimiter(new SharedArrayBuffer(RATE_LIMITER_BYTES), 200, new MonotonicClock(), 5)
      const to = rig(origin.url, { shed: false }, { rateLimiter })
      const before = performance.now()
      for (let i = 0; i < 45; i++) giveAll(to, ['/'])
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 45 })
      // 40 after the burst, at 200/s.
      expect(performance.now() - before).toBeGreaterThan(180)
    })
  })

  describe('an origin that is down', () => {
    test('live: a few are refused, the queue waits, and everything queued is replayed when it is back', async () => {
      const port = await closedPort()
      const to = rig(new URL(`http://127.0.0.1:${port}`), {
        connections: 8,
        circuitFailures: 3,
        circuitOpenMs: 40,
        queueRequests: 100,
      })
      for (let i = 0; i < 90; i++) giveAll(to, ['/'])
      await expect.poll(() => to.count('circuitOpen')).toBe(1)
      await pause(150)
      // The first volley, and one probe per pause: not the queue.
      const refused = to.outcomes.refused!
      expect(refused).toBeGreaterThanOrEqual(3)
      expect(refused).toBeLessThan(20)
      for (let i = 0; i < 50; i++) giveAll(to, ['/'])
      expect(to.drops.circuitOpen).toBeGreaterThan(20)
      expect(to.drops.queueFull).toBeUndefined()

      const back = await RawOrigin.listen(ok, port)
      await to.drain()
      expect(to.count('circuitOpen')).toBe(0)
      expect(to.count('circuitOpened')).toBe(1)
      expect(to.outcomes['2xx']).toBeGreaterThan(70)
      await to.sink.close()
      await back.close()
    })

    test('live: what waited as long as an answer may take is dropped, and memory stays bounded', async () => {
      const to = rig(new URL(`http://127.0.0.1:${await closedPort()}`), {
        connections: 2,
        circuitFailures: 2,
        circuitOpenMs: 2_000,
        requestTimeoutMs: 120,
        queueRequests: 20,
      })
      for (let round = 0; round < 10; round++) {
        for (let i = 0; i < 10; i++) giveAll(to, ['/', '/'])
        expect(to.sink.held).toBeLessThanOrEqual(22)
        await pause(20)
      }
      await to.drain()
      expect((to.drops.circuitOpen ?? 0) + (to.outcomes.refused ?? 0)).toBe(200)
      expect(to.count('replayQueuedBytes')).toBe(0)
    })

    test('live: an origin that restarts under load loses what was in flight, not the queue', async () => {
      const to = rig(origin.url, { connections: 8, circuitFailures: 3, circuitOpenMs: 30, queueRequests: 10_000 })
      const port = origin.port
      origin.answer = (request, socket) => setTimeout(() => ok(request, socket), 2)
      for (let i = 0; i < 100; i++) giveAll(to, Array(5).fill('/'))
      await origin.received(100)
      await origin.close()
      await pause(100)
      origin = await RawOrigin.listen(ok, port)
      await to.drain()
      expect(to.outcomes['2xx']).toBeGreaterThan(450)
      expect(to.drops).toEqual({})
    })

    test('offline: after five seconds (here 200 ms) without an answer it is given up, and the file ends quickly', async () => {
      const to = rig(new URL(`http://127.0.0.1:${await closedPort()}`), {
        shed: false,
        connections: 4,
        circuitFailures: 3,
        circuitOpenMs: 30,
        offlineGiveUpMs: 200,
        queueRequests: 10,
      })
      const before = performance.now()
      for (let i = 0; i < 2_000; ) {
        while (i < 2_000 && to.sink.hasRoom()) {
          giveAll(to, ['/'])
          i++
        }
        await pause(1)
      }
      await to.drain()
      // Not the seconds that 2,000 probes would take.
      expect(performance.now() - before).toBeLessThan(10_000)
      expect(to.outcomes.refused).toBeGreaterThanOrEqual(3)
      expect(to.drops).toEqual({ circuitOpen: 2_000 - to.outcomes.refused! })
    })

    test('offline: one that comes back before that loses nothing that was queued', async () => {
      const port = await closedPort()
      const to = rig(new URL(`http://127.0.0.1:${port}`), {
        shed: false,
        connections: 2,
        circuitFailures: 2,
        circuitOpenMs: 50,
      })
      for (let i = 0; i < 20; i++) giveAll(to, ['/'])
      await expect.poll(() => to.count('circuitOpen')).toBe(1)
      expect(to.sink.hasRoom()).toBe(false)
      const back = await RawOrigin.listen(ok, port)
      await to.drain()
      expect(to.sink.hasRoom()).toBe(true)
      expect(to.drops).toEqual({})
      expect(to.outcomes['2xx']! + to.outcomes.refused!).toBe(20)
      expect(to.outcomes['2xx']).toBeGreaterThan(14)
      await to.sink.close()
      await back.close()
    })

    test('an origin that resets every connection opens the circuit, one that is slow does not', async () => {
      origin.answer = saysAndResets('')
      const to = rig(origin.url, { connections: 4, circuitFailures: 3, circuitOpenMs: 5_000 })
      for (let i = 0; i < 20; i++) giveAll(to, ['/'])
      await expect.poll(() => to.count('circuitOpen')).toBe(1)
      expect(to.outcomes.reset).toBeLessThan(10)

      origin.answer = staysSilent
      // Long enough that also a busy machine connects within it: the time-out bounds connecting, too.
      const slow = rig(origin.url, { connections: 10, circuitFailures: 3, requestTimeoutMs: 500 })
      for (let i = 0; i < 20; i++) giveAll(slow, ['/'])
      await slow.drain()
      expect(slow.outcomes).toEqual({ timeout: 20 })
      expect(slow.count('circuitOpened')).toBe(0)
    })
  })

  describe('ending', () => {
    test('drain waits for what is held', async () => {
      origin.answer = (request, socket) => setTimeout(() => ok(request, socket), 30)
      const to = rig(origin.url, { connections: 1 })
      giveAll(to, ['/1', '/2'])
      await Promise.all([to.drain(), to.drain()])
      expect(to.outcomes).toEqual({ '2xx': 2 })
    })

    test('past its limit, what is queued or in flight is dropped as drainTimeout, once', async () => {
      origin.answer = staysSilent
      const to = rig(origin.url, { connections: 2 })
      giveAll(to, ['/1', '/2'])
      giveAll(to, ['/3'])
      await origin.received(2)
      await to.drain(30)
      expect(to.drops).toEqual({ drainTimeout: 3 })
      await pause(20)
      to.check()
      origin.answer = ok
      giveAll(to, ['/again', '/again'])
      await to.drain()
      expect(to.outcomes).toEqual({ '2xx': 2 })
    })

    test('closing leaves no socket, no timer and nothing held, and takes nothing more', async () => {
      const active = () => process.getActiveResourcesInfo().filter((name) => /Timeout|TCPSocketWrap/.test(name)).length
      origin.answer = staysSilent
      const to = rig(origin.url, { connections: 3 })
      for (let i = 0; i < 5; i++) giveAll(to, ['/'])
      await origin.received(3)
      await to.sink.close()
      await expect.poll(() => origin.openSockets).toBe(0)
      to.give(get(), connection())
      expect(to.drops).toEqual({ drainTimeout: 6 })
      const before = active()
      await pause(50)
      expect(active()).toBeLessThanOrEqual(before)
    })

    test('an origin that is more than an origin is a configuration error', () => {
      for (const url of ['http://u:p@h/', 'http://h/path', 'http://h/?q', 'ftp://h/']) {
        expect(() => new SinkRig(new URL(url))).toThrow(expect.objectContaining({ code: 'ERR_ORIGIN' }))
      }
    })
  })

  test('given = drops + outcomes + held after every step, whatever the origin does', async () => {
    const behaviours = [
      ok,
      says('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n'),
      says('garbage\r\n\r\n'),
      says('HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n'),
      saysAndCloses('HTTP/1.1 200 OK\r\n\r\nbody'),
      saysAndCloses('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbody'),
      saysAndResets(''),
      saysAndCloses(''),
      staysSilent,
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          behaviour: fc.array(fc.nat(behaviours.length - 1), { minLength: 1, maxLength: 12 }),
          options: fc.record({
            connections: fc.integer({ min: 1, max: 5 }),
            order: fc.constantFrom('connection' as const, 'none' as const),
            queueRequests: fc.integer({ min: 1, max: 60 }),
            circuitFailures: fc.integer({ min: 1, max: 4 }),
            shed: fc.boolean(),
          }),
          requests: fc.array(fc.record({ from: fc.nat(6), isPost: fc.boolean(), waits: fc.nat(9) }), { maxLength: 60 }),
          drainMs: fc.constantFrom(0, 20, 5_000),
        }),
        async ({ behaviour, options, requests, drainMs }) => {
          let n = 0
          origin.answer = (request, socket) => behaviours[behaviour[n++ % behaviour.length]!]!(request, socket)
          const to = new SinkRig(origin.url, {
            ...options,
            circuitOpenMs: 5,
            requestTimeoutMs: 40,
            offlineGiveUpMs: 60,
          })
          const connections = Array.from({ length: 7 }, () => connection())
          for (const { from, isPost, waits } of requests) {
            to.give(isPost ? post('/p') : get('/g'), connections[from]!)
            if (waits === 0) await pause(1)
          }
          for (const from of connections) to.close(from)
          await to.drain(drainMs)
          await to.sink.close()
          to.check()
        },
      ),
      { numRuns: 60 },
    )
  })
})
