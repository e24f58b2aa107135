import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  OUTCOME_NAMES,
  PACKET_DROP_NAMES,
  PacketDrop,
  REQUEST_DROP_NAMES,
  RESPONSE_DROP_NAMES,
  RequestDrop,
  ResponseDrop,
} from '../../src/base/drop.ts'
import {
  Counter,
  CounterBlock,
  OUTCOMES,
  PACKET_DROPS,
  REQUEST_DROPS,
  RESPONSE_DROPS,
} from '../../src/metrics/counters.ts'
import { SCALARS, type ScalarName } from '../../src/metrics/scalars.ts'
import { abandonRings, settleReceiver, settleShard } from '../../src/topology/settlement.ts'

const PACKETS = [PACKET_DROPS, PACKET_DROP_NAMES.length] as const
const REQUESTS = [REQUEST_DROPS, REQUEST_DROP_NAMES.length] as const
const RESPONSES = [RESPONSE_DROPS, RESPONSE_DROP_NAMES.length] as const
const ENDED = [OUTCOMES, OUTCOME_NAMES.length] as const

function sum({ values }: CounterBlock, [at, length]: readonly [number, number]): number {
  return values.subarray(at, at + length).reduce((a, b) => a + b, 0)
}

/** Counters as a worker may leave them: any values, and at least as much begun as ended. */
const left = fc
  .record({
    scalars: fc.array(fc.nat(1000), {
      minLength: Object.keys(SCALARS).length,
      maxLength: Object.keys(SCALARS).length,
    }),
    reasons: fc.array(fc.tuple(fc.nat(), fc.nat(50)), { maxLength: 20 }),
    unfinished: fc.tuple(fc.nat(100), fc.nat(100), fc.nat(100)),
  })
  .map(({ scalars, reasons, unfinished }) => {
    const counters = new CounterBlock()
    counters.values.set(scalars)
    for (const [i, n] of reasons) {
      // Reason 0 means none, and is never counted.
      for (const [at, length] of [PACKETS, REQUESTS, RESPONSES, ENDED]) counters.add(at + 1 + (i % (length - 1)), n)
    }
    const [packets, requests, responses] = unfinished
    const forwarded = counters.get(Counter.requestsForwarded)
    counters.set(Counter.requestsParsed, forwarded + sum(counters, REQUESTS) + sum(counters, ENDED) + requests)
    counters.set(
      Counter.responsesParsed,
      counters.get(Counter.responsesCompleted) + sum(counters, RESPONSES) + responses,
    )
    const packetsEnded = counters.get(Counter.packetsProcessed) + sum(counters, PACKETS)
    return { counters, before: counters.values.slice(), packets, requests, responses, packetsEnded }
  })

describe('a shard whose worker died', () => {
  test('has lost what was taken and not ended, no more and no less', () => {
    fc.assert(
      fc.property(left, ({ counters, before, packets, requests, responses, packetsEnded }) => {
        settleShard(counters, packetsEnded + packets)
        const gained = (index: number) => counters.values[index]! - before[index]!
        expect(gained(PACKET_DROPS + PacketDrop.shardLost)).toBe(packets)
        expect(gained(REQUEST_DROPS + RequestDrop.shardLost)).toBe(requests)
        expect(gained(RESPONSE_DROPS + ResponseDrop.shardLost)).toBe(responses)
        expect(gained(Counter.flowsLost)).toBe(before[Counter.flowsUnsettled])
        expect(counters.get(Counter.packetsProcessed) + sum(counters, PACKETS)).toBe(packetsEnded + packets)
        const forwarded = counters.get(Counter.requestsForwarded)
        expect(forwarded + sum(counters, REQUESTS) + sum(counters, ENDED)).toBe(counters.get(Counter.requestsParsed))
      }),
    )
  })

  test('is settled once: what is settled has nothing more to lose', () => {
    fc.assert(
      fc.property(left, ({ counters, packets, packetsEnded }) => {
        settleShard(counters, packetsEnded + packets)
        const after = counters.values.slice()
        settleShard(counters, packetsEnded + packets)
        expect(counters.values).toEqual(after)
      }),
    )
  })

  test('shows no gauge of a worker that is gone, and keeps every count', () => {
    fc.assert(
      fc.property(left, ({ counters, before, packets, packetsEnded }) => {
        settleShard(counters, packetsEnded + packets)
        for (const name of Object.keys(SCALARS) as ScalarName[]) {
          if (SCALARS[name].kind === 'counter')
            expect(counters.get(Counter[name])).toBeGreaterThanOrEqual(before[Counter[name]]!)
          // Those that only receivers and the main thread set are not a shard's.
          else if (!NOT_OF_SHARDS.has(name)) expect([name, counters.get(Counter[name])]).toEqual([name, 0])
        }
      }),
    )
  })

  test('that is not started again has lost what still lies in its rings, too', () => {
    const counters = new CounterBlock()
    settleShard(counters, 3)
    abandonRings(counters, 4)
    expect(counters.get(PACKET_DROPS + PacketDrop.shardLost)).toBe(7)
  })
})

const NOT_OF_SHARDS: ReadonlySet<ScalarName> = new Set([
  'fragmentsHeld',
  'fragmentBytes',
  'shedRatio',
  'ringBytes',
  'receiveBufferBytes',
])

describe('a receiver that died', () => {
  test('has lost what the kernel gave it and it neither handed over nor ended, waiting fragments among it', () => {
    fc.assert(
      fc.property(left, fc.nat(100), fc.nat(100), ({ counters, before, packetsEnded }, handedOver, lost) => {
        const taken = packetsEnded + handedOver + lost
        settleReceiver(counters, taken, handedOver)
        expect(
          counters.get(PACKET_DROPS + PacketDrop.receiverLost) - before[PACKET_DROPS + PacketDrop.receiverLost]!,
        ).toBe(lost)
        expect(counters.get(Counter.packetsReceived)).toBe(taken)
        expect(
          counters.get(Counter.packetsProcessed) + sum(counters, PACKETS) + counters.get(Counter.packetsDispatched),
        ).toBe(taken)
        expect(counters.get(Counter.fragmentsHeld)).toBe(0)
      }),
    )
  })
})
