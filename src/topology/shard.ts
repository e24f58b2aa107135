/**
 * One shard: owns a set of flows from their packets to the sink. The same object runs in a worker thread or inline; it does not
 * know which. Everything it counts stands in its CounterBlock, published by `publish`.
 */
import { MonotonicClock } from '../base/clock.ts'
import { FLOW_BYTES } from '../base/memory-weights.ts'
import type { PacketView } from '../decapsulation/packet-view.ts'
import { CapturedConnection } from '../exchange/captured-connection.ts'
import { RequestForwarder } from '../exchange/request-forwarder.ts'
import type { ProgressRegister } from '../flow/progress-register.ts'
import { HeadReader } from '../http/head.ts'
import { HttpConnection } from '../http/http-connection.ts'
import type { HttpContext } from '../http/http-context.ts'
import type { HttpEvents } from '../http/http-events.ts'
import { HttpMemory } from '../http/http-memory.ts'
import { MessageView } from '../http/message.ts'
import { PartialHead } from '../http/partial-head.ts'
import { ProtocolCensus } from '../http/protocol.ts'
import type { ProxiedEnds } from '../http/proxy-header.ts'
import type { TunnelRegister } from '../http/tunnel-register.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { Reassembler } from '../reassembly/reassembler.ts'
import type { StreamParser, StreamParserFactory } from '../reassembly/stream-parser.ts'
import { SharedRateLimiter } from '../sinks/filter/rate-limiter.ts'
import { NullSink } from '../sinks/null-sink.ts'
import { loadEngine } from '../sinks/replay/engines.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Printer } from './printer.ts'
import type { ShardConfig } from './shard-config.ts'

/** Where printed lines go, and whether more may come. */
export interface LineOutput {
  write(lines: string): void
  hasRoom(): boolean
}

export interface ShardParts {
  readonly counters: CounterBlock
  readonly tunnels: TunnelRegister
  readonly progress: ProgressRegister
  /** Shared by all shards where the shard config has a rate. */
  readonly rateMemory: SharedArrayBuffer
  readonly output: LineOutput
}

/** Gathered heads kept for reuse, at most. */
const SPARE_PARTIAL_HEADS = 64

export class Shard implements StreamParserFactory {
  readonly protocolCounts = new ProtocolCensus()
  private readonly counters: CounterBlock
  private readonly reassembler: Reassembler
  private readonly context: HttpContext
  /** One of the two. */
  private readonly sink: Sink | null
  private readonly printer: Printer | null
  private readonly output: LineOutput
  private readonly spareHeads: PartialHead[] = []
  private connections = 0

  private constructor(
    shardConfig: ShardConfig,
    parts: ShardParts,
    memory: HttpMemory,
    sink: Sink | null,
    printer: Printer | null,
  ) {
    const { sinkConfig, http } = shardConfig
    this.counters = parts.counters
    this.output = parts.output
    this.reassembler = new Reassembler(shardConfig.reassembly, this, this.counters, parts.progress)
    this.sink = sink
    this.printer = printer
    this.context = {
      reader: new HeadReader({
        maxHeadBytes: http.maxHeadBytes,
        maxFields: http.maxHeaders,
        lenientWhiteSpace: sinkConfig.kind === 'print',
        skipsResponseFields: sinkConfig.kind !== 'print',
      }),
      view: new MessageView(http.maxHeaders),
      maxHeadBytes: http.maxHeadBytes,
      maxBodyBytes: http.maxBodyBytes,
      memory,
      keepBodies: this.sink?.wantsBodies ?? (sinkConfig.kind === 'print' && sinkConfig.bodies !== 'none'),
      takePartialHead: () => this.spareHeads.pop() ?? new PartialHead(),
      givePartialHead: (partial) => {
        partial.clear()
        if (this.spareHeads.length < SPARE_PARTIAL_HEADS) this.spareHeads.push(partial)
      },
      counters: this.counters,
      census: this.protocolCounts,
      tunnels: parts.tunnels,
      upgradeWaitUs: http.upgradeWaitMs * 1000,
      ports: portsOf(shardConfig),
      showsUnanswered: sinkConfig.kind === 'print',
      requestsInParsing: 0,
    }
  }

  static async open(shardConfig: ShardConfig, parts: ShardParts): Promise<Shard> {
    const memory = new HttpMemory(shardConfig.http, parts.counters)
    return new Shard(
      shardConfig,
      parts,
      memory,
      await openSink(shardConfig, parts),
      await openPrinter(shardConfig, parts, memory),
    )
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
    const { sinkConfig } = shardConfig
    if (sinkConfig.kind === 'print') return
    this.sink?.change({
      selection: sinkConfig.options,
      keepHost: sinkConfig.kind === 'replay' && sinkConfig.options.keepHost,
      rateLimiter: rateLimiterOf(shardConfig, rateMemory),
    })
  }

  /** The end of the input, or of a pass over it: every connection is closed. @param onProgress called now and then */
  closeAll(onProgress?: () => void): void {
    this.reassembler.closeAll(onProgress)
  }

  /** False: an offline feeder should wait. */
  hasRoom(): boolean {
    return (this.sink?.hasRoom() ?? true) && this.output.hasRoom()
  }

  /** Requests anywhere in the shard that have not ended. */
  get requestsHeld(): number {
    return this.context.requestsInParsing + (this.printer?.held ?? 0) + (this.sink?.held ?? 0)
  }

  /** Sets the gauges and makes all counters visible. Once per batch. */
  publish(): void {
    this.printer?.flush()
    const { counters } = this
    counters.set(Counter.requestsHeld, this.requestsHeld)
    counters.set(Counter.flowsOpen, this.reassembler.open)
    counters.set(Counter.flowTableBytes, this.reassembler.table.capacity * FLOW_BYTES)
    counters.set(Counter.flowsUnsettled, this.reassembler.open + (this.sink?.unsettledConnections ?? 0))
    counters.publish()
  }

  /** Waits until every request has ended, at most `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    await this.sink?.drain(limitMs)
    this.publish()
  }

  async close(): Promise<void> {
    await this.sink?.close()
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
    return new HttpConnection(this.context, table.hash[slot]! | 0, ports, clientDirection, events, isMidMessage)
  }

  private events(slot: number, clientDirection: number, proxied: ProxiedEnds | null): HttpEvents {
    const { table } = this.reassembler
    const connection = new CapturedConnection(++this.connections, table, slot, clientDirection, proxied)
    if (this.sink !== null) return new RequestForwarder(connection, this.sink)
    return this.printer!.events(connection)
  }
}

async function openPrinter(
  { sinkConfig, http }: ShardConfig,
  { output, counters }: ShardParts,
  memory: HttpMemory,
): Promise<Printer | null> {
  if (sinkConfig.kind !== 'print') return null
  const { Printer } = await import('./printer.ts')
  const options = { bodies: sinkConfig.bodies, maxBodyBytes: http.maxBodyBytes }
  return new Printer(options, sinkConfig.redaction, (lines) => output.write(lines), counters, memory)
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

/** Loads only what the shard config uses: the replay engine is most of a start's cost. Null: exchanges are printed. */
async function openSink(shardConfig: ShardConfig, parts: ShardParts): Promise<Sink | null> {
  const { sinkConfig, clockAnchor } = shardConfig
  if (sinkConfig.kind === 'print') return null
  const clock = new MonotonicClock(clockAnchor)
  const deps = { clock, random: Math.random, rateLimiter: rateLimiterOf(shardConfig, parts.rateMemory) }
  if (sinkConfig.kind === 'discard') return new NullSink(sinkConfig.options, parts.counters, deps)
  const { ReplaySink } = await import('../sinks/replay/replay-sink.ts')
  const engine = await loadEngine(sinkConfig.options.engine)
  return new ReplaySink({ ...sinkConfig.options, origin: new URL(sinkConfig.origin) }, parts.counters, {
    ...deps,
    engine,
  })
}
