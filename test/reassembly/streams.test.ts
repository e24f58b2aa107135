import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seqAdd } from '../../src/wire/seq.ts'
import { ACK, FIN, Rig, RST, SYN, type Temper } from './rig.ts'

/** A piece of a direction's stream, as a packet. Positions count from the first byte. */
interface Segment {
  readonly direction: 0 | 1
  readonly at: number
  readonly end: number
  /** Position in the other stream that it acknowledges. */
  readonly ack: number
  readonly isFin: boolean
  /** Place in the order of sending. */
  readonly order: number
}

interface Scenario {
  readonly streams: readonly [string, string]
  readonly isns: readonly [number, number]
  readonly segments: readonly Segment[]
}

const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff })
/** Numbers that wrap within a few hundred bytes, in either sense. */
const isn = fc.oneof(int32, fc.integer({ min: -300, max: 10 }), fc.integer({ min: 0x7fffffff - 300, max: 0x7fffffff }))

/** A conversation in the order its sender's would see it: turns of both sides, each acknowledging what it had. */
const conversation: fc.Arbitrary<Scenario> = fc
  .record({
    turns: fc.array(
      fc.record({
        direction: fc.constantFrom<0 | 1>(0, 1),
        length: fc.integer({ min: 1, max: 60 }),
        size: fc.integer({ min: 1, max: 30 }),
      }),
      {
        minLength: 1,
        maxLength: 12,
      },
    ),
    isns: fc.tuple(isn, isn),
  })
  .map(({ turns, isns }) => {
    const streams: [string, string] = ['', '']
    const segments: Segment[] = []
    const push = (direction: 0 | 1, at: number, end: number, isFin: boolean, ack = streams[direction ^ 1]!.length) =>
      segments.push({ direction, at, end, ack, isFin, order: segments.length })
    for (const { direction, length, size } of turns) {
      const from = streams[direction].length
      streams[direction] += Array.from({ length }, (_, i) =>
        String.fromCharCode(97 + ((from + i + 13 * direction) % 26)),
      ).join('')
      for (let at = from; at < from + length; at += size) push(direction, at, Math.min(at + size, from + length), false)
      // The other side says that it has them.
      push(
        (direction ^ 1) as 0 | 1,
        streams[direction ^ 1]!.length,
        streams[direction ^ 1]!.length,
        false,
        streams[direction].length,
      )
    }
    for (const direction of [0, 1] as const) push(direction, streams[direction].length, streams[direction].length, true)
    return { streams, isns, segments }
  })

/** What a mirror does to it: duplicates, other boundaries, late arrivals. Every byte still comes. */
function disturbed(scenario: Scenario, random: () => number, lateness: number): Segment[] {
  const arrivals: { segment: Segment; key: number }[] = []
  for (const segment of scenario.segments) {
    const late = () => segment.order + (random() < 0.5 ? 0 : random() * lateness)
    arrivals.push({ segment, key: late() })
    if (segment.end > segment.at && random() < 0.3) {
      // Sent again with other boundaries, and the same bytes; never what its sender knows to have arrived.
      const at = Math.max(acknowledgedBefore(scenario, segment), segment.at - Math.floor(random() * 10))
      arrivals.push({
        segment: { ...segment, at, end: Math.max(at + 1, segment.end - Math.floor(random() * 10)) },
        key: late() + 2,
      })
    }
    if (random() < 0.1) arrivals.push({ segment, key: late() + 1 })
  }
  return arrivals.sort((a, b) => a.key - b.key).map(({ segment }) => segment)
}

/** How far the other side had acknowledged when the segment was sent. */
function acknowledgedBefore({ segments }: Scenario, segment: Segment): number {
  const answers = segments.filter((s) => s.direction !== segment.direction && s.order < segment.order)
  return Math.max(0, ...answers.map((s) => s.ack))
}

function send(rig: Rig, { streams, isns }: Scenario, s: Segment): void {
  const fields = {
    seq: seqAdd(isns[s.direction]!, 1 + s.at),
    ack: seqAdd(isns[s.direction ^ 1]!, 1 + s.ack),
    data: streams[s.direction]!.slice(s.at, s.end),
    flags: ACK | (s.isFin ? FIN : 0),
  }
  if (s.direction === 0) rig.client(fields)
  else rig.server(fields)
}

/** A cheap generator for the inside of a property: one seed shrinks better than a thousand choices. */
function randomFrom(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 0x100000000
  }
}

/** What must be delivered of a stream when only `arrived` came: runs of bytes, and gaps with their exact lengths. */
function withGaps(stream: string, arrived: readonly Segment[]): string {
  const has = Array<boolean>(stream.length).fill(false)
  for (const { at, end } of arrived) has.fill(true, at, end)
  let out = ''
  for (let i = 0; i < stream.length; ) {
    const start = i
    while (i < stream.length && has[i] === has[start]) i++
    out += has[start] ? stream.slice(start, i) : `<${i - start}>`
  }
  return out
}

const seed = fc.integer({ min: 1, max: 0x7fffffff })
const policy = fc.constantFrom('linux' as const, 'first' as const, 'last' as const)
/** No hole grows old: what is then still missing is declared at the end. */
const PATIENT = { reorderWindowPackets: 100_000, reorderWindowMs: 1e9 }

describe('whatever order a mirror delivers in', () => {
  test('both streams come out whole and without a gap, across the wrap, with any policy', () => {
    fc.assert(
      fc.property(conversation, seed, policy, fc.constantFrom(0, 3, 40), (scenario, s, overlap, lateness) => {
        const rig = new Rig({ ...PATIENT, overlap }, { waitsForPeer: 1 })
        rig.handshake(scenario.isns[0], scenario.isns[1])
        for (const segment of disturbed(scenario, randomFrom(s), lateness)) {
          rig.pass(10)
          send(rig, scenario, segment)
        }
        expect([rig.get('gaps'), rig.get('overlapsDiffering'), rig.reassembler.open]).toEqual([0, 0, 0])
        expect(rig.streams).toHaveLength(1)
        expect([rig.stream.text(0), rig.stream.text(1)]).toEqual(scenario.streams)
        expect(rig.stream.log.at(-1)).toBe('close fin')
        rig.checkWheel()
        rig.closeAll()
      }),
      { numRuns: 400 },
    )
  })

  test('what never came is signalled: once, exactly as long, where it belongs; all else is delivered', () => {
    fc.assert(
      fc.property(conversation, seed, policy, fc.constantFrom(0, 5, 40), (scenario, s, overlap, lateness) => {
        const rig = new Rig({ ...PATIENT, overlap }, { waitsForPeer: 1 })
        const random = randomFrom(s)
        rig.handshake(scenario.isns[0], scenario.isns[1])
        // The FINs arrive, so that the length of each stream is known.
        const arrived = disturbed(scenario, random, lateness).filter((segment) => segment.isFin || random() < 0.7)
        for (const segment of arrived) send(rig, scenario, segment)
        // What each side says at last shows how far it had come: acknowledgements of what was lost are believed then.
        const [end0, end1] = [0, 1].map((d) => seqAdd(scenario.isns[d]!, 2 + scenario.streams[d]!.length)) as [
          number,
          number,
        ]
        rig.client({ seq: end0, ack: end1 })
        rig.server({ seq: end1, ack: end0 })
        rig.closeAll()
        for (const direction of [0, 1] as const) {
          const own = arrived.filter((segment) => segment.direction === direction)
          expect(rig.streams[0]?.text(direction) ?? '').toBe(withGaps(scenario.streams[direction], own))
        }
      }),
      { numRuns: 400 },
    )
  })

  test('the same with a window that ends while packets still come: a byte is delivered or in a gap, once, and nothing is invented', () => {
    fc.assert(
      fc.property(
        conversation,
        seed,
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 1, max: 200 }),
        (scenario, s, reorderWindowPackets, stepMs) => {
          const rig = new Rig({ reorderWindowPackets, reorderWindowMs: 300 }, { waitsForPeer: 1 })
          const random = randomFrom(s)
          rig.handshake(scenario.isns[0], scenario.isns[1])
          for (const segment of disturbed(scenario, random, 10)) {
            rig.pass(stepMs * 1000 * random())
            if (segment.isFin || random() < 0.9) send(rig, scenario, segment)
          }
          rig.closeAll()
          for (const direction of [0, 1] as const) {
            const stream = scenario.streams[direction]
            let at = 0
            for (const line of rig.streams.flatMap((r) => r.log)) {
              const [, own, what] = /^(\d) (.*)$/.exec(line) ?? []
              if (Number(own) !== direction || what === undefined || what.startsWith('end ')) continue
              const gap = /^gap (\d+)$/.exec(what)
              if (gap === null) expect(what).toBe(stream.slice(at, at + what.length))
              at += gap === null ? what.length : Number(gap[1])
            }
            // One more where the acknowledgement of a FIN was taken for a byte.
            expect(at - stream.length === 0 || at - stream.length === 1).toBe(true)
          }
        },
      ),
      { numRuns: 400 },
    )
  })

  test('one direction of it alone does as well', () => {
    fc.assert(
      fc.property(conversation, seed, fc.constantFrom<0 | 1>(0, 1), fc.boolean(), (scenario, s, direction, isLossy) => {
        const rig = new Rig(PATIENT, { waitsForPeer: 1 })
        const random = randomFrom(s)
        if (direction === 0) rig.client({ flags: SYN, seq: scenario.isns[0] })
        else rig.server({ flags: SYN | ACK, seq: scenario.isns[1], ack: seqAdd(scenario.isns[0], 1) })
        const arrived = disturbed(scenario, random, 5).filter(
          (x) => x.direction === direction && (x.isFin || !isLossy || random() < 0.7),
        )
        for (const segment of arrived) send(rig, scenario, segment)
        rig.closeAll()
        expect(rig.streams[0]?.text(0) ?? '').toBe(withGaps(scenario.streams[direction], arrived))
      }),
      { numRuns: 400 },
    )
  })

  test('parsers that take what they like, when they like, get every byte once', () => {
    fc.assert(
      fc.property(conversation, seed, (scenario, s) => {
        const random = randomFrom(s)
        const temper: Temper = {
          waitsForPeer: 1,
          takes: (direction, length) =>
            direction === 0 && random() < 0.5 ? Math.floor(random() * (length + 1)) : length,
        }
        const rig = new Rig(PATIENT, temper)
        rig.handshake(scenario.isns[0], scenario.isns[1])
        for (const segment of disturbed(scenario, random, 10)) {
          send(rig, scenario, segment)
          if (random() < 0.3) rig.streams[0]?.resume()
          if (random() < 0.3) rig.tick(100)
        }
        rig.closeAll()
        expect(rig.get('gaps')).toBe(0)
        expect([rig.stream.text(0), rig.stream.text(1)]).toEqual(scenario.streams)
      }),
      { numRuns: 400 },
    )
  })
})

describe('anything at all', () => {
  const packet = fc.record({
    flow: fc.nat(3),
    isServer: fc.boolean(),
    flags: fc.oneof(
      { weight: 6, arbitrary: fc.constant(ACK) },
      fc.constantFrom(0, SYN, SYN | ACK, FIN | ACK, RST, RST | ACK),
      fc.integer({ min: 0, max: 63 }),
    ),
    seq: fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: -20, max: 200 }) },
      fc.integer({ min: -5000, max: 5000 }),
      fc.constantFrom((1 << 24) - 1, 1 << 24, (1 << 24) + 1, -(1 << 24), 1 << 30, -0x80000000),
    ),
    ack: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) }, int32),
    length: fc.oneof(fc.constantFrom(0, 0, 1), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 900 })),
    missing: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(40)),
    passMs: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0, 1) }, fc.nat(100), fc.nat(4000)),
    also: fc.oneof(
      { weight: 10, arbitrary: fc.constant('nothing' as const) },
      fc.constantFrom('tick' as const, 'resume' as const, 'closeAll' as const),
    ),
  })
  const options = fc.record({
    overlap: policy,
    maxFlows: fc.constantFrom(2, 100),
    idleTimeoutMs: fc.constantFrom(2000, 60_000),
    closingTimeoutMs: fc.constantFrom(500, 5000),
    outOfOrderBytes: fc.constantFrom(600, 4000, 1 << 20),
    outOfOrderTotalBytes: fc.constantFrom(1500, 1 << 22),
    reorderWindowPackets: fc.constantFrom(0, 3, 1000),
    reorderWindowMs: fc.constantFrom(0, 50, 5000),
  })

  test('keeps every parser’s contract, every account and every bound, and leaves nothing behind', () => {
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 120 }),
        options,
        seed,
        fc.constantFrom(-1, 0, 1),
        fc.boolean(),
        isn,
        (packets, o, s, waitsForPeer, isSlow, base) => {
          const random = randomFrom(s)
          const temper: Temper = {
            waitsForPeer,
            ...(isSlow ? { takes: (_: number, length: number) => Math.floor(random() * (length + 1)) } : {}),
          }
          const rig = new Rig(o, temper)
          for (const p of packets) {
            rig.pass(p.passMs * 1000)
            const fields = {
              sourcePort: 40_000 + p.flow,
              seq: seqAdd(base, p.seq),
              ack: seqAdd(base, p.ack),
              flags: p.flags,
              data: 'x'.repeat(p.length),
              missing: Math.min(p.missing, p.length),
            }
            if (p.isServer) rig.server(fields)
            else rig.client(fields)
            if (p.also === 'tick') rig.tick(1000)
            if (p.also === 'resume') for (const stream of rig.streams) stream.resume()
            if (p.also === 'closeAll') rig.closeAll()
            rig.checkWheel()
          }
          // With time alone, too, everything ends.
          rig.tick(61_000_000)
          rig.tick(61_000_000)
          rig.tick(61_000_000)
          expect(rig.reassembler.table.size).toBe(0)
          rig.closeAll()
        },
      ),
      { numRuns: 400 },
    )
  })

  test('delivers each byte of a direction at most once: positions only grow', () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 80 }), seed, (packets, s) => {
        const rig = new Rig({ reorderWindowPackets: 3 })
        const random = randomFrom(s)
        rig.handshake(-50, 900)
        for (const p of packets) {
          if ((p.flags & (SYN | RST)) !== 0 || Math.abs(p.seq) > 5000) continue
          rig.client({ seq: p.seq - 49, ack: 901, data: 'x'.repeat(p.length) })
          if (random() < 0.3) rig.server({ seq: 901, ack: p.ack & 0xff })
        }
        rig.closeAll()
        const ats = rig.streams.flatMap((r) => r.pieces.map((piece) => piece.offset))
        for (let i = 1; i < ats.length; i++) expect(ats[i]!).toBeGreaterThan(ats[i - 1]!)
      }),
      { numRuns: 400 },
    )
  })
})
