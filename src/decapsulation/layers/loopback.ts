/** BSD loopback: 32 bits of address family in the byte order of the capturing host, or (OpenBSD) in network order. */
import { PacketDrop } from '../../base/drop.ts'
import { PassedFrame, PassedOver } from '../../metrics/passed-over.ts'
import { i32 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

const HEADER_LEN = 4

export function loopback(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.linkTruncated)
  c.at = at + HEADER_LEN
  const word = i32(bytes, at)
  const family = (word & 0xffff) === 0 ? (word >>> 24) | ((word >>> 8) & 0xff00) : word
  // AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs and macOS.
  if (family === 2) return Layer.ipv4
  return family === 10 || family === 24 || family === 28 || family === 30
    ? Layer.ipv6
    : c.passOver(PassedOver.frame, PassedFrame.loopbackFamily)
}
