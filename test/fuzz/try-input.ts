/** One input against one target: laws that hold for every target, besides the target's own. */

import { isDeepStrictEqual } from 'node:util'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Random } from '../../src/demo/traffic/random.ts'
import { bytesIn, type Input } from './input.ts'
import { type Target, Violation } from './target.ts'

export interface Finding {
  readonly kind: 'law' | 'throw' | 'slow' | 'memory' | 'indeterminate'
  readonly text: string
}

export interface Tried {
  readonly ms: number
  readonly finding: Finding | null
}

/*
 * Bounds that grow with the input and with nothing else. Chosen: about twenty times what is usual, so that only what is worse than linear
 * reaches them; the tests' own part is in it (each split of a stream is parsed once more).
 */
const BASE_MS = 80
const MS_PER_BYTE = 0.006
const MS_PER_PART = 0.3
const BASE_BYTES = 160 << 20
const BYTES_PER_BYTE = 2000

/** @param again whether a second run must give the same @param baseMs what even the smallest input may take */
export async function tryInput(target: Target, input: Input, again: boolean, baseMs = BASE_MS): Promise<Tried> {
  const heldBefore = memoryHeld()
  const first = await run(target, input)
  if (first.finding !== null) return first
  const bytes = bytesIn(input)
  const boundMs = baseMs + bytes * MS_PER_BYTE + input.length * MS_PER_PART
  let { ms } = first
  // The machine is not ours alone: only what is slow every time is, and by the processor's clock.
  for (let i = 0; i < 3 && ms > boundMs; i++) ms = Math.min(ms, await leastMs(target, input))
  if (ms > boundMs) {
    const text = `took ${ms.toFixed(0)} ms each of four times; ${bytes} bytes in ${input.length} parts may take ${boundMs.toFixed(0)}`
    return { ms, finding: { kind: 'slow', text } }
  }
  const boundBytes = BASE_BYTES + bytes * BYTES_PER_BYTE
  if (memoryHeld() - heldBefore > boundBytes) {
    collectGarbage()
    const before = memoryHeld()
    await run(target, input)
    const grown = memoryHeld() - before
    if (grown > boundBytes) {
      const text = `took ${(grown / 2 ** 20).toFixed(0)} MiB; ${bytes} bytes may take ${(boundBytes / 2 ** 20).toFixed(0)}`
      return { ms, finding: { kind: 'memory', text } }
    }
  }
  if (again) {
    const second = await run(target, input)
    if (second.finding !== null) return second
    if (!isDeepStrictEqual(second.outcome, first.outcome))
      return { ms, finding: { kind: 'indeterminate', text: 'the same input gives something else the second time' } }
  }
  return { ms, finding: null }
}

/** By the clock on the wall or by that of the processor, whichever went slower: waiting for the processor is not the input's. */
async function leastMs(target: Target, input: Input): Promise<number> {
  const before = process.cpuUsage()
  const { ms } = await run(target, input)
  const { user, system } = process.cpuUsage(before)
  return Math.min(ms, (user + system) / 1000)
}

async function run(target: Target, input: Input): Promise<Tried & { outcome: unknown }> {
  const started = performance.now()
  try {
    const returned = target.run(input)
    const outcome = returned instanceof Promise ? await returned : returned
    return { ms: performance.now() - started, finding: null, outcome }
  } catch (error) {
    const isLaw = error instanceof Violation
    const text = isLaw ? error.message : error instanceof Error ? (error.stack ?? String(error)) : String(error)
    return { ms: performance.now() - started, finding: { kind: isLaw ? 'law' : 'throw', text }, outcome: null }
  }
}

function memoryHeld(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

let gc: (() => void) | null = null
export function collectGarbage(): void {
  if (gc === null) {
    setFlagsFromString('--expose-gc')
    gc = runInNewContext('gc') as () => void
  }
  gc()
}

/** Random numbers of one input: of a target's name, so that they stay the same when targets are added. */
export function randomOf(seed: number, target: string, iteration: number): Random {
  let h = 2166136261 ^ seed
  for (const byte of Buffer.from(target)) h = Math.imul(h ^ byte, 16777619)
  h = Math.imul((h ^ (h >>> 15)) + iteration, 0x85ebca6b)
  return new Random(h ^ (h >>> 13))
}
