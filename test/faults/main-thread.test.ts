import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../../bench/support/free-port.ts'
import { until } from '../support/until.ts'
import { expectBalance, expectIdentity } from './support/identity.ts'
import { ANY_PORT, Bench, Live, openOrigin, Traffic } from './support/live-process.ts'

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.end())

/** Not JSON: what is said to a person at the end. */
function plainLines(live: Live): string[] {
  return live.said.filter((line) => !line.startsWith('{'))
}

test.each(['throw', 'reject'])(
  'a fault of the main thread (%s) ends the process with 1 and one clear line; the summary has what was counted, and says why',
  async (kind) => {
    const origin = await openOrigin(bench, null)
    const live = await Live.open(bench, [...ANY_PORT, '--to', origin.url, '--workers', '2'])
    const traffic = new Traffic(2, { connections: 10, requestsPerConnection: 5 })
    await traffic.send(live.port, 5_000)
    await until('requests wait', async () => (await live.metrics()).get('mirrorshard_requests_held') === 50)
    expectIdentity(await live.metrics())
    await live.break(`main&kind=${kind}`)
    expect((await live.end(20_000)).code).toBe(1)
    expect(plainLines(live)).toEqual([
      `mirrorshard: fault injected: ${kind} (internal error; MIRRORSHARD_DEBUG=1 shows where)`,
    ])
    const summary = live.summary()
    expect(summary.fault).toBe(`fault injected: ${kind}`)
    expect(summary.packets.received).toBe(traffic.packets)
    // Nothing was drained: what was under way stands as held, not as dropped.
    expect(summary.requests.held).toBe(50)
    expectBalance(summary, false)
  },
)

test('a main thread out of heap is ended by V8: no line of ours, and never half a process', async () => {
  const live = await Live.open(bench, [...ANY_PORT, '--to', 'null', '--workers', '1'], {
    node: ['--max-old-space-size=64'],
  })
  await live.break('main&kind=oom')
  const { code, signal } = await live.end()
  // 134 where a shell asks; SIGABRT for a parent.
  expect([code, signal]).toEqual([null, 'SIGABRT'])
})

test('process.exit somewhere in the main thread ends it with that code', async () => {
  const live = await Live.open(bench, [...ANY_PORT, '--to', 'null', '--workers', '1'])
  await live.break('main&kind=exit')
  expect((await live.end(20_000)).code).toBe(1)
})

test('an address in use at the start: one line that names the option and the address, exit code 1', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const tcp = (server.address() as AddressInfo).port
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  bench.atEnd(() => {
    server.close()
    socket.close()
  })
  const cases = [
    [
      ['--listen', `127.0.0.1:${socket.address().port}`, '--admin', 'off'],
      /^mirrorshard: --listen 127\.0\.0\.1:\d+: cannot bind UDP/,
    ],
    [['--listen', `127.0.0.1:${tcp}`, '--admin', 'off'], /^mirrorshard: --listen 127\.0\.0\.1:\d+: cannot bind TCP/],
    [
      ['--listen', '127.0.0.1:0', '--admin', `127.0.0.1:${tcp}`],
      /^mirrorshard: --admin 127\.0\.0\.1:\d+: cannot listen/,
    ],
    [[...ANY_PORT, '--health', `127.0.0.1:${tcp}`], /^mirrorshard: --health 127\.0\.0\.1:\d+: cannot listen/],
  ] as const
  for (const [args, line] of cases) {
    const live = Live.spawn(bench, [...args, '--to', 'null', '--workers', '1'])
    expect((await live.end(30_000)).code).toBe(1)
    expect(plainLines(live)).toEqual([expect.stringMatching(line)])
    expect(plainLines(live)[0]).toContain('EADDRINUSE')
  }
})

test('a reader of the log that went away stops nothing', async () => {
  const live = await Live.open(bench, [...ANY_PORT, '--to', 'null', '--workers', '1'])
  live.child.stderr!.destroy()
  for (let i = 0; i < 20; i++) {
    live.signal('SIGHUP')
    await until('it lives', async () => (await live.health()).status === 200)
  }
  const traffic = new Traffic(2, { connections: 10, requestsPerConnection: 5 })
  await traffic.send(live.port, 5_000)
  await until(
    'all came',
    async () => (await live.metrics()).get('mirrorshard_source_packets_total') === traffic.packets,
  )
  live.signal('SIGTERM')
  expect((await live.end(30_000)).code).toBe(0)
  expectBalance(live.summary())
})

test('a log pipe that is full blocks nothing, while it runs and when it ends', async () => {
  const fifo = join(bench.folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const filler = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  // As a supervisor's pipe is: it blocks who writes to it.
  const stderr = openSync(fifo, constants.O_RDWR)
  bench.atEnd(() => {
    closeSync(filler)
    closeSync(stderr)
  })
  try {
    for (;;) writeSync(filler, 'x'.repeat(1024))
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('EAGAIN')
  }
  const admin = await freePort()
  const live = Live.spawn(
    bench,
    ['--listen', '127.0.0.1:0', '--admin', `127.0.0.1:${admin}`, '--to', 'null', '--workers', '1'],
    {
      stderr,
    },
  )
  live.admin = `http://127.0.0.1:${admin}`
  const isHealthy = () =>
    live.health().then(
      ({ status }) => status === 200,
      () => false,
    )
  await until('it receives', isHealthy)
  for (let i = 0; i < 50; i++) {
    live.signal('SIGHUP')
    expect(await isHealthy()).toBe(true)
  }
  live.signal('SIGTERM')
  expect((await live.end(30_000)).code).toBe(0)
  expectBalance(live.summary())
})
