/** The Internet checksum as a sender computes it (RFC 1071). */

/** One's complement sum of the 16-bit words of `bytes`, not folded; an odd last byte is the high half of its word. */
export function sumWords(bytes: Uint8Array, from = 0): number {
  let sum = from
  const even = bytes.length & ~1
  for (let i = 0; i < even; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  return bytes.length === even ? sum : sum + (bytes[even]! << 8)
}

/** The checksum field for a sum. */
export function checksumOf(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return ~folded & 0xffff
}
