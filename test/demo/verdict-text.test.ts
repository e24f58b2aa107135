import { describe, expect, test } from 'vitest'
import { PacketDrop, RequestDrop } from '../../src/base/drop.ts'
import type { Verdict } from '../../src/demo/judge.ts'
import { emptyTally } from '../../src/demo/traffic/tally.ts'
import { verdictDetails, verdictSentence } from '../../src/demo/verdict-text.ts'
import { COUNTER_BLOCK_BYTES, Counter, CounterBlock } from '../../src/metrics/counters.ts'
import { makeSummary } from '../../src/report/summary.ts'
import { Totals } from '../../src/report/totals.ts'

const BAD: Verdict = {
  sent: 1_000_000,
  exact: 999_990,
  altered: 4,
  missing: 6,
  duplicates: 1,
  invented: 2,
  outOfOrder: 3,
  examples: ['GET /a: never arrived'],
}

function details(): string[] {
  const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
  const counters = new CounterBlock(memory)
  counters.add(Counter.packetsReceived, 9_000_000)
  counters.add(Counter.gaps, 2)
  counters.packetDrop(PacketDrop.ringFull, 5)
  counters.requestDrop(RequestDrop.gap, 6)
  counters.publish()
  const spent = { seconds: 1, cpuSeconds: 1 }
  const summary = makeSummary(Totals.read([memory]), [], true, { ...spent, fromFirstPacket: spent })
  return verdictDetails(
    { verdict: BAD, tally: emptyTally(), packetsSent: 9_000_005, sendingMs: 1_000, arrivingMs: 1_000 },
    summary,
  )
}

describe('the verdict in words', () => {
  test('names every fault with its count', () => {
    expect(verdictSentence(BAD)).toBe(
      'Failed: of 1,000,000 requests 4 altered, 6 missing, 1 arrived twice, 2 invented, 3 out of order.',
    )
  })

  test('tells what was lost by reason, and an example', () => {
    const text = details().join('\n')
    expect(text).toContain('GET /a: never arrived')
    expect(text).toMatch(/requests {4}gap 6/)
    expect(text).toMatch(/packets {5}ringFull 5/)
    expect(text).toContain('2 gaps')
  })

  test('fits 80 columns', () => {
    for (const line of details()) expect(line.length).toBeLessThanOrEqual(80)
  })
})
