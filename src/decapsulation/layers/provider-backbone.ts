/*
 * Provider backbone bridging (IEEE 802.1ah, now 802.1Q clause 9.7), after its EtherType; then the customer's frame:
 *
 *  | priority 3 | DEI 1 | UCA 1 | reserved 3 | service identifier (I-SID) 24 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { u24 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'

const TAG_LEN = 4
const SERVICE = 1

export function providerBackbone(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < TAG_LEN) return c.finish(PacketDrop.linkTruncated)
  if (!c.mayTag()) return c.finish(PacketDrop.vlanDepth)
  c.at = at + TAG_LEN
  return c.frameOfService(u24(bytes, at + SERVICE))
}
