/** A fuzzing thread: one input after the other, time shared out evenly over the targets. */
import { parentPort, workerData } from 'node:worker_threads'
import { openCorpus } from './corpus.ts'
import { bytesIn, type Input } from './input.ts'
import { minimise } from './minimise.ts'
import { InHandFile, Progress } from './progress.ts'
import { TARGETS } from './targets.ts'
import { collectGarbage, type Finding, randomOf, tryInput } from './try-input.ts'

export interface JobData {
  readonly seed: number
  readonly shared: string | null
  /** Indices into TARGETS. */
  readonly targets: readonly number[]
  /** First iteration of each of them, and the step to the next. */
  readonly first: readonly number[]
  readonly step: number
  readonly memory: SharedArrayBuffer
  /** Of this thread among the jobs. */
  readonly number: number
  /** Where inputs in hand are written down; null: nobody would read it. */
  readonly inHand: string | null
}

export interface Report {
  readonly target: number
  readonly iteration: number
  readonly finding: Finding
  /** Minimised; null: one like those before, which only counts. */
  readonly input: readonly Uint8Array[] | null
}

const SLICE_MS = 60
const MINIMISE_MS = 8000
/** The same input is run twice in one of so many. */
const AGAIN_ONE_OF = 4
const SAVED_PER_KIND = 3
/** Some twenty seconds. */
const GARBAGE_SLICES = 300

async function main({ seed, shared, targets, first, step, memory, number, inHand }: JobData): Promise<void> {
  const progress = new Progress(TARGETS.length, memory)
  const file = inHand === null ? null : new InHandFile(inHand, number)
  const corpus = await openCorpus({ seed, shared })
  parentPort!.postMessage({ notes: corpus.notes })
  const next = [...first]
  const spentMs = targets.map(() => 0)
  const seen = new Map<string, number>()
  let slices = 0
  while (!progress.isStopped) {
    // Whoever had least.
    const turn = spentMs.indexOf(Math.min(...spentMs))
    const index = targets[turn]!
    const target = TARGETS[index]!
    const began = performance.now()
    do {
      const iteration = next[turn]!
      next[turn] = iteration + step
      progress.begins(index, iteration)
      file?.write(index, iteration)
      const input = target.make(randomOf(seed, target.name, iteration), corpus)
      const started = performance.now()
      const { ms, finding } = await tryInput(target, input, iteration % AGAIN_ONE_OF === 0)
      progress.tried(index, 1, performance.now() - started, ms, bytesIn(input))
      if (finding !== null) spentMs[turn]! -= await report(index, iteration, finding, input)
      progress.ends()
    } while (performance.now() - began < SLICE_MS && !progress.isStopped)
    spentMs[turn]! += performance.now() - began
    if (++slices % GARBAGE_SLICES !== 1) continue
    // Of what is left: whether it grows is the question.
    collectGarbage()
    progress.heapBytes = process.memoryUsage().heapUsed
  }

  /** @returns how long it took: not to be charged to the target */
  async function report(index: number, iteration: number, finding: Finding, input: Input): Promise<number> {
    const started = performance.now()
    const target = TARGETS[index]!
    progress.found(index)
    const sign = `${index} ${signatureOf(finding)}`
    const times = (seen.get(sign) ?? 0) + 1
    seen.set(sign, times)
    let smallest: Input | null = null
    if (times <= SAVED_PER_KIND) {
      const sameAs = signatureOf(finding)
      const fails = async (candidate: Input) => {
        progress.begins(index, iteration)
        const { finding: found } = await tryInput(target, candidate, finding.kind === 'indeterminate')
        return found !== null && signatureOf(found) === sameAs
      }
      smallest = await minimise(input, target.fixedParts, fails, performance.now() + MINIMISE_MS)
    }
    parentPort!.postMessage({ target: index, iteration, finding, input: smallest } satisfies Report)
    return performance.now() - started
  }
}

/** What failed, without the figures in it. */
export function signatureOf({ kind, text }: Finding): string {
  const lines = text.split('\n')
  // Of an error also where it was thrown.
  return `${kind} ${lines[0]!.slice(0, 40).replace(/\d+/g, 'n')} ${kind === 'throw' ? (lines[1] ?? '') : ''}`
}

if (parentPort !== null) await main(workerData as JobData)
