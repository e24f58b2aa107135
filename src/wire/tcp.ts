/** TCP header (RFC 9293 section 3.1). Offsets in bytes from its start. */
export const TCP_MIN_HEADER_LEN = 20
export const TCP_SOURCE_PORT = 0
export const TCP_DESTINATION_PORT = 2
export const TCP_SEQ = 4
export const TCP_ACK = 8
/** Upper four bits: header length in 32-bit words. */
export const TCP_DATA_OFFSET = 12
export const TCP_FLAGS = 13
export const TCP_CHECKSUM = 16

export const TcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const

/** Header length in bytes as the header states it, 0 to 60. */
export function tcpHeaderLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + TCP_DATA_OFFSET]! >> 4) << 2
}
