/**
 * What a mirrored datagram is that could not be read in the format of its socket. For diagnosis: nothing is read by what is found here.
 *
 * The headers of VXLAN and GENEVE have no magic number, so what follows each is looked at too.
 */
import { PacketDrop } from '../base/drop.ts'
import type { FormatName } from '../metrics/refused-numbers.ts'
import { i32, u16 } from '../wire/bytes.ts'
import { EtherType } from '../wire/ethernet.ts'
import { GENEVE_HEADER_LEN, GENEVE_PROTOCOL, geneveOptionsLength } from '../wire/geneve.ts'
import { TZSP_ETHERNET, TZSP_HEADER_LEN, TZSP_PROTOCOL, TZSP_VERSION } from '../wire/tzsp.ts'
import { GPE_FLAG_NEXT_PROTOCOL, VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN } from '../wire/vxlan.ts'
import type { Cursor } from './cursor.ts'
import { Layer } from './layer.ts'
import { looksLikeFrame, looksLikeIp } from './looks-like.ts'
import { Verdict } from './verdict.ts'

/** First word of a VXLAN header as nearly all write it: the I flag, all else zero (RFC 7348 section 5). */
const VXLAN_FIRST_WORD = 0x08000000
/** Of TZSP: received, or to be sent. */
const TZSP_LAST_TYPE = 1
/** GRE with nothing but key and sequence number, version 0 (RFC 2890). */
const GRE_OPTIONAL = 0xb0
const GRE_KNOWN: ReadonlySet<number> = new Set([0x6558, 0x88be, 0x22eb, 0x0800, 0x86dd])
/** GTP-U version 1, protocol type GTP, and a G-PDU (3GPP TS 29.281 section 5.1). */
const GTPU_VERSION = 0x30
const GTPU_MASK = 0xf0
const GTPU_PDU = 255
const GTPU_HEADER_LEN = 8

/** Drops that leave no doubt of the format: whatever was refused stood further in. */
const RIGHT_FORMAT: ReadonlySet<number> = new Set([
  PacketDrop.vniNotAllowed,
  PacketDrop.fragmentInvalid,
  PacketDrop.fragmentLimit,
  PacketDrop.tcpChecksum,
  PacketDrop.tunnelDepth,
])

/** Whether to look closer at a datagram in which no TCP packet was found. The ordinary ones (DNS, ARP) cost one comparison. */
export function mayBeForeign(verdict: number, bytes: Buffer, at: number, end: number, layer: number): boolean {
  if (verdict === Verdict.held || RIGHT_FORMAT.has(verdict)) return false
  if (verdict !== Verdict.other || end - at < VXLAN_HEADER_LEN) return true
  if (layer === Layer.tzsp) return bytes[at] !== TZSP_VERSION
  // Reserved in GPE, the protocol type in GENEVE.
  if (layer === Layer.gpe) return bytes[at + 2] !== 0
  return layer === Layer.vxlan && i32(bytes, at) !== VXLAN_FIRST_WORD
}

export function formatOfLayer(layer: number): FormatName {
  if (layer === Layer.gpe) return 'gpe'
  if (layer === Layer.geneve) return 'geneve'
  return layer === Layer.tzsp ? 'tzsp' : 'vxlan'
}

/** @param c at the beginning of the datagram */
export function formatOf(c: Cursor): FormatName {
  const { bytes, at } = c
  if (c.left < VXLAN_HEADER_LEN) return 'unknown'
  const flags = bytes[at]!
  const protocol = u16(bytes, at + GENEVE_PROTOCOL)
  const behindVxlan = at + VXLAN_HEADER_LEN
  if ((flags & VXLAN_FLAG_VNI_VALID) !== 0) {
    const hasNextProtocol = (flags & GPE_FLAG_NEXT_PROTOCOL) !== 0
    if (hasNextProtocol && (looksLikeIp(c, behindVxlan) || looksLikeFrame(c, behindVxlan))) return 'gpe'
    if (looksLikeFrame(c, behindVxlan)) return 'vxlan'
  }
  if (flags >> 6 === 0 && isInnerOf(c, protocol, at + GENEVE_HEADER_LEN + geneveOptionsLength(bytes, at)))
    return 'geneve'
  if (flags === TZSP_VERSION && bytes[at + 1]! <= TZSP_LAST_TYPE && u16(bytes, at + TZSP_PROTOCOL) === TZSP_ETHERNET)
    if (c.left > TZSP_HEADER_LEN) return 'tzsp'
  if ((flags & ~GRE_OPTIONAL) === 0 && bytes[at + 1] === 0 && GRE_KNOWN.has(protocol)) return 'gre'
  if ((flags & GTPU_MASK) === GTPU_VERSION && bytes[at + 1] === GTPU_PDU && c.left > GTPU_HEADER_LEN) return 'gtpu'
  if (looksLikeIp(c, at)) return 'ip'
  return looksLikeFrame(c, at) ? 'ethernet' : 'unknown'
}

/** Whether at `p` stands what a GENEVE protocol type announces. */
function isInnerOf(c: Cursor, protocol: number, p: number): boolean {
  if (protocol === EtherType.transparentEthernet) return looksLikeFrame(c, p)
  return (protocol === EtherType.ipv4 || protocol === EtherType.ipv6) && looksLikeIp(c, p)
}
