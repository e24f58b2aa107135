import type { ProxiedEnds } from '../http/proxy-header.ts'

/**
 * A captured TCP connection as sinks know it: identity and addresses, text made on first use.
 *
 * Client is the side that sends requests. The object lives from the connection's first HTTP byte until it is closed;
 * sinks may keep it (as a key of order, say) longer.
 */
export interface Connection {
  /** Unique within the shard's life; never reused. */
  readonly id: number
  /** Client address as text, IPv6 in RFC 5952 form without brackets. */
  readonly clientAddress: string
  readonly clientPort: number
  readonly serverAddress: string
  readonly serverPort: number
  /** What a PROXY header in front of the connection says about its ends; null: there was none, or it names nobody. */
  readonly proxied: ProxiedEnds | null
  /** VNI of the mirror session that brought the first packet, null for traffic that was not encapsulated. */
  readonly vni: number | null
  /** Keyless hash of the client address and of the whole five-tuple, equal in every process and every run: for sampling. */
  readonly clientHash: number
  readonly flowHash: number
}

/** The client for whom the connection was opened: as a PROXY header says, else its own end. */
export function clientOf(connection: Connection): string {
  return connection.proxied?.clientAddress ?? connection.clientAddress
}
