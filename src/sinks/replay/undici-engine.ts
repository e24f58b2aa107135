/**
 * Replay over undici: one `Client` per pooled connection, pipelining 1, `dispatch` with raw handlers, nothing allocated per request here.
 *
 * Not `Pool`: each request undici refuses makes its Pool one client poorer, and it costs more. Where undici is wrong, or
 * could be surprised, and what is done about it:
 *
 * - Errors are reported in the middle of undici's own bookkeeping (it asserts that nothing was queued meanwhile): they are
 *   collected and passed on in a microtask.
 * - A `dispatch` to another client from inside its parser would re-enter the one parser all clients share: see engine.ts.
 * - Its `abort` leaves a dead request at the head of the queue and connects anew for it: requests are given up by
 *   destroying the socket, which is ours, with an error of ours.
 * - Its time-outs are half a second coarse: they are set as a backstop, and `sweep` enforces the real ones.
 * - It closes the connection after HEAD, and after GET or DELETE with a body: `reset: false`.
 * - With https it takes the TLS server name from the Host header, and reconnects when that changes: the client only ever
 *   sees an http: URL, TLS is the connector's affair.
 * - 100 (Continue) that nobody asked for kills the connection, though RFC 9110 section 15.2 wants it skipped: it is taken out of the
 *   stream before undici reads it, where it comes in one piece.
 * - 204 and 304 with a Content-Length above 0 are complete (RFC 9112 section 6.3) but end in an error: the status counts.
 *   The connection is lost.
 */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Client, Dispatcher } from 'undici'
import type { Clock } from '../../base/clock.ts'
import { Outcome } from '../../base/drop.ts'
import type { ConnectionFacts } from '../../exchange/connection.ts'
import type { MessageView } from '../../exchange/message.ts'
import {
  type Engine,
  type EngineListener,
  type EngineOptions,
  Fault,
  MAX_ANSWER_HEAD_BYTES,
  outcomeOfStatus,
} from './engine.ts'
import { buildFieldRequest, type FieldRequest } from './field-request.ts'
import { HeadPlan } from './head-plan.ts'
import { OriginAddress, OriginFault } from './origin-socket.ts'
import { RequestDeadlines } from './request-deadlines.ts'

/**
 * The client alone: the package's entry point also loads fetch, caches and WebSocket, 70 ms of CPU time in every thread. The version is pinned in
 * package.json, and nothing would start if the file moved.
 */
const HttpClient = createRequire(import.meta.url)('undici/lib/dispatcher/client.js') as typeof Client

export class UndiciEngine implements Engine {
  readonly poolSize: number
  private readonly all: PooledConnection[] = []
  private readonly plan: HeadPlan
  /** Host of requests, as RFC 9112 section 3.2 writes it: without the scheme's default port. */
  private readonly originHost: string
  private readonly failures: PooledConnection[] = []
  private readonly reportFailures = () => {
    // A listener may send again at once and fail again: those are for the next microtask.
    for (const pooled of this.failures.splice(0)) pooled.reportFailure()
  }

  constructor(options: EngineOptions, clock: Clock, listener: EngineListener) {
    this.poolSize = options.connections
    this.originHost = options.origin.host
    this.plan = new HeadPlan(this.originHost, options.keepHost)
    const address = new OriginAddress(options)
    const shared: ConnectionContext = {
      options,
      clock,
      listener,
      address,
      failLater: (pooled) => {
        if (this.failures.push(pooled) === 1) queueMicrotask(this.reportFailures)
      },
    }
    for (let i = 0; i < this.poolSize; i++) this.all.push(new PooledConnection(i, shared))
  }

  keepHost(isKept: boolean): void {
    this.plan.keepsHost = isKept
  }

  prepare(message: MessageView, connection: ConnectionFacts): FieldRequest | null {
    if (!this.plan.read(message)) return null
    const request = buildFieldRequest(message, this.plan, this.originHost, connection)
    // OPTIONS * and the asterisk form of anything else; the rest of undici's rules end in `unsendable`.
    return request.target.charCodeAt(0) === SLASH ? request : null
  }

  send(pooled: number, request: FieldRequest): void {
    this.all[pooled]!.send(request)
  }

  abort(pooled: number): void {
    this.all[pooled]!.giveUp(Outcome.timeout)
  }

  sweep(nowUs: number): boolean {
    for (const pooled of this.all) pooled.sweep(nowUs)
    // undici closes idle connections by timers of its own.
    return false
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((pooled) => pooled.close()))
  }
}

const SLASH = 47

interface ConnectionContext {
  readonly options: EngineOptions
  readonly clock: Clock
  readonly listener: EngineListener
  readonly address: OriginAddress
  failLater(pooled: PooledConnection): void
}

/** undici's coarse timers may fire this much early; as backstop they must not come before the sweep. */
const BACKSTOP_MS = 1000

/** One connection to the origin at a time; also the handler of the request on it. */
class PooledConnection implements Dispatcher.DispatchHandler {
  private readonly index: number
  private readonly context: ConnectionContext
  private readonly client: Client
  private readonly dispatchOptions: Dispatcher.DispatchOptions

  /** The connection, from the moment it begins to connect. */
  private socket: Socket | null = null
  private isConnecting = false
  private requestsOnSocket = 0

  private isBusy = false
  /** The request was written. */
  private isStarted = false
  private readonly deadlines: RequestDeadlines
  private startedUs = 0
  /** The whole answer came, at this time, while the end of the request's own writing was not known; -1: no such thing. */
  private answeredUs = -1
  private verdict: NodeJS.Immediate | null = null
  private readonly onVerdict = () => this.settle()
  private bytesReadAtStart = 0
  /** Decrypted bytes of the answer that undici took, interim answers apart. */
  private answerBytes = 0
  /** Decrypted bytes that came since the request, interim answers included. */
  private takenBytes = 0
  /** Final status, 0 before it. */
  private status = 0
  private bodyBytes = 0
  /** Why we destroyed the socket ourselves; none while we did not. */
  private givenUp: number = Outcome.none
  private error: unknown = null

  constructor(index: number, context: ConnectionContext) {
    const { options, address } = context
    this.index = index
    this.context = context
    this.deadlines = new RequestDeadlines(options)
    const backstopMs = Math.ceil(options.requestTimeoutMs) + BACKSTOP_MS
    this.client = new HttpClient(
      `http://${address.hostname.includes(':') ? `[${address.hostname}]` : address.hostname}:${address.port}`,
      {
        connect: (_options, callback) => this.connect(callback),
        pipelining: 1,
        // Equal, so that undici keeps one timer object per connection instead of making one per request.
        headersTimeout: backstopMs,
        bodyTimeout: backstopMs,
        keepAliveTimeout: options.keepAliveTimeoutMs,
        // The origin's Keep-Alive hint may shorten the idle time, never lengthen it.
        keepAliveMaxTimeout: options.keepAliveTimeoutMs,
        maxHeaderSize: MAX_ANSWER_HEAD_BYTES,
        maxResponseSize: -1,
      },
    )
    this.dispatchOptions = { path: '/', method: 'GET', headers: null, body: null, reset: false, blocking: false }
  }

  send(request: FieldRequest): void {
    this.isBusy = true
    this.isStarted = false
    this.deadlines.begin(this.context.clock.nowUs())
    this.answerBytes = 0
    this.status = 0
    this.bodyBytes = 0
    this.givenUp = Outcome.none
    this.error = null
    const options = this.dispatchOptions
    options.path = request.target
    options.method = request.method as Dispatcher.HttpMethod
    options.headers = request.headers
    options.body = request.body
    this.client.dispatch(options, this)
    // undici has taken what it needs: hold neither head nor body longer than the request lasts.
    options.headers = null
    options.body = null
  }

  giveUp(outcome: number): void {
    if (!this.isBusy || this.givenUp !== Outcome.none) return
    if (this.answeredUs >= 0) {
      this.settle()
      return
    }
    this.givenUp = outcome
    // Where it is being replaced right now, `connect` sees `givenUp`.
    this.socket?.destroy(new OriginFault(outcome))
  }

  sweep(nowUs: number): void {
    if (!this.isBusy || this.answeredUs >= 0 || this.givenUp !== Outcome.none) return
    const outcome = this.deadlines.missed(nowUs, this.bodyBytes)
    if (outcome !== Outcome.none) this.giveUp(outcome)
  }

  async close(): Promise<void> {
    if (this.answeredUs >= 0) this.settle()
    // undici knows nothing of a socket that still connects.
    if (this.isConnecting) this.socket?.destroy(new OriginFault(Outcome.reset))
    await this.client.destroy()
    if (this.socket !== null && !this.socket.closed) await once(this.socket, 'close')
  }

  // --- connector ---

  private connect(callback: (...args: [null, Socket] | [Error, null]) => void): void {
    const { address, clock, listener } = this.context
    this.isConnecting = true
    this.requestsOnSocket = 0
    this.deadlines.connecting(clock.nowUs())
    this.socket = address.connect((fault, socket) => {
      this.isConnecting = false
      if (fault !== null) callback(fault, null)
      else {
        this.skipContinue(socket!)
        listener.connected()
        callback(null, socket!)
      }
    })
    if (this.givenUp !== Outcome.none) this.socket.destroy(new OriginFault(this.givenUp))
  }

  /** Wraps the one way undici takes bytes from the socket: counts them, and takes out 100 (Continue) before an answer. */
  private skipContinue(socket: Socket): void {
    const read = socket.read.bind(socket)
    const { maxAnswerBytes } = this.context.options
    socket.read = (size?: number): Buffer | null => {
      for (;;) {
        let chunk: Buffer | null = read(size)
        if (chunk === null) return null
        this.takenBytes += chunk.length
        // What goes on after a socket that was given up is nobody's answer.
        if (this.takenBytes > maxAnswerBytes && this.isBusy) {
          this.giveUp(Outcome.answerTooLarge)
          return null
        }
        if (this.answerBytes === 0 && isContinue(chunk)) {
          const end = chunk.indexOf('\r\n\r\n', 0, 'latin1')
          if (end >= 0) {
            chunk = chunk.subarray(end + 4)
            if (chunk.length === 0) continue
          }
        }
        this.answerBytes += chunk.length
        return chunk
      }
    }
  }

  // --- undici's raw handler ---

  /** Right before the request is written. */
  onConnect(): void {
    this.isStarted = true
    this.requestsOnSocket++
    this.answerBytes = 0
    this.takenBytes = 0
    this.bytesReadAtStart = this.socket!.bytesRead
    this.startedUs = this.context.clock.nowUs()
    this.deadlines.written(this.startedUs)
    this.context.listener.written(this.index, this.startedUs)
  }

  onHeaders(status: number): boolean {
    // 101 without our asking is as final as it is wrong; undici reports most of them as an error.
    if (status < 200 && status !== 101) return true
    this.status = status
    this.deadlines.answering(this.context.clock.nowUs(), 0)
    if (status === 101) this.giveUp(Outcome['1xx'])
    return true
  }

  onData(chunk: Buffer): boolean {
    this.bodyBytes += chunk.length
    return true
  }

  onComplete(): void {
    this.answeredUs = this.context.clock.nowUs()
    // undici writes right before a turn of the event loop ends, and node:tls says a turn later that a write is over.
    if (this.socket!.writableLength > 0) this.verdict ??= setImmediate(this.onVerdict)
    else this.settle()
  }

  /** Reports the answer. */
  private settle(): void {
    const { answeredUs } = this
    if (this.verdict !== null) clearImmediate(this.verdict)
    this.verdict = null
    this.answeredUs = -1
    this.isBusy = false
    // The answer came before the request had left: the next one would stand after bytes that the origin may never read. undici opens
    // another connection for it.
    if (this.socket!.writableLength > 0) this.socket!.destroy()
    this.context.listener.answered(
      this.index,
      outcomeOfStatus(this.status),
      answeredUs - this.startedUs,
      this.bodyBytes,
    )
  }

  onError(error: Error): void {
    this.error = error
    this.context.failLater(this)
  }

  // --- after undici's stack has unwound ---

  reportFailure(): void {
    const { clock, listener } = this.context
    const error = this.error as { code?: unknown; name?: unknown; message: string }
    this.error = null
    this.isBusy = false
    const isAnswering = this.hasAnswerBytes()
    if (!this.isStarted && isRefusal(error.code)) {
      listener.unsendable(this.index)
      return
    }
    if (error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' && (this.status === 204 || this.status === 304)) {
      const latencyUs = clock.nowUs() - this.startedUs
      listener.answered(this.index, outcomeOfStatus(this.status), latencyUs, this.bodyBytes)
      return
    }
    const outcome = this.outcomeOf(error, isAnswering)
    let fault: number = Fault.none
    if (isAnswering) fault = Fault.answering
    else if (!this.isStarted) fault = error instanceof OriginFault ? Fault.origin : Fault.unwritten
    else if (outcome === Outcome.reset) fault = this.requestsOnSocket > 1 ? Fault.stale : Fault.origin
    else if (outcome === Outcome.tls) fault = Fault.origin
    const cause = error instanceof OriginFault ? error.cause : error
    listener.failed(this.index, outcome, fault, this.bodyBytes, cause)
  }

  /** undici reports a head cut short like a connection closed without a word: the socket knows better. */
  private hasAnswerBytes(): boolean {
    if (!this.isStarted) return false
    if (this.answerBytes > 0) return true
    // Under TLS bytesRead also counts session tickets.
    return !this.context.address.isTls && this.socket!.bytesRead !== this.bytesReadAtStart
  }

  private outcomeOf(error: { code?: unknown; name?: unknown; message: string }, isAnswering: boolean): number {
    if (this.givenUp !== Outcome.none) return this.givenUp
    if (error instanceof OriginFault) return error.outcome
    if (error.name === 'HTTPParserError') {
      // The connection ended inside the answer; any other parser error is about bytes that came.
      return error.message.includes('Invalid EOF state') ? Outcome.truncated : Outcome.invalid
    }
    const code = typeof error.code === 'string' ? error.code : ''
    switch (code) {
      case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
        return Outcome.truncated
      case 'UND_ERR_HEADERS_OVERFLOW':
        return Outcome.invalid
      case 'UND_ERR_HEADERS_TIMEOUT':
      case 'UND_ERR_BODY_TIMEOUT':
        return Outcome.timeout
      case 'UND_ERR_SOCKET':
        // A 101 with Upgrade, or a 100 that came in pieces: HTTP, and not a final answer to us.
        if (error.message === 'bad upgrade' || error.message === 'bad response') return Outcome['1xx']
    }
    if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS')) return Outcome.tls
    if (isAnswering) return Outcome.truncated
    // One that has answered before was not refused, whether or not it gives session tickets.
    const wasRefused = this.requestsOnSocket === 1 && this.context.address.wasRefused(this.socket!)
    return wasRefused ? Outcome.tls : Outcome.reset
  }
}

/** undici's own validation of a request, before anything is written. */
function isRefusal(code: unknown): boolean {
  return (
    code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED' || code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'
  )
}

/** `HTTP/1.x 100`, the beginning of a status line. */
function isContinue(chunk: Buffer): boolean {
  return (
    chunk.length > 12 &&
    chunk[0] === 0x48 &&
    chunk[8] === 0x20 &&
    chunk[9] === 0x31 &&
    chunk[10] === 0x30 &&
    chunk[11] === 0x30
  )
}
