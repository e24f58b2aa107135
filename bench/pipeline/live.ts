/**
 * VXLAN over UDP on loopback → null: `run` and a sender, each a process of its own, at set rates. Processor time is that of
 * `run` over a window after its warm-up, when code is compiled and buffers have grown: what a day of it costs.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { knowsReceivers } from '../support/capabilities.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { type LiveSummary, liveCounts, lossesOf, lostInAll, openService, type Service } from '../support/service.ts'
import { spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'
import type { LiveSent } from './live-source.ts'

const NAME = 'pipeline/live'
/** Before the rate that is measured: as many packets as it takes until the compiler has nothing left to do, also for low rates. */
const WARM_UP_RATE = 100_000
const WARM_UP_SECONDS = 3
const RATES = [20_000, 60_000, 120_000]
const QUICK_RATES = [20_000]
/** The sender goes on a little behind the window. */
const TAIL_SECONDS = 0.2

interface Variant {
  readonly packetsPerSecond: number
  readonly workers: number
  readonly receivers: number
}

interface Measured {
  readonly cpuUsPerPacket: number
  /** The same from the first packet to the end, code being compiled included. */
  readonly cpuUsPerPacketCold: number
  readonly sent: LiveSent
  /** Reached while it was measured. */
  readonly ratePerSecond: number
  readonly summary: LiveSummary
  readonly receiver: string
  readonly check: 'ok' | 'WRONG'
}

export async function benchLive(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const rounds = options.runs ?? 5
  const rates = options.rates ?? (options.quick ? QUICK_RATES : RATES)
  report.heading(NAME, 'VXLAN over UDP on loopback → null, CPU of the `run` process')
  const variants = await variantsOf(rates, options, report, directory)
  const sources = new Map<number, MirrorSource>()
  try {
    for (const rate of rates) sources.set(rate, await MirrorSource.open(rate))
    const { kind, bytesPerDatagram } = sources.get(rates[0]!)!.ready
    const runs = await inTurns(variants, rounds, (variant) =>
      runOnce(variant, sources.get(variant.packetsPerSecond)!, options, report, directory),
    )
    report.line(
      `keep-alive traffic, ${bytesPerDatagram.toFixed(0)} bytes a datagram, sent by ${kind}, received by ${runs[0]![0]!.receiver}`,
    )
    report.line(
      `${options.seconds} s after ${WARM_UP_SECONDS} s at ${count(WARM_UP_RATE)}/s and ${options.warmUpMs / 1000} s at the rate, ${rounds} run(s) each, interleaved; medians (minimum–maximum)`,
    )
    tell(variants, runs, report)
  } finally {
    for (const source of sources.values()) await source.close()
  }
}

/** Several receivers are for high rates, and need as many workers at least to be worth anything. */
async function variantsOf(
  rates: readonly number[],
  options: BenchOptions,
  report: Report,
  directory: string,
): Promise<Variant[]> {
  const workers = options.workers ?? (options.quick ? [1] : [0, 1, 2])
  const receivers: number[] = []
  for (const n of options.receivers ?? (options.quick ? [1] : [1, 2])) {
    if (await knowsReceivers(n, directory)) receivers.push(n)
    else report.line(`--receivers ${n}: not in this build`)
  }
  const highest = Math.max(...rates)
  return rates.flatMap((packetsPerSecond) =>
    receivers
      .filter((r) => r === 1 || options.receivers !== null || packetsPerSecond === highest)
      .flatMap((r) =>
        workers.filter((w) => r === 1 || w >= r).map((w): Variant => ({ packetsPerSecond, workers: w, receivers: r })),
      ),
  )
}

async function runOnce(
  { packetsPerSecond, workers, receivers }: Variant,
  source: MirrorSource,
  options: BenchOptions,
  report: Report,
  directory: string,
): Promise<Measured> {
  const order = { to: 'null', workers, receivers: receivers === 1 ? null : receivers }
  const service = await openService(order, directory)
  try {
    const warm = await (
      await source.send({
        port: service.port,
        packetsPerSecond: WARM_UP_RATE,
        seconds: options.quick ? options.warmUpMs / 1000 : WARM_UP_SECONDS,
      })
    ).sent
    const { sent: sending } = await source.send({
      port: service.port,
      packetsPerSecond,
      seconds: options.warmUpMs / 1000 + options.seconds + TAIL_SECONDS,
    })
    const window = await measureWindow(service, options)
    const own = await sending
    const sent = { ...own, packets: warm.packets + own.packets, requests: warm.requests + own.requests }
    await service.settle(sent)
    const summary = await service.finish()
    return {
      cpuUsPerPacket: window.cpuUsPerPacket,
      cpuUsPerPacketCold: (summary.fromFirstPacket.cpuSeconds / summary.packets.received) * 1e6,
      sent,
      ratePerSecond: own.packets / own.seconds,
      summary,
      receiver: service.receiver,
      check: report.check(
        `${NAME} ${packetsPerSecond}/s --workers ${workers} --receivers ${receivers}`,
        liveCounts(summary, sent, 'null'),
      ),
    }
  } finally {
    await service.close()
  }
}

export interface Window {
  readonly cpuUsPerPacket: number
  readonly cpuSeconds: number
  readonly packets: number
  readonly requests: number
}

/**
 * Processor time of all threads of `run`, asking for it included, between two readings behind the warm-up.
 * @param around called just before the first reading and just after the second
 */
export async function measureWindow(
  service: Service,
  options: BenchOptions,
  around: () => Promise<void> = async () => {},
): Promise<Window> {
  await sleep(options.warmUpMs)
  await around()
  const before = await service.summary()
  await sleep(options.seconds * 1000)
  const after = await service.summary()
  await around()
  const cpuSeconds = after.cpuSeconds - before.cpuSeconds
  const packets = after.packets.received - before.packets.received
  const requests = after.requests.parsed - before.requests.parsed
  return { cpuSeconds, packets, requests, cpuUsPerPacket: (cpuSeconds / packets) * 1e6 }
}

function tell(variants: readonly Variant[], runs: readonly Measured[][], report: Report): void {
  const rows = [['', 'CPU µs/packet', 'with start', 'sent/s', 'packets', 'lost: kernel', 'ring', 'counts']]
  const best = new Map<number, { median: number; lost: number }>()
  for (const [i, variant] of variants.entries()) {
    const { packetsPerSecond, workers, receivers } = variant
    const own = runs[i]!
    const cpuUsPerPacket = spreadOf(own.map((run) => run.cpuUsPerPacket))
    const cpuUsPerPacketCold = spreadOf(own.map((run) => run.cpuUsPerPacketCold))
    const sentPerSecond = spreadOf(own.map((run) => run.ratePerSecond))
    const packets = own.reduce((sum, run) => sum + run.sent.packets, 0)
    const losses = own.map((run) => lossesOf(run.summary, 'null'))
    const kernelDropped = losses.reduce((sum, l) => sum + l.kernel, 0)
    const ringFull = losses.reduce((sum, l) => sum + l.ring, 0)
    const lost = spreadOf(losses.map(lostInAll))
    report.result({
      bench: NAME,
      variant: `${packetsPerSecond}/s, workers ${workers}, receivers ${receivers}`,
      runs: own.length,
      cpuUsPerPacket,
      cpuUsPerPacketCold,
      sentPerSecond,
      packets,
      kernelDropped,
      ringFull,
      lost,
    })
    rows.push([
      `${count(packetsPerSecond)}/s, ${threadsInWords(workers, receivers)}`,
      spread(cpuUsPerPacket, 2),
      cpuUsPerPacketCold.median.toFixed(2),
      count(sentPerSecond.median),
      count(packets),
      count(kernelDropped),
      count(ringFull),
      own.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
    // The goals are those of a service with its own threads: inline is for small machines.
    if (workers === 0) {
      report.figure(`live.${packetsPerSecond}.inline.cpu`, { ...cpuUsPerPacket, unit: 'µs/packet', of: '--workers 0' })
      continue
    }
    const present = best.get(packetsPerSecond)
    const isBetter = present === undefined || lost.greatest < present.lost
    if (!isBetter && !(lost.greatest === present.lost && cpuUsPerPacket.median < present.median)) continue
    best.set(packetsPerSecond, { median: cpuUsPerPacket.median, lost: lost.greatest })
    const of = threadsInWords(workers, receivers)
    report.figure(`live.${packetsPerSecond}.cpu`, { ...cpuUsPerPacket, unit: 'µs/packet', of })
    report.figure(`live.${packetsPerSecond}.lost`, { ...lost, unit: 'packets', of })
  }
  report.table(rows)
}

/** As the options say it. */
export function threadsInWords(workers: number, receivers: number): string {
  return `--workers ${workers}${receivers === 1 ? '' : ` --receivers ${receivers}`}`
}
