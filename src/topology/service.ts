/**
 * A running mirror target: receivers and servers around the path, from start to drained. `run` and `demo` drive it; it does not
 * touch signals or the terminal.
 */

import type { MonotonicClock } from '../base/clock.ts'
import type { MemoryBudget } from '../config/memory-budget.ts'
import { type Network, NetworkList } from '../decapsulation/networks.ts'
import { Counter } from '../metrics/counters.ts'
import { HealthRule } from '../report/health.ts'
import { MetricsPage } from '../report/metrics-page.ts'
import { type Address, type OpenServer, openAdminServer, openHealthServer } from '../report/servers.ts'
import type { Summary } from '../report/summary.ts'
import type { Totals } from '../report/totals.ts'
import type { DatagramReceiver, ListenAddress, PeerAddress } from '../sources/datagram-receiver.ts'
import { type InterfaceCapture, openInterfaceCapture } from '../sources/live/interface-capture.ts'
import { openReceiver } from '../sources/live/open-receiver.ts'
import { openTcpAcceptor, type TcpAcceptor } from '../sources/live/tcp-acceptor.ts'
import { Accounts } from './accounts.ts'
import { isFaultKind } from './fault.ts'
import { Ingress, type IngressOptions, type TunnelFormat } from './ingress.ts'
import { openPath, type Path } from './path.ts'
import type { ReceiverPool } from './receiver-pool.ts'
import type { ShardPlan } from './shard-plan.ts'

export interface ServiceOptions {
  readonly listen: readonly (ListenAddress & { readonly format: TunnelFormat })[]
  readonly receiver: 'recvmmsg' | 'dgram' | undefined
  /** Threads that receive; 1: this one does. */
  readonly receivers: number
  readonly receiveBufferBytes: number
  readonly datagramBytes: number
  /** Sources allowed to mirror. */
  readonly allowFrom: readonly Network[] | null
  /** Packets come from this interface instead of from sockets; null: sockets. */
  readonly interface: { readonly name: string; readonly filter: string; readonly bufferBytes: number } | null
  readonly ingress: IngressOptions
  readonly plan: ShardPlan
  readonly workers: number
  readonly ringBytes: number
  readonly shardHeapMb: number
  readonly memory: MemoryBudget
  readonly admin: Address | null
  readonly health: Address | null
  /** POST /debug/fault works. */
  readonly faultsEnabled: boolean
  readonly clock: MonotonicClock
  readonly onWarning: (text: string, details?: Record<string, unknown>) => void
  /** For this thread to do in the time that others take to start; not waited for. */
  readonly whileThreadsStart: () => void
}

const SNAP_LENGTH = 65_535
/** Time goes on in the fragment store, in an inline shard and in the kernel's drop count. */
const TICK_MS = 20
const KERNEL_DROPS_MS = 1000
const PORT_ATTEMPTS = 8
/** Past the first packets; before any usual scrape. */
const METRICS_LOAD_MS = 500

export class Service {
  readonly accounts: Accounts
  private readonly options: ServiceOptions
  private readonly path: Path
  /** The receiving side where this thread receives; null: receivers of their own do. */
  private readonly ingress: Ingress | null
  private readonly rule = new HealthRule()
  private receiver: DatagramReceiver | null = null
  /** The same receiver, where it has threads of its own. */
  private receiverPool: ReceiverPool | null = null
  private capture: InterfaceCapture | null = null
  private acceptor: TcpAcceptor | null = null
  private readonly servers: OpenServer[] = []
  private adminServer: OpenServer | null = null
  private metrics: MetricsPage | null = null
  private readonly timers: NodeJS.Timeout[] = []
  private isClosing = false

  private constructor(options: ServiceOptions, path: Path) {
    this.options = options
    this.accounts = new Accounts(options.interface === null)
    this.path = path
    this.accounts.attach(path)
    this.ingress = options.receivers > 1 ? null : new Ingress(options.ingress, path.outlet, this.accounts.counters)
  }

  /** Starts everything and receives. @throws MirrorError when an address or interface cannot be had; nothing stays open then */
  static async open(options: ServiceOptions): Promise<Service> {
    const path = await openPath({
      plan: options.plan,
      shards: options.workers,
      producers: options.receivers,
      ringCapacity: options.ringBytes,
      heapMb: options.shardHeapMb,
      writeLines: () => Promise.resolve(),
      onShardDied: (shard, error, restartMs) =>
        options.onWarning(
          `worker ${shard} died (${error.message}); what it held is counted as shardLost; it starts again in ${restartMs} ms`,
          {
            shard,
            code: error.code,
          },
        ),
    })
    const service = new Service(options, path)
    try {
      await service.start()
    } catch (error) {
      await service.close()
      throw error
    }
    return service
  }

  /** Real addresses, where port 0 was asked for. */
  get listening(): readonly ListenAddress[] {
    return this.receiver?.bound ?? []
  }

  get receiverKind(): string {
    return this.capture !== null ? `interface ${this.capture.interfaceName}` : (this.receiver?.kind ?? '')
  }

  get grantedBufferBytes(): readonly number[] {
    return this.receiver?.grantedBufferBytes ?? []
  }

  get admin(): Address | null {
    return this.adminServer?.address ?? null
  }

  /** Datagrams taken by each receiving thread; empty where this thread receives. */
  receivedByThread(): readonly number[] {
    return this.receiverPool?.taken ?? []
  }

  totals(): Totals {
    return this.accounts.totals()
  }

  summary(): Summary {
    return this.accounts.summary()
  }

  /** Stops receiving, finishes what was received, waits for answers up to the plan's limit, closes everything. Idempotent. */
  async close(): Promise<void> {
    if (this.isClosing) return
    this.isClosing = true
    this.rule.state = 'draining'
    await this.receiver?.stop()
    await this.capture?.stop()
    await this.acceptor?.stop()
    this.readKernelDrops()
    this.ingress?.flush()
    this.accounts.counters.publish()
    await this.path.drain()
    for (const timer of this.timers) clearInterval(timer)
    for (const server of this.servers) await server.close()
  }

  private async start(): Promise<void> {
    const { options } = this
    // Health first: a load balancer is told that we are starting.
    if (options.health !== null) this.servers.push(await openHealthServer(options.health, () => this.rule.health()))
    if (options.admin !== null) {
      this.metrics = new MetricsPage({
        totals: () => this.totals(),
        census: () => this.accounts.census(),
        workers: () => ({ configured: options.workers, running: this.path.running }),
        receivers: () => ({ configured: options.receivers, running: this.receiversRunning }),
        memory: () => options.memory,
      })
      this.adminServer = await openAdminServer(options.admin, {
        metrics: this.metrics,
        health: () => this.rule.health(),
        summary: () => this.summary(),
        injectFault: options.faultsEnabled ? (thread, index, kind) => this.injectFault(thread, index, kind) : null,
      })
      this.servers.push(this.adminServer)
    }
    // All start side by side: until the shards have, packets wait in their rings; without a socket they would be lost.
    const opened = options.interface !== null ? this.openInterface(options.interface) : this.openSockets()
    await Promise.all([this.path.started(), opened.then(() => options.whileThreadsStart())])
    this.timers.push(setInterval(() => this.tick(), TICK_MS))
    this.timers.push(setInterval(() => this.look(), KERNEL_DROPS_MS))
    this.rule.state = 'receiving'
    const { metrics } = this
    // What fails to load now fails again, and is answered, when it is asked for.
    if (metrics !== null) this.timers.push(setTimeout(() => metrics.load().catch(() => {}), METRICS_LOAD_MS).unref())
  }

  private async openSockets(): Promise<void> {
    const { options, accounts } = this
    const receiver = await this.openListeners()
    for (const [i, granted] of receiver.grantedBufferBytes.entries()) {
      // Linux reports twice what it grants.
      if (granted >= 2 * options.receiveBufferBytes) continue
      const { host, port } = receiver.bound[i]!
      options.onWarning(
        `the kernel granted ${granted / 2} bytes of receive buffer for ${host}:${port} where ${options.receiveBufferBytes} were asked: ` +
          `bursts may be lost; raise net.core.rmem_max or run with CAP_NET_ADMIN`,
        { granted: granted / 2, asked: options.receiveBufferBytes },
      )
    }
    const granted = receiver.grantedBufferBytes.reduce((a, b) => a + b, 0) / 2
    accounts.counters.set(Counter.receiveBufferBytes, granted * options.receivers)
  }

  /** UDP, and TCP on the same ports: for load balancers' checks. */
  private async openListeners(): Promise<DatagramReceiver> {
    for (let attempt = 1; ; attempt++) {
      const receiver = await this.openReceiver()
      this.receiver = receiver
      try {
        this.acceptor = await openTcpAcceptor(receiver.bound)
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
    const { options, ingress, accounts } = this
    if (ingress === null) return this.openReceiverPool()
    const { clock } = options
    const allowFrom = options.allowFrom === null ? null : new NetworkList(options.allowFrom)
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
      },
      {
        datagram: (bytes: Buffer, at: number, end: number, isCut: boolean, peer: PeerAddress, socket: number) => {
          if (!isBatchOpen) {
            isBatchOpen = true
            nowUs = clock.nowUs()
            accounts.markFirstPacket()
          }
          ingress.datagram(bytes, at, end, isCut, formats[socket]!, peer, allowFrom, nowUs)
        },
        batchEnd: () => {
          isBatchOpen = false
          ingress.publish()
        },
      },
    )
  }

  private async openReceiverPool(): Promise<DatagramReceiver> {
    const { options, accounts, path } = this
    const { ReceiverPool } = await import('./receiver-pool.ts')
    const pool = await ReceiverPool.open({
      listen: options.listen,
      receivers: options.receivers,
      receiveBufferBytes: options.receiveBufferBytes,
      datagramBytes: options.datagramBytes,
      allowFrom: options.allowFrom,
      ingress: options.ingress,
      clockAnchor: options.clock.anchor,
      ringsOf: (receiver) => path.ringsOf(receiver),
      arrivalOrder: path.arrivalOrder!,
      onReceiverDied: (receiver, error, restartMs) =>
        options.onWarning(
          `receiver ${receiver} died (${error.message}); what it held is counted as receiverLost; it starts again in ${restartMs} ms, its sockets go on queueing`,
          { receiver, code: error.code },
        ),
      onWarning: options.onWarning,
    })
    this.receiverPool = pool
    accounts.attachReceivers(pool.counterBlocks)
    return pool
  }

  private async openInterface({
    name,
    filter,
    bufferBytes,
  }: {
    name: string
    filter: string
    bufferBytes: number
  }): Promise<void> {
    const { accounts } = this
    const ingress = this.ingress!
    this.capture = await openInterfaceCapture(
      { interfaceName: name, filter, bufferBytes, snapLength: SNAP_LENGTH },
      {
        packet: (record) => {
          accounts.markFirstPacket()
          ingress.frame(record)
        },
        batchEnd: () => ingress.publish(),
      },
      this.options.clock,
    )
  }

  private tick(): void {
    this.accounts.counters.set(Counter.ringBytes, this.path.usedRingBytes())
    if (this.ingress !== null) {
      this.ingress.tick(this.options.clock.nowUs())
      this.ingress.publish()
    } else {
      if (this.receivedByThread().some((taken) => taken > 0)) this.accounts.markFirstPacket()
      this.accounts.counters.publish()
    }
    this.path.tick()
  }

  private look(): void {
    this.readKernelDrops()
    const totals = this.totals()
    const dropped = (totals.packetDrops().ringFull ?? 0) + totals.get('kernelDropped')
    const { workers, receivers } = this.options
    this.rule.check(
      totals.get('packetsReceived'),
      dropped,
      workers - this.path.running,
      receivers - this.receiversRunning,
    )
  }

  private readKernelDrops(): void {
    const dropped = this.receiver?.kernelDropped() ?? null
    if (dropped !== null) this.accounts.counters.set(Counter.kernelDropped, dropped)
  }

  private get receiversRunning(): number {
    if (this.receiverPool !== null) return this.receiverPool.running
    // This thread, or nobody yet.
    return this.receiver === null && this.capture === null ? 0 : 1
  }

  private injectFault(thread: 'shard' | 'receiver', index: string, kind: string): string | null {
    if (!/^\d{1,4}$/.test(index) || !isFaultKind(kind)) return null
    const isDone =
      thread === 'shard'
        ? this.path.injectFault(Number(index), kind)
        : (this.receiverPool?.injectFault(Number(index), kind) ?? false)
    return isDone ? `${thread} ${index}: ${kind}` : null
  }
}
