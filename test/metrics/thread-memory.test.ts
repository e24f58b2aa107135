import { describe, expect, test } from 'vitest'
import { COUNTER_BLOCK_BYTES, Counter, CounterBlock } from '../../src/metrics/counters.ts'
import { ThreadMemory } from '../../src/metrics/thread-memory.ts'
import { Totals } from '../../src/report/totals.ts'

describe('the memory of a thread', () => {
  test('is looked at once a second, and shown by the thread it belongs to', () => {
    const [main, receiver, shard, silent] = Array.from({ length: 4 }, () => new SharedArrayBuffer(COUNTER_BLOCK_BYTES))
    for (const memory of [main!, receiver!, shard!]) {
      const block = new CounterBlock(memory)
      new ThreadMemory(block).look(0)
      block.publish()
    }
    const { threads } = Totals.read([main!, receiver!], [shard!, silent!])
    expect(threads.map(({ thread }) => thread)).toEqual(['shard-0', 'main', 'receiver-0'])
    for (const { heapBytes } of threads) expect(heapBytes).toBeGreaterThan(1e6)
  })

  test('is left alone within the second', () => {
    const block = new CounterBlock()
    const memory = new ThreadMemory(block)
    memory.look(5_000)
    block.set(Counter.heapBytes, 0)
    memory.look(5_999)
    expect(block.get(Counter.heapBytes)).toBe(0)
    memory.look(6_000)
    expect(block.get(Counter.heapBytes)).toBeGreaterThan(1e6)
  })
})
