/** What a thread's own isolate holds: only the thread itself can tell. */
import { getHeapStatistics } from 'node:v8'
import { Counter, type CounterBlock } from './counters.ts'

/** A call takes some microseconds and makes an object, so not in every batch. */
const EVERY_MS = 1000

export class ThreadMemory {
  private readonly counters: CounterBlock
  private readMs = Number.NEGATIVE_INFINITY

  constructor(counters: CounterBlock) {
    this.counters = counters
  }

  /** Sets the gauges of the thread that calls, once a second; whoever publishes the block shows them. */
  look(nowMs: number): void {
    if (nowMs - this.readMs < EVERY_MS) return
    this.readMs = nowMs
    const { used_heap_size, external_memory } = getHeapStatistics()
    this.counters.set(Counter.heapBytes, used_heap_size)
    this.counters.set(Counter.externalBytes, external_memory)
  }
}
