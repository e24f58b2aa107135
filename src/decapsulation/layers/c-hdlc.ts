/** Cisco HDLC: | address 8: 0x0f to one, 0x8f to all | control 0 8 | EtherType 16 |. */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { byEtherType } from './ether-type.ts'

const HEADER_LEN = 4
const TYPE = 2

export function cHdlc(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.linkTruncated)
  c.at = at + HEADER_LEN
  return byEtherType(c, u16(bytes, at + TYPE))
}
