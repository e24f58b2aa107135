/** When how many packets are due: an absolute schedule, so that late wake-ups do not lower the rate. */

export class Schedule {
  private readonly perMs: number
  private readonly mostBehindMs: number
  private startedMs: number
  private taken = 0
  private slipped = 0

  /** @param perSecond Infinity: as fast as it goes @param mostBehindMs after a pause no more than this is made good: a rate stays a rate */
  constructor(perSecond: number, startedMs: number, mostBehindMs: number) {
    this.perMs = perSecond / 1000
    this.startedMs = startedMs
    this.mostBehindMs = mostBehindMs
  }

  /** Packets that should have left by now and have not. */
  due(nowMs: number): number {
    if (this.perMs === Number.POSITIVE_INFINITY) return Number.MAX_SAFE_INTEGER
    const behind = (nowMs - this.startedMs) * this.perMs - this.taken
    const most = this.mostBehindMs * this.perMs
    if (behind <= most) return Math.max(0, Math.floor(behind))
    // The rest is given up: the schedule begins that much later.
    const ms = (behind - most) / this.perMs
    this.startedMs += ms
    this.slipped += ms
    return Math.floor(most)
  }

  /** That many have left. */
  took(count: number): void {
    this.taken += count
  }

  /** Time given up because the sender could not keep up: 0 where the rate was reached. */
  get slippedMs(): number {
    return this.slipped
  }
}
