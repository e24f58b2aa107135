/**
 * The highest rate of live traffic without a loss, the sender beside it on the same cores. Short probes find the rate; then it
 * has to hold for longer, because the kernel's buffer hides a shortfall of a few percent for seconds.
 */
import { knowsReceivers } from '../support/capabilities.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import type { BenchOptions } from '../support/options.ts'
import { type Probe, RateSearch, type SearchBounds } from '../support/rate-search.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { liveCounts, lossesOf, openService, type Service } from '../support/service.ts'
import { spreadOf } from '../support/statistics.ts'
import { count } from '../support/table.ts'
import { threadsInWords } from './live.ts'
import type { LiveSent } from './live-source.ts'

const NAME = 'pipeline/live-limit'
const WARM_UP_RATE = 60_000
/** Its cycle is short enough for short probes. */
const QUICK_RATE = 10_000
/** A sender that sends as fast as it goes and gets less shares its core with what it sends to. */
const A_WHOLE_CORE = 0.9
/** One step down after a long probe that lost. */
const STEP_DOWN = 0.92
const MOST_LONG_PROBES = 4

interface Lengths {
  readonly warmUpSeconds: number
  readonly probeSeconds: number
  readonly longSeconds: number
  readonly search: SearchBounds
}

const FULL: Lengths = {
  warmUpSeconds: 1,
  probeSeconds: 1.5,
  longSeconds: 6,
  search: { first: 150_000, step: 1.5, close: 1.08, mostProbes: 8 },
}
const QUICK: Lengths = {
  warmUpSeconds: 0.3,
  probeSeconds: 0.3,
  longSeconds: 0.4,
  search: { first: 60_000, step: 2, close: 1.5, mostProbes: 2 },
}

interface Variant {
  readonly workers: number
  readonly receivers: number
}

interface Found {
  /** Held without loss in a long probe; 0: none was. */
  readonly limit: number
  /** Lowest rate that lost, as sent, and what it lost. */
  readonly above: Probe | null
  readonly isSendersLimit: boolean
  /** Cores taken at the limit. */
  readonly senderCores: number
  readonly ourCores: number
  readonly probes: readonly Probe[]
  readonly check: 'ok' | 'WRONG'
}

export async function benchLiveLimit(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const lengths = options.quick ? QUICK : FULL
  const rounds = options.runs ?? 2
  report.heading(NAME, 'highest rate without loss, live → null, the sender beside it on the same cores')
  const variants: Variant[] = (options.workers ?? (options.quick ? [1] : [0, 1, 2])).map((workers) => ({
    workers,
    receivers: 1,
  }))
  for (const receivers of (options.receivers ?? (options.quick ? [] : [2])).filter((n) => n > 1)) {
    if (await knowsReceivers(receivers, directory)) variants.push({ workers: receivers, receivers })
    else report.line(`--receivers ${receivers}: not in this build`)
  }
  report.line(
    `probes of ${lengths.probeSeconds} s up to the first loss, then halved; the rate told is held for ${lengths.longSeconds} s; ${rounds} search(es) each, in turns`,
  )
  const source = await MirrorSource.open(options.quick ? QUICK_RATE : WARM_UP_RATE)
  try {
    const found = await inTurns(variants, rounds, (variant) => search(variant, source, lengths, report, directory))
    tell(variants, found, report)
  } finally {
    await source.close()
  }
}

interface LongProbe extends Probe {
  readonly senderCores: number
  readonly ourCores: number
}

async function search(
  { workers, receivers }: Variant,
  source: MirrorSource,
  lengths: Lengths,
  report: Report,
  directory: string,
): Promise<Found> {
  const where = `${NAME} --workers ${workers} --receivers ${receivers}`
  const order = { to: 'null', workers, receivers: receivers === 1 ? null : receivers }
  const checks: ('ok' | 'WRONG')[] = []
  // A process of its own for each long probe: what a losing probe left behind must not weigh on it.
  const withService = async <R>(run: (service: Service, totals: Totals) => Promise<R>): Promise<R> => {
    const service = await openService(order, directory)
    try {
      const totals: Totals = { packets: 0, requests: 0 }
      await probe(service, source, WARM_UP_RATE, lengths.warmUpSeconds, totals)
      const result = await run(service, totals)
      const summary = await service.finish()
      const sent: LiveSent = { ...totals, kind: source.ready.kind, passes: 0, seconds: 0, cpuSeconds: 0, slippedMs: 0 }
      checks.push(report.check(where, liveCounts(summary, sent, 'null')))
      return result
    } finally {
      await service.close()
    }
  }

  const rates = new RateSearch(lengths.search)
  await withService(async (service, totals) => {
    for (let rate = rates.next(); rate !== null; rate = rates.next())
      rates.add(await probe(service, source, rate, lengths.probeSeconds, totals))
  })
  const long: LongProbe[] = []
  let asked = rates.senderIsTheLimit ? null : rates.highestLossless
  while (long.length < MOST_LONG_PROBES && asked !== 0) {
    const rate: number | null = asked
    const result = await withService((service, totals) => probe(service, source, rate, lengths.longSeconds, totals))
    long.push(result)
    if (result.lost === 0) break
    asked = Math.round(result.achieved * STEP_DOWN)
  }
  const held = long.find((p) => p.lost === 0)
  const losing = [...rates.probes, ...long].filter((p) => p.lost > 0).sort((a, b) => a.achieved - b.achieved)
  return {
    limit: held?.achieved ?? 0,
    above: losing[0] ?? null,
    isSendersLimit: rates.senderIsTheLimit && losing.length === 0,
    senderCores: held?.senderCores ?? 0,
    ourCores: held?.ourCores ?? 0,
    probes: [...rates.probes, ...long],
    check: checks.includes('WRONG') ? 'WRONG' : 'ok',
  }
}

interface Totals {
  packets: number
  requests: number
}

/** @param rate null: as fast as the sender can @param totals what was sent to this service so far; counted on */
async function probe(
  service: Service,
  source: MirrorSource,
  rate: number | null,
  seconds: number,
  totals: Totals,
): Promise<LongProbe> {
  const before = await service.summary()
  const { sent: sending } = await source.send({ port: service.port, packetsPerSecond: rate, seconds })
  const sent = await sending
  totals.packets += sent.packets
  totals.requests += sent.requests
  const after = await service.settle({ ...sent, packets: totals.packets })
  const [now, then] = [lossesOf(after, 'null'), lossesOf(before, 'null')]
  const kernel = now.kernel - then.kernel
  const dropped = now.ring + now.otherPackets - then.ring - then.otherPackets
  return {
    asked: rate ?? sent.packets / sent.seconds,
    achieved: Math.round(sent.packets / sent.seconds),
    lost: kernel + dropped,
    where: kernel > dropped ? 'kernel' : 'rings',
    senderCores: sent.cpuSeconds / sent.seconds,
    ourCores: (after.cpuSeconds - before.cpuSeconds) / sent.seconds,
  }
}

/** What kept a higher rate from being held. */
function limitInWords(found: readonly Found[]): string {
  const words = found.map((f) =>
    f.isSendersLimit
      ? f.senderCores < A_WHOLE_CORE
        ? 'all cores busy'
        : 'sender'
      : f.above === null
        ? 'not reached'
        : 'loss',
  )
  const different = [...new Set(words)]
  if (different.length === 1) return different[0]!
  return different.map((word) => `${word} ${words.filter((w) => w === word).length}`).join(', ')
}

function tell(variants: readonly Variant[], found: readonly Found[][], report: Report): void {
  const rows = [
    ['', 'held, packets/s', 'lost first at', 'packets, where', 'cores: ours', 'sender', 'limited by', 'counts'],
  ]
  let best = -1
  for (const [i, { workers, receivers }] of variants.entries()) {
    const own = found[i]!
    const limit = spreadOf(own.map((f) => f.limit))
    const above = own.map((f) => f.above).filter((p) => p !== null)
    const senders = own.filter((f) => f.isSendersLimit).length
    report.result({
      bench: NAME,
      variant: `workers ${workers}, receivers ${receivers}`,
      runs: own.length,
      packetsPerSecond: limit,
      limitOfTheSender: senders,
      searches: own,
    })
    rows.push([
      threadsInWords(workers, receivers),
      `${count(limit.median)} (${count(limit.least)}–${count(limit.greatest)})`,
      above.length === 0 ? '–' : `${count(spreadOf(above.map((p) => p.achieved)).median)}/s`,
      above.length === 0
        ? '–'
        : `${count(spreadOf(above.map((p) => p.lost)).median)}, ${[...new Set(above.map((p) => p.where))].join(' and ')}`,
      spreadOf(own.map((f) => f.ourCores)).median.toFixed(2),
      spreadOf(own.map((f) => f.senderCores)).median.toFixed(2),
      limitInWords(own),
      own.some((f) => f.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
    if (limit.median <= best) continue
    best = limit.median
    const of = `--workers ${workers}${receivers === 1 ? '' : ` --receivers ${receivers}`}${senders > 0 ? ', no loss seen' : ''}`
    report.figure('live.limit', { ...limit, unit: 'packets/s', of })
  }
  report.table(rows)
}
