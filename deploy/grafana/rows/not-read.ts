/** What arrives and is not read. */
import { BytesPerSecondIEC, PercentUnit, RequestsPerSecond, Short } from '@grafana/grafana-foundation-sdk/units'
import { bars, graph } from '../panels.ts'
import { of, share, total } from '../queries.ts'
import { PER_SECOND, type Row, SOURCE } from './row.ts'

export const notRead: Row = {
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
