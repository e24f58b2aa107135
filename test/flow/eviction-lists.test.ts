import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EvictionLists, FlowList } from '../../src/flow/eviction-lists.ts'
import { FlowTable } from '../../src/flow/flow-table.ts'
import { WatchList } from '../../src/flow/watch-list.ts'

describe('what is evicted', () => {
  test('each list is first come, first out, whatever moves between and out of them', () => {
    const step = fc.record({ slot: fc.nat(15), line: fc.constantFrom(...Object.values(FlowList)) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new EvictionLists(new FlowTable(16, false))
        const lines = new Map<number, number[]>(Object.values(FlowList).map((line) => [line, []]))
        for (const { slot, line } of steps) {
          queue.move(slot, line)
          for (const [of, slots] of lines)
            lines.set(
              of,
              slots.filter((other) => other !== slot),
            )
          lines.get(line)!.push(slot)
          for (const of of Object.values(FlowList))
            if (of !== FlowList.none) expect(queue.first(of)).toBe(lines.get(of)![0] ?? -1)
        }
      }),
    )
  })
})

describe('flows that are watched', () => {
  test('are those added and not deleted, and rounds of visits come to each of them', () => {
    const step = fc.record({ slot: fc.nat(200), isAdded: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const list = new WatchList(new FlowTable(1024, false))
        const model = new Set<number>()
        for (const { slot, isAdded } of steps) {
          if (isAdded) {
            list.add(slot)
            model.add(slot)
          } else {
            list.delete(slot)
            model.delete(slot)
          }
          expect(list.has(slot)).toBe(isAdded)
          expect(list.size).toBe(model.size)
        }
        const seen = new Set<number>()
        for (let visited = 0; visited < model.size; visited += 3) list.visit(3, (slot) => seen.add(slot))
        expect(seen).toEqual(model)
      }),
    )
  })

  test('may be taken out while they are visited', () => {
    const list = new WatchList(new FlowTable(1024, false))
    for (let slot = 0; slot < 100; slot++) list.add(slot)
    let looks = 0
    list.visit(100, (slot) => {
      looks++
      list.delete(slot)
    })
    expect(looks).toBe(100)
    expect(list.size).toBe(0)
  })
})
