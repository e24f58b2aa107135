/**
 * What a run has to say of itself, found once a second by comparing counters and states with those of the second before: first things, origins,
 * losses, health, threads that die again and again. Nothing here runs per packet or per request.
 */
import type { Unreached } from '../../sinks/replay/unreached.ts'
import type { TellEvent } from '../log-events.ts'
import type { LossName } from '../loss-groups.ts'
import type { Health } from '../servers.ts'
import { type TargetTotals, type Totals, total } from '../totals.ts'
import { AnswerWatch } from './answer-watch.ts'
import { duration, seconds } from './duration.ts'
import { LossWatch, readLosses } from './loss-watch.ts'
import { type OriginReading, OriginWatch } from './origin-watch.ts'

export interface RunWatchOptions {
  /** HOST:PORT of each target, in the order of the targets; null: it sends nothing. */
  readonly origins: readonly (string | null)[]
  readonly workers: number
  readonly startedMs: number
  readonly tell: TellEvent
}

/** A thread in a crash loop. */
export interface CrashingThread {
  readonly thread: string
  readonly deaths: number
  readonly error: string
}

const ANSWERS = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const
/** Told by the origin's own lines while it is down. */
const OF_ORIGIN: ReadonlySet<LossName> = new Set(['unanswered', 'origin-slow'])

interface Origin {
  readonly name: string
  readonly watch: OriginWatch
  readonly answers: AnswerWatch
  hasAnswered: boolean
}

export class RunWatch {
  private readonly options: RunWatchOptions
  private readonly origins: readonly (Origin | null)[]
  private readonly losses: LossWatch
  private hasPacket = false
  private hasRequest = false
  /** Losses that may belong to an outage: counts of the last look, and whether they waited there. */
  private originLosses = 0
  private hasWaited = false
  private badSinceMs = 0
  private readonly crashing = new Map<string, number>()

  constructor(options: RunWatchOptions) {
    this.options = options
    const { tell, workers } = options
    this.losses = new LossWatch(tell)
    this.origins = options.origins.map((name) =>
      name === null
        ? null
        : {
            name,
            watch: new OriginWatch(name, workers, tell),
            answers: new AnswerWatch(name, tell),
            hasAnswered: false,
          },
    )
  }

  /** A shard could not reach its target. */
  unreached(target: number, why: Unreached, nowMs: number): void {
    this.origins[target]?.watch.unreached(why, nowMs)
  }

  /** Whether the origins answer: all that is of use where files are replayed. */
  lookAtOrigins(totals: Totals, nowMs: number, isLive = false): void {
    for (const [i, origin] of this.origins.entries()) {
      if (origin === null) continue
      const counts = this.origins.length > 1 ? totals.targets[i] : undefined
      const outcomes = counts === undefined ? totals.outcomes() : counts.replayed()
      const reading = originReading(totals, counts, outcomes)
      origin.watch.look(reading, nowMs)
      origin.answers.look(reading.answered, outcomes['5xx'] ?? 0, nowMs)
      if (isLive && !origin.hasAnswered && reading.answered > 0) this.tellFirstAnswer(origin, outcomes, nowMs)
    }
  }

  /** Once a second while it receives. */
  look(totals: Totals, health: Health, crashing: readonly CrashingThread[], nowMs: number): void {
    this.lookAtFirst(totals, nowMs)
    this.lookAtOrigins(totals, nowMs, true)
    const isDown = this.origins.some((origin) => origin?.watch.isDown === true)
    const losses = readLosses(totals)
    // Whether they are part of an outage is known a second later.
    const originLosses = total(losses.unanswered) + total(losses['origin-slow'])
    this.hasWaited = !isDown && !this.hasWaited && originLosses > this.originLosses
    this.originLosses = originLosses
    this.losses.look(losses, nowMs, this.hasWaited ? OF_ORIGIN : undefined, isDown ? OF_ORIGIN : undefined)
    this.lookAtCrashing(crashing, nowMs)
    this.lookAtHealth(health, nowMs)
  }

  private lookAtFirst(totals: Totals, nowMs: number): void {
    const sinceMs = nowMs - this.options.startedMs
    const { tell } = this.options
    if (!this.hasPacket && totals.get('packetsReceived') > 0) {
      this.hasPacket = true
      tell('first-packet', `first mirrored packet seen, ${duration(sinceMs)} after the start`, {
        seconds: seconds(sinceMs),
      })
    }
    if (!this.hasRequest && totals.get('requestsParsed') > 0) {
      this.hasRequest = true
      tell('first-request', `first HTTP request seen, ${duration(sinceMs)} after the start`, {
        seconds: seconds(sinceMs),
      })
    }
  }

  private tellFirstAnswer(origin: Origin, outcomes: Readonly<Record<string, number>>, nowMs: number): void {
    origin.hasAnswered = true
    const sinceMs = nowMs - this.options.startedMs
    const status = ANSWERS.find((name) => (outcomes[name] ?? 0) > 0) ?? null
    this.options.tell(
      'first-answer',
      `first answer of origin ${origin.name}: ${status}, ${duration(sinceMs)} after the start`,
      { origin: origin.name, status, seconds: seconds(sinceMs) },
    )
  }

  private lookAtCrashing(crashing: readonly CrashingThread[], nowMs: number): void {
    const { tell } = this.options
    for (const { thread, deaths, error } of crashing) {
      if (this.crashing.has(thread)) continue
      this.crashing.set(thread, nowMs)
      tell(
        'crash-loop',
        `${thread} is in a crash loop: ${deaths} deaths in a row, the last: ${error}`,
        { thread, deaths },
        `crash-loop ${thread}`,
      )
    }
    for (const [thread, sinceMs] of this.crashing) {
      if (crashing.some((one) => one.thread === thread)) continue
      this.crashing.delete(thread)
      const lastedMs = nowMs - sinceMs
      tell(
        'crash-loop-ended',
        `${thread} runs steadily again`,
        { thread, seconds: seconds(lastedMs) },
        `crash-loop ${thread}`,
      )
    }
  }

  private lookAtHealth({ isHealthy, reason }: Health, nowMs: number): void {
    const { tell } = this.options
    if (!isHealthy && this.badSinceMs === 0) {
      this.badSinceMs = nowMs
      tell('health-bad', `health is bad (503): ${reason}`, { reason }, 'health')
    } else if (isHealthy && this.badSinceMs > 0) {
      const lastedMs = nowMs - this.badSinceMs
      this.badSinceMs = 0
      tell('health-good', `health is good again after ${duration(lastedMs)}`, { seconds: seconds(lastedMs) }, 'health')
    }
  }
}

function originReading(
  totals: Totals,
  counts: TargetTotals | undefined,
  outcomes: Readonly<Record<string, number>>,
): OriginReading {
  const { circuitOpen = 0, queueFull = 0 } = counts === undefined ? totals.requestDrops() : counts.dropped()
  const answered = ANSWERS.reduce((sum, name) => sum + (outcomes[name] ?? 0), 0)
  return {
    answered,
    failed: total(outcomes) - answered,
    dropped: circuitOpen + queueFull,
    inFlight: counts === undefined ? totals.get('replayInFlight') : counts.inFlight,
    circuitsOpen: counts === undefined ? totals.get('circuitOpen') : counts.circuitsOpen,
  }
}
