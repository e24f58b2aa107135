/**
 * Symmetric hash of the inner five-tuple: both directions of a connection give the same number. With a random key nobody
 * outside can aim flows at one shard or one bucket.
 */
import { i32, u16 } from '../wire/bytes.ts'
import { IPV4_DESTINATION, IPV4_SOURCE, IPV6_DESTINATION, IPV6_SOURCE } from '../wire/ip.ts'

/** Finaliser of MurmurHash3: every input bit reaches every output bit. */
export function mix(h: number): number {
  let x = h ^ (h >>> 16)
  x = Math.imul(x, 0x85ebca6b)
  x ^= x >>> 13
  x = Math.imul(x, 0xc2b2ae35)
  return x ^ (x >>> 16)
}

// Address and port are joined after a keyed mix: joined before it, pairs that cancel out would collide under every key.

function endpointIpv4(bytes: Uint8Array, at: number, port: number, key: number): number {
  return mix(mix(i32(bytes, at) ^ key) ^ Math.imul(port + 1, 0x9e3779b1))
}

function endpointIpv6(bytes: Uint8Array, at: number, port: number, key: number): number {
  let h = mix(i32(bytes, at) ^ key)
  h = mix(h ^ i32(bytes, at + 4))
  h = mix(h ^ i32(bytes, at + 8))
  h = mix(h ^ i32(bytes, at + 12))
  return mix(h ^ Math.imul(port + 1, 0x9e3779b1))
}

/**
 * @param salt 0, or a number of the VNI or network where equal five-tuples of two of them are different flows
 * @returns int32
 */
export function fiveTupleHash(
  bytes: Uint8Array,
  ipAt: number,
  ipVersion: number,
  tcpAt: number,
  salt: number,
  key: number,
): number {
  const sourcePort = u16(bytes, tcpAt)
  const destinationPort = u16(bytes, tcpAt + 2)
  // The sum of the two ends does not know which came first.
  const both =
    ipVersion === 4
      ? endpointIpv4(bytes, ipAt + IPV4_SOURCE, sourcePort, key) +
        endpointIpv4(bytes, ipAt + IPV4_DESTINATION, destinationPort, key)
      : endpointIpv6(bytes, ipAt + IPV6_SOURCE, sourcePort, key) +
        endpointIpv6(bytes, ipAt + IPV6_DESTINATION, destinationPort, key)
  return mix((both | 0) ^ Math.imul(salt, 0x27d4eb2f) ^ key)
}
