import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventLimiter, MOST_LINES, WINDOW_MS } from '../../src/report/event-limiter.ts'

const begin = false
const end = true

describe('the limiter of the log', () => {
  test('lets a beginning and its end through at once', () => {
    const limiter = new EventLimiter<string>()
    expect(limiter.offer('origin', 1, 'down', begin, 0)).toBe(true)
    expect(limiter.offer('origin', 1, 'up', end, 5_000)).toBe(true)
    expect([limiter.hasPending, limiter.due(WINDOW_MS)]).toEqual([false, []])
  })

  test('tells what flaps once a minute, by its last line, with how often it began besides', () => {
    const limiter = new EventLimiter<string>()
    limiter.offer('origin', 1, 'down', begin, 0)
    limiter.offer('origin', 1, 'up', end, 1_000)
    for (let n = 1; n <= 7; n++) {
      expect(limiter.offer('origin', 1, `down ${n}`, begin, n * 5_000)).toBe(false)
      if (n < 7) expect(limiter.offer('origin', 1, `up ${n}`, end, n * 5_000 + 2_000)).toBe(false)
    }
    expect(limiter.due(59_999)).toEqual([])
    // The line itself is the seventh beginning.
    expect(limiter.due(60_000)).toEqual([{ line: 'down 7', timesMore: 6, heldMs: 25_000 }])
    expect(limiter.due(180_000)).toEqual([])
  })

  test('an end that was held back says how often it began', () => {
    const limiter = new EventLimiter<string>()
    limiter.offer('k', 1, 'a', begin, 0)
    limiter.offer('k', 1, 'b', end, 1)
    limiter.offer('k', 1, 'c', begin, 2)
    limiter.offer('k', 1, 'd', end, 3)
    expect(limiter.due(WINDOW_MS)).toEqual([{ line: 'd', timesMore: 1, heldMs: WINDOW_MS - 3 }])
  })

  test('what begins with two causes may be told twice, and its end all the same', () => {
    const limiter = new EventLimiter<string>()
    const told = [
      limiter.offer('k', 2, 'reset', begin, 0),
      limiter.offer('k', 2, 'refused', begin, 1),
      limiter.offer('k', 1, 'up', end, 2),
      limiter.offer('k', 2, 'reset', begin, 3),
    ]
    expect(told).toEqual([true, true, true, false])
  })

  test('a new minute begins anew, and subjects do not limit each other', () => {
    const limiter = new EventLimiter<string>()
    for (const at of [0, WINDOW_MS, 2 * WINDOW_MS]) {
      expect(limiter.offer('a', 1, 'line', begin, at)).toBe(true)
      expect(limiter.offer('b', 1, 'line', begin, at)).toBe(true)
    }
  })

  test('all subjects together have a bound; how many were held back is told once, and they follow later', () => {
    const limiter = new EventLimiter<number>()
    let written = 0
    for (let n = 0; n < MOST_LINES + 15; n++) if (limiter.offer(`subject ${n}`, 1, n, begin, 10)) written++
    expect([written, limiter.takeOverAll(20), limiter.hasPending]).toEqual([MOST_LINES, 0, true])
    expect(limiter.due(WINDOW_MS + 10)).toHaveLength(15)
    expect([limiter.takeOverAll(WINDOW_MS + 10), limiter.takeOverAll(WINDOW_MS + 10)]).toEqual([15, 0])
    expect(limiter.hasPending).toBe(false)
  })

  test('at the end everything that waits is told', () => {
    const limiter = new EventLimiter<string>()
    for (const line of ['a', 'b', 'c']) limiter.offer('k', 1, line, begin, 0)
    expect(limiter.due(1, true)).toEqual([{ line: 'c', timesMore: 1, heldMs: 1 }])
  })

  test('whatever comes: no more lines in a window than the bounds, and the last word on each subject is its last line', () => {
    const steps = fc.array(
      fc.record({ key: fc.nat(40), wait: fc.integer({ min: 0, max: 3_000 }), isEnd: fc.boolean() }),
      {
        maxLength: 400,
      },
    )
    fc.assert(
      fc.property(steps, (all) => {
        const limiter = new EventLimiter<{ key: number; n: number }>()
        const told: { key: number; n: number; at: number }[] = []
        const last = new Map<number, number>()
        let now = 0
        for (const [n, { key, wait, isEnd }] of all.entries()) {
          now += wait
          for (const { line } of limiter.due(now)) told.push({ ...line, at: now })
          last.set(key, n)
          if (limiter.offer(String(key), 1, { key, n }, isEnd, now)) told.push({ key, n, at: now })
        }
        for (const { at } of told) {
          // Windows are fixed ones: two of them may meet in a minute.
          const within = told.filter((line) => line.at >= at && line.at < at + WINDOW_MS)
          expect(within.length).toBeLessThanOrEqual(2 * MOST_LINES)
        }
        for (const { line } of limiter.due(now, true)) told.push({ ...line, at: now })
        for (const [key, n] of last) expect(told.findLast((line) => line.key === key)!.n).toBe(n)
      }),
    )
  })
})
