/**
 * The raw HTTP/1 client (`--engine wire`): sockets of our own, a request is one write, an answer is read where the kernel put it.
 *
 * - One buffer takes the bytes of all sockets (`onread`): an answer is looked at and forgotten before the next read.
 * - No promise, closure or timer per request. `sweep` enforces every time-out, that of idle connections too.
 * - The bytes are those that ByteRequestBuilder made of the captured ones; answers are read by AnswerReader.
 * - Bytes that answer no request end the connection, so that they are never taken for the next answer.
 */
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { Outcome } from '../../base/drop.ts'
import type { ConnectionFacts } from '../../exchange/connection.ts'
import type { MessageView } from '../../exchange/message.ts'
import { CR, LF } from '../../http/characters.ts'
import { AnswerContext, AnswerReader, AnswerState } from './answer-reader.ts'
import { type ByteRequest, ByteRequestBuilder } from './byte-request.ts'
import { type Engine, type EngineListener, type EngineOptions, Fault, outcomeOfStatus } from './engine.ts'
import { HeadPlan } from './head-plan.ts'
import { OriginAddress } from './origin-socket.ts'
import { RequestDeadlines } from './request-deadlines.ts'

/** What one read takes at most. Chosen: a large answer takes few reads, and the buffer stays in the second-level cache. */
const READ_BYTES = 64 * 1024

export class RawHttp1Client implements Engine {
  readonly poolSize: number
  private readonly all: PooledConnection[] = []
  private readonly builder: ByteRequestBuilder
  private readonly plan: HeadPlan
  private readonly context: ConnectionContext

  constructor(options: EngineOptions, clock: Clock, listener: EngineListener) {
    this.poolSize = options.connections
    this.plan = new HeadPlan(options.origin.host, options.keepHost)
    this.builder = new ByteRequestBuilder(this.plan, options.origin.host)
    this.context = {
      builder: this.builder,
      options,
      clock,
      listener,
      address: new OriginAddress(options),
      input: Buffer.allocUnsafeSlow(READ_BYTES),
      answers: new AnswerContext(),
      open: new Set(),
    }
    for (let i = 0; i < this.poolSize; i++) this.all.push(new PooledConnection(i, this.context))
  }

  prepare(message: MessageView, connection: ConnectionFacts): ByteRequest | null {
    return this.builder.build(message, connection)
  }

  keepHost(isKept: boolean): void {
    this.plan.keepsHost = isKept
  }

  send(pooled: number, request: ByteRequest): void {
    this.all[pooled]!.send(request)
  }

  abort(pooled: number): void {
    this.all[pooled]!.giveUp(Outcome.timeout)
  }

  sweep(nowUs: number): boolean {
    let hasIdle = false
    for (const pooled of this.all) if (pooled.sweep(nowUs)) hasIdle = true
    return hasIdle
  }

  async close(): Promise<void> {
    for (const pooled of this.all) pooled.close()
    // Not `once` of node:events: an error on the way to 'close' is no news here.
    await Promise.all([...this.context.open].map((socket) => new Promise((closed) => socket.once('close', closed))))
  }
}

interface ConnectionContext {
  readonly options: EngineOptions
  readonly clock: Clock
  readonly listener: EngineListener
  readonly address: OriginAddress
  readonly builder: ByteRequestBuilder
  /** Bytes of whichever socket is being read. */
  readonly input: Buffer
  readonly answers: AnswerContext
  /** Sockets that are not closed yet. */
  readonly open: Set<Socket>
}

/** Origins close an idle connection at about the time they said: be this much earlier. As undici does. */
const EARLIER_MS = 1000

/** One connection to the origin at a time, and the request on it. */
class PooledConnection {
  private readonly index: number
  private readonly context: ConnectionContext
  private readonly answer: AnswerReader

  /** The connection, from the moment it begins to connect until it is of no more use. */
  private socket: Socket | null = null
  private isConnecting = false
  private requestsOnSocket = 0
  private idleLimitUs = 0

  /** In flight; null while there is none. */
  private request: ByteRequest | null = null
  private readonly deadlines: RequestDeadlines
  private isWritten = false
  private writtenUs = 0
  /** Bytes of the answer that came, framing included. */
  private answerBytes = 0
  /** The whole answer came, at this time, while the end of the request's own writing was not known; -1: no such thing. */
  private answeredUs = -1
  private verdict: NodeJS.Immediate | null = null
  private readonly onVerdict = () => this.settle()
  /** Since when the connection is idle. */
  private idleSinceUs = 0

  constructor(index: number, context: ConnectionContext) {
    this.index = index
    this.context = context
    this.answer = new AnswerReader(context.answers)
    this.deadlines = new RequestDeadlines(context.options)
  }

  send(request: ByteRequest): void {
    const nowUs = this.context.clock.nowUs()
    this.request = request
    this.isWritten = false
    this.deadlines.begin(nowUs)
    this.answer.begin(request.isHead)
    this.answerBytes = 0
    const { socket } = this
    if (socket !== null && (socket.destroyed || !socket.writable)) this.drop()
    if (this.socket === null) this.connect(nowUs)
    else this.write(this.socket, request, nowUs)
  }

  giveUp(outcome: number): void {
    if (this.answeredUs >= 0) this.settle()
    else if (this.request !== null) this.fail(outcome)
  }

  /** @returns whether it holds an idle connection */
  sweep(nowUs: number): boolean {
    if (this.request === null) {
      if (this.socket === null) return false
      if (nowUs - this.idleSinceUs < this.idleLimitUs) return true
      this.drop()
      return false
    }
    if (this.answeredUs >= 0) return false
    const outcome = this.deadlines.missed(nowUs, this.answer.bodyBytes)
    if (outcome !== Outcome.none) this.fail(outcome)
    return false
  }

  close(): void {
    this.giveUp(Outcome.reset)
    this.drop()
  }

  // --- the connection ---

  private connect(nowUs: number): void {
    const { address, input, open, listener, clock } = this.context
    this.isConnecting = true
    this.requestsOnSocket = 0
    this.deadlines.connecting(nowUs)
    const socket = address.connect(
      (fault) => {
        if (this.socket !== socket) return
        this.isConnecting = false
        if (fault !== null) this.fail(fault.outcome, fault.cause)
        else {
          listener.connected()
          // It connects for a request only, and one that is given up takes its connection along.
          this.write(socket, this.request!, clock.nowUs())
        }
      },
      {
        buffer: input,
        callback: (n) => {
          if (this.socket === socket) this.read(n)
          return true
        },
      },
    )
    this.socket = socket
    open.add(socket)
    socket.on('end', () => {
      if (this.socket === socket) this.ended()
    })
    socket.on('error', (error) => {
      if (this.socket === socket && !this.isConnecting) this.lost(error)
    })
    socket.on('close', () => {
      open.delete(socket)
      if (this.socket === socket && !this.isConnecting) this.lost(null)
    })
  }

  private write(socket: Socket, request: ByteRequest, nowUs: number): void {
    this.isWritten = true
    this.requestsOnSocket++
    this.writtenUs = nowUs
    this.deadlines.written(nowUs)
    this.context.listener.written(this.index, nowUs)
    if (request.body === null) socket.write(request.headText(), 'latin1')
    else {
      // Both in one system call.
      socket.cork()
      socket.write(request.headText(), 'latin1')
      socket.write(request.body)
      socket.uncork()
    }
  }

  /** The connection is of no more use. */
  private drop(): void {
    const { socket } = this
    if (socket === null) return
    this.socket = null
    this.isConnecting = false
    this.answer.release()
    socket.destroy()
  }

  /** `n` bytes of this connection stand in the input buffer, until this returns. */
  private read(n: number): void {
    const { input, listener } = this.context
    if (this.request === null || this.answeredUs >= 0) {
      if (!isBlank(input, 0, n)) {
        listener.poisoned()
        this.drop()
      }
      return
    }
    const { answer } = this
    const hadStatus = answer.status !== 0
    const end = answer.read(input, 0, n)
    this.answerBytes += n
    if (this.answerBytes > this.context.options.maxAnswerBytes) {
      this.fail(Outcome.answerTooLarge)
      return
    }
    switch (answer.state) {
      case AnswerState.complete:
        this.complete(!isBlank(input, end, n))
        return
      case AnswerState.invalid:
        this.fail(Outcome.invalid)
        return
      case AnswerState.switched:
        this.fail(Outcome['1xx'])
        return
      default:
        if (!hadStatus && answer.status !== 0) this.deadlines.answering(this.context.clock.nowUs(), answer.bodyBytes)
    }
  }

  /** The origin has sent FIN: nothing more comes. */
  private ended(): void {
    if (this.request !== null && this.answeredUs < 0) {
      this.answer.ended()
      if (this.answer.state === AnswerState.complete) this.complete(false)
      else this.lost(null)
    } else this.drop()
  }

  /** The connection is closed, for the reason given by `error`, before its time. */
  private lost(error: Error | null): void {
    if (this.request === null || this.answeredUs >= 0) this.drop()
    else if (this.hasAnswerBytes()) this.fail(Outcome.truncated, error)
    else this.fail(isTlsError(error) || this.wasRefused() ? Outcome.tls : Outcome.reset, error)
  }

  /** One that has answered before was not refused, whether or not it gives session tickets. */
  private wasRefused(): boolean {
    return this.requestsOnSocket === 1 && this.context.address.wasRefused(this.socket!)
  }

  // --- the end of a request ---

  /** @param hasSurplus bytes follow that belong to no answer */
  private complete(hasSurplus: boolean): void {
    const { answer, context } = this
    this.answeredUs = context.clock.nowUs()
    if (hasSurplus) context.listener.poisoned()
    if (hasSurplus || !answer.keepsAlive) this.drop()
    // A write that the kernel has taken may not be known to be over yet: node:tls says so a turn of the event loop later.
    else if (this.isWriting()) {
      this.verdict ??= setImmediate(this.onVerdict)
      return
    }
    this.settle()
  }

  /** Reports the answer. The connection is kept where the request was written to its end. */
  private settle(): void {
    const { answer, context, answeredUs } = this
    if (this.verdict !== null) clearImmediate(this.verdict)
    this.verdict = null
    this.answeredUs = -1
    if (this.socket !== null) {
      // The answer came before the request had left: the origin may not have read it to its end.
      if (this.isWriting()) this.drop()
      else this.becomeIdle(answeredUs)
    }
    context.builder.release(this.request!)
    this.request = null
    // Last: this may be used again from inside.
    context.listener.answered(this.index, outcomeOfStatus(answer.status), answeredUs - this.writtenUs, answer.bodyBytes)
  }

  private becomeIdle(nowUs: number): void {
    const { keepAliveSeconds } = this.answer
    let limitMs = this.context.options.keepAliveTimeoutMs
    // The origin's word may shorten the idle time, never lengthen it.
    if (keepAliveSeconds >= 0) limitMs = Math.min(limitMs, keepAliveSeconds * 1000 - EARLIER_MS)
    this.idleLimitUs = limitMs * 1000
    this.idleSinceUs = nowUs
    if (limitMs <= 0) this.drop()
  }

  /** The end of the request's writing is not known. */
  private isWriting(): boolean {
    return this.socket!.writableLength > 0
  }

  private fail(reason: number, cause: unknown = null): void {
    const { answer } = this
    const { bodyBytes } = answer
    if (this.isWritten) answer.judge()
    const outcome = answer.state === AnswerState.invalid ? Outcome.invalid : reason
    let fault: number = Fault.none
    if (!this.isWritten) fault = Fault.origin
    else if (this.hasAnswerBytes()) fault = Fault.answering
    else if (outcome === Outcome.reset) fault = this.requestsOnSocket > 1 ? Fault.stale : Fault.origin
    else if (outcome === Outcome.tls) fault = Fault.origin
    this.drop()
    this.request = null
    this.context.listener.failed(this.index, outcome, fault, bodyBytes, cause)
  }

  private hasAnswerBytes(): boolean {
    return this.isWritten && this.answer.state !== AnswerState.none
  }
}

/** Empty lines, as some servers send after a body. */
function isBlank(bytes: Buffer, at: number, end: number): boolean {
  for (let i = at; i < end; i++) if (bytes[i] !== CR && bytes[i] !== LF) return false
  return true
}

function isTlsError(error: Error | null): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? ''
  return code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS')
}
