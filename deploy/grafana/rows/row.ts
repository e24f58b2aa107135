/** What several rows ask for. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { total } from '../queries.ts'

export interface Row {
  readonly title: string
  readonly panels: readonly Builder<Panel>[]
}

/** Unit of counts per second that have none of their own. */
export const PER_SECOND = 'cps'

export const SOURCE = total('mirrorshard_source_packets_total')
export const PARSED = total('mirrorshard_requests_parsed_total')
export const REPLAYED = 'mirrorshard_requests_replayed_total'
export const TARGET_REPLAYED = 'mirrorshard_target_requests_replayed_total'
export const DROPPED = 'mirrorshard_requests_dropped_total'
