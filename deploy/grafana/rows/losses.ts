/** Losses along the packet’s path: before us, in the kernel, and ours. */
import { PacketsPerSecond, PercentUnit } from '@grafana/grafana-foundation-sdk/units'
import { graph } from '../panels.ts'
import { of, share, total } from '../queries.ts'
import { DROPPED, PER_SECOND, REPLAYED, type Row, SOURCE } from './row.ts'

const ENDED = `${total(DROPPED)} + ${total(REPLAYED)} + ${total('mirrorshard_requests_forwarded_total')}`

export const losses: Row = {
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
