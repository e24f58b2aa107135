/**
 * The shared memory of one shard. It outlives the workers that run the shard, one after the other: each continues where the one before
 * left it. Plain data, so that it crosses to a thread as it is.
 */

import { PROGRESS_REGISTER_BYTES, ProgressRegister } from '../flow/progress-register.ts'
import { TUNNEL_REGISTER_BYTES, TunnelRegister } from '../http/tunnel-register.ts'
import { CounterBlock } from '../metrics/counters.ts'
import { counterMemoryBytes, targetBlocks } from '../metrics/target-counters.ts'
import { ArrivalOrder } from '../ring/arrival-order.ts'
import { DOORBELL_BYTES, Doorbell } from '../ring/doorbell.ts'
import { Inbox } from '../ring/inbox.ts'
import { ringBytes } from '../ring/ring.ts'
import { SHARD_CONTROL_BYTES, ShardControl } from './shard-control.ts'

export interface ShardMemory {
  /** One for each producer. */
  readonly rings: readonly SharedArrayBuffer[]
  readonly bell: SharedArrayBuffer
  /** Of all receivers, the same for every shard. */
  readonly order: SharedArrayBuffer
  readonly control: SharedArrayBuffer
  /** The shard's block, and those of its targets (metrics/target-counters.ts). */
  readonly counters: SharedArrayBuffer
  readonly tunnels: SharedArrayBuffer
  readonly progress: SharedArrayBuffer
}

/** What a producer needs of one shard. */
export interface RingEnd {
  readonly ring: SharedArrayBuffer
  readonly bell: SharedArrayBuffer
}

/**
 * By the main thread, once a run.
 * @param ringCapacity data bytes of each ring, a power of two
 * @param sinks of the shard config: several have counters of their own
 * @throws MirrorError ERR_RING_CAPACITY
 */
export function allocateShardMemory(
  producers: number,
  ringCapacity: number,
  order: SharedArrayBuffer,
  sinks: number,
): ShardMemory {
  return {
    rings: Array.from({ length: producers }, () => new SharedArrayBuffer(ringBytes(ringCapacity))),
    bell: new SharedArrayBuffer(DOORBELL_BYTES),
    order,
    control: new SharedArrayBuffer(SHARD_CONTROL_BYTES),
    counters: new SharedArrayBuffer(counterMemoryBytes(sinks)),
    tunnels: new SharedArrayBuffer(TUNNEL_REGISTER_BYTES),
    progress: new SharedArrayBuffer(PROGRESS_REGISTER_BYTES),
  }
}

/** By a worker, when it begins: from here on it is the one consumer of the rings and the one owner of counters and registers. */
export function attachShardMemory(memory: ShardMemory) {
  return {
    inbox: new Inbox(memory.rings, new Doorbell(memory.bell), new ArrivalOrder(memory.order)),
    control: new ShardControl(memory.control),
    counters: new CounterBlock(memory.counters),
    targetCounters: targetBlocks(memory.counters),
    tunnels: new TunnelRegister(memory.tunnels),
    progress: new ProgressRegister(memory.progress),
  }
}
