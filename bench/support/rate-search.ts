/** Looks for the highest rate without loss: first steps up, then halves what lies between (on a logarithmic scale). */

export interface Probe {
  readonly asked: number
  /** What the sender reached. */
  readonly achieved: number
  readonly lost: number
  /** Where, in words. */
  readonly where?: string
}

export interface SearchBounds {
  readonly first: number
  /** Factor of a step up. */
  readonly step: number
  /** Ends when the lossless and the losing rate are closer than this factor. */
  readonly close: number
  readonly mostProbes: number
}

/** Below this share of the rate asked for, it is the sender that cannot do more. */
const SENDER_KEEPS_UP = 0.97

export class RateSearch {
  readonly probes: Probe[] = []
  private readonly bounds: SearchBounds

  constructor(bounds: SearchBounds) {
    this.bounds = bounds
  }

  /** The next rate to try; null: known closely enough. */
  next(): number | null {
    const { first, step, close, mostProbes } = this.bounds
    if (this.probes.length >= mostProbes || this.senderIsTheLimit) return null
    if (this.probes.length === 0) return first
    const lossless = this.highestLossless
    const losing = this.lowestLosing
    if (losing === null) return Math.round(lossless * step)
    if (lossless === 0) return losing < 1_000 ? null : Math.round(losing / step)
    return losing / lossless <= close ? null : Math.round(Math.sqrt(losing * lossless))
  }

  add(probe: Probe): void {
    this.probes.push(probe)
  }

  /** What was really sent in the best probe without loss; 0 where all lost. */
  get highestLossless(): number {
    const losing = this.lowestLosing ?? Number.POSITIVE_INFINITY
    return Math.max(0, ...this.probes.filter((p) => p.lost === 0 && p.achieved < losing).map((p) => p.achieved))
  }

  get lowestLosing(): number | null {
    const rates = this.probes.filter((p) => p.lost > 0).map((p) => p.achieved)
    return rates.length === 0 ? null : Math.min(...rates)
  }

  /** Nothing was lost at the most that the sender can send: the true limit lies higher. */
  get senderIsTheLimit(): boolean {
    const last = this.probes.at(-1)
    return last !== undefined && last.lost === 0 && last.achieved < last.asked * SENDER_KEEPS_UP
  }
}
