/** What the HTTP connections of a shard share. */
import type { CounterBlock } from '../metrics/counters.ts'
import type { HttpEvents } from './http-events.ts'
import type { ParserContext } from './parser-context.ts'
import type { ProtocolCounts } from './protocol-counts.ts'
import type { ProtocolRegistry } from './protocol-registry.ts'
import type { ProxiedEnds } from './proxy-header.ts'
import type { TunnelRegister } from './tunnel-register.ts'

export interface HttpContext extends ParserContext {
  readonly counters: CounterBlock
  readonly protocols: ProtocolRegistry
  readonly protocolCounts: ProtocolCounts
  readonly tunnels: TunnelRegister
  readonly upgradeWaitUs: number
  /** Server ports taken; null: any. */
  ports: ReadonlySet<number> | null
  /** Requests after Connection: close of the server are passed on, and dropped later where they were not answered. Replay does not set it. */
  readonly showsUnanswered: boolean
  /** Requests recognised and not yet complete or dropped, over all connections. */
  requestsInParsing: number
}

/** @param proxied what a PROXY header before the connection says about its ends */
export type OpenEvents = (clientDirection: number, proxied: ProxiedEnds | null) => HttpEvents
