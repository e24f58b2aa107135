import { describe, expect, test } from 'vitest'
import { RequestDrop } from '../../../src/base/drop.ts'
import { COUNTER_BLOCK_BYTES, Counter, CounterBlock } from '../../../src/metrics/counters.ts'
import { Totals } from '../../../src/report/totals.ts'
import { LossWatch, readLosses } from '../../../src/report/watch/loss-watch.ts'

function open() {
  const told: string[] = []
  const details: Record<string, unknown>[] = []
  const watch = new LossWatch((event, text, more = {}) => {
    told.push(`${event}: ${text}`)
    details.push({ event, ...more })
  })
  const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
  const counters = new CounterBlock(memory)
  let second = 0
  const look = (...groups: Parameters<LossWatch['look']> extends [unknown, unknown, ...infer R] ? R : never) => {
    counters.publish()
    watch.look(readLosses(Totals.read([memory])), ++second * 1000, ...groups)
  }
  return {
    told,
    details,
    counters,
    look,
    quiet: (seconds: number) => {
      for (let n = 0; n < seconds; n++) look()
    },
  }
}

describe('losses, as the log sees them', () => {
  test('what we truncated ourselves is told as that, and the gaps it makes are not blamed on the mirror', () => {
    const run = open()
    run.quiet(1)
    run.counters.add(Counter.packetsTruncatedHere, 3)
    run.counters.add(Counter.gaps, 2)
    run.look()
    expect(run.told).toEqual([
      'truncated: packets arrive truncated: datagramTruncated 3 so far',
      'gaps: packets of mirrored connections never arrived: gaps 2 so far',
    ])
  })

  test('what something else tells now is not said to be over meanwhile', () => {
    const run = open()
    run.counters.requestDrop(RequestDrop.queueFull)
    run.look()
    const elsewhere = new Set(['origin-slow'] as const)
    for (let second = 0; second < 60; second++) run.look(new Set(), elsewhere)
    expect(run.told.map((text) => text.split(':')[0])).toEqual(['origin-slow'])
  })

  test('a loss is one line when it begins and one when there was none for 30 s, with how many by reason', () => {
    const run = open()
    run.quiet(3)
    run.counters.add(Counter.kernelDropped, 100)
    run.look()
    run.counters.add(Counter.kernelDropped, 23)
    run.look()
    run.quiet(10)
    run.counters.add(Counter.kernelDropped, 7)
    run.look()
    run.quiet(29)
    expect(run.told).toHaveLength(1)
    run.quiet(40)
    expect(run.told).toEqual([
      'kernel-drops: the kernel drops mirrored packets because the receive buffer is full: kernelDropped 100 so far',
      'loss-ended: over, none for 30 s: the kernel drops mirrored packets because the receive buffer is full; 130 packets in 12 s (kernelDropped 130)',
    ])
    expect(run.details[1]).toEqual({
      event: 'loss-ended',
      loss: 'kernel-drops',
      reasons: { kernelDropped: 130 },
      count: 130,
      seconds: 12,
    })
  })

  test('gaps are said to come from before us only where we lose nothing', () => {
    const before = open()
    before.counters.add(Counter.gaps, 2)
    before.look()
    expect(before.told).toEqual([
      'gaps: packets of mirrored connections never arrived: gaps 2 so far; they were lost before mirrorshard, which drops none now',
    ])
    const here = open()
    here.counters.add(Counter.gaps, 2)
    here.counters.add(Counter.kernelDropped, 2)
    here.look()
    expect(here.told.at(-1)).toBe('gaps: packets of mirrored connections never arrived: gaps 2 so far')
  })

  test('what was asked for is no loss', () => {
    const run = open()
    for (const reason of ['method', 'path', 'sampledOut', 'rateLimited', 'connect', 'upgrade'] as const)
      run.counters.requestDrop(RequestDrop[reason], 5)
    run.look()
    expect(run.told).toEqual([])
  })

  test('what something else tells is not told again, before it or after it', () => {
    const run = open()
    const ofOrigin = new Set(['origin-slow'] as const)
    run.counters.requestDrop(RequestDrop.circuitOpen, 5)
    run.look(ofOrigin)
    run.counters.requestDrop(RequestDrop.circuitOpen, 5)
    run.look(undefined, ofOrigin)
    run.quiet(2)
    expect(run.told).toEqual([])
    run.counters.requestDrop(RequestDrop.circuitOpen, 3)
    run.look()
    expect(run.details).toEqual([{ event: 'origin-slow', reasons: { circuitOpen: 3 }, count: 3 }])
  })
})
