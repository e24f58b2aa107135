/** What is known of the service at one moment: everything from its own pages, but for the descriptors, which the system tells. */
import { readdirSync } from 'node:fs'
import {
  added,
  byLabel,
  type Histogram,
  histogramOf,
  parseMetrics,
  quantile,
  type Samples,
  sumOverLabels,
} from '../support/prometheus.ts'
import type { Service } from '../support/service.ts'

export interface Reading {
  /** Since the traffic began. */
  readonly seconds: number
  readonly rssMb: number
  readonly heapMb: Readonly<Record<string, number>>
  readonly externalMb: Readonly<Record<string, number>>
  readonly descriptors: number
  /** Cores used since the reading before. */
  readonly cpu: number
  readonly packetsPerSecond: number
  readonly requestsPerSecond: number
  readonly answersPerSecond: number
  /** Of what happened since the reading before; null: nothing did. */
  readonly addedMs: Times | null
  readonly replayMs: Times | null
  readonly loopDelayMaxMs: number | null
  readonly queued: number
  readonly inFlight: number
  readonly held: number
  readonly ringPackets: number
  readonly fragmentsHeld: number
  readonly flowsOpen: number
  readonly circuitsOpen: number
  readonly workersRunning: number
  readonly receiversRunning: number
  readonly health: { readonly isGood: boolean; readonly text: string }
  /** Since the start. */
  readonly received: number
  readonly parsed: number
  readonly kernelDropped: number
  readonly packetsDropped: Readonly<Record<string, number>>
  readonly requestsDropped: Readonly<Record<string, number>>
  readonly outcomes: Readonly<Record<string, number>>
  readonly retries: number
  /** What does not add up; empty where all does. */
  readonly accounts: readonly string[]
}

export interface Times {
  readonly p50: number
  readonly p99: number
}

/** A reading with what the next one, and comparisons over many, need. */
export interface FullReading {
  readonly reading: Reading
  readonly samples: Samples
  readonly addedTimes: Histogram | null
}

const ADDED = 'mirrorshard_replay_added_latency_seconds'
const REPLAY = 'mirrorshard_replay_latency_seconds'
const MB = 1e6
/** prom-client's default precision. */
const LOOP_CLOCK_MS = 10

export async function readService(
  service: Service,
  seconds: () => number,
  earlier: FullReading | null,
): Promise<FullReading> {
  const [text, health] = await Promise.all([service.metrics(), readHealth(service.admin)])
  const now = seconds()
  const samples = parseMetrics(text)
  const before = earlier?.samples ?? samples
  const elapsed = Math.max(0.001, now - (earlier?.reading.seconds ?? 0))
  const value = (name: string) => samples.get(name) ?? 0
  const rate = (name: string) => (sumOverLabels(samples, name) - sumOverLabels(before, name)) / elapsed
  const addedTimes = between(samples, before, ADDED)
  const lag = samples.get('nodejs_eventloop_lag_max_seconds')
  const outcomes = byLabel(samples, 'mirrorshard_requests_replayed_total')
  const outcomesBefore = byLabel(before, 'mirrorshard_requests_replayed_total')
  const packetsDropped = byLabel(samples, 'mirrorshard_packets_dropped_total')
  const requestsDropped = byLabel(samples, 'mirrorshard_requests_dropped_total')
  const reading: Reading = {
    seconds: Math.round(now * 1000) / 1000,
    rssMb: value('process_resident_memory_bytes') / MB,
    heapMb: inMb(byLabel(samples, 'mirrorshard_thread_heap_bytes')),
    externalMb: inMb(byLabel(samples, 'mirrorshard_thread_external_bytes')),
    descriptors: readdirSync(`/proc/${service.child.pid}/fd`).length,
    cpu: rate('process_cpu_seconds_total'),
    packetsPerSecond: rate('mirrorshard_source_packets_total'),
    requestsPerSecond: rate('mirrorshard_requests_parsed_total'),
    answersPerSecond: ((outcomes['2xx'] ?? 0) - (outcomesBefore['2xx'] ?? 0)) / elapsed,
    addedMs: timesOf(addedTimes),
    replayMs: timesOf(between(samples, before, REPLAY)),
    loopDelayMaxMs: lag === undefined || Number.isNaN(lag) ? null : Math.max(0, lag * 1000 - LOOP_CLOCK_MS),
    queued: value('mirrorshard_replay_queued'),
    inFlight: value('mirrorshard_replay_in_flight'),
    held: value('mirrorshard_requests_held'),
    ringPackets: value('mirrorshard_ring_packets'),
    fragmentsHeld: value('mirrorshard_fragments_held'),
    flowsOpen: value('mirrorshard_flows_open'),
    circuitsOpen: value('mirrorshard_replay_circuit_open'),
    workersRunning: value('mirrorshard_workers{state="running"}'),
    receiversRunning: value('mirrorshard_receivers{state="running"}'),
    health,
    received: value('mirrorshard_source_packets_total'),
    parsed: value('mirrorshard_requests_parsed_total'),
    kernelDropped: value('mirrorshard_kernel_drops_total'),
    packetsDropped,
    requestsDropped,
    outcomes,
    retries: value('mirrorshard_replay_retries_total'),
    accounts: accountsOf(samples),
  }
  return { reading, samples, addedTimes }
}

/** docs/metrics.md, "What must add up": from one scrape alone. @returns what does not */
export function accountsOf(samples: Samples): string[] {
  const all = (name: string) => sumOverLabels(samples, `mirrorshard_${name}`)
  const sums: readonly (readonly [string, number, number])[] = [
    [
      'packets',
      all('source_packets_total'),
      all('packets_processed_total') + all('packets_dropped_total') + all('fragments_held') + all('ring_packets'),
    ],
    [
      'requests',
      all('requests_parsed_total'),
      all('requests_dropped_total') + all('requests_replayed_total') + all('requests_held'),
    ],
    [
      'responses',
      all('responses_parsed_total'),
      all('responses_completed_total') + all('responses_dropped_total') + all('responses_held'),
    ],
  ]
  return sums
    .filter(([, came, went]) => came !== went)
    .map(([what, came, went]) => `${what}: ${came} in, ${went} out, dropped and held`)
}

async function readHealth(admin: string): Promise<Reading['health']> {
  const answer = await fetch(`${admin}/healthz`)
  return { isGood: answer.status === 200, text: (await answer.text()).trim() }
}

function between(later: Samples, earlier: Samples, name: string): Histogram | null {
  const histogram = histogramOf(later, name)
  return histogram === null ? null : added(histogram, histogramOf(earlier, name))
}

export function timesOf(histogram: Histogram | null): Times | null {
  if (histogram === null) return null
  const p50 = quantile(histogram, 0.5)
  const p99 = quantile(histogram, 0.99)
  return p50 === null || p99 === null ? null : { p50: p50 * 1000, p99: p99 * 1000 }
}

function inMb(bytes: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(bytes).map(([key, n]) => [key, n / MB]))
}
