/**
 * Time as the path sees it: microseconds since the Unix epoch, as a number, never going back.
 *
 * Offline it is packet time. Live it is the monotonic clock laid on the wall clock once, at start: a wall clock that jumps
 * by an hour expires nothing.
 */
export interface Clock {
  /** Microseconds since the Unix epoch, monotonic. */
  nowUs(): number
}

/** Ties a reading of the system's monotonic clock (shared by all threads) to a wall-clock time. */
export interface ClockAnchor {
  readonly epochUs: number
  readonly monotonicUs: number
}

export class MonotonicClock implements Clock {
  readonly anchor: ClockAnchor
  private readonly originUs: number

  /** @param anchor of another thread's clock, so that both tell the same time; without it the wall clock is read, once */
  constructor(anchor?: ClockAnchor) {
    const monotonicUs = systemMonotonicUs()
    this.anchor = anchor ?? { epochUs: Date.now() * 1000, monotonicUs }
    const nowUs = this.anchor.epochUs + (monotonicUs - this.anchor.monotonicUs)
    // performance.now counts from the thread's own start, and is cheaper to read.
    this.originUs = nowUs - performance.now() * 1000
  }

  nowUs(): number {
    return this.originUs + performance.now() * 1000
  }
}

function systemMonotonicUs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + nanoseconds / 1000
}
