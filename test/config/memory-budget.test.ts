import { describe, expect, test } from 'vitest'
import { memoryBudget } from '../../src/config/memory-budget.ts'
import { resolveOptions } from '../../src/config/resolve.ts'

const MIB = 1024 * 1024

const run = async (flags: Record<string, string>) => {
  const given = new Map(Object.entries({ to: 'http://a:1', workers: '1', ...flags }).map(([k, v]) => [k, [v]]))
  const { options } = await resolveOptions('run', { flags: given, arguments: [], faults: [] }, {})
  return options
}
const sum = (o: Awaited<ReturnType<typeof run>>) => Object.values(memoryBudget(o)).reduce((a, b) => a + b, 0)

describe('the memory limit', () => {
  test('leaves every default as it is where it holds them all', async () => {
    const o = await run({ memoryLimit: '4GiB' })
    expect(o).toMatchObject({
      maxFlows: 1_000_000,
      outOfOrderTotalBytes: 64 * MIB,
      outOfOrderBytes: MIB,
      ringBytes: 16 * MIB,
      fragmentBytes: 16 * MIB,
      queueBytes: 64 * MIB,
      shardHeapMb: 832,
      connectionBytes: 256 * MIB,
      messageBytes: 512 * MIB,
    })
    expect(sum(o)).toBeLessThanOrEqual(4096 * MIB)
  })

  test.each(['300MiB', '400MiB', '1GiB', '2GiB'])('%s: the parts fit into it', async (memoryLimit) => {
    for (const workers of ['0', '1']) {
      const o = await run({ memoryLimit, workers })
      expect(sum(o)).toBeLessThanOrEqual(o.memoryLimit)
      expect(Math.log2(o.ringBytes) % 1).toBe(0)
    }
  })

  test('what was given stays, the others shrink', async () => {
    const o = await run({ memoryLimit: '512MiB', maxFlows: '500000' })
    expect(o.maxFlows).toBe(500_000)
    expect(o.messageBytes).toBeLessThan(512 * MIB)
    expect(sum(o)).toBeLessThanOrEqual(512 * MIB)
  })

  test('what cannot fit is refused with the options and figures', async () => {
    await expect(run({ memoryLimit: '512MiB', maxFlows: '2000000', ringBytes: '64MiB' })).rejects.toThrow(
      /--memory-limit 512MiB is too little: \d+MiB are needed, .*--ring-bytes 64MiB \+ --max-flows 626MiB/,
    )
    await expect(run({ memoryLimit: '64MiB' })).rejects.toThrow(/--memory-limit 64MiB is too little/)
  })

  test('is computed where nobody gave it, and then never stops a start that gave nothing else', async () => {
    const o = await run({ workers: '8' })
    expect(sum(o)).toBeLessThanOrEqual(o.memoryLimit)
  })
})
