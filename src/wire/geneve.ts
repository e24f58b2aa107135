/*
 * GENEVE, RFC 8926 section 3.4. Offsets in bytes from the end of the outer UDP header:
 *
 *  |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
 *  |        Virtual Network Identifier (VNI)       |    Reserved   |
 *  ~                    Variable-Length Options                    ~
 *
 * Option: class 16, type 8 (0x80: critical), reserved 3, length 5 in 4-byte words.
 */
import { u16 } from './bytes.ts'

export const GENEVE_HEADER_LEN = 8
export const GENEVE_PROTOCOL = 2
export const GENEVE_VNI = 4
export const GENEVE_OPTION_HEADER_LEN = 4
export const GENEVE_FLAG_CONTROL = 0x80
export const GENEVE_OPTION_CRITICAL = 0x80
/** Option classes whose critical options we know and may skip: AWS Gateway Load Balancer, Google Cloud. */
export const GENEVE_CLASS_AWS = 0x0108
export const GENEVE_CLASS_GOOGLE = 0x0132

/** Bytes of the header's options. */
export function geneveOptionsLength(bytes: Uint8Array, at: number): number {
  return (bytes[at]! & 0x3f) << 2
}

export function geneveOptionLength(bytes: Uint8Array, at: number): number {
  return GENEVE_OPTION_HEADER_LEN + ((bytes[at + 3]! & 0x1f) << 2)
}

export function geneveOptionClass(bytes: Uint8Array, at: number): number {
  return u16(bytes, at)
}
