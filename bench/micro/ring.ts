/** Write to and read from a ring, against the copy alone that is inside it. */
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { RingConsumer, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import type { MicroBench, MicroCase } from './measure.ts'

const CAPACITY = 1 << 22
/** Packets between publications. */
const BATCH = 256
const SIZES = [64, 350, 1500] as const
/** Where packets lie in a received datagram: behind VXLAN and Ethernet, in slots of this size. */
const PACKET_IN_SLOT = 24
const SLOT = 2_112

export function ringBench(): MicroBench {
  return {
    name: 'micro/ring',
    title: `a packet into and out of a ring, ${BATCH} per publication, one thread`,
    unit: 'packet',
    groups: SIZES.map(casesFor),
  }
}

function casesFor(size: number): MicroCase[] {
  const arena = Buffer.from(new SharedArrayBuffer(BATCH * SLOT))
  for (let i = 0; i < BATCH; i++) arena[i * SLOT + PACKET_IN_SLOT + size - 1] = i
  const memory = new SharedArrayBuffer(ringBytes(CAPACITY))
  const producer = new RingProducer(memory)
  const consumer = new RingConsumer(memory)
  const written = new PacketView()
  const read = new PacketView()
  written.bytes = arena
  const copies = Buffer.from(new SharedArrayBuffer(BATCH * SLOT))
  /** Lengths, and the last byte of each packet. */
  const expected = BATCH * size + (BATCH * (BATCH - 1)) / 2
  return [
    {
      name: `copy alone, ${size} bytes`,
      operations: BATCH,
      run: () => {
        let sum = 0
        for (let i = 0; i < BATCH; i++) {
          const at = i * SLOT + PACKET_IN_SLOT
          copies.set(arena.subarray(at, at + size), at)
        }
        for (let i = 0; i < BATCH; i++) sum += size + copies[i * SLOT + PACKET_IN_SLOT + size - 1]!
        return sum
      },
      expected,
    },
    {
      name: `ring, ${size} bytes`,
      operations: BATCH,
      run: () => {
        let sum = 0
        for (let i = 0; i < BATCH; i++) {
          written.ipAt = i * SLOT + PACKET_IN_SLOT
          written.tcpAt = written.ipAt + 20
          written.end = written.ipAt + size
          written.trueEnd = written.end
          if (!producer.tryWrite(written)) return -1
        }
        producer.publish()
        while (consumer.next(read)) sum += read.end - read.ipAt + read.bytes[read.end - 1]!
        consumer.release()
        return sum
      },
      expected,
    },
  ]
}
