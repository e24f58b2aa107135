/** Runs variants in turns: what else happens on the machine then falls on all of them alike. */

/** @returns per variant its runs, in the order of the variants */
export async function inTurns<V, R>(
  variants: readonly V[],
  rounds: number,
  run: (variant: V) => Promise<R>,
): Promise<R[][]> {
  const results: R[][] = variants.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, variant] of variants.entries()) results[i]!.push(await run(variant))
  }
  return results
}
