/*
 * GRE, RFC 2784 and 2890; then checksum, key, sequence, 4 bytes each where flagged:
 *
 *  |C|R|K|S|  Reserved0  | Ver |  Protocol Type 16  |
 *
 * Version 1 (RFC 2637 section 4.1): the key is a length and a call identifier, and A (0x0080) flags 4 bytes of acknowledgement. It carries
 * PPP, or MikroTik's EoIP: a frame.
 *
 * Protocol types are EtherTypes, and vendors' own numbers. Of those that nobody assigned, or that switches let one choose, what follows
 * tells what it is.
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import { EtherType } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { looksLikeFrame, looksLikeIp } from '../looks-like.ts'
import { erspan, erspan3 } from './erspan.ts'
import { byEtherType, isRead } from './ether-type.ts'

const HEADER_LEN = 4
const FIELD_LEN = 4
const PROTOCOL = 2
const CHECKSUM = 0x8000
const ROUTING = 0x4000
const KEY = 0x2000
const SEQUENCE = 0x1000
const ACKNOWLEDGEMENT = 0x0080
const VERSION = 0x0007
const VERSION_ENHANCED = 1

const GreProtocol = {
  ppp: 0x880b,
  /** Cisco WCCP: IP, perhaps after 4 bytes of redirect header. */
  wccp: 0x883e,
  eoip: 0x6400,
  /** Aruba access points: from 0x8200 to 0x83f0 in steps of 16, an 802.11 frame. */
  arubaFirst: 0x8200,
  arubaLast: 0x83f0,
} as const
const WCCP_REDIRECT_LEN = 4

export function gre(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.greTruncated)
  const flags = u16(bytes, at)
  const protocol = u16(bytes, at + PROTOCOL)
  if ((flags & ROUTING) !== 0) return c.finish(PacketDrop.greVersion)
  const version = flags & VERSION
  const isEnhanced = version === VERSION_ENHANCED && (protocol === GreProtocol.ppp || protocol === GreProtocol.eoip)
  if (version !== 0 && !isEnhanced) return c.finish(PacketDrop.greVersion)
  const length = headerLength(flags, isEnhanced)
  if (c.left < length) return c.finish(PacketDrop.greTruncated)
  c.at = at + length
  switch (protocol) {
    case EtherType.erspan:
      return erspan(c, (flags & SEQUENCE) !== 0)
    case EtherType.erspan3:
      return erspan3(c)
    case GreProtocol.ppp:
      return Layer.ppp
    case GreProtocol.wccp:
      return wccp(c)
    case GreProtocol.eoip:
      return isEnhanced ? c.frameInside() : byContent(c, protocol)
    case EtherType.transparentEthernet:
      return c.frameInside()
    default:
      return isRead(protocol) ? byEtherType(c, protocol) : byContent(c, protocol)
  }
}

function headerLength(flags: number, isEnhanced: boolean): number {
  let length = HEADER_LEN
  if ((flags & CHECKSUM) !== 0) length += FIELD_LEN
  if ((flags & KEY) !== 0) length += FIELD_LEN
  if ((flags & SEQUENCE) !== 0) length += FIELD_LEN
  if (isEnhanced && (flags & ACKNOWLEDGEMENT) !== 0) length += FIELD_LEN
  return length
}

function wccp(c: Cursor): number {
  // Only version 2 has a redirect header, and nothing but what follows tells the versions apart.
  if (!looksLikeIp(c, c.at) && looksLikeIp(c, c.at + WCCP_REDIRECT_LEN)) c.at += WCCP_REDIRECT_LEN
  return Layer.ip
}

function byContent(c: Cursor, protocol: number): number {
  if (looksLikeIp(c, c.at)) return Layer.ip
  if (looksLikeFrame(c, c.at)) return c.frameInside()
  const isAruba = protocol >= GreProtocol.arubaFirst && protocol <= GreProtocol.arubaLast && (protocol & 15) === 0
  return isAruba ? Layer.wifi : c.passOver(PassedOver.etherType, protocol)
}
