/** Names in PromQL that no `run` serves: metrics, and values of labels from closed sets. */
import { collectDefaultMetrics, Registry } from 'prom-client'
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../../../src/base/drop.ts'
import { MEMORY_PARTS } from '../../../src/config/memory-budget.ts'
import { describeMetrics } from '../../../src/report/render-metrics-docs.ts'

const LABEL_VALUES: Readonly<Record<string, readonly string[]>> = {
  'mirrorshard_packets_dropped_total reason': PACKET_DROP_NAMES,
  'mirrorshard_requests_dropped_total reason': REQUEST_DROP_NAMES,
  'mirrorshard_target_requests_dropped_total reason': REQUEST_DROP_NAMES,
  'mirrorshard_responses_dropped_total reason': RESPONSE_DROP_NAMES,
  'mirrorshard_requests_replayed_total outcome': [...OUTCOME_NAMES, '[1-5]xx'],
  'mirrorshard_target_requests_replayed_total outcome': [...OUTCOME_NAMES, '[1-5]xx'],
  'mirrorshard_memory_bytes part': Object.keys(MEMORY_PARTS),
  'mirrorshard_memory_limit_bytes part': Object.keys(MEMORY_PARTS),
  'mirrorshard_workers state': ['configured', 'running'],
  'mirrorshard_receivers state': ['configured', 'running'],
  'mirrorshard_config_reloads_total result': ['success', 'failure'],
}

/** What Prometheus adds to each target. */
const TARGET_LABELS = ['job', 'instance']

const metrics = served()

/** @returns what is wrong, a line each */
export function wrongNames(expr: string): string[] {
  const unknown = (expr.match(/\b(mirrorshard|process|nodejs)_\w+/g) ?? []).filter((name) => !metrics.has(name))
  const values = [...expr.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, metric, matchers]) =>
    [...matchers!.matchAll(/(\w+)(?:=~|!~|!=|=)"([^"]*)"/g)]
      .filter(([, label]) => !TARGET_LABELS.includes(label!) && metric !== 'ALERTS')
      .flatMap(([, label, value]) => {
        const known = LABEL_VALUES[`${metric} ${label}`]
        if (known === undefined) return [`${metric}: label ${label}`]
        return value!
          .split('|')
          .filter((one) => !known.includes(one))
          .map((one) => `${metric}: ${label}="${one}"`)
      }),
  )
  return [...unknown, ...values]
}

function served(): Set<string> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const ours = describeMetrics().flatMap(({ name, type }) => (type === 'histogram' ? [`${name}_bucket`] : [name]))
  return new Set([...ours, ...registry.getMetricsAsArray().map(({ name }) => name)])
}
