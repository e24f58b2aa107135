/*
 * Tags that switches put between a frame's addresses and its type. They say nothing of the packet: each is skipped, and the EtherType of
 * what follows comes after it. Pictures from the end of the tag's own type on:
 *
 *  VN-Tag, Cisco:                  | D 1 | P 1 | destination 14 | L 1 | R 1 | version 2 | source 12 | EtherType 16 |
 *  E-Tag, IEEE 802.1BR clause 7:   | priority 3 | DEI 1 | ingress E-CID 12 | 2 | GRP 2 | E-CID 12 | extensions 16 | EtherType 16 |
 *  Cisco metadata (TrustSec):      | version 8 | length 8 | option 16 | security group 16 | EtherType 16 |
 *  Cisco time stamp (ttag):        | nanoseconds 48 | EtherType 16 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { byEtherType } from './ether-type.ts'

const TYPE_LEN = 2

export function vnTag(c: Cursor): number {
  return behind(c, 4)
}

export function eTag(c: Cursor): number {
  return behind(c, 6)
}

export function ciscoMetadata(c: Cursor): number {
  return behind(c, 6)
}

export function ciscoTimestamp(c: Cursor): number {
  return behind(c, 6)
}

/** @param length up to the EtherType, bytes */
function behind(c: Cursor, length: number): number {
  const { bytes, at } = c
  if (c.left < length + TYPE_LEN) return c.finish(PacketDrop.linkTruncated)
  if (!c.mayTag()) return c.finish(PacketDrop.vlanDepth)
  c.at = at + length + TYPE_LEN
  return byEtherType(c, u16(bytes, at + length))
}
