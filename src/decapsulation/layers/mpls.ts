/*
 * MPLS label stack (RFC 3032), entries of 4 bytes up to the one with S = 1:
 *
 *  | label 20 | traffic class 3 | S 1 | TTL 8 |
 */
import { PacketDrop } from '../../base/drop.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { Verdict } from '../verdict.ts'

const ENTRY_LEN = 4
const BOTTOM = 0x01
/** Labels behind each other that no real network has; a bound for crafted packets. */
const MAX_LABELS = 16
/** Of a pseudowire (RFC 4385 section 3): it begins with a zero nibble. */
const CONTROL_WORD_LEN = 4

export function mpls(c: Cursor): number {
  const { bytes, end } = c
  let p = c.at
  for (let i = 0; ; i++) {
    if (end - p < ENTRY_LEN || i >= MAX_LABELS) return c.finish(PacketDrop.mplsTruncated)
    const isBottom = (bytes[p + 2]! & BOTTOM) !== 0
    p += ENTRY_LEN
    if (isBottom) break
  }
  if (p >= end) return c.finish(PacketDrop.mplsTruncated)
  c.at = p
  const nibble = bytes[p]! >> 4
  if (nibble === 4) return Layer.ipv4
  if (nibble === 6) return Layer.ipv6
  if (nibble !== 0) return c.finish(Verdict.other)
  c.at = p + CONTROL_WORD_LEN
  return c.enter(Layer.ethernet)
}
