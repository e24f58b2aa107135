/**
 * The endless task of a receiving thread: its sockets in, decapsulate, dispatch, the rings of all shards out. The thread does nothing
 * else and has no event loop to serve, so it blocks when it waits.
 *
 * Ways of waiting, and their price (native-notes/2026-11-24-receiver-threads.md):
 * - the clock, while packets come: a pause, then all there is;
 * - poll(2) after a quiet spell: the first packet wakes the thread. It looks up by itself often enough to show that it lives.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { MonotonicClock } from '../base/clock.ts'
import { type Network, networkListOf } from '../decapsulation/networks.ts'
import { RingOutlet } from '../dispatch/dispatcher.ts'
import { Shedding } from '../dispatch/shedding.ts'
import { Counter, CounterBlock } from '../metrics/counters.ts'
import { ThreadMemory } from '../metrics/thread-memory.ts'
import { ArrivalOrder } from '../ring/arrival-order.ts'
import { Doorbell } from '../ring/doorbell.ts'
import { RingProducer } from '../ring/ring.ts'
import { BATCHES_PER_TURN, BatchReader } from '../sources/live/batch-reader.ts'
import { loadLibc } from '../sources/live/libc.ts'
import { ReadinessSet } from '../sources/live/readiness-set.ts'
import { mostDatagramsIn } from '../sources/live/receiver-limits.ts'
import { breakWith } from './fault.ts'
import { PacketPipeline, type PacketPipelineOptions, type TunnelFormat } from './packet-pipeline.ts'
import { ReceiverControl } from './receiver-control.ts'
import type { RingEnd } from './shard-memory.ts'
import { Command } from './thread-control.ts'

/** Plain data, as it crosses to the thread. */
export interface ReceiverTask {
  readonly index: number
  /** A socket for each listen address. They belong to the main thread, and outlive this one. */
  readonly descriptors: readonly number[]
  readonly formats: readonly TunnelFormat[]
  readonly datagramBytes: number
  /** Of each socket, as SO_RCVBUF reports it. */
  readonly grantedBufferBytes: readonly number[]
  readonly allowFrom: readonly Network[] | null
  readonly packetPipeline: PacketPipelineOptions
  readonly clockAnchor: MonotonicClock['anchor']
  readonly rings: readonly RingEnd[]
  readonly arrivalOrder: SharedArrayBuffer
  readonly shedLevels: SharedArrayBuffer
  /** Share of a ring above which whole connections are shed; null: never. */
  readonly shedAbove: number | null
  /** Of all. */
  readonly receivers: number
  readonly control: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
  /** Changes of options come here. */
  readonly port: MessagePort
}

/** What a receiver is told while it works. */
export type ReceiverChange = Pick<ReceiverTask, 'packetPipeline' | 'allowFrom'>

/** 250,000 packets/s bring 1,000 in this time: 1.3 MB of a receive buffer of 32 MiB and more. */
const PAUSE_MS = 4
/** While the shards keep order: each packet waits until all receivers have looked once more. */
const ORDERED_PAUSE_MS = 2
/** Without a packet for so long it waits in poll(2) instead of on the clock. */
const QUIET_MS = 100
/** Longest wait in poll(2): heartbeat, fragments, commands. */
const POLL_MS = 50
/** Waiting fragments grow old at this pace. */
const TICK_US = 20_000

export async function runReceiver(task: ReceiverTask): Promise<void> {
  const { descriptors, formats, port } = task
  const libc = await loadLibc()
  const control = new ReceiverControl(task.control)
  const clock = new MonotonicClock(task.clockAnchor)
  const producers = task.rings.map(({ ring, bell }) => new RingProducer(ring, new Doorbell(bell)))
  const counters = new CounterBlock(task.counters)
  const memory = new ThreadMemory(counters)
  const order = new ArrivalOrder(task.arrivalOrder)
  const { index, receivers, shedAbove } = task
  const shedding =
    shedAbove === null ? null : new Shedding(task.shedLevels, index, receivers, producers.length, shedAbove)
  const packetPipeline = new PacketPipeline(task.packetPipeline, new RingOutlet(producers, shedding), counters)
  let allowFrom = networkListOf(task.allowFrom)
  const readiness = new ReadinessSet(libc, descriptors)
  /** One clock reading a batch: a millisecond more or less does not matter to any timer. */
  let nowUs = clock.nowUs()
  const breakIfTold = () => {
    const fault = control.takeFault()
    if (fault !== null) breakWith(fault)
  }
  /** Of the previous workers, which the counters' memory continues from. */
  const takenBefore = control.taken
  const reader = new BatchReader(
    libc,
    descriptors,
    task.datagramBytes,
    {
      datagram: (bytes, at, end, isTruncated, peer, socket) =>
        packetPipeline.datagram(
          bytes,
          at,
          end,
          isTruncated,
          formats[socket]!,
          peer,
          allowFrom,
          nowUs,
          reader.arrivalUs || nowUs,
        ),
      batchEnd: () => packetPipeline.publish(),
    },
    (errno) => {
      control.errno = errno
    },
    (taken) => {
      control.taken = takenBefore + taken
      nowUs = clock.nowUs()
      // Here most is in its hands.
      breakIfTold()
    },
    true,
  )

  let received = 0
  let lastPacketUs = nowUs
  let lastTickUs = nowUs
  let fragmentsSeen = counters.get(Counter.datagramsReassembled)
  order.setAbsent(task.index, false)
  while (control.command === Command.run) {
    control.beat()
    if (received === 0) breakIfTold()
    if (control.hasChange) {
      const number = control.wanted
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
        const change = next.message as ReceiverChange
        packetPipeline.change(change.packetPipeline)
        allowFrom = networkListOf(change.allowFrom)
      }
      control.changed(number)
    }
    received = 0
    let hasMore = false
    const sinceMs = clock.nowUs() / 1000
    for (let socket = 0; socket < descriptors.length; socket++) {
      let count = reader.slots
      for (let batches = 0; batches < BATCHES_PER_TURN && count === reader.slots; batches++) {
        count = reader.receive(socket)
        received += count
      }
      hasMore ||= count === reader.slots
    }
    // Before what follows: whoever sees that the sockets were drained must know of the fragment.
    const fragments = counters.get(Counter.datagramsReassembled) + counters.get(Counter.fragmentsHeld)
    if (fragments !== fragmentsSeen) {
      fragmentsSeen = fragments
      order.sawFragment(sinceMs)
    }
    if (!hasMore) order.drained(task.index, sinceMs)
    const turnUs = clock.nowUs()
    if (received > 0) lastPacketUs = turnUs
    if (turnUs - lastTickUs >= TICK_US) {
      lastTickUs = turnUs
      packetPipeline.tick(turnUs)
      memory.look(turnUs / 1000)
      packetPipeline.publish()
    }
    if (hasMore) continue
    // While order is kept the shards wait to hear that there is nothing.
    if (order.isKept(sinceMs)) control.pause(ORDERED_PAUSE_MS)
    else if (turnUs - lastPacketUs < QUIET_MS * 1000) control.pause(PAUSE_MS)
    else readiness.wait(POLL_MS)
  }

  for (let socket = 0; socket < descriptors.length; socket++) {
    // What the socket can hold: senders who continue must not keep us for ever.
    let left = mostDatagramsIn(task.grantedBufferBytes[socket]!)
    for (let count = reader.slots; count === reader.slots && left > 0; left -= count) {
      control.beat()
      count = reader.receive(socket)
    }
  }
  packetPipeline.flush()
  port.close()
}
