/** Is it alive, and does anything arrive? */
import {
  BytesPerSecondIEC,
  DurationSeconds,
  PacketsPerSecond,
  RequestsPerSecond,
  Short,
} from '@grafana/grafana-foundation-sdk/units'
import { graph, stat } from '../panels.ts'
import { of, total } from '../queries.ts'
import { DROPPED, PARSED, REPLAYED, type Row, SOURCE } from './row.ts'

export const alive: Row = {
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
