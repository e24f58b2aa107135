/** Makes an input smaller while it still fails in the same way: first whole parts, then bytes (Zeller's delta debugging, greedy). */
import type { Input } from './input.ts'

/**
 * @param fixed parts at the front that stay as they are
 * @param fails whether it still does
 * @param until monotonic milliseconds: what there is then is the result
 */
export async function minimise(
  input: Input,
  fixed: number,
  fails: (input: Input) => Promise<boolean>,
  until: number,
): Promise<Input> {
  let best = input
  const attempt = async (candidate: Input): Promise<boolean> => {
    if (performance.now() > until || !(await fails(candidate))) return false
    best = candidate
    return true
  }
  for (let size = best.length - fixed; size >= 1; size >>= 1) {
    for (let at = fixed; at < best.length && performance.now() < until; ) {
      if (!(await attempt([...best.slice(0, at), ...best.slice(at + size)]))) at += size
    }
  }
  for (let i = fixed; i < best.length; i++) {
    for (let size = best[i]!.length; size >= 1; size >>= 1) {
      for (let at = 0; at < best[i]!.length && performance.now() < until; ) {
        const part = best[i]!
        const shorter = Buffer.concat([part.subarray(0, at), part.subarray(at + size)])
        if (!(await attempt([...best.slice(0, i), shorter, ...best.slice(i + 1)]))) at += size
      }
    }
  }
  return best
}
