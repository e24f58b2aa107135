import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePort } from '../../bench/support/free-port.ts'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { until } from '../support/until.ts'
import { expectBalance, expectIdentity, sum } from './support/identity.ts'
import { ANY_PORT, Bench, Live, openOrigin, Traffic } from './support/live-process.ts'
import { stateOf } from './support/process-state.ts'

const hasKoffi = await koffiAvailable()
let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.end())

/** From the order to break to the thread in its loop again. The promise is 2 s on a machine that is not busy with other things. */
const BACK_MS = 20_000
/** On a busy machine a thread that collects garbage for want of heap may look like one that stands still. */
const CAUSES = { throw: ['throw'], exit: ['exit'], oom: ['heap', 'stuck'], spin: ['stuck'] } as const

describe.each(['shard', ...(hasKoffi ? ['receiver'] : [])])('a %s that breaks under load', (thread) => {
  test.each(Object.entries(CAUSES))('by %s is back; its death is counted as %s', async (kind, causes) => {
    const origin = await openOrigin(bench)
    const live = await Live.open(bench, [
      ...ANY_PORT,
      ...['--to', origin.url, '--workers', '2', '--shard-heap-mb', '64', '--receivers', thread === 'shard' ? '1' : '2'],
    ])
    const traffic = new Traffic(13, { connections: 600, requestsPerConnection: 10 })
    let isSending = true
    const sending = traffic.send(live.port, 4_000, () => isSending)
    await until('work is done', () => origin.arrived.length > 200)
    const brokenMs = performance.now()
    await live.break(`${thread}=0&kind=${kind}`)
    await until('its death is counted', async () => {
      const samples = await live.metrics()
      const deaths = (cause: string) =>
        samples.get(`mirrorshard_thread_deaths_total{thread="${thread}",cause="${cause}"}`)
      return causes.some((cause) => deaths(cause) === 1)
    })
    await until('it is back', () => live.isComplete())
    const backMs = performance.now() - brokenMs
    expect(backMs).toBeLessThan(BACK_MS)
    expectIdentity(await live.metrics())
    const before = origin.arrived.length
    await until('requests go on', () => origin.arrived.length > before + 100)
    // One death is no reason to take traffic away.
    expect((await live.health()).status).toBe(200)
    isSending = false
    await sending
    const summary = await live.finish()
    expectBalance(summary)
    expect(summary.packets.received + (summary.packets.kernelDropped ?? 0)).toBe(traffic.sent)
    expect(origin.arrived.length).toBeGreaterThanOrEqual(sum(summary.requests.replayed))
    expect(live.said.filter((line) => /(worker|receiver) 1 died/.test(line))).toEqual([])
    process.stdout.write(`${thread} ${kind}: back after ${Math.round(backMs)} ms\n`)
  })
})

test('a thread that stands still in the kernel, and ends long after the restarted one began, leaves no thread and no descriptor behind', async () => {
  const armed = join(bench.folder, 'armed')
  const blocker = join(bench.folder, 'blocker.mjs')
  writeFileSync(
    blocker,
    `import { execSync } from 'node:child_process'
     import { rmSync } from 'node:fs'
     import { isMainThread } from 'node:worker_threads'
     const look = () => {
       try { rmSync(${JSON.stringify(armed)}) } catch { return }
       execSync('sleep 4')
     }
     if (!isMainThread) setInterval(look, 20).unref()`,
  )
  const live = await Live.open(bench, [...ANY_PORT, '--to', 'null', '--workers', '2'], { node: ['--import', blocker] })
  const state = () => stateOf(live.child.pid!)
  const before = state()
  writeFileSync(armed, '')
  await live.line('worker ')
  await until('it is back', () => live.isComplete())
  // The one that stood still is ended when it returns from the kernel.
  await until('threads and descriptors are as before', () => {
    const { threads, descriptors } = state()
    return threads === before.threads && descriptors === before.descriptors
  })
  expectBalance(await live.finish())
})

describe('a thread with a call of the system under way that does not return, as a name server may not', () => {
  /** Opens a pipe that nobody writes to, in each worker's thread. */
  async function openStuck() {
    const pipe = join(bench.folder, 'pipe')
    const stuck = join(bench.folder, 'stuck')
    execFileSync('mkfifo', [pipe])
    const hook = join(bench.folder, 'stick.mjs')
    writeFileSync(
      hook,
      `import { open, writeFileSync } from 'node:fs'
       import { threadId } from 'node:worker_threads'
       if (threadId === 1) {
         open(${JSON.stringify(pipe)}, 'r', () => {})
         writeFileSync(${JSON.stringify(stuck)}, '')
       }`,
    )
    const live = await Live.open(bench, [...ANY_PORT, '--to', 'null', '--workers', '1'], { node: ['--import', hook] })
    await until('the call is under way', () => existsSync(stuck))
    return { live, release: () => closeSync(openSync(pipe, 'r+')) }
  }

  test('that throws is back as soon as any other', async () => {
    const { live, release } = await openStuck()
    const brokenMs = performance.now()
    await live.break('shard=0&kind=throw')
    await live.line('worker 0 died')
    await until('it is back', () => live.isComplete(), 10_000)
    expect(performance.now() - brokenMs).toBeLessThan(10_000)
    release()
    expectBalance(await live.finish())
  })

  // It is ended through the C library.
  test.skipIf(!hasKoffi)('does not keep the process from its end', async () => {
    const { live } = await openStuck()
    live.signal('SIGTERM')
    expect(await live.end(10_000)).toMatchObject({ code: 0 })
    expectBalance(live.summary())
  })

  test.skipIf(!hasKoffi)('does not keep the process from its end by a second signal', async () => {
    const { live } = await openStuck()
    live.signal('SIGTERM')
    await live.line('draining')
    live.signal('SIGTERM')
    expect(await live.end(10_000)).toMatchObject({ code: 1 })
  })
})

test.skipIf(!hasKoffi)(
  'while one receiver still starts, what the other one takes is in the counts: packets are never seen processed before they are received',
  async () => {
    const late = join(bench.folder, 'late.mjs')
    const holding = join(bench.folder, 'holding')
    writeFileSync(holding, '')
    // The third thread is the second receiver.
    writeFileSync(
      late,
      `import { existsSync } from 'node:fs'
       import { threadId } from 'node:worker_threads'
       const clock = new Int32Array(new SharedArrayBuffer(4))
       while (threadId === 3 && existsSync(${JSON.stringify(holding)})) Atomics.wait(clock, 0, 0, 20)`,
    )
    const [port, admin] = [await freePort(), await freePort()]
    const live = Live.spawn(
      bench,
      [
        ...['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`, '--to', 'null'],
        ...['--workers', '1', '--receivers', '2'],
      ],
      { node: ['--import', late] },
    )
    live.admin = `http://127.0.0.1:${admin}`
    const started = live.line('receiving')
    let isSending = true
    const traffic = new Traffic(13, { connections: 600, requestsPerConnection: 10 })
    const sending = traffic.send(port, 1_000, () => isSending)
    let seen = 0
    await until('packets are processed', async () => {
      const samples = await live.metrics().catch(() => null)
      if (samples === null) return false
      seen = expectIdentity(samples).processed
      return seen > 100
    })
    expect((await live.health()).reason, 'it still starts').toBe('starting')
    rmSync(holding)
    await started
    isSending = false
    await sending
    const summary = await live.finish()
    expectBalance(summary)
    expect(summary.packets.received).toBeGreaterThan(seen)
  },
)

test.each(['shard', ...(hasKoffi ? ['receiver'] : [])])(
  'a %s that dies again and again turns health to 503 with the reason, slows down, and health is good again once it has lived for 15 s',
  async (thread) => {
    const live = await Live.open(bench, [
      ...ANY_PORT,
      ...['--to', 'null', '--workers', '1', '--receivers', thread === 'shard' ? '1' : '2'],
    ])
    const name = thread === 'shard' ? 'worker' : 'receiver'
    for (let death = 1; death <= 5; death++) {
      await until('it is up', () => live.isComplete())
      const from = live.said.length
      await live.break(`${thread}=0&kind=throw`)
      await live.line(`${name} 0 died`, 15_000, from)
    }
    await until('health is bad', async () => (await live.health()).status === 503)
    expect((await live.health()).reason).toBe(`crash loop: ${name} 0 died 5 times in a row: fault injected: throw`)
    const pauses = live.said.flatMap((line) => /restarting in (\d+) ms/.exec(line)?.[1] ?? []).map(Number)
    expect(pauses).toHaveLength(5)
    expect(pauses[0]).toBe(50)
    await until('health is good again', async () => (await live.health()).status === 200, 20_000)
    expect((await live.health()).reason).toBe('receiving')
    expectBalance(await live.finish())
  },
)

describe('a thread that does not come up', () => {
  /** Loaded in front of everything, in each thread too. */
  function breaker(): { args: string[]; arm(): void; disarm(): void } {
    const path = join(bench.folder, 'breaker.mjs')
    const armed = join(bench.folder, 'armed')
    writeFileSync(
      path,
      `import { existsSync } from 'node:fs'
       import { isMainThread } from 'node:worker_threads'
       if (!isMainThread && existsSync(${JSON.stringify(armed)})) throw new Error('module not to be had')`,
    )
    return { args: ['--import', path], arm: () => writeFileSync(armed, ''), disarm: () => rmSync(armed) }
  }

  test.each([{ thread: 'worker', receivers: '1' }, ...(hasKoffi ? [{ thread: 'receiver', receivers: '2' }] : [])])(
    'at the start ($thread): a few tries, then one clear line and exit code 1',
    async ({ receivers }) => {
      const fault = breaker()
      fault.arm()
      const live = Live.spawn(bench, [...ANY_PORT, '--to', 'null', '--workers', '1', '--receivers', receivers], {
        node: fault.args,
      })
      expect((await live.end()).code).toBe(1)
      const last = live.said.filter((line) => line.startsWith('mirrorshard: '))
      expect(last).toHaveLength(1)
      expect(last[0]).toMatch(
        /^mirrorshard: (worker|receiver) \d does not start, tried 5 times: .*module not to be had/,
      )
    },
  )

  test('while the service runs: it goes on trying a few times, then drains, writes its summary and exits with 1', async () => {
    const origin = await openOrigin(bench)
    const fault = breaker()
    const live = await Live.open(bench, [...ANY_PORT, '--to', origin.url, '--workers', '2'], { node: fault.args })
    const traffic = new Traffic(13, { connections: 400, requestsPerConnection: 10 })
    let isSending = true
    const sending = traffic.send(live.port, 2_000, () => isSending)
    await until('work is done', () => origin.arrived.length > 100)
    fault.arm()
    await live.break('shard=0&kind=throw')
    const { code } = await live.end()
    isSending = false
    await sending
    expect(code).toBe(1)
    expect(live.said.at(-1)).toMatch(/^mirrorshard: worker 0 does not start, tried 5 times: .*module not to be had/)
    const summary = live.summary()
    expect(summary.fault).toMatch(/worker 0 does not start/)
    // What lay in the ring of the shard that never came back is lost, and counted.
    expect(summary.packets.dropped.shardLost).toBeGreaterThan(0)
    expectBalance(summary)
  })

  test('and does after all: nothing but a short loss', async () => {
    const fault = breaker()
    const live = await Live.open(bench, [...ANY_PORT, '--to', 'null', '--workers', '1'], { node: fault.args })
    fault.arm()
    await live.break('shard=0&kind=throw')
    const start = 'mirrorshard_thread_deaths_total{thread="shard",cause="start"}'
    await until('one start failed', async () => ((await live.metrics()).get(start) ?? 0) >= 1)
    fault.disarm()
    await until('it is back', () => live.isComplete())
    const traffic = new Traffic(4, { connections: 10, requestsPerConnection: 5 })
    await traffic.send(live.port, 5_000)
    const summary = await live.finish()
    expectBalance(summary)
    expect(summary.requests.replayed).toEqual({ null: 50 })
  })
})
