/** Buffers that grow with what is gathered in them. Never a part of a slab: they may be held for long, and would hold on to the whole. */

/** The same buffer where `needed` bytes fit, else one of the next power of two with the first `used` bytes copied. */
export function withRoom(bytes: Buffer, used: number, needed: number): Buffer {
  if (needed <= bytes.length) return bytes
  const grown = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(needed)))
  bytes.copy(grown, 0, 0, used)
  return grown
}
