/** What bytes are that no header names, for encapsulations that do not say what they carry. */
import { u16 } from '../wire/bytes.ts'
import { ipv4ChecksumHolds } from '../wire/checksum.ts'
import { ETHERNET_HEADER_LEN, ETHERNET_TYPE, EtherType, VLAN_TAG_LEN } from '../wire/ethernet.ts'
import { IPV4_MIN_HEADER_LEN, IPV4_TOTAL_LENGTH, IPV6_HEADER_LEN, IPV6_PAYLOAD_LENGTH } from '../wire/ip.ts'
import type { Cursor } from './cursor.ts'

const ARP = 0x0806
/** Of ARP (RFC 826): hardware type Ethernet. */
const ARP_ETHERNET = 1
/** Ethernet's least payload, bytes: what a shorter packet is padded to, and a frame check sequence. */
const MOST_PADDING = 46 + 4
/** VLAN tags looked through; chosen. */
const MAX_TAGS = 4

/** An IPv4 header with a right checksum of a packet that fits, or an IPv6 header that states the length there is. */
export function looksLikeIp(c: Cursor, at: number): boolean {
  const { bytes, end, wireEnd } = c
  if (end - at < IPV4_MIN_HEADER_LEN) return false
  const version = bytes[at]! >> 4
  if (version === 6) {
    if (end - at < IPV6_HEADER_LEN) return false
    const length = u16(bytes, at + IPV6_PAYLOAD_LENGTH)
    const behind = wireEnd - at - IPV6_HEADER_LEN - length
    return length > 0 && behind >= 0 && behind <= MOST_PADDING
  }
  const headerLength = (bytes[at]! & 15) << 2
  const total = u16(bytes, at + IPV4_TOTAL_LENGTH)
  return (
    version === 4 &&
    headerLength >= IPV4_MIN_HEADER_LEN &&
    headerLength <= end - at &&
    total >= headerLength &&
    total <= wireEnd - at &&
    ipv4ChecksumHolds(bytes, at, headerLength)
  )
}

/** An Ethernet header, VLAN tags, and then IP or ARP. */
export function looksLikeFrame(c: Cursor, at: number): boolean {
  const { bytes, end } = c
  if (end - at < ETHERNET_HEADER_LEN) return false
  let type = u16(bytes, at + ETHERNET_TYPE)
  let p = at + ETHERNET_HEADER_LEN
  for (let i = 0; i < MAX_TAGS && (type === EtherType.vlan || type === EtherType.serviceVlan); i++) {
    if (end - p < VLAN_TAG_LEN) return false
    type = u16(bytes, p + 2)
    p += VLAN_TAG_LEN
  }
  if (end - p < 2) return false
  if (type === ARP) return u16(bytes, p) === ARP_ETHERNET
  const version = bytes[p]! >> 4
  const isIp = (type === EtherType.ipv4 && version === 4) || (type === EtherType.ipv6 && version === 6)
  return isIp && looksLikeIp(c, p)
}
