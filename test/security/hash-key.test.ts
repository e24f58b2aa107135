import { expect, test } from 'vitest'
import { resolveOptions } from '../../src/config/resolve.ts'
import { packetPipelineOptions } from '../../src/topology/stage-configs.ts'

const PROCESSES = 8

test('the key of the hash that chooses a shard is another one in each process: nobody can send all connections to one shard', async () => {
  const flags = new Map([['to', ['null']]])
  const { options } = await resolveOptions('run', { flags, arguments: [], faults: [] }, {})
  const keys = Array.from({ length: PROCESSES }, () => packetPipelineOptions(options, true).dispatch.hashKey)
  // Of 32 bits: two of them are equal once in 150 million runs.
  expect(new Set(keys).size).toBe(PROCESSES)
})
