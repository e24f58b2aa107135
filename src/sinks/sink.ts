/**
 * Where exchanges of captured connections go. A sink runs in the shard that owns the connection, on its thread.
 *
 * Contract: each request handed in by `request` ends in exactly one counted drop (`requestDrops`) or outcome (`outcomes`) in
 * the CounterBlock given at construction; until then it is part of `held`.
 */
import type { ExchangeOutlet, Wants } from '../exchange/exchange-outlet.ts'
import type { SharedRateLimiter } from './filter/rate-limiter.ts'
import type { SelectionOptions } from './filter/selection.ts'
import type { Unreached } from './replay/unreached.ts'

/** What may change while a sink works: it holds for requests that come after it. */
export interface SinkSettings {
  readonly selection: SelectionOptions
  readonly keepHost: boolean
  readonly rateLimiter: SharedRateLimiter | null
}

export interface Sink extends Partial<ExchangeOutlet> {
  readonly wants: Wants
  /** False: offline feeders should wait before the next packet. Live traffic ignores it. */
  hasRoom(): boolean
  /** Requests taken and not yet ended. */
  readonly held: number
  /** Connections already closed that still have requests here: lost if the shard dies now. */
  readonly unsettledConnections: number
  /** Hands on what was gathered: once a batch of packets. */
  flush?(): void
  /** Resolves when nothing is held, or when `limitMs` have passed: then what is left is dropped as `drainTimeout`. */
  drain(limitMs: number): Promise<void>
  /** Takes over what may change. Sinks without such settings have no such method. */
  change?(settings: SinkSettings): void
  /** The last failure to reach the origin since this was asked, or null. Of sinks that send. */
  takeUnreached?(): Unreached | null
  close(): Promise<void>
}

/** Requests are enough, without bodies: of a sink that counts or looks at heads. */
export const WANTS_HEADS: Wants = { requestBody: false, responseHead: false, responseBody: false }
/** Whole requests. */
export const WANTS_REQUESTS: Wants = { requestBody: true, responseHead: false, responseBody: false }
