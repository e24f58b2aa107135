/**
 * One shard: owns a set of flows from their packets to the sink. The same object runs in a worker thread or inline; it does not
 * know which. Everything it counts stands in its CounterBlock, published by `publish`.
 */
import { MonotonicClock } from '../base/clock.ts'
import { FLOW_BYTES } from '../base/memory-weights.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import { CapturedConnection } from '../exchange/captured-connection.ts'
import type { ConnectionHandle } from '../exchange/connection.ts'
import { MessageView } from '../exchange/message.ts'
import { OpenConnections } from '../exchange/open-connections.ts'
import type { ProgressRegister } from '../flow/progress-register.ts'
import { HeadReader } from '../http/head.ts'
import { HeldMessages } from '../http/held-messages.ts'
import type { HttpContext } from '../http/http-context.ts'
import type { HttpEvents } from '../http/http-events.ts'
import { HttpExchanges } from '../http/http-exchanges.ts'
import { HttpMemory } from '../http/http-memory.ts'
import { HTTP1 } from '../http/http1.ts'
import { PartialHead } from '../http/partial-head.ts'
import { UNREAD_PROTOCOLS } from '../http/protocol.ts'
import { ProtocolCounts } from '../http/protocol-counts.ts'
import { ProtocolRegistry } from '../http/protocol-registry.ts'
import type { ProxiedEnds } from '../http/proxy-header.ts'
import type { TunnelRegister } from '../http/tunnel-register.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { Reassembler } from '../reassembly/reassembler.ts'
import type { StreamParser, StreamParserFactory } from '../reassembly/stream-parser.ts'
import { type Branch, FanOut } from '../sinks/fan-out.ts'
import { SharedRateLimiter } from '../sinks/filter/rate-limiter.ts'
import type { DataOutput } from '../sinks/inspect/inspect-sink.ts'
import { NullSink } from '../sinks/null-sink.ts'
import { loadEngine } from '../sinks/replay/engines.ts'
import type { Unreached } from '../sinks/replay/unreached.ts'
import type { Sink } from '../sinks/sink.ts'
import type { ShardConfig, SinkConfig } from './shard-config.ts'

export interface ShardParts {
  readonly counters: CounterBlock
  /** Of several targets, one each; else none. */
  readonly targetCounters?: readonly CounterBlock[]
  readonly tunnels: TunnelRegister
  readonly progress: ProgressRegister
  /** Shared by all shards where the shard config has a rate. */
  readonly rateMemory: SharedArrayBuffer
  readonly output: DataOutput
}

/** @param target number of the sink */
export type TellUnreached = (target: number, unreached: Unreached) => void

/** Gathered heads kept for reuse, at most. */
const SPARE_PARTIAL_HEADS = 64

export class Shard implements StreamParserFactory {
  readonly protocolCounts = new ProtocolCounts()
  private readonly counters: CounterBlock
  private readonly reassembler: Reassembler
  private readonly context: HttpContext
  private readonly connections: OpenConnections
  /** What takes the exchanges: the one sink, or the way to several. */
  private readonly sink: Sink
  private readonly branches: readonly Branch[]
  private readonly onClosed: (connection: ConnectionHandle) => void
  private readonly spareHeads: PartialHead[] = []

  private constructor(
    shardConfig: ShardConfig,
    parts: ShardParts,
    memory: HttpMemory,
    connections: OpenConnections,
    branches: readonly Branch[],
  ) {
    const { http } = shardConfig
    // What is only shown may be read in more ways than what would be sent as it stands.
    const isShown = shardConfig.sinks.every(({ kind }) => kind === 'print')
    this.counters = parts.counters
    this.reassembler = new Reassembler(shardConfig.reassembly, this, this.counters, parts.progress)
    this.connections = connections
    this.onClosed = (connection) => connections.close(connection)
    this.branches = branches
    this.sink = branches.length === 1 ? branches[0]!.sink : new FanOut(branches, this.counters)
    this.context = {
      reader: new HeadReader({
        maxHeadBytes: http.maxHeadBytes,
        maxFields: http.maxHeaders,
        lenientWhiteSpace: isShown,
        skipsResponseFields: !this.sink.wants.responseHead,
      }),
      view: new MessageView(http.maxHeaders),
      heldMessages: new HeldMessages(),
      maxHeadBytes: http.maxHeadBytes,
      maxBodyBytes: http.maxBodyBytes,
      memory,
      keepBodies: this.sink.wants.requestBody,
      takePartialHead: () => this.spareHeads.pop() ?? new PartialHead(),
      givePartialHead: (partial) => {
        partial.clear()
        if (this.spareHeads.length < SPARE_PARTIAL_HEADS) this.spareHeads.push(partial)
      },
      counters: this.counters,
      protocols: new ProtocolRegistry([HTTP1, ...UNREAD_PROTOCOLS]),
      protocolCounts: this.protocolCounts,
      tunnels: parts.tunnels,
      upgradeWaitUs: http.upgradeWaitMs * 1000,
      ports: portsOf(shardConfig),
      showsUnanswered: isShown,
      requestsInParsing: 0,
    }
  }

  static async open(shardConfig: ShardConfig, parts: ShardParts): Promise<Shard> {
    const memory = new HttpMemory(shardConfig.http, parts.counters)
    const connections = new OpenConnections()
    const branches: Branch[] = []
    const { sinks } = shardConfig
    for (const [i, sinkConfig] of sinks.entries()) {
      const counters = sinks.length === 1 ? parts.counters : parts.targetCounters![i]!
      const sink = await openSink(sinkConfig, shardConfig, { ...parts, counters }, memory, connections)
      const isPatient = sinkConfig.kind === 'print' || !sinkConfig.options.shed
      branches.push({ sink, counters, whenFull: isPatient ? 'wait' : 'drop' })
    }
    return new Shard(shardConfig, parts, memory, connections, branches)
  }

  packet(view: PacketView): void {
    this.reassembler.packet(view)
    const { memory } = this.context
    if (memory.isOver) memory.enforce()
  }

  /** Live time passes, also without packets. */
  tick(nowUs: number): void {
    this.reassembler.tick(nowUs)
    this.context.memory.enforce()
  }

  /** Takes over what may change while it runs. @param rateMemory of the new shard config's rate, shared by all shards */
  change(shardConfig: ShardConfig, rateMemory: SharedArrayBuffer): void {
    this.context.ports = portsOf(shardConfig)
    for (const [i, sinkConfig] of shardConfig.sinks.entries()) {
      if (sinkConfig.kind === 'print') continue
      this.branches[i]!.sink.change?.({
        selection: sinkConfig.options,
        keepHost: sinkConfig.kind === 'replay' && sinkConfig.options.keepHost,
        rateLimiter: rateLimiterOf(shardConfig, rateMemory),
      })
    }
  }

  /** The end of the input, or of a pass over it: every connection is closed. @param onProgress called now and then */
  closeAll(onProgress?: () => void): void {
    this.reassembler.closeAll(onProgress)
  }

  /** False: an offline feeder should wait. */
  hasRoom(): boolean {
    return this.sink.hasRoom()
  }

  /** Requests anywhere in the shard that have not ended. */
  get requestsHeld(): number {
    return this.context.requestsInParsing + this.sink.held
  }

  /** Sets the gauges and makes all counters visible. Once per batch. */
  publish(): void {
    const { counters, context, sink } = this
    // Of several targets each counts its own; before the shard's block, which says what was handed to them.
    sink.flush?.()
    const held = this.branches.length > 1 ? 0 : sink.held
    counters.set(Counter.requestsHeld, context.requestsInParsing + held)
    counters.set(Counter.flowsOpen, this.reassembler.open)
    counters.set(Counter.flowTableBytes, this.reassembler.table.capacity * FLOW_BYTES)
    counters.set(Counter.flowsUnsettled, this.reassembler.open + sink.unsettledConnections)
    counters.publish()
  }

  /** Tells for each target the last failure to reach it since this was called: now and then, for the log. */
  tellUnreached(tell: TellUnreached): void {
    for (const [target, { sink }] of this.branches.entries()) {
      const unreached = sink.takeUnreached?.() ?? null
      if (unreached !== null) tell(target, unreached)
    }
  }

  /** Waits until every request has ended, at most `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    await this.sink.drain(limitMs)
    this.publish()
  }

  async close(): Promise<void> {
    await this.sink.close()
    this.publish()
  }

  /** StreamParserFactory: a connection more fits into memory. */
  mayOpen(): boolean {
    return this.context.memory.hasRoom
  }

  /** StreamParserFactory: the first data of a connection came. */
  open(slot: number, clientDirection: number, _nowUs: number, isMidMessage: boolean): StreamParser {
    const { table } = this.reassembler
    const ports: [number, number] = [table.portOf(slot, 0), table.portOf(slot, 1)]
    const events = (client: number, proxied: ProxiedEnds | null) => this.events(slot, client, proxied)
    const { context } = this
    return context.protocols.open(context, table.hash[slot]! | 0, ports, clientDirection, events, isMidMessage)
  }

  private events(slot: number, clientDirection: number, proxied: ProxiedEnds | null): HttpEvents {
    const connection = CapturedConnection.ofFlow(this.reassembler.table, slot, clientDirection)
    connection.namedClient = proxied?.client ?? null
    connection.namedServer = proxied?.server ?? null
    this.connections.open(connection)
    return new HttpExchanges(connection.handle, this.sink, this.sink.wants, this.onClosed)
  }
}

function portsOf({ http }: ShardConfig): ReadonlySet<number> | null {
  return http.ports === null ? null : new Set(http.ports)
}

function rateLimiterOf(
  { ratePerSecond, clockAnchor }: ShardConfig,
  memory: SharedArrayBuffer,
): SharedRateLimiter | null {
  return ratePerSecond === null ? null : new SharedRateLimiter(memory, ratePerSecond, new MonotonicClock(clockAnchor))
}

/** Loads only what the shard config uses: the replay engine is most of a start's cost, inspect needs node:crypto. */
async function openSink(
  sinkConfig: SinkConfig,
  shardConfig: ShardConfig,
  parts: ShardParts,
  memory: HttpMemory,
  connections: OpenConnections,
): Promise<Sink> {
  const { counters, output } = parts
  if (sinkConfig.kind === 'print') {
    const { InspectSink } = await import('../sinks/inspect/inspect-sink.ts')
    return new InspectSink(sinkConfig.options, counters, {
      connections,
      memory,
      output,
      maxBodyBytes: shardConfig.http.maxBodyBytes,
    })
  }
  const clock = new MonotonicClock(shardConfig.clockAnchor)
  const rateLimiter = rateLimiterOf(shardConfig, parts.rateMemory)
  const deps = { connections, clock, random: Math.random, rateLimiter }
  if (sinkConfig.kind === 'discard') return new NullSink(sinkConfig.options, counters, deps)
  const { ReplaySink } = await import('../sinks/replay/replay-sink.ts')
  const engine = await loadEngine(sinkConfig.options.engine)
  return new ReplaySink({ ...sinkConfig.options, origin: new URL(sinkConfig.origin) }, counters, { ...deps, engine })
}
