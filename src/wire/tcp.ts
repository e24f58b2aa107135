/** TCP header (RFC 9293 section 3.1). Offsets in bytes from its start. */
export const TCP_MIN_HEADER_LEN = 20
export const TCP_SOURCE_PORT = 0
export const TCP_DESTINATION_PORT = 2
export const TCP_SEQ = 4
export const TCP_ACK = 8
/** Upper four bits: header length in 32-bit words. */
export const TCP_DATA_OFFSET = 12
export const TCP_FLAGS = 13
export const TCP_WINDOW = 14
export const TCP_CHECKSUM = 16
export const TCP_URGENT_POINTER = 18

export const TcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const

/** The byte at TCP_DATA_OFFSET where the header has no options, and where it has the usual ones: the timestamps and no others. */
export const NO_OPTIONS = 0x50
export const TIMESTAMPS_ONLY = 0x80
/** NOP, NOP, timestamps, length 10: how everybody lays them out (RFC 7323 appendix A). Then TSval and TSecr. */
export const NOP_NOP_TIMESTAMPS = 0x0101_080a
export const TCP_FIRST_OPTION = 20
export const TCP_FIRST_TSVAL = 24

/** Header length in bytes as the header states it, 0 to 60. */
export function tcpHeaderLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + TCP_DATA_OFFSET]! >> 4) << 2
}
