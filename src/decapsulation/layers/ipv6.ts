/** IPv6 and its extension headers (RFC 8200 section 4); the layout stands in wire/ip.ts. */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import {
  IPV6_FRAGMENT_HEADER_LEN,
  IPV6_HEADER_LEN,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IpProtocol,
} from '../../wire/ip.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { transport } from './transport.ts'

/** Headers one after another that no real network has; a bound for crafted packets. */
const MAX_EXTENSIONS = 16
/** No extension header is shorter, in bytes. */
const MIN_EXTENSION_LEN = 8

export function ipv6(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < IPV6_HEADER_LEN) return c.finish(PacketDrop.ipTruncated)
  if (bytes[at]! >> 4 !== 6) return c.finish(PacketDrop.ipVersion)
  const payloadLength = u16(bytes, at + IPV6_PAYLOAD_LENGTH)
  // 0: a jumbo payload (RFC 2675) or segmentation offload. The frame is then the packet.
  if (!c.narrow(payloadLength === 0 ? c.wireEnd : at + IPV6_HEADER_LEN + payloadLength))
    return c.finish(PacketDrop.ipTruncated)
  let next = bytes[at + IPV6_NEXT_HEADER]!
  let p = at + IPV6_HEADER_LEN
  for (let i = 0; i < MAX_EXTENSIONS; i++) {
    let length: number
    switch (next) {
      case IpProtocol.hopByHop:
      case IpProtocol.routing:
      case IpProtocol.destinationOptions:
      case IpProtocol.mobility:
      case IpProtocol.hostIdentity:
      case IpProtocol.shim6:
        length = (bytes[p + 1]! + 1) << 3
        break
      case IpProtocol.authentication:
        // The one extension header counted in 4-byte words (RFC 4302 section 2.2).
        length = (bytes[p + 1]! + 2) << 2
        break
      case IpProtocol.fragment:
        if (c.end - p < IPV6_FRAGMENT_HEADER_LEN) return c.finish(PacketDrop.ipTruncated)
        // Offset 0 and no more to come: an atomic fragment (RFC 6946), which is whole.
        if ((u16(bytes, p + 2) & ~6) === 0) {
          length = IPV6_FRAGMENT_HEADER_LEN
          break
        }
        if (c.wireEnd > c.end) return c.finish(PacketDrop.fragmentTruncated)
        return c.resume(c.fragments.addIpv6(bytes, at, p, c.end, c.network, c.nowUs), Layer.ipv6)
      default:
        c.ipAt = at
        c.ipVersion = 6
        c.at = p
        return transport(c, next)
    }
    // A length read from beyond the packet fails here too.
    if (c.end - p < MIN_EXTENSION_LEN || c.end - p < length) return c.finish(PacketDrop.ipTruncated)
    next = bytes[p]!
    p += length
  }
  return c.finish(PacketDrop.ipTruncated)
}
