/**
 * One endless task of a thread pool, and the supervision that piscina lacks: it starts a new thread after a death but never runs the
 * task again. A thread that dies (throws, exits, runs out of heap, stands still, does not come up) is accounted for and restarted
 * with back-off.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MirrorError, type PlainError, toPlainError } from '../base/errors.ts'

/** How a thread died. `start`: before its loop began. */
export const DEATH_CAUSES = ['throw', 'exit', 'heap', 'stuck', 'start'] as const
export type DeathCause = (typeof DEATH_CAUSES)[number]

export interface Supervision {
  /** What the thread is, for messages. */
  readonly name: 'shard' | 'receiver'
  /** Runs the task in a thread, to its end. */
  run(signal: AbortSignal): Promise<void>
  /** Turns of the thread's loop, of all its lives. */
  heartbeat(): number
  /** The thread died: counts what it held. @returns whether it is to be restarted */
  settle(): boolean
  /** It will be restarted in `restartMs`. */
  onDied(error: PlainError, restartMs: number): void
  /** It is in its loop again, `afterMs` after it died. */
  onBack?(afterMs: number): void
  /** It did not come up START_TRIES times in a row and is not restarted. */
  onGivenUp(error: PlainError): void
}

/** A thread that dies again and again, as health tells it. */
export interface CrashLoop {
  readonly deaths: number
  readonly error: string
}

/** A heartbeat that did not move over this many checks means a thread that stands still. Checks are skipped with the main thread. */
export const CHECK_MS = 200
const CHECKS_BEFORE_STUCK = 7
/** A thread that has not begun its loop after 10 s never will: on a busy machine a start takes one. */
const CHECKS_BEFORE_NO_START = 50
const FIRST_RESTART_MS = 50
const MAX_RESTART_MS = 5_000
/** A thread that died sooner doubles the back-off; one that stands still is found after 1.4 s, and counts as soon. */
const SOON_MS = 3_000
/** Deaths in a row, each sooner than SETTLED_MS after the start, that make a crash loop; a thread that lives for so long ends it. */
const CRASH_LOOP_DEATHS = 5
const SETTLED_MS = 15_000
/** Threads that do not come up, in a row: what keeps them from it (memory, files of the program) does not go away by itself. */
export const START_TRIES = 5

export class SupervisedTask {
  /** The task came to its own end, or is not restarted. */
  readonly done: Promise<void>
  private readonly supervision: Supervision
  private readonly deathsByCause = new Map<DeathCause, number>(DEATH_CAUSES.map((cause) => [cause, 0]))
  private running = false
  /** Ends the pause before a start. */
  private readonly hurried = new AbortController()
  /** Ends a thread that stands still. */
  private abort = new AbortController()
  private startedMs = 0
  /** The heartbeat it started with: another one, and its loop has begun. */
  private firstHeartbeat = 0
  private lastHeartbeat = 0
  private stillChecks = 0
  /** Deaths in a row: soon after the start, before it counted as settled, and without ever coming up. */
  private soonDeaths = 0
  private deathsInARow = 0
  private failedStarts = 0
  private lastError = ''
  /** When it died, while it has not come back; else 0. */
  private goneSinceMs = 0

  constructor(supervision: Supervision) {
    this.supervision = supervision
    this.done = this.supervise()
  }

  get isRunning(): boolean {
    return this.running && this.cameUp
  }

  get deaths(): ReadonlyMap<DeathCause, number> {
    return this.deathsByCause
  }

  /** Null: it lives, or died too seldom to speak of. */
  get crashLoop(): CrashLoop | null {
    if (this.deathsInARow < CRASH_LOOP_DEATHS || this.hasSettled()) return null
    return { deaths: this.deathsInARow, error: this.lastError }
  }

  /** Every CHECK_MS. */
  check(): void {
    if (this.goneSinceMs > 0 && this.isRunning) {
      const afterMs = performance.now() - this.goneSinceMs
      this.goneSinceMs = 0
      this.supervision.onBack?.(afterMs)
    }
    const heartbeat = this.supervision.heartbeat()
    if (!this.running || this.lastHeartbeat !== heartbeat) {
      this.lastHeartbeat = heartbeat
      this.stillChecks = 0
      return
    }
    const { name } = this.supervision
    const limit = this.cameUp ? CHECKS_BEFORE_STUCK : CHECKS_BEFORE_NO_START
    if (++this.stillChecks < limit) return
    this.stillChecks = 0
    const what = this.cameUp ? 'did not move for' : 'did not begin in'
    this.abort.abort(
      new MirrorError(
        name === 'shard' ? 'ERR_SHARD' : 'ERR_RECEIVER',
        `the ${name} ${what} ${(CHECK_MS * limit) / 1000} s`,
      ),
    )
  }

  /** From now on it is restarted without a pause: all is coming to its end, and that has a limit. */
  hurry(): void {
    this.hurried.abort()
  }

  private get cameUp(): boolean {
    return this.supervision.heartbeat() !== this.firstHeartbeat
  }

  private hasSettled(): boolean {
    return this.running && this.cameUp && performance.now() - this.startedMs >= SETTLED_MS
  }

  private async supervise(): Promise<void> {
    const { supervision } = this
    for (;;) {
      this.startedMs = performance.now()
      this.firstHeartbeat = supervision.heartbeat()
      this.stillChecks = 0
      this.abort = new AbortController()
      const { signal } = this.abort
      this.running = true
      try {
        await supervision.run(signal)
        return
      } catch (thrown) {
        const { cameUp } = this
        this.running = false
        this.goneSinceMs ||= performance.now()
        const error = toPlainError(signal.aborted ? signal.reason : thrown)
        this.count(cameUp ? causeOf(error, signal.aborted) : 'start', error)
        if (!supervision.settle()) return
        if (this.failedStarts >= START_TRIES) {
          supervision.onGivenUp(error)
          return
        }
        const pause = this.hurried.signal.aborted
          ? 0
          : Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.max(0, this.soonDeaths - 1))
        supervision.onDied(error, pause)
        await sleep(pause, undefined, { signal: this.hurried.signal }).catch(() => {})
      } finally {
        this.running = false
      }
    }
  }

  private count(cause: DeathCause, error: PlainError): void {
    const livedMs = performance.now() - this.startedMs
    this.deathsByCause.set(cause, this.deathsByCause.get(cause)! + 1)
    this.failedStarts = cause === 'start' ? this.failedStarts + 1 : 0
    this.soonDeaths = livedMs < SOON_MS ? this.soonDeaths + 1 : 0
    this.deathsInARow = livedMs < SETTLED_MS ? this.deathsInARow + 1 : 1
    this.lastError = error.message
  }
}

function causeOf({ code, message }: PlainError, wasAborted: boolean): DeathCause {
  if (wasAborted) return 'stuck'
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return 'heap'
  // piscina's words for a thread that ended without throwing.
  return /^worker exited/i.test(message) ? 'exit' : 'throw'
}
