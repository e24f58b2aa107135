/** The shards of a run, inline or in threads, behind one face: what the commands drive. */
import { MonotonicClock } from '../base/clock.ts'
import { PacketDrop } from '../base/drop.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import type { PacketOutlet } from '../dispatch/dispatcher.ts'
import { TunnelRegister } from '../http/tunnel-register.ts'
import { CounterBlock } from '../metrics/counters.ts'
import { counterMemoryBytes, targetBlocks } from '../metrics/target-counters.ts'
import { ProgressRegister } from '../reassembly/progress-register.ts'
import type { DataOutput } from '../sinks/inspect/inspect-sink.ts'
import { RATE_LIMITER_BYTES } from '../sinks/replay/rate-limiter.ts'
import type { FaultKind } from './fault.ts'
import { Shard } from './shard.ts'
import type { ShardPlan } from './shard-plan.ts'
import type { RingEnd, ShardPool, ShardPoolOptions } from './shard-pool.ts'
import type { SupervisedTask } from './supervised-task.ts'

export interface Path {
  /** For packets that come in on this thread. */
  readonly outlet: PacketOutlet
  /** For a receiving thread: the ring of each shard that only it writes to. */
  ringsOf(producer: number): readonly RingEnd[]
  /** Shared by receiving threads and shards; null inline. */
  readonly arrivalOrder: SharedArrayBuffer | null
  /** Levels of shedding, shared by receiving threads; null inline. */
  readonly shedLevels: SharedArrayBuffer | null
  /** Number of worker threads; 0: inline. */
  readonly workers: number
  /** Threads in their loops now. */
  readonly running: number
  readonly counterBlocks: readonly SharedArrayBuffer[]
  census(): [string, number][]
  /** Resolves when packets can be taken. */
  started(): Promise<void>
  /** Offline: whether a packet of `bytes` would be taken now. */
  hasRoomFor(bytes: number): boolean
  usedRingBytes(): number
  /** Share of the connections left out now, at the shard that is worst off. */
  shedRatio(): number
  /** Live, once per tick: time goes on. A no-op where threads have clocks of their own. */
  tick(): void
  /** Closes all connections: the end of a pass. */
  flush(nowUs: number): Promise<void>
  /** Every shard takes over what may change of the plan. Resolves when all have. */
  change(plan: ShardPlan): Promise<void>
  /** Threads and how they fare; none inline. */
  readonly supervised: readonly SupervisedTask[]
  /** Ends everything; at most the plan's drain time-out. */
  drain(): Promise<void>
  /** False when there is no such thread. */
  injectFault(shard: number, kind: FaultKind): boolean
  /** Makes every packet of the shard take `us` microseconds more. False when there is no such thread. */
  slowDown(shard: number, us: number): boolean
}

export async function openPath(options: ShardPoolOptions): Promise<Path> {
  if (options.shards === 0) return InlinePath.open(options.plan, options.writeOutput)
  const { ShardPool } = await import('./shard-pool.ts')
  return new ThreadedPath(new ShardPool(options))
}

class ThreadedPath implements Path {
  private readonly pool: ShardPool

  constructor(pool: ShardPool) {
    this.pool = pool
  }

  get outlet(): PacketOutlet {
    return this.pool.outlet
  }

  get arrivalOrder(): SharedArrayBuffer {
    return this.pool.arrivalOrder
  }

  get shedLevels(): SharedArrayBuffer {
    return this.pool.shedLevels
  }

  ringsOf(producer: number): readonly RingEnd[] {
    return this.pool.ringsOf(producer)
  }

  get workers(): number {
    return this.pool.size
  }

  get running(): number {
    return this.pool.running
  }

  get counterBlocks(): readonly SharedArrayBuffer[] {
    return this.pool.counterBlocks
  }

  census(): [string, number][] {
    return this.pool.census()
  }

  started(): Promise<void> {
    return this.pool.started()
  }

  hasRoomFor(bytes: number): boolean {
    return this.pool.outlet.hasRoomFor(bytes)
  }

  usedRingBytes(): number {
    return this.pool.usedRingBytes()
  }

  shedRatio(): number {
    return this.pool.shedRatio()
  }

  tick(): void {}

  flush(nowUs: number): Promise<void> {
    return this.pool.flush(nowUs)
  }

  change(plan: ShardPlan): Promise<void> {
    return this.pool.change(plan)
  }

  get supervised(): readonly SupervisedTask[] {
    return this.pool.supervised
  }

  drain(): Promise<void> {
    return this.pool.drain()
  }

  injectFault(shard: number, kind: FaultKind): boolean {
    if (shard < 0 || shard >= this.pool.size) return false
    this.pool.injectFault(shard, kind)
    return true
  }

  slowDown(shard: number, us: number): boolean {
    if (shard < 0 || shard >= this.pool.size) return false
    this.pool.slowDown(shard, us)
    return true
  }
}

/** The whole path on one thread: tests, debugging, the baseline of the benches. */
class InlinePath implements Path, PacketOutlet {
  readonly workers = 0
  readonly running = 0
  readonly arrivalOrder = null
  readonly shedLevels = null
  readonly supervised = []
  readonly counterBlocks: readonly SharedArrayBuffer[]
  private plan: ShardPlan
  private rate: SharedArrayBuffer
  private readonly shard: Shard
  private readonly output: QueuedOutput
  private readonly clock: MonotonicClock
  private readonly timer: NodeJS.Timeout

  private constructor(
    plan: ShardPlan,
    shard: Shard,
    counters: SharedArrayBuffer,
    rate: SharedArrayBuffer,
    output: QueuedOutput,
  ) {
    this.rate = rate
    this.counterBlocks = [counters]
    this.plan = plan
    this.shard = shard
    this.output = output
    this.clock = new MonotonicClock(plan.clockAnchor)
    // Answers come between batches too; with threads their loops publish them.
    this.timer = setInterval(() => this.tick(), PUBLISH_MS)
    this.timer.unref()
  }

  static async open(plan: ShardPlan, writeOutput: (bytes: Uint8Array) => Promise<void>): Promise<InlinePath> {
    const counters = new SharedArrayBuffer(counterMemoryBytes(plan.sinks.length))
    const rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
    const output = new QueuedOutput(writeOutput)
    const shard = await Shard.open(plan, {
      counters: new CounterBlock(counters),
      targetCounters: targetBlocks(counters),
      tunnels: new TunnelRegister(),
      progress: new ProgressRegister(),
      rateMemory: rate,
      output,
    })
    return new InlinePath(plan, shard, counters, rate, output)
  }

  get outlet(): PacketOutlet {
    return this
  }

  ringsOf(): readonly RingEnd[] {
    return []
  }

  offer(view: PacketView): number {
    this.shard.packet(view)
    return PacketDrop.none
  }

  publish(): void {
    this.shard.publish()
  }

  census(): [string, number][] {
    return this.shard.census.entries()
  }

  async started(): Promise<void> {}

  hasRoomFor(): boolean {
    return this.shard.hasRoom()
  }

  usedRingBytes(): number {
    return 0
  }

  shedRatio(): number {
    return 0
  }

  tick(): void {
    if (this.plan.isLive) this.shard.tick(this.clock.nowUs())
    this.shard.publish()
  }

  async flush(): Promise<void> {
    this.shard.closeAll()
    this.shard.publish()
  }

  async change(plan: ShardPlan): Promise<void> {
    if (plan.ratePerSecond !== this.plan.ratePerSecond) this.rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
    this.plan = plan
    this.shard.change(plan, this.rate)
  }

  async drain(): Promise<void> {
    this.shard.closeAll()
    this.shard.publish()
    await this.shard.drain(this.plan.drainTimeoutMs)
    await this.shard.close()
    clearInterval(this.timer)
    await this.output.written
  }

  injectFault(): boolean {
    return false
  }

  slowDown(): boolean {
    return false
  }
}

/** Output on its way out, in order. */
class QueuedOutput implements DataOutput {
  written: Promise<void> = Promise.resolve()
  private pendingBytes = 0
  private readonly writeOutput: (bytes: Uint8Array) => Promise<void>

  constructor(writeOutput: (bytes: Uint8Array) => Promise<void>) {
    this.writeOutput = writeOutput
  }

  write(bytes: Uint8Array): void {
    this.pendingBytes += bytes.length
    this.written = this.written
      .then(() => this.writeOutput(bytes))
      .then(() => {
        this.pendingBytes -= bytes.length
      })
  }

  hasRoom(): boolean {
    return this.pendingBytes < MAX_PENDING_BYTES
  }
}

const MAX_PENDING_BYTES = 8 << 20
const PUBLISH_MS = 50
