/**
 * Where complete requests and exchanges go. A sink runs in the shard that owns the connection, on its thread.
 *
 * Contract: each request handed in by `request` ends in exactly one counted drop (`requestDrops`) or outcome (`outcomes`) in
 * the CounterBlock given at construction; until then it is part of `held`.
 */
import type { Connection } from '../exchange/connection.ts'
import type { MessageView } from '../exchange/message.ts'
import type { SharedRateLimiter } from './replay/rate-limiter.ts'
import type { SelectionOptions } from './replay/selection.ts'

/** What may change while a sink works: it holds for requests that come after it. */
export interface SinkSettings {
  readonly selection: SelectionOptions
  readonly keepHost: boolean
  readonly rateLimiter: SharedRateLimiter | null
}

export interface Sink {
  /** Whether request bodies must be kept for `request`; false where only their length matters. */
  readonly wantsBodies: boolean
  /** Whether `exchange` wants the captured responses. */
  readonly wantsResponses: boolean
  /** A complete captured request, in capture order within its connection. `message` is lent until this returns. */
  request(message: MessageView, connection: Connection): void
  /** The captured connection is gone: no more requests will come from it. */
  connectionClosed(connection: Connection): void
  /** False: offline feeders should wait before the next packet. Live traffic ignores it. */
  hasRoom(): boolean
  /** Requests taken and not yet ended. */
  readonly held: number
  /** Connections already closed that still have requests here: lost if the shard dies now. */
  readonly unsettledConnections: number
  /** Resolves when nothing is held, or when `limitMs` have passed: then what is left is dropped as `drainTimeout`. */
  drain(limitMs: number): Promise<void>
  change(settings: SinkSettings): void
  close(): Promise<void>
}
