/** Threads, CPU and memory. */
import { BytesIEC, PercentUnit, Seconds, Short } from '@grafana/grafana-foundation-sdk/units'
import { bars, graph } from '../panels.ts'
import { of, total } from '../queries.ts'
import { PER_SECOND, type Row } from './row.ts'

export const resources: Row = {
  title: 'Threads, CPU, memory',
  panels: [
    graph({
      title: 'CPU',
      description: 'Cores in use, by instance. Compare with the number of threads: each uses one core at most.',
      unit: Short,
      queries: [
        [total('process_cpu_user_seconds_total', '', ['instance']), 'user, {{instance}}'],
        [total('process_cpu_system_seconds_total', '', ['instance']), 'system, {{instance}}'],
      ],
      docs: 'performance.md#sizing-an-instance',
    }),
    graph({
      title: 'Threads that run',
      description: 'Share of the configured workers and receivers. Below 1: one has died and is not back.',
      unit: PercentUnit,
      max: 1,
      queries: [
        [
          `sum by (instance) (${of('mirrorshard_workers', 'state="running"')} + ${of('mirrorshard_receivers', 'state="running"')}) / sum by (instance) (${of('mirrorshard_workers', 'state="configured"')} + ${of('mirrorshard_receivers', 'state="configured"')})`,
          '{{instance}}',
        ],
      ],
      thresholds: { bad: 1, isFloor: true },
      docs: 'operations.md#supervision-and-health',
    }),
    graph({
      title: 'Threads that died',
      description: 'In five minutes, and of what. The log names the error.',
      unit: Short,
      decimals: 0,
      queries: [
        [`sum by (thread) (increase(${of('mirrorshard_thread_deaths_total')}[5m]))`, '{{thread}}'],
        [
          `sum by (thread, cause) (increase(${of('mirrorshard_thread_deaths_total')}[5m])) > 0`,
          '{{thread}}: {{cause}}',
        ],
      ],
      thresholds: { bad: 1 },
      docs: 'operations.md#supervision-and-health',
    }),
    bars({
      title: 'Memory by part, of its limit',
      description:
        'The fullest instance. rings: they fill while a worker cannot keep up. flows: the table never shrinks. Otherwise, at 1 the least valuable state is evicted.',
      unit: PercentUnit,
      max: 1,
      queries: [
        [
          `max by (part) (${of('mirrorshard_memory_bytes')} / (${of('mirrorshard_memory_limit_bytes')} > 0))`,
          '{{part}}',
        ],
      ],
      thresholds: { warn: 0.7, bad: 0.9 },
      docs: 'memory.md',
    }),
    graph({
      title: 'Memory of the process, of --memory-limit',
      description: 'Resident memory. Above 1 the process is larger than its parts explain: please report it.',
      unit: PercentUnit,
      queries: [
        [
          `${of('process_resident_memory_bytes')} / sum without (part) (${of('mirrorshard_memory_limit_bytes')})`,
          '{{instance}}',
        ],
      ],
      thresholds: { bad: 1 },
      docs: 'operations.md#memory',
    }),
    graph({
      title: 'Heap by thread',
      description: 'The largest of the chosen instances. A thread at its heap limit is ended and restarted.',
      unit: BytesIEC,
      queries: [[`max by (thread) (${of('mirrorshard_thread_heap_bytes')})`, '{{thread}}']],
      docs: 'memory.md',
    }),
    graph({
      title: 'Connections being read',
      description: 'Open TCP connections, and those that are open or still have a request held.',
      unit: Short,
      queries: [
        [`sum(${of('mirrorshard_flows_open')})`, 'open'],
        [`sum(${of('mirrorshard_flows_unsettled')})`, 'lost if all workers died now'],
      ],
    }),
    graph({
      title: 'Connections opened, expired, evicted',
      description: 'Evicted: memory was short. That is harmless while they are the half-open ones of a flood.',
      unit: PER_SECOND,
      queries: [
        [total('mirrorshard_flows_opened_total'), 'opened'],
        [total('mirrorshard_flows_expired_total'), 'expired'],
        [total('mirrorshard_flows_evicted_total'), 'evicted'],
      ],
      docs: 'memory.md#what-is-evicted',
    }),
    graph({
      title: 'Main thread: delay of its event loop',
      description:
        'The 99th percentile since the last scrape. It answers scrapes and health, and receives where there is one receiver; it waits 4 ms between batches.',
      unit: Seconds,
      queries: [[of('nodejs_eventloop_lag_p99_seconds'), '{{instance}}']],
    }),
  ],
}
