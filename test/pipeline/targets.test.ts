/** Two targets behind the whole pipeline: packets in, every request at both, and counts by target that add up. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import type { ReplayOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { summaryInWords } from '../../src/report/summary.ts'
import { CaptureRecord } from '../../src/sources/capture-record.ts'
import { PacketPipeline } from '../../src/topology/packet-pipeline.ts'
import { openPipeline } from '../../src/topology/pipeline.ts'
import { RunStats } from '../../src/topology/run-stats.ts'
import type { ShardConfig, SinkConfig } from '../../src/topology/shard-config.ts'
import { packetPipelineOptions, sendingSinkConfig, shardConfigOf } from '../../src/topology/stage-configs.ts'
import { until } from '../support/until.ts'
import { sampleFrames, sum } from './rig.ts'

const REQUESTS = 300
const ETHERNET = 1

class Origin {
  arrived = 0
  private readonly server: Server
  private readonly waiting: (() => void)[] = []

  private constructor(answersAtOnce: boolean) {
    this.server = createServer((request, response) => {
      this.arrived++
      request.resume()
      request.on('end', () => {
        if (answersAtOnce) response.end('ok')
        else this.waiting.push(() => response.end('late'))
      })
    })
  }

  static async open(answersAtOnce: boolean): Promise<Origin> {
    const origin = new Origin(answersAtOnce)
    await new Promise<void>((resolve) => origin.server.listen(0, '127.0.0.1', resolve))
    origins.push(origin)
    return origin
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  close(): void {
    this.server.closeAllConnections()
    this.server.close()
  }
}

const origins: Origin[] = []
afterEach(() => {
  for (const origin of origins.splice(0)) origin.close()
})

async function openTargets(
  shards: number,
  to: readonly Origin[],
  { changes = [], drainTimeoutMs = 60_000 }: { changes?: readonly object[]; drainTimeoutMs?: number } = {},
) {
  const targets: SinkConfig[] = []
  let shardConfig: ShardConfig | null = null
  let options: ReplayOptions | null = null
  for (const [i, origin] of to.entries()) {
    const flags = new Map([
      ['to', [origin.url]],
      ['workers', [String(Math.max(1, shards))]],
    ])
    const resolved = await resolveOptions('replay', { flags, arguments: ['-'], faults: [] }, {})
    options = resolved.options as ReplayOptions
    const sinkConfig = sendingSinkConfig(options, true)
    if (sinkConfig.kind === 'replay') targets.push({ ...sinkConfig, options: { ...sinkConfig.options, ...changes[i] } })
    shardConfig = shardConfigOf(options, sinkConfig, false, new MonotonicClock().anchor, null)
  }
  const stats = new RunStats(
    false,
    targets.map(({ name }) => name),
  )
  const deaths: string[] = []
  const pipeline = await openPipeline({
    shardConfig: { ...shardConfig!, sinks: targets, drainTimeoutMs },
    shards,
    producers: 1,
    ringCapacity: 1 << 22,
    shedAbove: null,
    heapMb: 64,
    writeOutput: () => Promise.resolve(),
    onShardDied: (_shard, error) => deaths.push(error.message),
    onShardGivenUp: () => {},
  })
  stats.attach(pipeline)
  await pipeline.started()
  return {
    pipeline,
    stats,
    deaths,
    packets: new PacketPipeline(packetPipelineOptions(options!, false), pipeline.outlet, stats.counters),
  }
}

function give(packets: PacketPipeline, frames: readonly Buffer[]): void {
  const record = new CaptureRecord()
  for (const [i, bytes] of frames.entries()) {
    record.bytes = bytes
    record.at = 0
    record.end = bytes.length
    record.wireLength = bytes.length
    record.linkType = ETHERNET
    record.timeUs = 1_700_000_000_000_000 + i * 100
    packets.frame(record)
  }
  packets.publish()
}

/** The sums of design: what was parsed, and what each target was given. */
function checkSums({ requests, targets }: ReturnType<RunStats['summary']>): void {
  expect(requests.parsed).toBe(sum(requests.dropped) + requests.forwarded! + requests.held)
  for (const { given, dropped, replayed, held } of Object.values(targets!))
    expect(given).toBe(sum(dropped) + sum(replayed) + held)
}

describe.each([0, 1])('with %i worker threads', (shards) => {
  test('each target gets every request and counts for itself', async () => {
    const [one, other] = [await Origin.open(true), await Origin.open(true)]
    const { pipeline, stats, packets } = await openTargets(shards, [one, other])
    give(packets, sampleFrames(REQUESTS).frames)
    await pipeline.drain()
    const summary = stats.summary()
    checkSums(summary)
    const { requests, targets } = summary
    expect(requests.held).toBe(0)
    expect(requests.forwarded).toBeGreaterThan(REQUESTS * 0.9)
    expect(requests.replayed).toEqual({})
    expect(targets).toEqual({ [one.url]: targets![other.url], [other.url]: targets![one.url] })
    expect(targets![one.url]).toMatchObject({ given: requests.forwarded, held: 0 })
    expect([one.arrived, other.arrived]).toEqual([sum(targets![one.url]!.replayed), sum(targets![other.url]!.replayed)])
    expect(summary.latencyMs.max).toBeGreaterThan(0)
    const words = summaryInWords(summary, 'replayed')
    expect(words.filter((line) => line.includes(`${requests.forwarded} given`))).toHaveLength(2)
  })

  test('one that does not answer takes nothing from the other', async () => {
    const [fast, silent] = [await Origin.open(true), await Origin.open(false)]
    const { pipeline, stats, packets } = await openTargets(shards, [fast, silent], {
      changes: [{}, { queueRequests: 20, connections: 4 }],
      drainTimeoutMs: 1_000,
    })
    give(packets, sampleFrames(REQUESTS).frames)
    await until('the other has all of its own', () => {
      const of = stats.summary().targets?.[fast.url]
      return of !== undefined && stats.totals().packetsInRings() === 0 && of.given > 0 && of.held === 0
    })
    await pipeline.drain()
    const summary = stats.summary()
    checkSums(summary)
    const [of, ofSilent] = [summary.targets![fast.url]!, summary.targets![silent.url]!]
    expect(of.given).toBe(ofSilent.given)
    expect(of.dropped.queueFull).toBeUndefined()
    expect(of.dropped.drainTimeout).toBeUndefined()
    expect(fast.arrived).toBe(sum(of.replayed))
    expect(ofSilent.dropped.queueFull).toBeGreaterThan(100)
    expect(ofSilent.dropped.drainTimeout).toBeGreaterThanOrEqual(20)
    expect(sum(ofSilent.replayed)).toBe(0)
    expect(summaryInWords(summary, 'replayed')[0]).toContain(`to ${silent.url} dropped`)
  })
})

test('what a shard that died had given to its targets is lost at those that had not ended it', async () => {
  const [fast, silent] = [await Origin.open(true), await Origin.open(false)]
  const { pipeline, stats, packets, deaths } = await openTargets(1, [fast, silent], { drainTimeoutMs: 1_000 })
  give(packets, sampleFrames(REQUESTS).frames)
  await until('requests are under way', () => silent.arrived >= 32 && stats.totals().packetsInRings() === 0)
  pipeline.injectFault(0, 'throw')
  await until('the worker died and runs again', () => deaths.length === 1 && pipeline.running === 1)
  await pipeline.drain()
  const summary = stats.summary()
  checkSums(summary)
  expect(summary.requests.held).toBe(0)
  const [of, ofSilent] = [summary.targets![fast.url]!, summary.targets![silent.url]!]
  expect([of.held, ofSilent.held]).toEqual([0, 0])
  expect(ofSilent.dropped.shardLost).toBeGreaterThanOrEqual(32)
  expect(of.dropped.shardLost ?? 0).toBeLessThan(ofSilent.dropped.shardLost!)
})
