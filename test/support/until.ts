import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_MS = 10

/**
 * Waits until it is so.
 * @returns milliseconds it took. @throws Error when it does not come to be
 */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<number> {
  const startedMs = performance.now()
  while (!(await isSo())) {
    if (performance.now() - startedMs > limitMs) throw new Error(`not so after ${limitMs} ms: ${what}`)
    await sleep(LOOK_MS)
  }
  return Math.round(performance.now() - startedMs)
}
