import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConnectionQueues } from '../../../src/sinks/replay/connection-queues.ts'
import { OutgoingRequest } from '../../../src/sinks/replay/outgoing-request.ts'

let number = 0
function add(queues: ConnectionQueues, connectionId: number, bytes = 1): OutgoingRequest {
  const request = new OutgoingRequest(`${connectionId}/${number++}`, bytes)
  request.queuedUs = number
  queues.append(request, connectionId)
  return request
}

const inOrder = () => new ConnectionQueues(true)

describe('queues of captured connections', () => {
  test('one request of a connection at a time, connections in turn', () => {
    const queues = inOrder()
    const [a1, a2, b1] = [add(queues, 1), add(queues, 1), add(queues, 2)]
    expect([queues.takeNext(), queues.takeNext()]).toEqual([a1, b1])
    expect(queues.hasReady).toBe(false)
    queues.settled(a1)
    expect(queues.takeNext()).toBe(a2)
  })

  test('without order every request may leave at once, connections in turn', () => {
    const queues = new ConnectionQueues(false)
    const [a1, a2, a3] = [add(queues, 1), add(queues, 1), add(queues, 1)]
    const [b1, c1] = [add(queues, 2), add(queues, 3)]
    const taken: OutgoingRequest[] = []
    while (queues.hasReady) taken.push(queues.takeNext())
    expect(taken).toEqual([a1, b1, c1, a2, a3])
  })

  test('what is put back goes first, before the rest of its queue and before other queues', () => {
    const queues = inOrder()
    const [a1, a2, b1] = [add(queues, 1), add(queues, 1), add(queues, 2)]
    queues.putBack(queues.takeNext())
    const order: OutgoingRequest[] = []
    while (queues.hasReady) {
      const request = queues.takeNext()
      order.push(request)
      queues.settled(request)
    }
    expect(order).toEqual([a1, b1, a2])
  })

  test('the longest queue loses its newest request, and keeps the rest in order', () => {
    const queues = inOrder()
    const [a1, a2, a3] = [add(queues, 1), add(queues, 1), add(queues, 1)]
    add(queues, 2)
    expect(queues.dropNewest(queues.longest!)).toBe(a3)
    expect(queues.dropNewest(queues.longest!)).toBe(a2)
    expect(queues.takeNext()).toBe(a1)
  })

  test('the largest queue is that with the most bytes, however few its requests', () => {
    const queues = inOrder()
    for (let i = 0; i < 50; i++) add(queues, 1, 100)
    const large = add(queues, 2, 1_000_000)
    expect(queues.longest!.id).toBe(1)
    expect(queues.dropNewest(queues.largest!)).toBe(large)
    expect(queues.largest!.id).toBe(1)
  })

  test('of queues that are equally long the one that changed last is the longest', () => {
    const queues = inOrder()
    // The first question begins the ranks.
    expect(queues.longest).toBe(null)
    for (const id of [1, 2, 3, 2, 1]) add(queues, id)
    expect(queues.longest!.id).toBe(1)
    add(queues, 3)
    expect(queues.longest!.id).toBe(3)
  })

  test('any sequence of steps agrees with a plain model: order, sizes, ranks, nothing left behind', () => {
    const step = fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({
          kind: fc.constant('add' as const),
          id: fc.nat(4),
          bytes: fc.integer({ min: 1, max: 5000 }),
        }),
      },
      { weight: 9, arbitrary: fc.constant({ kind: 'take' as const, id: 0, bytes: 0 }) },
      {
        weight: 9,
        arbitrary: fc.record({ kind: fc.constant('settle' as const), id: fc.nat(9), bytes: fc.constant(0) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('putBack' as const), id: fc.nat(9), bytes: fc.constant(0) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('close' as const), id: fc.nat(4), bytes: fc.constant(0) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('expire' as const), id: fc.nat(3), bytes: fc.constant(0) }),
      },
      { weight: 3, arbitrary: fc.constant({ kind: 'dropLongest' as const, id: 0, bytes: 0 }) },
      { weight: 3, arbitrary: fc.constant({ kind: 'dropLargest' as const, id: 0, bytes: 0 }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'dropAll' as const, id: 0, bytes: 0 }) },
    )
    fc.assert(
      fc.property(fc.boolean(), fc.array(step, { maxLength: 80 }), (inOrder, steps) => {
        const queues = new ConnectionQueues(inOrder)
        const model = new Map<number, OutgoingRequest[]>()
        const flying: OutgoingRequest[] = []
        const closed = new Set<number>()
        const idOf = (request: OutgoingRequest) => Number(request.method.split('/')[0])
        const mayLeave = (id: number) => !inOrder || !flying.some((r) => idOf(r) === id)
        const bytesOf = (requests: OutgoingRequest[]) => requests.reduce((n, { heldBytes }) => n + heldBytes, 0)
        const forget = (request: OutgoingRequest) => {
          expect(model.get(idOf(request))!.shift()).toBe(request)
        }
        for (const { kind, id, bytes } of steps) {
          if (kind === 'add' && !closed.has(id)) {
            model.set(id, [...(model.get(id) ?? []), add(queues, id, bytes)])
          } else if (kind === 'take' && queues.hasReady) {
            const request = queues.takeNext()
            expect(mayLeave(idOf(request))).toBe(true)
            forget(request)
            flying.push(request)
          } else if (kind === 'settle' && flying.length > 0) {
            queues.settled(flying.splice(id % flying.length, 1)[0]!)
          } else if (kind === 'putBack' && flying.length > 0) {
            const request = flying.splice(id % flying.length, 1)[0]!
            queues.putBack(request)
            model.get(idOf(request))!.unshift(request)
          } else if (kind === 'close') {
            closed.add(id)
            queues.connectionClosed(id)
          } else if (kind === 'expire') {
            queues.dropQueuedUntil(number - id, forget)
          } else if (kind === 'dropLongest' && queues.queued > 0) {
            const queue = queues.longest!
            expect(queue.queued).toBe(Math.max(...[...model.values()].map((q) => q.length)))
            expect(queues.dropNewest(queue)).toBe(model.get(queue.id)!.pop())
          } else if (kind === 'dropLargest' && queues.queued > 0) {
            const queue = queues.largest!
            expect(queue.queuedBytes).toBeGreaterThan(Math.max(...[...model.values()].map(bytesOf)) * (7 / 8))
            expect(queues.dropNewest(queue)).toBe(model.get(queue.id)!.pop())
          } else if (kind === 'dropAll') {
            queues.dropAllQueued(forget)
          }
          const queued = [...model.values()].flat()
          expect(queues.queued).toBe(queued.length)
          expect(queues.queuedBytes).toBe(bytesOf(queued))
          expect(queues.hasReady).toBe(queued.some((r) => mayLeave(idOf(r))))
          expect(queues.breadth).toBe(inOrder ? new Set(queued.map(idOf)).size : queued.length)
          const holding = new Set([...queued, ...flying].map(idOf))
          expect(queues.unsettled).toBe([...closed].filter((c) => holding.has(c)).length)
        }
        for (const request of flying) queues.settled(request)
        queues.dropAllQueued(() => {})
        expect([queues.longest, queues.largest]).toEqual([null, null])
        for (let id = 0; id <= 4; id++) queues.connectionClosed(id)
        expect([queues.size, queues.queued, queues.unsettled]).toEqual([0, 0, 0])
      }),
      { numRuns: 1000 },
    )
  })
})
