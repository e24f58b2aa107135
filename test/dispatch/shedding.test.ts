import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PacketDrop } from '../../src/base/drop.ts'
import { RingOutlet, shardOf } from '../../src/dispatch/dispatcher.ts'
import { placeOf, Shedding, ShedLevels, shedLevelBytes } from '../../src/dispatch/shedding.ts'
import { RING_MIN_CAPACITY, RingConsumer, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import { viewOf } from '../support/views.ts'

const ABOVE = 0.5
const PLACES = 1 << 24

function random(seed: number): () => number {
  let x = seed | 0
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) | 0
    return (x >>> 0) / 2 ** 32
  }
}

function hashes(count: number, seed: number): number[] {
  const next = random(seed)
  return Array.from({ length: count }, () => Math.floor(next() * 2 ** 32) | 0)
}

/** One producer, one shard; time in milliseconds. */
class Rig {
  readonly memory = new SharedArrayBuffer(shedLevelBytes(1, 1))
  readonly shedding = new Shedding(this.memory, 0, 1, 1, ABOVE)
  private readonly backlogs = new Float64Array(1)
  private nowUs = 0

  see(backlog: number, afterMs: number): number {
    this.nowUs += afterMs * 1000
    this.backlogs[0] = backlog
    this.shedding.judge(this.backlogs, this.nowUs)
    return this.share
  }

  get share(): number {
    return this.shedding.level(0) / PLACES
  }
}

describe('a connection’s place', () => {
  test.each([2, 3, 7, 64])(
    'is spread alike in each of %i shards: a share of the places is that share of each shard',
    (shards) => {
      const perShard = Array.from({ length: shards }, () => ({ all: 0, below: 0 }))
      for (const hash of hashes(200_000, 1)) {
        const shard = perShard[shardOf(hash, shards)]!
        shard.all++
        if (placeOf(hash) < 0.3 * PLACES) shard.below++
      }
      for (const { all, below } of perShard) expect(Math.abs(below / all - 0.3)).toBeLessThan(0.05)
    },
  )

  test('does not follow the row in the flow table: who is left is spread over the lower bits of the hash', () => {
    const rows = new Array(64).fill(0)
    for (const hash of hashes(200_000, 2)) if (placeOf(hash) >= 0.8 * PLACES) rows[hash & 63]++
    const mean = (200_000 * 0.2) / 64
    for (const row of rows) expect(Math.abs(row / mean - 1)).toBeLessThan(0.25)
  })

  test('is a number of 24 bits, whatever the hash', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (hash) => {
        const place = placeOf(hash)
        return Number.isInteger(place) && place >= 0 && place < PLACES
      }),
    )
  })
})

describe('the share of connections shed', () => {
  test('is nothing up to the mark, and then grows at once in proportion to what is above it', () => {
    const rig = new Rig()
    expect(rig.see(0.5, 1)).toBe(0)
    expect(rig.shedding.isActive).toBe(false)
    expect(rig.see(0.725, 1)).toBeCloseTo(0.5)
    expect(rig.shedding.isActive).toBe(true)
    expect(rig.see(0.95, 1)).toBe(1)
  })

  test('holds while the backlog falls to half the mark, comes back slowly from there and fast from an empty ring', () => {
    const rig = new Rig()
    const share = rig.see(0.725, 1)
    for (const backlog of [0.7, 0.5, 0.3, 0.25]) expect(rig.see(backlog, 50)).toBe(share)
    const slow = share - rig.see(0.24, 50)
    expect(slow).toBeGreaterThan(0)
    expect(slow).toBeLessThan(0.01)
    const before = rig.share
    expect(before - rig.see(0, 50)).toBeCloseTo(0.1)
    for (let i = 0; i < 10; i++) rig.see(0, 50)
    expect(rig.share).toBe(0)
    expect(rig.shedding.isActive).toBe(false)
  })

  test('gives back no more after a long pause than after a short one', () => {
    const rig = new Rig()
    rig.see(0.95, 1)
    expect(rig.see(0, 60_000)).toBeGreaterThan(0.85)
  })

  test('sheds the same connections at a small share and at any greater one', () => {
    const some = hashes(5000, 3)
    const rig = new Rig()
    let before = new Set<number>()
    for (const backlog of [0.51, 0.6, 0.7, 0.8, 0.9, 0.95]) {
      rig.see(backlog, 1)
      const shed = new Set(some.filter((hash) => rig.shedding.sheds(hash, 0)))
      expect(shed.size / some.length).toBeCloseTo(rig.share, 1)
      for (const hash of before) expect(shed.has(hash)).toBe(true)
      before = shed
    }
    expect(before.size).toBe(some.length)
  })
})

/**
 * A ring in numbers: what comes in is `factor` times what the shard takes, in batches of 4 ms, from connections of very different weight;
 * the shard pauses now and then.
 */
function overload(factor: number, ringPackets: number, seconds: number, seed: number) {
  const next = random(seed)
  const connections = Array.from({ length: 1000 }, (_, i) => ({
    weight: 1 / (1 + i * 0.05),
    hash: Math.floor(next() * 2 ** 32) | 0,
  }))
  const weights = connections.reduce((sum, { weight }) => sum + weight, 0)
  const rig = new Rig()
  const perBatch = 200
  let [backlog, taken, refused, offered, moved] = [0, 0, 0, 0, 0]
  const fills: number[] = []
  for (let ms = 0; ms < seconds * 1000; ms += 4) {
    const coming = factor * perBatch * (0.9 + 0.2 * next())
    const kept = connections.reduce((sum, c) => (rig.shedding.sheds(c.hash, 0) ? sum : sum + c.weight), 0)
    offered += coming
    backlog += (coming * kept) / weights
    const take = Math.min(backlog, next() < 0.02 ? 0 : perBatch)
    taken += take
    backlog -= take
    if (backlog > ringPackets) {
      refused += backlog - ringPackets
      backlog = ringPackets
    }
    const before = rig.share
    rig.see(backlog / ringPackets, 4)
    moved += Math.abs(rig.share - before)
    if (ms > 3000) fills.push(backlog / ringPackets)
  }
  fills.sort((a, b) => a - b)
  return {
    takenShare: taken / ((perBatch * 0.98 * seconds * 1000) / 4),
    refused,
    movedPerSecond: moved / seconds,
    shed: 1 - taken / offered,
    low: fills[Math.floor(fills.length * 0.05)]!,
    high: fills.at(-1)!,
  }
}

describe('as a control loop', () => {
  // 60,000 small packets are 16 MiB.
  test.each([1.2, 1.5, 2, 3, 5])(
    'at %f times what the shard takes it stays busy, the ring never fills, and few connections change sides',
    (factor) => {
      const seed = 1 + Math.floor(Math.random() * 1e6)
      const result = overload(factor, 60_000, 20, seed)
      expect(result.takenShare, `seed ${seed}`).toBeGreaterThan(0.97)
      expect(result.refused, `seed ${seed}`).toBe(0)
      expect(result.high, `seed ${seed}`).toBeLessThan(0.95)
      expect(result.low, `seed ${seed}`).toBeGreaterThan(0.1)
      expect(result.movedPerSecond, `seed ${seed}`).toBeLessThan(0.1)
    },
  )

  test.each([1.5, 5])(
    'a ring that fills in a tenth of a second swings more and keeps the shard busy all the same (%f times)',
    (factor) => {
      const seed = 1 + Math.floor(Math.random() * 1e6)
      const result = overload(factor, 3_000, 20, seed)
      expect(result.takenShare, `seed ${seed}`).toBeGreaterThan(0.95)
      expect(result.refused, `seed ${seed}`).toBe(0)
    },
  )

  test('below what the shard takes nobody is shed', () => {
    expect(overload(0.9, 60_000, 10, 1).shed).toBeCloseTo(0, 1)
    expect(overload(0.9, 60_000, 10, 1).movedPerSecond).toBe(0)
  })
})

describe('several receivers', () => {
  test('shed alike: the greatest level of a shard is in force for all, so that a connection and its fragments share a fate', () => {
    const memory = new SharedArrayBuffer(shedLevelBytes(3, 20))
    const own = [0, 1, 2].map((producer) => new Shedding(memory, producer, 3, 20, ABOVE))
    const backlogs = own.map(() => new Float64Array(20))
    backlogs[1]![17] = 0.725
    backlogs[2]![17] = 0.6
    // Twice: what a later one asks for is in force for an earlier one when it looks again.
    for (const nowUs of [1000, 2000]) for (const [i, shedding] of own.entries()) shedding.judge(backlogs[i]!, nowUs)
    for (const hash of hashes(1000, 4)) {
      expect(new Set(own.map((shedding) => shedding.sheds(hash, 17))).size).toBe(1)
      for (const shedding of own) expect(shedding.sheds(hash, 16)).toBe(false)
    }
    expect(new ShedLevels(memory, 3, 20).greatestShare()).toBeCloseTo(0.5)
  })

  test('ask for nothing any more when their producer has died; what the others ask for stays', () => {
    const memory = new SharedArrayBuffer(shedLevelBytes(2, 17))
    const levels = new ShedLevels(memory, 2, 17)
    const [one, other] = [0, 1].map((producer) => new Shedding(memory, producer, 2, 17, ABOVE))
    const backlogs = (last: number) => Float64Array.from({ length: 17 }, (_, i) => (i === 16 ? last : 0.6))
    one!.judge(backlogs(0.725), 1000)
    other!.judge(backlogs(0.6), 1000)
    levels.forget(0)
    expect(levels.level(16)).toBe(other!.level(16))
    expect(levels.greatestShare()).toBeCloseTo(0.222, 2)
    other!.judge(backlogs(0.6), 2000)
    levels.forget(1)
    expect(levels.greatestShare()).toBe(0)
    one!.judge(backlogs(0), 3000)
    // A restarted receiver judges its rings anew.
    const restarted = new Shedding(memory, 0, 2, 17, ABOVE)
    levels.forget(0)
    restarted.judge(backlogs(0.725), 4000)
    expect(restarted.isActive).toBe(true)
    expect(levels.level(16) / PLACES).toBeCloseTo(0.5)
  })
})

describe('rings that shed', () => {
  const open = (isShedding: boolean) => {
    const memory = new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY))
    const shedding = isShedding ? new Shedding(new SharedArrayBuffer(shedLevelBytes(1, 1)), 0, 1, 1, ABOVE) : null
    return { outlet: new RingOutlet([new RingProducer(memory)], shedding), consumer: new RingConsumer(memory) }
  }
  const packet = (hash: number) => viewOf({ hash, data: 'x'.repeat(1000) })

  test('refuse whole connections while others pass, as soon as a batch has shown the backlog', () => {
    const { outlet, consumer } = open(true)
    const refused = new Map<number, number>()
    const some = hashes(40, 5)
    for (let i = 0; i < 2000; i++) {
      const hash = some[i % some.length]!
      const reason = outlet.offer(packet(hash))
      if (reason === PacketDrop.shed) refused.set(hash, (refused.get(hash) ?? 0) + 1)
      else expect(reason).toBe(PacketDrop.none)
      if (i % 10 === 9) outlet.publish(i * 100)
      // Half as fast as it comes in.
      if (i % 2 === 0) consumer.next(viewOf())
      consumer.release()
    }
    const shares = some.map((hash) => (refused.get(hash) ?? 0) / 50)
    expect(shares.filter((share) => share === 0).length).toBeGreaterThan(10)
    expect(shares.filter((share) => share > 0.7).length).toBeGreaterThan(10)
  })

  test('refuse a packet for want of room only when the ring is full', () => {
    const { outlet } = open(true)
    // No batch ends: the backlog is not seen.
    const reasons = new Set(Array.from({ length: 400 }, (_, i) => outlet.offer(packet(i * 0x01234567))))
    expect(reasons).toEqual(new Set([PacketDrop.none, PacketDrop.ringFull]))
  })

  test('shed nothing where packets wait for room', () => {
    const { outlet } = open(false)
    const reasons = new Set<number>()
    for (let i = 0; i < 400; i++) {
      reasons.add(outlet.offer(packet(i * 0x01234567)))
      outlet.publish(i * 1000)
    }
    expect(reasons).toEqual(new Set([PacketDrop.none, PacketDrop.ringFull]))
  })
})
