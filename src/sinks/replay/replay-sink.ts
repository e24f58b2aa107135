/** Sends captured requests to the origin: filters, bounded queue, order, circuit breaker, one outcome per request. */
import type { Clock } from '../../base/clock.ts'
import { RequestDrop } from '../../base/drop.ts'
import type { ConnectionDirectory, ConnectionFacts, ConnectionHandle } from '../../exchange/connection.ts'
import type { ExchangeId } from '../../exchange/exchange-outlet.ts'
import type { MessageView } from '../../exchange/message.ts'
import { Counter, type CounterBlock } from '../../metrics/counters.ts'
import { type Sink, type SinkSettings, WANTS_REQUESTS } from '../sink.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { type Engine, type EngineFactory, type EngineListener, Fault, IDLE_SWEEP_MS, SWEEP_MS } from './engine.ts'
import { Lanes } from './lanes.ts'
import { checkOrigin, type ReplaySinkOptions } from './options.ts'
import { heldBytesOf, type OutgoingRequest } from './outgoing-request.ts'
import type { SharedRateLimiter } from './rate-limiter.ts'
import { RequestSelection } from './selection.ts'

export interface ReplaySinkDeps {
  readonly connections: ConnectionDirectory
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** One for all shards; null: no limit. */
  readonly rateLimiter: SharedRateLimiter | null
  readonly engine: EngineFactory
}

/**
 * Methods that may be sent a second time when the connection turned out to be closed (RFC 9110 section 9.2.2): repeating them
 * leaves the origin as doing them once does, PUT and DELETE too. A DELETE that had been done may then answer 404: that is
 * the price of not reporting a failure which only says that a keep-alive ran out.
 */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/**
 * With so many requests queued, for every connection one, a feeder waits. Chosen: it looks again after one millisecond, sometimes two,
 * and no origin on one machine answered 100 in one.
 */
const ENOUGH_QUEUED = 256
/** The same where there are many connections. */
const ENOUGH_PER_SLOT = 4

export class ReplaySink implements Sink, EngineListener {
  readonly wants = WANTS_REQUESTS

  private readonly options: ReplaySinkOptions
  private readonly counters: CounterBlock
  private readonly connections: ConnectionDirectory
  private readonly clock: Clock
  private readonly random: () => number
  private selection: RequestSelection
  /** Asked when a request is taken (shed) or when it leaves (not shed). */
  private limiter: SharedRateLimiter | null
  private readonly circuit: CircuitBreaker
  private readonly engine: Engine
  private readonly lanes: Lanes

  /** Request in each slot; null where the slot is free, or its request was already counted and only the engine's word is awaited. */
  private readonly inSlot: (OutgoingRequest | null)[]
  /** Free slots, the one used last on top: as few warm connections as the load needs. */
  private readonly freeSlots: number[] = []
  private inFlight = 0
  private heldBytes = 0

  private timer: NodeJS.Timeout | null = null
  /** Nothing is held: the timer is there for idle connections only. */
  private isTimerForIdle = false
  private readonly onTimer = () => this.tick()
  private isPumpPlanned = false
  private readonly onPlannedPump = () => {
    this.isPumpPlanned = false
    this.pump(Number.POSITIVE_INFINITY)
  }
  private drainWaiters: (() => void)[] = []
  private closing: Promise<void> | null = null

  /** @throws MirrorError ERR_ORIGIN */
  constructor(options: ReplaySinkOptions, counters: CounterBlock, deps: ReplaySinkDeps) {
    checkOrigin(options.origin)
    this.options = options
    this.counters = counters
    this.connections = deps.connections
    this.clock = deps.clock
    this.limiter = deps.rateLimiter
    this.random = deps.random
    this.selection = new RequestSelection(options, deps.random)
    this.circuit = new CircuitBreaker(
      { failures: options.circuitFailures, pauseMs: options.circuitOpenMs, maxPauseMs: options.circuitMaxOpenMs },
      deps.clock,
    )
    this.lanes = new Lanes(options.order === 'connection')
    this.engine = deps.engine(options, deps.clock, this)
    this.inSlot = new Array(this.engine.slots).fill(null)
    for (let slot = this.engine.slots - 1; slot >= 0; slot--) this.freeSlots.push(slot)
    // A restarted shard takes over its predecessor's block: the totals go on, what that one held is gone.
    counters.set(Counter.circuitOpen, 0)
    this.publishGauges()
  }

  get held(): number {
    return this.lanes.queued + this.inFlight
  }

  get unsettledConnections(): number {
    return this.lanes.unsettled
  }

  request(id: ExchangeId, message: MessageView): void {
    const connection = this.connections.facts(id.connection)
    const reason = this.refusal(message, connection)
    if (reason !== RequestDrop.none) {
      this.counters.requestDrop(reason)
      return
    }
    const lane = this.lanes.of(id.connection)
    const request = this.engine.prepare(message, connection, lane)
    if (request === null) {
      this.counters.requestDrop(RequestDrop.unsendable)
      return
    }
    request.capturedUs = message.lastUs
    request.queuedUs = this.clock.nowUs()
    this.heldBytes += request.heldBytes
    this.lanes.append(request)
    this.pump(Number.POSITIVE_INFINITY)
    this.publishGauges()
    if (this.timer === null || this.isTimerForIdle) this.setTimer(SWEEP_MS)
  }

  closed(connection: ConnectionHandle): void {
    this.lanes.connectionClosed(connection)
  }

  change({ selection, keepHost, rateLimiter }: SinkSettings): void {
    this.selection = new RequestSelection(selection, this.random)
    this.limiter = rateLimiter
    this.engine.keepHost(keepHost)
  }

  hasRoom(): boolean {
    if (this.circuit.isOpen) return this.hasGivenUp()
    const { lanes, options, engine } = this
    if (lanes.queued >= options.queueRequests || this.heldBytes >= options.queueBytes) return false
    // Reading further ahead sends nothing sooner; what waits shortly is still young to the garbage collector, and in the caches.
    const isEnough =
      lanes.queued >= Math.max(ENOUGH_QUEUED, ENOUGH_PER_SLOT * engine.slots) && lanes.breadth >= engine.slots
    return !isEnough
  }

  drain(limitMs: number): Promise<void> {
    if (this.held === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.dropEverything(), limitMs)
      this.drainWaiters.push(() => {
        clearTimeout(limit)
        resolve()
      })
    })
  }

  /** What is still held is dropped as `drainTimeout`. */
  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  // --- taking ---

  private refusal(message: MessageView, connection: ConnectionFacts): number {
    if (this.closing !== null) return RequestDrop.drainTimeout
    const refused = this.selection.refusal(message, connection)
    if (refused !== RequestDrop.none) return refused
    if (!this.options.shed) {
      return this.hasGivenUp() && !this.circuit.probeIsDue() ? RequestDrop.circuitOpen : RequestDrop.none
    }
    if (this.limiter !== null && !this.limiter.tryTake()) return RequestDrop.rateLimited
    const isFull =
      this.lanes.queued >= this.options.queueRequests ||
      (this.held > 0 && this.heldBytes + heldBytesOf(message) > this.options.queueBytes)
    if (!isFull) return RequestDrop.none
    return this.circuit.isOpen ? RequestDrop.circuitOpen : RequestDrop.queueFull
  }

  private hasGivenUp(): boolean {
    return !this.options.shed && this.circuit.downUs() >= this.options.offlineGiveUpMs * 1000
  }

  // --- sending ---

  /** Sends what may leave, at most `limit` requests. */
  private pump(limit: number): void {
    for (let sent = 0; sent < limit; sent++) {
      if (this.freeSlots.length === 0 || !this.lanes.hasReady || !this.circuit.allows(this.inFlight)) return
      if (!this.options.shed && this.limiter !== null && !this.limiter.tryTake()) {
        this.wakeIn(this.limiter.waitUs() / 1000)
        return
      }
      const request = this.lanes.takeNext()
      const slot = this.freeSlots.pop()!
      request.isProbe = this.circuit.sent()
      this.inSlot[slot] = request
      this.inFlight++
      this.engine.send(slot, request)
    }
  }

  /** The timer comes within `delayMs` (at least 1), while something is held. */
  private wakeIn(delayMs: number): void {
    if (delayMs < SWEEP_MS) this.setTimer(Math.max(1, delayMs))
  }

  private setTimer(delayMs: number, isForIdle = false): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.isTimerForIdle = isForIdle
    this.timer = setTimeout(this.onTimer, delayMs)
    // Idle connections are no reason for a process to live.
    if (isForIdle) this.timer.unref()
  }

  private tick(): void {
    this.timer = null
    const nowUs = this.clock.nowUs()
    const hasIdle = this.engine.sweep(nowUs)
    if (this.circuit.isOpen) this.dropWhatWaitedTooLong(nowUs)
    this.pump(Number.POSITIVE_INFINITY)
    this.publishGauges()
    if (this.timer !== null || this.closing !== null) return
    if (this.held > 0) this.setTimer(SWEEP_MS)
    else if (hasIdle) this.setTimer(IDLE_SWEEP_MS, true)
  }

  /** While the origin is down: live, a request waits as long as it would have waited for an answer; offline, until we give up. */
  private dropWhatWaitedTooLong(nowUs: number): void {
    if (this.options.shed) {
      this.lanes.dropQueuedUntil(nowUs - this.options.requestTimeoutMs * 1000, this.dropAsCircuitOpen)
    } else if (this.hasGivenUp() && !this.circuit.probeIsDue()) {
      this.lanes.dropAllQueued(this.dropAsCircuitOpen)
    }
    this.whenNothingIsHeld()
  }

  private readonly dropAsCircuitOpen = (request: OutgoingRequest) => this.dropQueued(request, RequestDrop.circuitOpen)
  private readonly dropAsDrainTimeout = (request: OutgoingRequest) => this.dropQueued(request, RequestDrop.drainTimeout)

  private dropQueued(request: OutgoingRequest, reason: number): void {
    this.heldBytes -= request.heldBytes
    this.counters.requestDrop(reason)
  }

  // --- what the engine says ---

  answered(slot: number, outcome: number, latencyUs: number, bodyBytes: number): void {
    this.counters.add(Counter.replayBodyBytes, bodyBytes)
    if (this.circuit.answered()) this.counters.set(Counter.circuitOpen, 0)
    const request = this.takeFrom(slot)
    if (request !== null) {
      this.counters.outcome(outcome)
      this.counters.latency(Math.round(latencyUs))
      this.settle(request)
    }
    // The slot just freed is on top of the stack, and the only one that may be used from here.
    this.pump(1)
    this.planPump()
    this.publishGauges()
  }

  failed(slot: number, outcome: number, fault: number, bodyBytes: number): void {
    this.counters.add(Counter.replayBodyBytes, bodyBytes)
    const request = this.takeFrom(slot)
    if (request !== null) {
      this.tellCircuit(request, fault)
      if (this.mayRetry(request, fault)) {
        request.isRetry = true
        this.counters.add(Counter.replayRetries)
        this.lanes.putBack(request)
      } else {
        this.counters.outcome(outcome)
        this.settle(request)
      }
    }
    this.planPump()
    this.publishGauges()
  }

  unsendable(slot: number): void {
    const request = this.takeFrom(slot)
    if (request !== null) {
      if (request.isProbe) this.circuit.probeVoid()
      this.counters.requestDrop(RequestDrop.unsendable)
      this.settle(request)
    }
    this.planPump()
    this.publishGauges()
  }

  connected(): void {
    this.counters.add(Counter.replayConnections)
  }

  written(slot: number, atUs: number): void {
    if (!this.options.shed) return
    const request = this.inSlot[slot]!
    // Live, packets and requests are timed by one clock.
    if (request !== null && !request.isRetry)
      this.counters.addedLatency(Math.max(0, Math.round(atUs - request.capturedUs)))
  }

  poisoned(): void {
    this.counters.add(Counter.replayPoisoned)
  }

  private tellCircuit(request: OutgoingRequest, fault: number): void {
    if (fault === Fault.answering) {
      if (this.circuit.answered()) this.counters.set(Counter.circuitOpen, 0)
    } else if (fault === Fault.origin) {
      if (this.circuit.failed(request.isProbe)) {
        this.counters.add(Counter.circuitOpened)
        this.counters.set(Counter.circuitOpen, 1)
      }
    } else if (request.isProbe) {
      // A silent origin is no reason to send it everything; a connection that was merely old is no reason to wait.
      if (fault === Fault.none) this.circuit.failed(true)
      else this.circuit.probeVoid()
    }
  }

  private mayRetry(request: OutgoingRequest, fault: number): boolean {
    if (request.isRetry || this.closing !== null) return false
    return fault === Fault.unwritten || (fault === Fault.stale && IDEMPOTENT.has(request.method))
  }

  private takeFrom(slot: number): OutgoingRequest | null {
    this.freeSlots.push(slot)
    const request = this.inSlot[slot]!
    this.inSlot[slot] = null
    if (request !== null) this.inFlight--
    return request
  }

  private settle(request: OutgoingRequest): void {
    this.heldBytes -= request.heldBytes
    this.lanes.settled(request)
    this.whenNothingIsHeld()
  }

  /** What became possible beyond one request is sent when the engine's stack has unwound. */
  private planPump(): void {
    if (this.isPumpPlanned || this.closing !== null || !this.lanes.hasReady || this.freeSlots.length === 0) return
    if (!this.circuit.allows(this.inFlight)) return
    this.isPumpPlanned = true
    queueMicrotask(this.onPlannedPump)
  }

  // --- ending ---

  private whenNothingIsHeld(): void {
    if (this.held > 0 || this.drainWaiters.length === 0) return
    const waiters = this.drainWaiters
    this.drainWaiters = []
    for (const resolve of waiters) resolve()
  }

  private dropEverything(): void {
    this.lanes.dropAllQueued(this.dropAsDrainTimeout)
    for (let slot = 0; slot < this.inSlot.length; slot++) {
      const request = this.inSlot[slot]!
      if (request === null) continue
      // Counted now; what the engine will say about the slot only frees it.
      this.inSlot[slot] = null
      this.inFlight--
      this.counters.requestDrop(RequestDrop.drainTimeout)
      this.settle(request)
      this.engine.abort(slot)
    }
    this.publishGauges()
    this.whenNothingIsHeld()
  }

  private async closeOnce(): Promise<void> {
    this.dropEverything()
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    await this.engine.close()
  }

  private publishGauges(): void {
    const { counters } = this
    counters.set(Counter.replayQueued, this.lanes.queued)
    counters.set(Counter.replayQueuedBytes, this.heldBytes)
    counters.set(Counter.replayInFlight, this.inFlight)
  }
}
