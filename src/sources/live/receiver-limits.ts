/** What both receivers agree on. */

/** How often a receiver without traffic calls batchEnd(), and looks at its sockets unasked. */
export const IDLE_TICK_MS = 100

/** Least the kernel charges a socket for one queued datagram, bytes (measured on loopback: 832 up to 100 bytes, 1,280 at 236, 2,305 at 1,500). */
const LEAST_CHARGE_BYTES = 512

/** Upper bound of the datagrams a receive buffer holds. @param grantedBufferBytes as SO_RCVBUF reports it */
export function mostDatagramsIn(grantedBufferBytes: number): number {
  return Math.ceil(grantedBufferBytes / LEAST_CHARGE_BYTES)
}
