/** The time-outs of the request on one pooled connection, looked at now and then: no timer per request. */
import { Outcome } from '../../base/drop.ts'

/** Milliseconds, each above 0. */
export interface TimeLimits {
  /** TCP and TLS handshake together. */
  readonly connectTimeoutMs: number
  /** From the request written to the end of the answer's head. */
  readonly headersTimeoutMs: number
  /** Longest silence inside an answer's body. */
  readonly bodyTimeoutMs: number
  /** From `begin` to the end of the answer, whatever happens in between. */
  readonly requestTimeoutMs: number
}

const Phase = { waiting: 0, connecting: 1, written: 2, answering: 3 } as const

/** All times are clock times in microseconds. `begin`, then the others in the order in which things happen; `connecting` may be left out. */
export class RequestDeadlines {
  private readonly limits: TimeLimits
  private phase: number = Phase.waiting
  private begunUs = 0
  /** Since when the phase lasts; while answering, since when no byte of the body is known to have come. */
  private sinceUs = 0
  private bodyBytes = 0

  constructor(limits: TimeLimits) {
    this.limits = limits
  }

  /** A request was given to the engine. */
  begin(nowUs: number): void {
    this.begunUs = nowUs
    this.enter(Phase.waiting, nowUs)
  }

  connecting(nowUs: number): void {
    this.enter(Phase.connecting, nowUs)
  }

  written(nowUs: number): void {
    this.enter(Phase.written, nowUs)
  }

  /** The head of the final answer came. @param bodyBytes that came with it */
  answering(nowUs: number, bodyBytes: number): void {
    this.bodyBytes = bodyBytes
    this.enter(Phase.answering, nowUs)
  }

  /** @param bodyBytes of the answer, so far @returns the outcome to give up with, or `Outcome.none` */
  missed(nowUs: number, bodyBytes: number): number {
    if (this.phase === Phase.answering && bodyBytes !== this.bodyBytes) {
      this.bodyBytes = bodyBytes
      this.sinceUs = nowUs
    }
    const isTooLate =
      nowUs - this.begunUs > this.limits.requestTimeoutMs * 1000 || nowUs - this.sinceUs > this.phaseLimitMs() * 1000
    if (!isTooLate) return Outcome.none
    return this.phase === Phase.connecting ? Outcome.connectTimeout : Outcome.timeout
  }

  private phaseLimitMs(): number {
    switch (this.phase) {
      case Phase.connecting:
        return this.limits.connectTimeoutMs
      case Phase.written:
        return this.limits.headersTimeoutMs
      case Phase.answering:
        return this.limits.bodyTimeoutMs
      default:
        return Number.POSITIVE_INFINITY
    }
  }

  private enter(phase: number, nowUs: number): void {
    this.phase = phase
    this.sinceUs = nowUs
  }
}
