/**
 * The shards' threads, the rings they read (one from each producer), and what becomes of a shard that dies: it is accounted for, and
 * started again while the others go on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { MonotonicClock } from '../base/clock.ts'
import {
  OUTCOME_NAMES,
  PACKET_DROP_NAMES,
  PacketDrop,
  REQUEST_DROP_NAMES,
  RESPONSE_DROP_NAMES,
  RequestDrop,
  ResponseDrop,
} from '../base/drop.ts'
import { MirrorError, type PlainError } from '../base/errors.ts'
import { RingOutlet } from '../dispatch/dispatcher.ts'
import { Shedding, ShedLevels, shedLevelBytes } from '../dispatch/shedding.ts'
import { TUNNEL_REGISTER_BYTES } from '../http/tunnel-register.ts'
import { Counter, CounterBlock, OUTCOMES, PACKET_DROPS, REQUEST_DROPS, RESPONSE_DROPS } from '../metrics/counters.ts'
import { counterMemoryBytes, settleTargets } from '../metrics/target-counters.ts'
import { PROGRESS_REGISTER_BYTES } from '../reassembly/progress-register.ts'
import { ArrivalOrder, arrivalOrderBytes } from '../ring/arrival-order.ts'
import { DOORBELL_BYTES, Doorbell } from '../ring/doorbell.ts'
import { RingMemory, RingProducer, ringBytes } from '../ring/ring.ts'
import { RATE_LIMITER_BYTES } from '../sinks/replay/rate-limiter.ts'
import type { FaultKind } from './fault.ts'
import { runInThread } from './run-in-thread.ts'
import { SHARD_CONTROL_BYTES, ShardControl } from './shard-control.ts'
import type { ShardChange, ShardMessage, ShardTask } from './shard-loop.ts'
import type { ShardPlan } from './shard-plan.ts'
import { CHECK_MS, START_TRIES, SupervisedTask } from './supervised-task.ts'
import { Command, type ThreadControl } from './thread-control.ts'

export interface ShardPoolOptions {
  readonly plan: ShardPlan
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
  /** A shard died; `restartMs` until it is started again. */
  readonly onShardDied: (shard: number, error: PlainError, restartMs: number) => void
  /** A shard's thread does not come up, and is not tried again. Not called before `started` has resolved: that rejects. */
  readonly onShardGivenUp: (error: MirrorError) => void
}

/** What a producer needs of one shard. */
export interface RingEnd {
  readonly ring: SharedArrayBuffer
  readonly bell: SharedArrayBuffer
}

interface Member {
  /** One for each producer. */
  readonly rings: readonly SharedArrayBuffer[]
  /** The same, as seen from here. */
  readonly ringMemories: readonly RingMemory[]
  readonly bellMemory: SharedArrayBuffer
  readonly bell: Doorbell
  readonly control: ShardControl
  readonly controlMemory: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
  readonly tunnels: SharedArrayBuffer
  readonly progress: SharedArrayBuffer
  /** To the thread that runs now. */
  port: MessagePort | null
  /** Deaths since the drain began. */
  drainDeaths: number
  census: [string, number][]
  /** The census of its predecessors that died. */
  pastCensus: [string, number][]
}

export class ShardPool {
  private readonly options: ShardPoolOptions
  /** What a thread that starts now is to do. */
  private plan: ShardPlan
  private changes = 0
  private readonly members: Member[]
  private rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
  /** Shared by all producers and shards. */
  readonly arrivalOrder: SharedArrayBuffer
  /** Shared by all producers. */
  readonly shedLevels: SharedArrayBuffer
  private readonly tasks: readonly SupervisedTask[]
  private readonly monitor: NodeJS.Timeout
  /** Producers on this thread, one for each shard; made when first asked for. */
  private producers: readonly RingProducer[] | null = null
  private mainOutlet: RingOutlet | null = null
  private isDraining = false
  private hasStarted = false
  private failure: MirrorError | null = null

  constructor(options: ShardPoolOptions) {
    this.options = options
    this.plan = options.plan
    this.arrivalOrder = new SharedArrayBuffer(arrivalOrderBytes(options.producers))
    this.shedLevels = new SharedArrayBuffer(shedLevelBytes(options.producers, options.shards))
    const clock = new MonotonicClock(options.plan.clockAnchor)
    new ArrivalOrder(this.arrivalOrder).sawFragment(clock.nowUs() / 1000)
    this.members = Array.from({ length: options.shards }, () => {
      const rings = Array.from(
        { length: options.producers },
        () => new SharedArrayBuffer(ringBytes(options.ringCapacity)),
      )
      const controlMemory = new SharedArrayBuffer(SHARD_CONTROL_BYTES)
      const bellMemory = new SharedArrayBuffer(DOORBELL_BYTES)
      return {
        rings,
        ringMemories: rings.map((ring) => new RingMemory(ring)),
        bellMemory,
        bell: new Doorbell(bellMemory),
        controlMemory,
        control: new ShardControl(controlMemory),
        counters: new SharedArrayBuffer(counterMemoryBytes(options.plan.sinks.length)),
        tunnels: new SharedArrayBuffer(TUNNEL_REGISTER_BYTES),
        progress: new SharedArrayBuffer(PROGRESS_REGISTER_BYTES),
        port: null,
        drainDeaths: 0,
        census: [],
        pastCensus: [],
      }
    })
    this.tasks = this.members.map(
      (member, i) =>
        new SupervisedTask({
          name: 'shard',
          run: (signal) => this.runOnce(member, signal),
          heartbeat: () => member.control.heartbeat,
          settle: () => {
            this.account(member)
            if (!this.isDraining) return true
            return member.ringMemories.some((ring) => ring.used() > 0) && ++member.drainDeaths < DRAIN_TRIES
          },
          onDied: (error, restartMs) => options.onShardDied(i, error, restartMs),
          onGivenUp: (error) =>
            this.giveUp(
              new MirrorError('ERR_SHARD', `worker ${i} does not start, tried ${START_TRIES} times: ${error.message}`),
            ),
        }),
    )
    this.monitor = setInterval(() => {
      for (const task of this.tasks) task.check()
    }, CHECK_MS)
    this.monitor.unref()
  }

  /** Resolves when every shard has begun its loop. */
  async started(): Promise<void> {
    while (this.members.some((m) => m.control.heartbeat === 0)) {
      if (this.failure !== null) throw this.failure
      await sleep(2)
    }
    this.hasStarted = true
  }

  /** Shards now in their loops. */
  get running(): number {
    return this.tasks.filter((task) => task.isRunning).length
  }

  get size(): number {
    return this.members.length
  }

  /** Memory of the shards' counter blocks. */
  get counterBlocks(): readonly SharedArrayBuffer[] {
    return this.members.map((m) => m.counters)
  }

  /** The rings of producer `index`, shard by shard. Each ring has one producer: whoever asks for index 0 does not use `outlet`. */
  ringsOf(index: number): readonly RingEnd[] {
    return this.members.map(({ rings, bellMemory }) => ({ ring: rings[index]!, bell: bellMemory }))
  }

  /** Producer 0, on this thread. */
  get outlet(): RingOutlet {
    const { producers, shards, shedAbove } = this.options
    this.mainOutlet ??= new RingOutlet(
      this.ownProducers,
      shedAbove === null ? null : new Shedding(this.shedLevels, 0, producers, shards, shedAbove),
    )
    return this.mainOutlet
  }

  shedRatio(): number {
    return new ShedLevels(this.shedLevels, this.options.producers, this.options.shards).greatestShare()
  }

  usedRingBytes(): number {
    let used = 0
    for (const { ringMemories } of this.members) for (const ring of ringMemories) used += ring.used()
    return used
  }

  /** Connections of other protocols seen by the shards: entries `protocol:port` → count. */
  census(): [string, number][] {
    return this.members.flatMap((m) => [...m.pastCensus, ...m.census])
  }

  injectFault(shard: number, kind: FaultKind): void {
    this.members[shard]!.control.injectFault(kind)
  }

  /** @param us microseconds more for every packet of the shard; 0: none */
  slowDown(shard: number, us: number): void {
    this.members[shard]!.control.slowUs = us
  }

  /** Of every shard, in order. */
  get supervised(): readonly SupervisedTask[] {
    return this.tasks
  }

  /** Every shard takes over what may change of the plan; one that is dead starts with it. Resolves when all have. */
  async change(plan: ShardPlan): Promise<void> {
    // The limiter's schedule is counted in requests at its rate: another rate begins another one.
    if (plan.ratePerSecond !== this.plan.ratePerSecond) this.rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
    this.plan = plan
    const number = ++this.changes
    for (const { port, control, bell } of this.members) {
      port?.postMessage({ plan, rate: this.rate } satisfies ShardChange)
      control.wantChange(number)
      bell.ring()
    }
    await changed(this.members, number, () => this.isDraining)
  }

  /** Tells every shard to close its flows: the end of a pass over files, which this thread reads. */
  async flush(nowUs: number): Promise<void> {
    for (const producer of this.ownProducers) {
      while (!producer.tryWriteFlush(nowUs)) {
        producer.publish()
        await sleep(1)
      }
      producer.publish()
    }
  }

  /** Lets every shard finish what is in its rings and wait for answers; stops those that take longer than the plan allows. */
  async drain(): Promise<void> {
    this.isDraining = true
    for (const producer of this.producers ?? []) producer.publish()
    for (const { control, bell } of this.members) {
      control.command = Command.drain
      bell.ring()
    }
    for (const task of this.tasks) task.hurry()
    await Promise.all(this.tasks.map((task) => task.done))
    for (const member of this.members) this.abandon(member)
    clearInterval(this.monitor)
  }

  private get ownProducers(): readonly RingProducer[] {
    this.producers ??= this.members.map(({ rings, bell }) => new RingProducer(rings[0]!, bell))
    return this.producers
  }

  private async runOnce(member: Member, signal: AbortSignal): Promise<void> {
    const { port1, port2 } = new MessageChannel()
    member.port = port1
    // It starts with the plan of now.
    member.control.changed(member.control.wanted)
    let pending = Promise.resolve()
    const ended = new Promise<void>((resolve) => port1.once('close', resolve))
    port1.on('message', (message: ShardMessage) => {
      if (message.kind === 'census') member.census = message.entries
      else {
        const { bytes } = message
        pending = pending
          .then(() => this.options.writeOutput(bytes))
          .then(() => member.control.outputDone(bytes.length))
      }
    })
    const task: ShardTask = {
      plan: this.plan,
      rings: member.rings,
      bell: member.bellMemory,
      order: this.arrivalOrder,
      control: member.controlMemory,
      counters: member.counters,
      tunnels: member.tunnels,
      progress: member.progress,
      rate: this.rate,
      port: port2,
    }
    try {
      await runInThread('shard', this.options.heapMb, task, [port2], signal)
      await ended
      await pending
    } finally {
      member.port = null
      port1.close()
    }
  }

  private giveUp(error: MirrorError): void {
    this.failure = error
    if (this.hasStarted) this.options.onShardGivenUp(error)
  }

  /** What nobody took out of the rings is lost too: the shard died too often at the end to be started once more. */
  private abandon(member: Member): void {
    const left = member.ringMemories.reduce((packets, ring) => packets + ring.packetsWritten - ring.packetsTaken, 0)
    if (left === 0) return
    const block = new CounterBlock(member.counters)
    block.packetDrop(PacketDrop.shardLost, left)
    block.publish()
  }

  /**
   * A dead shard's counters end where they were last published. What it had taken and not ended is lost: counted here, in its
   * own block, before its successor goes on with it.
   */
  private account(member: Member): void {
    const block = new CounterBlock(member.counters)
    const sum = (at: number, n: number) => block.values.subarray(at, at + n).reduce((a, b) => a + b, 0)
    const requests =
      block.get(Counter.requestsParsed) -
      block.get(Counter.requestsForwarded) -
      sum(REQUEST_DROPS, REQUEST_DROP_NAMES.length) -
      sum(OUTCOMES, OUTCOME_NAMES.length)
    block.requestDrop(RequestDrop.shardLost, requests)
    const responses =
      block.get(Counter.responsesParsed) -
      block.get(Counter.responsesCompleted) -
      sum(RESPONSE_DROPS, RESPONSE_DROP_NAMES.length)
    block.responseDrop(ResponseDrop.shardLost, responses)
    const taken = member.ringMemories.reduce((packets, ring) => packets + ring.packetsTaken, 0)
    const accounted = block.get(Counter.packetsProcessed) + sum(PACKET_DROPS, PACKET_DROP_NAMES.length)
    block.packetDrop(PacketDrop.shardLost, taken - accounted)
    block.add(Counter.flowsLost, block.get(Counter.flowsUnsettled))
    for (const gauge of SHARD_GAUGES) block.set(Counter[gauge], 0)
    settleTargets(member.counters)
    block.publish()
    member.pastCensus.push(...member.census)
    member.census = []
    member.control.forgetOutput()
  }
}

/** Starts of a shard that dies while it drains: what kills it may lie in its ring. */
const DRAIN_TRIES = 3
/** Threads look for changes in every turn: the longest waits 200 ms. One that stands still is started again, with what is new. */
const CHANGE_LIMIT_MS = 5_000

/** Resolves when the threads have taken over change `number`, or there is no more use in waiting. */
export async function changed(
  members: readonly { readonly control: ThreadControl }[],
  number: number,
  isOver: () => boolean,
): Promise<void> {
  const untilMs = performance.now() + CHANGE_LIMIT_MS
  while (members.some(({ control }) => control.applied !== number) && !isOver() && performance.now() < untilMs)
    await sleep(2)
}

const SHARD_GAUGES = [
  'flowsOpen',
  'flowsUnsettled',
  'flowTableBytes',
  'outOfOrderBytes',
  'connectionBytes',
  'messageBytes',
  'requestsHeld',
  'responsesHeld',
  'replayQueued',
  'replayQueuedBytes',
  'replayInFlight',
  'circuitOpen',
  'heapBytes',
  'externalBytes',
] as const
