/*
 * Generic UDP Encapsulation, draft-ietf-intarea-gue section 3:
 *
 *  variant 0: | variant 2 | C 1 | Hlen 5, in 4-byte words | protocol 8 | flags 16 | Hlen x 4 bytes of fields |   C: a control message
 *  variant 1: the IP packet itself, whose version nibble begins with these two bits
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { IpProtocol } from '../../wire/ip.ts'
import { TunnelPort } from '../../wire/tunnel-port.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { transport } from './transport.ts'

const HEADER_LEN = 4
const CONTROL = 0x20
const FIELD_WORDS = 0x1f
const PROTOCOL = 1

export function gue(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.tunnelTruncated)
  const first = bytes[at]!
  if (first >> 4 === 4 || first >> 4 === 6) return Layer.ip
  if (first >> 6 !== 0 || (first & CONTROL) !== 0) return c.passOver(PassedOver.udpPort, TunnelPort.gue)
  const headerLength = HEADER_LEN + ((first & FIELD_WORDS) << 2)
  if (c.left < headerLength) return c.finish(PacketDrop.tunnelTruncated)
  const protocol = bytes[at + PROTOCOL]!
  c.at = at + headerLength
  // A transport protocol would be that of the outer addresses: no packet inside.
  const isPacket = protocol !== IpProtocol.tcp && protocol !== IpProtocol.udp
  return isPacket ? transport(c, protocol) : c.passOver(PassedOver.ipProtocol, protocol)
}
