/**
 * --rate: one limit that all shards share, without a lock.
 *
 * The generic cell rate algorithm, counted in whole requests: at a rate of r/s, request number n of the virtual schedule is due
 * at n / r seconds since the Unix epoch. ISSUED is the number of the last one given away; it may run ahead of the clock by at most
 * the burst, and one that lags behind is moved up, so idle time is not saved for later beyond the burst.
 *
 *  word   field    written by          meaning
 *    0    ISSUED   any shard, by CAS   schedule number of the last request given away, modulo 2^32
 *    1    ERA      any shard, by CAS   which stretch of 2^30 schedule numbers ISSUED was last valid in, plus 1
 *
 * Ordering: all accesses are sequentially consistent, and the two words are read on the strength of nothing but themselves. ISSUED changes
 * by compare-and-swap, so that no number is given away twice; only at the beginning of an era that follows a long silence it is stored, and
 * a number that another shard took between ERA and ISSUED may be given away once more.
 *
 * ERA is there because ISSUED is compared modulo 2^32: after a silence of 2^31 numbers (six hours at 100,000/s) a stale
 * value would look like one far ahead and refuse everything.
 */
import type { Clock } from '../../base/clock.ts'

const ISSUED = 0
const ERA = 1
export const RATE_LIMITER_BYTES = 8
const ERA_LENGTH = 2 ** 30

export class SharedRateLimiter {
  private readonly words: Int32Array
  private readonly perSecond: number
  private readonly burst: number
  private readonly clock: Clock

  /**
   * @param memory at least RATE_LIMITER_BYTES, zeroed, the same for every shard
   * @param perSecond requests per second of all shards together, above 0; fractions allowed
   * @param burst requests that may go at once after a silence, at least 1; default a tenth of a second's worth
   */
  constructor(
    memory: SharedArrayBuffer,
    perSecond: number,
    clock: Clock,
    burst: number = Math.max(1, Math.round(perSecond / 10)),
  ) {
    this.words = new Int32Array(memory, 0, RATE_LIMITER_BYTES / 4)
    this.perSecond = perSecond
    this.burst = Math.max(1, Math.floor(burst))
    this.clock = clock
  }

  /** Takes one request's worth if there is one. */
  tryTake(): boolean {
    const due = this.due()
    for (;;) {
      const issued = Atomics.load(this.words, ISSUED)
      // How far the schedule is ahead of the clock; never less than 0 is carried over.
      const ahead = Math.max(0, (issued - due) | 0)
      if (ahead >= this.burst) return false
      // Lost races try again: another shard took the same number.
      if (Atomics.compareExchange(this.words, ISSUED, issued, (due + ahead + 1) | 0) === issued) return true
    }
  }

  /** Takes one request's worth even where there is none, for who slows down afterwards (`waitUs`). */
  take(): void {
    const due = this.due()
    for (;;) {
      const issued = Atomics.load(this.words, ISSUED)
      const ahead = Math.max(0, (issued - due) | 0)
      if (Atomics.compareExchange(this.words, ISSUED, issued, (due + ahead + 1) | 0) === issued) return
    }
  }

  /** Microseconds until `tryTake` can succeed, as far as this shard knows; 0 = now. */
  waitUs(): number {
    // First, because it may set ISSUED.
    const due = this.due()
    const ahead = Math.max(0, (Atomics.load(this.words, ISSUED) - due) | 0)
    return ahead < this.burst ? 0 : Math.ceil(((ahead - this.burst + 1) * 1e6) / this.perSecond)
  }

  /** Schedule number of this moment, modulo 2^32, after making ISSUED comparable with it. */
  private due(): number {
    const number = Math.floor((this.clock.nowUs() * this.perSecond) / 1e6)
    // 0 is the zeroed word: no era yet.
    const era = Math.floor(number / ERA_LENGTH) + 1
    const known = Atomics.load(this.words, ERA)
    const due = (number % 2 ** 32) | 0
    if (known !== era) {
      const isStale = known === 0 || Math.abs(era - known) > 1
      // One shard wins and, where the number is stale, sets it; a loser sees at worst one refusal too many.
      if (Atomics.compareExchange(this.words, ERA, known, era) === known && isStale) {
        Atomics.store(this.words, ISSUED, due)
      }
    }
    return due
  }
}
