/** Internet checksum (RFC 1071) over header and payload. */
import { u16 } from './bytes.ts'
import { IPV4_CHECKSUM, IPV4_SOURCE, IPV6_SOURCE, IpProtocol } from './ip.ts'

/** One's complement sum of [at, end), not folded; an odd last byte counts as the high half. At most 65,535 bytes stay exact. */
function sum(bytes: Uint8Array, at: number, end: number, from: number): number {
  let s = from
  let i = at
  for (; i + 1 < end; i += 2) s += u16(bytes, i)
  if (i < end) s += bytes[i]! << 8
  return s
}

function fold(s: number): number {
  let x = s
  while (x > 0xffff) x = (x & 0xffff) + Math.floor(x / 0x10000)
  return x
}

/** An IPv4 header including its checksum field sums to all ones. */
export function ipv4ChecksumHolds(bytes: Uint8Array, at: number, headerLength: number): boolean {
  return fold(sum(bytes, at, at + headerLength, 0)) === 0xffff
}

/** Fills in the checksum of a whole IPv4 header. */
export function writeIpv4Checksum(header: Buffer): void {
  header.writeUInt16BE(0, IPV4_CHECKSUM)
  header.writeUInt16BE(0xffff - fold(sum(header, 0, header.length, 0)), IPV4_CHECKSUM)
}

/** TCP checksum with the pseudo header of the IP header at `ipAt`; the segment is [tcpAt, end). */
export function tcpChecksumHolds(
  bytes: Uint8Array,
  ipAt: number,
  ipVersion: number,
  tcpAt: number,
  end: number,
): boolean {
  const addresses =
    ipVersion === 4
      ? sum(bytes, ipAt + IPV4_SOURCE, ipAt + IPV4_SOURCE + 8, 0)
      : sum(bytes, ipAt + IPV6_SOURCE, ipAt + IPV6_SOURCE + 32, 0)
  return fold(sum(bytes, tcpAt, end, addresses + IpProtocol.tcp + (end - tcpAt))) === 0xffff
}
