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

export class MonotonicClock implements Clock {
  private readonly originUs = Date.now() * 1000 - performance.now() * 1000
  nowUs(): number {
    return this.originUs + performance.now() * 1000
  }
}
