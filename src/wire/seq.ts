/**
 * TCP sequence numbers: 32 bits that wrap (RFC 9293 section 3.4), kept as signed int32. Comparisons happen here and nowhere
 * else: `<` on sequence numbers is wrong half the time.
 */

/** Signed distance from `a` to `b` modulo 2^32. Positive when `b` is later. */
export function seqDistance(a: number, b: number): number {
  return (b - a) | 0
}

/** `a + n` modulo 2^32, as int32. */
export function seqAdd(a: number, n: number): number {
  return (a + n) | 0
}

/** `a` stands before `b`. */
export function seqBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0
}
