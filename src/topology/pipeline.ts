/** The shards of a run, inline or in threads, behind one interface: what the commands drive. */
import type { MirrorError, PlainError } from '../base/errors.ts'
import type { PacketOutlet } from '../dispatch/dispatcher.ts'
import type { FaultKind } from './fault.ts'
import type { TellUnreached } from './shard.ts'
import type { ShardConfig } from './shard-config.ts'
import type { RingEnd } from './shard-memory.ts'
import type { SupervisedTask } from './supervised-task.ts'

export interface PipelineOptions {
  readonly shardConfig: ShardConfig
  /** Worker threads; 0: all on this thread. */
  readonly shards: number
  /** Threads that hand packets to the shards: one ring per shard for each. */
  readonly producers: number
  /** Data bytes of each ring, a power of two. */
  readonly ringCapacity: number
  /** Share of a ring above which whole connections are shed; null: packets wait for room, or a full ring refuses them. */
  readonly shedAbove: number | null
  /** V8 heap limit of each thread. Bodies lie outside it. */
  readonly heapMb: number
  /** Takes what sinks make for standard output; resolves when it is written. */
  readonly writeOutput: (bytes: Uint8Array) => Promise<void>
  /** A shard died; `restartMs` until it is restarted. */
  readonly onShardDied: (shard: number, error: PlainError, restartMs: number) => void
  /** One that died is in its loop again, `afterMs` after it died. */
  readonly onShardBack?: (shard: number, afterMs: number) => void
  /** A shard could not reach its target: the last failure, a few times a second at most. */
  readonly onUnreached?: TellUnreached
  /** A shard's thread does not come up, and is not tried again. Not called before `started` has resolved: that rejects. */
  readonly onShardGivenUp: (error: MirrorError) => void
}

export interface Pipeline {
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
  /** Connections of other protocols seen by the shards: entries `protocol:port` → count. */
  protocolCounts(): [string, number][]
  /** Resolves when packets can be taken. */
  started(): Promise<void>
  /** Offline: whether a packet of `bytes` would be taken now. */
  hasRoomFor(bytes: number): boolean
  usedRingBytes(): number
  /** Share of the connections left out now, at the shard that is worst off. */
  shedRatio(): number
  /** Live, once per tick: time passes. A no-op where threads have clocks of their own. */
  tick(): void
  /** Closes all connections: the end of a pass. */
  flush(nowUs: number): Promise<void>
  /** Every shard takes over what may change of the shard config. Resolves when all have. */
  change(shardConfig: ShardConfig): Promise<void>
  /** Threads and how they fare; none inline. */
  readonly supervised: readonly SupervisedTask[]
  /** Ends everything; at most the shard config's drain time-out. */
  drain(): Promise<void>
  /** False when there is no such thread. */
  injectFault(shard: number, kind: FaultKind): boolean
  /** Makes every packet of the shard take `us` microseconds more. False when there is no such thread. */
  slowDown(shard: number, us: number): boolean
}

/** Loads only the one that is asked for. */
export async function openPipeline(options: PipelineOptions): Promise<Pipeline> {
  if (options.shards === 0) {
    const { InlinePipeline } = await import('./inline-pipeline.ts')
    return InlinePipeline.open(options.shardConfig, options.writeOutput, options.onUnreached)
  }
  const { ShardPool } = await import('./shard-pool.ts')
  return new ShardPool(options)
}
