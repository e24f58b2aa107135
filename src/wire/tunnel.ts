/** Headers of the encapsulations that mirrors use. Offsets in bytes from the start of each header. */
import { u16 } from './bytes.ts'

/*
 * VXLAN, RFC 7348 section 5:
 *
 *  |R|R|R|R|I|R|R|R|            Reserved             |
 *  |                VNI                |   Reserved  |
 *
 * VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe) adds the P bit (0x04) and puts the next protocol into byte 3.
 */
export const VXLAN_HEADER_LEN = 8
export const VXLAN_FLAGS = 0
export const VXLAN_VNI = 4
/** The I flag: without it the VNI means nothing. Reserved bits are ignored on receipt. */
export const VXLAN_FLAG_VNI_VALID = 0x08
export const GPE_FLAG_NEXT_PROTOCOL = 0x04
export const GPE_NEXT_PROTOCOL = 3
export const GpeProtocol = { ipv4: 1, ipv6: 2, ethernet: 3 } as const

/*
 * GENEVE, RFC 8926 section 3.4:
 *
 *  |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
 *  |        Virtual Network Identifier (VNI)       |    Reserved   |
 *  ~                    Variable-Length Options                    ~
 *
 * Option: class 16, type 8 (0x80: critical), reserved 3, length 5 in 4-byte words.
 */
export const GENEVE_HEADER_LEN = 8
export const GENEVE_PROTOCOL = 2
export const GENEVE_VNI = 4
export const GENEVE_OPTION_HEADER_LEN = 4
export const GENEVE_FLAG_CONTROL = 0x80
export const GENEVE_OPTION_CRITICAL = 0x80
/** Option classes whose critical options we know and may skip: AWS Gateway Load Balancer, Google Cloud. */
export const GENEVE_CLASS_AWS = 0x0108
export const GENEVE_CLASS_GOOGLE = 0x0132

/*
 * GRE, RFC 2784 and 2890:  |C|R|K|S|  Reserved0  | Ver |  Protocol Type  |  then checksum, key, sequence, 4 bytes each where flagged.
 */
export const GRE_HEADER_LEN = 4
export const GRE_PROTOCOL = 2
export const GRE_CHECKSUM = 0x8000
export const GRE_ROUTING = 0x4000
export const GRE_KEY = 0x2000
export const GRE_SEQUENCE = 0x1000
export const GRE_VERSION = 0x0007
/** ERSPAN type II header; type I (no GRE sequence number) has none. */
export const ERSPAN2_HEADER_LEN = 8
export const ERSPAN3_HEADER_LEN = 12
/** Last byte of the ERSPAN III header: the O bit says that 8 more bytes (platform subheader) follow. */
export const ERSPAN3_FLAGS = 11
export const ERSPAN3_SUBHEADER_LEN = 8
/** Frame type (5 bits, from byte 10): 0 Ethernet, 2 IP. */
export const ERSPAN3_FRAME_TYPE = 10
export const ERSPAN3_FRAME_TYPE_IP = 2

/** Length of the GRE header with its optional fields. */
export function greHeaderLength(flags: number): number {
  return (
    GRE_HEADER_LEN +
    ((flags & GRE_CHECKSUM) !== 0 ? 4 : 0) +
    ((flags & GRE_KEY) !== 0 ? 4 : 0) +
    ((flags & GRE_SEQUENCE) !== 0 ? 4 : 0)
  )
}

/** MPLS label stack entry, RFC 3032: label 20, traffic class 3, bottom of stack 1, TTL 8. */
export const MPLS_ENTRY_LEN = 4
export const MPLS_BOTTOM = 0x01

/** PPPoE session header, RFC 2516: version and type, code, session id, length; then the PPP protocol. */
export const PPPOE_HEADER_LEN = 6
export const PPP_IPV4 = 0x0021
export const PPP_IPV6 = 0x0057
export const PPP_MPLS = 0x0281

/** UDP ports by which encapsulations are recognised inside captures. */
export const TunnelPort = { vxlan: 4789, gpe: 4790, geneve: 6081 } as const

/** Bytes of a GENEVE header's options. */
export function geneveOptionsLength(bytes: Uint8Array, at: number): number {
  return (bytes[at]! & 0x3f) << 2
}

export function geneveOptionLength(bytes: Uint8Array, at: number): number {
  return GENEVE_OPTION_HEADER_LEN + ((bytes[at + 3]! & 0x1f) << 2)
}

export function geneveOptionClass(bytes: Uint8Array, at: number): number {
  return u16(bytes, at)
}
