/** Two builds run in turns, the two runs of a pair one right after the other, and what the pairs say. */
import { type Quartiles, quartilesOf } from '../support/statistics.ts'

/** Base, this checkout. */
export type Pair<T> = readonly [base: T, current: T]

/** What `Pairs` has to know of a run. */
export interface PairedRun {
  /** Why it cannot be compared with a run that did all of its work; null: it can. */
  readonly disturbed: string | null
}

export interface Work<S, R> {
  readonly label: string
  run(side: S): Promise<R>
}

/** Of a pair: a machine with other work on it loses packets now and then, a build that does so always is at fault. */
export const MOST_REPEATS = 2

export interface Plan<S, R> {
  readonly rounds: number
  /** Called with each disturbed run before its pair is run again. */
  tellRepeat(work: Work<S, R>, side: S, disturbed: string): void
  /** Asked once, after the rounds: a work that is not gets as many again, beside the others that are not. */
  isSettled(work: Work<S, R>, pairs: readonly Pair<R>[]): boolean
}

/**
 * Who begins changes from round to round and from work to work: the second of two finds warmer caches.
 * A pair with a disturbed run is run again, both sides of it, at most MOST_REPEATS times; the last one is kept whatever it is.
 * @returns by work, in the order they were run
 */
export async function pairsInTurns<S, R extends PairedRun>(
  works: readonly Work<S, R>[],
  sides: Pair<S>,
  plan: Plan<S, R>,
): Promise<Pair<R>[][]> {
  const pairs: Pair<R>[][] = works.map(() => [])
  const inTurns = async (which: readonly number[]) => {
    for (let round = 0; round < plan.rounds; round++)
      for (const w of which)
        pairs[w]!.push(await undisturbedPair(works[w]!, sides, (pairs[w]!.length + w) % 2 === 0, plan))
  }
  const all = [...works.keys()]
  await inTurns(all)
  await inTurns(all.filter((w) => !plan.isSettled(works[w]!, pairs[w]!)))
  return pairs
}

async function undisturbedPair<S, R extends PairedRun>(
  work: Work<S, R>,
  sides: Pair<S>,
  baseFirst: boolean,
  plan: Plan<S, R>,
): Promise<Pair<R>> {
  for (let repeats = 0; ; repeats++) {
    const pair = await runPair(work, sides, baseFirst)
    const isDisturbed = pair.some((run) => run.disturbed !== null)
    if (!isDisturbed || repeats === MOST_REPEATS) return pair
    for (const [s, { disturbed }] of pair.entries()) if (disturbed !== null) plan.tellRepeat(work, sides[s]!, disturbed)
  }
}

async function runPair<S, R>(work: Work<S, R>, [base, current]: Pair<S>, baseFirst: boolean): Promise<Pair<R>> {
  if (baseFirst) {
    const first = await work.run(base)
    return [first, await work.run(current)]
  }
  const first = await work.run(current)
  return [await work.run(base), first]
}

/** This checkout / base. */
export interface Ratios extends Quartiles {
  /** The cheapest run of each side: what else happens on the machine makes runs dearer, seldom cheaper. */
  readonly leastByLeast: number
}

/** @param pairs at least one @param figure above 0 */
export function ratiosOf<R>(pairs: readonly Pair<R>[], figure: (run: R) => number): Ratios {
  const values = pairs.map(([base, current]) => [figure(base), figure(current)] as const)
  return {
    ...quartilesOf(values.map(([base, current]) => current / base)),
    leastByLeast: Math.min(...values.map(([, current]) => current)) / Math.min(...values.map(([base]) => base)),
  }
}

/** By the median. NaN is within no bound. @param bound null: none */
export function isWithin({ median }: Quartiles, bound: number | null): boolean {
  return bound === null || median <= bound
}
