/** IPv4 (RFC 791) and IPv6 (RFC 8200) headers. Offsets in bytes from the start of the header. */

export const IPV4_MIN_HEADER_LEN = 20
export const IPV4_TOTAL_LENGTH = 2
export const IPV4_ID = 4
export const IPV4_FRAGMENT = 6
export const IPV4_PROTOCOL = 9
export const IPV4_CHECKSUM = 10
export const IPV4_SOURCE = 12
export const IPV4_DESTINATION = 16
export const IPV4_MORE_FRAGMENTS = 0x2000
export const IPV4_FRAGMENT_OFFSET = 0x1fff

export const IPV6_HEADER_LEN = 40
export const IPV6_PAYLOAD_LENGTH = 4
export const IPV6_NEXT_HEADER = 6
export const IPV6_SOURCE = 8
export const IPV6_DESTINATION = 24
/** Fragment header: next header, reserved, offset in 8-byte units and the M bit, identification (RFC 8200 section 4.5). */
export const IPV6_FRAGMENT_HEADER_LEN = 8

export const IpProtocol = {
  hopByHop: 0,
  ipv4: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  authentication: 51,
  noNext: 59,
  destinationOptions: 60,
  mobility: 135,
  etherIp: 97,
  mpls: 137,
  hostIdentity: 139,
  shim6: 140,
  ethernet: 143,
} as const

export const UDP_HEADER_LEN = 8
export const UDP_SOURCE_PORT = 0
export const UDP_DESTINATION_PORT = 2
export const UDP_LENGTH = 4
