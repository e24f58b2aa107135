/**
 * When each packet of a file is due: packet time against the clock on the wall.
 *
 * Time stamps may be wrong, and pauses long. So a wait has a bound, `maxPauseMs`: what a pause has beyond it is skipped, and all that follows
 * goes on as far apart as it was captured. Times that go back continue from now, once a second packet says so: one packet with an old time
 * stamp is sent at once, and changes nothing. Without a bound times are kept as they stand: replays on several machines stay together.
 */

/** How far back times may go and still be a late packet. Chosen: captures of several queues or interfaces are out of order by less. */
const LATE_US = 1_000_000
/** How far ahead of its time a packet may be sent: the clock's own grain. */
const GRAIN_MS = 0.5
/** A long wait stays able to stop, and to follow a changed system load. */
const STEP_MS = 100

/** The clock on the wall, and how to wait on it. */
export interface PaceClock {
  /** Milliseconds, never going back. */
  nowMs(): number
  sleep(ms: number): Promise<unknown>
}

/** Part of a pause that is not waited for. */
export interface SkippedPause {
  /** Of the packet after it, as given to `next`. */
  readonly timeUs: number
  readonly pauseUs: number
  readonly skippedUs: number
}

export class Pacer {
  readonly isPaced: boolean
  /** Microseconds of packet time to a millisecond on the wall. */
  private readonly usPerMs: number
  private readonly longestStepUs: number
  private readonly clock: PaceClock
  private readonly onSkipped: (pause: SkippedPause) => void
  /** A packet of time `baseUs` is due at `baseMs`. */
  private baseUs = Number.NaN
  private baseMs = Number.NaN
  /** Latest time so far. */
  private latestUs = Number.NaN
  /** Of the last packet, where its time went back and the next one has to say whether times continue from there; else NaN. */
  private suspectUs = Number.NaN
  private dueMs = Number.NaN

  /**
   * @param speed 1 is the capture's own pace; Infinity: nothing is ever waited for
   * @param maxPauseMs longest wait for a packet, of the clock on the wall; null: no bound
   */
  constructor(
    speed: number,
    maxPauseMs: number | null,
    clock: PaceClock,
    onSkipped: (pause: SkippedPause) => void = () => {},
  ) {
    this.isPaced = Number.isFinite(speed)
    this.usPerMs = 1000 * speed
    this.longestStepUs = maxPauseMs === null ? Number.POSITIVE_INFINITY : maxPauseMs * this.usPerMs
    this.clock = clock
    this.onSkipped = onSkipped
  }

  /** The first packet of a pass: it follows the last of the pass before, that of the first is due at once. */
  begin(timeUs: number): void {
    if (Number.isNaN(this.baseUs)) this.goOnFrom(timeUs, this.clock.nowMs())
    // Where all times are as they should be this is what they say.
    else this.goOnFrom(timeUs, this.dueAt(this.latestUs) + PASS_GAP_US / this.usPerMs)
    this.dueMs = this.baseMs
  }

  /** Every further packet, once. */
  next(timeUs: number): void {
    const step = timeUs - this.latestUs
    if (step < -LATE_US) this.nextBack(timeUs)
    else {
      if (step > this.longestStepUs) this.skip(timeUs, step)
      else if (step > 0) this.latestUs = timeUs
      this.suspectUs = Number.NaN
      this.dueMs = this.dueAt(timeUs)
    }
  }

  /** Whether the packet of the last `next` or `begin` is due. */
  isDue(): boolean {
    return this.dueMs - this.clock.nowMs() <= GRAIN_MS
  }

  /** Until it is, or a stop. @param onLongWait told in advance of a wait of more than `longMs` */
  async wait(
    stop: { readonly requested: boolean },
    longMs: number,
    onLongWait: (waitMs: number) => void,
  ): Promise<void> {
    const waitMs = this.dueMs - this.clock.nowMs()
    if (waitMs > longMs) onLongWait(waitMs)
    for (let left = waitMs; left > 0 && !stop.requested; left = this.dueMs - this.clock.nowMs()) {
      await this.clock.sleep(Math.min(left, STEP_MS))
    }
  }

  private skip(timeUs: number, pauseUs: number): void {
    const skippedUs = pauseUs - this.longestStepUs
    this.baseUs += skippedUs
    this.latestUs = timeUs
    this.onSkipped({ timeUs, pauseUs, skippedUs })
  }

  /** Further back than a late packet is. */
  private nextBack(timeUs: number): void {
    const step = timeUs - this.suspectUs
    const isSecond = step >= -LATE_US && step <= this.longestStepUs
    // Without a bound the map from packet time to the wall is never changed.
    if (isSecond && Number.isFinite(this.longestStepUs)) {
      this.goOnFrom(this.suspectUs, this.dueAt(this.latestUs))
      this.next(timeUs)
      return
    }
    this.suspectUs = timeUs
    this.dueMs = this.dueAt(this.latestUs)
  }

  private goOnFrom(timeUs: number, dueMs: number): void {
    this.baseUs = timeUs
    this.baseMs = dueMs
    this.latestUs = timeUs
    this.suspectUs = Number.NaN
  }

  private dueAt(timeUs: number): number {
    return this.baseMs + (timeUs - this.baseUs) / this.usPerMs
  }
}

/** Between the last packet of a pass and the first of the next one. */
export const PASS_GAP_US = 1000
