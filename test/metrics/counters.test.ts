import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ADDED_LATENCIES,
  ADDED_LATENCY_BUCKETS,
  COUNTER_BLOCK_BYTES,
  COUNTERS,
  Counter,
  CounterBlock,
  LATENCIES,
  LATENCY_BUCKETS,
  OUTCOMES,
  PACKET_DROPS,
  REQUEST_DROPS,
  RESPONSE_DROPS,
  readCounterBlock,
  SCALARS,
} from '../../src/metrics/counters.ts'
import { compile } from '../support/compiled.ts'

describe('a counter block', () => {
  test('shows what was counted when it is published, not before', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    const read = new Float64Array(COUNTERS)
    block.add(Counter.packetsReceived, 3)
    expect(readCounterBlock(memory, 0, read)).toBe(true)
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

  test('of a thread that starts again goes on where its predecessor’s last publication ended', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const block = new CounterBlock(memory)
    block.add(Counter.packetsProcessed, 10)
    block.publish()
    block.add(Counter.packetsProcessed, 99)
    const successor = new CounterBlock(memory)
    successor.add(Counter.packetsProcessed, 1)
    successor.publish()
    const read = new Float64Array(COUNTERS)
    readCounterBlock(memory, 0, read)
    expect(read[Counter.packetsProcessed]).toBe(11)
  })

  test('of a thread that died while publishing is told apart, and whole again with the successor’s publication', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    new Int32Array(memory)[0] = 7
    const read = new Float64Array(COUNTERS)
    expect(readCounterBlock(memory, 0, read)).toBe(false)
    new CounterBlock(memory).publish()
    expect(readCounterBlock(memory, 0, read)).toBe(true)
  })

  test('of a thread that the machine takes from its processor while publishing is read whole when it goes on', async () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const started = new Int32Array(new SharedArrayBuffer(4))
    const compiled = compile('metrics/counters.ts')
    const script = compiled.script(
      'halted.js',
      `import { workerData } from 'node:worker_threads'
      import { COUNTERS } from '${compiled.url('metrics/counters.ts')}'
      const { memory, started } = workerData
      const version = new Int32Array(memory, 0, 1)
      const halt = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
      // As publish() does, but for the halt in the middle of the copy.
      Atomics.store(version, 0, 1)
      const shared = new Float64Array(memory, 64, COUNTERS)
      shared.fill(5, 0, COUNTERS >> 1)
      Atomics.store(started, 0, 1)
      Atomics.notify(started, 0)
      halt(20)
      shared.fill(5, COUNTERS >> 1)
      Atomics.store(version, 0, 2)`,
    )
    const worker = new Worker(script, { workerData: { memory, started } })
    try {
      const wait = Atomics.waitAsync(started, 0, 0, 20_000)
      if (wait.async) await wait.value
      const read = new Float64Array(COUNTERS)
      expect(readCounterBlock(memory, 0, read)).toBe(true)
      expect(new Set(read)).toEqual(new Set([5]))
    } finally {
      await worker.terminate()
      compiled.remove()
    }
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
        if (!readCounterBlock(memory, 0, read)) continue
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
