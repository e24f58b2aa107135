/** What a PPP protocol number (RFC 1661 section 2) says follows. */
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { Verdict } from '../verdict.ts'

export const PPP_IPV4 = 0x0021
export const PPP_IPV6 = 0x0057
export const PPP_MPLS = 0x0281

/** The cursor stands behind the protocol. */
export function byPppProtocol(c: Cursor, protocol: number): number {
  switch (protocol) {
    case PPP_IPV4:
      return Layer.ipv4
    case PPP_IPV6:
      return Layer.ipv6
    case PPP_MPLS:
      return Layer.mpls
    default:
      return c.finish(Verdict.other)
  }
}
