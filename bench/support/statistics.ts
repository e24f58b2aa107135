/** Figures of several runs: the median, because a noisy machine makes single runs slower and never faster. */

export interface Spread {
  readonly median: number
  readonly least: number
  readonly greatest: number
}

/** @param values at least one */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, least: sorted[0]!, greatest: sorted.at(-1)! }
}

/** A value for each round, taken of the runs of that round: what happens on the machine then falls on both sides. */
export function pairedRatios(above: readonly number[], below: readonly number[]): Spread {
  return spreadOf(above.slice(0, below.length).map((value, round) => value / below[round]!))
}

/** The middle half of several values, and its middle: one slow run in five moves none of the three far. */
export interface Quartiles {
  readonly lower: number
  readonly median: number
  readonly upper: number
}

/** In proportion between the two values beside a quartile. @param values at least one */
export function quartilesOf(values: readonly number[]): Quartiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => {
    const place = share * (sorted.length - 1)
    const below = sorted[Math.floor(place)]!
    return below + (sorted[Math.ceil(place)]! - below) * (place % 1)
  }
  return { lower: at(0.25), median: at(0.5), upper: at(0.75) }
}

export interface Line {
  readonly slope: number
  readonly intercept: number
}

/** Least squares. @param points at least two, with different `x` */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Line {
  const n = points.length
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n
  let covariance = 0
  let variance = 0
  for (const [x, y] of points) {
    covariance += (x - meanX) * (y - meanY)
    variance += (x - meanX) ** 2
  }
  const slope = covariance / variance
  return { slope, intercept: meanY - slope * meanX }
}
