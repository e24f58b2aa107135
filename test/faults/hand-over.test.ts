import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePort } from '../../bench/support/free-port.ts'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { until } from '../support/until.ts'
import { expectBalance, expectIdentity, sum } from './support/identity.ts'
import { Bench, Live, openOrigin, Traffic } from './support/live-process.ts'

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.end())

// koffi is optional.
describe.skipIf(!(await koffiAvailable()))('a new process takes the port over under load', () => {
  test.each([
    { name: 'one receiver each', receivers: [1, 1, 1] },
    { name: 'two receivers each', receivers: [2, 2, 2] },
    { name: 'a different number of receivers each', receivers: [1, 3, 2] },
  ])('$name: no packet is lost or uncounted, no request is sent twice', async ({ receivers }) => {
    const origin = await openOrigin(bench)
    const port = await freePort()
    const health = await freePort()
    const start = (n: number) =>
      Live.open(bench, [
        ...['--listen', `127.0.0.1:${port}`, '--admin', '127.0.0.1:0', '--health', `127.0.0.1:${health}`],
        ...['--to', origin.url, '--workers', '1', '--reuse-port', '--receivers', String(n)],
      ])
    const traffic = new Traffic(11, { connections: 2000, requestsPerConnection: 10 })
    const processes = [await start(receivers[0]!)]
    let isSending = true
    const sending = traffic.send(port, 3_000, () => isSending)
    // Load balancers look all the time: a check that is refused or told "draining" would take the target away.
    const checks: number[] = []
    const watch = setInterval(() => {
      fetch(`http://127.0.0.1:${health}/healthz`).then(
        (answer) => checks.push(answer.status),
        () => checks.push(0),
      )
    }, 100)
    const summaries = []
    for (const n of receivers.slice(1)) {
      await until('the one before has work', () => origin.arrived.length > 100 * processes.length)
      const next = await start(n)
      expectIdentity(await next.metrics())
      const old = processes.at(-1)!
      processes.push(next)
      await until('packets come to the new process', async () => {
        return ((await next.metrics()).get('mirrorshard_source_packets_total') ?? 0) > 0
      })
      expectIdentity(await old.metrics())
      summaries.push(await old.finish())
    }
    const last = processes.at(-1)!
    const before = origin.arrived.length
    await until('the last one has work', () => origin.arrived.length > before + 100)
    isSending = false
    await sending
    await until('quiet', async () => {
      const before = origin.arrived.length
      await new Promise((resolve) => setTimeout(resolve, 300))
      return origin.arrived.length === before
    })
    clearInterval(watch)
    summaries.push(await last.finish())

    for (const summary of summaries) expectBalance(summary)
    const received = summaries.map(({ packets }) => packets.received)
    const kernelDropped = summaries.reduce((n, { packets }) => n + (packets.kernelDropped ?? 0), 0)
    expect(received.reduce((a, b) => a + b) + kernelDropped).toBe(traffic.sent)
    for (const share of received) expect(share).toBeGreaterThan(0)
    // What was sent arrived once, and what did not has a reason: requests that were under way when the port changed hands.
    const replayed = summaries.reduce((n, { requests }) => n + sum(requests.replayed), 0)
    expect(origin.arrived).toHaveLength(replayed)
    expect(new Set(origin.arrived).size).toBe(replayed)
    const dropped = summaries.reduce((n, { requests }) => n + sum(requests.dropped), 0)
    const lost = traffic.requestsSent - replayed
    expect(lost).toBeLessThan(traffic.requestsSent / 10)
    expect(dropped).toBeLessThanOrEqual(lost)
    // Between the last answer of the old one and its end: one moment for each hand-over, however many checks a busy machine puts into it.
    const moments = checks.filter((status, i) => status !== 200 && checks[i - 1] !== status).length
    expect(moments, checks.join(' ')).toBeLessThanOrEqual(receivers.length - 1)
    expect(checks.filter((status) => status !== 200).length).toBeLessThan(checks.length / 10)
    process.stdout.write(
      `hand-over ${receivers}: sent ${traffic.sent} = received ${received.join(' + ')} + kernel ${kernelDropped}; ` +
        `requests ${traffic.requestsSent} = replayed ${replayed} + dropped ${dropped} + never whole ${lost - dropped}; checks not 200: ${checks.filter((s) => s !== 200).length} of ${checks.length}\n`,
    )
  })

  test('a new process that dies after it took over leaves the traffic to the old one', async () => {
    const port = await freePort()
    const args = [
      '--listen',
      `127.0.0.1:${port}`,
      '--admin',
      '127.0.0.1:0',
      '--to',
      'null',
      '--workers',
      '1',
      '--reuse-port',
    ]
    const first = await Live.open(bench, args)
    const second = await Live.open(bench, args)
    await first.finish()
    // The third has spare sockets, which take nothing.
    const third = await Live.open(bench, args)
    third.signal('SIGKILL')
    await third.end()
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    const traffic = new Traffic(3, { connections: 20, requestsPerConnection: 5 })
    await traffic.send(port, 5_000)
    await until('all came', async () => {
      return (await second.metrics()).get('mirrorshard_source_packets_total') === traffic.packets
    })
    expectBalance(await second.finish())
  })

  test('without the option a second process is refused, and told by whom the port is used', async () => {
    const port = await freePort()
    const args = ['--listen', `127.0.0.1:${port}`, '--admin', '127.0.0.1:0', '--to', 'null', '--workers', '1']
    const first = await Live.open(bench, args)
    for (const more of [[], ['--reuse-port']]) {
      const second = Live.spawn(bench, [...args, ...more])
      expect((await second.end()).code).toBe(1)
      expect(second.said.at(-1)).toMatch(/^mirrorshard: --listen .*already in use \(EADDRINUSE\)/)
    }
    expectBalance(await first.finish())
  })

  test('node:dgram cannot share a port, and says so', async () => {
    const live = Live.spawn(bench, ['--to', 'null', '--reuse-port', '--receiver', 'dgram'])
    expect((await live.end()).code).toBe(2)
    expect(live.said[0]).toBe('mirrorshard: --reuse-port needs --receiver recvmmsg, got dgram')
  })
})
