/** TZSP, drawn in decapsulation/layers/tzsp.ts. Offsets in bytes from the end of the outer UDP header. */
export const TZSP_HEADER_LEN = 4
export const TZSP_VERSION = 1
export const TZSP_PROTOCOL = 2
export const TZSP_ETHERNET = 1
export const TZSP_TAG_PAD = 0
export const TZSP_TAG_END = 1
