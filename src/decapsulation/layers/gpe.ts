/** VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe); its header is drawn in wire/vxlan.ts. */
import { PacketDrop } from '../../base/drop.ts'
import { u24 } from '../../wire/bytes.ts'
import {
  GPE_FLAG_NEXT_PROTOCOL,
  GPE_NEXT_PROTOCOL,
  GpeProtocol,
  VXLAN_FLAG_VNI_VALID,
  VXLAN_HEADER_LEN,
  VXLAN_VNI,
} from '../../wire/vxlan.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

export function gpe(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < VXLAN_HEADER_LEN) return c.finish(PacketDrop.gpeTruncated)
  const flags = bytes[at]!
  if ((flags & VXLAN_FLAG_VNI_VALID) === 0) return c.finish(PacketDrop.vxlanNoVni)
  c.inVni(u24(bytes, at + VXLAN_VNI))
  c.at = at + VXLAN_HEADER_LEN
  // Without the P bit it is plain VXLAN: Ethernet.
  if ((flags & GPE_FLAG_NEXT_PROTOCOL) === 0) return Layer.ethernet
  switch (bytes[at + GPE_NEXT_PROTOCOL]) {
    case GpeProtocol.ipv4:
      return Layer.ipv4
    case GpeProtocol.ipv6:
      return Layer.ipv6
    case GpeProtocol.ethernet:
      return Layer.ethernet
    default:
      return c.finish(PacketDrop.gpeProtocol)
  }
}
