/**
 * Which request is sent when: the queues of the captured connections, the pooled connections to the origin, the rate and the
 * circuit breaker. It counts nothing; what becomes of each request is told to the listener.
 *
 * **Fairness.** Live, a full queue has room for a connection that has less in it than another: then the newest request of the
 * longest queue is dropped (of the largest, where bytes are the bound). So no connection can take more than an equal share from
 * the others, and one alone may use it all. A connection loses its newest: what it had queued before stays unbroken and in order.
 *
 * Invariant: added = ended + dropped + held, after every call and callback.
 */
import type { Clock } from '../../base/clock.ts'
import { RequestDrop } from '../../base/drop.ts'
import type { SharedRateLimiter } from '../filter/rate-limiter.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { type ConnectionQueue, ConnectionQueues } from './connection-queues.ts'
import { type Engine, type EngineFactory, type EngineListener, Fault, IDLE_SWEEP_MS, SWEEP_MS } from './engine.ts'
import type { ReplaySinkOptions } from './options.ts'
import type { OutgoingRequest } from './outgoing-request.ts'
import { byteClassOf } from './size-index.ts'

/** Hears of each request added exactly one of `ended` and `dropped`; not from inside `refusal`. */
export interface SchedulerListener {
  /** @param outcome an `Outcome` code @param latencyUs from writing to the end of the answer; -1 where no whole answer came */
  ended(request: OutgoingRequest, outcome: number, latencyUs: number): void
  /** @param reason a `RequestDrop` code */
  dropped(request: OutgoingRequest, reason: number): void
  /** A request is written now, perhaps again. @param atUs clock time */
  written(request: OutgoingRequest, atUs: number): void
  /** A request is to be sent a second time. */
  retried(): void
  /** Bytes of an answer's body came. */
  received(bodyBytes: number): void
  connected(): void
  /** No connection came about, or a new one ended without a byte. @param outcome an `Outcome` code @param cause see EngineListener.failed */
  unreached(outcome: number, cause: unknown): void
  poisoned(): void
  circuitChanged(isOpen: boolean): void
  /** The end of every step: what is held may have changed. */
  changed(): void
}

/**
 * Methods that may be sent a second time when the connection turned out to be closed (RFC 9110 section 9.2.2): repeating them
 * leaves the origin as doing them once does, PUT and DELETE too. A DELETE that had been done may then answer 404: that is
 * the price of not reporting a failure which only says that a keep-alive ran out.
 */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/**
 * With so many requests queued, for every pooled connection one, a feeder waits. Chosen: it looks again after one millisecond, sometimes two,
 * and no origin on one machine answered 100 in one.
 */
const ENOUGH_QUEUED = 256
/** The same where there are many pooled connections. */
const ENOUGH_PER_CONNECTION = 4

export class Scheduler implements EngineListener {
  readonly engine: Engine
  private readonly options: ReplaySinkOptions
  private readonly clock: Clock
  private readonly listener: SchedulerListener
  /** Asked when a request leaves; a token that is taken is used. */
  private limiter: SharedRateLimiter | null
  /** The last attempt to send ended for want of a token: what comes now would only wait after what waits already. */
  private waitsForRate = false
  private readonly circuit: CircuitBreaker
  private readonly queues: ConnectionQueues

  /** Request on each pooled connection; null where it is free, or its request has ended already and only the engine's word is awaited. */
  private readonly requestOn: (OutgoingRequest | null)[]
  /** Free pooled connections, the one used last on top: as few warm connections as the load needs. */
  private readonly free: number[] = []
  private isClosed = false
  inFlight = 0
  /** Bytes of all requests held, those in flight included. */
  heldBytes = 0

  private timer: NodeJS.Timeout | null = null
  /** Nothing is held: the timer is there for idle connections only. */
  private isTimerForIdle = false
  private readonly onTimer = () => this.tick()
  private isPumpPlanned = false
  private readonly onPlannedPump = () => {
    this.isPumpPlanned = false
    this.pump(Number.POSITIVE_INFINITY)
    this.listener.changed()
  }

  constructor(
    options: ReplaySinkOptions,
    clock: Clock,
    limiter: SharedRateLimiter | null,
    engine: EngineFactory,
    listener: SchedulerListener,
  ) {
    this.options = options
    this.clock = clock
    this.limiter = limiter
    this.listener = listener
    this.circuit = new CircuitBreaker(
      { failures: options.circuitFailures, pauseMs: options.circuitOpenMs, maxPauseMs: options.circuitMaxOpenMs },
      clock,
    )
    this.queues = new ConnectionQueues(options.order === 'connection')
    this.engine = engine(options, clock, this)
    this.requestOn = new Array(this.engine.poolSize).fill(null)
    for (let pooled = this.engine.poolSize - 1; pooled >= 0; pooled--) this.free.push(pooled)
  }

  get held(): number {
    return this.queues.queued + this.inFlight
  }

  get queued(): number {
    return this.queues.queued
  }

  /** Captured connections that are gone and still have requests here. */
  get unsettledConnections(): number {
    return this.queues.unsettled
  }

  setLimiter(limiter: SharedRateLimiter | null): void {
    this.limiter = limiter
    this.waitsForRate = false
  }

  /** Whether a feeder that can wait should hand in more. */
  hasRoom(): boolean {
    if (this.circuit.isOpen) return this.hasGivenUp()
    const { queues, options, engine } = this
    if (queues.queued >= options.queueRequests || this.heldBytes >= options.queueBytes) return false
    // Reading further ahead sends nothing sooner; what waits shortly is still young to the garbage collector, and in the caches.
    const isEnough =
      queues.queued >= Math.max(ENOUGH_QUEUED, ENOUGH_PER_CONNECTION * engine.poolSize) &&
      queues.breadth >= engine.poolSize
    return !isEnough
  }

  // --- taking ---

  /** Why a request of this connection would be dropped now: a `RequestDrop` code, or `RequestDrop.none`. Changes nothing. */
  refusal(connectionId: number, bytes: number): number {
    if (!this.options.shed) {
      return this.hasGivenUp() && !this.circuit.probeIsDue() ? RequestDrop.circuitOpen : RequestDrop.none
    }
    const { limiter, queues } = this
    if (limiter !== null && ((this.waitsForRate && queues.hasReady) || limiter.waitUs() > 0))
      return RequestDrop.rateLimited
    const queue = queues.find(connectionId)
    return this.hasRequestRoom(queue) && this.hasByteRoom(queue, bytes) ? RequestDrop.none : this.fullReason()
  }

  /** Takes a request that was not refused. Live, others may be dropped to make room for it. */
  add(request: OutgoingRequest, connectionId: number): void {
    request.queuedUs = this.clock.nowUs()
    this.heldBytes += request.heldBytes
    this.queues.append(request, connectionId)
    // First: what leaves at once needs no room in the queue.
    this.pump(Number.POSITIVE_INFINITY)
    if (this.options.shed) this.makeRoom()
    if (this.timer === null || this.isTimerForIdle) this.setTimer(SWEEP_MS)
    this.listener.changed()
  }

  connectionClosed(connectionId: number): void {
    this.queues.connectionClosed(connectionId)
  }

  /** @param queue of the connection; null while it has none */
  private hasRequestRoom(queue: ConnectionQueue | null): boolean {
    const { queues } = this
    if (queues.queued < this.options.queueRequests) return true
    if (this.free.length > 0 && queues.isNext(queue) && this.circuit.allows(this.inFlight)) return true
    const longest = queues.longest
    return longest !== null && longest.queued > (queue?.queued ?? 0) + 1
  }

  private hasByteRoom(queue: ConnectionQueue | null, bytes: number): boolean {
    const { queues, heldBytes } = this
    const limit = this.options.queueBytes
    if (heldBytes + bytes <= limit || this.held === 0) return true
    // What is in flight gives nothing back.
    if (heldBytes - queues.queuedBytes + bytes > limit) return false
    const largest = queues.largest
    return largest !== null && byteClassOf(largest.queuedBytes) > byteClassOf((queue?.queuedBytes ?? 0) + bytes)
  }

  private makeRoom(): void {
    const { queues, options } = this
    while (queues.queued > options.queueRequests) this.drop(queues.dropNewest(queues.longest!), this.fullReason())
    // One request is always taken.
    while (this.heldBytes > options.queueBytes && this.held > 1 && queues.queued > 0)
      this.drop(queues.dropNewest(queues.largest!), this.fullReason())
  }

  private fullReason(): number {
    return this.circuit.isOpen ? RequestDrop.circuitOpen : RequestDrop.queueFull
  }

  private hasGivenUp(): boolean {
    return !this.options.shed && this.circuit.downUs() >= this.options.offlineGiveUpMs * 1000
  }

  // --- sending ---

  /** Sends what may leave, at most `limit` requests. */
  private pump(limit: number): void {
    const { free, queues, limiter } = this
    this.waitsForRate = false
    for (let sent = 0; sent < limit; sent++) {
      if (free.length === 0 || !queues.hasReady || !this.circuit.allows(this.inFlight)) return
      // Last: a token that is taken is used.
      if (limiter !== null && !limiter.tryTake()) {
        this.waitsForRate = true
        this.wakeIn(limiter.waitUs() / 1000)
        return
      }
      const request = queues.takeNext()
      const pooled = free.pop()!
      request.isProbe = this.circuit.sent()
      this.requestOn[pooled] = request
      this.inFlight++
      this.engine.send(pooled, request)
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
    this.listener.changed()
    if (this.timer !== null || this.isClosed) return
    if (this.held > 0) this.setTimer(SWEEP_MS)
    else if (hasIdle) this.setTimer(IDLE_SWEEP_MS, true)
  }

  /** While the origin is down: live, a request waits as long as it would have waited for an answer; offline, until we give up. */
  private dropWhatWaitedTooLong(nowUs: number): void {
    if (this.options.shed) {
      this.queues.dropQueuedUntil(nowUs - this.options.requestTimeoutMs * 1000, this.dropAsCircuitOpen)
    } else if (this.hasGivenUp() && !this.circuit.probeIsDue()) {
      this.queues.dropAllQueued(this.dropAsCircuitOpen)
    }
  }

  private readonly dropAsCircuitOpen = (request: OutgoingRequest) => this.drop(request, RequestDrop.circuitOpen)

  /** A request that waited is out of its queue. */
  private drop(request: OutgoingRequest, reason: number): void {
    this.heldBytes -= request.heldBytes
    this.listener.dropped(request, reason)
  }

  // --- what the engine says ---

  answered(pooled: number, outcome: number, latencyUs: number, bodyBytes: number): void {
    this.listener.received(bodyBytes)
    if (this.circuit.answered()) this.listener.circuitChanged(false)
    const request = this.takeFrom(pooled)
    if (request !== null) this.end(request, outcome, latencyUs)
    // The connection just freed is on top of the stack, and the only one that may be used from here.
    this.pump(1)
    this.planPump()
    this.listener.changed()
  }

  failed(pooled: number, outcome: number, fault: number, bodyBytes: number, cause: unknown): void {
    this.listener.received(bodyBytes)
    const request = this.takeFrom(pooled)
    if (request !== null) {
      if (fault === Fault.origin) this.listener.unreached(outcome, cause)
      this.tellCircuit(request, fault)
      if (this.mayRetry(request, fault)) {
        request.isRetry = true
        this.listener.retried()
        this.queues.putBack(request)
      } else this.end(request, outcome, -1)
    }
    this.planPump()
    this.listener.changed()
  }

  unsendable(pooled: number): void {
    const request = this.takeFrom(pooled)
    if (request !== null) {
      if (request.isProbe) this.circuit.probeVoid()
      this.settle(request)
      this.listener.dropped(request, RequestDrop.unsendable)
    }
    this.planPump()
    this.listener.changed()
  }

  connected(): void {
    this.listener.connected()
  }

  written(pooled: number, atUs: number): void {
    const request = this.requestOn[pooled]!
    if (request !== null) this.listener.written(request, atUs)
  }

  poisoned(): void {
    this.listener.poisoned()
  }

  private tellCircuit(request: OutgoingRequest, fault: number): void {
    if (fault === Fault.answering) {
      if (this.circuit.answered()) this.listener.circuitChanged(false)
    } else if (fault === Fault.origin) {
      if (this.circuit.failed(request.isProbe)) this.listener.circuitChanged(true)
    } else if (request.isProbe) {
      // A silent origin is no reason to send it everything; a connection that was merely old is no reason to wait.
      if (fault === Fault.none) this.circuit.failed(true)
      else this.circuit.probeVoid()
    }
  }

  private mayRetry(request: OutgoingRequest, fault: number): boolean {
    if (request.isRetry || this.isClosed) return false
    return fault === Fault.unwritten || (fault === Fault.stale && IDEMPOTENT.has(request.method))
  }

  private takeFrom(pooled: number): OutgoingRequest | null {
    this.free.push(pooled)
    const request = this.requestOn[pooled]!
    this.requestOn[pooled] = null
    if (request !== null) this.inFlight--
    return request
  }

  private end(request: OutgoingRequest, outcome: number, latencyUs: number): void {
    this.settle(request)
    this.listener.ended(request, outcome, latencyUs)
  }

  /** A request that was in flight has ended. */
  private settle(request: OutgoingRequest): void {
    this.heldBytes -= request.heldBytes
    this.queues.settled(request)
  }

  /** What became possible beyond one request is sent when the engine's stack has unwound. */
  private planPump(): void {
    if (this.isPumpPlanned || this.isClosed || !this.queues.hasReady || this.free.length === 0) return
    if (!this.circuit.allows(this.inFlight)) return
    this.isPumpPlanned = true
    queueMicrotask(this.onPlannedPump)
  }

  // --- ending ---

  /** Drops what is held, in flight or not. @param reason a `RequestDrop` code */
  dropAll(reason: number): void {
    this.queues.dropAllQueued((request) => this.drop(request, reason))
    const { requestOn } = this
    for (let pooled = 0; pooled < requestOn.length; pooled++) {
      const request = requestOn[pooled]!
      if (request === null) continue
      // Ended now; what the engine will say about the connection only frees it.
      requestOn[pooled] = null
      this.inFlight--
      this.settle(request)
      this.listener.dropped(request, reason)
      this.engine.abort(pooled)
    }
    this.listener.changed()
  }

  /** Drops what is held and closes every connection. */
  async close(reason: number): Promise<void> {
    this.isClosed = true
    this.dropAll(reason)
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    await this.engine.close()
  }
}
