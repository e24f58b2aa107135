/*
 * NFLOG (LINKTYPE_NFLOG): netfilter's log messages, numbers of the attributes in the byte order of the capturing host.
 *
 *  | address family 8 | version 8 | resource 16 |  then attributes: | length 16, these 4 bytes included | type 16 | value, padded to 4 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedFrame, PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

const HEADER_LEN = 4
const ATTRIBUTE_HEADER_LEN = 4
const TYPE = 2
const PAYLOAD = 9

export function nflog(c: Cursor): number {
  const { bytes, at, end } = c
  if (c.left < HEADER_LEN + ATTRIBUTE_HEADER_LEN) return c.finish(PacketDrop.linkTruncated)
  let p = at + HEADER_LEN
  // Nothing states the byte order. No attribute in front is longer than 255 bytes, so the first length tells.
  const isLittle = bytes[p + 1] === 0
  while (end - p >= ATTRIBUTE_HEADER_LEN) {
    const length = number(bytes, p, isLittle)
    if (length < ATTRIBUTE_HEADER_LEN) return c.finish(PacketDrop.linkTruncated)
    if (number(bytes, p + TYPE, isLittle) === PAYLOAD) {
      c.at = p + ATTRIBUTE_HEADER_LEN
      if (p + length < c.wireEnd) c.narrow(p + length)
      const version = c.left > 0 ? bytes[c.at]! >> 4 : 0
      return version === 4 || version === 6 ? Layer.ip : c.passOver(PassedOver.frame, PassedFrame.nflog)
    }
    p += (length + 3) & ~3
  }
  // An attribute that reaches beyond the message, or none with a packet.
  return p > end ? c.finish(PacketDrop.linkTruncated) : c.passOver(PassedOver.frame, PassedFrame.nflog)
}

function number(bytes: Uint8Array, at: number, isLittle: boolean): number {
  return isLittle ? bytes[at]! | (bytes[at + 1]! << 8) : u16(bytes, at)
}
