/**
 * The receiving side of a service, whoever does it: this thread from sockets or an interface, or receiving threads. From `open` to
 * `stop` every packet that comes is in a count.
 */
import { existsSync } from 'node:fs'
import type { MonotonicClock } from '../base/clock.ts'
import { MirrorError, type PlainError } from '../base/errors.ts'
import { type Network, type NetworkList, networkListOf } from '../decapsulation/networks.ts'
import { COUNTER_BLOCK_BYTES, Counter } from '../metrics/counters.ts'
import type { TellEvent } from '../report/log-events.ts'
import type { DatagramReceiver, ListenAddress, PeerAddress } from '../sources/datagram-receiver.ts'
import { type InterfaceCapture, openInterfaceCapture } from '../sources/live/interface-capture.ts'
import { KernelReassembly } from '../sources/live/kernel-reassembly.ts'
import { openReceiver } from '../sources/live/open-receiver.ts'
import { openTcpAcceptor, type TcpAcceptor } from '../sources/live/tcp-acceptor.ts'
import type { FaultKind } from './fault.ts'
import { PacketPipeline, type PacketPipelineOptions, type TunnelFormat } from './packet-pipeline.ts'
import type { Pipeline } from './pipeline.ts'
import type { ReceiverPool } from './receiver-pool.ts'
import type { RunStats } from './run-stats.ts'
import type { SupervisedTask } from './supervised-task.ts'

export interface LiveReceiverOptions {
  readonly listen: readonly (ListenAddress & { readonly format: TunnelFormat })[]
  readonly receiver: 'recvmmsg' | 'dgram' | undefined
  /** Threads that receive; 1: this one does. */
  readonly receivers: number
  readonly receiveBufferBytes: number
  readonly datagramBytes: number
  /** Another process may have the same ports: the one before this, or the one after. */
  readonly sharesPorts: boolean
  /** Source networks of mirrored datagrams; null: any. */
  readonly allowFrom: readonly Network[] | null
  /** Takes packets from an interface instead of sockets. */
  readonly interface: { readonly name: string; readonly filter: string; readonly bufferBytes: number } | null
  readonly packetPipeline: PacketPipelineOptions
  /** Share of a ring above which whole connections are shed; null: never. */
  readonly shedAbove: number | null
  readonly clock: MonotonicClock
  readonly tell: TellEvent
}

/** What may change while packets come. */
export type LiveReceiverChange = Pick<LiveReceiverOptions, 'packetPipeline' | 'allowFrom'>

const SNAP_LENGTH = 65_535
const PORT_ATTEMPTS = 8

export class LiveReceiver {
  private readonly options: LiveReceiverOptions
  private readonly stats: RunStats
  private readonly pipeline: Pipeline
  private readonly onFailed: (error: MirrorError) => void
  private readonly onPassingError = (text: string, errno: string) =>
    this.options.tell('receive-failed', text, { errno }, `receive ${errno}`)
  private readonly onReceiverBack: (receiver: number, afterMs: number) => void
  /** The receiving side where this thread receives; null: receivers of their own do. */
  private readonly packetPipeline: PacketPipeline | null
  private allowFrom: NetworkList | null
  private readonly reassembly = new KernelReassembly()
  private receiver: DatagramReceiver | null = null
  /** The same receiver, where it has threads of its own. */
  private pool: ReceiverPool | null = null
  private capture: InterfaceCapture | null = null
  private acceptor: TcpAcceptor | null = null

  /**
   * @param onFailed receiving cannot continue: nothing more will come
   * @param onReceiverBack a receiving thread that died is in its loop again
   */
  constructor(
    options: LiveReceiverOptions,
    pipeline: Pipeline,
    stats: RunStats,
    onFailed: (error: MirrorError) => void,
    onReceiverBack: (receiver: number, afterMs: number) => void,
  ) {
    this.options = options
    this.stats = stats
    this.pipeline = pipeline
    this.onFailed = onFailed
    this.onReceiverBack = onReceiverBack
    this.packetPipeline =
      options.receivers > 1 ? null : new PacketPipeline(options.packetPipeline, pipeline.outlet, stats.counters)
    this.allowFrom = networkListOf(options.allowFrom)
  }

  /** Real addresses, where port 0 was asked for. */
  get listening(): readonly ListenAddress[] {
    return this.receiver?.bound ?? []
  }

  get kind(): string {
    return this.capture !== null ? `interface ${this.capture.interfaceName}` : (this.receiver?.kind ?? '')
  }

  get grantedBufferBytes(): readonly number[] {
    return this.receiver?.grantedBufferBytes ?? []
  }

  /** Datagrams taken by each receiving thread; empty where this thread receives. */
  get takenByThread(): readonly number[] {
    return this.pool?.taken ?? []
  }

  /** Threads that receive now. */
  get running(): number {
    if (this.pool !== null) return this.pool.running
    // This thread, or nobody yet.
    return this.receiver === null && this.capture === null ? 0 : 1
  }

  /** Receiving threads and how they fare; none where this thread receives. */
  get supervised(): readonly SupervisedTask[] {
    return this.pool?.supervised ?? []
  }

  /** Packets come from now on, and wait in rings where nobody reads them yet. @throws MirrorError */
  async open(): Promise<void> {
    const { options } = this
    if (options.interface !== null) await this.openInterface(options.interface)
    else await this.openSockets()
  }

  /** All is ready: where ports are shared, packets come here and no more to who had them before. */
  takeOver(): void {
    this.receiver?.takeOver?.()
  }

  async change({ packetPipeline, allowFrom }: LiveReceiverChange): Promise<void> {
    this.allowFrom = networkListOf(allowFrom)
    this.packetPipeline?.change(packetPipeline)
    await this.pool?.change({ packetPipeline, allowFrom })
  }

  /** Every 20 ms or so: time passes. */
  tick(): void {
    if (this.packetPipeline !== null) {
      this.packetPipeline.tick(this.options.clock.nowUs())
      this.packetPipeline.publish()
    } else {
      if (this.takenByThread.some((taken) => taken > 0)) this.stats.markFirstPacket()
      this.stats.counters.publish()
    }
  }

  /** Once a second or so. */
  look(): void {
    this.readKernelDrops()
    this.receiver?.look?.()
    const name = this.options.interface?.name
    // libpcap's error never leaves cap: packets just cease.
    if (name !== undefined && process.platform === 'linux' && !existsSync(`/sys/class/net/${name}`))
      this.onFailed(new MirrorError('ERR_INTERFACE', `--interface ${name}: the interface is gone`))
  }

  /** False when there is no such receiver. */
  injectFault(receiver: number, kind: FaultKind): boolean {
    return this.pool?.injectFault(receiver, kind) ?? false
  }

  /** Takes what has come, and nothing more. Idempotent. */
  async stop(): Promise<void> {
    // First: where a new process has the port, load balancers' checks are for it now.
    await this.acceptor?.stop()
    await this.receiver?.stop()
    await this.capture?.stop()
    this.readKernelDrops()
    this.packetPipeline?.flush()
    this.stats.counters.publish()
  }

  private async openSockets(): Promise<void> {
    const { options, stats } = this
    const receiver = await this.openListeners()
    for (const [i, granted] of receiver.grantedBufferBytes.entries()) {
      // Linux reports twice what it grants.
      if (granted >= 2 * options.receiveBufferBytes) continue
      const { host, port } = receiver.bound[i]!
      options.tell(
        'receive-buffer',
        `the kernel granted ${granted / 2} bytes of receive buffer for ${host}:${port} where ${options.receiveBufferBytes} were requested: ` +
          `bursts may be lost; raise net.core.rmem_max or run with CAP_NET_ADMIN`,
        { granted: granted / 2, asked: options.receiveBufferBytes },
      )
    }
    const granted = receiver.grantedBufferBytes.reduce((a, b) => a + b, 0) / 2
    stats.counters.set(Counter.receiveBufferBytes, granted * options.receivers)
  }

  /** UDP, and TCP on the same ports: for load balancers' checks. */
  private async openListeners(): Promise<DatagramReceiver> {
    for (let attempt = 1; ; attempt++) {
      const receiver = await this.openReceiver()
      this.receiver = receiver
      try {
        this.acceptor = await openTcpAcceptor(receiver.bound, this.options.sharesPorts)
        return receiver
      } catch (error) {
        await receiver.stop()
        this.receiver = null
        // A free UDP port that the system chose may be in use for TCP: let it choose another.
        if (attempt === PORT_ATTEMPTS || !this.options.listen.some(({ port }) => port === 0)) throw error
      }
    }
  }

  private openReceiver(): Promise<DatagramReceiver> {
    const { options, packetPipeline, stats } = this
    if (packetPipeline === null) return this.openPool()
    const { clock } = options
    const formats = options.listen.map((l) => l.format)
    // One clock reading a batch: a millisecond more or less does not matter to any timer.
    let nowUs = 0
    let isBatchOpen = false
    return openReceiver(
      options.receiver,
      {
        addresses: options.listen,
        receiveBufferBytes: options.receiveBufferBytes,
        datagramBytes: options.datagramBytes,
        sharesPorts: options.sharesPorts,
        onPassingError: this.onPassingError,
        onFailed: this.onFailed,
      },
      {
        datagram: (bytes: Buffer, at: number, end: number, isTruncated: boolean, peer: PeerAddress, socket: number) => {
          if (!isBatchOpen) {
            isBatchOpen = true
            nowUs = clock.nowUs()
            stats.markFirstPacket()
          }
          packetPipeline.datagram(bytes, at, end, isTruncated, formats[socket]!, peer, this.allowFrom, nowUs)
        },
        batchEnd: () => {
          isBatchOpen = false
          packetPipeline.publish()
        },
      },
    )
  }

  private async openPool(): Promise<DatagramReceiver> {
    const { options, stats, pipeline } = this
    const { ReceiverPool } = await import('./receiver-pool.ts')
    const counters = Array.from({ length: options.receivers }, () => new SharedArrayBuffer(COUNTER_BLOCK_BYTES))
    // Before they start: the first one takes packets while others are still loading.
    stats.attachReceivers(counters)
    const pool = await ReceiverPool.open({
      listen: options.listen,
      receivers: options.receivers,
      receiveBufferBytes: options.receiveBufferBytes,
      datagramBytes: options.datagramBytes,
      sharesPorts: options.sharesPorts,
      allowFrom: options.allowFrom,
      packetPipeline: options.packetPipeline,
      clockAnchor: options.clock.anchor,
      ringsOf: (receiver) => pipeline.ringsOf(receiver),
      arrivalOrder: pipeline.arrivalOrder!,
      shedLevels: pipeline.shedLevels!,
      shedAbove: options.shedAbove,
      counters,
      onReceiverDied: (receiver: number, error: PlainError, restartMs: number) =>
        options.tell(
          'receiver-died',
          `receiver ${receiver} died (${error.message}); what it held is counted as receiverLost; restarting in ${restartMs} ms, while its sockets queue`,
          { receiver, code: error.code, restartMs },
          `receiver ${receiver}`,
        ),
      onReceiverBack: (receiver, afterMs) => this.onReceiverBack(receiver, afterMs),
      onFailed: this.onFailed,
      onPassingError: this.onPassingError,
    })
    this.pool = pool
    return pool
  }

  private async openInterface({
    name,
    filter,
    bufferBytes,
  }: NonNullable<LiveReceiverOptions['interface']>): Promise<void> {
    const { stats } = this
    const packetPipeline = this.packetPipeline!
    this.capture = await openInterfaceCapture(
      { interfaceName: name, filter, bufferBytes, snapLength: SNAP_LENGTH },
      {
        packet: (record) => {
          stats.markFirstPacket()
          packetPipeline.frame(record)
        },
        batchEnd: () => packetPipeline.publish(),
      },
      this.options.clock,
    )
  }

  private readKernelDrops(): void {
    const dropped = this.receiver?.kernelDropped() ?? null
    if (dropped !== null) this.stats.counters.set(Counter.kernelDropped, dropped)
    this.stats.counters.set(Counter.kernelReassemblyFailed, this.reassembly.failed() ?? 0)
  }
}
