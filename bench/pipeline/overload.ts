/**
 * Shards that cannot follow: how many requests still come out whole, with whole connections shed and with single packets dropped. The one
 * shard is made slow on purpose (the fault `slow`), so that it is the bottleneck and nothing else is: the receiving thread and the sender
 * keep up, and a busy machine makes it no slower.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { drawLines } from '../support/line-chart.ts'
import { describeMachine, type Machine, machineInWords } from '../support/machine.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import { openNginx } from '../support/nginx.ts'
import type { BenchOptions } from '../support/options.ts'
import { findOnPath } from '../support/processes.ts'
import { parseMetrics } from '../support/prometheus.ts'
import type { Report } from '../support/report.ts'
import { liveCounts, openService, type Service } from '../support/service.ts'
import { type Spread, spreadOf } from '../support/statistics.ts'
import { count } from '../support/table.ts'

const NAME = 'overload'
/** Added to every packet of the shard: about 4,900 packets/s are left, and five times as many are easy for sender and receiver. */
const SLOW_US = 200
/** What the ring is to the default one is this shard to one that takes 150,000 packets/s: it fills in the same time. */
const RING_BYTES = 1 << 19
/** Far above what the shard takes. */
const FLOOD = 15_000
const FACTORS = [0.5, 0.75, 1, 1.5, 2, 3, 5]
const QUICK_FACTORS = [0.5, 2]
const SAMPLE_MS = 100
/** Of what was asked of the sender, at least. */
const KEPT_UP = 0.95
/** A cold shard is slower; the ring fills; the share settles. */
const WARM_UP_SECONDS = 3
/** What shedding is for: so much of the peak is still completed at these. */
const GOAL = 0.9
const GOAL_FACTORS = [2, 5]

const VARIANTS = [
  { name: 'whole connections shed', args: [] },
  { name: 'single packets dropped (--shed-above 100)', args: ['--shed-above', '100'] },
] as const

interface Measured {
  readonly offered: number
  /** Requests per second that ended with the outcome they should. */
  readonly completed: number
  readonly shed: number
  readonly ringFull: number
  readonly kernelDropped: number
  readonly requestsDropped: number
  /** Of the window: share of the ring in use, share of connections shed. */
  readonly fill: Spread
  readonly ratio: Spread
  /** The sender sent what it was asked to, and the kernel dropped nothing. */
  readonly isKeptUp: boolean
}

interface Target {
  readonly name: string
  readonly to: string
  readonly outcome: string
}

export async function benchOverload(options: BenchOptions, report: Report, directory: string): Promise<void> {
  report.heading(NAME, 'one shard slower than its traffic: requests that still come out whole')
  // What else used the cores before, not what this bench did.
  const machine = describeMachine()
  const program = findOnPath('nginx')
  const nginx = program === null || options.quick ? null : await openNginx(program, directory)
  const targets: Target[] = [{ name: '--to null', to: 'null', outcome: 'null' }]
  if (nginx !== null) targets.push({ name: 'replay to nginx', to: nginx.url, outcome: '2xx' })
  else if (program === null) report.line('replay to nginx: skipped, no nginx on PATH')
  try {
    const factors = options.quick ? QUICK_FACTORS : FACTORS
    const rounds = options.runs ?? 2
    const capacity = await findCapacity(options, report, directory)
    report.line(
      `one shard that takes ${count(capacity)} packets/s, ring of ${count(RING_BYTES)} bytes; ${options.seconds} s behind ${WARM_UP_SECONDS} s of warm-up, ${rounds} run(s) each, in turns`,
    )
    const results = new Map<string, Measured[]>()
    for (let round = 0; round < rounds; round++)
      for (const factor of factors) {
        const source = await MirrorSource.open(Math.round(factor * capacity))
        try {
          for (const target of targets)
            for (const variant of VARIANTS) {
              const order = { source, packetsPerSecond: Math.round(factor * capacity), target, args: variant.args }
              const measured = await measure(order, options, report, directory)
              const key = keyOf(target.name, variant.name, factor)
              results.set(key, [...(results.get(key) ?? []), measured])
            }
        } finally {
          await source.close()
        }
      }
    tell(targets, factors, results, capacity, machine, report)
  } finally {
    await nginx?.close()
  }
}

function keyOf(target: string, variant: string, factor: number): string {
  return `${target}, ${variant}, ${factor}`
}

async function openSlow(to: string, args: readonly string[], directory: string): Promise<Service> {
  const service = await openService(
    { to, workers: 1, args: ['--ring-bytes', String(RING_BYTES), ...args], env: { MIRRORSHARD_FAULTS: '1' } },
    directory,
  )
  const answer = await fetch(`${service.admin}/debug/fault?shard=0&kind=slow&us=${SLOW_US}`, { method: 'POST' })
  if (!answer.ok) throw new Error(`the shard was not made slow: ${answer.status}`)
  return service
}

/** Packets per second that the slow shard processes while more are always there. */
async function findCapacity(options: BenchOptions, report: Report, directory: string): Promise<number> {
  const service = await openSlow('null', [], directory)
  const source = await MirrorSource.open(FLOOD)
  try {
    const { sent: sending } = await source.send({
      port: service.port,
      packetsPerSecond: FLOOD,
      seconds: WARM_UP_SECONDS + options.seconds,
    })
    await sleep(WARM_UP_SECONDS * 1000)
    const [before, startedMs] = [await service.summary(), performance.now()]
    await sleep(options.seconds * 1000 - 200)
    const after = await service.summary()
    const seconds = (performance.now() - startedMs) / 1000
    const sent = await sending
    await service.settle(sent)
    report.check(`${NAME}: capacity`, liveCounts(await service.finish(), sent, 'null'))
    return Math.round((after.packets.processed - before.packets.processed) / seconds)
  } finally {
    await source.close()
    await service.close()
  }
}

interface Order {
  readonly source: MirrorSource
  readonly packetsPerSecond: number
  readonly target: Target
  readonly args: readonly string[]
}

async function measure(order: Order, options: BenchOptions, report: Report, directory: string): Promise<Measured> {
  const { source, packetsPerSecond, target } = order
  const service = await openSlow(target.to, order.args, directory)
  try {
    const seconds = WARM_UP_SECONDS + options.seconds
    const { sent: sending } = await source.send({ port: service.port, packetsPerSecond, seconds })
    await sleep(WARM_UP_SECONDS * 1000)
    const [before, startedMs] = [await service.summary(), performance.now()]
    const fills: number[] = []
    const ratios: number[] = []
    while (performance.now() - startedMs < options.seconds * 1000 - 300) {
      const page = parseMetrics(await service.metrics())
      fills.push((page.get('mirrorshard_ring_used_bytes') ?? Number.NaN) / RING_BYTES)
      ratios.push(page.get('mirrorshard_dispatch_shed_ratio') ?? 0)
      await sleep(SAMPLE_MS)
    }
    const after = await service.summary()
    const window = (performance.now() - startedMs) / 1000
    const sent = await sending
    await service.settle(sent)
    const summary = await service.finish()
    report.check(`${NAME} ${target.name} at ${packetsPerSecond}/s`, liveCounts(summary, sent, target.outcome))
    return {
      offered: sent.packets / sent.seconds,
      completed:
        ((after.requests.replayed[target.outcome] ?? 0) - (before.requests.replayed[target.outcome] ?? 0)) / window,
      shed: summary.packets.dropped.shed ?? 0,
      ringFull: summary.packets.dropped.ringFull ?? 0,
      kernelDropped: summary.packets.kernelDropped ?? 0,
      requestsDropped: Object.values(summary.requests.dropped).reduce((a, b) => a + b, 0),
      fill: spreadOf(fills),
      ratio: spreadOf(ratios),
      isKeptUp: sent.packets / sent.seconds >= KEPT_UP * packetsPerSecond && summary.packets.kernelDropped === 0,
    }
  } finally {
    await service.close()
  }
}

function tell(
  targets: readonly Target[],
  factors: readonly number[],
  results: ReadonlyMap<string, readonly Measured[]>,
  capacity: number,
  machine: Machine,
  report: Report,
): void {
  const panels = []
  for (const target of targets) {
    const own = (variant: string, factor: number) => results.get(keyOf(target.name, variant, factor)) ?? []
    const peak = Math.max(
      ...VARIANTS.flatMap(({ name }) => factors.map((f) => spreadOf(own(name, f).map((m) => m.completed)).median)),
    )
    const share = (runs: readonly Measured[]) => spreadOf(runs.map((m) => m.completed / peak))
    report.line(`${target.name}: peak ${count(Math.round(peak))} requests/s`)
    const rows = [
      [
        ...['', 'offered ×', 'packets/s', 'requests/s', 'of the peak', 'ring in use', 'connections shed'],
        ...['shed', 'ringFull', 'kernel'],
      ],
    ]
    for (const { name } of VARIANTS)
      for (const factor of factors) {
        const runs = own(name, factor)
        const figures = share(runs)
        const over = (values: readonly Spread[], scale = 100) =>
          `${Math.round(spreadOf(values.map((v) => v.median)).median * scale)} % (${Math.round(Math.min(...values.map((v) => v.least)) * scale)}–${Math.round(Math.max(...values.map((v) => v.greatest)) * scale)})`
        const most = (value: (m: Measured) => number) => count(Math.max(...runs.map(value)))
        rows.push([
          `${target.name}, ${name}`,
          String(factor),
          count(Math.round(spreadOf(runs.map((m) => m.offered)).median)),
          count(Math.round(spreadOf(runs.map((m) => m.completed)).median)),
          `${Math.round(figures.median * 100)} % (${Math.round(figures.least * 100)}–${Math.round(figures.greatest * 100)})`,
          over(runs.map((m) => m.fill)),
          over(runs.map((m) => m.ratio)),
          most((m) => m.shed),
          most((m) => m.ringFull),
          most((m) => m.kernelDropped),
        ])
        report.result({ bench: NAME, variant: `${target.name}, ${name}`, factor, capacity, share: figures, runs })
        const late = runs.filter((m) => !m.isKeptUp).length
        if (late > 0)
          report.line(`${target.name}, ${name}, ${factor} ×: sender or receiver did not keep up in ${late} run(s)`)
        if (name !== VARIANTS[0].name || !GOAL_FACTORS.includes(factor)) continue
        report.figure(`overload.${target.outcome}.${factor}`, { ...figures, unit: 'of the peak', of: target.name })
        report.line(
          `${target.name} at ${factor} ×: ${Math.round(figures.median * 100)} % of the peak, goal ${GOAL * 100} %: ${figures.median >= GOAL ? 'met' : 'missed'}`,
        )
      }
    report.table(rows)
    panels.push({
      heading: `${target.name}: completed, of the peak (${count(Math.round(peak))} requests/s)`,
      most: 1.2,
      curves: [
        ...VARIANTS.map(({ name }) => ({ name, values: factors.map((factor) => share(own(name, factor))) })),
        {
          name: 'all that is offered, up to what the shard takes',
          values: factors.map((factor) => {
            const value = Math.min(1, factor)
            return { median: value, least: value, greatest: value }
          }),
          isReference: true,
        },
      ],
    })
  }
  report.picture(
    `${NAME}-curves`,
    drawLines({
      title: 'Overload: requests that come out whole when a shard is slower than its traffic',
      subtitle: [
        `One shard made slow on purpose: ${count(capacity)} packets/s. Medians; the pale bars lead from the least to the greatest run.`,
      ],
      axis: 'packets offered, times what the shard takes',
      points: factors.map((at) => ({ at, label: String(at) })),
      panels,
      footnotes: machineInWords(machine),
    }),
  )
}
