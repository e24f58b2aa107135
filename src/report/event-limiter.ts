/**
 * How many lines the log gets, whatever happens: a few a minute for each subject, and a bound over all. What is held back is not lost: of each
 * subject the last line is told when its minute is over, with how often it happened meanwhile. So the log's last word on a subject is
 * always how things stand.
 *
 *   origin down, up | down, up, down, up, down …  held back      | minute over: "down (… 5 times more in the last 60 s)"
 *
 * Time is passed in, milliseconds of any clock that does not go back.
 */
export interface HeldLine<T> {
  readonly line: T
  /** How often it began meanwhile, besides this line. */
  readonly timesMore: number
  /** Since when it waited, milliseconds. */
  readonly heldMs: number
}

interface Subject<T> {
  windowMs: number
  /** Written in this window: that it begins, and that it ends. */
  begins: number
  ends: number
  pending: { line: T; isEnd: boolean; sinceMs: number } | null
  /** Beginnings held back, the pending one included. */
  begun: number
}

export const WINDOW_MS = 60_000
/** Of all subjects together, in a window. */
export const MOST_LINES = 60

export class EventLimiter<T> {
  private readonly subjects = new Map<string, Subject<T>>()
  private windowMs = Number.NEGATIVE_INFINITY
  private written = 0
  /** Held back by the bound over all: in this window, and in those before it where nobody has asked yet. */
  private overAll = 0
  private overAllBefore = 0

  /**
   * @param perWindow lines of this subject: those that it begins, or where this is an end those that it ends
   * @returns whether to write it now; else it waits
   */
  offer(key: string, perWindow: number, line: T, isEnd: boolean, nowMs: number): boolean {
    this.roll(nowMs)
    let subject = this.subjects.get(key)
    if (subject === undefined) {
      subject = { windowMs: nowMs, begins: 0, ends: 0, pending: null, begun: 0 }
      this.subjects.set(key, subject)
    } else if (subject.pending === null && nowMs - subject.windowMs >= WINDOW_MS) {
      subject.windowMs = nowMs
      subject.begins = subject.ends = 0
    }
    const mayNow = subject.pending === null && (isEnd ? subject.ends : subject.begins) < perWindow
    if (mayNow && this.written < MOST_LINES) {
      if (isEnd) subject.ends++
      else subject.begins++
      this.written++
      return true
    }
    if (mayNow) this.overAll++
    if (!isEnd) subject.begun++
    subject.pending = { line, isEnd, sinceMs: nowMs }
    return false
  }

  /** What waited, and may be written now. @param isLast everything: no more will come */
  due(nowMs: number, isLast = false): HeldLine<T>[] {
    this.roll(nowMs)
    const lines: HeldLine<T>[] = []
    for (const subject of this.subjects.values()) {
      const { pending, begun } = subject
      if (pending === null) continue
      if (!isLast && (nowMs - subject.windowMs < WINDOW_MS || this.written >= MOST_LINES)) continue
      lines.push({
        line: pending.line,
        timesMore: pending.isEnd ? begun : begun - 1,
        heldMs: nowMs - pending.sinceMs,
      })
      this.written++
      subject.windowMs = nowMs
      subject.begins = pending.isEnd ? 0 : 1
      subject.ends = pending.isEnd ? 1 : 0
      subject.pending = null
      subject.begun = 0
    }
    return lines
  }

  get hasPending(): boolean {
    for (const { pending } of this.subjects.values()) if (pending !== null) return true
    return this.overAll + this.overAllBefore > 0
  }

  /** Lines held back by the bound over all in windows that are over; each is told once. */
  takeOverAll(nowMs: number): number {
    this.roll(nowMs)
    const { overAllBefore } = this
    this.overAllBefore = 0
    return overAllBefore
  }

  private roll(nowMs: number): void {
    if (nowMs - this.windowMs < WINDOW_MS) return
    this.windowMs = nowMs
    this.written = 0
    this.overAllBefore += this.overAll
    this.overAll = 0
  }
}
