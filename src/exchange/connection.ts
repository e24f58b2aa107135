/**
 * A captured TCP connection as sinks know it: a handle. Its facts can be asked for by it while the connection is open,
 * so that nobody keeps an object of a connection that is gone, and a number says the same in a record.
 *
 *   handle = generation × 2^24 + slot
 *
 * Slot: the row of the flow table. Generation: how many connections of that row sinks have known, modulo 2^29. A handle is never reused
 * within 500 million connections of one row, and stays an exact number (53 bits).
 */
export type ConnectionHandle = number

const SLOT_BITS = 24
/** The flow table has fewer rows (--max-flows). */
export const MAX_SLOTS = 2 ** SLOT_BITS
/** Generations are counted modulo this. */
export const GENERATIONS = 2 ** 29

/** @param slot 0 to 2^24 - 1 @param generation 0 to 2^29 - 1 */
export function handleOf(slot: number, generation: number): ConnectionHandle {
  return generation * MAX_SLOTS + slot
}

export function slotOf(handle: ConnectionHandle): number {
  // Its low bits: a remainder of numbers beyond 32 bits costs a call.
  return handle & (MAX_SLOTS - 1)
}

/** One end of the connection that a PROXY protocol header at the start of this one names: whoever opened this one passes it on. */
export interface NamedEnd {
  /** Text, IPv6 in RFC 5952 form without brackets. */
  readonly address: string
  readonly port: number
}

/** Who talks on a connection. Client is the side that sends requests. */
export interface ConnectionFacts {
  readonly handle: ConnectionHandle
  /** 4 or 6. */
  readonly ipVersion: number
  /** Addresses as 32-bit words in network order, four; IPv4 in the first. */
  readonly clientWords: ArrayLike<number>
  readonly serverWords: ArrayLike<number>
  /** The same as text, IPv6 in RFC 5952 form without brackets; made on first use. */
  readonly clientAddress: string
  readonly clientPort: number
  readonly serverAddress: string
  readonly serverPort: number
  /** VNI of the mirror session that brought the first packet, null for traffic that was not encapsulated. */
  readonly vni: number | null
  /** The ends that a PROXY header at the start of the connection names; null: there was none, or it names no client. */
  readonly namedClient: NamedEnd | null
  readonly namedServer: NamedEnd | null
  /** Keyless hash of the client address and of the whole five-tuple, equal in every process and every run: for sampling. */
  readonly clientHash: number
  readonly flowHash: number
}

/** Facts by handle. */
export interface ConnectionDirectory {
  /** @param handle of a connection that is open: until `closed` of ExchangeOutlet has returned. Another is a bug. */
  facts(handle: ConnectionHandle): ConnectionFacts
}

/** The client for whom the connection was opened: as a PROXY header says, else its own end. */
export function clientOf(connection: ConnectionFacts): string {
  return connection.namedClient?.address ?? connection.clientAddress
}
