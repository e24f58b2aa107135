/** What became of the requests that were found. */
import { RequestsPerSecond } from '@grafana/grafana-foundation-sdk/units'
import { graph } from '../panels.ts'
import { rate, total } from '../queries.ts'
import { DROPPED, PARSED, REPLAYED, type Row, TARGET_REPLAYED } from './row.ts'

export const requests: Row = {
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
