/*
 * ARCNET as Linux captures it (LINKTYPE_ARCNET_LINUX):
 *
 *  | source 8 | destination 8 | offset 16 | type 8 |   type 240: RFC 1051; 212: RFC 1201, then | split flag 8 | sequence 16 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { LinkType } from '../../wire/link-type.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

const HEADER_LEN = 5
const TYPE = 4
const IP_RFC1051 = 240
const IP_RFC1201 = 212
const SPLIT = 5
const SPLIT_LEN = 3

export function arcnet(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN + SPLIT_LEN) return c.finish(PacketDrop.linkTruncated)
  const type = bytes[at + TYPE]
  c.at = at + HEADER_LEN
  if (type === IP_RFC1051) return Layer.ipv4
  // A packet that was split would have to be put together.
  if (type !== IP_RFC1201 || bytes[at + SPLIT] !== 0) return c.passOver(PassedOver.linkType, LinkType.arcnetLinux)
  c.at += SPLIT_LEN
  return Layer.ipv4
}
