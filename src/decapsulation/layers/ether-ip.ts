/** EtherIP, RFC 3378 section 3: | version 4 | reserved 12 |, then a frame. */
import { PacketDrop } from '../../base/drop.ts'
import type { Cursor } from '../cursor.ts'

const HEADER_LEN = 2

export function etherIp(c: Cursor): number {
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.tunnelTruncated)
  c.at += HEADER_LEN
  return c.frameInside()
}
