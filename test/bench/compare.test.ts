import { describe, expect, it } from 'vitest'
import { COMPARABLE, parseOptions } from '../../bench/support/options.ts'
import { quartilesOf } from '../../bench/support/statistics.ts'
import { isWithin, MOST_REPEATS, type Pair, pairsInTurns, ratiosOf, type Work } from '../../bench/versions/pairs.ts'
import { disturbedBy } from '../../bench/versions/works.ts'

interface Run {
  readonly cpu: number
  readonly disturbed: string | null
}

const SIDES: Pair<string> = ['base', 'this']

/** Works that write down who was run, and cost what they are told to. */
function recorded(labels: readonly string[], run: (label: string, side: string, times: number) => Run) {
  const log: string[] = []
  const works = labels.map((label): Work<string, Run> => {
    const times = new Map<string, number>()
    return {
      label,
      run: async (side) => {
        times.set(side, (times.get(side) ?? 0) + 1)
        log.push(`${label} ${side}`)
        return run(label, side, times.get(side)!)
      },
    }
  })
  return { log, works }
}

const plan = (rounds: number, told: string[] = []) => ({
  rounds,
  tellRepeat: (work: Work<string, Run>, side: string, why: string) => told.push(`${work.label} ${side}: ${why}`),
  isSettled: () => true,
})
const quiet = (cpu: number): Run => ({ cpu, disturbed: null })

describe('two builds in turns', () => {
  it('run one right after the other, and who begins changes from round to round and from work to work', async () => {
    const { log, works } = recorded(['a', 'b'], () => quiet(1))
    const pairs = await pairsInTurns(works, SIDES, plan(2))
    expect(log).toEqual(['a base', 'a this', 'b this', 'b base', 'a this', 'a base', 'b base', 'b this'])
    expect(pairs.map((own) => own.length)).toEqual([2, 2])
  })

  it('keep their sides apart, whoever began', async () => {
    const { works } = recorded(['a'], (_, side, times) => quiet(times + (side === 'base' ? 0 : 100)))
    const [pairs] = await pairsInTurns(works, SIDES, plan(3))
    expect(pairs!.map((pair) => pair.map(({ cpu }) => cpu))).toEqual([
      [1, 101],
      [2, 102],
      [3, 103],
    ])
  })

  it('run a pair again, both sides of it, when one lost something, and say which', async () => {
    const told: string[] = []
    const { log, works } = recorded(['a'], (_, side, times) =>
      side === 'this' && times === 1 ? { cpu: 9, disturbed: '3 lost' } : quiet(times),
    )
    const [pairs] = await pairsInTurns(works, SIDES, plan(1, told))
    expect(log).toEqual(['a base', 'a this', 'a base', 'a this'])
    expect(told).toEqual(['a this: 3 lost'])
    expect(pairs).toEqual([[quiet(2), quiet(2)]])
  })

  it('keep a pair that is disturbed each time, so that it can be judged', async () => {
    const told: string[] = []
    const { works } = recorded(['a'], (_, side) => ({ cpu: 1, disturbed: side === 'this' ? 'lost' : null }))
    const [pairs] = await pairsInTurns(works, SIDES, plan(1, told))
    expect(told).toHaveLength(MOST_REPEATS)
    expect(pairs![0]![1].disturbed).toBe('lost')
  })

  it('get as many rounds again where they are not settled, those alone', async () => {
    const { log, works } = recorded(['a', 'b'], () => quiet(1))
    const pairs = await pairsInTurns(works, SIDES, { ...plan(3), isSettled: ({ label }) => label === 'a' })
    expect(pairs.map((own) => own.length)).toEqual([3, 6])
    expect(log.slice(12)).toEqual(['b base', 'b this', 'b this', 'b base', 'b base', 'b this'])
  })
})

describe('the ratio of two builds', () => {
  const pairs = (values: readonly (readonly [number, number])[]): Pair<Run>[] =>
    values.map(([base, current]) => [quiet(base), quiet(current)])
  const cpu = (run: Run) => run.cpu

  it('is taken pair by pair: a round in which everything is slow changes nothing', () => {
    const ratios = ratiosOf(
      pairs([
        [1, 1.02],
        [10, 10.2],
        [2, 2.04],
      ]),
      cpu,
    )
    expect(ratios.median).toBeCloseTo(1.02)
    expect(ratios.upper - ratios.lower).toBeCloseTo(0)
    expect(ratios.leastByLeast).toBeCloseTo(1.02)
  })

  it('is not moved by one run in five that something held up', () => {
    const ratios = ratiosOf(
      pairs([
        [1, 1],
        [1, 1.01],
        [1, 1.02],
        [1, 3],
        [1, 0.99],
      ]),
      cpu,
    )
    expect(ratios).toMatchObject({ lower: 1, median: 1.01, upper: 1.02, leastByLeast: 0.99 })
  })

  it('is within its bound up to the bound itself; where nothing was measured it is within none', () => {
    const at = (median: number) => ({ lower: median, median, upper: median })
    expect([isWithin(at(1.03), 1.03), isWithin(at(1.0301), 1.03), isWithin(at(9), null)]).toEqual([true, false, true])
    expect(isWithin(at(Number.NaN), 1.03)).toBe(false)
  })
})

it('quartiles lie in proportion between the values beside them', () => {
  expect(quartilesOf([4, 1, 3, 2])).toEqual({ lower: 1.75, median: 2.5, upper: 3.25 })
  expect(quartilesOf([7])).toEqual({ lower: 7, median: 7, upper: 7 })
})

it('a live run is not compared when it lost anything or when its sender was late', () => {
  expect(disturbedBy(0, 48_000, 60_000)).toBeNull()
  expect(disturbedBy(2, 60_000, 60_000)).toBe('2 packets, gaps or requests lost')
  expect(disturbedBy(0, 40_000, 60_000)).toBe('the sender reached 40,000/s of 60,000/s')
})

describe('the options of compare', () => {
  it('compare all there is where none is named', () => {
    expect(parseOptions(['compare', '--base', 'main'])).toMatchObject({ compared: null, maxRatio: null, rates: null })
    expect(parseOptions(['--bench', COMPARABLE.join(',')]).compared).toEqual(COMPARABLE)
  })

  it('refuse a bound that is none', () => {
    const maxRatio = (text: string) => parseOptions(['--base', 'main', `--max-ratio=${text}`]).maxRatio
    expect(maxRatio('1.03')).toBe(1.03)
    for (const text of ['0', '-1', '3%', '', 'Infinity'])
      expect(() => maxRatio(text), text).toThrow('--max-ratio: expected a number above 0')
    expect(() => parseOptions(['--max-ratio', '1.03'])).toThrow('--max-ratio needs --base REF')
  })
})
