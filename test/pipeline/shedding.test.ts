import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import { PACKET_DROP_NAMES, PacketDrop } from '../../src/base/drop.ts'
import type { RunOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { ID_FIELD, type SampleRequest } from '../../src/demo/traffic/sample-request.ts'
import { SampleTraffic } from '../../src/demo/traffic/sample-traffic.ts'
import { RingOutlet, shardOf } from '../../src/dispatch/dispatcher.ts'
import { Shedding, ShedLevels, shedLevelBytes } from '../../src/dispatch/shedding.ts'
import { ProgressRegister } from '../../src/flow/progress-register.ts'
import { TunnelRegister } from '../../src/http/tunnel-register.ts'
import { Counter, CounterBlock, PACKET_DROPS, REQUEST_DROPS, RESPONSE_DROPS } from '../../src/metrics/counters.ts'
import { RING_MIN_CAPACITY, RingConsumer, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import { RATE_LIMITER_BYTES } from '../../src/sinks/filter/rate-limiter.ts'
import { PacketPipeline } from '../../src/topology/packet-pipeline.ts'
import { Shard } from '../../src/topology/shard.ts'
import { packetPipelineOptions, shardConfigOf } from '../../src/topology/stage-configs.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { until } from '../support/until.ts'
import { openRig, sampleFrames, sum } from './rig.ts'

const SHARDS = 2
const FRAME_US = 200
const BATCH = 32
/** Packets a shard takes in a batch's time: half a batch comes in for each of two shards. */
const SLOW = 5
const FAST = 64
/** Of slow and of fast shards in turn. */
const PHASE_US = 1_000_000

interface Printed {
  readonly method: string | null
  readonly uri: string
  readonly version: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

describe('while connections are shed and come back', () => {
  test('every request that leaves is one that was sent, byte for byte and once; the others end in a counted drop', async () => {
    const seed = 1 + Math.floor(Math.random() * 1e6)
    const sent = new Map<string, SampleRequest>()
    const frames: Buffer[] = []
    const traffic = new SampleTraffic(
      seed,
      {
        request: (request) => sent.set(`${request.connection}-${request.index}`, request),
        frame: (frame) => frames.push(Buffer.from(frame)),
      },
      { connections: 200 },
    )
    traffic.extend(6000)
    while (traffic.step());

    const { options } = await resolveOptions(
      'run',
      { flags: new Map(), arguments: [], faults: [] },
      { MIRRORSHARD_TO: 'null' },
    )
    const run = options as RunOptions
    const printed: Printed[] = []
    const blocks = Array.from({ length: SHARDS }, () => new CounterBlock())
    const shardConfig = shardConfigOf(
      run,
      { kind: 'print', name: 'inspect', options: { format: 'ndjson', bodies: 'keep', redaction: null, steps: [] } },
      false,
      new MonotonicClock().anchor,
      null,
    )
    const shards = await Promise.all(
      blocks.map((counters) =>
        Shard.open(shardConfig, {
          counters,
          tunnels: new TunnelRegister(),
          progress: new ProgressRegister(),
          rateMemory: new SharedArrayBuffer(RATE_LIMITER_BYTES),
          output: {
            write: (bytes) => {
              for (const line of Buffer.from(bytes).toString().split('\n'))
                if (line !== '') printed.push(JSON.parse(line) as Printed)
            },
            hasRoom: () => true,
          },
        }),
      ),
    )
    const memories = shards.map(() => new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY)))
    const consumers = memories.map((memory) => new RingConsumer(memory))
    const levelMemory = new SharedArrayBuffer(shedLevelBytes(1, SHARDS))
    const levels = new ShedLevels(levelMemory, 1, SHARDS)
    const outlet = new RingOutlet(
      memories.map((memory) => new RingProducer(memory)),
      new Shedding(levelMemory, 0, 1, SHARDS, 0.5),
    )
    const source = new CounterBlock()
    const packetPipeline = new PacketPipeline(packetPipelineOptions(run, false), outlet, source)

    const view = new PacketView()
    const take = (most: number) => {
      for (const [i, consumer] of consumers.entries()) {
        for (let n = 0; n < most && consumer.next(view); n++) {
          expect(shardOf(view.hash, SHARDS)).toBe(i)
          shards[i]!.packet(view)
        }
        consumer.release()
      }
    }
    let [came, went, wasShedding] = [0, 0, false]
    const startUs = 1_700_000_000_000_000
    for (const [i, bytes] of frames.entries()) {
      const timeUs = startUs + i * FRAME_US
      packetPipeline.frame({
        bytes,
        at: 0,
        end: bytes.length,
        wireLength: bytes.length,
        timeUs,
        linkType: LinkType.ethernet,
      })
      if (i % BATCH !== BATCH - 1) continue
      packetPipeline.publish()
      take(Math.floor((i * FRAME_US) / PHASE_US) % 2 === 0 ? FAST : SLOW)
      const isShedding = levels.greatestShare() > 0
      if (isShedding && !wasShedding) came++
      if (!isShedding && wasShedding) went++
      wasShedding = isShedding
    }
    packetPipeline.flush()
    take(Number.POSITIVE_INFINITY)
    for (const shard of shards) {
      shard.closeAll()
      shard.publish()
    }

    expect(came, `seed ${seed}`).toBeGreaterThan(1)
    expect(went, `seed ${seed}`).toBeGreaterThan(1)
    const shed = source.get(PACKET_DROPS + PacketDrop.shed)
    expect(shed, `seed ${seed}`).toBeGreaterThan(frames.length / 10)
    // What is received is dispatched, dropped, or no TCP.
    const dropped = PACKET_DROP_NAMES.reduce((n, _, code) => n + source.get(PACKET_DROPS + code), 0)
    expect(source.get(Counter.packetsReceived)).toBe(
      source.get(Counter.packetsDispatched) + source.get(Counter.packetsProcessed) + dropped,
    )

    let requests = 0
    for (const { method, uri, version, headers, body } of printed) {
      if (method === null) continue
      requests++
      const id = headers.find(([name]) => name === ID_FIELD)?.[1] ?? ''
      const request = sent.get(id)
      expect(request, `seed ${seed}: ${method} ${uri}, ${id}`).toBeDefined()
      sent.delete(id)
      expect({ method, uri, version, headers }, `seed ${seed}`).toEqual({
        method: request!.method,
        uri: request!.target,
        version: request!.version,
        headers: request!.headers,
      })
      expect(Buffer.from(body, 'base64').equals(request!.body), `seed ${seed}: body of ${id}`).toBe(true)
    }
    const parsed = blocks.reduce((n, block) => n + block.get(Counter.requestsParsed), 0)
    const requestsDropped = blocks.reduce(
      (n, { values }) => n + values.subarray(REQUEST_DROPS, RESPONSE_DROPS).reduce((a, b) => a + b, 0),
      0,
    )
    expect(parsed, `seed ${seed}`).toBe(requests + requestsDropped)
    expect(requests, `seed ${seed}`).toBeGreaterThan(1500)
    expect(sent.size, `seed ${seed}`).toBeGreaterThan(500)
    // Much work, and none of it a promise about time.
  }, 120_000)
})

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 40 && !(await condition()); attempt++) await sleep(100)
}

describe('a service whose shards are too slow', () => {
  test.each(['1', '2'])('sheds whole connections, says so, and takes them back (%s receivers)', async (receivers) => {
    const rig = await openRig({ to: 'null', ringBytes: '256KiB', receivers, receiveBufferBytes: '4MiB' })
    const ratio = async () => Number(/^mirrorshard_dispatch_shed_ratio (.*)$/m.exec(await rig.metrics())?.[1])
    try {
      expect(await ratio()).toBe(0)
      for (const shard of ['0', '1']) await rig.break(`shard=${shard}&us=3000`, 'slow')
      const { frames } = sampleFrames(2000)
      const sending = rig.send(frames)
      await until('connections are shed', () => (rig.service.totals().packetDrops().shed ?? 0) > 100)
      expect(await ratio()).toBeGreaterThan(0)
      await sending
      // Looked at once a second; five good seconds are needed to turn back.
      let status = 0
      await untilAsync(async () => {
        status = (await fetch(`http://127.0.0.1:${rig.service.admin!.port}/healthz`)).status
        return status === 503
      })
      expect(status).toBe(503)
      for (const shard of ['0', '1']) await rig.break(`shard=${shard}&us=0`, 'slow')
      await until('nothing is shed any more', () => rig.service.totals().get('shedRatio') === 0)
      expect(await ratio()).toBe(0)
    } finally {
      await rig.close()
    }
    const { packets, requests } = rig.service.summary()
    expect(packets.dropped.shed).toBeGreaterThan(100)
    expect(packets.received + packets.kernelDropped!).toBe(rig.sent())
    expect(packets.received).toBe(packets.processed + sum(packets.dropped))
    expect(requests.parsed).toBe(sum(requests.dropped) + sum(requests.replayed))
    expect(requests.replayed.null).toBeGreaterThan(50)
  })

  test('loses single packets only where shedding is off', async () => {
    const rig = await openRig({ to: 'null', ringBytes: '256KiB', shedAbove: '100', workers: '1' })
    try {
      await rig.break('shard=0&us=2000', 'slow')
      const { frames } = sampleFrames(1000)
      await rig.send(frames)
      await rig.break('shard=0&us=0', 'slow')
    } finally {
      await rig.close()
    }
    const { packets } = rig.service.summary()
    expect(packets.dropped.ringFull).toBeGreaterThan(0)
    expect(packets.dropped.shed).toBeUndefined()
  })

  test('a pace that cannot be, or of a shard that is not there, is refused', async () => {
    const rig = await openRig()
    const refused = async (query: string) =>
      (await fetch(`http://127.0.0.1:${rig.service.admin!.port}/debug/fault?${query}`, { method: 'POST' })).status
    for (const query of ['shard=0', 'shard=0&us=-1', 'shard=0&us=10001', 'shard=9&us=1', 'receiver=0&us=1'])
      expect(await refused(`${query}&kind=slow`)).toBe(400)
    await rig.close()
  })
})
