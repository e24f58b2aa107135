import { describe, expect, it } from 'vitest'
import type { EventRecord } from '../../bench/soak/chaos.ts'
import type { OriginTold } from '../../bench/soak/origin.ts'
import type { Reading } from '../../bench/soak/reading.ts'
import { type Evidence, judge } from '../../bench/soak/verdict.ts'
import type { LiveSummary } from '../../bench/support/service.ts'

const HEALTHY = { isGood: true, text: 'receiving' }

/** A run of 100 seconds in which nothing is wrong, and one thread was killed. */
function reading(seconds: number, more: Partial<Reading> = {}): Reading {
  return {
    ...{ seconds, rssMb: 200, heapMb: { main: 12 }, externalMb: {}, descriptors: 60, cpu: 0.2 },
    ...{ packetsPerSecond: 100, requestsPerSecond: 10, answersPerSecond: 10, addedMs: null, replayMs: null },
    ...{ loopDelayMaxMs: 1, queued: 0, inFlight: 0, held: 0, ringPackets: 0, fragmentsHeld: 0, flowsOpen: 5 },
    ...{ circuitsOpen: 0, workersRunning: 2, receiversRunning: 1, health: HEALTHY, received: seconds * 100 },
    ...{ parsed: seconds * 10, kernelDropped: 0, packetsDropped: {}, requestsDropped: {}, outcomes: {}, retries: 0 },
    ...{ accounts: [], ...more },
  }
}

const kill: EventRecord = {
  name: 'shard 0: throw',
  fault: { track: 'inner', kind: 'kill', thread: 'shard', index: 0, how: 'throw' },
  ...{ startS: 40, endS: 40, recoveredS: 41, boundS: 14 },
}
const origin: OriginTold = {
  ...{ arrived: 900, distinct: 899, again: 1, twice: 0, altered: 0, invented: 0, cut: 0 },
  ...{ answers: { '2xx': 880, '5xx': 0 }, passes: 1, connections: 3, rssMb: 50, example: null },
}
const summary = {
  packets: { received: 9_990, kernelDropped: 10, processed: 9_980, dropped: { shardLost: 10 } },
  requests: { parsed: 1_000, dropped: { shardLost: 100 }, replayed: { '2xx': 870, reset: 30 }, held: 0, retried: 1 },
  flows: { lost: 4, gaps: 0 },
} as unknown as LiveSummary
const SECONDS = Array.from({ length: 100 }, (_, i) => i + 1)
const times = (below: number) => ({ bounds: [0.005, 0.5, Number.POSITIVE_INFINITY], counts: [below, 100, 100] })

function evidence(more: Partial<Evidence> = {}): Evidence {
  return {
    readings: SECONDS.map((seconds) => reading(seconds)),
    isCalm: SECONDS.map((seconds) => seconds < 39 || seconds > 43),
    addedTimes: SECONDS.map(() => times(100)),
    ...{ events: [kill], kills: 1, deaths: [{ seconds: 40, words: 'worker 0 died' }], origin, summary },
    sent: { packets: 10_000, floodPackets: 0, requests: 1_000, passes: 1, cpuSeconds: 1, slippedMs: 0, isLast: true },
    ...{ exitCode: 0, exitText: '', workers: 2, connections: 32, budgetMb: 512, ...more },
  }
}

const failed = (more: Partial<Evidence>) =>
  judge(evidence(more))
    .filter(({ isPassed }) => isPassed === false)
    .map(({ name }) => name)
const from = (seconds: number, more: (seconds: number) => Partial<Reading>) =>
  SECONDS.map((s) => reading(s, s >= seconds ? more(s) : {}))

describe('recovery from overloads that follow each other', () => {
  const overload = (startS: number, recoveredS: number): EventRecord => ({
    name: `burst at ${startS} s`,
    fault: { track: 'inner', kind: 'burst' },
    ...{ startS, endS: startS + 1, recoveredS, boundS: 20 },
  })

  it('counts from the end of the last: health cannot be good again for one of them alone', () => {
    expect(failed({ events: [kill, overload(10, 45), overload(28, 45)] })).toEqual([])
    expect(failed({ events: [kill, overload(10, 45), overload(28, 49)] })).toEqual([])
  })

  it.each([
    ['one that took too long by itself', [overload(10, 45)]],
    ['one whose time was over when the next came', [overload(10, 45), overload(32, 45)]],
    ['the last of them', [overload(10, 50), overload(28, 50)]],
    ['one behind which something else happened', [overload(10, 45), { ...kill, startS: 28, endS: 29 }]],
  ])('fails of %s', (_what, events) => {
    expect(failed({ events: [kill, ...events] })).toEqual(['every fault is recovered from'])
  })
})

describe('the verdict of a soak', () => {
  it('is passed where nothing is wrong', () => {
    expect(judge(evidence()).filter(({ isPassed }) => isPassed !== true)).toEqual([])
  })

  it.each<[string, Partial<Evidence>]>([
    ['nothing altered, invented or sent twice', { origin: { ...origin, altered: 1 } }],
    ['nothing altered, invented or sent twice', { origin: { ...origin, invented: 1 } }],
    ['nothing altered, invented or sent twice', { origin: { ...origin, twice: 1 } }],
    ['nothing altered, invented or sent twice', { origin: { ...origin, passes: 2 } }],
    ['nothing altered, invented or sent twice', { origin: { ...origin, distinct: 0 } }],
    ['retries are the only repetitions', { origin: { ...origin, again: 102 } }],
    ['the origin got what was counted', { origin: { ...origin, arrived: 869 } }],
    ['answers 2xx are those that the origin wrote', { origin: { ...origin, answers: { '2xx': 869, '5xx': 0 } } }],
    ['the origin got what was counted', { origin: { ...origin, arrived: 1_002 } }],
    ['answers 2xx are those that the origin wrote', { origin: { ...origin, answers: { '2xx': 1_002, '5xx': 0 } } }],
    ['answers 5xx are those that the origin wrote', { origin: { ...origin, answers: { '2xx': 880, '5xx': 132 } } }],
    ['counts balance at the end', { summary: { ...summary, packets: { ...summary.packets, processed: 9_979 } } }],
    ['counts balance at the end', { summary: { ...summary, requests: { ...summary.requests, parsed: 999 } } }],
    ['no request was found that was not sent', { sent: { ...evidence().sent, requests: 999 } }],
    ['counts balance in every scrape', { readings: from(50, (s) => (s === 50 ? { accounts: ['packets'] } : {})) }],
    ['every packet sent is accounted for', { sent: { ...evidence().sent, packets: 10_001 } }],
    ['memory stays within its budget', { readings: from(50, (s) => (s === 50 ? { rssMb: 513 } : {})) }],
    ['memory is flat in the second half', { readings: from(50, (s) => ({ rssMb: 200 + (s - 50) * 3 })) }],
    ['the heap of each thread is flat', { readings: from(50, (s) => ({ heapMb: { main: 12 + (s - 50) } })) }],
    ['descriptors are flat', { readings: from(50, (s) => ({ descriptors: 60 + (s - 50) * 2 })) }],
    ['latency is flat', { addedTimes: SECONDS.map((s) => times(s < 70 ? 100 : 0)) }],
    ['latency is flat', { readings: from(41, () => ({ queued: 5_000 })) }],
    ['the faults were felt', { summary: { ...summary, flows: { ...summary.flows, lost: 0 } } }],
    ['every fault is recovered from', { events: [{ ...kill, recoveredS: null }] }],
    ['every fault is recovered from', { events: [{ ...kill, recoveredS: 55 }] }],
    ['threads die when they are killed, and only then', { deaths: [] }],
    ['health turns bad and good again when it should', { readings: from(50, () => ({ kernelDropped: 50 })) }],
    [
      'health turns bad and good again when it should',
      { readings: from(50, () => ({ kernelDropped: 50, health: { isGood: false, text: 'overloaded' } })) },
    ],
    ['the process ended with 0', { exitCode: 1 }],
  ])('is failed by one thing alone: %s', (name, more) => {
    expect(failed(more)).toEqual([name])
  })

  it('takes an overload that health told of in time for what it is', () => {
    const overload = (s: number): Partial<Reading> => ({
      kernelDropped: 50,
      health: s < 57 ? { isGood: false, text: 'overloaded' } : HEALTHY,
    })
    expect(failed({ readings: from(50, overload) })).toEqual([])
  })

  it('says so where a run is too short to tell', () => {
    const [latency] = judge(evidence({ isCalm: SECONDS.map(() => false) })).filter(
      ({ name }) => name === 'latency is flat',
    )
    expect(latency!.isPassed).toBeNull()
  })
})
