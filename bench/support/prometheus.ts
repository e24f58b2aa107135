/** Reads /metrics as a scraper does: values by name and labels, and percentiles of what happened between two readings. */

export type Samples = ReadonlyMap<string, number>

/** @param text exposition format; keys of the result are `name` or `name{label="value"}` as they stand there */
export function parseMetrics(text: string): Samples {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const space = line.lastIndexOf(' ')
    samples.set(line.slice(0, space), Number(line.slice(space + 1).replace('Inf', 'Infinity')))
  }
  return samples
}

/** Cumulative counts by upper bound, ascending; the last bound is Infinity. */
export interface Histogram {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

/** null where the page has no such histogram. */
export function histogramOf(samples: Samples, name: string): Histogram | null {
  const start = `${name}_bucket{le="`
  const buckets = [...samples]
    .filter(([key]) => key.startsWith(start))
    .map(([key, n]): [number, number] => [
      Number(key.slice(start.length, key.indexOf('"', start.length)).replace('+Inf', 'Infinity')),
      n,
    ])
    .sort((a, b) => a[0] - b[0])
  if (buckets.length === 0) return null
  return { bounds: buckets.map(([bound]) => bound), counts: buckets.map(([, n]) => n) }
}

/** What was added between two readings of one histogram. */
export function added(later: Histogram, earlier: Histogram | null): Histogram {
  return { bounds: later.bounds, counts: later.counts.map((n, i) => n - (earlier?.counts[i] ?? 0)) }
}

/**
 * Evenly spread inside its bucket, as Prometheus' histogram_quantile does; in the last, unbounded bucket its lower bound.
 * @param share 0 to 1 @returns null where nothing was counted
 */
export function quantile({ bounds, counts }: Histogram, share: number): number | null {
  const all = counts.at(-1) ?? 0
  if (all <= 0) return null
  const rank = share * all
  const i = counts.findIndex((n) => n >= rank)
  const lower = i <= 0 ? 0 : bounds[i - 1]!
  const upper = bounds[i]!
  if (upper === Number.POSITIVE_INFINITY) return lower
  const below = i <= 0 ? 0 : counts[i - 1]!
  const inside = counts[i]! - below
  return inside === 0 ? upper : lower + ((upper - lower) * (rank - below)) / inside
}

/** Sum of a counter over all its labels. */
export function sumOverLabels(samples: Samples, name: string): number {
  let sum = 0
  for (const [key, n] of samples) if (key === name || key.startsWith(`${name}{`)) sum += n
  return sum
}

/** Values of a counter with one label, by that label's value, zeros left out. */
export function byLabel(samples: Samples, name: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const [key, n] of samples) {
    if (!key.startsWith(`${name}{`) || n === 0) continue
    found[key.slice(key.indexOf('"') + 1, key.lastIndexOf('"'))] = n
  }
  return found
}
