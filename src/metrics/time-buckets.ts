/**
 * Buckets of times in whole microseconds, up to 2^29 us (nine minutes): each microsecond below `steps` has its own, from there on each
 * power of two has `steps` of equal width. So a bucket is at most 1 / `steps` of its lower bound wide.
 */
export class TimeBuckets {
  readonly count: number
  private readonly steps: number
  private readonly bits: number

  /** @param bits steps are 2^bits */
  constructor(bits: number) {
    this.bits = bits
    this.steps = 1 << bits
    this.count = this.steps + this.steps * (29 - bits)
  }

  of(us: number): number {
    if (us < this.steps) return us < 0 ? 0 : us | 0
    const v = us > 0x1fffffff ? 0x1fffffff : us | 0
    const shift = 31 - Math.clz32(v) - this.bits
    return this.steps + shift * this.steps + ((v >>> shift) & (this.steps - 1))
  }

  /** Upper bound (exclusive) of a bucket, microseconds. */
  end(bucket: number): number {
    const { steps } = this
    if (bucket < steps) return bucket + 1
    const shift = Math.floor((bucket - steps) / steps)
    return (steps + ((bucket - steps) % steps) + 1) * 2 ** shift
  }
}

/** Written to answered: 16 steps, at most 6.25 % wide. */
export const LATENCY_BUCKETS = new TimeBuckets(4)
/** Captured to written: 8 steps, at most 12.5 % wide. Coarser, because every publication copies it. */
export const ADDED_LATENCY_BUCKETS = new TimeBuckets(3)
