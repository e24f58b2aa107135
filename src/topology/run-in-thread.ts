/**
 * One endless task in a thread of its own, from the thread's start to its end.
 *
 * A piscina pool for each life of a thread, not one for all: a pool whose thread once failed while it was loading starts no other one in
 * place of those that die later, and what is given to it then waits for ever (piscina 5.3, `workerFailsDuringBootstrap`).
 */
import type { MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { workerFile } from './worker-file.ts'

/**
 * A thread that was told to end runs on to the next call or loop of its program; then it is only cleared away, which may wait for system
 * calls that are under way (a name server that does not answer: half a minute). One that stands still in the kernel ends when it returns.
 * A busy machine may keep it from its processor for a while.
 */
const END_LIMIT_MS = 250

/** @returns when the task has ended, and the thread has, or does nothing more @throws what ended the thread */
export async function runInThread<T>(
  name: 'shard' | 'receiver',
  heapMb: number,
  task: T,
  transferList: readonly MessagePort[],
  signal: AbortSignal,
): Promise<void> {
  const pool = new Piscina<T, void>({
    filename: workerFile(name),
    // With a minimum of one, a thread that is told to end would have a spare one started when it has, after `destroy`, that nobody ends.
    minThreads: 0,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    recordTiming: false,
    atomics: 'disabled',
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  })
  const running = pool.run(task, { transferList: [...transferList], signal })
  // Of a thread whose task is aborted the pool forgets: `destroy` does not wait for it.
  const exits = pool.threads.map((thread) => new Promise<void>((resolve) => thread.once('exit', () => resolve())))
  try {
    await Promise.race([running, endOfThread(pool)])
  } finally {
    await withinLimit(Promise.all([pool.destroy(), ...exits]))
  }
}

async function withinLimit(ended: Promise<unknown>): Promise<void> {
  let limit: NodeJS.Timeout | undefined
  const late = new Promise((resolve) => {
    limit = setTimeout(resolve, END_LIMIT_MS)
  })
  await Promise.race([ended, late])
  clearTimeout(limit)
}

/** A thread that ends while it is loading leaves its task in the pool's queue: only events tell of it. */
function endOfThread(pool: Piscina): Promise<never> {
  return new Promise((_, reject) => {
    let reason = new Error('worker exited before it began')
    pool.on('error', (error) => {
      reason = error
    })
    // Where the task was begun its own rejection, which says more, follows in the same turn.
    pool.on('workerDestroy', () => setImmediate(() => reject(reason)))
  })
}
