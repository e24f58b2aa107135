import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { until } from '../support/until.ts'
import { expectBalance, expectIdentity, sum } from './support/identity.ts'
import { ANY_PORT, Bench, Live, openOrigin, Traffic } from './support/live-process.ts'

const hasKoffi = await koffiAvailable()
let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.end())

describe('SIGTERM while packets come as fast as they can be sent', () => {
  test.each([
    { receivers: '1', workers: '2' },
    { receivers: '1', workers: '0' },
    ...(hasKoffi ? [{ receivers: '2', workers: '1' }] : []),
  ])(
    '$receivers receivers, $workers workers: stops receiving, finishes what came, ends with 0; the counts balance',
    async ({ receivers, workers }) => {
      const live = await Live.open(bench, [
        ...ANY_PORT,
        ...['--to', 'null', '--receivers', receivers, '--workers', workers],
      ])
      let isSending = true
      const traffic = new Traffic(5, { connections: 3000, requestsPerConnection: 10 })
      const sending = traffic.send(live.port, null, () => isSending)
      await until('packets come', async () => sum(Object.fromEntries(await live.metrics().then(received))) > 2_000)
      expectIdentity(await live.metrics())
      const sentBefore = traffic.sent
      live.signal('SIGTERM')
      const toldMs = performance.now()
      const { code } = await live.end()
      const drainMs = performance.now() - toldMs
      const hadMore = traffic.sent > sentBefore && traffic.sent < traffic.packets
      isSending = false
      await sending
      expect(code, live.said.join('\n')).toBe(0)
      // The time-out is for answers, which null does not wait for.
      expect(drainMs).toBeLessThan(15_000)
      const summary = live.summary()
      expectBalance(summary)
      expect(summary.packets.received).toBeGreaterThan(2_000)
      // Whoever sent on after it had stopped is the kernel's: refused while the socket was there, or told that the port is closed.
      expect(summary.packets.received + (summary.packets.kernelDropped ?? 0)).toBeLessThanOrEqual(traffic.sent)
      expect(hadMore, 'the sender was still sending when the process ended').toBe(true)
    },
  )
})

test('answers that do not come are waited for up to --drain-timeout-ms; what is left is counted as drainTimeout', async () => {
  const origin = await openOrigin(bench, null)
  const live = await Live.open(bench, [
    ...ANY_PORT,
    ...['--to', origin.url, '--workers', '2', '--drain-timeout-ms', '1s', '--connections', '8'],
  ])
  const traffic = new Traffic(5, { connections: 40, requestsPerConnection: 5 })
  await traffic.send(live.port, 5_000)
  await until('requests wait', async () => (await live.metrics()).get('mirrorshard_requests_held') === 200)
  live.signal('SIGTERM')
  await live.line('draining')
  const toldMs = performance.now()
  expect(await live.health()).toEqual({ status: 503, reason: 'draining' })
  expectIdentity(await live.metrics())
  const { code } = await live.end()
  expect(code).toBe(0)
  expect(performance.now() - toldMs).toBeGreaterThan(700)
  expect(performance.now() - toldMs).toBeLessThan(15_000)
  const summary = live.summary()
  expectBalance(summary)
  expect(summary.requests.dropped.drainTimeout).toBe(200 - sum(summary.requests.replayed))
})

test('a second signal ends the process at once', async () => {
  const origin = await openOrigin(bench, null)
  for (const [second, code] of [
    ['SIGTERM', 1],
    ['SIGINT', 130],
  ] as const) {
    const live = await Live.open(bench, [...ANY_PORT, '--to', origin.url, '--drain-timeout-ms', '60s'])
    const traffic = new Traffic(5, { connections: 10, requestsPerConnection: 5 })
    await traffic.send(live.port, 5_000)
    await until('requests wait', async () => (await live.metrics()).get('mirrorshard_requests_held') === 50)
    live.signal('SIGTERM')
    await live.line('draining')
    await sleep(200)
    expect(live.child.exitCode).toBe(null)
    live.signal(second)
    expect((await live.end(10_000)).code).toBe(code)
  }
})

test.each(['throw', 'spin'])(
  'a shard that breaks by %s while it drains is accounted for and not waited for',
  async (kind) => {
    const origin = await openOrigin(bench, null)
    const live = await Live.open(bench, [
      ...ANY_PORT,
      ...['--to', origin.url, '--workers', '2', '--drain-timeout-ms', '4s'],
    ])
    const traffic = new Traffic(5, { connections: 40, requestsPerConnection: 5 })
    await traffic.send(live.port, 5_000)
    await until('requests wait', async () => (await live.metrics()).get('mirrorshard_requests_held') === 200)
    live.signal('SIGTERM')
    await live.line('draining')
    await sleep(300)
    await live.break(`shard=0&kind=${kind}`)
    const { code } = await live.end()
    expect(code, live.said.join('\n')).toBe(0)
    const summary = live.summary()
    expectBalance(summary)
    expect(summary.requests.dropped.shardLost).toBeGreaterThan(0)
    expect(summary.requests.dropped.drainTimeout).toBeGreaterThan(0)
  },
)

function received(samples: ReadonlyMap<string, number>): [string, number][] {
  return [['packets', samples.get('mirrorshard_source_packets_total') ?? 0]]
}
