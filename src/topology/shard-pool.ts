/**
 * The pipeline in threads: the shards' workers, the rings they read (one from each producer), and what becomes of a worker that dies: it is
 * accounted for, and restarted while the others continue.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { MonotonicClock } from '../base/clock.ts'
import { MirrorError } from '../base/errors.ts'
import { RingOutlet } from '../dispatch/dispatcher.ts'
import { Shedding, ShedLevels, shedLevelBytes } from '../dispatch/shedding.ts'
import { ProtocolCounts } from '../http/protocol-counts.ts'
import { CounterBlock } from '../metrics/counters.ts'
import { settleTargets } from '../metrics/target-counters.ts'
import { ArrivalOrder, arrivalOrderBytes } from '../ring/arrival-order.ts'
import { Doorbell } from '../ring/doorbell.ts'
import { RingMemory, RingProducer } from '../ring/ring.ts'
import { RATE_LIMITER_BYTES } from '../sinks/filter/rate-limiter.ts'
import type { FaultKind } from './fault.ts'
import type { Pipeline, PipelineOptions } from './pipeline.ts'
import { runInThread } from './run-in-thread.ts'
import { abandonRings, settleShard } from './settlement.ts'
import type { ShardConfig } from './shard-config.ts'
import { ShardControl } from './shard-control.ts'
import type { ShardChange, ShardMessage, ShardTask } from './shard-loop.ts'
import { allocateShardMemory, type RingEnd, type ShardMemory } from './shard-memory.ts'
import { CHECK_MS, START_TRIES, SupervisedTask } from './supervised-task.ts'
import { Command, changed } from './thread-control.ts'

/** Starts of a shard that dies while it drains: what kills it may lie in its ring. */
const DRAIN_TRIES = 3

/** One shard as the main thread sees it. */
interface Member {
  readonly memory: ShardMemory
  readonly rings: readonly RingMemory[]
  readonly bell: Doorbell
  readonly control: ShardControl
  /** To the thread that runs now. */
  port: MessagePort | null
  /** Deaths since the drain began. */
  drainDeaths: number
  protocolCounts: readonly [string, number][]
  /** The sum of those of its workers that died: bounded, however many they were. */
  readonly pastProtocolCounts: ProtocolCounts
}

export class ShardPool implements Pipeline {
  readonly workers: number
  /** Shared by all producers and shards. */
  readonly arrivalOrder: SharedArrayBuffer
  /** Shared by all producers. */
  readonly shedLevels: SharedArrayBuffer
  /** Of every shard, in order. */
  readonly counterBlocks: readonly SharedArrayBuffer[]
  /** Of every shard, in order. */
  readonly supervised: readonly SupervisedTask[]
  private readonly options: PipelineOptions
  /** What a thread that starts now is to do. */
  private shardConfig: ShardConfig
  private changes = 0
  private rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
  private readonly members: readonly Member[]
  private readonly levels: ShedLevels
  private readonly monitor: NodeJS.Timeout
  /** Producers on this thread, one for each shard; made when first asked for. */
  private producers: readonly RingProducer[] | null = null
  private mainOutlet: RingOutlet | null = null
  private isDraining = false
  private hasStarted = false
  private failure: MirrorError | null = null

  constructor(options: PipelineOptions) {
    const { shardConfig, shards, producers, ringCapacity } = options
    this.options = options
    this.shardConfig = shardConfig
    this.workers = shards
    this.arrivalOrder = new SharedArrayBuffer(arrivalOrderBytes(producers))
    this.shedLevels = new SharedArrayBuffer(shedLevelBytes(producers, shards))
    this.levels = new ShedLevels(this.shedLevels, producers, shards)
    new ArrivalOrder(this.arrivalOrder).sawFragment(new MonotonicClock(shardConfig.clockAnchor).nowUs() / 1000)
    this.members = Array.from({ length: shards }, () =>
      memberOf(allocateShardMemory(producers, ringCapacity, this.arrivalOrder, shardConfig.sinks.length)),
    )
    this.counterBlocks = this.members.map(({ memory }) => memory.counters)
    this.supervised = this.members.map((member, i) => this.supervise(member, i))
    this.monitor = setInterval(() => {
      for (const task of this.supervised) task.check()
    }, CHECK_MS)
    this.monitor.unref()
  }

  /** Resolves when every shard has begun its loop. */
  async started(): Promise<void> {
    while (this.members.some(({ control }) => control.heartbeat === 0)) {
      if (this.failure !== null) throw this.failure
      await sleep(2)
    }
    this.hasStarted = true
  }

  get running(): number {
    return this.supervised.filter((task) => task.isRunning).length
  }

  /** Each ring has one producer: whoever asks for index 0 does not use `outlet`. */
  ringsOf(index: number): readonly RingEnd[] {
    return this.members.map(({ memory }) => ({ ring: memory.rings[index]!, bell: memory.bell }))
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

  hasRoomFor(bytes: number): boolean {
    return this.outlet.hasRoomFor(bytes)
  }

  shedRatio(): number {
    return this.levels.greatestShare()
  }

  usedRingBytes(): number {
    let used = 0
    for (const { rings } of this.members) for (const ring of rings) used += ring.used()
    return used
  }

  protocolCounts(): [string, number][] {
    return this.members.flatMap(({ pastProtocolCounts, protocolCounts }) => [
      ...pastProtocolCounts.entries(),
      ...protocolCounts,
    ])
  }

  /** Threads have clocks of their own. */
  tick(): void {}

  injectFault(shard: number, kind: FaultKind): boolean {
    this.members[shard]?.control.injectFault(kind)
    return shard in this.members
  }

  slowDown(shard: number, us: number): boolean {
    const member = this.members[shard]
    if (member !== undefined) member.control.slowUs = us
    return member !== undefined
  }

  /** One that is dead starts with it. */
  async change(shardConfig: ShardConfig): Promise<void> {
    // The limiter's schedule is counted in requests at its rate: another rate begins another one.
    if (shardConfig.ratePerSecond !== this.shardConfig.ratePerSecond)
      this.rate = new SharedArrayBuffer(RATE_LIMITER_BYTES)
    this.shardConfig = shardConfig
    const number = ++this.changes
    for (const { port, control, bell } of this.members) {
      port?.postMessage({ shardConfig, rate: this.rate } satisfies ShardChange)
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

  /** Lets every shard finish what is in its rings and wait for answers; stops those that take longer than the shard config allows. */
  async drain(): Promise<void> {
    this.isDraining = true
    for (const producer of this.producers ?? []) producer.publish()
    for (const { control, bell } of this.members) {
      control.command = Command.drain
      bell.ring()
    }
    for (const task of this.supervised) task.hurry()
    await Promise.all(this.supervised.map((task) => task.done))
    for (const member of this.members) abandon(member)
    clearInterval(this.monitor)
  }

  private get ownProducers(): readonly RingProducer[] {
    this.producers ??= this.members.map(({ memory, bell }) => new RingProducer(memory.rings[0]!, bell))
    return this.producers
  }

  private supervise(member: Member, index: number): SupervisedTask {
    const { onShardDied } = this.options
    return new SupervisedTask({
      name: 'shard',
      run: (signal) => this.runOnce(member, signal),
      heartbeat: () => member.control.heartbeat,
      settle: () => {
        settle(member)
        if (!this.isDraining) return true
        return member.rings.some((ring) => ring.used() > 0) && ++member.drainDeaths < DRAIN_TRIES
      },
      onDied: (error, restartMs) => onShardDied(index, error, restartMs),
      onBack: (afterMs) => this.options.onShardBack?.(index, afterMs),
      onGivenUp: (error) => {
        const text = `worker ${index} does not start, tried ${START_TRIES} times: ${error.message}`
        this.failure = new MirrorError('ERR_SHARD', text)
        if (this.hasStarted) this.options.onShardGivenUp(this.failure)
      },
    })
  }

  private async runOnce(member: Member, signal: AbortSignal): Promise<void> {
    const { memory, control } = member
    const { port1, port2 } = new MessageChannel()
    member.port = port1
    // It starts with the shard config of now.
    control.changed(control.wanted)
    let pending = Promise.resolve()
    const ended = new Promise<void>((resolve) => port1.once('close', resolve))
    port1.on('message', (message: ShardMessage) => {
      if (message.kind === 'protocolCounts') member.protocolCounts = message.entries
      else if (message.kind === 'unreached') this.options.onUnreached?.(message.target, message.unreached)
      else {
        const { bytes } = message
        pending = pending.then(() => this.options.writeOutput(bytes)).then(() => control.outputDone(bytes.length))
      }
    })
    const task: ShardTask = { shardConfig: this.shardConfig, memory, rate: this.rate, port: port2 }
    try {
      await runInThread('shard', this.options.heapMb, task, [port2], signal)
      await ended
      await pending
    } finally {
      member.port = null
      port1.close()
    }
  }
}

function memberOf(memory: ShardMemory): Member {
  return {
    memory,
    rings: memory.rings.map((ring) => new RingMemory(ring)),
    bell: new Doorbell(memory.bell),
    control: new ShardControl(memory.control),
    port: null,
    drainDeaths: 0,
    protocolCounts: [],
    pastProtocolCounts: new ProtocolCounts(),
  }
}

/** The worker died: what it held is lost, and whoever continues begins with sums that hold. */
function settle(member: Member): void {
  const counters = new CounterBlock(member.memory.counters)
  settleShard(
    counters,
    member.rings.reduce((packets, ring) => packets + ring.packetsTaken, 0),
  )
  settleTargets(member.memory.counters)
  counters.publish()
  member.pastProtocolCounts.addEntries(member.protocolCounts)
  member.protocolCounts = []
  member.control.forgetOutput()
}

/** The shard died too often at the end to be started once more. */
function abandon({ memory, rings }: Member): void {
  const left = rings.reduce((packets, ring) => packets + ring.packetsWritten - ring.packetsTaken, 0)
  if (left === 0) return
  const counters = new CounterBlock(memory.counters)
  abandonRings(counters, left)
  counters.publish()
}
