import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import {
  RecordKind,
  RING_MAX_CAPACITY,
  RING_MIN_CAPACITY,
  RingConsumer,
  RingMemory,
  RingProducer,
  ringBytes,
} from '../../src/ring/ring.ts'

const CAPACITY = RING_MIN_CAPACITY
const CLAIMED = 32
const PRODUCED = 0
const CONSUMED = 16

/** A view of `length` bytes that begins at `at` of its buffer; every byte is told by `seed`. */
function packet(seed: number, length: number, at = 0): PacketView {
  const view = new PacketView()
  view.bytes = Buffer.alloc(at + length)
  for (let i = 0; i < length; i++) view.bytes[at + i] = seed + i
  view.ipAt = at
  view.tcpAt = at + Math.min(length, 20)
  view.end = at + length
  view.trueEnd = view.end + (seed % 3)
  view.ipVersion = seed % 2 === 0 ? 4 : 6
  view.vni = seed - 1
  view.hash = ~seed
  view.timeUs = seed * 1.5
  view.nowUs = seed * 2 + 1e15
  return view
}

/** Everything a record carries. */
function contents(view: PacketView) {
  const { ipAt } = view
  return {
    bytes: view.bytes.subarray(ipAt, view.end).toString('hex'),
    trueLength: view.trueEnd - ipAt,
    tcpAt: view.tcpAt - ipAt,
    ipVersion: view.ipVersion,
    vni: view.vni,
    hash: view.hash,
    timeUs: view.timeUs,
    nowUs: view.nowUs,
  }
}

/** @param position where PRODUCED and CONSUMED begin, to come near their wrap */
function ring(position = 0) {
  const memory = new SharedArrayBuffer(ringBytes(CAPACITY))
  const words = new Int32Array(memory)
  for (const word of [PRODUCED, CONSUMED, CLAIMED]) words[word] = position | 0
  return { memory, producer: new RingProducer(memory), consumer: new RingConsumer(memory), view: new PacketView() }
}

describe('a record', () => {
  test('carries the packet, its times, hash, VNI and true length, wherever the packet lay', () => {
    const { producer, consumer, view } = ring()
    for (let at = 0; at < 16; at++) {
      const given = packet(at, 60 + at, at)
      expect(producer.tryWrite(given)).toBe(true)
      producer.publish()
      expect(consumer.next(view)).toBe(true)
      expect(consumer.kind).toBe(RecordKind.packet)
      expect(contents(view)).toEqual(contents(given))
    }
  })

  test('lies at its source’s phase modulo 8, so that the copy is fast', () => {
    const { producer, consumer, view } = ring()
    for (let at = 0; at < 16; at++) {
      const given = packet(1, 100, at)
      producer.tryWrite(given)
      producer.publish()
      consumer.next(view)
      expect(view.ipAt & 7).toBe((at + given.bytes.byteOffset) & 7)
    }
  })

  test('is not seen before it is published', () => {
    const { producer, consumer, view } = ring()
    producer.tryWrite(packet(1, 60))
    expect(consumer.next(view)).toBe(false)
    expect(consumer.isEmpty()).toBe(true)
    producer.publish()
    expect(consumer.isEmpty()).toBe(false)
    expect(consumer.next(view)).toBe(true)
  })

  test('that tells to flush carries its time and keeps its place among packets', () => {
    const { producer, consumer, view } = ring()
    producer.tryWrite(packet(1, 60))
    expect(producer.tryWriteFlush(77)).toBe(true)
    producer.tryWrite(packet(2, 60))
    producer.publish()
    const kinds = [0, 1, 2].map(() => consumer.next(view) && consumer.kind)
    expect(kinds).toEqual([RecordKind.packet, RecordKind.flush, RecordKind.packet])
    expect(producer.packetsWritten).toBe(2)
    expect(consumer.packetsTaken).toBe(2)
  })
})

describe('a full ring', () => {
  test('refuses the packet and accepts the next one after a read is given back', () => {
    const { producer, consumer, view } = ring()
    let written = 0
    while (producer.tryWrite(packet(written, 5000))) written++
    producer.publish()
    expect(written).toBe(Math.floor(CAPACITY / (((44 + 7 + 5000 + 7) >> 3) << 3)))
    expect(producer.tryWriteFlush(1)).toBe(producer.used() + 48 <= CAPACITY)
    expect(consumer.next(view)).toBe(true)
    expect(producer.tryWrite(packet(0, 5000))).toBe(false)
    consumer.release()
    expect(producer.tryWrite(packet(0, 5000))).toBe(true)
  })

  test('says beforehand that it has no room, and is right when it says it has', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 20, max: 66_000 }), { maxLength: 60 }), fc.integer(), (sizes, start) => {
        const { producer, consumer, view } = ring(start & ~7)
        for (const size of sizes) {
          for (let tries = 0; !producer.hasRoomFor(size); tries++) {
            expect(tries).toBeLessThan(2)
            producer.publish()
            while (consumer.next(view));
            consumer.release()
          }
          expect(producer.tryWrite(packet(1, size))).toBe(true)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('the longest IP packet fits an empty ring of the least capacity, wherever it has come to', () => {
    const longest = 40 + 65_535
    for (let at = 0; at < CAPACITY; at += 8 * 1021) {
      const { producer } = ring(at)
      expect(producer.hasRoomFor(longest)).toBe(true)
      expect(producer.tryWrite(packet(1, longest, 5))).toBe(true)
    }
  })

  test('a packet larger than the ring is refused, however empty', () => {
    expect(ring().producer.tryWrite(packet(1, CAPACITY))).toBe(false)
  })
})

describe('a queue', () => {
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        size: fc.oneof(fc.integer({ min: 20, max: 300 }), fc.integer({ min: 20, max: 70_000 })),
        at: fc.nat(15),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('publish' as const) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), count: fc.nat(6) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  )
  test('is what it is: any writes, publications, reads, releases and restarts of the consumer behave as an array would', () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 200 }),
        fc.constantFrom(0, -8, -4096, 0x7ffffff0, 0x7fff0000),
        (actions, start) => {
          const { memory, producer, view, ...rest } = ring(start)
          let { consumer } = rest
          const written: (object | 'flush')[] = []
          let published = 0
          let read = 0
          for (const [seed, a] of actions.entries()) {
            if (a.kind === 'write') {
              const given = packet(seed, a.size, a.at)
              const hadRoom = producer.hasRoomFor(a.size)
              const isWritten = producer.tryWrite(given)
              if (hadRoom) expect(isWritten).toBe(true)
              if (isWritten) written.push(contents(given))
            } else if (a.kind === 'flush') {
              if (producer.tryWriteFlush(seed)) written.push('flush')
            } else if (a.kind === 'publish') {
              producer.publish()
              published = written.length
            } else if (a.kind === 'release') consumer.release()
            else if (a.kind === 'restart') consumer = new RingConsumer(memory)
            else {
              for (let i = 0; i < a.count; i++) {
                const found = consumer.next(view)
                expect(found).toBe(read < published)
                if (!found) break
                expect(consumer.kind === RecordKind.flush ? 'flush' : contents(view)).toEqual(written[read])
                read++
              }
            }
            expect(producer.used()).toBeLessThanOrEqual(CAPACITY)
            const packets = (records: typeof written) => records.filter((w) => w !== 'flush').length
            expect(producer.packetsTaken).toBe(packets(written.slice(0, read)))
            expect(producer.packetsWritten).toBe(packets(written.slice(0, published)))
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('a shard that is started again', () => {
  test('that is restarted continues after what the previous one took up, processed or not, and gives that space back', () => {
    const { memory, producer, consumer, view } = ring()
    for (let i = 0; i < 5; i++) producer.tryWrite(packet(i, 60))
    producer.publish()
    consumer.next(view)
    consumer.next(view)
    expect(producer.packetsWritten - producer.packetsTaken).toBe(3)
    const before = producer.used()
    const restarted = new RingConsumer(memory)
    expect(producer.used()).toBe(before * 0.6)
    restarted.next(view)
    expect(view.hash).toBe(~2)
  })
})

describe('a producer that is started again', () => {
  test('that is restarted continues after what the previous one published; what it only wrote is gone', () => {
    const { memory, producer, consumer, view } = ring()
    producer.tryWrite(packet(1, 60))
    producer.publish()
    producer.tryWrite(packet(2, 60))
    const restarted = new RingProducer(memory)
    restarted.tryWrite(packet(3, 60))
    restarted.publish()
    expect(restarted.packetsWritten).toBe(2)
    const hashes = [0, 1].map(() => consumer.next(view) && view.hash)
    expect(hashes).toEqual([~1, ~3])
    expect(consumer.next(view)).toBe(false)
  })
})

describe('capacity', () => {
  test('is a power of two within its bounds, else the error says what came', () => {
    for (const bad of [0, -1, 1.5, Number.NaN, CAPACITY - 8, CAPACITY + 8, CAPACITY / 2, RING_MAX_CAPACITY * 2]) {
      expect(() => ringBytes(bad)).toThrow(`got ${bad}`)
    }
    expect(ringBytes(CAPACITY)).toBe(CAPACITY + 256)
  })
})

describe('a ring as seen from a third thread', () => {
  test.each([
    ['used', (memory: RingMemory) => memory.used()],
    ['backlog', (memory: RingMemory) => memory.backlog()],
  ])('never holds less than nothing nor more than it can, whatever moves between the two looks: %s', (_name, ask) => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(40), fc.integer({ min: 1, max: 400 }), (position, before, meanwhile) => {
        const { memory, producer, consumer, view } = ring(position & ~7)
        const move = (packets: number) => {
          for (let i = 0; i < packets; i++) {
            producer.tryWrite(packet(i, 1400))
            producer.publish()
            consumer.next(view)
            consumer.release()
          }
        }
        move(before)
        const observer = new RingMemory(memory)
        const load = vi.spyOn(Atomics as { load(words: Int32Array, index: number): number }, 'load')
        try {
          load.mockImplementationOnce((words, index) => {
            load.mockRestore()
            const found = Atomics.load(words, index)
            move(meanwhile)
            return found
          })
          const bytes = ask(observer)
          expect(bytes).toBeGreaterThanOrEqual(0)
          expect(bytes).toBeLessThanOrEqual(CAPACITY)
        } finally {
          load.mockRestore()
        }
      }),
      { numRuns: 50 },
    )
  })
})
