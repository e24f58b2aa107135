import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PacketDrop } from '../../src/base/drop.ts'
import { FragmentStore } from '../../src/decapsulation/fragment-store.ts'
import { Counter, CounterBlock, PACKET_DROPS } from '../../src/metrics/counters.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { fragmentHeader, fragmentIpv4, fragmentIpv6, ipv4, ipv6, tcp } from '../support/packets.ts'
import { type Given, Walker } from './walk.ts'

const OVERHEAD = 256

class Rig {
  readonly counters = new CounterBlock()
  readonly store: FragmentStore

  constructor(limits: { datagrams?: number; bytes?: number; timeoutMs?: number } = {}) {
    this.store = new FragmentStore({ datagrams: 64, bytes: 1 << 20, timeoutMs: 1000, ...limits }, this.counters)
  }

  /** @returns the whole packet as text, or null */
  add(packet: Buffer, nowUs = 0): Buffer | null {
    const headerLength = (packet[0]! & 15) << 2
    return this.store.addIpv4(packet, 0, headerLength, packet.length, -1, nowUs)
  }

  get held(): number {
    return this.counters.get(Counter.fragmentsHeld)
  }

  get bytes(): number {
    return this.counters.get(Counter.fragmentBytes)
  }

  dropped(code: number): number {
    return this.counters.get(PACKET_DROPS + code)
  }
}

/** A fragment of UDP, so that nothing looks into it. */
function fragment(at: number, data: string, more: boolean, id = 1, options = Buffer.alloc(0)): Buffer {
  const payload = Buffer.from(data)
  return ipv4({ protocol: IpProtocol.udp, payload, fragmentOffset: at, moreFragments: more, id, options })
}

describe('fragments', () => {
  test('come out as one packet whose header says what it is: its length, no fragment, its checksum', () => {
    const packet = ipv4({ payload: tcp({ data: 'x'.repeat(100) }), id: 7 })
    const rig = new Rig()
    const outs = fragmentIpv4(packet, 40).map((bytes) => rig.add(bytes))
    expect(outs.at(-1)).toEqual(packet)
    expect(rig.bytes).toBe(0)
  })

  test('of IPv6 come out without fragment header and what stands before it', () => {
    const packet = ipv6({ payload: tcp({ data: 'x'.repeat(100) }) })
    const rig = new Rig()
    const outs = fragmentIpv6(packet, 40).map((bytes) => rig.store.addIpv6(bytes, 0, 40, bytes.length, -1, 0))
    expect(outs.at(-1)).toEqual(packet)
  })

  test('that make the longest packet there can be come out; one byte more is invalid', () => {
    const whole = (size: number) => ipv4({ protocol: IpProtocol.udp, payload: Buffer.alloc(size, 1), totalLength: 20 })
    const rig = new Rig()
    expect(
      fragmentIpv4(whole(65_515), 8000)
        .map((bytes) => rig.add(bytes))
        .at(-1),
    ).toHaveLength(65_535)
    expect(
      fragmentIpv4(whole(65_516), 8000)
        .map((bytes) => rig.add(bytes))
        .at(-1),
    ).toBeNull()
    expect(rig.dropped(PacketDrop.fragmentInvalid)).toBe(1)
  })

  test('of IPv6 may hold 65,535 bytes behind the base header', () => {
    const rig = new Rig()
    const add = (at: number, length: number, more: boolean) => {
      const bytes = ipv6({
        protocol: IpProtocol.udp,
        payload: Buffer.alloc(length, 1),
        extensions: [fragmentHeader(1, at, more)],
      })
      return rig.store.addIpv6(bytes, 0, 40, bytes.length, -1, 0)
    }
    expect(add(0, 65_528, true)).toBeNull()
    expect(add(65_528, 7, false)).toHaveLength(40 + 65_535)
  })

  test('whose first one has options that make the whole too long are invalid, and nothing throws', () => {
    const rig = new Rig()
    expect(rig.add(fragment(65_472, 'z'.repeat(43), false))).toBeNull()
    expect(rig.add(fragment(0, 'a'.repeat(65_472), true, 1, Buffer.alloc(40, 1)))).toBeNull()
    expect(rig.dropped(PacketDrop.fragmentInvalid)).toBe(2)
    expect(rig.held).toBe(0)
  })

  const invalid: Record<string, Buffer> = {
    'one with more to come whose length is no multiple of 8': fragment(0, '12345', true),
    'an empty one': fragment(8, '', true),
    'an end beyond 65,535 bytes': fragment(65_528, '12345678', false),
  }
  for (const [name, bytes] of Object.entries(invalid)) {
    test(`invalid: ${name}`, () => {
      const rig = new Rig()
      expect(rig.add(bytes)).toBeNull()
      expect(rig.dropped(PacketDrop.fragmentInvalid)).toBe(1)
      expect(rig.held).toBe(0)
    })
  }

  const contradictions: Record<string, readonly Buffer[]> = {
    overlap: [fragment(0, 'aaaaaaaabbbbbbbb', true), fragment(8, 'bbbbbbbbcccccccc', true)],
    'same place, other bytes': [fragment(0, 'aaaaaaaa', true), fragment(0, 'AAAAAAAA', true)],
    'same start, other length': [fragment(0, 'aaaaaaaa', true), fragment(0, 'aaaaaaaabbbbbbbb', true)],
    'two ends': [fragment(8, 'end', false), fragment(16, 'end', false)],
    'bytes behind the end': [fragment(8, 'end', false), fragment(16, 'cccccccc', true)],
    'an end before bytes that are here': [fragment(16, 'cccccccc', true), fragment(8, 'end', false)],
  }
  for (const [name, packets] of Object.entries(contradictions)) {
    test(`contradiction (${name}): the older set is dropped, the newer one starts afresh`, () => {
      const rig = new Rig()
      for (const bytes of packets) expect(rig.add(bytes)).toBeNull()
      expect(rig.dropped(PacketDrop.fragmentInvalid)).toBe(1)
      expect(rig.held).toBe(1)
    })
  }

  test('that come twice count twice and are used once', () => {
    const rig = new Rig()
    rig.add(fragment(8, 'end', false))
    rig.add(fragment(8, 'end', false))
    expect(rig.held).toBe(2)
    expect(rig.add(fragment(0, 'aaaaaaaa', true))?.toString('latin1', 20)).toBe('aaaaaaaaend')
    expect(rig.held).toBe(0)
    expect(rig.counters.get(Counter.packetsProcessed)).toBe(2)
  })
})

describe('bounds', () => {
  test('the oldest datagram goes when there are too many', () => {
    const rig = new Rig({ datagrams: 2 })
    for (const id of [1, 2, 3]) rig.add(fragment(0, 'aaaaaaaa', true, id))
    expect(rig.dropped(PacketDrop.fragmentLimit)).toBe(1)
    expect(rig.add(fragment(8, 'end', false, 3))?.toString('latin1', 20)).toBe('aaaaaaaaend')
    expect(rig.add(fragment(8, 'end', false, 2))?.toString('latin1', 20)).toBe('aaaaaaaaend')
    expect(rig.add(fragment(8, 'end', false, 1))).toBeNull()
  })

  test('a datagram larger than the whole store is dropped, be it the oldest or the only one', () => {
    const rig = new Rig({ bytes: 3 * (OVERHEAD + 8) })
    rig.add(fragment(0, 'aaaaaaaa', true, 1))
    rig.add(fragment(0, 'aaaaaaaa', true, 2))
    rig.add(fragment(8, 'b'.repeat(800), true, 1))
    expect(rig.dropped(PacketDrop.fragmentLimit)).toBe(3)
    expect([rig.held, rig.bytes]).toEqual([0, 0])
  })

  test('a datagram that did not complete in time is dropped, with all its packets, at its time and not before', () => {
    const rig = new Rig({ timeoutMs: 10 })
    rig.add(fragment(0, 'aaaaaaaa', true, 1), 5000)
    rig.add(fragment(0, 'aaaaaaaa', true, 1), 9000)
    rig.store.expire(14_999)
    expect(rig.held).toBe(2)
    rig.store.expire(15_000)
    expect(rig.held).toBe(0)
    expect(rig.dropped(PacketDrop.fragmentTimeout)).toBe(2)
  })

  test('the end of the input drops what waits', () => {
    const rig = new Rig()
    rig.add(fragment(0, 'aaaaaaaa', true, 1))
    rig.add(fragment(0, 'aaaaaaaa', true, 2))
    rig.store.clear()
    expect(rig.dropped(PacketDrop.fragmentTimeout)).toBe(2)
    expect([rig.held, rig.bytes]).toEqual([0, 0])
  })

  test('received = processed + dropped + held after every fragment, whatever comes, and the bounds hold', () => {
    const step = fc.record({
      id: fc.integer({ min: 1, max: 4 }),
      at: fc.integer({ min: 0, max: 6 }).map((n) => n * 8),
      length: fc.oneof(fc.constantFrom(8, 16, 24), fc.integer({ min: 0, max: 40 })),
      more: fc.boolean(),
      fill: fc.constantFrom('a', 'b'),
      delayUs: fc.constantFrom(0, 0, 100, 700),
    })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 100, max: 2000 }),
        (steps, datagrams, bytes) => {
          const rig = new Rig({ datagrams, bytes, timeoutMs: 1 })
          let nowUs = 0
          let wholes = 0
          for (const [i, s] of steps.entries()) {
            nowUs += s.delayUs
            if (rig.add(fragment(s.at, s.fill.repeat(s.length), s.more, s.id), nowUs) !== null) wholes++
            const dropped = rig.counters.values.subarray(PACKET_DROPS, PACKET_DROPS + 64).reduce((a, b) => a + b, 0)
            expect(rig.counters.get(Counter.packetsProcessed) + wholes + dropped + rig.held).toBe(i + 1)
            expect(rig.held).toBeGreaterThanOrEqual(0)
            expect(rig.bytes).toBeGreaterThanOrEqual(rig.held * OVERHEAD)
            expect(rig.bytes).toBeLessThanOrEqual(bytes)
          }
          rig.store.clear()
          expect([rig.held, rig.bytes]).toEqual([0, 0])
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a flood of the smallest fragments costs about the same for each', () => {
    const run = (n: number) => {
      const rig = new Rig({ bytes: 1 << 24, datagrams: 4096 })
      const packets = Array.from({ length: n }, (_, i) => fragment((i % 8000) * 8, '12345678', true, (i / 8000) | 0))
      const started = performance.now()
      for (const bytes of packets.reverse()) rig.add(bytes)
      return performance.now() - started
    }
    run(4000)
    expect(run(40_000)).toBeLessThan(100 * Math.max(5, run(4000)))
  })
})

describe('two datagrams that use the same identification', () => {
  test('and differ: what comes out is byte for byte one of them, however their fragments interleave', () => {
    // Texts that differ by one in every byte: no mixture of them has the checksum of either.
    const units = fc.integer({ min: 2, max: 6 })
    fc.assert(
      fc.property(
        fc.integer({ min: 60, max: 200 }),
        fc.boolean(),
        units,
        units,
        fc.infiniteStream(fc.boolean()),
        (length, isV6, unitsA, unitsB, coin) => {
          const texts = ['a'.repeat(length), 'b'.repeat(length)]
          const cut = (text: string, size: number) =>
            isV6
              ? fragmentIpv6(ipv6({ payload: tcp({ data: text }) }), size)
              : fragmentIpv4(ipv4({ payload: tcp({ data: text }) }), size)
          const queues = [cut(texts[0]!, unitsA * 8), cut(texts[1]!, unitsB * 8)]
          const walker = new Walker()
          while (queues[0]!.length + queues[1]!.length > 0) {
            const pick = queues[0]!.length === 0 ? 1 : queues[1]!.length === 0 ? 0 : Number(coin.next().value)
            const given: Given = { entry: { linkType: LinkType.raw }, bytes: queues[pick]!.shift()! }
            const found = walker.walk(given)
            expect(['held', 'tcp', 'tcpChecksum']).toContain(found.verdict)
            if (found.verdict === 'tcp') expect(texts).toContain(found.data)
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  test('one after the other: both come out, also when the first lost a fragment', () => {
    const [a, b] = ['first '.repeat(20), 'other '.repeat(20)].map((data) =>
      fragmentIpv4(ipv4({ payload: tcp({ data }) }), 64),
    )
    const walker = new Walker()
    const walkAll = (packets: readonly Buffer[]) =>
      packets.map((bytes) => walker.walk({ entry: { linkType: LinkType.raw }, bytes })).at(-1)
    expect(walkAll([...a!, ...b!])).toMatchObject({ data: 'other '.repeat(20) })
    expect(walkAll([a![0]!, ...b!])).toMatchObject({ data: 'other '.repeat(20) })
  })
})
