/** VXLAN (RFC 7348); its header is drawn in wire/vxlan.ts. */
import { PacketDrop } from '../../base/drop.ts'
import { u24 } from '../../wire/bytes.ts'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN, VXLAN_VNI } from '../../wire/vxlan.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

export function vxlan(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < VXLAN_HEADER_LEN) return c.finish(PacketDrop.vxlanTruncated)
  if ((bytes[at]! & VXLAN_FLAG_VNI_VALID) === 0) return c.finish(PacketDrop.vxlanNoVni)
  c.inVni(u24(bytes, at + VXLAN_VNI))
  c.at = at + VXLAN_HEADER_LEN
  return Layer.ethernet
}
