import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import { PacketDrop } from '../../src/base/drop.ts'
import type { ReplayOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { type PacketOutlet, RingOutlet } from '../../src/dispatch/dispatcher.ts'
import { Shedding, shedLevelBytes } from '../../src/dispatch/shedding.ts'
import { ProgressRegister } from '../../src/flow/progress-register.ts'
import { TunnelRegister } from '../../src/http/tunnel-register.ts'
import { Counter, CounterBlock } from '../../src/metrics/counters.ts'
import { RingConsumer, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import { RATE_LIMITER_BYTES } from '../../src/sinks/filter/rate-limiter.ts'
import { PeerAddress } from '../../src/sources/datagram-receiver.ts'
import { PacketPipeline } from '../../src/topology/packet-pipeline.ts'
import { Shard } from '../../src/topology/shard.ts'
import { packetPipelineOptions, sendingSinkConfig, shardConfigOf } from '../../src/topology/stage-configs.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { CLIENT, ethernet, ipv4, SERVER, tcp, vxlan } from '../support/packets.ts'

/** Datagrams as a receiver lends them: VXLAN, Ethernet, IPv4, TCP. */
const TCP_AT = 8 + 14 + 20
const HEAD = 'POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n'
const SEGMENT = 1000
const BATCH = 256
/** One number for all, as receivers hand one reading of the clock along with a batch: a field would be boxed anew at every call. */
const NOW_US = 1_700_000_000_000_000

const fromClient = (flags: number, data = '') =>
  vxlan(5, ethernet(EtherType.ipv4, ipv4({ payload: tcp({ flags, data }) })))
const fromServer = (flags: number) =>
  vxlan(
    5,
    ethernet(
      EtherType.ipv4,
      ipv4({ source: SERVER, destination: CLIENT, payload: tcp({ flags, sourcePort: 80, destinationPort: 40_000 }) }),
    ),
  )

/** An upload without end on one connection: two segments of its body, then the server's acknowledgement, and so on. */
class Upload {
  private readonly packetPipeline: PacketPipeline
  private readonly peer = new PeerAddress()
  private readonly segment: Buffer
  private readonly acknowledgement: Buffer
  private seq = 1

  constructor(packetPipeline: PacketPipeline) {
    this.packetPipeline = packetPipeline
    // Side by side in one memory, as the slots of a receiver are.
    const [segment, acknowledgement] = [fromClient(TcpFlag.ack, 'x'.repeat(SEGMENT)), fromServer(TcpFlag.ack)]
    const arena = Buffer.from(new SharedArrayBuffer(4096))
    this.segment = arena.subarray(2, 2 + segment.copy(arena, 2))
    this.acknowledgement = arena.subarray(2050, 2050 + acknowledgement.copy(arena, 2050))
  }

  begin(): void {
    this.give(fromClient(TcpFlag.syn), 0, 0)
    this.give(fromServer(TcpFlag.syn | TcpFlag.ack), 0, 1)
    this.give(fromClient(TcpFlag.ack, HEAD), 1, 1)
    this.seq += HEAD.length
    this.give(this.acknowledgement, 1, this.seq)
  }

  packets(count: number): void {
    for (let i = 0; i < count; i++) {
      if (i % 3 === 2) this.give(this.acknowledgement, 1, this.seq)
      else {
        this.give(this.segment, this.seq, 1)
        this.seq = (this.seq + SEGMENT) | 0
      }
      if (i % BATCH === 0) this.packetPipeline.publish()
    }
    this.packetPipeline.publish()
  }

  private give(datagram: Buffer, seq: number, ack: number): void {
    write32(datagram, TCP_AT + 4, seq)
    write32(datagram, TCP_AT + 8, ack)
    this.packetPipeline.datagram(datagram, 0, datagram.length, false, 'vxlan', this.peer, null, NOW_US)
  }
}

function write32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

async function replayOptions(): Promise<ReplayOptions> {
  const flags = new Map([
    ['to', ['null']],
    ['workers', ['0']],
    ['maxBodyBytes', ['1GiB']],
  ])
  const { options } = await resolveOptions('replay', { flags, arguments: ['-'], faults: [] }, {})
  return options
}

async function openShard(options: ReplayOptions): Promise<{ shard: Shard; counters: CounterBlock }> {
  const counters = new CounterBlock()
  const shardConfig = shardConfigOf(
    options,
    sendingSinkConfig(options, false),
    false,
    new MonotonicClock().anchor,
    null,
  )
  const endless = { ...shardConfig, http: { ...shardConfig.http, maxBodyBytes: Number.MAX_SAFE_INTEGER } }
  const shard = await Shard.open(endless, {
    counters,
    tunnels: new TunnelRegister(),
    progress: new ProgressRegister(),
    rateMemory: new SharedArrayBuffer(RATE_LIMITER_BYTES),
    output: { write: () => {}, hasRoom: () => true },
  })
  return { shard, counters }
}

/** The shard on this thread, and the shard behind a ring that this thread reads too. */
function outlets(shard: Shard): Record<string, PacketOutlet> {
  const memory = new SharedArrayBuffer(ringBytes(1 << 20))
  const levels = new SharedArrayBuffer(shedLevelBytes(2, 1))
  const rings = new RingOutlet([new RingProducer(memory)], new Shedding(levels, 0, 2, 1, 0.5))
  // Another receiver sheds one connection in a million: ours is looked at, and passes.
  new Int32Array(levels)[new Int32Array(levels).length / 2] = 16
  const consumer = new RingConsumer(memory)
  const view = new PacketView()
  const read = () => {
    while (consumer.next(view)) shard.packet(view)
    consumer.release()
  }
  return {
    'on one thread': {
      offer: (packet) => {
        shard.packet(packet)
        return PacketDrop.none
      },
      publish: () => shard.publish(),
    },
    'through a ring, while others are shed': {
      offer: (packet) => rings.offer(packet),
      publish: (nowUs) => {
        rings.publish(nowUs)
        read()
        shard.publish()
      },
    },
  }
}

const WARM_UP = 150_000
const WARM_UP_ROUNDS = 4
const MEASURED = 300_000

describe('the steady state allocates nothing: in-order segments and acknowledgements', () => {
  test.each(['on one thread', 'through a ring, while others are shed'])('%s', async (name) => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const options = await replayOptions()
    const { shard, counters } = await openShard(options)
    const outlet = outlets(shard)[name]!
    const source = new CounterBlock()
    const upload = new Upload(new PacketPipeline(packetPipelineOptions(options, false), outlet, source))
    upload.begin()
    // Pauses, because the compiler works beside us and its own work must be over.
    for (let round = 0; round < WARM_UP_ROUNDS; round++) {
      upload.packets(WARM_UP)
      await sleep(200)
    }
    collect()
    const collections: string[] = []
    const observer = new PerformanceObserver((list) => collections.push(...list.getEntries().map((e) => e.name)))
    await sleep(20)
    observer.observe({ entryTypes: ['gc'] })
    const before = process.memoryUsage()
    upload.packets(MEASURED)
    const after = process.memoryUsage()
    await sleep(20)
    observer.disconnect()
    expect(source.get(Counter.packetsReceived)).toBe(4 + WARM_UP_ROUNDS * WARM_UP + MEASURED)
    expect(counters.get(Counter.packetsProcessed)).toBe(4 + WARM_UP_ROUNDS * WARM_UP + MEASURED)
    expect(counters.get(Counter.segmentsOutOfOrder)).toBe(0)
    expect(collections).toEqual([])
    expect((after.heapUsed - before.heapUsed) / MEASURED).toBeLessThan(1)
    expect(after.arrayBuffers - before.arrayBuffers).toBe(0)
  })
})
