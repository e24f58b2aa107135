/**
 * Whether one origin answers, over all shards. Shards tell why they could not reach it, a few times a second at most; whether it answers
 * otherwise is read from the counters, once a second:
 *
 *   up ── a failure to reach it ──▶ doubtful ── a second with failures, or an open circuit, and no answer ──▶ down
 *    ▲                                 │ a second without either                                               │
 *    └─────────────────────────────────┴──────────────────── an answer ────────────────────────────────────────┘
 *
 * So one line tells an outage whatever the number of shards, and single failures among answers are no outage. An origin that takes requests and
 * answers none of them is told too, after a while: it may be slow, or a firewall may swallow everything.
 */
import { count, plural } from '../../base/plural.ts'
import type { Unreached } from '../../sinks/replay/unreached.ts'
import type { TellEvent } from '../log-events.ts'
import { duration, seconds } from './duration.ts'
import { eventOfUnreached, whyUnreached } from './origin-words.ts'

/** Counts since the start. */
export interface OriginReading {
  readonly answered: number
  /** Tried or sent, and without a complete answer. */
  readonly failed: number
  /** As `circuitOpen` or `queueFull`. */
  readonly dropped: number
  /** Sent and not answered now. */
  readonly inFlight: number
  /** Shards whose circuit breaker is open now. */
  readonly circuitsOpen: number
}

const NOTHING: OriginReading = { answered: 0, failed: 0, dropped: 0, inFlight: 0, circuitsOpen: 0 }

/** Requests in flight all the time, and no answer: longer than usual answers take. */
const SILENT_MS = 10_000

/** One outage, or what may become one. */
interface Trouble {
  readonly sinceMs: number
  /** Counts before it. */
  readonly before: OriginReading
  last: Unreached
  /** What was told; null while doubtful. */
  told: Unreached | null
  /** For a second or more it has failed and answered. */
  isDoubtful: boolean
}

export class OriginWatch {
  private readonly origin: string
  private readonly workers: number
  private readonly tell: TellEvent
  private last: OriginReading = NOTHING
  private trouble: Trouble | null = null
  private hasFailed = false
  private lastMs = 0
  /** Since when requests are in flight and none is answered, with the counts before; null while there is no such time. */
  private silence: { readonly sinceMs: number; readonly before: OriginReading; isTold: boolean } | null = null

  /** @param origin HOST:PORT @param workers threads that may each have an open circuit */
  constructor(origin: string, workers: number, tell: TellEvent) {
    this.origin = origin
    this.workers = Math.max(1, workers)
    this.tell = tell
  }

  get isDown(): boolean {
    return this.trouble !== null && this.trouble.told !== null
  }

  /** A shard could not reach it. */
  unreached(why: Unreached, nowMs: number): void {
    this.trouble ??= { sinceMs: nowMs, before: this.last, last: why, told: null, isDoubtful: false }
    this.trouble.last = why
    this.hasFailed = true
  }

  /** Once a second. */
  look(reading: OriginReading, nowMs: number): void {
    const { trouble, hasFailed } = this
    const before = this.last
    const beforeMs = this.lastMs
    this.lastMs = nowMs
    const hasAnswered = reading.answered > before.answered
    if (reading.inFlight > 0 && !hasAnswered) this.silence ??= { sinceMs: nowMs, before: this.last, isTold: false }
    this.last = reading
    this.hasFailed = false
    this.lookAtSilence(reading, hasAnswered, nowMs)
    if (trouble === null) return
    if (trouble.told === null) {
      const isFailing = hasFailed || reading.circuitsOpen > 0
      if (!hasAnswered && isFailing) this.tellDown(trouble, reading, nowMs)
      else if (!isFailing) this.trouble = null
      // It answers as well: an outage would have begun in this second, not hours ago.
      else if (trouble.isDoubtful) this.trouble = { ...trouble, sinceMs: beforeMs, before }
      else trouble.isDoubtful = true
    } else if (hasAnswered) {
      this.tellUp(trouble, reading, nowMs)
      this.trouble = null
    } else if (trouble.last.outcome !== trouble.told.outcome || trouble.last.code !== trouble.told.code) {
      this.tellDown(trouble, reading, nowMs)
    }
  }

  private lookAtSilence(reading: OriginReading, hasAnswered: boolean, nowMs: number): void {
    const { silence } = this
    if (silence === null) return
    if (hasAnswered || (reading.inFlight === 0 && !silence.isTold)) {
      this.silence = null
      // Where it was down as well, that is what ends.
      if (silence.isTold && !this.isDown) this.tellUp(silence, reading, nowMs)
    } else if (!silence.isTold && !this.isDown && nowMs - silence.sinceMs >= SILENT_MS) {
      silence.isTold = true
      this.tell(
        'origin-silent',
        `origin ${this.origin} is silent: no answer for ${duration(nowMs - silence.sinceMs)}, while ${plural(reading.inFlight, 'request')} ${reading.inFlight === 1 ? 'waits' : 'wait'} for one`,
        { origin: this.origin, inFlight: reading.inFlight, seconds: seconds(nowMs - silence.sinceMs) },
        this.key,
      )
    }
  }

  private tellDown(trouble: Trouble, reading: OriginReading, nowMs: number): void {
    const { last, sinceMs, before } = trouble
    const why = whyUnreached(last)
    const isStill = trouble.told !== null
    trouble.told = last
    const name = eventOfUnreached(last)
    const what =
      name === 'origin-tls'
        ? `TLS to origin ${this.origin} ${isStill ? 'now fails' : 'fails'}`
        : `origin ${this.origin} is ${isStill ? 'still ' : ''}down${isStill ? ` after ${duration(nowMs - sinceMs)}` : ''}`
    const failed = reading.failed - before.failed
    const dropped = reading.dropped - before.dropped
    this.tell(
      name,
      `${what}: ${why}; ${plural(failed, 'request')} failed${dropped > 0 ? `, ${count(dropped)} dropped` : ''}, ${this.circuits(reading)}`,
      {
        origin: this.origin,
        outcome: last.outcome,
        code: last.code,
        causeText: why,
        failed,
        dropped,
        ...this.circuitFields(reading),
      },
      this.key,
    )
  }

  private tellUp(
    { sinceMs, before }: Pick<Trouble, 'sinceMs' | 'before'>,
    reading: OriginReading,
    nowMs: number,
  ): void {
    const failed = reading.failed - before.failed
    const dropped = reading.dropped - before.dropped
    const stillOpen = reading.circuitsOpen > 0 ? `; ${this.circuits(reading)}` : ''
    this.tell(
      'origin-up',
      `origin ${this.origin} answers again after ${duration(nowMs - sinceMs)}: ${plural(failed, 'request')} failed, ${count(dropped)} dropped meanwhile${stillOpen}`,
      { origin: this.origin, seconds: seconds(nowMs - sinceMs), failed, dropped, ...this.circuitFields(reading) },
      this.key,
    )
  }

  private get key(): string {
    return `origin ${this.origin}`
  }

  private circuits({ circuitsOpen }: OriginReading): string {
    if (circuitsOpen === 0) return 'circuit still closed'
    return this.workers === 1 ? 'circuit open' : `circuit open in ${circuitsOpen} of ${this.workers} workers`
  }

  private circuitFields({ circuitsOpen }: OriginReading) {
    return { circuitsOpen, workers: this.workers }
  }
}
