/*
 * VXLAN, RFC 7348 section 5. Offsets in bytes from the end of the outer UDP header:
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
