/*
 * Radiotap (radiotap.org), little-endian, before an 802.11 frame:
 *
 *  | version 0 8 | 8 | length 16 | present 32: which fields follow; bit 31: another such word |  fields, each aligned to its own size
 *
 *  The first two fields: TSFT (bit 0), 8 bytes; flags (bit 1), 1 byte.
 */
import { PacketDrop } from '../../base/drop.ts'
import type { Cursor } from '../cursor.ts'
import { wifiFrame } from './wifi.ts'

const HEADER_LEN = 8
const LENGTH = 2
const PRESENT = 4
const HAS_TSFT = 0x01
const HAS_FLAGS = 0x02
/** In the last byte of a word. */
const HAS_MORE = 0x80
const TSFT_LEN = 8
const FLAG_PADDED = 0x20
const FLAG_BAD_FCS = 0x40

export function radiotap(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.linkTruncated)
  const length = bytes[at + LENGTH]! | (bytes[at + LENGTH + 1]! << 8)
  if (length < HEADER_LEN || c.left < length) return c.finish(PacketDrop.linkTruncated)
  const present = bytes[at + PRESENT]!
  let flags = 0
  if ((present & HAS_FLAGS) !== 0) {
    let field = PRESENT
    while (field + 4 <= length && (bytes[at + field + 3]! & HAS_MORE) !== 0) field += 4
    field += 4
    if ((present & HAS_TSFT) !== 0) field = ((field + 7) & ~7) + TSFT_LEN
    if (field < length) flags = bytes[at + field]!
  }
  if ((flags & FLAG_BAD_FCS) !== 0) return c.finish(PacketDrop.frameDamaged)
  c.at = at + length
  return wifiFrame(c, (flags & FLAG_PADDED) !== 0)
}
