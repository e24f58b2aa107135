/** Prometheus: every counter of the product, read when scraped. Loaded by MetricsPage, after the start. */
import { collectDefaultMetrics, Gauge, Counter as PromCounter, Registry } from 'prom-client'
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../base/drop.ts'
import type { MemoryBudget, MemoryPart } from '../config/memory-budget.ts'
import { SCALARS, type ScalarName } from '../metrics/scalars.ts'
import { everyName, type Totals } from './totals.ts'

/** Counters with a label from a closed set. */
export const LABELLED = {
  packetDrops: {
    metric: 'mirrorshard_packets_dropped_total',
    label: 'reason',
    names: PACKET_DROP_NAMES,
    help: 'Packets dropped, by reason.',
  },
  requestDrops: {
    metric: 'mirrorshard_requests_dropped_total',
    label: 'reason',
    names: REQUEST_DROP_NAMES,
    help: 'Requests dropped, by reason.',
  },
  responseDrops: {
    metric: 'mirrorshard_responses_dropped_total',
    label: 'reason',
    names: RESPONSE_DROP_NAMES,
    help: 'Captured responses dropped, by reason.',
  },
  outcomes: {
    metric: 'mirrorshard_requests_replayed_total',
    label: 'outcome',
    names: OUTCOME_NAMES,
    help: 'Requests that were sent, by outcome.',
  },
} as const

/** Bounds in seconds. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const

export const HISTOGRAMS = {
  latency: {
    metric: 'mirrorshard_replay_latency_seconds',
    help: 'From request written to answer complete.',
    bounds: BOUNDS,
  },
  addedLatency: {
    metric: 'mirrorshard_replay_added_latency_seconds',
    help: 'From the last packet of a live request received to the request written. Files have no comparable time and are not measured.',
    bounds: BOUNDS,
  },
} as const

/** Gauges with the thread as their label. */
const BY_THREAD = ['heapBytes', 'externalBytes'] as const

/** The sums are part of the histograms. */
const NOT_ALONE: ReadonlySet<string> = new Set(['latencySumUs', 'addedLatencySumUs', ...BY_THREAD])

/** Counters of one of several targets, with its name as label. With one target they have no samples: all is in the counters of requests. */
export const BY_TARGET = {
  given: { metric: 'mirrorshard_target_requests_given_total', help: 'Requests handed to the target.' },
  dropped: {
    metric: 'mirrorshard_target_requests_dropped_total',
    label: 'reason',
    names: REQUEST_DROP_NAMES,
    help: 'Requests to the target that were dropped, by reason.',
  },
  replayed: {
    metric: 'mirrorshard_target_requests_replayed_total',
    label: 'outcome',
    names: OUTCOME_NAMES,
    help: 'Requests that were sent to the target, by outcome.',
  },
} as const

interface ThreadCount {
  readonly configured: number
  readonly running: number
}

/** Threads of one kind that died of one cause. */
interface ThreadDeaths {
  readonly thread: string
  readonly cause: string
  readonly count: number
}

interface Reloads {
  readonly success: number
  readonly failure: number
  readonly lastSuccessMs: number
}

export interface MetricSources {
  totals(): Totals
  protocolCounts(): readonly [string, number][]
  workers(): ThreadCount
  receivers(): ThreadCount
  deaths(): readonly ThreadDeaths[]
  reloads(): Reloads
  memory(): MemoryBudget
  /** Names of the targets, in the order of their counters. */
  targets(): readonly string[]
}

/** What is in each part of the memory budget that grows with the traffic. */
const MEMORY_IN_USE = {
  rings: 'ringBytes',
  fragments: 'fragmentBytes',
  flows: 'flowTableBytes',
  outOfOrder: 'outOfOrderBytes',
  connections: 'connectionBytes',
  messages: 'messageBytes',
  queue: 'replayQueuedBytes',
} as const satisfies Partial<Record<MemoryPart, ScalarName>>

export function openRegistry(sources: MetricSources): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const names = (Object.keys(SCALARS) as ScalarName[]).filter((name) => !NOT_ALONE.has(name))
  for (const name of names) {
    const { metric, kind, help } = SCALARS[name]
    if (kind === 'gauge') {
      new Gauge({
        name: metric,
        help,
        registers: [registry],
        collect() {
          this.set(sources.totals().get(name))
        },
      })
    } else {
      new PromCounter({
        name: metric,
        help,
        registers: [registry],
        collect() {
          this.reset()
          this.inc(sources.totals().get(name))
        },
      })
    }
  }
  for (const [vector, { metric, label, names: labels, help }] of Object.entries(LABELLED)) {
    new PromCounter({
      name: metric,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        const counts = sources.totals()[vector as keyof typeof LABELLED]()
        this.reset()
        for (const name of everyName(labels)) this.inc({ [label]: name }, counts[name] ?? 0)
      },
    })
  }
  const { given, dropped, replayed } = BY_TARGET
  new PromCounter({
    name: given.metric,
    help: given.help,
    labelNames: ['target'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [i, target] of sources.totals().targets.entries())
        this.inc({ target: sources.targets()[i]! }, target.given)
    },
  })
  for (const { metric, label, names: labels, help } of [dropped, replayed]) {
    new PromCounter({
      name: metric,
      help,
      labelNames: ['target', label],
      registers: [registry],
      collect() {
        this.reset()
        for (const [i, totals] of sources.totals().targets.entries()) {
          const target = sources.targets()[i]!
          const counts = label === 'reason' ? totals.dropped() : totals.replayed()
          for (const name of everyName(labels)) this.inc({ target, [label]: name }, counts[name] ?? 0)
        }
      },
    })
  }
  new Gauge({
    name: 'mirrorshard_target_requests_held',
    help: 'Requests to the target that are queued or in flight; only with several targets.',
    labelNames: ['target'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [i, target] of sources.totals().targets.entries())
        this.set({ target: sources.targets()[i]! }, target.held)
    },
  })
  new Gauge({
    name: 'mirrorshard_ring_packets',
    help: 'Packets waiting in the rings: received, and neither processed nor dropped yet.',
    registers: [registry],
    collect() {
      this.set(sources.totals().packetsInRings())
    },
  })
  new Gauge({
    name: 'mirrorshard_connections_other_protocol',
    help: 'Connections that are not HTTP/1, by protocol and server port (port 0: further ports).',
    labelNames: ['protocol', 'port'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [key, n] of sources.protocolCounts()) {
        const [protocol = '', port = ''] = key.split(':')
        this.inc({ protocol, port }, n)
      }
    },
  })
  for (const name of BY_THREAD) {
    const { metric, help } = SCALARS[name]
    new Gauge({
      name: metric,
      help,
      labelNames: ['thread'],
      registers: [registry],
      collect() {
        this.reset()
        for (const gauges of sources.totals().threads) this.set({ thread: gauges.thread }, gauges[name])
      },
    })
  }
  new Gauge({
    name: 'mirrorshard_memory_bytes',
    help: 'Memory in use, by each part of --memory-limit that grows with the traffic.',
    labelNames: ['part'],
    registers: [registry],
    collect() {
      const totals = sources.totals()
      for (const [part, name] of Object.entries(MEMORY_IN_USE)) this.set({ part }, totals.get(name))
    },
  })
  new Gauge({
    name: 'mirrorshard_memory_limit_bytes',
    help: 'What each part of --memory-limit may use: docs/memory.md.',
    labelNames: ['part'],
    registers: [registry],
    collect() {
      for (const [part, bytes] of Object.entries(sources.memory())) this.set({ part }, bytes)
    },
  })
  const threads = (name: string, help: string, count: () => ThreadCount) =>
    new Gauge({
      name,
      help,
      labelNames: ['state'],
      registers: [registry],
      collect() {
        const { configured, running } = count()
        this.set({ state: 'configured' }, configured)
        this.set({ state: 'running' }, running)
      },
    })
  threads('mirrorshard_workers', 'Worker threads, configured and running.', () => sources.workers())
  threads('mirrorshard_receivers', 'Receiving threads, configured and running. 1: the main thread receives.', () =>
    sources.receivers(),
  )
  new PromCounter({
    name: 'mirrorshard_thread_deaths_total',
    help: 'Threads that died and were restarted. cause: throw (exception), exit, heap (heap limit reached), stuck (hung), start (did not come up).',
    labelNames: ['thread', 'cause'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { thread, cause, count } of sources.deaths()) this.inc({ thread, cause }, count)
    },
  })
  new PromCounter({
    name: 'mirrorshard_config_reloads_total',
    help: 'Reloads of the configuration (SIGHUP). failure: it was refused, and nothing changed.',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      const { success, failure } = sources.reloads()
      this.reset()
      this.inc({ result: 'success' }, success)
      this.inc({ result: 'failure' }, failure)
    },
  })
  new Gauge({
    name: 'mirrorshard_config_last_success_timestamp_seconds',
    help: 'When the configuration in force was read, as Unix time: at startup, or at the last successful reload.',
    registers: [registry],
    collect() {
      this.set(sources.reloads().lastSuccessMs / 1000)
    },
  })
  return registry
}

/** prom-client's own histogram cannot be set from counts, so its text is written here. */
export function histogramText(totals: Totals, name: keyof typeof HISTOGRAMS): string {
  const { metric, help, bounds } = HISTOGRAMS[name]
  const times = totals[name]()
  const lines = [`# HELP ${metric} ${help}`, `# TYPE ${metric} histogram`]
  for (const bound of bounds) lines.push(`${metric}_bucket{le="${bound}"} ${times.below(bound * 1e6)}`)
  lines.push(`${metric}_bucket{le="+Inf"} ${times.count}`)
  lines.push(`${metric}_sum ${times.sumUs / 1e6}`, `${metric}_count ${times.count}`)
  return `${lines.join('\n')}\n`
}
