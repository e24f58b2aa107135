/** Shows that a drain goes on: the line on a terminal, a line of the log every few seconds elsewhere. */
import { drainLine, drainSentence, isDown } from './live-text.ts'
import type { ServiceLog } from './service-log.ts'
import { StatusLine } from './status-line.ts'
import type { Totals } from './totals.ts'

const LOG_EVERY_MS = 3000

export interface Draining {
  readonly totals: () => Totals
  /** Null: nothing is sent. */
  readonly origin: string | null
  /** Longest drain; null: no limit. */
  readonly timeoutMs: number | null
}

export class DrainWatch {
  /** Null: JSON lines, or nobody watches. */
  private readonly line: StatusLine | null
  private readonly timer: NodeJS.Timeout | null

  /** @param log null: where nobody watches nothing is said */
  constructor(stream: NodeJS.WriteStream, log: Pick<ServiceLog, 'format' | 'event'> | null, draining: Draining) {
    const startedMs = performance.now()
    const { origin, timeoutMs } = draining
    const secondsLeft = () => (timeoutMs === null ? null : (timeoutMs - (performance.now() - startedMs)) / 1000)
    const isWatched = stream.isTTY === true && log?.format !== 'json'
    this.line = isWatched
      ? new StatusLine(stream, (width) => drainLine(draining.totals(), secondsLeft(), origin, width))
      : null
    // Over files the drain is mostly over before anybody could read.
    if (log !== null) this.line?.show()
    this.timer = isWatched || log === null ? null : setInterval(() => tell(log), LOG_EVERY_MS)
    this.timer?.unref()

    function tell(log: Pick<ServiceLog, 'event'>): void {
      const totals = draining.totals()
      const left = secondsLeft()
      log.event('drain-progress', drainSentence(totals, left, origin), {
        queued: totals.get('replayQueued'),
        inFlight: totals.get('replayInFlight'),
        ...(left === null ? {} : { secondsLeft: Math.max(0, Math.ceil(left)) }),
        ...(origin === null ? {} : { origin, originAnswers: !isDown(totals) }),
      })
    }
  }

  /** For text that stays. */
  clear(): void {
    this.line?.clear()
  }

  stop(): void {
    this.line?.stop()
    if (this.timer !== null) clearInterval(this.timer)
  }
}
