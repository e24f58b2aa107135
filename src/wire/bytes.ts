/**
 * Big-endian reads for headers. They trust their caller: every header has one length check (its `check…` or the walk that
 * found it) that makes the accessors after it safe. A read beyond the array gives 0, never an exception.
 */

/** Unsigned 16 bits, network order. */
export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** Unsigned 24 bits, network order. */
export function u24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
}

/** 32 bits, network order, as a signed int32: what sequence numbers and addresses are compared as. */
export function i32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}
