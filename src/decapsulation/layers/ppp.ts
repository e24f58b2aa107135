/*
 * PPP, RFC 1661 section 2, in HDLC-like framing (RFC 1662) or without:
 *
 *  | address 0xff 8 | control 0x03 8 |   these two may be left out
 *  | protocol 16 |                       one byte where its lowest bit is 1: compressed (RFC 1661 section 6.5)
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

export const PPP_IPV4 = 0x0021
export const PPP_IPV6 = 0x0057
export const PPP_MPLS = 0x0281
export const PPP_MPLS_MULTICAST = 0x0283

const ADDRESS = 0xff
const CONTROL = 0x03
const FRAMING_LEN = 2
/** pppd writes the direction in place of the address: 0 received, 1 sent. */
const LAST_DIRECTION = 1
const IS_COMPRESSED = 0x01
/** First byte of Cisco HDLC's frames, to one or to all, which share PPP's link type. */
const CISCO_UNICAST = 0x0f
const CISCO_BROADCAST = 0x8f

export function ppp(c: Cursor): number {
  const { bytes, at } = c
  const first = bytes[at]!
  if (c.left >= FRAMING_LEN && (first === CISCO_UNICAST || first === CISCO_BROADCAST) && bytes[at + 1] === 0)
    return Layer.cHdlc
  return pppFrame(c, PacketDrop.linkTruncated)
}

/** Before the frame stands a byte: the direction. */
export function pppWithDirection(c: Cursor): number {
  c.at++
  return pppFrame(c, PacketDrop.linkTruncated)
}

/** @param truncated the reason where it ends inside its header */
export function pppFrame(c: Cursor, truncated: number): number {
  const { bytes, end } = c
  let p = c.at
  const isFramed =
    end - p >= FRAMING_LEN && bytes[p + 1] === CONTROL && (bytes[p] === ADDRESS || bytes[p]! <= LAST_DIRECTION)
  if (isFramed) p += FRAMING_LEN
  if (end - p < 1) return c.finish(truncated)
  const isCompressed = (bytes[p]! & IS_COMPRESSED) !== 0
  if (!isCompressed && end - p < 2) return c.finish(truncated)
  c.at = p + (isCompressed ? 1 : 2)
  return byProtocol(c, isCompressed ? bytes[p]! : u16(bytes, p))
}

function byProtocol(c: Cursor, protocol: number): number {
  switch (protocol) {
    case PPP_IPV4:
      return Layer.ipv4
    case PPP_IPV6:
      return Layer.ipv6
    case PPP_MPLS:
    case PPP_MPLS_MULTICAST:
      return Layer.mpls
    default:
      return c.passOver(PassedOver.pppProtocol, protocol)
  }
}
