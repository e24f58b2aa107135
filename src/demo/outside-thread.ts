/** Entry point of the thread: see outside.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import { runOutside } from './outside.ts'

await runOutside(workerData, parentPort!)
