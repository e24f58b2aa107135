import { describe, expect, it } from 'vitest'
import { enginesInHelp } from '../../bench/support/capabilities.ts'
import { GOALS, type Goal, goalRows, outcomeOf } from '../../bench/support/goals.ts'
import { added, byLabel, histogramOf, parseMetrics, quantile, sumOverLabels } from '../../bench/support/prometheus.ts'
import type { Figure } from '../../bench/support/report.ts'
import { inTurns } from '../../bench/support/rounds.ts'
import { sampleOf } from '../../bench/support/samples.ts'
import { drawSeries, ticks } from '../../bench/support/series-svg.ts'
import { fitLine, pairedRatios } from '../../bench/support/statistics.ts'

const page = (below1: number, below5: number, all: number, more = '') => `# HELP a_seconds What.
# TYPE a_seconds histogram
a_seconds_bucket{le="0.001"} ${below1}
a_seconds_bucket{le="0.005"} ${below5}
a_seconds_bucket{le="+Inf"} ${all}
a_seconds_sum 1
a_seconds_count ${all}
${more}`

describe('percentiles of what happened between two readings', () => {
  const earlier = histogramOf(parseMetrics(page(1_000, 1_000, 1_000)), 'a_seconds')
  const later = histogramOf(parseMetrics(page(1_050, 1_090, 1_100)), 'a_seconds')!

  it('do not know what was before', () => {
    expect(added(later, earlier).counts).toEqual([50, 90, 100])
    expect(added(later, null).counts).toEqual([1_050, 1_090, 1_100])
  })

  it('lie between the bounds of their bucket, in proportion', () => {
    const between = added(later, earlier)
    expect(quantile(between, 0.25)).toBeCloseTo(0.0005)
    expect(quantile(between, 0.5)).toBeCloseTo(0.001)
    expect(quantile(between, 0.7)).toBeCloseTo(0.003)
  })

  it('are the last bound at least, where the bucket has no upper one', () => {
    expect(quantile(added(later, earlier), 0.99)).toBe(0.005)
  })

  it('are none where nothing happened', () => {
    expect(quantile(added(later, later), 0.5)).toBeNull()
    expect(histogramOf(parseMetrics(page(0, 0, 0)), 'b_seconds')).toBeNull()
  })
})

describe('a page of metrics', () => {
  const samples = parseMetrics('x_total{reason="a"} 3\nx_total{reason="b"} 0\nx_total{reason="c d"} 4\nxy_total 9\n')

  it('is summed over labels, names that begin alike left out', () => {
    expect(sumOverLabels(samples, 'x_total')).toBe(7)
  })

  it('is told by label, zeros left out', () => {
    expect(byLabel(samples, 'x_total')).toEqual({ a: 3, 'c d': 4 })
  })
})

it('a sample counts what was lost by place, rates over its own second, and takes the clock off the loop delay', () => {
  const text = (packets: number, ok: number) => `mirrorshard_source_packets_total ${packets}
mirrorshard_requests_replayed_total{outcome="2xx"} ${ok}
mirrorshard_requests_replayed_total{outcome="timeout"} 2
mirrorshard_packets_dropped_total{reason="ringFull"} 5
mirrorshard_kernel_drops_total 7
nodejs_eventloop_lag_p99_seconds 0.0125
mirrorshard_replay_added_seconds_bucket{le="0.001"} ${ok}
mirrorshard_replay_added_seconds_bucket{le="+Inf"} ${ok}
process_resident_memory_bytes 2e8
`
  const sample = sampleOf(parseMetrics(text(30_000, 300)), 2.5, parseMetrics(text(10_000, 100)), 0.5)
  expect(sample.packetsPerSecond).toBe(10_000)
  expect(sample.requestsPerSecond).toBe(100)
  expect(sample.lost).toBe(14)
  expect(sample.loopDelayP99Ms).toBeCloseTo(2.5)
  expect(sample.addedP50Ms).toBeCloseTo(0.5)
  expect(sample.answerP50Ms).toBeNull()
  expect(sample.rssMb).toBe(200)
})

describe('goals', () => {
  const figure = (median: number, least = median, greatest = median): Figure => ({ median, least, greatest, unit: 's' })
  const goal: Goal = { what: 'w', key: 'k', bench: 'b', most: 2, unit: 's', digits: 1 }

  it('are met at their bound and missed beyond it, by the median', () => {
    expect(outcomeOf(goal, figure(2, 1, 9))).toBe('met')
    expect(outcomeOf(goal, figure(2.01))).toBe('missed')
    expect(outcomeOf({ ...goal, least: 1 }, figure(0.9))).toBe('missed')
    expect(outcomeOf(goal, figure(Number.NaN))).toBe('missed')
  })

  it('that no run may miss are judged by the worst', () => {
    expect(outcomeOf({ ...goal, most: 0, by: 'worst' }, figure(0, 0, 1))).toBe('missed')
    expect(outcomeOf({ ...goal, most: 0, by: 'worst' }, figure(0))).toBe('met')
  })

  it('without a figure were not run, and say which bench would tell', () => {
    expect(outcomeOf(goal, undefined)).toBe('not run')
    expect(goalRows([goal], new Map())[1]).toEqual(['w', '≤ 2.0 s', '–', 'not run', 'b'])
  })

  it('stand beside what was measured, with its spread and what it is of', () => {
    const figures = new Map([['k', { ...figure(1.5, 1, 2), of: '--workers 1' }]])
    expect(goalRows([goal], figures)[1]).toEqual(['w', '≤ 2.0 s', '1.5 (1.0–2.0) s', 'met', '--workers 1'])
  })

  it('have a key each, and a bound', () => {
    expect(new Set(GOALS.map(({ key }) => key)).size).toBe(GOALS.length)
    for (const { key, least, most } of GOALS) expect(least ?? most, key).toBeTypeOf('number')
  })
})

describe('what a build can do', () => {
  it('is read off its help', () => {
    expect(enginesInHelp('  --engine wire|undici   What sends. (default: wire)')).toEqual(['wire', 'undici'])
    expect(enginesInHelp('  --engine auto|wire|undici   What sends.')).toEqual(['wire', 'undici'])
    expect(enginesInHelp('  --rate N/s')).toEqual([null])
  })
})

describe('rounds', () => {
  it('take the variants forth and back, and keep the runs apart', async () => {
    const order: string[] = []
    const runs = await inTurns(['a', 'b'], 3, async (variant) => order.push(variant))
    expect(order.join('')).toBe('abbaab')
    expect(runs).toEqual([
      [1, 4, 5],
      [2, 3, 6],
    ])
  })

  it('are compared one by one, so that a slow round changes no ratio', () => {
    expect(pairedRatios([2, 20, 4], [1, 10, 2])).toEqual({ median: 2, least: 2, greatest: 2 })
  })
})

it('the slope of a line with noise on it is that of the line', () => {
  const points = Array.from({ length: 100 }, (_, i) => [i, 50 + 0.25 * i + (i % 2 === 0 ? 3 : -3)] as const)
  expect(fitLine(points).slope).toBeCloseTo(0.25, 2)
})

describe('the picture of a series', () => {
  it('has ticks at round numbers that enclose all values', () => {
    expect(ticks(0, 1, 4)).toEqual([0, 0.5, 1])
    expect(ticks(0, 190, 4)).toEqual([0, 50, 100, 150, 200])
    expect(ticks(0, 0.3, 4)).toEqual([0, 0.1, 0.2, 0.3])
    expect(ticks(0, 13_900, 4)).toEqual([0, 5_000, 10_000, 15_000])
  })

  it('breaks its line where nothing was measured, and escapes what it is told', () => {
    const svg = drawSeries({
      title: 'a < b & c',
      subtitle: '',
      seconds: [1, 2, 3, 4],
      panels: [{ title: 'p', unit: 'ms', series: [{ name: 's', values: [1, null, 2, 3] }] }],
    })
    expect(svg.match(/<polyline/g)).toHaveLength(2)
    expect(svg).toContain('a &lt; b &amp; c')
    expect(svg).not.toContain('NaN')
  })

  it('says where a build does not tell', () => {
    const none = { title: 'p', unit: 'ms', series: [{ name: 's', values: [null, null] }] }
    expect(drawSeries({ title: '', subtitle: '', seconds: [1, 2], panels: [none] })).toContain('not in this build')
  })
})
