/** One second of a service under load, from two readings of its /metrics. */
import { added, byLabel, type Histogram, histogramOf, quantile, type Samples, sumOverLabels } from './prometheus.ts'

export interface Sample {
  readonly seconds: number
  readonly rssMb: number
  /** Of the main thread's heap, and what it holds outside of it. */
  readonly heapMb: number
  readonly externalMb: number
  /** Of the main thread; the 10 ms of the clock that measures it are taken off. */
  readonly loopDelayP99Ms: number | null
  readonly loopDelayMaxMs: number | null
  readonly packetsPerSecond: number
  readonly requestsPerSecond: number
  /** Request written to answer complete, of this second; between the bounds of the buckets. */
  readonly answerP50Ms: number | null
  readonly answerP99Ms: number | null
  /** Packet taken to request written; null where the build does not tell. */
  readonly addedP50Ms: number | null
  readonly addedP99Ms: number | null
  readonly queued: number
  /** Since the start, by reason. */
  readonly kernelDropped: number
  readonly packetsDropped: Readonly<Record<string, number>>
  readonly requestsDropped: Readonly<Record<string, number>>
  readonly outcomes: Readonly<Record<string, number>>
  readonly lost: number
}

const ANSWER = 'mirrorshard_replay_latency_seconds'
/** prom-client's default precision. */
const LOOP_CLOCK_MS = 10
const MB = 1e6

/** Name of the histogram of the time that requests spend in here; null where the build has none. */
export function addedHistogramName(samples: Samples): string | null {
  for (const key of samples.keys()) {
    const name = /^(mirrorshard_\w*added\w*)_bucket\{/.exec(key)?.[1]
    if (name !== undefined) return name
  }
  return null
}

/** @param earlier the reading before, taken at `earlierSeconds` */
export function sampleOf(later: Samples, seconds: number, earlier: Samples, earlierSeconds: number): Sample {
  const value = (name: string) => later.get(name) ?? 0
  const perSecond = (name: string) =>
    (sumOverLabels(later, name) - sumOverLabels(earlier, name)) / (seconds - earlierSeconds)
  const addedName = addedHistogramName(later)
  const answer = between(later, earlier, ANSWER)
  const inside = addedName === null ? null : between(later, earlier, addedName)
  const outcomes = byLabel(later, 'mirrorshard_requests_replayed_total')
  const packetsDropped = byLabel(later, 'mirrorshard_packets_dropped_total')
  const requestsDropped = byLabel(later, 'mirrorshard_requests_dropped_total')
  const kernelDropped = value('mirrorshard_kernel_drops_total')
  const failed = sum(outcomes) - (outcomes['2xx'] ?? 0)
  return {
    seconds,
    rssMb: value('process_resident_memory_bytes') / MB,
    heapMb: value('nodejs_heap_size_used_bytes') / MB,
    externalMb: value('nodejs_external_memory_bytes') / MB,
    loopDelayP99Ms: loopDelay(later, 'p99'),
    loopDelayMaxMs: loopDelay(later, 'max'),
    packetsPerSecond: perSecond('mirrorshard_source_packets_total'),
    requestsPerSecond: perSecond('mirrorshard_requests_replayed_total'),
    answerP50Ms: ms(answer, 0.5),
    answerP99Ms: ms(answer, 0.99),
    addedP50Ms: ms(inside, 0.5),
    addedP99Ms: ms(inside, 0.99),
    queued: value('mirrorshard_replay_queued'),
    ...{ kernelDropped, packetsDropped, requestsDropped, outcomes },
    lost:
      kernelDropped + sum(packetsDropped) + sum(requestsDropped) + failed + value('mirrorshard_reassembly_gaps_total'),
  }
}

function between(later: Samples, earlier: Samples, name: string): Histogram | null {
  const histogram = histogramOf(later, name)
  return histogram === null ? null : added(histogram, histogramOf(earlier, name))
}

function ms(histogram: Histogram | null, share: number): number | null {
  const seconds = histogram === null ? null : quantile(histogram, share)
  return seconds === null ? null : seconds * 1000
}

function loopDelay(samples: Samples, which: string): number | null {
  const seconds = samples.get(`nodejs_eventloop_lag_${which}_seconds`)
  return seconds === undefined || Number.isNaN(seconds) ? null : Math.max(0, seconds * 1000 - LOOP_CLOCK_MS)
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}
