/** Live, no captured connection takes more than its share from the others, whatever the origin does. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ConnectionFacts } from '../../../src/exchange/connection.ts'
import { RATE_LIMITER_BYTES, SharedRateLimiter } from '../../../src/sinks/filter/rate-limiter.ts'
import { ENGINE_NAMES } from '../../../src/sinks/replay/engine.ts'
import { captured, connection } from './support/captured.ts'
import { closedPort, ok, RawOrigin, staysSilent } from './support/raw-origin.ts'
import { SinkRig } from './support/sink-rig.ts'

const get = (target: string, padding = 0) =>
  captured(`GET ${target} HTTP/1.1\nHost: h${padding > 0 ? `\nX-Padding: ${'x'.repeat(padding)}` : ''}`)

describe.each(ENGINE_NAMES)('over the %s engine', (engine) => {
  let origin: RawOrigin
  const rigs: SinkRig[] = []
  function rig(...[url, options, deps]: ConstructorParameters<typeof SinkRig>): SinkRig {
    const made = new SinkRig(url, { engine, ...options }, deps)
    rigs.push(made)
    return made
  }
  const targets = (prefix: string) => origin.requests.map(({ target }) => target).filter((t) => t.startsWith(prefix))

  beforeEach(async () => {
    origin = await RawOrigin.listen()
  })
  afterEach(async () => {
    for (const made of rigs.splice(0)) {
      await made.sink.close()
      made.check()
    }
    await origin.close()
  })

  describe.each([
    ['requests', { queueRequests: 100 }],
    ['bytes', { queueBytes: 100 * 500 }],
  ] as const)('a queue bounded by %s', (_what, bound) => {
    test('1 busy connection to a slow origin, 1,000 quiet ones: every quiet request is replayed', async () => {
      const waiting: (() => void)[] = []
      origin.answer = (request, socket) => {
        if (request.target.startsWith('/busy')) waiting.push(() => ok(request, socket))
        else ok(request, socket)
      }
      const to = rig(origin.url, { ...bound, connections: 8 })
      const busy = connection()
      let given = 0
      const quiet = Array.from({ length: 1000 }, () => connection())
      for (let wave = 0; wave < 50; wave++) {
        for (let i = 0; i < 40; i++) to.give(get(`/busy/${given++}`, 400), busy)
        for (let i = 0; i < 20; i++) to.give(get(`/quiet/${wave}/${i}`, 400), quiet[wave * 20 + i]!)
        // The busy connection's request is answered once in a wave.
        await expect
          .poll(() => targets('/quiet').length + waiting.length, { interval: 1, timeout: 10_000 })
          .toBe(20 * (wave + 1) + 1)
        waiting.shift()!()
        await expect.poll(() => waiting.length, { interval: 1, timeout: 10_000 }).toBe(1)
      }
      expect(targets('/quiet')).toHaveLength(1000)
      expect(to.drops.queueFull).toBeGreaterThan(1500)
      // Every drop was the busy connection's.
      origin.answer = ok
      for (const answer of waiting) answer()
      await to.drain()
      expect(to.outcomes['2xx']).toBe(1000 + targets('/busy').length)
      expect(targets('/busy').length + to.drops.queueFull!).toBe(given)
      const numbers = targets('/busy').map((target) => Number(target.slice('/busy/'.length)))
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    })

    test('newcomers take from the longest queue until all have the same, and then nobody loses what is queued', async () => {
      origin.answer = staysSilent
      const to = rig(origin.url, { ...bound, connections: 1 })
      const busy = connection()
      to.give(get('/plug'), connection())
      await origin.received(1)
      for (let i = 0; i < 200; i++) to.give(get(`/busy/${i}`, 400), busy)
      const before = to.drops.queueFull!
      expect(before).toBeGreaterThan(50)
      for (let i = 0; i < 150; i++) to.give(get(`/quiet/${i}`, 400), connection())
      const plug = origin.requests[0]!
      expect(plug.target).toBe('/plug')
      origin.answer = ok
      origin.writeToAll('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      await to.drain()
      const busySent = targets('/busy')
      expect(busySent.length).toBeLessThanOrEqual(2)
      expect(busySent).toEqual(Array.from(busySent, (_target, i) => `/busy/${i}`))
      // Those that came first, without a break.
      const quietSent = targets('/quiet')
      expect(quietSent.length).toBeGreaterThan(80)
      expect(quietSent).toEqual(Array.from(quietSent, (_target, i) => `/quiet/${i}`))
    })
  })

  test('whoever lost a request had at least as many queued as anybody, and keeps an unbroken beginning', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(6), { maxLength: 120 }),
        fc.integer({ min: 1, max: 40 }),
        async (order, queueRequests) => {
          origin.requests.length = 0
          origin.answer = staysSilent
          const to = new SinkRig(origin.url, { engine, connections: 1, queueRequests })
          to.give(get('/plug'), connection())
          await origin.received(1)
          const from = Array.from({ length: 7 }, () => connection())
          const given = from.map(() => 0)
          for (const who of order) to.give(get(`/${who}/${given[who]!++}`), from[who]!)
          origin.answer = ok
          origin.writeToAll('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
          await to.drain()
          const sent = from.map((_from, who) => targets(`/${who}/`))
          const most = Math.max(...sent.map(({ length }) => length))
          for (const [who, own] of sent.entries()) {
            expect(own).toEqual(Array.from(own, (_target, i) => `/${who}/${i}`))
            if (own.length < given[who]!) expect(own.length).toBeGreaterThanOrEqual(most - 1)
          }
          expect(sent.flat()).toHaveLength(Math.min(order.length, queueRequests))
          await to.sink.close()
        },
      ),
      { numRuns: 40 },
    )
  })

  test('with --order none connections take turns, however much one of them has', async () => {
    origin.answer = staysSilent
    const to = rig(origin.url, { order: 'none', connections: 1 })
    to.give(get('/plug'), connection())
    await origin.received(1)
    const busy = connection()
    for (let i = 0; i < 20; i++) to.give(get(`/busy/${i}`), busy)
    for (let i = 0; i < 5; i++) to.give(get(`/quiet/${i}`), connection())
    origin.answer = ok
    origin.writeToAll('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await to.drain()
    expect(origin.requests.slice(1, 8).map(({ target }) => target)).toEqual([
      '/busy/0',
      ...[0, 1, 2, 3, 4].map((i) => `/quiet/${i}`),
      '/busy/1',
    ])
  })

  test('files: one busy connection fills the queue, the reader waits, and nothing is dropped', async () => {
    const to = rig(origin.url, { shed: false, connections: 4, queueRequests: 50 })
    const busy = connection()
    const feed: [string, ConnectionFacts][] = []
    for (let i = 0; i < 2000; i++) feed.push(i % 20 === 19 ? [`/quiet/${i}`, connection()] : [`/busy/${i}`, busy])
    let at = 0
    while (at < feed.length) {
      while (at < feed.length && to.sink.hasRoom()) {
        const [target, from] = feed[at++]!
        to.give(get(target), from)
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await to.drain()
    expect(to.drops).toEqual({})
    expect(to.outcomes).toEqual({ '2xx': 2000 })
  })

  describe('--rate', () => {
    /** Three requests at once, and never more: the clock stands. */
    const three = () => {
      const clock = { nowUs: () => 1_700_000_000_000_500 }
      return new SharedRateLimiter(new SharedArrayBuffer(RATE_LIMITER_BYTES), 100, clock, 3)
    }

    test('counts requests that leave, not those that find the queue full', async () => {
      origin.answer = staysSilent
      const to = rig(origin.url, { connections: 1, queueRequests: 1 }, { rateLimiter: three() })
      to.give(get('/1'), connection())
      await origin.received(1)
      to.give(get('/2'), connection())
      for (let i = 0; i < 10; i++) to.give(get('/full'), connection())
      expect(to.drops).toEqual({ queueFull: 10 })
      origin.answer = ok
      origin.writeToAll('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      await to.drain()
      to.give(get('/3'), connection())
      to.give(get('/beyond'), connection())
      await to.drain()
      expect(to.drops).toEqual({ queueFull: 10, rateLimited: 1 })
      expect(origin.requests.map(({ target }) => target)).toEqual(['/1', '/2', '/3'])
    })

    test('counts nothing while the circuit breaker is open', async () => {
      const port = await closedPort()
      const to = rig(
        new URL(`http://127.0.0.1:${port}`),
        // The first failure opens it, and it stays open for the length of the test.
        { connections: 1, circuitFailures: 1, circuitOpenMs: 600_000, circuitMaxOpenMs: 600_000, queueRequests: 5 },
        { rateLimiter: three() },
      )
      to.give(get('/1'), connection())
      await expect.poll(() => to.count('circuitOpen')).toBe(1)
      for (let i = 0; i < 20; i++) to.give(get('/waits'), connection())
      expect(to.count('replayQueued')).toBe(5)
      expect(to.drops).toEqual({ circuitOpen: 15 })
    })

    test('a request whose turn comes without the rate for it waits, and newcomers are refused meanwhile', async () => {
      const time = { us: 1_700_000_000_000_500, nowUs: () => time.us }
      const rateLimiter = new SharedRateLimiter(new SharedArrayBuffer(RATE_LIMITER_BYTES), 100, time, 1)
      const waiting: (() => void)[] = []
      origin.answer = (request, socket) => waiting.push(() => ok(request, socket))
      const to = rig(origin.url, { connections: 4 }, { rateLimiter })
      const one = connection()
      to.give(get('/1'), one)
      await origin.received(1)
      // The rate has one to give again, but this one has to wait for the answer to the one before.
      time.us += 10_000
      to.give(get('/2'), one)
      // Which is why another may have it.
      to.give(get('/other'), connection())
      await origin.received(2)
      waiting[0]!()
      await expect.poll(() => to.outcomes['2xx']).toBe(1)
      expect(to.count('replayQueued')).toBe(1)
      to.give(get('/new'), connection())
      expect(to.drops).toEqual({ rateLimited: 1 })
      time.us += 10_000
      to.give(get('/new'), connection())
      expect(to.drops).toEqual({ rateLimited: 2 })
      await origin.received(3)
      expect(origin.requests.map(({ target }) => target)).toEqual(['/1', '/other', '/2'])
      origin.answer = ok
      for (const answer of waiting) answer()
      await to.sink.close()
    })
  })
})
