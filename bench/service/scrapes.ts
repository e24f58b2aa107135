/**
 * Minutes of scrapes under load: what must add up adds up in every one of them. Receivers and shards publish their counters some hundred
 * times a second each while /metrics and /summary are read one after the other without a pause.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Summary } from '../../src/report/summary.ts'
import { accountsOf } from '../soak/reading.ts'
import { knowsReceivers } from '../support/capabilities.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import { sumOf } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import { histogramOf, parseMetrics, type Samples, sumOverLabels } from '../support/prometheus.ts'
import type { Report } from '../support/report.ts'
import { liveCounts, lossesOf, openService, type Service } from '../support/service.ts'
import { count } from '../support/table.ts'

const NAME = 'scrapes'
/** Leaves a core of two to scraper and origin. */
const RATE = 12_000
const QUICK_SECONDS = 5
const THREADS = 2
/** Kept as examples; all are counted. */
const MOST_EXAMPLES = 5

export async function benchScrapes(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const seconds = options.quick ? QUICK_SECONDS : options.minutes * 60
  const rate = options.rate ?? RATE
  const receivers = (await knowsReceivers(THREADS, directory)) ? THREADS : 1
  const workers = options.workers?.[0] ?? THREADS
  report.heading(
    NAME,
    `${count(rate)} packets/s of live traffic for ${seconds} s, --receivers ${receivers} --workers ${workers}`,
  )
  const source = await MirrorSource.open(rate)
  const origin = await openOrigin()
  try {
    const to = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
    const service = await openService({ to, workers, receivers }, directory)
    try {
      const { sent: sending } = await source.send({ port: service.port, packetsPerSecond: rate, seconds })
      const watch = new SumWatch()
      let isSending = true
      const ended = () => {
        isSending = false
      }
      sending.then(ended, ended)
      while (isSending) await watch.look(service)
      const sent = await sending
      await service.settle(sent)
      await watch.look(service)
      const summary = await service.finish()
      report.check(NAME, {
        ...liveCounts(summary, sent, '2xx'),
        [`sums that did not hold (${watch.examples.join('; ')})`]: [watch.wrong, 0],
      })
      const losses = lossesOf(summary, '2xx')
      report.line(
        `${count(watch.scrapes)} scrapes of /metrics, as many of /summary; ${count(watch.sums)} sums and ${count(watch.counters)} counters compared: ${watch.wrong} did not hold`,
      )
      report.line(
        `${count(sent.packets)} packets sent, ${count(summary.requests.parsed)} requests read, ${count(summary.requests.replayed['2xx'] ?? 0)} answered; lost: ${Object.values(losses).map(count).join(', ')} (kernel, rings, other packets, gaps, requests)`,
      )
      const failed = Object.entries(summary.requests.replayed).filter(([outcome]) => outcome !== '2xx')
      const reasons = Object.fromEntries([
        ...Object.entries(summary.packets.dropped),
        ...Object.entries(summary.requests.dropped),
        ...failed,
      ])
      if (Object.keys(reasons).length > 0)
        report.line(
          `by reason: ${Object.entries(reasons)
            .map(([reason, n]) => `${reason} ${count(n)}`)
            .join(', ')}`,
        )
      const { scrapes, sums, counters, wrong, examples } = watch
      report.result({
        bench: NAME,
        variant: `${receivers} receivers, ${workers} workers`,
        seconds,
        scrapes,
        sums,
        counters,
        wrong,
        examples,
        losses,
        reasons,
      })
    } finally {
      await service.close()
    }
  } finally {
    origin.close()
    origin.closeAllConnections()
    await source.close()
  }
}

/** What held and what did not, over all scrapes. */
class SumWatch {
  scrapes = 0
  sums = 0
  counters = 0
  wrong = 0
  readonly examples: string[] = []
  private earlier: Samples = new Map()

  async look(service: Service): Promise<void> {
    const samples = parseMetrics(await service.metrics())
    this.scrapes++
    this.sums += 3
    for (const fault of accountsOf(samples)) this.tell(fault)
    this.compareHistograms(samples)
    this.compareWithEarlier(samples)
    this.compareSummary(await service.summary())
  }

  /** A request with an answer, and its latency, are counted together. */
  private compareHistograms(samples: Samples): void {
    const name = 'mirrorshard_replay_latency_seconds'
    const answered = ['1xx', '2xx', '3xx', '4xx', '5xx'].reduce(
      (n, outcome) => n + (samples.get(`mirrorshard_requests_replayed_total{outcome="${outcome}"}`) ?? 0),
      0,
    )
    this.expect('latencies and answers', samples.get(`${name}_count`), answered)
    const { counts } = histogramOf(samples, name)!
    this.expect('all buckets and their count', counts.at(-1), samples.get(`${name}_count`))
    this.expect(
      'buckets that rise',
      counts.every((n, i) => i === 0 || n >= counts[i - 1]!),
      true,
    )
  }

  private compareWithEarlier(samples: Samples): void {
    for (const [key, n] of samples) {
      if (!/^mirrorshard_\w+_total(\{|$)/.test(key)) continue
      this.counters++
      const before = this.earlier.get(key) ?? 0
      if (n < before) this.tell(`${key} went back from ${before} to ${n}`)
    }
    this.earlier = samples
  }

  private compareSummary({ packets, requests }: Summary): void {
    this.expect('packets of the summary', packets.received, packets.processed + sumOf(packets.dropped) + packets.held)
    this.expect(
      'requests of the summary',
      requests.parsed,
      sumOf(requests.dropped) + sumOf(requests.replayed) + requests.held,
    )
    this.expect(
      'the summary behind the scrape',
      packets.received >= sumOverLabels(this.earlier, 'mirrorshard_source_packets_total'),
      true,
    )
  }

  private expect(what: string, got: unknown, expected: unknown): void {
    this.sums++
    if (got !== expected) this.tell(`${what}: ${String(got)} and ${String(expected)}`)
  }

  private tell(fault: string): void {
    this.wrong++
    if (this.examples.length < MOST_EXAMPLES) this.examples.push(`scrape ${this.scrapes}: ${fault}`)
  }
}

/** Answers everything at once: requests are held, but not for long. */
function openOrigin(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => response.end('ok'))
  })
  server.keepAliveTimeout = 60_000
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}
