/** Whether what an origin answers is mostly 5xx: a load balancer in front of a dead service answers, too. */
import { count } from '../../base/plural.ts'
import type { TellEvent } from '../log-events.ts'
import { duration, seconds } from './duration.ts'

/** Share of 5xx among a second's answers that is bad, and good again. */
const BAD_ABOVE = 0.5
const GOOD_BELOW = 0.1
/** Seconds in a row; and as many answers, so that one failed request a second is none. */
const BAD_SECONDS = 3
const GOOD_SECONDS = 10
const LEAST_ANSWERS = 10

export class AnswerWatch {
  private readonly origin: string
  private readonly tell: TellEvent
  private answered = 0
  private errors = 0
  private badSeconds = 0
  private goodSeconds = 0
  private badAnswers = 0
  private badErrors = 0
  private bad: { readonly sinceMs: number; errors: number } | null = null

  constructor(origin: string, tell: TellEvent) {
    this.origin = origin
    this.tell = tell
  }

  /** Once a second. @param answered all answers since the start @param errors those with status 5xx */
  look(answered: number, errors: number, nowMs: number): void {
    const answers = answered - this.answered
    const failed = errors - this.errors
    this.answered = answered
    this.errors = errors
    // Silence says nothing.
    if (answers === 0) return
    const share = failed / answers
    if (this.bad === null) this.lookForBad(answers, failed, share, nowMs)
    else this.lookForGood(this.bad, failed, share, nowMs)
  }

  private lookForBad(answers: number, failed: number, share: number, nowMs: number): void {
    if (share <= BAD_ABOVE) {
      this.badSeconds = this.badAnswers = this.badErrors = 0
      return
    }
    this.badSeconds++
    this.badAnswers += answers
    this.badErrors += failed
    if (this.badSeconds < BAD_SECONDS || this.badAnswers < LEAST_ANSWERS) return
    const { badErrors, badAnswers } = this
    this.bad = { sinceMs: nowMs - this.badSeconds * 1000, errors: badErrors }
    this.goodSeconds = 0
    this.tell(
      'origin-errors',
      `origin ${this.origin} answers with 5xx: ${count(badErrors)} of the last ${count(badAnswers)} answers`,
      { origin: this.origin, share: Math.round((badErrors / badAnswers) * 100) / 100, count: badErrors },
      this.key,
    )
  }

  private lookForGood(bad: { readonly sinceMs: number; errors: number }, failed: number, share: number, nowMs: number) {
    bad.errors += failed
    this.goodSeconds = share < GOOD_BELOW ? this.goodSeconds + 1 : 0
    if (this.goodSeconds < GOOD_SECONDS) return
    const lastedMs = nowMs - bad.sinceMs
    this.bad = null
    this.badSeconds = this.badAnswers = this.badErrors = 0
    this.tell(
      'origin-errors-ended',
      `origin ${this.origin} answers without 5xx again: there were ${count(bad.errors)} in ${duration(lastedMs)}`,
      { origin: this.origin, count: bad.errors, seconds: seconds(lastedMs) },
      this.key,
    )
  }

  private get key(): string {
    return `errors of ${this.origin}`
  }
}
