/** IPv4 (RFC 791); its layout stands in wire/ip.ts. */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import { ipv4ChecksumHolds } from '../../wire/checksum.ts'
import {
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_MIN_HEADER_LEN,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_TOTAL_LENGTH,
} from '../../wire/ip.ts'
import type { Cursor } from '../cursor.ts'
import { tryFastPathFromIpv4 } from '../fast-path.ts'
import { Layer } from '../layer.ts'
import { Verdict } from '../verdict.ts'
import { transport } from './transport.ts'

export function ipv4(c: Cursor): number {
  const { bytes, at } = c
  if (c.mayTryFastPath && tryFastPathFromIpv4(c.view, bytes, at, c.end, c.vni, c.network)) return c.finish(Verdict.tcp)
  if (c.left < IPV4_MIN_HEADER_LEN) return c.finish(PacketDrop.ipTruncated)
  if (bytes[at]! >> 4 !== 4) return c.finish(PacketDrop.ipVersion)
  const headerLength = (bytes[at]! & 15) << 2
  let total = u16(bytes, at + IPV4_TOTAL_LENGTH)
  // Segmentation offload: frames captured on the sender may state 0. The frame is then the packet.
  if (total === 0) total = c.wireEnd - at
  if (headerLength < IPV4_MIN_HEADER_LEN || total < headerLength) return c.finish(PacketDrop.ipLength)
  if (!c.narrow(at + total) || c.left < headerLength) return c.finish(PacketDrop.ipTruncated)
  if (c.options.verifyChecksums && !ipv4ChecksumHolds(bytes, at, headerLength)) return c.finish(PacketDrop.ipChecksum)
  const payloadAt = at + headerLength
  if ((u16(bytes, at + IPV4_FRAGMENT) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) !== 0) {
    if (c.wireEnd > c.end) return c.finish(PacketDrop.fragmentTruncated)
    return c.resume(c.fragments.addIpv4(bytes, at, payloadAt, c.end, c.network, c.nowUs), Layer.ipv4)
  }
  c.ipAt = at
  c.ipVersion = 4
  c.at = payloadAt
  return transport(c, bytes[at + IPV4_PROTOCOL]!)
}
