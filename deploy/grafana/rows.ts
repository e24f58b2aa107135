/** What the dashboard shows, row by row: from "is it alive" along the packet's path to the origin, then the process itself. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import {
  BytesIEC,
  BytesPerSecondIEC,
  DurationSeconds,
  PacketsPerSecond,
  PercentUnit,
  RequestsPerSecond,
  Seconds,
  Short,
} from '@grafana/grafana-foundation-sdk/units'
import { bars, graph, stat } from './panels.ts'
import { of, quantile, rate, share, total } from './queries.ts'

export interface Row {
  readonly title: string
  readonly panels: readonly Builder<Panel>[]
}

/** Per second, as other counts that have no unit of their own. */
const PER_SECOND = 'cps'

const SOURCE = total('mirrorshard_source_packets_total')
const PARSED = total('mirrorshard_requests_parsed_total')
/** Sent and answered, whatever the status; `--to null` answers nothing and counts as done. */
const ANSWERED = 'outcome=~"[1-5]xx|null"'
const REPLAYED = 'mirrorshard_requests_replayed_total'
const TARGET_REPLAYED = 'mirrorshard_target_requests_replayed_total'
const DROPPED = 'mirrorshard_requests_dropped_total'
const ENDED = `${total(DROPPED)} + ${total(REPLAYED)} + ${total('mirrorshard_requests_forwarded_total')}`

const alive: Row = {
  title: 'Is it alive, and does anything arrive?',
  panels: [
    stat({
      title: 'Instances that answer',
      description: 'Scraped successfully just now. Red: none does.',
      unit: Short,
      queries: [[`sum(${of('up')})`, 'up']],
      thresholds: { bad: 1, isFloor: true },
      docs: 'operations.md#supervision-and-health',
    }),
    stat({
      title: 'Instances that do not',
      description: 'Not running, not reachable, or the token is wrong.',
      unit: Short,
      queries: [[`count(${of('up')} == 0) or vector(0)`, 'down']],
      thresholds: { bad: 1 },
      docs: 'operations.md#supervision-and-health',
    }),
    stat({
      title: 'Packets',
      description: 'Taken from the mirror. 0 is an alert: check session, route, security group and port.',
      unit: PacketsPerSecond,
      queries: [[SOURCE, 'packets']],
      thresholds: { bad: 0.001, isFloor: true },
      docs: 'operations.md#kernel-buffers',
    }),
    stat({
      title: 'Requests found',
      description:
        'Requests whose first line was recognised. 0 while packets arrive: they hold no HTTP/1 request that can be read.',
      unit: RequestsPerSecond,
      queries: [[PARSED, 'requests']],
      thresholds: { bad: 0.001, isFloor: true },
      docs: 'summary.md#in-words',
    }),
    stat({
      title: 'Alerts',
      description:
        'Alerts of deploy/prometheus/mirrorshard.rules.yml that fire. 0 as well where the rules are not loaded.',
      unit: Short,
      queries: [[`count(ALERTS{alertname=~"Mirrorshard.*", alertstate="firing"}) or vector(0)`, 'firing']],
      thresholds: { bad: 1 },
      docs: 'operations.md#what-to-alert-on',
    }),
    stat({
      title: 'Unaccounted',
      description:
        'Packets, requests and captured responses without their one end. Anything but 0 is a bug: please report it.',
      unit: Short,
      queries: [
        [
          `sum(abs(${of('mirrorshard_source_packets_total')} - ${of('mirrorshard_packets_processed_total')} - sum without (reason) (${of('mirrorshard_packets_dropped_total')}) - ${of('mirrorshard_fragments_held')} - ${of('mirrorshard_ring_packets')}))` +
            ` + sum(abs(${of('mirrorshard_requests_parsed_total')} - sum without (reason) (${of(DROPPED)}) - sum without (outcome) (${of(REPLAYED)}) - ${of('mirrorshard_requests_forwarded_total')} - ${of('mirrorshard_requests_held')}))` +
            ` + sum(abs(${of('mirrorshard_responses_parsed_total')} - ${of('mirrorshard_responses_completed_total')} - sum without (reason) (${of('mirrorshard_responses_dropped_total')}) - ${of('mirrorshard_responses_held')}))`,
          'unaccounted',
        ],
      ],
      thresholds: { bad: 1 },
      docs: 'metrics.md#what-must-add-up',
    }),
    graph({
      title: 'Packets by instance',
      description: 'Where one of several receives nothing, its session, route or health check is wrong.',
      unit: PacketsPerSecond,
      queries: [[total('mirrorshard_source_packets_total', '', ['instance']), '{{instance}}']],
    }),
    graph({
      title: 'Bytes by instance',
      description: 'Of the mirrored packets, as they were received.',
      unit: BytesPerSecondIEC,
      queries: [[total('mirrorshard_source_bytes_total', '', ['instance']), '{{instance}}']],
    }),
    graph({
      title: 'Time since the start',
      description: 'Falls to 0 at a restart and at a hand-over.',
      unit: DurationSeconds,
      queries: [[`time() - ${of('process_start_time_seconds')}`, '{{instance}}']],
    }),
  ],
}

const losses: Row = {
  title: 'Losses: before us, in the kernel, and ours',
  panels: [
    graph({
      title: 'Before us: stream bytes that never came',
      description:
        'Gaps and truncated packets, as shares. If neither the kernel nor we dropped anything, the mirror or the network did.',
      unit: PercentUnit,
      queries: [
        [
          share(
            total('mirrorshard_reassembly_gap_bytes_total'),
            `${total('mirrorshard_reassembly_gap_bytes_total')} + ${total('mirrorshard_reassembly_bytes_total')}`,
          ),
          'bytes in gaps',
        ],
        [share(total('mirrorshard_packets_truncated_total'), SOURCE), 'packets truncated'],
      ],
      thresholds: { bad: 0.01 },
      docs: 'metrics.md#request-gap',
    }),
    graph({
      title: 'Kernel: packets dropped',
      description: 'Share of what arrived that found the receive buffer full. Above 0.1 % somebody is paged.',
      unit: PercentUnit,
      queries: [
        [
          `${total('mirrorshard_kernel_drops_total', '', ['instance'])} / (${total('mirrorshard_source_packets_total', '', ['instance'])} + ${total('mirrorshard_kernel_drops_total', '', ['instance'])} > 0) or 0 * ${total('mirrorshard_source_packets_total', '', ['instance'])}`,
          '{{instance}}',
        ],
      ],
      thresholds: { bad: 0.001 },
      docs: 'operations.md#kernel-buffers',
    }),
    graph({
      title: 'Ours: packets dropped, by reason',
      description:
        'shed and ringFull: overload. Other reasons: what the packets are, or a limit. The total stands even where it is 0.',
      unit: PacketsPerSecond,
      queries: [
        [total('mirrorshard_packets_dropped_total'), 'all'],
        [`${total('mirrorshard_packets_dropped_total', '', ['reason'])} > 0`, '{{reason}}'],
      ],
      docs: 'operations.md#something-is-dropped',
    }),
    graph({
      title: 'Overload: connections shed, and rings',
      description:
        'Share of connections shed now at the most overloaded worker, and how full the rings are. Shedding begins at half a ring.',
      unit: PercentUnit,
      max: 1,
      queries: [
        [`max by (instance) (${of('mirrorshard_dispatch_shed_ratio')})`, 'shed, {{instance}}'],
        [
          `max by (instance) (${of('mirrorshard_memory_bytes', 'part="rings"')} / (${of('mirrorshard_memory_limit_bytes', 'part="rings"')} > 0))`,
          'rings, {{instance}}',
        ],
      ],
      docs: 'performance.md#tuning',
    }),
    graph({
      title: 'Kernel: fragments given up, datagrams',
      description:
        'Fragmented datagrams that the kernel could not put together, in the whole network namespace. Mirrored ones among them are in no other count.',
      unit: PER_SECOND,
      queries: [[total('mirrorshard_kernel_reassembly_failures_total', '', ['instance']), '{{instance}}']],
      docs: 'operations.md#kernel-buffers',
    }),
    graph({
      title: 'Requests lost: all causes',
      description:
        'Share of the requests that ended as lost to gaps and truncation, for want of room, or with a thread that died.',
      unit: PercentUnit,
      queries: [
        [share(total(DROPPED, 'reason=~"gap|truncated"'), ENDED), 'gap, truncated'],
        [
          share(total(DROPPED, 'reason=~"queueFull|circuitOpen|memoryLimit|drainTimeout"'), ENDED),
          'no room, origin down',
        ],
        [share(total(DROPPED, 'reason="shardLost"'), ENDED), 'thread died'],
      ],
      thresholds: { bad: 0.01 },
      docs: 'operations.md#something-is-dropped',
    }),
  ],
}

const requests: Row = {
  title: 'Requests',
  panels: [
    graph({
      title: 'Found, replayed, dropped',
      description:
        'Found = replayed + dropped + the change of what is held. With several targets, replayed is what they were given.',
      unit: RequestsPerSecond,
      queries: [
        [PARSED, 'found'],
        [`${total(REPLAYED)} + ${total('mirrorshard_requests_forwarded_total')}`, 'replayed'],
        [total(DROPPED), 'dropped'],
      ],
    }),
    graph({
      title: 'Replayed, by outcome',
      description: 'Classes of status are answers; all else is none. null: --to null.',
      unit: RequestsPerSecond,
      isStacked: true,
      queries: [[`sum by (outcome) (${rate(REPLAYED)} or ${rate(TARGET_REPLAYED)}) > 0`, '{{outcome}}']],
      docs: 'metrics.md#outcomes-of-requests',
    }),
    graph({
      title: 'Dropped, by reason',
      description: 'Each reason says what to do. The total stands even where it is 0.',
      unit: RequestsPerSecond,
      queries: [
        [total(DROPPED), 'all'],
        [`${total(DROPPED, '', ['reason'])} > 0`, '{{reason}}'],
      ],
      docs: 'operations.md#something-is-dropped',
    }),
  ],
}

const origin: Row = {
  title: 'Origin',
  panels: [
    graph({
      title: 'Latency of the origin',
      description: 'From request written to answer complete.',
      unit: Seconds,
      queries: [0.5, 0.9, 0.99].map((q) => [quantile(q, 'mirrorshard_replay_latency_seconds'), `p${q * 100}`] as const),
    }),
    graph({
      title: 'Added latency',
      description:
        'From the last packet of a request to the request written: receiving, reassembly, queue. Above 1 s there is a ticket.',
      unit: Seconds,
      queries: [0.5, 0.9, 0.99].map(
        (q) => [quantile(q, 'mirrorshard_replay_added_latency_seconds'), `p${q * 100}`] as const,
      ),
      thresholds: { bad: 1 },
      docs: 'performance.md#tuning',
    }),
    graph({
      title: 'No answer, and server errors',
      description: 'Shares of the requests sent. No answer: refused, reset, timed out, or not HTTP/1.',
      unit: PercentUnit,
      queries: [
        [
          share(
            `sum(${rate(REPLAYED, 'outcome!~"[1-5]xx|null"')} or ${rate(TARGET_REPLAYED, 'outcome!~"[1-5]xx|null"')})`,
            `sum(${rate(REPLAYED)} or ${rate(TARGET_REPLAYED)})`,
          ),
          'no answer',
        ],
        [
          share(
            `sum(${rate(REPLAYED, 'outcome="5xx"')} or ${rate(TARGET_REPLAYED, 'outcome="5xx"')})`,
            `sum(${rate(REPLAYED)} or ${rate(TARGET_REPLAYED)})`,
          ),
          '5xx',
        ],
      ],
      thresholds: { bad: 0.01 },
      docs: 'metrics.md#outcomes-of-requests',
    }),
    graph({
      title: 'Circuit breaker',
      description:
        'Workers that take the origin for down, and how often one did in five minutes. While it is open requests wait, then they are dropped as circuitOpen.',
      unit: Short,
      decimals: 0,
      queries: [
        [`sum by (instance) (${of('mirrorshard_replay_circuit_open')})`, 'open, {{instance}}'],
        [`sum by (instance) (increase(${of('mirrorshard_replay_circuit_opened_total')}[5m]))`, 'opened, {{instance}}'],
      ],
      thresholds: { bad: 1 },
      docs: 'replay.md#circuit-breaker',
    }),
    graph({
      title: 'Queue',
      description: 'Requests waiting, and sent without an answer yet. A queue that only grows ends as queueFull.',
      unit: Short,
      queries: [
        [`sum(${of('mirrorshard_replay_queued')})`, 'queued'],
        [`sum(${of('mirrorshard_replay_in_flight')})`, 'in flight'],
        [`sum(${of('mirrorshard_requests_held')})`, 'held, those being read included'],
      ],
      docs: 'metrics.md#request-queueFull',
    }),
    graph({
      title: 'Connections to the origin',
      description:
        'Opened a second, and requests sent a second time. Many opened for few requests: the origin closes them early.',
      unit: PER_SECOND,
      queries: [
        [total('mirrorshard_replay_connections_total'), 'opened'],
        [total('mirrorshard_replay_retries_total'), 'retries'],
        [total('mirrorshard_replay_poisoned_connections_total'), 'closed: answer to no request'],
      ],
      docs: 'replay.md#retries',
    }),
    graph({
      title: 'Targets: replayed',
      description: 'Requests by target, whatever their outcome; with one target, all of them.',
      unit: RequestsPerSecond,
      width: 12,
      queries: [
        [
          `sum by (target) (${rate(TARGET_REPLAYED)}) or label_replace(${total(REPLAYED)}, "target", "the only one", "", "")`,
          '{{target}}',
        ],
      ],
    }),
    graph({
      title: 'Targets: not answered or dropped',
      description: 'Share of what each target was to get that it did not answer; with one target, of all.',
      unit: PercentUnit,
      width: 12,
      queries: [
        [
          `1 - sum by (target) (${rate(TARGET_REPLAYED, ANSWERED)}) / (${total('mirrorshard_target_requests_given_total', '', ['target'])} > 0)` +
            ` or label_replace(1 - ${total(REPLAYED, ANSWERED)} / (${total(REPLAYED)} + ${total(DROPPED, 'reason=~"queueFull|circuitOpen|unsendable|drainTimeout"')} > 0), "target", "the only one", "", "")`,
          '{{target}}',
        ],
      ],
      thresholds: { bad: 0.01 },
    }),
  ],
}

const resources: Row = {
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

const notRead: Row = {
  title: 'What arrives and is not read',
  panels: [
    bars({
      title: 'Connections that are not HTTP/1, by protocol and port',
      description:
        'Since the start. TLS on the port you meant to mirror: mirror behind the load balancer that ends it.',
      unit: Short,
      width: 8,
      queries: [
        [
          `sort_desc(sum by (protocol, port) (${of('mirrorshard_connections_other_protocol')}) or on () label_replace(label_replace(vector(0), "protocol", "none", "", ""), "port", "any", "", ""))`,
          '{{protocol}} on port {{port}}',
        ],
      ],
      docs: 'summary.md#in-words',
    }),
    graph({
      title: 'Bytes skipped, by why',
      description:
        'Other protocols, tunnels, bytes behind Connection: close, and bytes after a loss or an ambiguous message, until a boundary is proven.',
      unit: BytesPerSecondIEC,
      queries: [
        [total('mirrorshard_http_other_protocol_bytes_total'), 'other protocol'],
        [total('mirrorshard_http_tunnel_bytes_total'), 'tunnel'],
        [total('mirrorshard_http_behind_close_bytes_total'), 'behind close'],
        [total('mirrorshard_http_resync_unproven_bytes_total'), 'no proven boundary'],
        [total('mirrorshard_http_after_ambiguous_bytes_total'), 'after an ambiguous message'],
      ],
      docs: 'replay.md#what-remains-uncertain',
    }),
    graph({
      title: 'Packets without TCP, or of other ports',
      description:
        'Share of what was received: ARP, DNS, other server ports than --ports. Much of it is a wider mirror filter than is needed.',
      unit: PercentUnit,
      queries: [[share(total('mirrorshard_packets_other_total'), SOURCE), 'other']],
    }),
    graph({
      title: 'Responses: read, and without a request',
      description:
        'No responses at all: one direction is not mirrored. Without a request: it was lost, or not recognised as one.',
      unit: RequestsPerSecond,
      queries: [
        [total('mirrorshard_responses_parsed_total'), 'found'],
        [total('mirrorshard_http_unasked_responses_total'), 'without a request'],
        [total('mirrorshard_responses_dropped_total'), 'dropped'],
      ],
      docs: 'replay.md#what-remains-uncertain',
    }),
    graph({
      title: 'Connections that cannot be read',
      description:
        'Not begun with a request although the server speaks HTTP/1, multipath TCP, and second copies of one connection.',
      unit: PER_SECOND,
      queries: [
        [total('mirrorshard_http_unreadable_connections_total'), 'unreadable'],
        [total('mirrorshard_flows_multipath_total'), 'multipath'],
        [total('mirrorshard_flows_repeated_total'), 'second copies'],
      ],
    }),
    graph({
      title: 'Segments that the server ignores too',
      description:
        'Forged, stale or out of any window. A sudden rise is an attack, or two networks with the same addresses.',
      unit: PER_SECOND,
      queries: [
        [total('mirrorshard_reassembly_out_of_window_total'), 'out of window'],
        [total('mirrorshard_reassembly_old_timestamp_total'), 'old timestamp'],
        [total('mirrorshard_reassembly_ack_unsent_total'), 'acknowledges what was not sent'],
        [total('mirrorshard_reassembly_other_network_packets_total'), 'of another network'],
      ],
      docs: 'encapsulations.md#networks-with-equal-addresses',
    }),
  ],
}

export const ROWS: readonly Row[] = [alive, losses, requests, origin, resources, notRead]
