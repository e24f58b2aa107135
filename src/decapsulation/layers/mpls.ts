/*
 * MPLS label stack (RFC 3032), entries of 4 bytes up to the one with S = 1:
 *
 *  | label 20 | traffic class 3 | S 1 | TTL 8 |
 *
 * Nothing says what follows: IP, or the Ethernet frame of a pseudowire (RFC 4448), with a control word that begins with a zero nibble
 * (RFC 4385 section 3) or without, and then an address may begin with any nibble (RFC 4928 section 3).
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { EtherType } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { looksLikeFrame, looksLikeIp } from '../looks-like.ts'

const ENTRY_LEN = 4
const BOTTOM = 0x01
/** Labels one after another that no real network has; a bound for crafted packets. */
const MAX_LABELS = 16
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
  const mayBeIp = nibble === 4 || nibble === 6
  if (mayBeIp && looksLikeIp(c, p)) return Layer.ip
  const hasControlWord = nibble === 0 && looksLikeFrame(c, p + CONTROL_WORD_LEN)
  if (!hasControlWord && looksLikeFrame(c, p)) return pseudowire(c)
  // What looks like neither is taken for what the nibble says.
  if (mayBeIp) return Layer.ip
  if (nibble !== 0) return c.passOver(PassedOver.etherType, EtherType.mpls)
  c.at = p + CONTROL_WORD_LEN
  return pseudowire(c)
}

function pseudowire(c: Cursor): number {
  return c.enter(c.frameInside())
}
