/**
 * The whole service: VXLAN over UDP on loopback → replay to a real nginx, at a set rate. Then once more against an nginx that
 * writes down every request, and what it wrote is compared with what was mirrored.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { engineName, enginesFor } from '../support/capabilities.ts'
import { MIRROR_SEED, makeCycle, REQUESTS_PER_CONNECTION } from '../support/mirror-cycle.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import { type Nginx, openNginx } from '../support/nginx.ts'
import type { BenchOptions } from '../support/options.ts'
import { findOnPath } from '../support/processes.ts'
import { parseMetrics, type Samples } from '../support/prometheus.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { type Sample, sampleOf } from '../support/samples.ts'
import { compareLogs, expectedLog } from '../support/sent-requests.ts'
import { type LiveSummary, liveCounts, lossesOf, lostInAll, openService } from '../support/service.ts'
import { type Spread, spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'
import { measureWindow, type Window } from './live.ts'

const NAME = 'pipeline/live-replay'
const TAIL_SECONDS = 0.2
const QUICK_RATE = 10_000
/** The goals are for this rate alone. */
const GOAL_RATE = 60_000
/** nginx reads the bodies twice over and writes all of it down: a fraction of the measured rate. */
const WRITTEN_DOWN_RATE = 15_000

interface Variant {
  readonly engine: string | null
  readonly workers: number
}

interface Measured {
  readonly window: Window
  /** From /metrics, of the same window. */
  readonly inside: Sample
  readonly sentPerSecond: number
  readonly requests: number
  readonly summary: LiveSummary
  readonly check: 'ok' | 'WRONG'
}

export async function benchLiveReplay(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const program = findOnPath('nginx')
  if (program === null) {
    report.heading(NAME, 'skipped: no nginx on PATH')
    return
  }
  const rate = options.rate ?? (options.quick ? QUICK_RATE : GOAL_RATE)
  const rounds = options.runs ?? 5
  report.heading(
    NAME,
    `VXLAN over UDP on loopback → nginx, ${count(rate)} packets/s, sender and nginx on the same cores`,
  )
  const engines = await enginesFor(options, report)
  const workers = options.workers ?? (options.quick ? [1] : [0, 1])
  const variants = engines.flatMap((engine) => workers.map((w): Variant => ({ engine, workers: w })))
  if (variants.length === 0) return
  const source = await MirrorSource.open(rate)
  try {
    const nginx = await openNginx(program, directory)
    try {
      const runs = await inTurns(variants, rounds, (variant) =>
        runOnce(variant, rate, source, nginx, options, report, directory),
      )
      report.line(
        `${options.seconds} s behind ${options.warmUpMs / 1000} s of warm-up, ${rounds} run(s) each, in turns; added: last packet taken to request written; with start, answer: of the whole run`,
      )
      tell(variants, runs, rate === GOAL_RATE, report)
    } finally {
      await nginx.close()
    }
    let altered = 0
    for (const engine of engines) altered += await writeDown(engine, program, options, source, report, directory)
    const figure = { median: altered, least: altered, greatest: altered, unit: 'requests' }
    report.figure('live-replay.altered', figure)
  } finally {
    await source.close()
  }
}

async function runOnce(
  { engine, workers }: Variant,
  packetsPerSecond: number,
  source: MirrorSource,
  nginx: Nginx,
  options: BenchOptions,
  report: Report,
  directory: string,
): Promise<Measured> {
  const before = await nginx.requests()
  const service = await openService({ to: nginx.url, workers, engine }, directory)
  try {
    const { sent: sending } = await source.send({
      port: service.port,
      packetsPerSecond,
      seconds: options.warmUpMs / 1000 + options.seconds + TAIL_SECONDS,
    })
    const pages: Samples[] = []
    const window = await measureWindow(service, options, async () => {
      pages.push(parseMetrics(await service.metrics()))
    })
    const sent = await sending
    await service.settle(sent)
    const summary = await service.finish()
    const after = await nginx.requests()
    const answered = summary.requests.replayed['2xx'] ?? 0
    const complaints = nginx.complaints().join('; ')
    const isWhole = lostInAll(lossesOf(summary, '2xx')) === 0
    const check = report.check(`${NAME} ${engineName(engine)} --workers ${workers}`, {
      ...liveCounts(summary, sent, '2xx'),
      // A request that failed may have reached nginx all the same: only without failures the two are equal.
      'requests that nginx counted': isWhole
        ? [after === null || before === null ? null : after - before - 1, before === null ? null : sent.requests]
        : [after === null || before === null || after - before - 1 >= answered, true],
      'what nginx complained about': [isWhole ? complaints : '', ''],
    })
    const [first, last] = pages as [Samples, Samples]
    const inside = sampleOf(last, options.seconds, first, 0)
    return {
      window,
      inside,
      sentPerSecond: sent.packets / sent.seconds,
      requests: sent.requests,
      summary,
      check,
    }
  } finally {
    await service.close()
  }
}

function tell(variants: readonly Variant[], runs: readonly Measured[][], isForGoals: boolean, report: Report): void {
  const rows = [
    [
      ...['', 'CPU µs/packet', 'µs/request', 'requests/s'],
      ...['lost packets', 'requests', 'added ms p50', 'p99', 'with start p99', 'answer ms p50', 'p99', 'counts'],
    ],
  ]
  let best: { lost: number; cpu: number } | null = null
  for (const [i, { engine, workers }] of variants.entries()) {
    const own = runs[i]!
    const cpuUsPerPacket = spreadOf(own.map(({ window }) => window.cpuUsPerPacket))
    const cpuUsPerRequest = spreadOf(own.map(({ window }) => (window.cpuSeconds / window.requests) * 1e6))
    const perSecond = spreadOf(own.map((run) => (run.requests * run.sentPerSecond) / run.summary.packets.received))
    const losses = own.map((run) => lossesOf(run.summary, '2xx'))
    const lost = spreadOf(losses.map(lostInAll))
    const packetsLost = losses.reduce((sum, l) => sum + lostInAll({ ...l, requests: 0 }), 0)
    const requestsLost = losses.reduce((sum, l) => sum + l.requests, 0)
    const reasons = own.map((run) => ({ ...run.summary.requests.dropped, ...run.summary.requests.replayed }))
    const added = addedOf(own)
    const answer50 = spreadOf(own.map((run) => run.summary.latencyMs.p50))
    const answer99 = spreadOf(own.map((run) => run.summary.latencyMs.p99))
    const of = `${engineName(engine)}, --workers ${workers}`
    report.result({
      bench: NAME,
      variant: of,
      runs: own.length,
      ...{ cpuUsPerPacket, cpuUsPerRequest, requestsPerSecond: perSecond, lost, reasons, added, answer50, answer99 },
    })
    rows.push([
      of,
      spread(cpuUsPerPacket, 2),
      cpuUsPerRequest.median.toFixed(1),
      count(perSecond.median),
      count(packetsLost),
      count(requestsLost),
      added === null ? 'not in build' : spread(added.p50, 2),
      added === null ? '–' : spread(added.p99, 2),
      added === null ? '–' : added.p99Whole.median.toFixed(0),
      answer50.median.toFixed(2),
      answer99.median.toFixed(2),
      own.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
    const isBetter =
      best === null || lost.greatest < best.lost || (lost.greatest === best.lost && cpuUsPerPacket.median < best.cpu)
    if (!isBetter || !isForGoals) continue
    best = { lost: lost.greatest, cpu: cpuUsPerPacket.median }
    report.figure('live-replay.lost', { ...lost, unit: 'packets, requests', of })
    report.figure('live-replay.cpu', { ...cpuUsPerPacket, unit: 'µs/packet', of })
    if (added === null) continue
    report.figure('live-replay.added.p50', { ...added.p50, unit: 'ms', of })
    report.figure('live-replay.added.p99', { ...added.p99, unit: 'ms', of })
  }
  report.table(rows)
}

interface Added {
  readonly p50: Spread
  readonly p99: Spread
  /** Of the whole run: what a cold start adds. */
  readonly p99Whole: Spread
}

/** Null where the build does not tell. */
function addedOf(runs: readonly Measured[]): Added | null {
  const p50 = runs.map((run) => run.inside.addedP50Ms).filter((v) => v !== null)
  const p99 = runs.map((run) => run.inside.addedP99Ms).filter((v) => v !== null)
  const whole = runs.map((run) => run.summary.addedLatencyMs?.p99).filter((v) => v !== undefined)
  if (Math.min(p50.length, p99.length, whole.length) < runs.length) return null
  return { p50: spreadOf(p50), p99: spreadOf(p99), p99Whole: spreadOf(whole) }
}

/** @returns requests that arrived otherwise than they were mirrored, or more than once, or not at all */
async function writeDown(
  engine: string | null,
  program: string,
  options: BenchOptions,
  source: MirrorSource,
  report: Report,
  directory: string,
): Promise<number> {
  const log = join(directory, `requests-${engineName(engine)}.log`)
  const nginx = await openNginx(program, directory, log)
  let passes = 0
  try {
    const service = await openService({ to: nginx.url, workers: 1, engine }, directory)
    try {
      const order = { port: service.port, packetsPerSecond: WRITTEN_DOWN_RATE, seconds: options.quick ? 0.3 : 2 }
      const sent = await (await source.send(order)).sent
      passes = sent.passes
      await service.settle(sent)
      const summary = await service.finish()
      report.check(`${NAME} ${engineName(engine)}, written down`, liveCounts(summary, sent, '2xx'))
    } finally {
      await service.close()
    }
  } finally {
    // Writes what is buffered.
    await nginx.close()
  }
  const cycle = makeCycle(MIRROR_SEED, source.connections, REQUESTS_PER_CONNECTION)
  const expected = expectedLog(cycle)
  const arrived = readFileSync(log, 'latin1').split('\n').slice(0, -1).filter(isReplayed)
  const { altered, doubled, missing, example } = compareLogs(expected, passes, arrived)
  report.check(`${NAME} ${engineName(engine)}, written down`, {
    [`requests altered${example === null ? '' : ` (${JSON.stringify(example)})`}`]: [altered, 0],
    'requests twice': [doubled, 0],
  })
  report.line(
    `${engineName(engine)}, ${count(expected.length * passes)} requests written down by nginx (line, headers, body): ${altered} altered, ${doubled} twice, ${missing} missing`,
  )
  report.result({ bench: NAME, variant: `${engineName(engine)}, written down`, altered, doubled, missing })
  return altered + doubled + missing
}

/** Not the bench's own question whether nginx is there. */
function isReplayed(line: string): boolean {
  return !line.startsWith('GET / HTTP/1.1\tnode\t')
}
