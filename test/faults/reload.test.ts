import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { byLabel } from '../../bench/support/prometheus.ts'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { until } from '../support/until.ts'
import { expectBalance, expectIdentity, sum } from './support/identity.ts'
import { ANY_PORT, Bench, Live, type Origin, openOrigin, Traffic } from './support/live-process.ts'

const hasKoffi = await koffiAvailable()
let bench: Bench
let origin: Origin
beforeEach(async () => {
  bench = new Bench()
  origin = await openOrigin(bench)
})
afterEach(() => bench.end())

/** A process with a file to change. */
class Reloading {
  readonly live: Live
  private seed = 0
  private readonly path: string

  private constructor(live: Live, path: string) {
    this.live = live
    this.path = path
  }

  static async open(text: string, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Reloading> {
    const path = join(bench.folder, 'mirrorshard.yaml')
    writeFileSync(path, text)
    const live = await Live.open(bench, [...ANY_PORT, '--to', origin.url, '--config', path, ...args], { env })
    return new Reloading(live, path)
  }

  /** Writes the file and sends SIGHUP. @returns the log's word on it */
  async reload(text: string, message = 'reloaded'): Promise<Record<string, unknown>> {
    writeFileSync(this.path, text)
    const from = this.live.said.length
    this.live.signal('SIGHUP')
    return await this.live.line(message, 15_000, from)
  }

  /** Sends whole connections and waits until each of their requests has ended. @returns what became of these */
  async send(): Promise<{ dropped: Record<string, number>; replayed: number; packetsDropped: Record<string, number> }> {
    const before = await this.live.metrics()
    const traffic = new Traffic(++this.seed, { connections: 20, requestsPerConnection: 5 })
    await traffic.send(this.live.port, 10_000)
    await until('all is taken and ended', async () => {
      const now = await this.live.metrics()
      const taken = (now.get(PACKETS) ?? 0) - (before.get(PACKETS) ?? 0)
      return taken === traffic.packets && now.get('mirrorshard_ring_packets') === 0 && now.get(HELD) === 0
    })
    const after = await this.live.metrics()
    expectIdentity(after)
    const grown = (name: string) => {
      const [now, then] = [byLabel(after, name), byLabel(before, name)]
      return Object.fromEntries(
        Object.entries(now).flatMap(([key, n]) => (n > (then[key] ?? 0) ? [[key, n - (then[key] ?? 0)]] : [])),
      )
    }
    return {
      dropped: grown('mirrorshard_requests_dropped_total'),
      replayed: sum(grown('mirrorshard_requests_replayed_total')),
      packetsDropped: grown('mirrorshard_packets_dropped_total'),
    }
  }
}

const PACKETS = 'mirrorshard_source_packets_total'
const HELD = 'mirrorshard_requests_held'
const ALL = { dropped: {}, replayed: 100, packetsDropped: {} }

test('reloading again and again under load loses no packet and no request, and sends none twice', async () => {
  const service = await Reloading.open('workers: 2\nrate: 100000/s\n', hasKoffi ? ['--receivers', '2'] : [])
  const { live } = service
  const traffic = new Traffic(9, { connections: 300, requestsPerConnection: 10 })
  let isSending = true
  const sending = traffic.send(live.port, 4_000).then(() => {
    isSending = false
  })
  let reloads = 0
  while (isSending) {
    reloads++
    await service.reload(
      `workers: 2\nrate: ${100_000 + reloads}/s\ndrain-timeout-ms: ${5000 + reloads}\nkeep-host: ${reloads % 2 === 1}\nmethods: [GET, POST]\n`,
    )
    expectIdentity(await live.metrics())
  }
  await sending
  await until('all came', () => origin.arrived.length === traffic.requests)
  const samples = await live.metrics()
  expect(samples.get('mirrorshard_config_reloads_total{result="success"}')).toBe(reloads)
  expect(reloads).toBeGreaterThan(5)
  const summary = await live.finish()
  expectBalance(summary)
  expect(summary.packets.received).toBe(traffic.packets)
  expect(summary.packets.dropped).toEqual({})
  expect(summary.requests.dropped).toEqual({})
  expect(new Set(origin.arrived).size).toBe(traffic.requests)
  // Both were in force at some time.
  expect(origin.hosts.some((host) => host?.startsWith('127.'))).toBe(true)
  expect(origin.hosts.some((host) => host?.startsWith('shop'))).toBe(true)
})

describe.each([
  { threads: 'shards', args: ['--workers', '2'] },
  { threads: 'everything on one thread', args: ['--workers', '0'] },
  { threads: 'undici', args: ['--workers', '1', '--engine', 'undici'] },
  ...(hasKoffi ? [{ threads: 'receivers of their own', args: ['--workers', '1', '--receivers', '2'] }] : []),
])('with $threads, from the next packet on', ({ args }) => {
  test('each option that reloads takes its new value over, and back', async () => {
    const service = await Reloading.open('{}\n', args)
    expect(await service.send()).toEqual(ALL)

    expect((await service.reload('methods: [GET]\n')).changed).toEqual([{ name: '--methods', from: 'all', to: 'GET' }])
    const reads = await service.send()
    expect(Object.keys(reads.dropped)).toEqual(['method'])
    expect(reads.replayed + sum(reads.dropped)).toBe(100)

    await service.reload('include: ["/c1/*"]\n')
    expect(await service.send()).toMatchObject({ dropped: { path: 95 }, replayed: 5 })
    await service.reload('exclude: ["/c1/*"]\n')
    expect(await service.send()).toMatchObject({ dropped: { path: 5 }, replayed: 95 })
    await service.reload('percent: 0\n')
    expect(await service.send()).toMatchObject({ dropped: { sampledOut: 100 } })
    await service.reload('rate: 1/s\n')
    const limited = await service.send()
    expect(Object.keys(limited.dropped)).toEqual(['rateLimited'])
    expect(limited.replayed).toBeLessThan(20)
    await service.reload('allow-from: [192.0.2.0/24]\n')
    expect(Object.keys((await service.send()).packetsDropped)).toEqual(['sourceNotAllowed'])
    await service.reload('vni: [8]\n')
    expect(Object.keys((await service.send()).packetsDropped)).toEqual(['vniNotAllowed'])
    await service.reload('ports: [81]\n')
    expect(await service.send()).toEqual({ dropped: {}, replayed: 0, packetsDropped: {} })
    origin.hosts.length = 0
    await service.reload('keep-host: true\n')
    expect(await service.send()).toEqual(ALL)
    expect(origin.hosts.every((host) => host?.startsWith('shop'))).toBe(true)
    origin.hosts.length = 0
    await service.reload('{}\n')
    expect(await service.send()).toEqual(ALL)
    expect(origin.hosts.every((host) => host?.startsWith('127.0.0.1:'))).toBe(true)
    expectBalance(await service.live.finish())
  })
})

test('a thread that is started again works by the options of now, not by those of the start', async () => {
  const service = await Reloading.open('{}\n', ['--workers', '1', ...(hasKoffi ? ['--receivers', '2'] : [])])
  const { live } = service
  await service.reload('methods: [GET]\nvni: [7, 8]\n')
  for (const thread of ['shard=0', ...(hasKoffi ? ['receiver=0', 'receiver=1'] : [])]) {
    const from = live.said.length
    await live.break(`${thread}&kind=throw`)
    await live.line(`${thread.startsWith('shard') ? 'worker' : 'receiver'} ${thread.at(-1)} died`, 15_000, from)
    await until('it is back', () => live.isComplete())
  }
  expect(Object.keys((await service.send()).dropped)).toEqual(['method'])
  await service.reload('vni: [8]\n')
  expect(Object.keys((await service.send()).packetsDropped)).toEqual(['vniNotAllowed'])
  expectBalance(await live.finish())
})

test('a drain time-out that was reloaded is the one that holds', async () => {
  origin = await openOrigin(bench, null)
  const service = await Reloading.open('drain-timeout-ms: 60s\n', ['--workers', '1'])
  await service.reload('drain-timeout-ms: 500\n')
  await new Traffic(1, { connections: 5, requestsPerConnection: 2 }).send(service.live.port, 5_000)
  await until('requests wait', async () => (await service.live.metrics()).get(HELD) === 10)
  const summary = await service.live.finish()
  expect(summary.requests.dropped.drainTimeout).toBe(10)
})

test('a file with a fault changes nothing, and the log says what is wrong and where', async () => {
  const service = await Reloading.open('methods: [GET]\n', ['--workers', '1'])
  const refused = 'configuration not reloaded, nothing changed:'
  const first = await service.reload('percent: 10\nmethods: [GET]\npercnt: 5\n', refused)
  expect(first.msg).toMatch(/mirrorshard\.yaml:3:1: unknown option "percnt"\. Did you mean percent\?$/)
  expect((await service.reload('percent: 101\n', refused)).msg).toMatch(
    /:1:10: percent must be a number from 0 to 100, got 101/,
  )
  expect((await service.reload('percent: [\n', refused)).msg).toMatch(/not valid YAML/)
  expect((await service.reload('receivers: 2\nworkers: 0\nreceiver: dgram\n', refused)).msg).toMatch(/receivers/)
  const outcome = await service.send()
  expect(Object.keys(outcome.dropped)).toEqual(['method'])
  const samples = await service.live.metrics()
  expect(samples.get('mirrorshard_config_reloads_total{result="failure"}')).toBe(4)
  expect(samples.get('mirrorshard_config_reloads_total{result="success"}')).toBe(0)
  expectBalance(await service.live.finish())
})

test('options that cannot change while running are named and stay; flags and environment go before the file', async () => {
  const service = await Reloading.open('{}\n', ['--workers', '1', '--percent', '100'], {
    MIRRORSHARD_METHODS: 'GET,POST',
  })
  const from = service.live.said.length
  await service.reload('percent: 0\nmethods: [PUT]\nmax-flows: 1\nring-bytes: 1MiB\nto: http://127.0.0.1:1\n')
  const warning = await service.live.line('--max-flows, --ring-bytes changed', 15_000, from)
  expect(warning.msg).toMatch(/restart for that$/)
  expect(await service.send()).toEqual(ALL)
  expectBalance(await service.live.finish())
})

test('without --config SIGHUP says that there is nothing to read, and changes nothing', async () => {
  const live = await Live.open(bench, [...ANY_PORT, '--to', 'null', '--workers', '1'])
  live.signal('SIGHUP')
  await live.line('SIGHUP: there is no --config file')
  await sleep(100)
  expect((await live.health()).status).toBe(200)
  expectBalance(await live.finish())
})
