/*
 * GRE, RFC 2784 and 2890:
 *
 *  |C|R|K|S|  Reserved0  | Ver |  Protocol Type 16  |  then checksum, key, sequence, 4 bytes each where flagged.
 *
 * Protocol types are EtherTypes. Of two of them ERSPAN follows (draft-foschiano-erspan): type I (no GRE sequence number) has no header
 * of its own, type II one of 8 bytes, type III this one:
 *
 *  byte 10: | P 1 | frame type 5 (0 Ethernet, 2 IP) | hardware 2 |   byte 11: … | O 1: 8 more bytes (platform subheader) follow |
 */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import { EtherType } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { byEtherType } from './ether-type.ts'

const HEADER_LEN = 4
const PROTOCOL = 2
const CHECKSUM = 0x8000
const ROUTING = 0x4000
const KEY = 0x2000
const SEQUENCE = 0x1000
const VERSION = 0x0007

const ERSPAN2_HEADER_LEN = 8
const ERSPAN3_HEADER_LEN = 12
const ERSPAN3_FRAME_TYPE = 10
const ERSPAN3_FRAME_TYPE_IP = 2
const ERSPAN3_FLAGS = 11
const ERSPAN3_SUBHEADER_LEN = 8

export function gre(c: Cursor): number {
  const { bytes, at, end } = c
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.greTruncated)
  const flags = u16(bytes, at)
  if ((flags & (VERSION | ROUTING)) !== 0) return c.finish(PacketDrop.greVersion)
  const protocol = u16(bytes, at + PROTOCOL)
  let inner = at + headerLength(flags)
  let layer: number = Layer.done
  if (protocol === EtherType.erspan) {
    if ((flags & SEQUENCE) !== 0) inner += ERSPAN2_HEADER_LEN
    layer = Layer.ethernet
  } else if (protocol === EtherType.erspan3) {
    if (end - inner < ERSPAN3_HEADER_LEN) return c.finish(PacketDrop.greTruncated)
    const frameType = (bytes[inner + ERSPAN3_FRAME_TYPE]! >> 2) & 31
    const hasSubheader = (bytes[inner + ERSPAN3_FLAGS]! & 1) !== 0
    inner += ERSPAN3_HEADER_LEN + (hasSubheader ? ERSPAN3_SUBHEADER_LEN : 0)
    layer = frameType === ERSPAN3_FRAME_TYPE_IP ? Layer.ip : Layer.ethernet
  }
  if (inner > end) return c.finish(PacketDrop.greTruncated)
  c.at = inner
  return layer === Layer.done ? byEtherType(c, protocol) : layer
}

function headerLength(flags: number): number {
  return (
    HEADER_LEN + ((flags & CHECKSUM) !== 0 ? 4 : 0) + ((flags & KEY) !== 0 ? 4 : 0) + ((flags & SEQUENCE) !== 0 ? 4 : 0)
  )
}
