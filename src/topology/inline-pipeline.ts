/** The whole pipeline on one thread, without rings or supervision: tests, debugging, the baseline of the benches, the quickest for small files. */
import { MonotonicClock } from '../base/clock.ts'
import { PacketDrop } from '../base/drop.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import type { PacketOutlet } from '../dispatch/dispatcher.ts'
import { ProgressRegister } from '../flow/progress-register.ts'
import { TunnelRegister } from '../http/tunnel-register.ts'
import { CounterBlock } from '../metrics/counters.ts'
import { counterMemoryBytes, targetBlocks } from '../metrics/target-counters.ts'
import { RATE_LIMITER_BYTES } from '../sinks/filter/rate-limiter.ts'
import type { DataOutput } from '../sinks/inspect/inspect-sink.ts'
import type { Pipeline } from './pipeline.ts'
import { Shard, type TellUnreached } from './shard.ts'
import type { ShardConfig } from './shard-config.ts'
import type { RingEnd } from './shard-memory.ts'

const MAX_PENDING_BYTES = 8 << 20
const PUBLISH_MS = 50

type Write = (bytes: Uint8Array) => Promise<void>

export class InlinePipeline implements Pipeline, PacketOutlet {
  readonly workers = 0
  readonly running = 0
  readonly arrivalOrder = null
  readonly shedLevels = null
  readonly supervised = []
  readonly counterBlocks: readonly SharedArrayBuffer[]
  private shardConfig: ShardConfig
  private rate: SharedArrayBuffer
  private readonly shard: Shard
  private readonly output: QueuedOutput
  private readonly onUnreached: TellUnreached
  private readonly clock: MonotonicClock
  private readonly timer: NodeJS.Timeout

  private constructor(
    shardConfig: ShardConfig,
    shard: Shard,
    counters: SharedArrayBuffer,
    rate: SharedArrayBuffer,
    output: QueuedOutput,
    onUnreached: TellUnreached,
  ) {
    this.rate = rate
    this.counterBlocks = [counters]
    this.shardConfig = shardConfig
    this.shard = shard
    this.output = output
    this.onUnreached = onUnreached
    this.clock = new MonotonicClock(shardConfig.clockAnchor)
    // Answers come between batches too; with threads their loops publish them.
    this.timer = setInterval(() => {
      this.tick()
      shard.tellUnreached(onUnreached)
    }, PUBLISH_MS)
    this.timer.unref()
  }

  static async open(
    shardConfig: ShardConfig,
    writeOutput: Write,
    onUnreached: TellUnreached = () => {},
  ): Promise<InlinePipeline> {
    const counters = new SharedArrayBuffer(counterMemoryBytes(shardConfig.sinks.length))
    const rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
    const output = new QueuedOutput(writeOutput)
    const shard = await Shard.open(shardConfig, {
      counters: new CounterBlock(counters),
      targetCounters: targetBlocks(counters),
      tunnels: new TunnelRegister(),
      progress: new ProgressRegister(),
      rateMemory: rate,
      output,
    })
    return new InlinePipeline(shardConfig, shard, counters, rate, output, onUnreached)
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

  protocolCounts(): [string, number][] {
    return this.shard.protocolCounts.entries()
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
    if (this.shardConfig.isLive) this.shard.tick(this.clock.nowUs())
    this.shard.publish()
  }

  async flush(): Promise<void> {
    this.shard.closeAll()
    this.shard.publish()
  }

  async change(shardConfig: ShardConfig): Promise<void> {
    if (shardConfig.ratePerSecond !== this.shardConfig.ratePerSecond)
      this.rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
    this.shardConfig = shardConfig
    this.shard.change(shardConfig, this.rate)
  }

  async drain(): Promise<void> {
    this.shard.closeAll()
    this.shard.publish()
    await this.shard.drain(this.shardConfig.drainTimeoutMs)
    this.shard.tellUnreached(this.onUnreached)
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

/** Output on its way, in order. */
class QueuedOutput implements DataOutput {
  written: Promise<void> = Promise.resolve()
  private pendingBytes = 0
  private readonly writeOutput: Write

  constructor(writeOutput: Write) {
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
