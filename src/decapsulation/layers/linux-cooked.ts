/*
 * Linux cooked captures: what the kernel tells instead of a link-layer header.
 *
 *  v1, 16 bytes:  | packet type 16 | ARPHRD 16 | address length 16 | address 64 | protocol 16 |
 *  v2, 20 bytes:  | protocol 16 | reserved 16 | interface 32 | ARPHRD 16 | packet type 8 | address length 8 | address 64 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { byEtherType } from './ether-type.ts'

const V1_HEADER_LEN = 16
const V1_PROTOCOL = 14
const V2_HEADER_LEN = 20
const V2_PROTOCOL = 0

export function linuxSll(c: Cursor): number {
  return behind(c, V1_HEADER_LEN, V1_PROTOCOL)
}

export function linuxSll2(c: Cursor): number {
  return behind(c, V2_HEADER_LEN, V2_PROTOCOL)
}

function behind(c: Cursor, length: number, protocol: number): number {
  const { bytes, at } = c
  if (c.left < length) return c.finish(PacketDrop.linkTruncated)
  c.at = at + length
  return byEtherType(c, u16(bytes, at + protocol))
}
