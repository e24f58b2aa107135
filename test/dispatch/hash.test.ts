import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { shardOf } from '../../src/dispatch/dispatcher.ts'
import { fiveTupleHash } from '../../src/dispatch/hash.ts'
import { reversed, type ViewFields, viewOf } from '../support/views.ts'

const KEY = 0x1234567
const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff })
const port = fc.integer({ min: 0, max: 65_535 })

function hashOf(fields: ViewFields, salt = 0, key = KEY): number {
  const { bytes, ipAt, ipVersion, tcpAt } = viewOf(fields)
  return fiveTupleHash(bytes, ipAt, ipVersion, tcpAt, salt, key)
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

function tuple(
  source: number,
  destination: number,
  sourcePort: number,
  destinationPort: number,
  isV6: boolean,
): ViewFields {
  const text = (a: number) =>
    isV6 ? `2001:db8:0:0:0:0:${(a >>> 16).toString(16)}:${(a & 0xffff).toString(16)}` : dotted(a)
  return { source: text(source), destination: text(destination), sourcePort, destinationPort }
}

describe('the hash of a five-tuple', () => {
  test('is the same for both directions, whatever the key', () => {
    fc.assert(
      fc.property(int32, int32, port, port, fc.boolean(), int32, fc.nat(10), (a, b, p, q, isV6, key, salt) => {
        const there = tuple(a, b, p, q, isV6)
        expect(hashOf(there, salt, key)).toBe(hashOf(reversed(there), salt, key))
      }),
    )
  })

  test('is an int32', () => {
    fc.assert(
      fc.property(int32, int32, port, port, int32, (a, b, p, q, key) => {
        const hash = hashOf(tuple(a, b, p, q, false), 0, key)
        expect(hash).toBe(hash | 0)
      }),
    )
  })

  test('differs with the key, the VNI where it is part of it, each address and each port', () => {
    const base = tuple(0x0a000001, 0x0a000002, 40_000, 80, false)
    const others = [
      hashOf(base, 0, KEY + 1),
      hashOf(base, 1),
      hashOf(base, 2),
      hashOf({ ...base, source: '10.0.0.3' }),
      hashOf({ ...base, destination: '10.0.0.4' }),
      hashOf({ ...base, sourcePort: 40_001 }),
      hashOf({ ...base, destinationPort: 81 }),
      // Ports exchanged, addresses not: another connection.
      hashOf({ ...base, sourcePort: 80, destinationPort: 40_000 }),
    ]
    expect(new Set([hashOf(base), ...others]).size).toBe(others.length + 1)
  })

  test('cannot be aimed: addresses chosen to cancel out their ports do not collide, under any key', () => {
    for (const isV6 of [false, true]) {
      for (const key of [0, 1, -1, KEY]) {
        const hashes = new Set<number>()
        for (let p = 0; p < 2000; p++) {
          hashes.add(hashOf(tuple(0x0a0b0c0d ^ Math.imul(p + 1, 0x9e3779b1), 0x0a000002, p, 80, isV6), 0, key))
        }
        expect(hashes.size).toBeGreaterThan(1990)
      }
    }
  })
})

describe('shards', () => {
  /** Five standard deviations above the mean of chi-square with n - 1 degrees of freedom; the inputs are fixed, so it holds or not. */
  const limit = (n: number) => n - 1 + 5 * Math.sqrt(2 * Math.max(1, n - 1)) + 5

  const patterns: Record<string, (i: number) => ViewFields> = {
    'sequential ports of one client': (i) => tuple(0x0a000001, 0x0a000002, 20_000 + i, 80, false),
    'sequential clients on one port': (i) => tuple(0x0a000001 + i, 0xc0a80001, 40_000, 443, false),
    'clients a /16 apart': (i) => tuple((i << 16) | 1, 0xc0a80001, 40_000, 443, false),
    'sequential IPv6 clients': (i) => tuple(i, 0x10000, 40_000, 443, true),
  }
  for (const [name, flow] of Object.entries(patterns)) {
    test(`are loaded evenly by ${name}, and the lower bits of each shard’s flows too`, () => {
      const flows = 8000
      for (const key of [KEY, 99]) {
        const hashes = Array.from({ length: flows }, (_, i) => hashOf(flow(i), 0, key))
        for (let shards = 1; shards <= 16; shards++) {
          const load = Array<number>(shards).fill(0)
          for (const hash of hashes) load[shardOf(hash, shards)]! += 1
          expect(chiSquare(load, flows), `${shards} shards`).toBeLessThan(limit(shards))
        }
        const buckets = Array<number>(64).fill(0)
        const mine = hashes.filter((hash) => shardOf(hash, 4) === 2)
        for (const hash of mine) buckets[hash & 63]! += 1
        expect(chiSquare(buckets, mine.length)).toBeLessThan(limit(64))
      }
    })
  }

  test('the index is always one of them', () => {
    fc.assert(
      fc.property(int32, fc.integer({ min: 1, max: 65_536 }), (hash, shards) => {
        const shard = shardOf(hash, shards)
        expect(shard >= 0 && shard < shards && Number.isInteger(shard)).toBe(true)
      }),
    )
    expect(shardOf(-1, 7)).toBe(6)
    expect(shardOf(0, 7)).toBe(0)
  })
})

function chiSquare(counts: readonly number[], total: number): number {
  const expected = total / counts.length
  return counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
}
