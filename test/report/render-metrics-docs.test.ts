import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SCALARS } from '../../src/metrics/scalars.ts'
import { HISTOGRAMS, LABELLED } from '../../src/report/metrics.ts'
import { describeMetrics, renderMetricsDocs } from '../../src/report/render-metrics-docs.ts'

test('docs/metrics.md is what the registry and the reasons say (npm run docs writes it)', () => {
  expect(readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')).toBe(renderMetricsDocs())
})

test('every counter of the product is a documented metric, except the sums that are part of the histograms', () => {
  const names = describeMetrics().map(({ name }) => name)
  const { latencySumUs, addedLatencySumUs, ...scalars } = SCALARS
  for (const { metric } of [...Object.values(scalars), ...Object.values(LABELLED)]) expect(names).toContain(metric)
  for (const { metric } of [latencySumUs, addedLatencySumUs]) expect(names).not.toContain(metric)
  for (const { metric } of Object.values(HISTOGRAMS)) expect(names).toContain(metric)
  expect(new Set(names).size).toBe(names.length)
})

test('counters end in _total and gauges do not, as Prometheus has it', () => {
  for (const { name, type } of describeMetrics())
    expect([name, /_total$/.test(name)]).toEqual([name, type === 'counter'])
})
