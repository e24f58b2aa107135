/**
 * One endless task of a thread pool, and the supervision that piscina lacks: it starts a new thread after a death but never runs the
 * task again. A thread that dies (throws, exits, runs out of heap, stands still) is accounted for and started again with back-off.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MirrorError, type PlainError, toPlainError } from '../base/errors.ts'

export interface Supervision {
  /** What the thread is, for messages. */
  readonly name: 'shard' | 'receiver'
  /** Runs the task in a thread, to its end. */
  run(signal: AbortSignal): Promise<void>
  /** Turns of the thread's loop; 0: it has not begun. */
  heartbeat(): number
  /** The thread died: counts what it held. @returns whether it is to be started again */
  settle(): boolean
  /** It will be started again in `restartMs`. */
  onDied(error: PlainError, restartMs: number): void
}

/** A heartbeat that did not move over this many checks means a thread that stands still. Checks are skipped with the main thread. */
export const CHECK_MS = 200
const CHECKS_BEFORE_STUCK = 7
/** A thread that is still starting has not moved yet: loading its code takes seconds on a machine that is busy. */
const CHECKS_BEFORE_STARTED = 50
const FIRST_RESTART_MS = 50
const MAX_RESTART_MS = 5_000
/** A thread that lived this long is not in a crash loop: it starts with the shortest back-off again. */
const HEALTHY_MS = 1_500

export class SupervisedTask {
  /** The task came to its own end, or is not started again. */
  readonly done: Promise<void>
  private readonly supervision: Supervision
  private running = false
  private isClosed = false
  /** Ends a thread that stands still. */
  private abort = new AbortController()
  /** Deaths in a row, each soon after its start. */
  private earlyDeaths = 0
  private lastHeartbeat = 0
  private stillChecks = 0
  /** This thread has moved, not only its predecessors. */
  private hasBegun = false

  constructor(supervision: Supervision) {
    this.supervision = supervision
    this.done = this.supervise()
  }

  get isRunning(): boolean {
    return this.running
  }

  /** Every CHECK_MS. */
  check(): void {
    const heartbeat = this.supervision.heartbeat()
    const most = this.hasBegun ? CHECKS_BEFORE_STUCK : CHECKS_BEFORE_STARTED
    if (!this.running || this.lastHeartbeat !== heartbeat) {
      this.hasBegun = this.running
      this.lastHeartbeat = heartbeat
      this.stillChecks = 0
    } else if (++this.stillChecks >= most && heartbeat !== 0) {
      this.stillChecks = 0
      this.abort.abort(
        new MirrorError(
          this.supervision.name === 'shard' ? 'ERR_SHARD' : 'ERR_RECEIVER',
          `the ${this.supervision.name} did not move for ${CHECK_MS * most} ms`,
        ),
      )
    }
  }

  /** It is not started again. */
  close(): void {
    this.isClosed = true
  }

  private async supervise(): Promise<void> {
    for (;;) {
      const startedMs = performance.now()
      this.abort = new AbortController()
      const { signal } = this.abort
      this.running = true
      // A pause is shorter than the time between two checks: what the predecessor stood still is not held against this one.
      this.hasBegun = false
      this.lastHeartbeat = this.supervision.heartbeat()
      this.stillChecks = 0
      try {
        await this.supervision.run(signal)
        return
      } catch (error) {
        this.running = false
        if (!this.supervision.settle()) return
        this.earlyDeaths = performance.now() - startedMs > HEALTHY_MS ? 0 : this.earlyDeaths + 1
        const pause = Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** this.earlyDeaths)
        this.supervision.onDied(toPlainError(signal.aborted ? signal.reason : error), pause)
        await sleep(pause)
        if (this.isClosed) return
      } finally {
        this.running = false
      }
    }
  }
}
