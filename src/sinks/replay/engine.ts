/**
 * What sends requests to the origin. An engine has a fixed number of pooled connections, known by number; each is at most one
 * origin connection, kept alive between requests, and carries one request at a time.
 *
 * Contract (test/contracts/replay-engine.contract.ts):
 * - Every `send` is followed by exactly one of `answered`, `failed`, `unsendable` for that pooled connection, never from inside `send`.
 * - From inside `answered` the same one may be used again; others only after the stack has unwound, because the engine
 *   may be in the middle of parsing. From inside `failed` and `unsendable` every free one may be used.
 * - `abort`, `sweep` and `close` may report from inside.
 * - The engine never sends a request twice. `Fault` says when that would be safe.
 * - A connection is used again if, and only if, the request before was written to its end.
 * - Redirects are not followed, answers' bodies are discarded.
 */
import type { Clock } from '../../base/clock.ts'
import { Outcome } from '../../base/drop.ts'
import type { ConnectionFacts } from '../../exchange/connection.ts'
import type { MessageView } from '../../exchange/message.ts'
import type { OutgoingRequest } from './outgoing-request.ts'
import type { TimeLimits } from './request-deadlines.ts'

/** What a failure says beyond its outcome. */
export const Fault = {
  /** Nothing about the origin's connections (time-out after the request was written, an answer cut short, …). */
  none: 0,
  /** Connection level: no connection, or a new one that ended without a byte. Counts for the circuit breaker. */
  origin: 1,
  /** A reused connection was closed before any byte of an answer: most likely it had been closed already when we wrote. */
  stale: 2,
  /** A reused connection was gone before anything was written. */
  unwritten: 3,
  /** Bytes of an answer came: the origin lives, whatever happened then. */
  answering: 4,
} as const

export interface EngineListener {
  /** A whole answer came. @param latencyUs from the moment the request was written */
  answered(pooled: number, outcome: number, latencyUs: number, bodyBytes: number): void
  /**
   * @param outcome an `Outcome` code
   * @param fault a `Fault` code
   * @param bodyBytes of the answer, as far as it came
   * @param cause what the system, TLS or the client said; null where nobody said anything, as of a time-out
   */
  failed(pooled: number, outcome: number, fault: number, bodyBytes: number, cause: unknown): void
  /** The engine cannot send this request as it is; nothing was written. */
  unsendable(pooled: number): void
  /** A connection to the origin was opened. */
  connected(): void
  /** A request is written now. @param atUs clock time */
  written(pooled: number, atUs: number): void
  /** The origin sent bytes that answer no request; the connection was closed. */
  poisoned(): void
}

export interface Engine {
  /** Connections to the origin at most. */
  readonly poolSize: number
  /**
   * A captured request in the form that this engine sends, in memory of its own; null when it cannot be sent as captured. `unsendable`
   * may still follow the `send` of one that was prepared.
   */
  prepare(message: MessageView, connection: ConnectionFacts): OutgoingRequest | null
  /** @param pooled 0 to poolSize - 1, free @param request made by `prepare` of this engine */
  send(pooled: number, request: OutgoingRequest): void
  /** From now on requests are prepared with the captured Host, or with the origin's. */
  keepHost(isKept: boolean): void
  /**
   * Gives up the request on a pooled connection, and the connection: `failed` follows, or `answered` where the whole answer was there already.
   * Nothing happens to a free one.
   */
  abort(pooled: number): void
  /**
   * Enforces all time-outs. The caller does this every `SWEEP_MS` or so while a request is in flight.
   * @returns whether idle connections are left that only a later sweep will close
   */
  sweep(nowUs: number): boolean
  /** Closes all connections; requests still in flight fail. Idempotent. */
  close(): Promise<void>
}

/** `undici`: the HTTP client of that name. `wire`: our raw HTTP/1 client, which writes the captured bytes. */
export const ENGINE_NAMES = ['wire', 'undici'] as const
export type EngineName = (typeof ENGINE_NAMES)[number]

/** How late a time-out may be noticed. Chosen: 1 % of the shortest sensible request time-out, and 50 wake-ups a second cost nothing. */
export const SWEEP_MS = 20
/** How late an idle connection may be closed while nothing else is going on. Chosen: a tenth of the default idle time. */
export const IDLE_SWEEP_MS = 400

export interface OriginOptions {
  /** http: or https:, without userinfo, path, query and fragment. */
  readonly origin: URL
  /** TLS only: PEM certificates to trust besides none else; undefined = the system's. */
  readonly tlsCa?: string
  /** TLS only: PEM of the client certificate, its chain after it, and of its key; both or neither. */
  readonly tlsCert?: string
  readonly tlsKey?: string
  /** TLS only: name asked for (SNI) and checked in the certificate; undefined = the origin's host. */
  readonly tlsServerName?: string
  /** TLS only: accept any certificate. */
  readonly tlsInsecure?: boolean
}

export interface EngineOptions extends OriginOptions, TimeLimits {
  /** Pooled connections to the origin. */
  readonly connections: number
  /** An idle connection is closed after this long; set it below the origin's own. */
  readonly keepAliveTimeoutMs: number
  /** Most bytes of an answer, as they come: heads, interim answers and framing included. */
  readonly maxAnswerBytes: number
  /** Send the captured Host instead of the origin's. */
  readonly keepHost: boolean
}

export type EngineFactory = (options: EngineOptions, clock: Clock, listener: EngineListener) => Engine

/** Longest answer head that is read, bytes. Chosen: the product's bound on heads; Node's default of 16 KiB is too small for real cookies. */
export const MAX_ANSWER_HEAD_BYTES = 65_536

/** The outcome of a complete answer. */
export function outcomeOfStatus(status: number): number {
  switch ((status / 100) | 0) {
    case 1:
      return Outcome['1xx']
    case 2:
      return Outcome['2xx']
    case 3:
      return Outcome['3xx']
    case 4:
      return Outcome['4xx']
    case 5:
      return Outcome['5xx']
    default:
      return Outcome.invalid
  }
}
