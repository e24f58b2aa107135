import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ACK, FIN, privates, Rig, RST, SYN } from './rig.ts'

/** Mostly what a connection in order does, with everything else in between. */
const step = fc.record({
  isClient: fc.boolean(),
  /** Where the packet begins, against the end of what its side sent so far. */
  shift: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -40, max: 40 }) },
  ),
  length: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20 })),
  /** What it acknowledges, against the end of what the other side sent. */
  ackShift: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -40, max: 40 }) },
  ),
  flags: fc.oneof(
    { weight: 12, arbitrary: fc.constant<number>(ACK) },
    { weight: 1, arbitrary: fc.constantFrom<number>(0, SYN, SYN | ACK, FIN | ACK, RST, RST | ACK) },
  ),
  missing: fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) },
  ),
  pauseUs: fc.oneof(
    { weight: 8, arbitrary: fc.constant(100) },
    { weight: 1, arbitrary: fc.constantFrom(60_000, 2_000_000, 70_000_000) },
  ),
})

const scenario = fc.record({
  hasHandshake: fc.boolean(),
  isn: fc.constantFrom(1000, -5, 0x7ffffff0),
  steps: fc.array(step, { maxLength: 40 }),
  overlap: fc.constantFrom<'linux' | 'first' | 'last'>('linux', 'first', 'last'),
  waitsForPeer: fc.constantFrom(-1, 0, 1),
  takesUpTo: fc.constantFrom(Number.POSITIVE_INFINITY, 7),
})

type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never

function run({ hasHandshake, isn, steps, overlap, waitsForPeer, takesUpTo }: Scenario, isFast: boolean) {
  const rig = new Rig(
    { overlap, reorderWindowPackets: 6 },
    { waitsForPeer, takes: (_, length) => Math.min(length, takesUpTo) },
  )
  if (!isFast) privates<{ fastPath: { take: () => boolean } }>(rig.reassembler).fastPath.take = () => false
  if (hasHandshake) rig.handshake(isn - 1, 4999)
  const sent = [isn, 5000]
  for (const { isClient, shift, length, ackShift, flags, missing, pauseUs } of steps) {
    const own = isClient ? 0 : 1
    const seq = (sent[own]! + shift) | 0
    const data = Array.from({ length }, (_, i) => String.fromCharCode(97 + (Math.abs(seq + i) % 26))).join('')
    const fields = { seq, ack: (sent[own ^ 1]! + ackShift) | 0, flags, data, missing: Math.min(missing, length) }
    if (isClient) rig.client(fields)
    else rig.server(fields)
    if (shift === 0) sent[own] = (seq + length) | 0
    rig.pass(pauseUs)
    if (pauseUs > 100) {
      for (const stream of rig.streams) stream.resume()
      rig.tick()
    }
  }
  rig.closeAll()
  return { logs: rig.streams.map((s) => [s.log, s.pieces]), counters: [...rig.counters.values] }
}

test('the fast path does what the slow one does: the same deliveries, gaps, ends and counts', () => {
  fc.assert(
    fc.property(scenario, (s) => {
      expect(run(s, true)).toEqual(run(s, false))
    }),
    { numRuns: 800 },
  )
})

test('beside a second handshake whose numbers are near, what is in order is the connection read, on both paths', () => {
  const first: Scenario['steps'][number] = {
    isClient: false,
    shift: 0,
    length: 2,
    ackShift: 0,
    flags: ACK,
    missing: 0,
    pauseUs: 100,
  }
  const another = { ...first, shift: -4, length: 0, flags: SYN | ACK }
  const steps = [first, another, { ...first, isClient: true, length: 1, ackShift: -1 }]
  const base: Scenario = { hasHandshake: true, isn: 1000, steps, overlap: 'linux', waitsForPeer: -1, takesUpTo: 7 }
  const { logs } = run(base, true)
  expect(logs).toEqual(run(base, false).logs)
  expect(logs.length).toBe(1)
})

test('most packets of a connection in order take the fast path', () => {
  const rig = new Rig()
  let fast = 0
  const inner = privates<{ fastPath: { take: (...a: unknown[]) => boolean } }>(rig.reassembler).fastPath
  const original = inner.take.bind(inner)
  inner.take = (...a) => {
    const isFast = original(...a)
    if (isFast) fast++
    return isFast
  }
  rig.handshake(0, 1000)
  let seq = 1
  let answered = 1001
  for (let i = 0; i < 100; i++) {
    rig.client({ seq, ack: answered, data: 'question' })
    seq += 8
    rig.server({ seq: answered, ack: seq, data: 'answer' })
    answered += 6
    rig.client({ seq, ack: answered })
  }
  expect(fast).toBeGreaterThanOrEqual(296)
})
