/** The line on the terminal: losses stand first and are never cut, what has no room is left out whole. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { columnsOf, fitParts } from '../../src/report/fit-parts.ts'
import { drainLine, drainSentence, liveText } from '../../src/report/live-text.ts'
import { lossText, short } from '../../src/report/losses.ts'
import { progressLine, progressText } from '../../src/topology/progress-bar.ts'
import { totalsOf } from './support/counts.ts'

const BUSY = totalsOf({
  scalars: { packetsReceived: 8_000_000, requestsParsed: 1_000_100, gaps: 1234, kernelDropped: 99 },
  packetDrops: { shed: 1, ringFull: 2, vniNotAllowed: 5 },
  requestDrops: { gap: 17, sampledOut: 500 },
  outcomes: { '2xx': 900_000, '4xx': 98_000, '5xx': 1_500, refused: 83 },
  latencyUs: 1234,
})
const WELL = totalsOf({ scalars: { packetsReceived: 10, requestsParsed: 3 }, outcomes: { '2xx': 2 }, latencyUs: 900 })

describe('the live line', () => {
  test('at 80 columns has every loss, first and whole', () => {
    const text = liveText(BUSY, 123_456, 45_678, 79)
    expect(text).toBe('lost: 102 packets, 1,234 gaps, 17 requests, 83 failed · 123,456 packets/s')
    expect(liveText(BUSY, 123_456, 45_678, 140)).toBe(
      '102 packets dropped, 1,234 gaps, 17 requests dropped, 83 failed (refused 83) · 123,456 packets/s · 45,678 requests/s · 999,500 answered',
    )
  })

  test('says that nothing is lost where packets came, and not before', () => {
    expect(liveText(WELL, 5, 2, 79)).toBe('nothing lost · 5 packets/s · 2 requests/s · 2 answered (2xx 2) · 1 waiting')
    expect(liveText(totalsOf({}), 0, 0, 79)).toBe('no packets yet · 0 packets/s · 0 requests/s')
  })

  test('calls what was asked for no loss', () => {
    const sampled = totalsOf({ scalars: { packetsReceived: 9, requestsParsed: 3 }, requestDrops: { sampledOut: 3 } })
    expect(liveText(sampled, 1, 1, 79)).toBe('nothing lost · 1 packets/s · 1 requests/s · 3 left out')
  })

  const counts = fc.record({
    gaps: fc.nat(2 ** 31),
    kernelDropped: fc.nat(2 ** 31),
    requestsParsed: fc.nat(2 ** 31),
    packetsReceived: fc.nat(2 ** 31),
    shed: fc.nat(2 ** 31),
    gap: fc.nat(2 ** 31),
    refused: fc.nat(2 ** 31),
    ok: fc.nat(2 ** 31),
  })

  test('never is wider than the terminal, never cut inside a part, and at 79 columns never without a loss', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 0, max: 200 }), fc.nat(10_000_000), (given, width, rate) => {
        const { gaps, kernelDropped, requestsParsed, packetsReceived, shed, gap, refused, ok } = given
        const totals = totalsOf({
          scalars: { gaps, kernelDropped, requestsParsed, packetsReceived },
          packetDrops: { shed },
          requestDrops: { gap },
          outcomes: { refused, '2xx': ok },
        })
        const text = liveText(totals, rate, rate, width)
        const whole = liveText(totals, rate, rate, 10_000)
        expect(text.length).toBeLessThanOrEqual(width)
        const lost = lossText(totals, width)
        if (lost !== '') expect(text.startsWith(lost)).toBe(true)
        for (const part of text.slice(lost.length).split(' · ').filter((p) => p !== ''))
          expect([...whole.split(' · '), 'nothing lost', 'no packets yet'].some((p) => p === part || p.startsWith(`${part} (`))).toBe(true) // biome-ignore format: one line
        if (width < 79) return
        for (const [n, noun] of [[kernelDropped + shed, 'packet'], [gaps, 'gap'], [gap, 'request'], [refused, 'failed']] as const) if (n > 0) expect(lost).toContain(noun) // biome-ignore format: one line
        for (const word of lost.replace('lost: ', '').split(', ')) expect(word).toMatch(/^[\d,.]+[kMG]? (packets?( dropped)?|gaps?|requests?( dropped)?|failed( \(refused [\d,]+\))?)$/) // biome-ignore format: one line
      }),
      { numRuns: 500 },
    )
  })

  test('in a terminal of unknown width takes 79 columns', () => {
    expect([columnsOf({}), columnsOf({ columns: 0 }), columnsOf({ columns: 40 })]).toEqual([79, 79, 39])
  })

  test('leaves the last parts out first, each as a whole', () => {
    expect(fitParts(['abc', ['defghi', 'de'], 'x'], 8)).toBe('abc · de')
    expect(fitParts(['abc', ['defghi', 'de'], 'x'], 7)).toBe('abc')
    expect(fitParts(['abc'], 2)).toBe('')
  })

  test.each([
    [9_999, '9,999'],
    [12_345, '12k'],
    [999_999, '1,000k'],
    [1_234_567, '1.2M'],
    [12_345_678, '12M'],
    [2 ** 40, '1,100G'],
  ])('%d in short is %s', (n, text) => expect(short(n)).toBe(text))
})

describe('the drain', () => {
  const scalars = { replayQueued: 12, replayInFlight: 64, requestsParsed: 76 }

  test('says what is left, for how long, and whom it waits for', () => {
    const totals = totalsOf({ scalars })
    expect(drainSentence(totals, 11.2, 'http://staging:8080')).toBe(
      'draining, 12 s left: 12 queued, 64 in flight; waiting for answers of http://staging:8080',
    )
    expect(drainLine(totals, 11.2, 'http://s:80', 100)).toBe(
      'draining, 12 s left · 12 queued, 64 in flight · waiting for answers of http://s:80',
    )
  })

  test('names an origin that does not answer', () => {
    const totals = totalsOf({ scalars: { ...scalars, circuitOpen: 1 } })
    expect(drainSentence(totals, -1, 'http://staging:8080')).toBe(
      'draining, 0 s left: 12 queued, 64 in flight; http://staging:8080 does not answer',
    )
    expect(drainLine(totals, -1, 'http://staging:8080', 79)).toBe(
      'http://staging:8080 does not answer · draining, 0 s left · 76 held',
    )
  })

  test('without a limit and without a target says neither', () => {
    expect(drainSentence(totalsOf({}), null, null)).toBe('draining: 0 queued, 0 in flight')
  })
})

describe('the bar over files', () => {
  const progress = { text: (width: number) => progressText(BUSY, 1000, width), hasLosses: true }

  test('gives way to the losses where both have no room, and is never wider than the terminal', () => {
    expect(progressLine(0.5, '='.repeat(24), progress, 79)).toBe(
      '50%  lost: 102 packets, 1,234 gaps, 17 requests, 83 failed, 1,000,100 requests',
    )
    expect(progressLine(0.5, '='.repeat(24), progress, 170)).toContain('==== 50%  102 packets dropped, 1,234 gaps')
    for (let width = 10; width < 180; width++)
      expect(progressLine(1, '='.repeat(24), progress, width).length).toBeLessThanOrEqual(width)
  })

  test('stands where nothing is lost', () => {
    const calm = { text: (width: number) => progressText(WELL, 1000, width), hasLosses: false }
    expect(progressLine(1, '='.repeat(24), calm, 79)).toBe(`${'='.repeat(24)} 100%  3 requests, 2 done, 2/s`)
  })
})
