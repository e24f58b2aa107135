/** Runs variants in turns: what else happens on the machine then falls on all of them alike. */

/**
 * Every other round goes backwards, so that a machine that gets slower or busier favours none.
 * @returns per variant its runs, in the order of the variants
 */
export async function inTurns<V, R>(
  variants: readonly V[],
  rounds: number,
  run: (variant: V) => Promise<R>,
): Promise<R[][]> {
  const results: R[][] = variants.map(() => [])
  const order = [...variants.keys()]
  for (let round = 0; round < rounds; round++) {
    for (const i of round % 2 === 0 ? order : order.toReversed()) results[i]!.push(await run(variants[i]!))
  }
  return results
}
