import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Lanes } from '../../../src/sinks/replay/lanes.ts'
import { OutgoingRequest } from '../../../src/sinks/replay/outgoing-request.ts'

let number = 0
function add(lanes: Lanes, connectionId: number): OutgoingRequest {
  const request = new OutgoingRequest(`${connectionId}/${number++}`, 1, lanes.of(connectionId))
  request.queuedUs = number
  lanes.append(request)
  return request
}

describe('lanes', () => {
  test('one request of a connection at a time, connections in turn', () => {
    const lanes = new Lanes(true)
    const [a1, a2, b1] = [add(lanes, 1), add(lanes, 1), add(lanes, 2)]
    expect([lanes.takeNext(), lanes.takeNext()]).toEqual([a1, b1])
    expect(lanes.hasReady).toBe(false)
    lanes.settled(a1)
    expect(lanes.takeNext()).toBe(a2)
  })

  test('without order every request may leave at once', () => {
    const lanes = new Lanes(false)
    const all = [add(lanes, 1), add(lanes, 1), add(lanes, 2), add(lanes, 1)]
    const taken: OutgoingRequest[] = []
    while (lanes.hasReady) taken.push(lanes.takeNext())
    expect(new Set(taken)).toEqual(new Set(all))
  })

  test('what is put back goes first, before the rest of its lane and before other lanes', () => {
    const lanes = new Lanes(true)
    const [a1, a2, b1] = [add(lanes, 1), add(lanes, 1), add(lanes, 2)]
    lanes.putBack(lanes.takeNext())
    const order: OutgoingRequest[] = []
    while (lanes.hasReady) {
      const request = lanes.takeNext()
      order.push(request)
      lanes.settled(request)
    }
    expect(order).toEqual([a1, b1, a2])
  })

  test('any sequence of steps agrees with a plain model: order, sizes, nothing left behind', () => {
    const step = fc.oneof(
      { weight: 12, arbitrary: fc.record({ kind: fc.constant('add' as const), id: fc.nat(4) }) },
      { weight: 9, arbitrary: fc.constant({ kind: 'take' as const, id: 0 }) },
      { weight: 9, arbitrary: fc.record({ kind: fc.constant('settle' as const), id: fc.nat(9) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('putBack' as const), id: fc.nat(9) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('close' as const), id: fc.nat(4) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('expire' as const), id: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'dropAll' as const, id: 0 }) },
    )
    fc.assert(
      fc.property(fc.boolean(), fc.array(step, { maxLength: 80 }), (inOrder, steps) => {
        const lanes = new Lanes(inOrder)
        const queues = new Map<number, OutgoingRequest[]>()
        const flying: OutgoingRequest[] = []
        const closed = new Set<number>()
        const mayLeave = (id: number) => !inOrder || !flying.some((r) => r.lane.id === id)
        const forget = (request: OutgoingRequest) => {
          const queue = queues.get(request.lane.id)!
          expect(queue.shift()).toBe(request)
        }
        for (const { kind, id } of steps) {
          if (kind === 'add' && !closed.has(id)) {
            queues.set(id, [...(queues.get(id) ?? []), add(lanes, id)])
          } else if (kind === 'take' && lanes.hasReady) {
            const request = lanes.takeNext()
            expect(mayLeave(request.lane.id)).toBe(true)
            forget(request)
            flying.push(request)
          } else if (kind === 'settle' && flying.length > 0) {
            lanes.settled(flying.splice(id % flying.length, 1)[0]!)
          } else if (kind === 'putBack' && flying.length > 0) {
            const request = flying.splice(id % flying.length, 1)[0]!
            lanes.putBack(request)
            queues.get(request.lane.id)!.unshift(request)
          } else if (kind === 'close') {
            closed.add(id)
            lanes.connectionClosed(id)
          } else if (kind === 'expire') {
            lanes.dropQueuedUntil(number - id, forget)
          } else if (kind === 'dropAll') {
            lanes.dropAllQueued(forget)
          }
          const queued = [...queues.values()].flat()
          expect(lanes.queued).toBe(queued.length)
          expect(lanes.hasReady).toBe(queued.some((r) => mayLeave(r.lane.id)))
          expect(lanes.breadth).toBe(inOrder ? new Set(queued.map((r) => r.lane)).size : queued.length)
          const holding = new Set([...queued, ...flying].map((r) => r.lane.id))
          expect(lanes.unsettled).toBe([...closed].filter((c) => holding.has(c)).length)
        }
        for (const request of flying) lanes.settled(request)
        lanes.dropAllQueued(() => {})
        for (let id = 0; id <= 4; id++) lanes.connectionClosed(id)
        expect([lanes.size, lanes.queued, lanes.unsettled]).toEqual([0, 0, 0])
      }),
      { numRuns: 500 },
    )
  })
})
