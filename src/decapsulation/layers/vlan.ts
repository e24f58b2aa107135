/*
 * VLAN tag (IEEE 802.1Q clause 9.6), after an EtherType of its own:
 *
 *  | priority 3 | drop eligible 1 | VLAN identifier 12 | EtherType 16 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import { VLAN_TAG_LEN } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { byEtherType } from './ether-type.ts'

const IDENTIFIER = 0x0fff
const NEXT_TYPE = 2

/** The cursor stands after the tag's own type. */
export function vlan(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < VLAN_TAG_LEN) return c.finish(PacketDrop.linkTruncated)
  if (!c.mayTag()) return c.finish(PacketDrop.vlanDepth)
  c.at = at + VLAN_TAG_LEN
  c.inVlan(u16(bytes, at) & IDENTIFIER)
  return byEtherType(c, u16(bytes, at + NEXT_TYPE))
}
