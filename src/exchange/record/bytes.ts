/** Numbers of the record that are wider than 32 bits, or narrower than their bytes. The caller has checked the length. */

/** @param value 0 to 2^53 */
export function writeU64(bytes: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32)
  bytes.writeUInt32LE(value - high * 2 ** 32, at)
  bytes.writeUInt32LE(high, at + 4)
}

/** @param value -2^53 to 2^53 */
export function writeI64(bytes: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32)
  bytes.writeUInt32LE(value - high * 2 ** 32, at)
  bytes.writeInt32LE(high, at + 4)
}

export function readI64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readInt32LE(at + 4) * 2 ** 32
}

/** Exact up to 2^53; above, the nearest number that a float64 holds. */
export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
}

/** LEB128. @param value 0 to 2^32 - 1 @returns the index after it, at most five bytes on */
export function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value
  let i = at
  while (rest > 0x7f) {
    bytes[i++] = (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[i++] = rest
  return i
}
