/**
 * docs/metrics.md, made from the registry that is scraped and from the tables of reasons.
 *
 * Run as a program (`node dist/src/report/render-metrics-docs.js`) it writes the file; a test fails when the file differs.
 */
import { realpathSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { OUTCOME_HELP, PACKET_DROP_HELP, REQUEST_DROP_HELP, RESPONSE_DROP_HELP } from '../base/drop.ts'
import type { MemoryBudget } from '../config/memory-budget.ts'
import { OUTCOME_ADVICE, PACKET_DROP_ADVICE, REQUEST_DROP_ADVICE, RESPONSE_DROP_ADVICE } from './drop-advice.ts'
import { HISTOGRAMS, openRegistry } from './metrics.ts'
import { Totals } from './totals.ts'

const INTRODUCTION = `# Metrics

<!-- Made by src/report/render-metrics-docs.ts from src/metrics/scalars.ts, src/base/drop.ts and src/report/. Do not edit: run \`npm run docs\`. -->

\`mirrorshard run\` serves these at \`/metrics\` of \`--admin\` (default http://127.0.0.1:9464/metrics), together with prom-client's process metrics
(\`process_…\`, \`nodejs_…\`). Counters never decrease while the process lives, even when a worker is restarted. The labels \`reason\` and \`outcome\` have a closed set of
values, all present from the start at 0. \`port\` is bounded: 64 ports per protocol and worker; further ones count as port 0.

Each thread publishes all its counters at once, after each batch of packets; a scrape reads what was published last.

## What must add up

\`\`\`
packets    source_packets = packets_processed + Σ packets_dropped + fragments_held + ring_packets
requests   requests_parsed = Σ requests_dropped + Σ requests_replayed + requests_held
responses  responses_parsed = responses_completed + Σ responses_dropped + responses_held
\`\`\`

(Names without \`mirrorshard_\` and \`_total\`.) All numbers of a scrape come from one reading of the counters, so these equations hold in every scrape, even under load. What the kernel dropped (\`mirrorshard_kernel_drops_total\`) never reached us and is not part of the first line.

A drop is mirrorshard's own choice and has a reason. Loss before it shows as \`mirrorshard_kernel_drops_total\` and \`mirrorshard_reassembly_gaps_total\`.
The end of this page says what each reason means and what to do: [packets](#why-packets-are-dropped), [requests](#why-requests-are-dropped), [captured responses](#why-captured-responses-are-dropped),
[outcomes](#outcomes-of-requests). [operations.md](operations.md#what-to-alert-on) lists what to alert on, and the reasons by symptom.
`

interface Metric {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

/** Sections in the order of the packet's path; a metric stands in the first one that has the beginning of its name. */
const SECTIONS: readonly (readonly [title: string, beginnings: readonly string[]])[] = [
  ['Packets', ['source_', 'packets_', 'fragment', 'geneve_', 'dispatch_', 'ring_', 'kernel_', 'receive_']],
  ['Connections and reassembly', ['flow_table_', 'flows_', 'reassembly_']],
  ['HTTP', ['http_', 'connections_', 'responses_', 'exchanges_']],
  ['Requests', ['requests_', 'request_']],
  ['Replay', ['replay_', 'target_']],
  ['Process', ['']],
]

const PREFIX = 'mirrorshard_'

export function renderMetricsDocs(): string {
  const metrics = describeMetrics()
  const sections = SECTIONS.map(([title]) => {
    const rows = metrics
      .filter((metric) => sectionOf(metric.name) === title)
      .map(
        ({ name, type, labels, help }) =>
          `| \`${name}\` | ${type} | ${labels.map((l) => `\`${l}\``).join(', ')} | ${help} |`,
      )
    return `## ${title}\n\n| metric | type | labels | what it counts |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`
  })
  return [
    INTRODUCTION,
    ...sections,
    reasons('Why packets are dropped', 'packet', 'reason', PACKET_DROP_HELP, PACKET_DROP_ADVICE),
    reasons('Why requests are dropped', 'request', 'reason', REQUEST_DROP_HELP, REQUEST_DROP_ADVICE),
    reasons('Why captured responses are dropped', 'response', 'reason', RESPONSE_DROP_HELP, RESPONSE_DROP_ADVICE),
    reasons('Outcomes of requests', 'outcome', 'outcome', OUTCOME_HELP, OUTCOME_ADVICE),
  ].join('\n')
}

/** All metrics of our own, as the registry has them. */
export function describeMetrics(): Metric[] {
  const registry = openRegistry({
    totals: () => Totals.read([]),
    protocolCounts: () => [],
    workers: () => ({ configured: 0, running: 0 }),
    receivers: () => ({ configured: 0, running: 0 }),
    deaths: () => [],
    reloads: () => ({ success: 0, failure: 0, lastSuccessMs: 0 }),
    memory: () => ({}) as MemoryBudget,
    targets: () => [],
  })
  const registered = registry.getMetricsAsArray() as unknown as (Metric & { readonly labelNames?: readonly string[] })[]
  const metrics = registered
    .filter(({ name }) => name.startsWith(PREFIX))
    .map(({ name, type, help, labelNames = [] }) => ({ name, type, labels: labelNames, help }))
  return [...metrics, ...Object.values(HISTOGRAMS).map(histogram)]
}

function histogram({ metric, help, bounds }: (typeof HISTOGRAMS)[keyof typeof HISTOGRAMS]): Metric {
  return { name: metric, type: 'histogram', labels: ['le'], help: `${help} Bounds in seconds: ${bounds.join(', ')}.` }
}

function sectionOf(name: string): string {
  const own = name.slice(PREFIX.length)
  return SECTIONS.find(([, beginnings]) => beginnings.some((beginning) => own.startsWith(beginning)))![0]
}

/** Each row has an anchor, `kind-reason`: operations.md leads to it. */
function reasons<T extends Readonly<Record<string, string>>>(
  title: string,
  kind: string,
  label: string,
  help: T,
  advice: { readonly [K in keyof T]: string },
): string {
  const rows = Object.entries(help).map(
    ([name, text]) => `| <a id="${kind}-${name}"></a>\`${name}\` | ${text} | ${advice[name]} |`,
  )
  return `## ${title}\n\n| ${label} | what it means | what to do |\n| --- | --- | --- |\n${rows.join('\n')}\n`
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync('docs/metrics.md', renderMetricsDocs())
}
