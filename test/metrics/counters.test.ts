import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ADDED_LATENCIES,
  BLOCK_VALUES,
  COUNTER_BLOCK_BYTES,
  COUNTERS,
  Counter,
  CounterBlock,
  LATENCIES,
  OUTCOMES,
  PACKET_DROPS,
  REQUEST_DROPS,
  RESPONSE_DROPS,
  readCounterBlock,
} from '../../src/metrics/counters.ts'
import { PassedOver } from '../../src/metrics/passed-over.ts'
import { SCALARS } from '../../src/metrics/scalars.ts'
import { ADDED_LATENCY_BUCKETS, LATENCY_BUCKETS } from '../../src/metrics/time-buckets.ts'
import { compile } from '../support/compiled.ts'

describe('a counter block', () => {
  test('shows what was counted when it is published, not before', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    const read = new Float64Array(COUNTERS)
    block.add(Counter.packetsReceived, 3)
    readCounterBlock(memory, 0, read)
    expect(read[Counter.packetsReceived]).toBe(0)
    block.publish()
    readCounterBlock(memory, 0, read)
    expect(read[Counter.packetsReceived]).toBe(3)
  })

  test('has a place of its own for every counter and reason', () => {
    const block = new CounterBlock()
    block.packetDrop(1, 2)
    block.requestDrop(1, 3)
    block.responseDrop(1, 4)
    block.outcome(1, 5)
    block.latency(100)
    block.addedLatency(200)
    const starts = [PACKET_DROPS, REQUEST_DROPS, RESPONSE_DROPS, OUTCOMES]
    expect(starts.map((start) => block.get(start + 1))).toEqual([2, 3, 4, 5])
    expect(block.get(LATENCIES + LATENCY_BUCKETS.of(100))).toBe(1)
    expect(block.get(Counter.latencySumUs)).toBe(100)
    expect(block.get(ADDED_LATENCIES + ADDED_LATENCY_BUCKETS.of(200))).toBe(1)
    expect(block.get(Counter.addedLatencySumUs)).toBe(200)
    expect(PACKET_DROPS).toBe(Object.keys(SCALARS).length)
    expect(LATENCIES + LATENCY_BUCKETS.count).toBe(ADDED_LATENCIES)
    expect(ADDED_LATENCIES + ADDED_LATENCY_BUCKETS.count).toBe(COUNTERS)
  })

  test('of a thread that starts again goes on where the last publication of the one before ended', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    block.add(Counter.packetsProcessed, 10)
    block.publish()
    block.add(Counter.packetsProcessed, 99)
    const restarted = new CounterBlock(memory)
    restarted.add(Counter.packetsProcessed, 1)
    restarted.publish()
    const read = new Float64Array(COUNTERS)
    readCounterBlock(memory, 0, read)
    expect(read[Counter.packetsProcessed]).toBe(11)
  })

  test('is read as it was published last, once or again, before the first publication as zeros', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    const read = new Float64Array(COUNTERS).fill(-1)
    readCounterBlock(memory, 0, read)
    expect(new Set(read)).toEqual(new Set([0]))
    for (const n of [1, 2, 3, 4, 5]) {
      for (let i = 0; i < n; i++) {
        fill(block, 10 * n + i)
        block.publish()
      }
      for (let i = 0; i < 6 - n; i++) {
        read.fill(-1)
        readCounterBlock(memory, 0, read)
        expect(new Set(read)).toEqual(new Set([11 * n - 1]))
      }
    }
  })

  test('publishes latencies from the first one on, of a thread that began in its place too', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const read = new Float64Array(COUNTERS)
    const shown = () => {
      readCounterBlock(memory, 0, read)
      return read.subarray(LATENCIES).reduce((sum, value) => sum + value, 0)
    }
    let block = new CounterBlock(memory)
    block.publish()
    expect(shown()).toBe(0)
    block.latency(1000)
    block.publish()
    expect(shown()).toBe(1)
    block = new CounterBlock(memory)
    block.publish()
    block.addedLatency(5)
    block.publish()
    expect(shown()).toBe(2)
  })

  /** One step of a random history: what the owner and the reader do, and what a thread that begins in the owner's place finds. */
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant('publish' as const) },
    { weight: 1, arbitrary: fc.constant('pass over' as const) },
    { weight: 4, arbitrary: fc.constant('read' as const) },
    { weight: 2, arbitrary: fc.constant('publish, read meanwhile' as const) },
    { weight: 1, arbitrary: fc.constant('die while filling' as const) },
    { weight: 1, arbitrary: fc.constant('die' as const) },
  )

  test('holds what was published last, whole, whatever order publications, readings and deaths come in', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
        const read = new Float64Array(BLOCK_VALUES)
        let block = new CounterBlock(memory)
        let published = block.values.slice()
        for (const [i, kind] of steps.entries()) {
          if (kind === 'publish') {
            fill(block, i + 1)
            block.publish()
            published = block.values.slice()
          } else if (kind === 'pass over') {
            block.passOver(PassedOver.udpPort, i)
          } else if (kind === 'read') {
            readCounterBlock(memory, 0, read)
            expectSame(read, published)
          } else if (kind === 'publish, read meanwhile') {
            fill(block, i + 1)
            whileFilling(
              () => block.publish(),
              () => readCounterBlock(memory, 0, read),
            )
            expectSame(read, published)
            published = block.values.slice()
          } else {
            if (kind === 'die while filling') {
              fill(block, -1)
              halfPublished(block)
            }
            block = new CounterBlock(memory)
            expectSame(block.values, published)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test('goes on without what a thread passed over and died before it published', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const dying = new CounterBlock(memory)
    dying.passOver(PassedOver.udpPort, 53)
    halfPublished(dying)
    const read = new Float64Array(BLOCK_VALUES)
    const restarted = new CounterBlock(memory)
    for (let i = 0; i < 3; i++) {
      restarted.publish()
      readCounterBlock(memory, 0, read)
      expect(new Set(read)).toEqual(new Set([0]))
    }
  })

  test('does not wait for a thread that the machine takes from its processor while it publishes', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    fill(block, 3)
    block.publish()
    block.values.fill(4)
    halfPublished(block)
    const read = new Float64Array(COUNTERS)
    readCounterBlock(memory, 0, read)
    expect(new Set(read)).toEqual(new Set([3]))
  })

  test('is never seen torn: under a writer in another thread all its values are of one publication', async () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const compiled = compile('metrics/counters.ts')
    const script = compiled.script(
      'writer.js',
      `import { workerData } from 'node:worker_threads'
      import { CounterBlock } from '${compiled.url('metrics/counters.ts')}'
      const block = new CounterBlock(workerData.memory)
      block.passOver(0, 1)
      for (let n = 1; Atomics.load(workerData.stop, 0) === 0; n++) {
        block.values.fill(n)
        block.publish()
        for (let i = 0; i < 200; i++) Atomics.load(workerData.stop, 0)
      }`,
    )
    const worker = new Worker(script, { workerData: { memory, stop } })
    const read = new Float64Array(COUNTERS)
    const seen = new Set<number>()
    const deadline = performance.now() + 10_000
    try {
      while (seen.size < 2000 && performance.now() < deadline) {
        readCounterBlock(memory, 0, read)
        const first = read[0]!
        if (!read.every((value) => value === first))
          throw new Error(`torn: ${new Set(read).size} publications in one read`)
        seen.add(first)
        if (seen.size % 100 === 1) await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      Atomics.store(stop, 0, 1)
      await worker.terminate()
      compiled.remove()
    }
    expect(seen.size).toBeGreaterThan(1)
  })
})

/** The counters, each the same number. What was passed over stays. */
function fill(block: CounterBlock, value: number): void {
  block.latency(1)
  block.values.fill(value, 0, COUNTERS)
}

/** As toEqual, which takes milliseconds for a block. */
function expectSame(found: Float64Array, expected: Float64Array): void {
  if (!found.every((value, i) => value === expected[i])) expect(found).toEqual(expected)
}

/** As `publish`, but for its end: half of the values are in the owner's copy, and it was not handed over. */
function halfPublished(block: CounterBlock): void {
  class Halted extends Error {}
  const halt = () => {
    throw new Halted()
  }
  expect(() => whileFilling(() => block.publish(), halt)).toThrow(Halted)
}

/** Calls `meanwhile` when the publication has filled half of the owner's copy: the back half, where what was passed over stands. */
function whileFilling(publish: () => void, meanwhile: () => void): void {
  const { set } = Float64Array.prototype
  Float64Array.prototype.set = function (from, at) {
    Float64Array.prototype.set = set
    const values = from as Float64Array
    const half = values.length >> 1
    this.set(values.subarray(half), half)
    meanwhile()
    this.set(values, at)
  }
  try {
    publish()
  } finally {
    Float64Array.prototype.set = set
  }
}

describe.each([
  ['latency', LATENCY_BUCKETS, 0.0625],
  ['added latency', ADDED_LATENCY_BUCKETS, 0.125],
])('buckets of the %s', (_name, buckets, width) => {
  const us = fc.oneof(
    fc.integer({ min: 0, max: 0x1fffffff }),
    fc.integer({ min: 0, max: 5000 }),
    fc.double({ min: 0, max: 1e6, noNaN: true }),
  )

  test('hold what they say: a time lies below its bucket’s end and not below the end of the one before', () => {
    fc.assert(
      fc.property(us, (time) => {
        const bucket = buckets.of(time)
        expect(bucket).toBeGreaterThanOrEqual(0)
        expect(bucket).toBeLessThan(buckets.count)
        expect(time).toBeLessThan(buckets.end(bucket))
        if (bucket > 0) expect(Math.floor(time)).toBeGreaterThanOrEqual(buckets.end(bucket - 1))
      }),
      { numRuns: 2000 },
    )
  })

  test('rise, and each is as narrow as is said (or one microsecond)', () => {
    for (let bucket = 1; bucket < buckets.count; bucket++) {
      const start = buckets.end(bucket - 1)
      const end = buckets.end(bucket)
      expect(end).toBeGreaterThan(start)
      expect(end - start).toBeLessThanOrEqual(Math.max(1, start * width))
    }
  })

  test('take in the impossible too: below nothing, beyond nine minutes', () => {
    expect(buckets.of(-5)).toBe(0)
    expect(buckets.of(1e12)).toBe(buckets.count - 1)
    expect(buckets.of(Number.POSITIVE_INFINITY)).toBe(buckets.count - 1)
    expect(buckets.end(buckets.count - 1)).toBe(2 ** 29)
  })
})
