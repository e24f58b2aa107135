/*
 * ERSPAN (draft-foschiano-erspan), after GRE. Type I has no header of its own; nor a GRE sequence number, by which it is told from II.
 *
 *  type II,  8 bytes:   | version 4 | VLAN 12 | priority 3 | encapsulation 2 | truncated 1 | session 10 | reserved 12 | index 20 |
 *  type III, 12 bytes:  … byte 10: | P 1 | frame type 5: 0 Ethernet, 2 IP | hardware 2 |   byte 11: | … | O 1 |
 *                       O: 8 more bytes (platform subheader) follow
 */
import { PacketDrop } from '../../base/drop.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

const TYPE2_HEADER_LEN = 8
const TYPE3_HEADER_LEN = 12
const TYPE3_FRAME_TYPE = 10
const TYPE3_FRAME_TYPE_IP = 2
const TYPE3_FLAGS = 11
const TYPE3_SUBHEADER_LEN = 8

/** The cursor stands after GRE. */
export function erspan(c: Cursor, hasSequence: boolean): number {
  const length = hasSequence ? TYPE2_HEADER_LEN : 0
  if (c.left < length) return c.finish(PacketDrop.greTruncated)
  c.at += length
  return c.frameInside()
}

/** The cursor stands after GRE. */
export function erspan3(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < TYPE3_HEADER_LEN) return c.finish(PacketDrop.greTruncated)
  const frameType = (bytes[at + TYPE3_FRAME_TYPE]! >> 2) & 31
  const hasSubheader = (bytes[at + TYPE3_FLAGS]! & 1) !== 0
  const length = TYPE3_HEADER_LEN + (hasSubheader ? TYPE3_SUBHEADER_LEN : 0)
  if (c.left < length) return c.finish(PacketDrop.greTruncated)
  c.at = at + length
  return frameType === TYPE3_FRAME_TYPE_IP ? Layer.ip : c.frameInside()
}
