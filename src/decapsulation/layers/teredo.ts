/*
 * Teredo, RFC 4380 section 5.1.1: an IPv6 packet in UDP, perhaps after one or both of
 *
 *  authentication: | 0x0001 16 | ID length 8 | authentication length 8 | ID | authentication | nonce 64 | confirmation 8 |
 *  origin:         | 0x0000 16 | port 16 | address 32 |
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import { TunnelPort } from '../../wire/tunnel-port.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

const AUTHENTICATION = 1
const AUTHENTICATION_FIXED_LEN = 13
const ID_LENGTH = 2
const AUTHENTICATION_LENGTH = 3
const ORIGIN = 0
const ORIGIN_LEN = 8

export function teredo(c: Cursor): number {
  const { bytes, at, end } = c
  let p = at
  if (end - p >= AUTHENTICATION_FIXED_LEN && u16(bytes, p) === AUTHENTICATION)
    p += AUTHENTICATION_FIXED_LEN + bytes[p + ID_LENGTH]! + bytes[p + AUTHENTICATION_LENGTH]!
  if (end - p >= ORIGIN_LEN && u16(bytes, p) === ORIGIN) p += ORIGIN_LEN
  if (p >= end) return c.finish(PacketDrop.tunnelTruncated)
  c.at = p
  return bytes[p]! >> 4 === 6 ? Layer.ipv6 : c.passOver(PassedOver.udpPort, TunnelPort.teredo)
}
