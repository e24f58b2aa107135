/** How far a run over files has come: on a terminal only, a few times a second. */
import type { Bar } from 'cli-progress'
import { count } from '../base/plural.ts'
import type { Totals } from '../report/totals.ts'

/** Runs shorter than this need no bar. */
const FIRST_MS = 300
const EVERY_MS = 100

export class ProgressBar {
  private bar: Bar | null = null
  private isStarted = false
  private isOver = false
  private readonly loops: number
  private readonly startedMs = performance.now()
  private nextMs = FIRST_MS

  constructor(loops: number) {
    this.loops = loops
  }

  /** @param read called where a bar is drawn: adding up the counters of all threads for nobody costs more than the reading of a small file */
  update(pass: number, bytesRead: number, bytesTotal: number | null, read: () => Totals): void {
    const elapsedMs = performance.now() - this.startedMs
    if (!process.stderr.isTTY || bytesTotal === null || elapsedMs < this.nextMs) return
    this.nextMs = elapsedMs + EVERY_MS
    const total = bytesTotal * this.loops
    if (!this.isStarted) {
      this.isStarted = true
      void this.start(total)
    }
    if (this.bar === null) return
    const totals = read()
    this.bar.update(Math.min(total, (pass - 1) * bytesTotal + bytesRead), {
      requests: count(totals.get('requestsParsed')),
      done: count(totals.requestsEnded()),
      rate: count(Math.round((totals.requestsEnded() / elapsedMs) * 1000)),
    })
  }

  /** Takes the bar off the screen, so that lines of text have it. */
  clear(): void {
    this.isOver = true
    this.bar?.stop()
    this.bar = null
  }

  /** The package is loaded by those who see a bar only. */
  private async start(total: number): Promise<void> {
    const { Presets, SingleBar } = await import('cli-progress')
    if (this.isOver) return
    const bar = new SingleBar(
      {
        format: '{bar} {percentage}% read  {requests} requests, {done} done, {rate}/s',
        stream: process.stderr,
        clearOnComplete: true,
        hideCursor: true,
        barsize: 24,
        stopOnComplete: false,
      },
      Presets.shades_classic,
    )
    bar.start(total, 0, { requests: '0', done: '0', rate: '0' })
    this.bar = bar
  }
}
