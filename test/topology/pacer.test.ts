import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Pacer, type SkippedPause } from '../../src/topology/pacer.ts'

const HOUR = 3600
const DAY = 24 * HOUR

interface Replayed {
  /** Seconds on the wall since the start, packet by packet. */
  readonly at: readonly number[]
  readonly skipped: readonly SkippedPause[]
}

/** Sends packets of these times (seconds) on a clock that only waiting moves, and says when each left. */
async function replay(
  times: readonly number[],
  { speed = 1, maxPauseS = 60, begins = [0] }: { speed?: number; maxPauseS?: number | null; begins?: number[] } = {},
): Promise<Replayed> {
  let nowMs = 1e6
  const skipped: SkippedPause[] = []
  const clock = {
    nowMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms
    },
  }
  const pacer = new Pacer(speed, maxPauseS === null ? null : maxPauseS * 1000, clock, (pause) => skipped.push(pause))
  const at: number[] = []
  for (const [i, time] of times.entries()) {
    if (begins.includes(i)) pacer.begin(time * 1e6)
    else pacer.next(time * 1e6)
    while (!pacer.isDue()) await pacer.wait({ requested: false }, Number.POSITIVE_INFINITY, () => {})
    at.push(Math.round(nowMs - 1e6) / 1000)
  }
  return { at, skipped }
}

describe('packets of a file', () => {
  test('leave as far apart as they were captured, or as the speed says', async () => {
    expect((await replay([100, 100.5, 103, 160])).at).toEqual([0, 0.5, 3, 60])
    expect((await replay([100, 100.5, 103], { speed: 0.5 })).at).toEqual([0, 1, 6])
    expect((await replay([100, 110, 200], { speed: 10 })).at).toEqual([0, 1, 10])
  })

  test('that are a little late leave at once, and the others as if it were not there', async () => {
    expect((await replay([0, 1, 0.5, 2, 1.99, 3])).at).toEqual([0, 1, 1, 2, 2, 3])
  })
})

describe('a pause longer than the bound', () => {
  test('is waited for up to the bound, and what follows goes on as far apart as it was captured', async () => {
    const { at, skipped } = await replay([0, 1, 1 + 3 * HOUR, 2 + 3 * HOUR, 32 + 3 * HOUR])
    expect(at).toEqual([0, 1, 61, 62, 92])
    expect(skipped).toEqual([
      { timeUs: (1 + 3 * HOUR) * 1e6, pauseUs: 3 * HOUR * 1e6, skippedUs: (3 * HOUR - 60) * 1e6 },
    ])
  })

  test('is judged by the wait, not by the capture: at ten times the speed ten minutes are a minute', async () => {
    const { at, skipped } = await replay([0, 600, 1260], { speed: 10 })
    expect(at).toEqual([0, 60, 120])
    expect(skipped).toEqual([{ timeUs: 1260e6, pauseUs: 660e6, skippedUs: 60e6 }])
  })

  test('is waited for to its end where there is no bound', async () => {
    expect((await replay([0, DAY, DAY + 1], { maxPauseS: null })).at).toEqual([0, DAY, DAY + 1])
  })

  test('between two passes over the files is none: the next one follows at once', async () => {
    // The last time of the first pass is wrong, so the second one begins a day later.
    const { at, skipped } = await replay([0, 1, DAY, 2, 3, DAY + 0.001, DAY + 1.001], { begins: [0, 5] })
    expect(skipped).toHaveLength(1)
    expect(at).toEqual([0, 1, 61, 61, 62, 62.001, 63.001])
  })
})

describe('a wrong time stamp', () => {
  test('ahead of its time holds the file up to the bound, and those behind it leave as far apart as they were captured', async () => {
    expect((await replay([0, 1, DAY, 2, 3, 4])).at).toEqual([0, 1, 61, 61, 62, 63])
  })

  test('behind its time is sent at once, and changes nothing', async () => {
    const { at, skipped } = await replay([0, 1, -DAY, 2, 3])
    expect([at, skipped]).toEqual([[0, 1, 1, 2, 3], []])
  })

  test('of the first packet holds nothing up for longer than the bound', async () => {
    expect((await replay([-DAY, 0, 1, 2])).at).toEqual([0, 60, 61, 62])
    expect((await replay([DAY, 0, 1, 2])).at).toEqual([0, 0, 1, 2])
  })

  test('in every other packet, as of two clocks, does not hold up the others', async () => {
    const times = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? i : i + DAY))
    const { at, skipped } = await replay(times)
    expect(at).toEqual([0, 60, 60, 62, 62, 64, 64, 66, 66, 68])
    expect(skipped).toHaveLength(1)
  })
})

describe('a clock that was set back', () => {
  test('by hours goes on from there, at the pace of the capture', async () => {
    expect((await replay([0, 1, 2, 2 - HOUR, 3 - HOUR, 4 - HOUR])).at).toEqual([0, 1, 2, 2, 3, 4])
  })

  test('and forward again is a pause like any other', async () => {
    expect((await replay([0, 1, -HOUR, 1 - HOUR, 2 - HOUR, 2, 3])).at).toEqual([0, 1, 1, 2, 3, 63, 64])
  })

  test('changes nothing where there is no bound: times are kept as they stand', async () => {
    expect((await replay([0, 10, 5, 6, 11], { maxPauseS: null })).at).toEqual([0, 10, 10, 10, 11])
  })
})

test('whatever the times are, no packet waits longer than the bound, and none leaves before the one before it', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: 0, max: 5, noNaN: true }) },
    { weight: 2, arbitrary: fc.double({ min: -0.5, max: 0, noNaN: true }) },
    { weight: 1, arbitrary: fc.double({ min: -1e8, max: 1e8, noNaN: true }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(0.5, 1, 7), async (steps, speed) => {
      let time = 1e9
      const times = [
        time,
        ...steps.map((s) => {
          time += s
          return time
        }),
      ]
      const { at } = await replay(times, { speed, maxPauseS: 60 })
      for (let i = 1; i < at.length; i++) {
        expect(at[i]! - at[i - 1]!).toBeGreaterThanOrEqual(0)
        expect(at[i]! - at[i - 1]!).toBeLessThanOrEqual(60.002)
      }
    }),
  )
})

test('times that only rise are never replayed faster than they were captured, but for what is skipped', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.double({ min: 0, max: 1e6, noNaN: true })), {
        maxLength: 40,
      }),
      async (steps) => {
        let time = 0
        const times = [
          0,
          ...steps.map((s) => {
            time += s
            return time
          }),
        ]
        const { at } = await replay(times)
        for (const [i, s] of steps.entries()) expect(Math.abs(at[i + 1]! - at[i]! - Math.min(s, 60))).toBeLessThan(0.01)
      },
    ),
  )
})
