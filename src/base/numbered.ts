/** Closed sets of names as small integers: in code by name, in memory and on the hot path by number. */

/**
 * Each name with its place, counted from 0. Not set name by name: past a dozen names V8 makes a dictionary of such an object, and each
 * packet looks its codes up in it.
 */
export function numbered<N extends string>(names: readonly N[]): { readonly [K in N]: number } {
  return Object.freeze(Object.fromEntries(names.map((name, i) => [name, i]))) as { readonly [K in N]: number }
}
