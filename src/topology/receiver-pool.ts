/**
 * The receiving threads, as one receiver: the kernel steers each datagram to the socket of one of them, and each writes to a ring of its
 * own of every shard. The main thread opens and owns the sockets. A receiver that dies is accounted for and restarted on the same
 * sockets, which went on queueing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { MirrorError, type PlainError, toPlainError } from '../base/errors.ts'
import { ShedLevels } from '../dispatch/shedding.ts'
import { CounterBlock } from '../metrics/counters.ts'
import { ArrivalOrder } from '../ring/arrival-order.ts'
import { RingMemory } from '../ring/ring.ts'
import type { DatagramReceiver, ListenAddress } from '../sources/datagram-receiver.ts'
import { type ImportKoffi, loadLibc } from '../sources/live/libc.ts'
import { ReceiveErrors } from '../sources/live/receive-errors.ts'
import { SteeredSockets } from '../sources/live/steered-sockets.ts'
import type { FaultKind } from './fault.ts'
import type { TunnelFormat } from './packet-pipeline.ts'
import { RECEIVER_CONTROL_BYTES, ReceiverControl } from './receiver-control.ts'
import type { ReceiverChange, ReceiverTask } from './receiver-loop.ts'
import { runInThread } from './run-in-thread.ts'
import { settleReceiver } from './settlement.ts'
import type { RingEnd } from './shard-memory.ts'
import { CHECK_MS, START_TRIES, SupervisedTask } from './supervised-task.ts'
import { Command, changed } from './thread-control.ts'

export interface ReceiverPoolOptions
  extends Pick<
    ReceiverTask,
    'datagramBytes' | 'allowFrom' | 'packetPipeline' | 'clockAnchor' | 'arrivalOrder' | 'shedLevels' | 'shedAbove'
  > {
  readonly listen: readonly (ListenAddress & { readonly format: TunnelFormat })[]
  readonly receivers: number
  readonly receiveBufferBytes: number
  /** See ReceiverOptions. */
  readonly sharesPorts: boolean
  /** Rings of a receiver, shard by shard. */
  readonly ringsOf: (receiver: number) => readonly RingEnd[]
  /** Memory of each receiver's counters: whoever adds them up has it before the first packet comes. */
  readonly counters: readonly SharedArrayBuffer[]
  readonly onReceiverDied: (receiver: number, error: PlainError, restartMs: number) => void
  readonly onReceiverBack?: (receiver: number, afterMs: number) => void
  /** Receiving cannot continue: a thread does not come up, or its sockets are not usable any more. Not called before `open` has resolved: that rejects. */
  readonly onFailed: (error: MirrorError) => void
  /** Receiving fails for now, and is tried again. */
  readonly onPassingError: (text: string, errno: string) => void
}

interface Member {
  readonly rings: readonly RingEnd[]
  readonly controlMemory: SharedArrayBuffer
  readonly control: ReceiverControl
  readonly counters: SharedArrayBuffer
  /** To the thread that runs now. */
  port: MessagePort | null
  /** Deaths since the drain began. */
  drainDeaths: number
}

/** Tries of a receiver to hand over what its sockets hold, once told to stop. */
const DRAIN_ATTEMPTS = 3

export class ReceiverPool implements DatagramReceiver {
  readonly kind = 'recvmmsg'
  private readonly options: ReceiverPoolOptions
  private readonly sockets: SteeredSockets
  private readonly members: readonly Member[]
  private readonly tasks: readonly SupervisedTask[]
  private readonly monitor: NodeJS.Timeout
  private readonly errors: ReceiveErrors
  private isDraining = false
  private isOpen = false
  private failure: MirrorError | null = null
  /** What a thread that starts now is told. */
  private current: ReceiverChange
  private changes = 0
  private stopped: Promise<void> | undefined

  private constructor(options: ReceiverPoolOptions, sockets: SteeredSockets) {
    this.options = options
    this.current = options
    this.errors = new ReceiveErrors(options.onPassingError, (error) => this.fail(error))
    this.sockets = sockets
    this.members = Array.from({ length: options.receivers }, (_, i) => {
      const controlMemory = new SharedArrayBuffer(RECEIVER_CONTROL_BYTES)
      return {
        rings: options.ringsOf(i),
        controlMemory,
        control: new ReceiverControl(controlMemory),
        counters: options.counters[i]!,
        port: null,
        drainDeaths: 0,
      }
    })
    const order = new ArrivalOrder(options.arrivalOrder)
    const levels = new ShedLevels(options.shedLevels, options.receivers, this.members[0]!.rings.length)
    this.tasks = this.members.map(
      (member, i) =>
        new SupervisedTask({
          name: 'receiver',
          run: (signal) => this.runOnce(member, i, signal),
          heartbeat: () => member.control.heartbeat,
          settle: () => {
            account(member)
            order.setAbsent(i, true)
            levels.forget(i)
            return !(this.isDraining && ++member.drainDeaths === DRAIN_ATTEMPTS)
          },
          onDied: (error, restartMs) => options.onReceiverDied(i, error, restartMs),
          onBack: (afterMs) => options.onReceiverBack?.(i, afterMs),
          onGivenUp: (error) =>
            this.fail(
              new MirrorError(
                'ERR_RECEIVER',
                `receiver ${i} does not start, tried ${START_TRIES} times: ${error.message}`,
              ),
            ),
        }),
    )
    this.monitor = setInterval(() => this.check(), CHECK_MS)
    this.monitor.unref()
  }

  /** @throws MirrorError ERR_LISTEN for an address that cannot be had, ERR_RECEIVER where koffi does not load */
  static async open(options: ReceiverPoolOptions, importKoffi?: ImportKoffi): Promise<ReceiverPool> {
    await checkReceivers(options.receivers, importKoffi)
    const sockets = await SteeredSockets.open(
      options.listen,
      options.receivers,
      options.receiveBufferBytes,
      { withOtherProcesses: options.sharesPorts, withTimes: true },
      options.packetPipeline.decapsulation.vxlanPorts,
    )
    const pool = new ReceiverPool(options, sockets)
    while (pool.members.some(({ control }) => control.heartbeat === 0)) {
      if (pool.failure !== null) {
        await pool.stop()
        throw pool.failure
      }
      await sleep(2)
    }
    pool.isOpen = true
    return pool
  }

  get bound(): readonly ListenAddress[] {
    return this.sockets.bound
  }

  /** Of each socket of an address. */
  get grantedBufferBytes(): readonly number[] {
    return this.sockets.grantedBufferBytes
  }

  /** Receivers now in their loops. */
  get running(): number {
    return this.tasks.filter((task) => task.isRunning).length
  }

  /** Of every receiver, in order. */
  get supervised(): readonly SupervisedTask[] {
    return this.tasks
  }

  /** Every receiver takes over what may change; one that is dead starts with it. Resolves when all have. */
  async change({ packetPipeline, allowFrom }: ReceiverChange): Promise<void> {
    this.current = { packetPipeline, allowFrom }
    const number = ++this.changes
    for (const { port, control } of this.members) {
      port?.postMessage(this.current)
      control.wantChange(number)
    }
    await changed(this.members, number, () => this.isDraining)
  }

  /** Datagrams taken by each. */
  get taken(): readonly number[] {
    return this.members.map(({ control }) => control.datagramsTaken())
  }

  kernelDropped(): number | null {
    return this.sockets.kernelDropped()
  }

  takeOver(): void {
    this.sockets.takeOver()
  }

  look(): void {
    this.sockets.look()
  }

  /** False when there is no such receiver. */
  injectFault(receiver: number, kind: FaultKind): boolean {
    this.members[receiver]?.control.injectFault(kind)
    return receiver < this.members.length
  }

  stop(): Promise<void> {
    this.stopped ??= this.drainAndClose()
    return this.stopped
  }

  private async drainAndClose(): Promise<void> {
    this.isDraining = true
    this.sockets.refuse()
    for (const { control } of this.members) control.command = Command.drain
    for (const task of this.tasks) task.hurry()
    await Promise.all(this.tasks.map((task) => task.done))
    clearInterval(this.monitor)
    this.sockets.close()
  }

  private async runOnce(member: Member, index: number, signal: AbortSignal): Promise<void> {
    const { port1, port2 } = new MessageChannel()
    port1.unref()
    member.port = port1
    // It starts with what holds now.
    member.control.changed(member.control.wanted)
    try {
      await runInThread('receiver', HEAP_MB, this.taskOf(member, index, port2), [port2], signal)
    } finally {
      member.port = null
      port1.close()
    }
  }

  private fail(error: MirrorError): void {
    this.failure ??= error
    if (this.isOpen) this.options.onFailed(this.failure)
  }

  private taskOf({ rings, controlMemory, counters }: Member, index: number, port: MessagePort): ReceiverTask {
    const { listen, datagramBytes, clockAnchor, arrivalOrder, shedLevels, shedAbove } = this.options
    const { allowFrom, packetPipeline } = this.current
    return {
      index,
      receivers: this.options.receivers,
      descriptors: this.sockets.descriptorsOf(index),
      formats: listen.map(({ format }) => format),
      datagramBytes,
      grantedBufferBytes: this.sockets.grantedBufferBytes,
      allowFrom,
      packetPipeline,
      clockAnchor,
      arrivalOrder,
      shedLevels,
      shedAbove,
      rings,
      control: controlMemory,
      counters,
      port,
    }
  }

  private check(): void {
    for (const task of this.tasks) task.check()
    for (const { control } of this.members) {
      // Often enough for a count modulo 2^32.
      control.datagramsTaken()
      const { errno } = control
      if (errno !== 0) this.errors.report(errno)
    }
  }
}

/** Receiving keeps nothing on the JavaScript heap but waiting fragments, which have a bound of their own. */
const HEAP_MB = 512

/**
 * A dead receiver's counters and rings end where it last published; the thread that is restarted continues from there. What it had taken
 * from the kernel and not published is lost.
 */
function account({ control, counters, rings }: Member): void {
  const block = new CounterBlock(counters)
  const handedOver = rings.reduce((packets, { ring }) => packets + new RingMemory(ring).packetsWritten, 0)
  settleReceiver(block, control.datagramsTaken(), handedOver)
  block.publish()
}

/** Opens nothing. @throws MirrorError ERR_RECEIVER where several receivers cannot work */
export async function checkReceivers(receivers: number, importKoffi?: ImportKoffi): Promise<void> {
  try {
    await loadLibc(importKoffi)
  } catch (error) {
    const why = toPlainError(error).message
    const text = `--receivers ${receivers} cannot work here, only --receivers 1: ${why}`
    throw new MirrorError('ERR_RECEIVER', text, { cause: error })
  }
}
