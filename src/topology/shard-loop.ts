/** The endless task of a shard's thread: rings in, shard, sleep on a clock. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { MonotonicClock } from '../base/clock.ts'
import { PacketView } from '../decapsulation/packet-view.ts'
import { ThreadMemory } from '../metrics/thread-memory.ts'
import { RecordKind } from '../ring/ring.ts'
import type { Unreached } from '../sinks/replay/unreached.ts'
import { DelayInjection } from './delay-injection.ts'
import { breakWith } from './fault.ts'
import { Shard, type TellUnreached } from './shard.ts'
import type { ShardConfig } from './shard-config.ts'
import { attachShardMemory, type ShardMemory } from './shard-memory.ts'
import { Command } from './thread-control.ts'

export interface ShardTask {
  readonly shardConfig: ShardConfig
  readonly memory: ShardMemory
  /** Of the shard config's rate, shared by all shards. */
  readonly rate: SharedArrayBuffer
  /** Output and protocol counts go to the main thread here; changes of options come from there. */
  readonly port: MessagePort
}

/** What a shard is told while it works. */
export interface ShardChange {
  readonly shardConfig: ShardConfig
  /** Memory of the shard config's rate. */
  readonly rate: SharedArrayBuffer
}

/** What a shard posts to the main thread. */
export type ShardMessage =
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  | { readonly kind: 'protocolCounts'; readonly entries: [string, number][] }
  | { readonly kind: 'unreached'; readonly target: number; readonly unreached: Unreached }

/** Records per turn: about a millisecond of work, so that sockets and timers of the thread stay served. */
const TURN_RECORDS = 1024
/**
 * Pause between turns while packets come. Live it is part of the way a request takes (native-notes/2026-11-24-clock-lengths.md); a file
 * is waited for by nobody but its reader.
 */
const LIVE_PAUSE_MS = 3
const FILE_PAUSE_MS = 1
/** Without a record for so long the shard sleeps until a bell rings; the clock costs about 1 % of a core. */
const QUIET_MS = 100
/** Counters of a shard without packets still change, by answers: shown this often. */
const PUBLISH_MS = 20
/** A sleeping shard wakes this often all the same: heartbeat, expiry, gauges. */
const SLEEP_MS = 200
const PROTOCOL_COUNTS_MS = 1000
/** A failure to reach an origin is told to the main thread this often at most. */
const UNREACHED_MS = 200
/** Output posted and not yet written at which an offline shard waits. */
const MAX_PENDING_BYTES = 8 << 20

export async function runShard(task: ShardTask): Promise<void> {
  const { port } = task
  let { shardConfig } = task
  const { inbox, control, counters, targetCounters, tunnels, progress } = attachShardMemory(task.memory)
  const view = new PacketView()
  const post = (message: ShardMessage) => port.postMessage(message)
  const clock = new MonotonicClock(shardConfig.clockAnchor)
  const memory = new ThreadMemory(counters)
  const shard = await Shard.open(shardConfig, {
    counters,
    tunnels,
    progress,
    targetCounters,
    rateMemory: task.rate,
    output: {
      write: (bytes) => {
        control.outputSent(bytes.length)
        // Handed over, not copied: whoever made them made them for this.
        port.postMessage({ kind: 'output', bytes } satisfies ShardMessage, [bytes.buffer as ArrayBuffer])
      },
      hasRoom: () => control.outputPending() < MAX_PENDING_BYTES,
    },
  })
  const breakIfTold = () => {
    const fault = control.takeFault()
    if (fault !== null) breakWith(fault)
  }
  const beat = () => control.beat()
  const pauseMs = shardConfig.isLive ? LIVE_PAUSE_MS : FILE_PAUSE_MS
  let protocolCountsMs = performance.now()
  let publishedMs = protocolCountsMs
  let unreachedMs = protocolCountsMs
  const postUnreached: TellUnreached = (target, unreached) => post({ kind: 'unreached', target, unreached })
  const delays = new DelayInjection()
  for (let quiet = 0; ; ) {
    control.beat()
    breakIfTold()
    if (control.hasChange) {
      const number = control.wanted
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
        const change = next.message as ShardChange
        shardConfig = change.shardConfig
        shard.change(shardConfig, change.rate)
      }
      control.changed(number)
    }
    let records = 0
    const isLast = control.command === Command.drain
    const { slowUs } = control
    const turnRecords = DelayInjection.turnRecords(slowUs, TURN_RECORDS)
    inbox.beginTurn(clock.nowUs(), isLast)
    while (records < turnRecords && (shardConfig.isLive || shard.hasRoom()) && inbox.next(view)) {
      records++
      if (inbox.kind === RecordKind.flush) shard.closeAll(beat)
      else shard.packet(view)
      if (slowUs > 0) delays.packet(slowUs)
    }
    if (records > 0) inbox.release()
    if (shardConfig.isLive) shard.tick(clock.nowUs())
    const nowMs = performance.now()
    memory.look(nowMs)
    if (records > 0 || nowMs - publishedMs >= PUBLISH_MS) {
      publishedMs = nowMs
      shard.publish()
    }
    if (nowMs - unreachedMs >= UNREACHED_MS) {
      unreachedMs = nowMs
      shard.tellUnreached(postUnreached)
    }
    if (nowMs - protocolCountsMs >= PROTOCOL_COUNTS_MS) {
      protocolCountsMs = nowMs
      post({ kind: 'protocolCounts', entries: shard.protocolCounts.entries() })
    }
    // What waits for earlier packets counts as traffic.
    if (records > 0 || !inbox.isEmpty()) quiet = 0
    else if (isLast) break
    else quiet++
    if (records === turnRecords) await nextTurn()
    else if (quiet > QUIET_MS / pauseMs && shard.requestsHeld === 0) await inbox.sleep(SLEEP_MS)
    else await sleep(pauseMs)
  }
  shard.closeAll(beat)
  shard.publish()
  const heart = setInterval(() => {
    control.beat()
    breakIfTold()
    shard.publish()
    shard.tellUnreached(postUnreached)
  }, SLEEP_MS)
  await shard.drain(shardConfig.drainTimeoutMs)
  shard.tellUnreached(postUnreached)
  await shard.close()
  clearInterval(heart)
  post({ kind: 'protocolCounts', entries: shard.protocolCounts.entries() })
  port.close()
}
