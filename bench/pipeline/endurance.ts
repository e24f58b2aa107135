/**
 * Minutes of live traffic to a real nginx: what does a day of it do? Every second is read from /metrics and written down as a
 * line of JSON; at the end a picture of it, and the slope of the memory.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { engineName, enginesFor } from '../support/capabilities.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import { openNginx } from '../support/nginx.ts'
import type { BenchOptions } from '../support/options.ts'
import { findOnPath } from '../support/processes.ts'
import { parseMetrics, type Samples } from '../support/prometheus.ts'
import { RESULTS, type Report } from '../support/report.ts'
import { type Sample, sampleOf } from '../support/samples.ts'
import { drawSeries } from '../support/series-svg.ts'
import { type LiveSummary, liveCounts, lossesOf, lostInAll, openService, type Service } from '../support/service.ts'
import { fitLine, type Spread, spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'
import type { LiveSent } from './live-source.ts'

const NAME = 'endurance'
const SAMPLE_MS = 1_000
/** Packets per second. */
const RATE = 60_000
/** Buffers grow and code is compiled in the first fifth. */
const SETTLED = 0.2
const PROGRESS_SECONDS = 60
const TEN_MINUTES = 600
/** A step of the heap weighs too much in less. */
const LEAST_FOR_A_SLOPE_SECONDS = 180
/** Of the memory, in ten minutes: below it no leak can be told from the collector's habits. Chosen. */
const STEADY = 0.05

export async function benchEndurance(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const program = findOnPath('nginx')
  if (program === null) {
    report.heading(NAME, 'skipped: no nginx on PATH')
    return
  }
  const seconds = options.quick ? 5 : options.minutes * 60
  const rate = options.rate ?? RATE
  report.heading(NAME, `VXLAN over UDP on loopback → nginx, ${count(rate)} packets/s for ${seconds} s`)
  // Minutes are spent on one engine: the one asked for, else the first that the build names.
  const [engine] = await enginesFor(options, report)
  if (engine === undefined) return
  for (const n of options.workers ?? [1]) await endure(engine, n, seconds, rate, program, report, directory)
}

async function endure(
  engine: string | null,
  workers: number,
  seconds: number,
  packetsPerSecond: number,
  program: string,
  report: Report,
  directory: string,
): Promise<void> {
  mkdirSync(RESULTS, { recursive: true })
  const variant = `${engineName(engine)}, --workers ${workers}`
  const path = `${RESULTS}${new Date().toISOString().replace(/[:.]/g, '-')}-endurance-${engineName(engine)}-${workers}`
  const source = await MirrorSource.open(packetsPerSecond)
  const nginx = await openNginx(program, directory)
  try {
    const before = await nginx.requests()
    const service = await openService({ to: nginx.url, workers, engine }, directory)
    try {
      const { sent: sending } = await source.send({ port: service.port, packetsPerSecond, seconds })
      const samples = await watch(service, sending, `${path}.jsonl`, report)
      const sent = await sending
      await service.settle(sent)
      const summary = await service.finish()
      const after = await nginx.requests()
      const lost = lostInAll(lossesOf(summary, '2xx'))
      const atNginx = after === null || before === null ? null : after - before - 1
      report.check(`${NAME} ${variant}`, {
        ...liveCounts(summary, sent, '2xx'),
        'requests that nginx counted':
          lost === 0
            ? [atNginx, atNginx === null ? null : sent.requests]
            : [atNginx === null || atNginx >= (summary.requests.replayed['2xx'] ?? 0), true],
        'what nginx complained about': [lost === 0 ? nginx.complaints().join('; ') : '', ''],
      })
      draw(`${path}.svg`, variant, samples, sent, summary)
      tell(variant, path, samples, sent, summary, atNginx, report)
    } finally {
      await service.close()
    }
  } finally {
    await nginx.close()
    await source.close()
  }
}

/** One sample a second until everything is sent. */
async function watch(
  service: Service,
  sending: Promise<LiveSent>,
  path: string,
  report: Report,
): Promise<readonly Sample[]> {
  let isSending = true
  const ended = () => {
    isSending = false
  }
  sending.then(ended, ended)
  writeFileSync(path, '')
  const samples: Sample[] = []
  const startedMs = performance.now()
  let earlier: Samples = parseMetrics(await service.metrics())
  let earlierSeconds = 0
  for (let n = 1; ; n++) {
    await sleep(Math.max(0, startedMs + n * SAMPLE_MS - performance.now()))
    const later = parseMetrics(await service.metrics())
    // A second in which the sender stopped says nothing about the others.
    if (!isSending) break
    const seconds = (performance.now() - startedMs) / 1000
    const sample = sampleOf(later, seconds, earlier, earlierSeconds)
    appendFileSync(path, `${JSON.stringify(sample)}\n`)
    samples.push(sample)
    earlier = later
    earlierSeconds = seconds
    if (n % PROGRESS_SECONDS === 0)
      report.line(
        `${n} s: ${sample.rssMb.toFixed(0)} MB, ${count(sample.requestsPerSecond)} requests/s, ${count(sample.lost)} lost`,
      )
  }
  return samples
}

function draw(path: string, variant: string, samples: readonly Sample[], sent: LiveSent, summary: LiveSummary): void {
  const column = (of: (sample: Sample) => number | null) => samples.map(of)
  writeFileSync(
    path,
    drawSeries({
      title: `Live mirror to nginx, ${count(sent.packets / sent.seconds)} packets/s`,
      subtitle: `${variant}; ${count(summary.requests.parsed)} requests in ${sent.seconds.toFixed(0)} s; Node ${process.versions.node}; every second of /metrics`,
      seconds: column((s) => s.seconds) as number[],
      panels: [
        {
          title: 'Memory',
          unit: 'MB',
          series: [
            { name: 'resident', values: column((s) => s.rssMb) },
            { name: 'heap, main thread', values: column((s) => s.heapMb) },
            { name: 'external, main', values: column((s) => s.externalMb) },
          ],
        },
        {
          title: 'Event-loop delay of the main thread',
          unit: 'ms',
          series: [
            { name: 'p99', values: column((s) => s.loopDelayP99Ms) },
            { name: 'greatest', values: column((s) => s.loopDelayMaxMs) },
          ],
        },
        {
          title: 'Packet taken to request written',
          unit: 'ms',
          series: [
            { name: 'p50', values: column((s) => s.addedP50Ms) },
            { name: 'p99', values: column((s) => s.addedP99Ms) },
          ],
        },
        {
          title: 'Request written to answer complete',
          unit: 'ms',
          series: [
            { name: 'p50', values: column((s) => s.answerP50Ms) },
            { name: 'p99', values: column((s) => s.answerP99Ms) },
          ],
        },
        {
          title: 'Requests replayed',
          unit: 'per second',
          series: [{ name: 'replayed', values: column((s) => s.requestsPerSecond) }],
        },
        {
          title: 'Lost since the start',
          unit: 'packets, requests',
          series: [{ name: 'lost', values: column((s) => s.lost) }],
        },
      ],
    }),
  )
}

function tell(
  variant: string,
  path: string,
  samples: readonly Sample[],
  sent: LiveSent,
  summary: LiveSummary,
  atNginx: number | null,
  report: Report,
): void {
  const settled = samples.slice(Math.floor(samples.length * SETTLED))
  const of = (read: (sample: Sample) => number | null): Spread | null => {
    const values = settled.map(read).filter((v) => v !== null)
    return values.length === 0 ? null : spreadOf(values)
  }
  const written = (s: Spread | null, digits: number) => (s === null ? 'not in this build' : spread(s, digits))
  const rss = of((s) => s.rssMb)
  const growthMb =
    settled.length < 2 ? 0 : fitLine(settled.map((s) => [s.seconds, s.rssMb] as const)).slope * TEN_MINUTES
  const isLong = (samples.at(-1)?.seconds ?? 0) >= LEAST_FOR_A_SLOPE_SECONDS
  const isSteady = growthMb <= STEADY * (rss?.median ?? 0)
  const losses = lossesOf(summary, '2xx')
  const rows: [string, string][] = [
    ['resident, MB', written(rss, 0)],
    [
      'its slope over the last 80 %, MB in 10 minutes',
      isLong ? `${growthMb.toFixed(1)}, ${isSteady ? 'steady' : 'growing'}` : 'too short a run to tell',
    ],
    [
      'event-loop delay p99 in a second, ms',
      written(
        of((s) => s.loopDelayP99Ms),
        2,
      ),
    ],
    [
      'packet taken to request written p50 in a second, ms',
      written(
        of((s) => s.addedP50Ms),
        2,
      ),
    ],
    [
      '… p99',
      written(
        of((s) => s.addedP99Ms),
        2,
      ),
    ],
    [
      'written to answered p50 in a second, ms',
      written(
        of((s) => s.answerP50Ms),
        2,
      ),
    ],
    [
      '… p99',
      written(
        of((s) => s.answerP99Ms),
        2,
      ),
    ],
    [
      'requests/s',
      written(
        of((s) => s.requestsPerSecond),
        0,
      ),
    ],
    ['CPU µs/packet, start included', ((summary.cpuSeconds / summary.packets.received) * 1e6).toFixed(2)],
    ['packets sent', count(sent.packets)],
    [
      'requests sent, answered, counted by nginx',
      `${count(sent.requests)}, ${count(summary.requests.replayed['2xx'] ?? 0)}, ${atNginx === null ? 'unknown' : count(atNginx)}`,
    ],
    ['lost: kernel, rings, other packets, gaps, requests', Object.values(losses).map(count).join(', ')],
    ['dropped or failed, by reason', reasonsInWords(summary)],
  ]
  report.table([[variant, ''], ...rows])
  report.line(`every second: ${path}.jsonl; as a picture: ${path}.svg`)
  report.result({ bench: NAME, variant, seconds: sent.seconds, growthMb, losses, atNginx, summary })
  const lost = lostInAll(losses)
  const answered = summary.requests.replayed['2xx'] ?? 0
  report.line(
    `verdict: ${lost === 0 ? 'nothing lost' : `${count(lost)} lost`}, ${atNginx === null || atNginx === answered ? 'nginx counted what was answered' : `nginx counted ${count(atNginx)}, ${count(answered)} were answered`}, memory ${isLong ? (isSteady ? 'steady' : 'growing') : 'not judged'}`,
  )
  report.figure('endurance.growth', {
    median: growthMb,
    least: growthMb,
    greatest: growthMb,
    unit: 'MB/10 min',
    of: variant,
  })
  report.figure('endurance.lost', { median: lost, least: lost, greatest: lost, unit: '', of: variant })
}

function reasonsInWords({ packets, requests }: LiveSummary): string {
  const failed = Object.entries(requests.replayed).filter(([outcome]) => outcome !== '2xx')
  const all = [...Object.entries(packets.dropped), ...Object.entries(requests.dropped), ...failed]
  return all.length === 0 ? 'none' : all.map(([reason, n]) => `${reason} ${count(n)}`).join(', ')
}
