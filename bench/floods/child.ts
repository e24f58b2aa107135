/** One flood in a process of its own, so that its memory is its own: JSON on the command line, JSON on standard output. */
import { readFileSync, writeSync } from 'node:fs'
import { MonotonicClock } from '../../src/base/clock.ts'
import { memoryBudget } from '../../src/config/memory-budget.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { COUNTER_BLOCK_BYTES, CounterBlock } from '../../src/metrics/counters.ts'
import { Totals, total } from '../../src/report/totals.ts'
import { PacketPipeline } from '../../src/topology/packet-pipeline.ts'
import { openPipeline } from '../../src/topology/pipeline.ts'
import { packetPipelineOptions, sendingSinkConfig, shardConfigOf } from '../../src/topology/stage-configs.ts'
import { FLOODS } from './floods.ts'

export interface FloodOrder {
  readonly flood: string
  /** Packets in all, growing: the cost is told for those between one and the next. */
  readonly sizes: readonly number[]
  /** null: the default. */
  readonly memoryLimit: string | null
}

export interface FloodResult {
  readonly limitBytes: number
  readonly budget: Readonly<Record<string, number>>
  /** Microseconds of processor time for each packet, of the packets up to each size. */
  readonly cost: readonly number[]
  readonly sent: number
  readonly peakRssBytes: number
  /** [what, got, expected] of whatever does not hold. */
  readonly wrong: readonly (readonly [string, unknown, unknown])[]
  /** What the counters said, without those that are zero. */
  readonly counts: Readonly<Record<string, number>>
}

const BATCH = 256
/** Packet time: 100,000 packets a second. */
const STEP_US = 10
const FIRST_US = 1_767_225_600e6
const PEER = { family: 4, words: new Int32Array(4) } as const

async function measure({ flood, sizes, memoryLimit }: FloodOrder): Promise<FloodResult> {
  const { open, claims } = FLOODS.find(({ name }) => name === flood)!
  const flags = new Map([
    ['to', ['null']],
    ['workers', ['0']],
    ...(memoryLimit === null ? [] : [['memoryLimit', [memoryLimit]] as [string, string[]]]),
  ])
  const { options } = await resolveOptions('run', { flags, arguments: [], faults: [] }, {})
  const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
  const counters = new CounterBlock(memory)
  const anchor = new MonotonicClock().anchor
  // As for files: time is the packets' own.
  const shardConfig = shardConfigOf(options, sendingSinkConfig(options, true), false, anchor, null)
  const path = await openPipeline({
    shardConfig,
    shards: 0,
    producers: 1,
    ringCapacity: options.ringBytes,
    heapMb: options.shardHeapMb,
    writeOutput: () => Promise.resolve(),
    onShardDied: () => {},
    onShardGivenUp: () => {},
    shedAbove: null,
  })
  const packetPipeline = new PacketPipeline(packetPipelineOptions(options, true), path.outlet, counters)
  let sent = 0
  let nowUs = FIRST_US
  const step = open((bytes, end, format) => {
    sent++
    nowUs += STEP_US
    packetPipeline.datagram(bytes, 0, end, false, format, PEER as never, null, nowUs)
    if (sent % BATCH === 0) packetPipeline.publish()
  })
  const cost: number[] = []
  let steps = 0
  let before = 0
  for (const size of sizes) {
    const cpu = process.cpuUsage()
    while (sent < size) {
      step(steps++)
      // Collections that wait for a turn of the event loop get one, as they do in a shard.
      if (steps % 65_536 === 0) await new Promise(setImmediate)
    }
    const { user, system } = process.cpuUsage(cpu)
    cost.push((user + system) / (sent - before))
    before = sent
  }
  packetPipeline.flush()
  await path.flush(nowUs)
  await path.drain()
  packetPipeline.publish()
  const totals = Totals.read([memory], path.counterBlocks)
  return {
    limitBytes: options.memoryLimit,
    budget: memoryBudget(options),
    cost,
    sent,
    peakRssBytes: peakRss(),
    wrong: wrongOf({ ...sums(totals, sent), ...claims(totals, sent, steps) }),
    counts: told(totals),
  }
}

/** What holds for every flood: everything that came in ended in one count, and nothing is held. */
function sums(totals: Totals, sent: number) {
  return {
    'packets received': [totals.get('packetsReceived'), sent],
    'packets accounted for': [totals.get('packetsProcessed') + totals.packetsDropped(), sent],
    'requests held': [totals.requestsHeld(), 0],
    'requests held, as the owners count': [totals.get('requestsHeld'), 0],
    'responses accounted for': [
      totals.get('responsesCompleted') + total(totals.responseDrops()),
      totals.get('responsesParsed'),
    ],
    'flows open': [totals.get('flowsOpen'), 0],
    'bytes out of order': [totals.get('outOfOrderBytes'), 0],
    'bytes of messages': [totals.get('messageBytes'), 0],
    'bytes of connections': [totals.get('connectionBytes'), 0],
    'bytes of fragments': [totals.get('fragmentBytes'), 0],
  } as const
}

function wrongOf(
  claims: Readonly<Record<string, readonly [unknown, unknown] | boolean>>,
): [string, unknown, unknown][] {
  return Object.entries(claims).flatMap(([what, claim]): [string, unknown, unknown][] => {
    const [got, expected] = typeof claim === 'boolean' ? [claim, true] : claim
    return got === expected ? [] : [[what, got, expected]]
  })
}

function told(totals: Totals): Record<string, number> {
  const counts: Record<string, number> = {}
  const tell = (name: string, n: number) => {
    if (n !== 0) counts[name] = n
  }
  for (const name of [
    'flowsOpened',
    'flowsEvicted',
    'flowsExpired',
    'gaps',
    'requestsParsed',
    'responsesParsed',
  ] as const)
    tell(name, totals.get(name))
  for (const [reason, n] of Object.entries(totals.packetDrops())) tell(`packets dropped: ${reason}`, n)
  for (const [reason, n] of Object.entries(totals.requestDrops())) tell(`requests dropped: ${reason}`, n)
  for (const [reason, n] of Object.entries(totals.responseDrops())) tell(`responses dropped: ${reason}`, n)
  tell('requests discarded', totals.requestsEnded())
  return counts
}

/** The kernel's high-water mark (VmHWM, proc(5)); getrusage's where there is no /proc. */
function peakRss(): number {
  try {
    const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kilobytes !== undefined) return Number(kilobytes) * 1024
  } catch {}
  return process.resourceUsage().maxRSS * 1024
}

writeSync(1, JSON.stringify(await measure(JSON.parse(process.argv[2]!) as FloodOrder)))
