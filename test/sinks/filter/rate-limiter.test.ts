import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { RATE_LIMITER_BYTES, SharedRateLimiter } from '../../../src/sinks/filter/rate-limiter.ts'

class ManualClock {
  /** Not on a boundary of the rates tested, where rounding of a float64 decides. */
  us = 1_700_000_000_000_505
  nowUs(): number {
    return this.us
  }
}

function limiter(perSecond: number, burst?: number) {
  const clock = new ManualClock()
  const memory = new SharedArrayBuffer(RATE_LIMITER_BYTES)
  return { clock, memory, one: new SharedRateLimiter(memory, perSecond, clock, burst) }
}

function taken(one: SharedRateLimiter, tries: number): number {
  let n = 0
  for (let i = 0; i < tries; i++) if (one.tryTake()) n++
  return n
}

describe('the shared rate limiter', () => {
  test('gives a burst, and then the rate', () => {
    const { clock, one } = limiter(1_000, 50)
    expect(taken(one, 200)).toBe(50)
    clock.us += 10_000
    expect(taken(one, 200)).toBe(10)
  })

  test.each([0.5, 1, 7, 999, 12_345, 250_000])('%d per second, asked all the time, is that many', (perSecond) => {
    const { clock, one } = limiter(perSecond, 1)
    let n = 0
    const seconds = perSecond < 10 ? 40 : 2
    const stepUs = Math.min(1_000, 250_000 / perSecond)
    for (let us = 0; us < seconds * 1e6; us += stepUs) {
      clock.us += stepUs
      if (one.tryTake()) n++
    }
    expect(Math.abs(n - perSecond * seconds)).toBeLessThanOrEqual(Math.max(2, perSecond * seconds * 0.001))
  })

  test('silence is saved up to the burst only, be it minutes, hours or weeks', () => {
    for (const silenceS of [1, 60, 3_600, 21_475, 30_000, 43_000, 604_800, 6_048_000]) {
      const { clock, one } = limiter(100_000, 20)
      expect(taken(one, 50)).toBe(20)
      clock.us += silenceS * 1e6
      expect(taken(one, 50)).toBe(20)
      clock.us += 100
      expect(taken(one, 50)).toBe(10)
    }
  })

  test('says how long to wait, and taking ahead of it makes the wait longer', () => {
    const { clock, one } = limiter(100, 1)
    expect(one.waitUs()).toBe(0)
    one.take()
    expect(one.waitUs()).toBe(10_000)
    one.take()
    one.take()
    expect(one.waitUs()).toBe(30_000)
    clock.us += 29_000
    expect(one.tryTake()).toBe(false)
    clock.us += 1_000
    expect(one.waitUs()).toBe(0)
    expect(one.tryTake()).toBe(true)
  })

  test('shards on one memory share one rate', () => {
    const { clock, memory, one } = limiter(1_000, 100)
    const other = new SharedRateLimiter(memory, 1_000, clock, 100)
    let n = 0
    for (let i = 0; i < 300; i++) n += Number((i % 2 === 0 ? one : other).tryTake())
    expect(n).toBe(100)
  })

  test('threads that race for it take no more than there is', async () => {
    const { memory, one } = limiter(1_000_000, 20_000)
    one.tryTake()
    // The same compare-and-swap, from plain JavaScript, on one more thread at the same time.
    const racer = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads')
       const words = new Int32Array(workerData)
       let n = 0
       for (let i = 0; i < 50000; i++) {
         const issued = Atomics.load(words, 0)
         if (Atomics.compareExchange(words, 0, issued, (issued + 1) | 0) === issued) n++
       }
       parentPort.postMessage(n)`,
      { eval: true, workerData: memory },
    )
    const words = new Int32Array(memory)
    const before = Atomics.load(words, 0)
    const theirs = new Promise<number>((resolve) => racer.once('message', resolve))
    let mine = 0
    let done: number | null = null
    void theirs.then((n) => {
      done = n
    })
    while (done === null) {
      for (let i = 0; i < 1_000; i++) {
        one.take()
        mine++
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect((Atomics.load(words, 0) - before) | 0).toBe((mine + done) | 0)
    await racer.terminate()
  })
})
