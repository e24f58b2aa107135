/** A connection put back together: its segments in order, and with neighbours exchanged. */
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { TcpConversation } from '../../src/demo/traffic/tcp-conversation.ts'
import { fiveTupleHash } from '../../src/dispatch/hash.ts'
import { COUNTER_BLOCK_BYTES, Counter, CounterBlock } from '../../src/metrics/counters.ts'
import { Reassembler } from '../../src/reassembly/reassembler.ts'
import { Demand, Phase, type StreamParser, type StreamPiece } from '../../src/reassembly/stream-parser.ts'
import type { MicroBench, MicroCase } from './measure.ts'
import { endsOf, frameOf, packed, viewFrame } from './packets.ts'

const SEGMENTS = 1000
const SEGMENT_BYTES = 350
/** Every so many data segments one is exchanged with the next. */
const EXCHANGED_EVERY = 10
const US_PER_PACKET = 10
const KEY = 0x5eed

export function reassemblyBench(): MicroBench {
  return {
    name: 'micro/reassembly',
    title: `${SEGMENTS} segments of ${SEGMENT_BYTES} bytes and their acknowledgements; parser that counts`,
    unit: 'packet',
    groups: [
      [
        caseFor('in order', 0),
        caseFor(`one in ${EXCHANGED_EVERY} segments exchanged with the next`, EXCHANGED_EVERY),
        caseFor('every segment exchanged with a neighbour', 2),
      ],
    ],
  }
}

/** Counts the bytes delivered; those of a segment out of its place do not count. */
class CountingParser implements StreamParser {
  readonly phase = Phase.boundary
  readonly wakeAtUs = Number.POSITIVE_INFINITY
  sum = 0
  private last = 0

  data(_direction: number, { bytes, at, end }: StreamPiece): number {
    // The first byte of each segment is its number modulo 256.
    const number = bytes[at]!
    if (number === ((this.last + 1) & 255)) this.sum += end - at
    this.last = number
    return end - at
  }

  gap(): void {
    this.sum = Number.NaN
  }

  start(): void {
    this.sum = 0
    this.last = 255
  }

  end(): void {}
  close(): void {}
  demand(): number {
    return Demand.ready
  }
  giveUpPause(): void {}
  tick(): void {}
}

function caseFor(name: string, exchangedEvery: number): MicroCase {
  const frames = connection(exchangedEvery)
  const { bytes, offsets } = packed(frames)
  const parser = new CountingParser()
  const counters = new CounterBlock(new SharedArrayBuffer(COUNTER_BLOCK_BYTES))
  const reassembler = new Reassembler(
    {
      maxFlows: 1024,
      vniInKey: false,
      overlap: 'linux',
      openingTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      closingTimeoutMs: 1_000,
      outOfOrderBytes: 1 << 20,
      outOfOrderTotalBytes: 1 << 24,
      reorderWindowPackets: 64,
      reorderWindowMs: 1_000,
    },
    { mayOpen: () => true, open: () => parser },
    counters,
  )
  const view = new PacketView()
  let nowUs = 1_767_225_600e6
  const exchanged = exchangedEvery === 0 ? 0 : SEGMENTS / exchangedEvery
  return {
    name,
    operations: frames.length,
    run: () => {
      const before = counters.get(Counter.segmentsOutOfOrder)
      parser.start()
      for (let i = 0; i < frames.length; i++) {
        viewFrame(view, bytes, offsets[i]!, 4)
        view.hash = fiveTupleHash(bytes, view.ipAt, 4, view.tcpAt, 0, KEY)
        nowUs += US_PER_PACKET
        view.timeUs = nowUs
        view.nowUs = nowUs
        reassembler.packet(view)
      }
      reassembler.closeAll()
      return parser.sum + (counters.get(Counter.segmentsOutOfOrder) - before)
    },
    expected: SEGMENTS * SEGMENT_BYTES + exchanged,
  }
}

function connection(exchangedEvery: number): Buffer[] {
  const tcp = new TcpConversation({ client: 1, server: 1 })
  const stream = Buffer.alloc(SEGMENTS * SEGMENT_BYTES)
  for (let i = 0; i < SEGMENTS; i++) stream[i * SEGMENT_BYTES] = i
  tcp.say('client', stream, () => SEGMENT_BYTES)
  tcp.close('client')
  const segments = [...tcp.segments]
  const data = segments.flatMap((segment, i) => (segment.payload.length > 0 ? [i] : []))
  for (let n = 0; exchangedEvery > 0 && n + 1 < data.length; n += exchangedEvery) {
    const [a, b] = [data[n]!, data[n + 1]!]
    const later = segments[b]!
    segments[b] = segments[a]!
    segments[a] = later
  }
  const ends = endsOf(4, 1)
  return segments.map(({ from, payload, ...header }) =>
    from === 'client'
      ? frameOf(ends.client, ends.server, payload, header)
      : frameOf(ends.server, ends.client, payload, header),
  )
}
