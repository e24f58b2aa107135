import { expect, test } from 'vitest'
import type { MemoryBudget } from '../../src/config/memory-budget.ts'
import { COUNTER_BLOCK_BYTES } from '../../src/metrics/counters.ts'
import { MetricsPage } from '../../src/report/metrics-page.ts'
import { Totals } from '../../src/report/totals.ts'

test('scrapes that come while one is under way share the next, so that many cost as much as two', async () => {
  const counters = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
  let readings = 0
  const page = new MetricsPage({
    totals: () => {
      readings++
      return Totals.read([counters])
    },
    protocolCounts: () => [],
    workers: () => ({ configured: 0, running: 0 }),
    receivers: () => ({ configured: 1, running: 1 }),
    deaths: () => [],
    reloads: () => ({ success: 0, failure: 0, lastSuccessMs: 0 }),
    targets: () => [],
    memory: () => ({}) as MemoryBudget,
  })
  await page.load()
  readings = 0
  const first = page.read()
  await Promise.resolve()
  const texts = await Promise.all([first, ...Array.from({ length: 500 }, () => page.read())])
  expect(readings).toBe(2)
  for (const { text } of texts) expect(text).toContain('mirrorshard_ring_packets 0')
  // Who comes later is told of later.
  await page.read()
  expect(readings).toBe(3)
})
