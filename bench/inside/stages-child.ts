/**
 * Costs of the stages over a whole capture, a process of its own. Each set-up is the one before with one stage more, so a
 * stage is the difference of two; where a ring stands between, both of its sides are timed by themselves, 512 packets at a time.
 */
import { writeSync } from 'node:fs'
import { PacketDrop } from '../../src/base/drop.ts'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { type PacketOutlet, RingOutlet } from '../../src/dispatch/dispatcher.ts'
import { CapturedConnection } from '../../src/exchange/captured-connection.ts'
import { MessageView } from '../../src/exchange/message.ts'
import { OpenConnections } from '../../src/exchange/open-connections.ts'
import { Counter } from '../../src/metrics/counters.ts'
import { Reassembler } from '../../src/reassembly/reassembler.ts'
import { Demand, Phase, type StreamParser, type StreamPiece } from '../../src/reassembly/stream-parser.ts'
import { RingConsumer, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import { NullSink } from '../../src/sinks/null-sink.ts'
import { openCapture } from '../../src/sources/files/open-capture.ts'
import { PacketPipeline } from '../../src/topology/packet-pipeline.ts'
import { benchShardConfig, newCounters, openShard, packetPipelineOf, replayDefaults } from './parts.ts'
import { STAGES, type Stage, type StagesOrder, type StagesResult } from './stages.ts'

const BATCH = 512
const WARM_UP_PACKETS = 200_000
const RING_BYTES = 1 << 22

interface Times {
  packets: number
  /** ms on the receiving and on the shard's side. */
  receiving: number
  shard: number
}

async function readOnly(path: string): Promise<Times> {
  const source = await openCapture(path)
  const times = { packets: 0, receiving: 0, shard: 0 }
  let sum = 0
  const startedMs = performance.now()
  while (await source.fill()) {
    while (source.next()) {
      sum += source.record.end - source.record.at
      times.packets++
    }
  }
  times.receiving = performance.now() - startedMs
  await source.close()
  if (sum === 0) throw new Error('an empty capture')
  return times
}

/** @param outlet null: packets are dispatched into a ring, and `take` is what becomes of them behind it */
async function throughIngress(
  path: string,
  outlet: PacketOutlet | null,
  take: ((view: PacketView) => void) | null,
): Promise<Times> {
  const memory = new SharedArrayBuffer(ringBytes(RING_BYTES))
  const rings = new RingOutlet([new RingProducer(memory)], null)
  const consumer = new RingConsumer(memory)
  const view = new PacketView()
  const source = await openCapture(path)
  const packetPipeline = new PacketPipeline(packetPipelineOf(await replayDefaults()), outlet ?? rings, newCounters())
  const times = { packets: 0, receiving: 0, shard: 0 }
  let batch = 0
  let sinceMs = performance.now()
  const endBatch = () => {
    packetPipeline.publish()
    const now = performance.now()
    times.receiving += now - sinceMs
    sinceMs = now
    batch = 0
    if (outlet !== null) return
    while (consumer.next(view)) take?.(view)
    consumer.release()
    sinceMs = performance.now()
    times.shard += sinceMs - now
  }
  while (await source.fill()) {
    while (source.next()) {
      packetPipeline.frame(source.record)
      times.packets++
      if (++batch === BATCH) endBatch()
    }
  }
  packetPipeline.flush()
  endBatch()
  await source.close()
  return times
}

/** Takes every byte and looks at none. */
class Swallow implements StreamParser {
  readonly phase = Phase.boundary
  readonly wakeAtUs = Number.POSITIVE_INFINITY
  data(_direction: number, { at, end }: StreamPiece): number {
    return end - at
  }
  gap(): void {}
  end(): void {}
  close(): void {}
  demand(): number {
    return Demand.afterPeer
  }
  giveUpPause(): void {}
  tick(): void {}
}

const { path, rounds } = JSON.parse(process.argv[2]!) as StagesOrder
const options = await replayDefaults()
const shardConfig = benchShardConfig(options)
const nowhere: PacketOutlet = { offer: () => PacketDrop.none, publish: () => {} }
const stages = Object.fromEntries(STAGES.map((name) => [name, [] as number[]])) as Record<Stage, number[]>
let packets = 0
let requests = 0

for (let round = 0, warmed = 0; round < rounds; ) {
  const read = await readOnly(path)
  const decapsulated = await throughIngress(path, nowhere, null)
  const ring = await throughIngress(path, null, null)
  const reassembler = new Reassembler(
    shardConfig.reassembly,
    { mayOpen: () => true, open: () => new Swallow() },
    newCounters(),
  )
  const reassembled = await throughIngress(path, null, (view) => reassembler.packet(view))
  const counters = newCounters()
  const shard = await openShard(shardConfig, counters)
  const whole = await throughIngress(path, null, (view) => shard.packet(view))
  requests = counters.get(Counter.requestsParsed)
  packets = read.packets
  const sink = sinkMs(requests)
  // Code is compiled over the first packets.
  warmed += packets
  if (warmed <= WARM_UP_PACKETS) continue
  round++
  const perPacket = (ms: number) => (ms / packets) * 1e6
  stages.read.push(perPacket(read.receiving))
  stages.decapsulate.push(perPacket(decapsulated.receiving - read.receiving))
  stages.ringWrite.push(perPacket(ring.receiving - decapsulated.receiving))
  stages.ringRead.push(perPacket(ring.shard))
  stages.reassemble.push(perPacket(reassembled.shard - ring.shard))
  stages.http.push(perPacket(whole.shard - reassembled.shard - sink))
  stages.sink.push(perPacket(sink))
}

/** What the null sink takes for so many requests; none of them is looked at without filters. */
function sinkMs(n: number): number {
  const [sinkConfig] = shardConfig.sinks
  if (sinkConfig?.kind !== 'discard') throw new Error('the shard config has no null sink')
  const connections = new OpenConnections()
  const sink = new NullSink(sinkConfig.options, newCounters(), { connections, random: Math.random, rateLimiter: null })
  const message = new MessageView(8)
  message.bytes = Buffer.from('GET / HTTP/1.1\r\n\r\n')
  message.methodEnd = 3
  const words = new Int32Array(4)
  connections.open(new CapturedConnection(1, 4, words, 1, words, 80, null))
  const startedMs = performance.now()
  for (let i = 0; i < n; i++) sink.request({ connection: 1, stream: 0, index: i }, message)
  return performance.now() - startedMs
}

writeSync(1, JSON.stringify({ packets, requests, stages } satisfies StagesResult))
