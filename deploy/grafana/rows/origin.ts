/** The origin, and each target where there are several. */
import { PercentUnit, RequestsPerSecond, Seconds, Short } from '@grafana/grafana-foundation-sdk/units'
import { graph } from '../panels.ts'
import { of, quantile, rate, share, total } from '../queries.ts'
import { DROPPED, PER_SECOND, REPLAYED, type Row, TARGET_REPLAYED } from './row.ts'

/** Sent and answered, whatever the status; `--to null` answers nothing and counts as done. */
const ANSWERED = 'outcome=~"[1-5]xx|null"'

export const origin: Row = {
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
