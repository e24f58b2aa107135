/**
 * The text of /metrics: every number of one scrape comes from one reading of the counters, so that the sums hold. Only the main
 * thread does this. prom-client takes 50 ms to load, so it is loaded when packets are already taken.
 */
import type { Registry } from 'prom-client'
import type { MetricSources } from './metrics.ts'
import type { Totals } from './totals.ts'

export interface MetricsText {
  readonly contentType: string
  readonly text: string
}

interface Metrics {
  readonly registry: Registry
  readonly histogramsText: (totals: Totals) => string
}

export class MetricsPage {
  private readonly sources: MetricSources
  private snapshot: Totals
  private metrics: Promise<Metrics> | null = null
  /** Scrapes one after the other: each needs its own snapshot to the end. */
  private last: Promise<unknown> = Promise.resolve()
  /** Not begun: clients that come meanwhile get the same page, so that a crowd of them does not keep this thread from its packets. */
  private next: Promise<MetricsText> | null = null

  constructor(sources: MetricSources) {
    this.sources = sources
    this.snapshot = sources.totals()
  }

  /** Metrics of the process, such as the event loop's lag, count from here; without it from the first scrape. */
  load(): Promise<unknown> {
    this.metrics ??= this.open()
    return this.metrics
  }

  read(): Promise<MetricsText> {
    if (this.next === null) {
      this.next = this.last.then(() => {
        this.next = null
        return this.scrape()
      })
      this.last = this.next.catch(() => {})
    }
    return this.next
  }

  private async scrape(): Promise<MetricsText> {
    this.metrics ??= this.open()
    const { registry, histogramsText } = await this.metrics
    this.snapshot = this.sources.totals()
    const scalars = await registry.metrics()
    return { contentType: registry.contentType, text: scalars + histogramsText(this.snapshot) }
  }

  private async open(): Promise<Metrics> {
    const { histogramText, openRegistry } = await import('./metrics.ts')
    return {
      registry: openRegistry({ ...this.sources, totals: () => this.snapshot }),
      histogramsText: (totals) => histogramText(totals, 'latency') + histogramText(totals, 'addedLatency'),
    }
  }
}
