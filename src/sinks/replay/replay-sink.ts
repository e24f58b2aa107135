/** Sends captured requests to the origin: filters them, hands them to the scheduler, counts what becomes of each. */
import type { Clock } from '../../base/clock.ts'
import { RequestDrop } from '../../base/drop.ts'
import type { ConnectionDirectory, ConnectionFacts, ConnectionHandle } from '../../exchange/connection.ts'
import type { ExchangeId } from '../../exchange/exchange-outlet.ts'
import type { MessageView } from '../../exchange/message.ts'
import { Counter, type CounterBlock } from '../../metrics/counters.ts'
import type { SharedRateLimiter } from '../filter/rate-limiter.ts'
import { RequestSelection } from '../filter/selection.ts'
import { type Sink, type SinkSettings, WANTS_REQUESTS } from '../sink.ts'
import type { EngineFactory } from './engine.ts'
import { checkOrigin, type ReplaySinkOptions } from './options.ts'
import { heldBytesOf, type OutgoingRequest } from './outgoing-request.ts'
import { Scheduler, type SchedulerListener } from './scheduler.ts'
import { type Unreached, unreachedBy } from './unreached.ts'

export interface ReplaySinkDeps {
  readonly connections: ConnectionDirectory
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** One for all shards; null: no limit. */
  readonly rateLimiter: SharedRateLimiter | null
  readonly engine: EngineFactory
}

export class ReplaySink implements Sink, SchedulerListener {
  readonly wants = WANTS_REQUESTS

  private readonly counters: CounterBlock
  private readonly connections: ConnectionDirectory
  private readonly random: () => number
  /** Live: packets and requests are timed by one clock. */
  private readonly isLive: boolean
  private selection: RequestSelection
  private readonly scheduler: Scheduler
  private drainWaiters: (() => void)[] = []
  private closing: Promise<void> | null = null
  /** The last failure to reach the origin that nobody has asked for yet. */
  private lastUnreached: { readonly outcome: number; readonly cause: unknown } | null = null

  /** @throws MirrorError ERR_ORIGIN */
  constructor(options: ReplaySinkOptions, counters: CounterBlock, deps: ReplaySinkDeps) {
    checkOrigin(options.origin)
    this.counters = counters
    this.connections = deps.connections
    this.random = deps.random
    this.isLive = options.shed
    this.selection = new RequestSelection(options, deps.random)
    this.scheduler = new Scheduler(options, deps.clock, deps.rateLimiter, deps.engine, this)
    // A restarted shard takes over the block of the one before: the totals continue, what that one held is gone.
    counters.set(Counter.circuitOpen, 0)
    this.changed()
  }

  get held(): number {
    return this.scheduler.held
  }

  get unsettledConnections(): number {
    return this.scheduler.unsettledConnections
  }

  request(id: ExchangeId, message: MessageView): void {
    const connection = this.connections.facts(id.connection)
    const reason = this.refusal(message, connection)
    if (reason !== RequestDrop.none) {
      this.counters.requestDrop(reason)
      return
    }
    const request = this.scheduler.engine.prepare(message, connection)
    if (request === null) {
      this.counters.requestDrop(RequestDrop.unsendable)
      return
    }
    request.capturedUs = message.lastUs
    this.scheduler.add(request, id.connection)
  }

  closed(connection: ConnectionHandle): void {
    this.scheduler.connectionClosed(connection)
  }

  change({ selection, keepHost, rateLimiter }: SinkSettings): void {
    this.selection = new RequestSelection(selection, this.random)
    this.scheduler.setLimiter(rateLimiter)
    this.scheduler.engine.keepHost(keepHost)
  }

  takeUnreached(): Unreached | null {
    const last = this.lastUnreached
    this.lastUnreached = null
    return last === null ? null : unreachedBy(last.outcome, last.cause)
  }

  hasRoom(): boolean {
    return this.scheduler.hasRoom()
  }

  drain(limitMs: number): Promise<void> {
    if (this.held === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.scheduler.dropAll(RequestDrop.drainTimeout), limitMs)
      this.drainWaiters.push(() => {
        clearTimeout(limit)
        resolve()
      })
    })
  }

  /** What is still held is dropped as `drainTimeout`. */
  close(): Promise<void> {
    this.closing ??= this.scheduler.close(RequestDrop.drainTimeout)
    return this.closing
  }

  private refusal(message: MessageView, connection: ConnectionFacts): number {
    if (this.closing !== null) return RequestDrop.drainTimeout
    const refused = this.selection.refusal(message, connection)
    if (refused !== RequestDrop.none) return refused
    return this.scheduler.refusal(connection.handle, heldBytesOf(message))
  }

  // --- what the scheduler says ---

  ended(_request: OutgoingRequest, outcome: number, latencyUs: number): void {
    this.counters.outcome(outcome)
    if (latencyUs >= 0) this.counters.latency(Math.round(latencyUs))
  }

  dropped(_request: OutgoingRequest, reason: number): void {
    this.counters.requestDrop(reason)
  }

  written(request: OutgoingRequest, atUs: number): void {
    if (this.isLive && !request.isRetry) this.counters.addedLatency(Math.max(0, Math.round(atUs - request.capturedUs)))
  }

  retried(): void {
    this.counters.add(Counter.replayRetries)
  }

  received(bodyBytes: number): void {
    this.counters.add(Counter.replayBodyBytes, bodyBytes)
  }

  connected(): void {
    this.counters.add(Counter.replayConnections)
  }

  unreached(outcome: number, cause: unknown): void {
    this.lastUnreached = { outcome, cause }
  }

  poisoned(): void {
    this.counters.add(Counter.replayPoisoned)
  }

  circuitChanged(isOpen: boolean): void {
    if (isOpen) this.counters.add(Counter.circuitOpened)
    this.counters.set(Counter.circuitOpen, isOpen ? 1 : 0)
  }

  changed(): void {
    const { counters, scheduler } = this
    counters.set(Counter.replayQueued, scheduler.queued)
    counters.set(Counter.replayQueuedBytes, scheduler.heldBytes)
    counters.set(Counter.replayInFlight, scheduler.inFlight)
    if (scheduler.held > 0 || this.drainWaiters.length === 0) return
    const waiters = this.drainWaiters
    this.drainWaiters = []
    for (const resolve of waiters) resolve()
  }
}
