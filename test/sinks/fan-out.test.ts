/** Several targets: each gets every request, counts for itself, and a slow one holds no other. */
import { afterEach, describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import { OpenConnections } from '../../src/exchange/open-connections.ts'
import { Counter, CounterBlock } from '../../src/metrics/counters.ts'
import { type Branch, FanOut, type WhenFull } from '../../src/sinks/fan-out.ts'
import { SELECT_ALL } from '../../src/sinks/filter/selection.ts'
import { NullSink } from '../../src/sinks/null-sink.ts'
import { loadEngine } from '../../src/sinks/replay/engines.ts'
import { REPLAY_DEFAULTS, type ReplaySinkOptions } from '../../src/sinks/replay/options.ts'
import { ReplaySink } from '../../src/sinks/replay/replay-sink.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { captured, connection } from './replay/support/captured.ts'
import { accountedFor, dropsOf, outcomesOf } from './replay/support/ledger.ts'
import { ok, RawOrigin } from './replay/support/raw-origin.ts'

const engine = await loadEngine('wire')

/** An origin that answers when it is told to. */
class Gate {
  private isOpen = false
  private readonly waiting: (() => void)[] = []

  readonly answer: typeof ok = (request, socket) => {
    if (this.isOpen) ok(request, socket)
    else this.waiting.push(() => ok(request, socket))
  }

  open(): void {
    this.isOpen = true
    for (const answer of this.waiting.splice(0)) answer()
  }
}

class Rig {
  readonly shard = new CounterBlock()
  readonly connections = new OpenConnections()
  readonly targets: CounterBlock[] = []
  readonly origins: RawOrigin[] = []
  readonly sinks: Sink[] = []
  private readonly branches: Branch[] = []
  fanOut!: FanOut
  given = 0

  async target(whenFull: WhenFull, options: Partial<ReplaySinkOptions>, answer = ok): Promise<void> {
    const origin = await RawOrigin.listen(answer)
    this.origins.push(origin)
    const counters = new CounterBlock()
    const sink = new ReplaySink(
      { ...REPLAY_DEFAULTS, origin: origin.url, shed: whenFull === 'drop', ...options },
      counters,
      { connections: this.connections, clock: new MonotonicClock(), random: () => 0.5, rateLimiter: null, engine },
    )
    this.targets.push(counters)
    this.sinks.push(sink)
    this.branches.push({ sink, counters, whenFull })
    this.fanOut = new FanOut(this.branches, this.shard)
  }

  give(from: ReturnType<typeof connection>, head = 'GET / HTTP/1.1\nHost: h'): void {
    this.connections.open(from)
    this.fanOut.request({ connection: from.handle, stream: 0, index: this.given++ }, captured(head))
    this.check()
  }

  /** given = dropped + replayed + held, at each target. */
  check(): void {
    expect(this.shard.get(Counter.requestsForwarded)).toBe(this.given)
    for (const [i, counters] of this.targets.entries()) {
      expect(counters.get(Counter.requestsForwarded)).toBe(this.given)
      expect(accountedFor(counters, this.sinks[i]!.held)).toBe(this.given)
    }
  }

  async close(): Promise<void> {
    await this.fanOut.close()
    this.check()
    for (const origin of this.origins) await origin.close()
  }
}

let rig: Rig
afterEach(async () => {
  await rig.close()
})

/** @param until so many requests reached the origin */
async function giveRounds(rounds: number, until: RawOrigin): Promise<void> {
  const from = Array.from({ length: 20 }, () => connection())
  for (let round = 1; round <= rounds; round++) {
    for (const one of from) rig.give(one)
    await until.received(round * from.length)
  }
}

describe('one target answers, the other does not', () => {
  test('full queues that drop: the one that answers gets everything, the other drops what it has no room for', async () => {
    rig = new Rig()
    const gate = new Gate()
    await rig.target('drop', {})
    await rig.target('drop', { queueRequests: 10, connections: 2 }, gate.answer)
    const [fast, slow] = rig.origins
    await giveRounds(10, fast!)
    expect(rig.fanOut.hasRoom()).toBe(true)
    await rig.sinks[0]!.drain(10_000)
    rig.check()
    expect(outcomesOf(rig.targets[0]!)).toEqual({ '2xx': 200 })
    expect(dropsOf(rig.targets[0]!)).toEqual({})
    expect(fast!.requests).toHaveLength(200)
    // Two in flight, ten queued; nothing else was kept.
    expect(rig.fanOut.held).toBe(12)
    expect(dropsOf(rig.targets[1]!)).toEqual({ queueFull: 188 })
    gate.open()
    await rig.fanOut.drain(10_000)
    expect(outcomesOf(rig.targets[1]!)).toEqual({ '2xx': 12 })
    expect(slow!.requests).toHaveLength(12)
  })

  test('a full queue that waits: the reader is held, nothing is dropped, and both get everything', async () => {
    rig = new Rig()
    const gate = new Gate()
    await rig.target('wait', {})
    await rig.target('wait', { queueRequests: 30, connections: 2 }, gate.answer)
    const [fast, slow] = rig.origins
    await giveRounds(2, fast!)
    expect(rig.sinks[0]!.hasRoom()).toBe(true)
    expect(rig.fanOut.hasRoom()).toBe(false)
    gate.open()
    await rig.fanOut.drain(10_000)
    expect(rig.fanOut.hasRoom()).toBe(true)
    for (const counters of rig.targets) expect(outcomesOf(counters)).toEqual({ '2xx': 40 })
    expect([fast!.requests.length, slow!.requests.length]).toEqual([40, 40])
  })

  test('files wait only for the targets that want it', async () => {
    rig = new Rig()
    const gate = new Gate()
    await rig.target('wait', {})
    await rig.target('drop', { queueRequests: 10, connections: 2 }, gate.answer)
    await giveRounds(5, rig.origins[0]!)
    expect(rig.sinks[1]!.hasRoom()).toBe(false)
    expect(rig.fanOut.hasRoom()).toBe(true)
    gate.open()
    await rig.fanOut.drain(10_000)
    expect(outcomesOf(rig.targets[0]!)).toEqual({ '2xx': 100 })
  })

  test('a drain that is too short drops what one target still holds, and waits for none twice', async () => {
    rig = new Rig()
    await rig.target('drop', {})
    await rig.target('drop', { connections: 2 }, new Gate().answer)
    await giveRounds(1, rig.origins[0]!)
    await rig.fanOut.drain(50)
    rig.check()
    expect(outcomesOf(rig.targets[0]!)).toEqual({ '2xx': 20 })
    expect(dropsOf(rig.targets[1]!)).toEqual({ drainTimeout: 20 })
  })
})

test('each target filters for itself', async () => {
  rig = new Rig()
  await rig.target('drop', { methods: ['GET'] })
  await rig.target('drop', { exclude: ['/private*'] })
  const from = connection()
  rig.give(from, 'GET /private HTTP/1.1\nHost: h')
  rig.give(from, 'POST /public HTTP/1.1\nHost: h')
  await rig.fanOut.drain(10_000)
  expect(rig.origins.map(({ requests }) => requests.map(({ target }) => target))).toEqual([['/private'], ['/public']])
  expect(rig.targets.map(dropsOf)).toEqual([{ method: 1 }, { path: 1 }])
})

describe('what reaches a sink', () => {
  const ID = { connection: 1, stream: 0, index: 0 }

  /** Writes down what it hears. */
  class Listener implements Sink {
    readonly heard: string[] = []
    readonly held = 0
    readonly unsettledConnections = 0
    readonly wants: Sink['wants']

    constructor(wants: Partial<Sink['wants']>) {
      this.wants = { requestBody: false, responseHead: false, responseBody: false, ...wants }
    }

    request = () => this.heard.push('request')
    requestDropped = () => this.heard.push('requestDropped')
    response = () => this.heard.push('response')
    responseData = () => this.heard.push('responseData')
    responseEnd = () => this.heard.push('responseEnd')
    closed = () => this.heard.push('closed')
    hasRoom = () => true
    drain = () => Promise.resolve()
    close = () => Promise.resolve()
  }

  test('is what it wants, whatever the others want', () => {
    rig = new Rig()
    const all = [
      new Listener({}),
      new Listener({ responseHead: true }),
      new Listener({ requestBody: true, responseHead: true, responseBody: true }),
    ]
    const branches = all.map((sink) => ({ sink, counters: new CounterBlock(), whenFull: 'drop' as const }))
    const counters = new CounterBlock()
    const nothing = { connections: rig.connections, random: () => 0, rateLimiter: null }
    const discarding = new NullSink({ ...SELECT_ALL, shed: true }, counters, nothing)
    rig.connections.open(connection({ handle: 1 }))
    rig.fanOut = new FanOut([...branches, { sink: discarding, counters, whenFull: 'drop' }], rig.shard)
    expect(rig.fanOut.wants).toEqual({ requestBody: true, responseHead: true, responseBody: true })
    const message = captured('GET / HTTP/1.1')
    rig.fanOut.request(ID, message)
    rig.given++
    rig.fanOut.requestDropped(ID)
    rig.fanOut.response(ID, message)
    rig.fanOut.responseData(ID, message.body, 0, 1)
    rig.fanOut.responseEnd(ID, 0, 0)
    rig.fanOut.closed(1)
    expect(all.map(({ heard }) => heard.join(' '))).toEqual([
      'request requestDropped closed',
      'request requestDropped response responseEnd closed',
      'request requestDropped response responseData responseEnd closed',
    ])
    expect(outcomesOf(counters)).toEqual({ null: 1 })
  })
})
