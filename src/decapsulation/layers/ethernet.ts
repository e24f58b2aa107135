/*
 * Ethernet II (IEEE 802.3 clause 3):
 *
 *  | destination 48 | source 48 | EtherType 16, or a length up to 1500 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import { ETHERNET_HEADER_LEN, ETHERNET_TYPE } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { byEtherType } from './ether-type.ts'

export function ethernet(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < ETHERNET_HEADER_LEN) return c.finish(PacketDrop.linkTruncated)
  c.at = at + ETHERNET_HEADER_LEN
  return byEtherType(c, u16(bytes, at + ETHERNET_TYPE))
}
