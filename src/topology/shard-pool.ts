/**
 * The worker threads: piscina with one endless task each, and the supervision it lacks. A shard that dies (throws, exits, runs
 * out of heap, stands still) is accounted for, and started again with back-off while the others go on.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import {
  OUTCOME_NAMES,
  PACKET_DROP_NAMES,
  PacketDrop,
  REQUEST_DROP_NAMES,
  RESPONSE_DROP_NAMES,
  RequestDrop,
  ResponseDrop,
} from '../base/drop.ts'
import { MirrorError, toPlainError } from '../base/errors.ts'
import { RingOutlet } from '../dispatch/dispatcher.ts'
import { TUNNEL_REGISTER_BYTES } from '../http/tunnel-register.ts'
import {
  COUNTER_BLOCK_BYTES,
  Counter,
  CounterBlock,
  OUTCOMES,
  PACKET_DROPS,
  REQUEST_DROPS,
  RESPONSE_DROPS,
} from '../metrics/counters.ts'
import { PROGRESS_REGISTER_BYTES } from '../reassembly/progress-register.ts'
import { RingProducer, ringBytes } from '../ring/ring.ts'
import { RATE_LIMITER_BYTES } from '../sinks/replay/rate-limiter.ts'
import { Command, type FaultKind, SHARD_CONTROL_BYTES, ShardControl } from './shard-control.ts'
import type { ShardMessage, ShardTask } from './shard-loop.ts'
import type { ShardPlan } from './shard-plan.ts'

export interface ShardPoolOptions {
  readonly plan: ShardPlan
  readonly shards: number
  /** Data bytes of each ring, a power of two. */
  readonly ringCapacity: number
  /** V8 heap limit of each thread. Bodies lie outside it. */
  readonly heapMb: number
  /** Takes printed lines; resolves when they are written. */
  readonly writeLines: (lines: string) => Promise<void>
  /** A shard died; `restartMs` until it is started again. */
  readonly onShardDied: (shard: number, error: { code: string; message: string }, restartMs: number) => void
}

interface Member {
  readonly ring: SharedArrayBuffer
  readonly control: ShardControl
  readonly controlMemory: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
  readonly tunnels: SharedArrayBuffer
  readonly progress: SharedArrayBuffer
  readonly producer: RingProducer
  census: [string, number][]
  /** The census of its predecessors that died. */
  pastCensus: [string, number][]
  /** Stops a thread that stands still. */
  abort: AbortController
  isRunning: boolean
  /** Deaths in a row, each soon after its start. */
  earlyDeaths: number
}

/** A heartbeat that did not move over this many checks means a shard that stands still. Checks are skipped with the main thread. */
const CHECK_MS = 200
const CHECKS_BEFORE_STUCK = 7
const FIRST_RESTART_MS = 50
const MAX_RESTART_MS = 5_000
/** A shard that lived this long is not in a crash loop: it starts with the shortest back-off again. */
const HEALTHY_MS = 1_500

export class ShardPool {
  readonly outlet: RingOutlet
  private readonly options: ShardPoolOptions
  private readonly pool: Piscina<ShardTask, void>
  private readonly members: Member[]
  private readonly rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
  private readonly tasks: Promise<void>[]
  private readonly monitor: NodeJS.Timeout
  private isDraining = false
  private isClosed = false

  constructor(options: ShardPoolOptions) {
    this.options = options
    this.members = Array.from({ length: options.shards }, () => {
      const ring = new SharedArrayBuffer(ringBytes(options.ringCapacity))
      const controlMemory = new SharedArrayBuffer(SHARD_CONTROL_BYTES)
      return {
        ring,
        controlMemory,
        control: new ShardControl(controlMemory),
        counters: new SharedArrayBuffer(COUNTER_BLOCK_BYTES),
        tunnels: new SharedArrayBuffer(TUNNEL_REGISTER_BYTES),
        progress: new SharedArrayBuffer(PROGRESS_REGISTER_BYTES),
        producer: new RingProducer(ring),
        census: [],
        pastCensus: [],
        abort: new AbortController(),
        isRunning: false,
        earlyDeaths: 0,
      }
    })
    this.outlet = new RingOutlet(this.members.map((m) => m.producer))
    this.pool = new Piscina({
      filename: workerFile(),
      minThreads: options.shards,
      maxThreads: options.shards,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
      atomics: 'disabled',
      resourceLimits: { maxOldGenerationSizeMb: options.heapMb },
    })
    // A thread's end is told by the task's rejection; piscina repeats it as an event that would be uncaught.
    this.pool.on('error', () => {})
    this.tasks = this.members.map((member, i) => this.supervise(member, i))
    this.monitor = setInterval(() => this.checkHeartbeats(), CHECK_MS)
    this.monitor.unref()
  }

  /** Resolves when every shard has begun its loop. */
  async started(): Promise<void> {
    while (this.members.some((m) => m.control.heartbeat === 0)) await sleep(2)
  }

  /** Shards now in their loops. */
  get running(): number {
    return this.members.filter((m) => m.isRunning).length
  }

  get size(): number {
    return this.members.length
  }

  /** Memory of the shards' counter blocks. */
  get counterBlocks(): readonly SharedArrayBuffer[] {
    return this.members.map((m) => m.counters)
  }

  /** Connections of other protocols seen by the shards: entries `protocol:port` → count. */
  census(): [string, number][] {
    return this.members.flatMap((m) => [...m.pastCensus, ...m.census])
  }

  injectFault(shard: number, kind: FaultKind): void {
    this.members[shard]!.control.injectFault(kind)
  }

  /** Tells every shard to close its flows: the end of a pass over files. */
  async flush(nowUs: number): Promise<void> {
    for (const { producer } of this.members) {
      while (!producer.tryWriteFlush(nowUs)) {
        producer.publish()
        await sleep(1)
      }
      producer.publish()
    }
  }

  /** Lets every shard finish what is in its ring and wait for answers; stops those that take longer than the plan allows. */
  async drain(): Promise<void> {
    this.isDraining = true
    this.outlet.publish()
    for (const member of this.members) member.control.command = Command.drain
    await Promise.all(this.tasks)
    this.isClosed = true
    clearInterval(this.monitor)
    await this.pool.destroy()
  }

  private async supervise(member: Member, index: number): Promise<void> {
    for (;;) {
      const startedMs = performance.now()
      try {
        await this.runOnce(member)
        return
      } catch (error) {
        this.account(member, index)
        if (this.isDraining && member.producer.used() === 0) return
        member.earlyDeaths = performance.now() - startedMs > HEALTHY_MS ? 0 : member.earlyDeaths + 1
        const pause = Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** member.earlyDeaths)
        const { signal } = member.abort
        this.options.onShardDied(index, toPlainError(signal.aborted ? signal.reason : error), pause)
        await sleep(pause)
        if (this.isClosed) return
      }
    }
  }

  private async runOnce(member: Member): Promise<void> {
    const { port1, port2 } = new MessageChannel()
    let pending = Promise.resolve()
    const ended = new Promise<void>((resolve) => port1.once('close', resolve))
    port1.on('message', (message: ShardMessage) => {
      if (message.kind === 'census') member.census = message.entries
      else {
        const { lines } = message
        pending = pending.then(() => this.options.writeLines(lines)).then(() => member.control.linesDone(lines.length))
      }
    })
    member.abort = new AbortController()
    member.isRunning = true
    const task: ShardTask = {
      plan: this.options.plan,
      ring: member.ring,
      control: member.controlMemory,
      counters: member.counters,
      tunnels: member.tunnels,
      progress: member.progress,
      rate: this.rate,
      port: port2,
    }
    try {
      await this.pool.run(task, { transferList: [port2], signal: member.abort.signal })
      await ended
      await pending
    } finally {
      member.isRunning = false
      port1.close()
    }
  }

  /**
   * A dead shard's counters end where they were last published. What it had taken and not ended is lost: counted here, in its
   * own block, before its successor goes on with it.
   */
  private account(member: Member, index: number): void {
    const block = new CounterBlock(member.counters)
    const sum = (at: number, n: number) => block.values.subarray(at, at + n).reduce((a, b) => a + b, 0)
    const requests =
      block.get(Counter.requestsParsed) -
      sum(REQUEST_DROPS, REQUEST_DROP_NAMES.length) -
      sum(OUTCOMES, OUTCOME_NAMES.length)
    block.requestDrop(RequestDrop.shardLost, requests)
    const responses =
      block.get(Counter.responsesParsed) -
      block.get(Counter.responsesCompleted) -
      sum(RESPONSE_DROPS, RESPONSE_DROP_NAMES.length)
    block.responseDrop(ResponseDrop.shardLost, responses)
    const accounted = block.get(Counter.packetsProcessed) + sum(PACKET_DROPS, PACKET_DROP_NAMES.length)
    block.packetDrop(
      PacketDrop.shardLost,
      this.outlet.handedOver[index]! - accounted - member.producer.countUnclaimed(),
    )
    block.add(Counter.flowsLost, block.get(Counter.flowsUnsettled))
    for (const gauge of SHARD_GAUGES) block.set(Counter[gauge], 0)
    block.publish()
    member.pastCensus.push(...member.census)
    member.census = []
    member.control.forgetLines()
  }

  private readonly seen: { heartbeat: number; still: number }[] = []

  private checkHeartbeats(): void {
    for (const [i, member] of this.members.entries()) {
      const heartbeat = member.control.heartbeat
      const last = this.seen[i]
      if (!member.isRunning || last === undefined || last.heartbeat !== heartbeat) {
        this.seen[i] = { heartbeat, still: 0 }
      } else if (++last.still >= CHECKS_BEFORE_STUCK && heartbeat !== 0) {
        last.still = 0
        member.abort.abort(
          new MirrorError('ERR_SHARD', `the shard did not move for ${CHECK_MS * CHECKS_BEFORE_STUCK} ms`),
        )
      }
    }
  }
}

const SHARD_GAUGES = [
  'flowsOpen',
  'flowsUnsettled',
  'outOfOrderBytes',
  'requestsHeld',
  'responsesHeld',
  'replayQueued',
  'replayQueuedBytes',
  'replayInFlight',
  'circuitOpen',
] as const

/** Workers run from the build: Node 20 loads no TypeScript in threads. */
function workerFile(): string {
  const isBuilt = new URL(import.meta.url).pathname.includes('/dist/')
  return fileURLToPath(new URL(isBuilt ? '../../workers/shard.js' : '../../dist/workers/shard.js', import.meta.url))
}
