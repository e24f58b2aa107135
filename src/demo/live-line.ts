/** Numbers while the demo runs: one line that renews itself on a terminal, elsewhere a plain line now and then. */
import { count } from '../base/plural.ts'
import { columnsOf, fitParts } from '../report/fit-parts.ts'
import type { Totals } from '../report/totals.ts'
import type { HarnessState } from './harness.ts'

const PLAIN_EVERY_MS = 1_000
const BAR_CELLS = 20

export class LiveLine {
  private readonly stream: NodeJS.WriteStream
  private startedMs = 0
  private lastMs = 0
  private lastExact = 0
  private rate = 0
  private plainMs = 0
  private isShown = false

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream
  }

  /** @param requests of the whole run; Infinity: without end */
  show(requests: number, state: HarnessState, totals: Totals): void {
    const now = performance.now()
    const { exact } = state.verdict
    if (this.startedMs === 0) {
      this.startedMs = now
      this.lastMs = now
      this.plainMs = now
    }
    const seconds = (now - this.lastMs) / 1000
    // Smoothed: ten looks a second would flicker.
    if (seconds > 0) this.rate += ((exact - this.lastExact) / seconds - this.rate) * Math.min(1, seconds * 3)
    this.lastMs = now
    this.lastExact = exact
    const parts = liveParts(requests, state, totals, this.rate)
    if (this.stream.isTTY) {
      const width = columnsOf(this.stream)
      const bar = Number.isFinite(requests) && width >= 100 ? `${progressBar(exact / requests)}  ` : ''
      this.stream.write(`\r\x1b[K${fitParts([`  ${bar}${parts[0]}`, ...parts.slice(1)], width, '  ')}`)
      this.isShown = true
    } else if (now - this.plainMs >= PLAIN_EVERY_MS) {
      this.plainMs = now
      this.stream.write(`  ${((now - this.startedMs) / 1000).toFixed(0)} s: ${parts.join(', ')}\n`)
      this.isShown = true
    }
  }

  /** Takes the line away, or sets the lines apart from the text that follows. */
  clear(): void {
    if (this.isShown) this.stream.write(this.stream.isTTY ? '\r\x1b[K' : '\n')
    this.isShown = false
  }
}

/** The most important first. */
export function liveParts(
  requests: number,
  { verdict, packetsSent }: HarnessState,
  totals: Totals,
  rate: number,
): string[] {
  const of = Number.isFinite(requests) ? ` of ${count(requests)}` : ''
  const wrong = verdict.altered + verdict.duplicates + verdict.invented + verdict.outOfOrder
  const dropped = totals.packetsDropped() + totals.get('kernelDropped')
  return [
    `${count(verdict.exact)}${of} requests byte-exact`,
    wrong > 0 ? `${count(wrong)} wrong` : 'none wrong',
    ...(dropped > 0 ? [`${count(dropped)} packets dropped`] : []),
    ...(totals.requestsDropped() > 0 ? [`${count(totals.requestsDropped())} requests dropped`] : []),
    `${count(Math.round(rate))}/s`,
    `${count(packetsSent)} packets`,
    ...(totals.latency().count > 0 ? [`p99 ${totals.latency().ms(0.99).toFixed(1)} ms`] : []),
  ]
}

function progressBar(share: number): string {
  const full = Math.round(Math.min(1, share) * BAR_CELLS)
  return `[${'='.repeat(full)}${' '.repeat(BAR_CELLS - full)}]`
}
