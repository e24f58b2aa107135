/**
 * Numbers of either byte order, read by hand: per packet neither a DataView nor a BigInt is made.
 * The caller has checked that the bytes are there.
 */

export function readU16(bytes: Buffer, at: number, littleEndian: boolean): number {
  return littleEndian ? bytes[at]! | (bytes[at + 1]! << 8) : (bytes[at]! << 8) | bytes[at + 1]!
}

export function readU32(bytes: Buffer, at: number, littleEndian: boolean): number {
  return readBits32(bytes, at, littleEndian) >>> 0
}

/**
 * The same 32 bits as a signed number, for what is read per packet: an unsigned number from 2^31 on, or a fraction, becomes
 * an object on the heap wherever it crosses a call that the compiler did not inline. `>>> 0` where it is used makes it unsigned.
 */
export function readBits32(bytes: Buffer, at: number, littleEndian: boolean): number {
  return littleEndian
    ? bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    : (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}
