/**
 * One endless task in a thread of its own, from the thread's start to its end.
 *
 * A piscina pool for each life of a thread, not one for all: a pool whose thread once failed while it was loading starts no other one in
 * place of those that die later, and what is given to it then waits for ever (piscina 5.3, `workerFailsDuringBootstrap`).
 */
import type { MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { workerFile } from './worker-file.ts'

/** @returns when the task has ended @throws what ended the thread */
export async function runInThread<T>(
  name: 'shard' | 'receiver',
  heapMb: number,
  task: T,
  transferList: readonly MessagePort[],
  signal: AbortSignal,
): Promise<void> {
  const pool = new Piscina<T, void>({
    filename: workerFile(name),
    // Not 0: a thread that fails while it is loading would then never be told of.
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    recordTiming: false,
    atomics: 'disabled',
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  })
  // A thread's end is told by the task's rejection; piscina repeats it as an event that would be uncaught.
  pool.on('error', () => {})
  try {
    await pool.run(task, { transferList: [...transferList], signal })
  } finally {
    await pool.destroy()
  }
}
