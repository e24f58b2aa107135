import { describe, expect, test } from 'vitest'
import { PacketDrop } from '../../src/base/drop.ts'
import type { PacketView } from '../../src/decapsulation/packet-view.ts'
import { PacketView as View } from '../../src/decapsulation/packet-view.ts'
import { Dispatcher, type DispatchOptions, RingOutlet, shardOf } from '../../src/dispatch/dispatcher.ts'
import { Counter, CounterBlock, PACKET_DROPS } from '../../src/metrics/counters.ts'
import { RING_MIN_CAPACITY, RingConsumer, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import { numbersOf } from '../support/refused.ts'
import { reversed, viewOf } from '../support/views.ts'

class Rig {
  readonly counters = new CounterBlock()
  readonly taken: number[] = []
  isFull = false
  readonly dispatcher: Dispatcher

  constructor(options: Partial<DispatchOptions> = {}) {
    const outlet = {
      offer: (view: PacketView) => {
        if (!this.isFull) this.taken.push(view.hash)
        return this.isFull ? PacketDrop.ringFull : PacketDrop.none
      },
      publish: () => {},
    }
    this.dispatcher = new Dispatcher({ vniInKey: false, ports: null, hashKey: 7, ...options }, outlet, this.counters)
  }
}

describe('a packet', () => {
  test('goes where the other direction of its flow goes, whatever its VNI', () => {
    const rig = new Rig()
    const there = { source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 5, destinationPort: 80 }
    rig.dispatcher.dispatch(viewOf({ ...there, vni: 1 }))
    rig.dispatcher.dispatch(viewOf({ ...reversed(there), vni: 2 }))
    expect(rig.taken[0]).toBe(rig.taken[1])
    expect(rig.counters.get(Counter.packetsDispatched)).toBe(2)
  })

  test('of another VNI, or of none, is another flow where the VNI is in the key', () => {
    const rig = new Rig({ vniInKey: true })
    for (const vni of [-1, 0, 1, 2]) rig.dispatcher.dispatch(viewOf({ vni }))
    expect(new Set(rig.taken).size).toBe(4)
  })

  test('of other VLAN tags is another flow where they are in the key, the same for both directions', () => {
    const rig = new Rig({ vniInKey: true, vlanInKey: true })
    const there = { source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 5, destinationPort: 80 }
    for (const network of [0, 1, -7]) {
      rig.dispatcher.dispatch(viewOf({ ...there, network }))
      rig.dispatcher.dispatch(viewOf({ ...reversed(there), network }))
    }
    expect(new Set(rig.taken).size).toBe(3)
    expect(rig.taken[4]).toBe(rig.taken[5])
  })

  test('between other ports than those asked for is processed, and goes nowhere', () => {
    const rig = new Rig({ ports: new Set([80]) })
    rig.dispatcher.dispatch(viewOf({ sourcePort: 4000, destinationPort: 80 }))
    rig.dispatcher.dispatch(viewOf({ sourcePort: 80, destinationPort: 4000 }))
    rig.dispatcher.dispatch(viewOf({ sourcePort: 4000, destinationPort: 443 }))
    expect(rig.taken).toHaveLength(2)
    expect(numbersOf(rig.counters, 'tcpPort')).toEqual([[443, 1]])
    expect(rig.counters.get(Counter.packetsOther)).toBe(1)
    expect(rig.counters.get(Counter.packetsProcessed)).toBe(1)
  })

  test('that finds no room is dropped and counted', () => {
    const rig = new Rig()
    rig.isFull = true
    rig.dispatcher.dispatch(viewOf())
    expect(rig.counters.get(PACKET_DROPS + PacketDrop.ringFull)).toBe(1)
    expect(rig.counters.get(Counter.packetsDispatched)).toBe(0)
  })
})

describe('rings as outlet', () => {
  test('each shard reads the packets of its flows, in order, and the ring says how many', () => {
    const memories = Array.from({ length: 3 }, () => new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY)))
    const outlet = new RingOutlet(
      memories.map((memory) => new RingProducer(memory)),
      null,
    )
    const dispatcher = new Dispatcher({ vniInKey: false, ports: null, hashKey: 7 }, outlet, new CounterBlock())
    for (let i = 0; i < 300; i++) dispatcher.dispatch(viewOf({ sourcePort: 1000 + (i % 50), seq: i }))
    dispatcher.publish(0)
    const view = new View()
    for (const [shard, memory] of memories.entries()) {
      const ring = new RingConsumer(memory)
      let packets = 0
      let lastSeq = -1
      while (ring.next(view)) {
        packets++
        expect(shardOf(view.hash, 3)).toBe(shard)
        const seq = view.bytes.readUInt32BE(view.tcpAt + 4)
        expect(seq).toBeGreaterThan(lastSeq)
        lastSeq = seq
      }
      ring.release()
      expect(packets).toBe(ring.packetsWritten)
      expect(packets).toBeGreaterThan(50)
    }
  })

  test('there is room only when there is room in every ring', () => {
    const rings = [0, 1].map(() => new RingProducer(new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY))))
    const outlet = new RingOutlet(rings, null)
    expect(outlet.hasRoomFor(1000)).toBe(true)
    while (rings[1]!.tryWrite(viewOf({ data: 'x'.repeat(1000) })));
    expect(outlet.hasRoomFor(1000)).toBe(false)
  })
})
