import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CapturedConnection } from '../../src/exchange/captured-connection.ts'
import { GENERATIONS, handleOf, MAX_SLOTS, slotOf } from '../../src/exchange/connection.ts'
import { OpenConnections } from '../../src/exchange/open-connections.ts'
import { FlowTable } from '../../src/flow/flow-table.ts'
import { factsOf } from '../support/exchanges.ts'
import { viewOf } from '../support/views.ts'

test('a handle says its slot, is exact, and differs by slot and by generation', () => {
  const slot = fc.integer({ min: 0, max: MAX_SLOTS - 1 })
  const generation = fc.integer({ min: 0, max: GENERATIONS - 1 })
  fc.assert(
    fc.property(slot, generation, slot, generation, (a, b, c, d) => {
      const handle = handleOf(a, b)
      expect(Number.isSafeInteger(handle)).toBe(true)
      expect(slotOf(handle)).toBe(a)
      expect(handle === handleOf(c, d)).toBe(a === c && b === d)
    }),
  )
})

test('facts are known from open to close; a handle of before is not taken for the connection that has its slot', () => {
  const connections = new OpenConnections()
  const [old, young] = [factsOf({ handle: handleOf(3, 1) }), factsOf({ handle: handleOf(3, 2) })]
  connections.open(old)
  expect(connections.facts(old.handle)).toBe(old)
  connections.open(young)
  expect(connections.size).toBe(1)
  expect(() => connections.facts(old.handle)).toThrow('is not open')
  connections.close(old.handle)
  expect(connections.facts(young.handle)).toBe(young)
  connections.close(young.handle)
  connections.close(young.handle)
  expect(connections.size).toBe(0)
  expect(() => connections.facts(young.handle)).toThrow('is not open')
  expect(() => connections.facts(handleOf(900, 0))).toThrow('is not open')
})

test('each connection in a row of the flow table has another handle, also one that is given up and goes on', () => {
  const table = new FlowTable(10, false)
  const seen = new Set<number>()
  for (let i = 0; i < 5; i++) {
    const slot = table.insert(viewOf({ hash: 1 }))
    seen.add(CapturedConnection.ofFlow(table, slot, 0).handle)
    seen.add(CapturedConnection.ofFlow(table, slot, 0).handle)
    table.clearState(slot)
    seen.add(CapturedConnection.ofFlow(table, slot, 0).handle)
    table.remove(slot)
  }
  expect(seen.size).toBe(15)
  expect([...seen].map(slotOf)).toEqual(Array(15).fill(0))
  table.generation[0] = GENERATIONS - 1
  expect(table.newGeneration(table.insert(viewOf({ hash: 1 })))).toBe(0)
})
