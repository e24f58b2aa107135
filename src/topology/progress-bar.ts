/** How far a run over files has come: on a terminal only, a few times a second. */
import type { Bar } from 'cli-progress'
import { count } from '../base/plural.ts'
import { columnsOf, fitParts } from '../report/fit-parts.ts'
import { isDown } from '../report/live-text.ts'
import { lossText } from '../report/losses.ts'
import { type Totals, total } from '../report/totals.ts'
import { divided, FAILED_OUTCOMES } from '../report/verdict.ts'

export interface Progress {
  /** What fits into so many columns. */
  readonly text: (width: number) => string
  readonly hasLosses: boolean
}

/** Runs shorter than this need no bar. */
const FIRST_MS = 300
const EVERY_MS = 100

export class ProgressBar {
  private bar: Bar | null = null
  private isStarted = false
  private isOver = false
  private readonly loops: number
  private readonly stream: NodeJS.WriteStream
  private readonly startedMs = performance.now()
  private nextMs = FIRST_MS

  constructor(loops: number, stream: NodeJS.WriteStream = process.stderr) {
    this.loops = loops
    this.stream = stream
  }

  /** @param read called where a bar is drawn: adding up the counters of all threads for nobody costs more than the reading of a small file */
  update(pass: number, bytesRead: number, bytesTotal: number | null, read: () => Totals): void {
    const elapsedMs = performance.now() - this.startedMs
    if (!this.stream.isTTY || bytesTotal === null || elapsedMs < this.nextMs) return
    this.nextMs = elapsedMs + EVERY_MS
    const total = bytesTotal * this.loops
    if (!this.isStarted && !this.isOver) {
      this.isStarted = true
      void this.start(total)
    }
    if (this.bar === null) return
    const totals = read()
    const text = (width: number) => progressText(totals, elapsedMs, width)
    const payload: Progress = { text, hasLosses: lossText(totals, Number.POSITIVE_INFINITY) !== '' }
    this.bar.update(Math.min(total, (pass - 1) * bytesTotal + bytesRead), payload)
  }

  /** Takes the bar off the screen, so that lines of text have it. */
  clear(): void {
    this.bar?.stop()
    this.bar = null
    this.isStarted = false
  }

  /** For good. */
  end(): void {
    this.clear()
    this.isOver = true
  }

  /** The package is loaded by those who see a bar only. */
  private async start(total: number): Promise<void> {
    // By its default export: Node finds no name `Format` in a CommonJS module that builds its exports as one object.
    const { Format, Presets, SingleBar } = (await import('cli-progress')).default
    if (this.isOver) return
    const bar = new SingleBar(
      {
        format: (options, { progress }, payload: Progress) =>
          progressLine(progress, Format.BarFormat(progress, options), payload, columnsOf(this.stream)),
        stream: this.stream,
        clearOnComplete: true,
        hideCursor: true,
        barsize: 24,
        stopOnComplete: false,
      },
      Presets.shades_classic,
    )
    bar.start(total, 0, { text: () => '', hasLosses: false } satisfies Progress)
    this.bar = bar
  }
}

/** Below these the bar leaves its place to the words: without losses, and with them. */
const LEAST_COLUMNS_WITH_BAR = 60
const LEAST_COLUMNS_WITH_BOTH = 100

/** Share read, bar and words, in at most `width` columns. */
export function progressLine(share: number, bar: string, { text, hasLosses }: Progress, width: number): string {
  const percent = `${Math.floor(share * 100)}%`
  const hasBar = width >= (hasLosses ? LEAST_COLUMNS_WITH_BOTH : LEAST_COLUMNS_WITH_BAR)
  const start = hasBar ? `${bar} ${percent}` : percent
  const rest = text(width - start.length - 2)
  return rest === '' ? start : `${start}  ${rest}`
}

/** Losses first. */
export function progressText(totals: Totals, elapsedMs: number, width: number): string {
  const ended = totals.requestsEnded()
  const [, good] = divided(totals.outcomes(), FAILED_OUTCOMES)
  const lost = lossText(totals, width)
  return fitParts(
    [
      ...(lost === '' ? [] : [lost]),
      ...(isDown(totals) ? ['the origin does not answer'] : []),
      `${count(totals.get('requestsParsed'))} requests`,
      `${count(total(good))} done`,
      `${count(Math.round((ended / elapsedMs) * 1000))}/s`,
    ],
    width,
    ', ',
  )
}
