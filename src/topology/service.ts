/**
 * A running mirror target: receiver, pipeline and servers from start to drained. `run` and `demo` drive it; it does not touch signals or the
 * terminal.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MirrorError } from '../base/errors.ts'
import { formatHostPort } from '../config/addresses.ts'
import type { MemoryBudget } from '../config/memory-budget.ts'
import { Counter } from '../metrics/counters.ts'
import { ThreadMemory } from '../metrics/thread-memory.ts'
import type { AdminAccessOptions } from '../report/admin-access.ts'
import { HealthRule } from '../report/health.ts'
import { MetricsPage } from '../report/metrics-page.ts'
import {
  type Address,
  type AdminSources,
  type OpenServer,
  openAdminServer,
  openHealthServer,
} from '../report/servers.ts'
import type { Summary } from '../report/summary.ts'
import type { Totals } from '../report/totals.ts'
import { type CrashingThread, RunWatch } from '../report/watch/run-watch.ts'
import type { ListenAddress } from '../sources/datagram-receiver.ts'
import { openSharedTcp } from '../sources/live/shared-tcp.ts'
import { breakMainWith, isFaultKind, MOST_SLOW_US, SLOW_FAULT } from './fault.ts'
import { LiveReceiver, type LiveReceiverChange, type LiveReceiverOptions } from './live-receiver.ts'
import { openPipeline, type Pipeline } from './pipeline.ts'
import { RunStats } from './run-stats.ts'
import { ServiceDiagnosis, setupOf, type TellFinding } from './service-diagnosis.ts'
import { originsOf, type ShardConfig } from './shard-config.ts'
import { DEATH_CAUSES, type SupervisedTask } from './supervised-task.ts'
import { ThreadDeaths } from './thread-deaths.ts'

export interface ServiceOptions extends LiveReceiverOptions {
  readonly shardConfig: ShardConfig
  readonly workers: number
  readonly ringBytes: number
  readonly shardHeapMb: number
  readonly memory: MemoryBudget
  readonly admin: Address | null
  readonly adminAccess: AdminAccessOptions
  readonly health: Address | null
  /** POST /debug/fault works. */
  readonly faultsEnabled: boolean
  /** For this thread to do in the time that others take to start; not waited for. */
  readonly whileThreadsStart: () => void
  /** Told what keeps requests from arriving or leaving; nobody need be. */
  readonly onFinding?: TellFinding
}

/** What may change while the service runs. */
export interface ServiceChange extends LiveReceiverChange {
  readonly shardConfig: ShardConfig
}

/** Time passes in the fragment store, in an inline shard and in the kernel's drop count. */
const TICK_MS = 20
const LOOK_MS = 1000
/** Past the first packets; before any usual scrape. */
const METRICS_LOAD_MS = 500
/** With shared ports the process before this one keeps its admin address to its end; how often we ask for it. */
const ADMIN_RETRY_MS = 250

export class Service {
  readonly stats: RunStats
  /** Resolves when the service cannot continue. It continues with what it has until it is closed. */
  readonly failed: Promise<MirrorError>
  private readonly options: ServiceOptions
  private readonly pipeline: Pipeline
  private readonly receiver: LiveReceiver
  private readonly rule = new HealthRule()
  private readonly watch: RunWatch
  private readonly memory: ThreadMemory
  private readonly diagnosis: ServiceDiagnosis
  /** Options as they are now. */
  private current: ServiceChange
  private readonly servers: OpenServer[] = []
  private healthServer: OpenServer | null = null
  private adminServer: OpenServer | null = null
  private metrics: MetricsPage | null = null
  private readonly timers: NodeJS.Timeout[] = []
  private isClosing = false
  private readonly reloads = { success: 0, failure: 0, lastSuccessMs: Date.now() }

  private constructor(
    options: ServiceOptions,
    pipeline: Pipeline,
    stats: RunStats,
    failure: Failure,
    watch: RunWatch,
    deaths: ThreadDeaths,
  ) {
    this.options = options
    this.stats = stats
    this.pipeline = pipeline
    this.failed = failure.happened
    stats.attach(pipeline)
    this.memory = new ThreadMemory(stats.counters)
    this.watch = watch
    this.receiver = new LiveReceiver(options, pipeline, stats, failure.happen, deaths.receiverBack)
    this.current = options
    this.diagnosis = new ServiceDiagnosis(
      {
        totals: () => this.totals(),
        protocolCounts: () => this.stats.protocolCounts(),
        setup: () => setupOf({ ...options, ...this.current }, this.current.shardConfig, this.listening),
      },
      options.onFinding ?? (() => {}),
    )
  }

  /** Starts everything and receives. @throws MirrorError when an address or interface cannot be had; nothing stays open then */
  static async open(options: ServiceOptions): Promise<Service> {
    const failure = new Failure()
    const { sinks } = options.shardConfig
    const { tell } = options
    const stats = new RunStats(
      options.interface === null,
      sinks.map(({ name }) => name),
    )
    const deaths = new ThreadDeaths(() => stats.totals(), tell)
    const watch = new RunWatch({
      origins: originsOf(sinks),
      workers: options.workers,
      startedMs: performance.now(),
      tell,
    })
    const pipeline = await openPipeline({
      shardConfig: options.shardConfig,
      shards: options.workers,
      producers: options.receivers,
      ringCapacity: options.ringBytes,
      shedAbove: options.shedAbove,
      heapMb: options.shardHeapMb,
      writeOutput: () => Promise.resolve(),
      onShardDied: deaths.shardDied,
      onShardBack: deaths.shardBack,
      onUnreached: (target, why) => watch.unreached(target, why, performance.now()),
      onShardGivenUp: failure.happen,
    })
    const service = new Service(options, pipeline, stats, failure, watch, deaths)
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
    return this.receiver.listening
  }

  get receiverKind(): string {
    return this.receiver.kind
  }

  get grantedBufferBytes(): readonly number[] {
    return this.receiver.grantedBufferBytes
  }

  get admin(): Address | null {
    return this.adminServer?.address ?? null
  }

  /** Datagrams taken by each receiving thread; empty where this thread receives. */
  receivedByThread(): readonly number[] {
    return this.receiver.takenByThread
  }

  totals(): Totals {
    return this.stats.totals()
  }

  summary(): Summary {
    return this.stats.summary()
  }

  /** Takes over other options without losing a packet. Resolves when all threads work by them. */
  async change(change: ServiceChange): Promise<void> {
    const { shardConfig, packetPipeline, allowFrom } = change
    this.current = change
    await Promise.all([this.pipeline.change(shardConfig), this.receiver.change({ packetPipeline, allowFrom })])
  }

  /** The configuration was read again: for the metrics. */
  noteReload(result: 'success' | 'failure'): void {
    this.reloads[result]++
    if (result === 'success') this.reloads.lastSuccessMs = Date.now()
  }

  /** Stops receiving, finishes what was received, waits for answers up to the shard config's limit, closes everything. Idempotent. */
  async close(): Promise<void> {
    if (this.isClosing) return
    this.isClosing = true
    this.rule.state = 'draining'
    // Where a new process has the port too, it answers from now on.
    if (this.options.sharesPorts) await this.healthServer?.close()
    await this.receiver.stop()
    await this.pipeline.drain()
    for (const timer of this.timers) clearInterval(timer)
    for (const server of this.servers) await server.close()
  }

  private async start(): Promise<void> {
    const { options } = this
    // Health first: a load balancer is told that we are starting.
    if (options.health !== null && !options.sharesPorts) await this.openHealth(options.health)
    if (options.admin !== null) await this.openAdmin(options.admin)
    // All start side by side: until the shards have, packets wait in their rings; without a socket they would be lost.
    const opened = this.receiver.open()
    await Promise.all([this.pipeline.started(), opened.then(() => options.whileThreadsStart())])
    this.receiver.takeOver()
    this.timers.push(setInterval(() => this.tick(), TICK_MS))
    this.timers.push(setInterval(() => this.look(), LOOK_MS))
    this.rule.state = 'receiving'
    // Beside an older process that is well: a check that came here any earlier would have been told that the target is not.
    if (options.health !== null && options.sharesPorts) await this.openHealth(options.health)
    const { metrics } = this
    // What fails to load now fails again, and is answered, when it is asked for.
    if (metrics !== null) this.timers.push(setTimeout(() => metrics.load().catch(() => {}), METRICS_LOAD_MS).unref())
  }

  private async openHealth(address: Address): Promise<void> {
    const where = this.options.sharesPorts ? { ...address, fd: await openSharedTcp(address) } : address
    this.healthServer = await openHealthServer(where, () => this.rule.health())
    this.servers.push(this.healthServer)
  }

  private async openAdmin(address: Address): Promise<void> {
    const { options } = this
    const metrics = new MetricsPage({
      totals: () => this.totals(),
      protocolCounts: () => this.stats.protocolCounts(),
      workers: () => ({ configured: options.workers, running: this.pipeline.running }),
      receivers: () => ({ configured: options.receivers, running: this.receiver.running }),
      memory: () => options.memory,
      targets: () => this.stats.targets,
      deaths: () => [...deathsOf('shard', this.pipeline.supervised), ...deathsOf('receiver', this.receiver.supervised)],
      reloads: () => this.reloads,
    })
    this.metrics = metrics
    const open = async () => {
      const sources: AdminSources = {
        metrics,
        health: () => this.rule.health(),
        summary: () => this.summary(),
        diagnosis: () => this.diagnosis.now(),
        injectFault: options.faultsEnabled ? (...fault) => this.injectFault(...fault) : null,
      }
      this.adminServer = await openAdminServer(address, sources, options.adminAccess)
      this.servers.push(this.adminServer)
    }
    try {
      await open()
    } catch (error) {
      if (!options.sharesPorts || !isInUse(error)) throw error
      options.tell(
        'admin-waits',
        `--admin ${formatHostPort(address)} is in use, perhaps by the process that this one replaces: taken when it is free`,
        { admin: formatHostPort(address) },
        'admin',
      )
      void this.openLater(open)
    }
  }

  /** One process has the admin address at a time: two sets of counters behind one address would look like one that jumps. */
  private async openLater(open: () => Promise<void>): Promise<void> {
    while (!this.isClosing) {
      await sleep(ADMIN_RETRY_MS, undefined, { ref: false })
      if (this.isClosing) return
      try {
        await open()
        // It was closed meanwhile, without this server.
        if (this.isClosing) await this.adminServer?.close()
        else this.tellAdmin('admin-open', 'the admin address is free now, and taken')
        return
      } catch (error) {
        if (isInUse(error)) continue
        this.tellAdmin('admin-failed', (error as Error).message)
        return
      }
    }
  }

  private tellAdmin(name: 'admin-open' | 'admin-failed', text: string): void {
    const { admin } = this.options
    this.options.tell(name, text, { admin: admin === null ? null : formatHostPort(admin) }, 'admin')
  }

  private tick(): void {
    this.stats.counters.set(Counter.ringBytes, this.pipeline.usedRingBytes())
    this.stats.counters.set(Counter.shedRatio, this.pipeline.shedRatio())
    this.receiver.tick()
    this.pipeline.tick()
  }

  private look(): void {
    this.receiver.look()
    this.memory.look(performance.now())
    const totals = this.totals()
    // What does not arrive while it drains was not asked for.
    if (!this.isClosing) this.diagnosis.look(totals)
    const { ringFull = 0, shed = 0 } = totals.packetDrops()
    const dropped = ringFull + shed + totals.get('kernelDropped')
    const { workers, receivers } = this.options
    this.rule.check(
      totals.get('packetsReceived'),
      dropped,
      workers - this.pipeline.running,
      receivers - this.receiver.running,
    )
    const threads = [...crashing('worker', this.pipeline.supervised), ...crashing('receiver', this.receiver.supervised)]
    this.rule.crashing = threads.map(({ thread, deaths, error }) => `${thread} died ${deaths} times in a row: ${error}`)
    if (this.isClosing) this.watch.lookAtOrigins(totals, performance.now())
    else this.watch.look(totals, this.rule.health(), threads, performance.now())
  }

  private injectFault(thread: 'shard' | 'receiver' | 'main', index: string, kind: string, us: string): string | null {
    if (thread === 'main') return breakMainWith(kind) ? `main: ${kind}` : null
    if (kind === SLOW_FAULT && thread === 'shard' && /^\d{1,4}$/.test(index) && /^\d{1,5}$/.test(us)) {
      const isDone = Number(us) <= MOST_SLOW_US && this.pipeline.slowDown(Number(index), Number(us))
      return isDone ? `shard ${index}: ${kind}, ${us} us a packet` : null
    }
    if (!/^\d{1,4}$/.test(index) || !isFaultKind(kind)) return null
    const breaker = thread === 'shard' ? this.pipeline : this.receiver
    return breaker.injectFault(Number(index), kind) ? `${thread} ${index}: ${kind}` : null
  }
}

/** The first failure that the service cannot outlive. */
class Failure {
  readonly happened: Promise<MirrorError>
  readonly happen: (error: MirrorError) => void

  constructor() {
    let resolve: (error: MirrorError) => void = () => {}
    this.happened = new Promise((resolved) => {
      resolve = resolved
    })
    this.happen = resolve
  }
}

function deathsOf(thread: string, tasks: readonly SupervisedTask[]) {
  return DEATH_CAUSES.map((cause) => ({
    thread,
    cause,
    count: tasks.reduce((sum, task) => sum + (task.deaths.get(cause) ?? 0), 0),
  }))
}

function crashing(name: string, tasks: readonly SupervisedTask[]): CrashingThread[] {
  return tasks.flatMap(({ crashLoop }, i) => (crashLoop === null ? [] : [{ thread: `${name} ${i}`, ...crashLoop }]))
}

function isInUse(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: unknown } }
  return error instanceof MirrorError && cause?.code === 'EADDRINUSE'
}
