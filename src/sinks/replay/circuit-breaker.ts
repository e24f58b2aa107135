/**
 * Circuit breaker of one origin, as one shard sees it.
 *
 *     closed ── N connection-level failures in a row ──> open ── pause over ──> half-open: one probe
 *       ^                                                 ^                        │        │
 *       └──────────────── any answer ─────────────────────┼────────────────────────┘        │
 *                                                         └──── pause doubled ── failed ────┘
 *
 * Before the N-th failure it already narrows: after f failures only N - f requests may be in flight, so that an origin that
 * goes away costs N requests and not as many as there are connections.
 */
import type { Clock } from '../../base/clock.ts'

export interface CircuitOptions {
  /** Connection-level failures in a row that open the circuit, at least 1. */
  readonly failures: number
  /** First pause before a probe; doubled after each failed probe up to `maxPauseMs`. */
  readonly pauseMs: number
  readonly maxPauseMs: number
}

export class CircuitBreaker {
  private readonly options: CircuitOptions
  private readonly clock: Clock
  private failuresInRow = 0
  private pauseUs = 0
  private probeAtUs = 0
  private isProbing = false
  /** When the circuit opened without an answer since; meaningless while closed. */
  private downSinceUs = 0
  isOpen = false

  constructor(options: CircuitOptions, clock: Clock) {
    this.options = options
    this.clock = clock
  }

  /** Whether one more request may leave now. */
  allows(inFlight: number): boolean {
    if (this.isOpen) return this.probeIsDue()
    return this.failuresInRow === 0 || inFlight < this.options.failures - this.failuresInRow
  }

  /** The pause is over and nobody probes yet. */
  probeIsDue(): boolean {
    return this.isOpen && !this.isProbing && this.clock.nowUs() >= this.probeAtUs
  }

  /** A request leaves. @returns whether it is the probe: who sends it must report its end with that */
  sent(): boolean {
    if (!this.isOpen) return false
    this.isProbing = true
    return true
  }

  /** The origin answered something. @returns whether this closed the circuit */
  answered(): boolean {
    this.failuresInRow = 0
    this.isProbing = false
    const closed = this.isOpen
    this.isOpen = false
    return closed
  }

  /** The origin could not be reached, or went away without a byte. @returns whether this opened the circuit */
  failed(isProbe: boolean): boolean {
    if (this.isOpen) {
      // What was sent before it opened says nothing new.
      if (isProbe) this.pauseAgain(Math.min(this.pauseUs * 2, this.options.maxPauseMs * 1000))
      return false
    }
    if (++this.failuresInRow < this.options.failures) return false
    this.isOpen = true
    this.downSinceUs = this.clock.nowUs()
    this.pauseAgain(this.options.pauseMs * 1000)
    return true
  }

  /** The probe ended without saying anything about the origin (it could not be sent): the next request is the probe. */
  probeVoid(): void {
    this.isProbing = false
  }

  /** Time without an answer since the circuit opened, microseconds; 0 while closed. */
  downUs(): number {
    return this.isOpen ? this.clock.nowUs() - this.downSinceUs : 0
  }

  private pauseAgain(pauseUs: number): void {
    this.isProbing = false
    this.pauseUs = pauseUs
    this.probeAtUs = this.clock.nowUs() + pauseUs
  }
}
