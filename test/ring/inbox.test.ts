import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { ArrivalOrder, arrivalOrderBytes } from '../../src/ring/arrival-order.ts'
import { DOORBELL_BYTES, Doorbell } from '../../src/ring/doorbell.ts'
import { Inbox } from '../../src/ring/inbox.ts'
import { RING_MIN_CAPACITY, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import { compile } from '../support/compiled.ts'

const compiled = compile('ring/ring.ts', 'ring/doorbell.ts', 'decapsulation/packet-view.ts')
afterAll(() => compiled.remove())

class Rig {
  readonly memories: SharedArrayBuffer[]
  readonly bellMemory = new SharedArrayBuffer(DOORBELL_BYTES)
  readonly order: ArrivalOrder
  readonly inbox: Inbox
  readonly producers: RingProducer[]
  readonly view = new PacketView()

  constructor(rings: number, fragmentMs = Date.now() - 1_000_000) {
    this.memories = Array.from({ length: rings }, () => new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY)))
    this.order = new ArrivalOrder(new SharedArrayBuffer(arrivalOrderBytes(rings)))
    this.order.sawFragment(fragmentMs)
    const bell = new Doorbell(this.bellMemory)
    this.producers = this.memories.map((memory) => new RingProducer(memory, new Doorbell(this.bellMemory)))
    this.inbox = new Inbox(this.memories, bell, this.order)
  }

  write(ring: number, hash: number, nowUs: number, timeUs = nowUs): void {
    const view = new PacketView()
    view.bytes = Buffer.alloc(60)
    view.tcpAt = 20
    view.end = view.trueEnd = 60
    view.hash = hash
    view.nowUs = nowUs
    view.timeUs = timeUs
    expect(this.producers[ring]!.tryWrite(view)).toBe(true)
    this.producers[ring]!.publish()
  }

  /** Hashes of all that may be read in a turn. */
  read(most = Number.POSITIVE_INFINITY, isLast = false): number[] {
    const hashes: number[] = []
    this.inbox.beginTurn(Date.now() * 1000, isLast)
    while (hashes.length < most && this.inbox.next(this.view)) hashes.push(this.view.hash)
    this.inbox.release()
    return hashes
  }
}

describe('several rings', () => {
  test('are read in turn: a busy one does not keep a turn to itself', () => {
    const rig = new Rig(3)
    for (let i = 0; i < 600; i++) rig.write(0, 1, i)
    rig.write(1, 2, 0)
    rig.write(2, 3, 0)
    const first = rig.read(300)
    expect(first).toContain(2)
    expect(first).toContain(3)
    expect(rig.read()).toHaveLength(302)
    expect(rig.inbox.isEmpty()).toBe(true)
  })

  test('give time that never goes back', () => {
    const rig = new Rig(2)
    rig.write(0, 1, 5000)
    rig.write(1, 2, 4000)
    rig.write(1, 3, 6000)
    const times: number[] = []
    rig.inbox.beginTurn(Date.now() * 1000, false)
    while (rig.inbox.next(rig.view)) times.push(rig.view.nowUs)
    expect(times).toEqual([5000, 5000, 6000])
  })
})

describe('while there are fragments', () => {
  test('any packets in any rings come in order of arrival, whatever the batches', () => {
    const startMs = Date.now()
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), fc.nat(3)), { maxLength: 60 }), (steps) => {
        const rig = new Rig(3, Date.now())
        let timeUs = startMs * 1000
        for (const [i, [ring, gap]] of steps.entries()) {
          timeUs += gap * 700 + 1
          rig.write(ring, i, timeUs)
        }
        for (let receiver = 0; receiver < 3; receiver++) rig.order.drained(receiver, timeUs / 1000 + 1000)
        expect(rig.read()).toEqual(steps.map((_, i) => i))
      }),
    )
  })

  test('a time stamp may be older than the last look into the other sockets: what counts is when its packet was taken', () => {
    const rig = new Rig(2, Date.now())
    const nowMs = Date.now()
    rig.order.drained(0, nowMs - 5)
    // Both arrived long ago and lay in the kernel; the later one was taken first.
    rig.write(1, 7, nowMs * 1000, (nowMs - 90) * 1000)
    expect(rig.read()).toEqual([])
    rig.write(0, 6, (nowMs + 2) * 1000, (nowMs - 100) * 1000)
    expect(rig.read(1)).toEqual([6])
    rig.order.drained(0, nowMs + 3)
    expect(rig.read()).toEqual([7])
  })

  test('a packet waits until the empty ring is known to bring nothing earlier', () => {
    const rig = new Rig(2, Date.now())
    const nowMs = Date.now() + 5
    rig.order.drained(0, nowMs - 20)
    rig.order.drained(1, nowMs + 50)
    rig.write(1, 7, nowMs * 1000)
    expect(rig.read()).toEqual([])
    expect(rig.inbox.isEmpty()).toBe(false)
    rig.write(0, 6, (nowMs - 1) * 1000)
    expect(rig.read()).toEqual([6])
    rig.order.drained(0, nowMs + 50)
    expect(rig.read()).toEqual([7])
  })

  test('a receiver that does not answer holds nobody up for long, and nobody at the end', () => {
    const rig = new Rig(2, Date.now())
    rig.write(1, 7, (Date.now() - 600) * 1000)
    rig.write(1, 8, (Date.now() + 20) * 1000)
    expect(rig.read()).toEqual([7])
    expect(rig.read(10, true)).toEqual([8])
  })

  test('nobody waits for a receiver that is known to be dead, and everybody again once it is restarted', () => {
    const rig = new Rig(2, Date.now())
    rig.order.setAbsent(0, true)
    rig.write(1, 7, Date.now() * 1000)
    expect(rig.read()).toEqual([7])
    rig.order.setAbsent(0, false)
    rig.write(1, 8, Date.now() * 1000)
    expect(rig.read()).toEqual([])
  })

  test('a ring that is half full is read on, so that waiting drops nothing', () => {
    const rig = new Rig(2, Date.now())
    const timeUs = Date.now() * 1000
    for (let i = 0; rig.producers[1]!.used() < RING_MIN_CAPACITY / 2 + 1000; i++) rig.write(1, i, timeUs)
    expect(rig.read(10)).toHaveLength(10)
  })

  test('order ends ten seconds after the last one', () => {
    const rig = new Rig(2, Date.now() - 10_500)
    rig.write(1, 7, (Date.now() + 10_000) * 1000)
    expect(rig.read()).toEqual([7])
  })
})

describe('sleep', () => {
  test('ends when any of the producers publishes', async () => {
    for (const ring of [0, 1]) {
      const rig = new Rig(2)
      const started = performance.now()
      const sleeping = rig.inbox.sleep(20_000)
      rig.write(ring, 1, 1)
      await sleeping
      expect(performance.now() - started).toBeLessThan(10_000)
    }
  })

  test('does not begin when something was published since the last read', async () => {
    const rig = new Rig(2)
    rig.write(1, 1, 1)
    await rig.inbox.sleep(20_000)
    expect(rig.inbox.isEmpty()).toBe(false)
  })

  test('ends by itself', async () => {
    await new Rig(2).inbox.sleep(5)
  })

  test('does not seem to go on because the previous worker died asleep', () => {
    const rig = new Rig(1)
    const words = new Int32Array(rig.bellMemory)
    words[16] = 1
    new Inbox(rig.memories, new Doorbell(rig.bellMemory), rig.order)
    expect(words[16]).toBe(0)
  })
})

const PRODUCER = `
  import { workerData } from 'node:worker_threads'
  import { RingProducer } from '${compiled.url('ring/ring.ts')}'
  import { Doorbell } from '${compiled.url('ring/doorbell.ts')}'
  import { PacketView } from '${compiled.url('decapsulation/packet-view.ts')}'
  const { memory, bell, records, seed } = workerData
  const ring = new RingProducer(memory, new Doorbell(bell))
  const view = new PacketView()
  view.bytes = Buffer.alloc(128)
  view.tcpAt = 20
  view.end = view.trueEnd = 60
  const idle = new Int32Array(new SharedArrayBuffer(4))
  for (let n = 0; n < records; n++) {
    view.hash = n
    while (!ring.tryWrite(view)) { ring.publish(); Atomics.wait(idle, 0, 0, 1) }
    // Single records with pauses around them, so that the consumer falls asleep over and over.
    if (Math.imul(n + seed, 2654435761) >>> 28 === 0) { ring.publish(); if (n % 7 === 0) Atomics.wait(idle, 0, 0, n % 3) }
  }
  ring.publish()
`

test('two producing threads, one consumer that sleeps at once: all arrives in order, and no wake-up is missed', async () => {
  const RECORDS = 30_000
  const rig = new Rig(2)
  const script = compiled.script('inbox-producer.js', PRODUCER)
  const workers = rig.memories.map(
    (memory, seed) =>
      new Worker(script, { workerData: { memory, bell: rig.bellMemory, records: RECORDS, seed: seed * 1000 } }),
  )
  const failed = Promise.race(workers.map((worker) => new Promise<never>((_, reject) => worker.once('error', reject))))
  // Which ring a record came from is told by the place of its bytes.
  const next = new Map<Buffer, number>()
  let total = 0
  let longestMs = 0
  const drain = async () => {
    while (total < 2 * RECORDS) {
      rig.inbox.beginTurn(Date.now() * 1000, false)
      while (rig.inbox.next(rig.view)) {
        const { bytes, hash } = rig.view
        expect(hash).toBe(next.get(bytes) ?? 0)
        next.set(bytes, hash + 1)
        total++
      }
      rig.inbox.release()
      const started = performance.now()
      if (total < 2 * RECORDS) await rig.inbox.sleep(20_000)
      longestMs = Math.max(longestMs, performance.now() - started)
    }
  }
  await Promise.race([drain(), failed])
  for (const worker of workers) await worker.terminate()
  expect(next.size).toBe(2)
  expect(longestMs).toBeLessThan(10_000)
})
