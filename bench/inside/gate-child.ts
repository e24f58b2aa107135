/**
 * Counts of the path in this process, warm: bytes allocated, collections, bytes copied. A process of its own; what it is to
 * measure stands on its command line, because allocation is exact only while nothing is collected.
 */
import { writeSync } from 'node:fs'
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { PacketDrop } from '../../src/base/drop.ts'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { type PacketOutlet, RingOutlet } from '../../src/dispatch/dispatcher.ts'
import { Counter } from '../../src/metrics/counters.ts'
import { RingConsumer, RingProducer, ringBytes } from '../../src/ring/ring.ts'
import { openCapture } from '../../src/sources/files/open-capture.ts'
import { PacketPipeline } from '../../src/topology/packet-pipeline.ts'
import { benchShardConfig, collectGarbage, newCounters, openShard, packetPipelineOf, replayDefaults } from './parts.ts'

export interface GateOrder {
  readonly path: string
  readonly measure: 'allocation' | 'collections' | 'copies'
  /** Passes over the capture before, and while it is measured. */
  readonly warmUp: number
  readonly passes: number
}

export interface GateResult {
  readonly packets: number
  readonly requests: number
  /** Of what the source handed out. */
  readonly bytes: number
  /** JavaScript heap, and memory of buffers outside it. */
  readonly allocatedBytes: number
  readonly allocatedOutsideBytes: number
  readonly collections: number
  readonly copiedBytes: number
}

const BATCH = 512

/** Whole passes: read, decapsulate, dispatch, reassemble, parse, discard. */
class Passes {
  readonly packets = { count: 0, bytes: 0 }
  private readonly packetPipeline: PacketPipeline
  private readonly path: string
  private readonly endBatch: () => void
  private readonly endPass: () => void
  private shiftUs = 0

  constructor(path: string, packetPipeline: PacketPipeline, endBatch: () => void, endPass: () => void) {
    this.path = path
    this.packetPipeline = packetPipeline
    this.endBatch = endBatch
    this.endPass = endPass
  }

  async run(times: number): Promise<void> {
    const { packetPipeline, packets } = this
    for (let pass = 0; pass < times; pass++) {
      const source = await openCapture(this.path)
      let batch = 0
      let isFirst = true
      while (await source.fill()) {
        while (source.next()) {
          const { record } = source
          // As the program does it: a pass goes on behind the one before.
          if (isFirst && packetPipeline.latestUs > 0) this.shiftUs = packetPipeline.latestUs + 1000 - record.timeUs
          isFirst = false
          packets.count++
          packets.bytes += record.end - record.at
          packetPipeline.frame(record, this.shiftUs)
          if (++batch < BATCH) continue
          batch = 0
          packetPipeline.publish()
          this.endBatch()
        }
      }
      await source.close()
      packetPipeline.flush()
      this.endBatch()
      this.endPass()
    }
  }
}

async function measure(order: GateOrder): Promise<GateResult> {
  const options = await replayDefaults()
  const counters = newCounters()
  const shard = await openShard(benchShardConfig(options), counters)
  const isThroughRing = order.measure === 'copies'
  const memory = new SharedArrayBuffer(ringBytes(1 << 22))
  const consumer = new RingConsumer(memory)
  const view = new PacketView()
  const inline: PacketOutlet = {
    offer: (packet) => {
      shard.packet(packet)
      return PacketDrop.none
    },
    publish: () => shard.publish(),
  }
  const ring = new RingOutlet([new RingProducer(memory)], null)
  // The ring copies word by word, which no replaced method sees.
  let ringBytesCopied = 0
  const throughRing: PacketOutlet = {
    offer: (packet) => {
      const refusal = ring.offer(packet)
      if (refusal === PacketDrop.none) ringBytesCopied += packet.end - packet.ipAt
      return refusal
    },
    publish: (nowUs) => ring.publish(nowUs),
  }
  const outlet = isThroughRing ? throughRing : inline
  const passes = new Passes(
    order.path,
    new PacketPipeline(packetPipelineOf(options), outlet, newCounters()),
    () => {
      if (!isThroughRing) return
      while (consumer.next(view)) shard.packet(view)
      consumer.release()
      shard.publish()
    },
    () => shard.closeAll(),
  )
  await passes.run(order.warmUp)
  const before = { ...passes.packets, requests: counters.get(Counter.requestsParsed) }
  const copies = isThroughRing ? countCopies() : null
  ringBytesCopied = 0
  const observed = observeCollections()
  collectGarbage()
  collectGarbage()
  await sleep(20)
  const collected = observed.count
  const heap = process.memoryUsage()
  await passes.run(order.passes)
  const heapAfter = process.memoryUsage()
  await sleep(20)
  return {
    packets: passes.packets.count - before.count,
    bytes: passes.packets.bytes - before.bytes,
    requests: counters.get(Counter.requestsParsed) - before.requests,
    allocatedBytes: heapAfter.heapUsed - heap.heapUsed,
    allocatedOutsideBytes: heapAfter.external - heap.external,
    collections: observed.count - collected,
    copiedBytes: copies === null ? 0 : copies.bytes + ringBytesCopied,
  }
}

function observeCollections(): { count: number } {
  const observed = { count: 0 }
  new PerformanceObserver((list) => {
    observed.count += list.getEntries().length
  }).observe({ entryTypes: ['gc'] })
  return observed
}

/**
 * Counts every byte that is moved by the ways JavaScript has of moving many at once. Copies byte by byte in a loop are not
 * seen; none of any size would be written so, they are several times slower.
 */
function countCopies(): { bytes: number } {
  const copied = { bytes: 0 }
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Record<string, unknown>
  const wrap = (
    owner: Record<string, unknown>,
    name: string,
    bytesOf: (self: Uint8Array, args: readonly unknown[], result: unknown) => number,
  ) => {
    const original = owner[name] as (...args: unknown[]) => unknown
    owner[name] = function (this: Uint8Array, ...args: unknown[]): unknown {
      const result = original.apply(this, args)
      copied.bytes += bytesOf(this, args, result)
      return result
    }
  }
  wrap(typedArray, 'set', (self, [source]) => {
    const from = source as { byteLength?: number; length: number }
    return from.byteLength ?? from.length * self.BYTES_PER_ELEMENT
  })
  wrap(typedArray, 'slice', (_self, _args, result) => (result as Uint8Array).byteLength)
  wrap(
    typedArray,
    'copyWithin',
    (self, [, start, end]) => Math.max(0, Number(end ?? self.length) - Number(start)) * self.BYTES_PER_ELEMENT,
  )
  const buffer = Buffer.prototype as unknown as Record<string, unknown>
  wrap(buffer, 'copy', (_self, _args, result) => Number(result))
  const statics = Buffer as unknown as Record<string, unknown>
  wrap(statics, 'concat', (_self, _args, result) => (result as Buffer).length)
  wrap(statics, 'from', (_self, [source], result) =>
    // Over an ArrayBuffer it is a view.
    source instanceof ArrayBuffer || source instanceof SharedArrayBuffer ? 0 : (result as Buffer).length,
  )
  return copied
}

writeSync(1, JSON.stringify(await measure(JSON.parse(process.argv[2]!) as GateOrder)))
