/*
 * TZSP, TaZmen Sniffer Protocol, version 1, as MikroTik and others send it; then a list of tags, then the frame:
 *
 *  | version 8 | type 8 | encapsulated protocol 16 |
 *
 *  tag 0: padding, tag 1: end of the list, one byte each; others: | tag 8 | length 8 | value |
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import { TunnelPort } from '../../wire/tunnel-port.ts'
import {
  TZSP_ETHERNET,
  TZSP_HEADER_LEN,
  TZSP_PROTOCOL,
  TZSP_TAG_END,
  TZSP_TAG_PAD,
  TZSP_VERSION,
} from '../../wire/tzsp.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

const TYPE = 1
/** Types 0 and 1 bring a packet: received, or to be sent. */
const LAST_TYPE_WITH_PACKET = 1
const PROTOCOL_WIFI = 18

export function tzsp(c: Cursor): number {
  const { bytes, at, end } = c
  if (c.left < TZSP_HEADER_LEN) return c.finish(PacketDrop.tunnelTruncated)
  const protocol = u16(bytes, at + TZSP_PROTOCOL)
  const isRead =
    bytes[at] === TZSP_VERSION &&
    bytes[at + TYPE]! <= LAST_TYPE_WITH_PACKET &&
    (protocol === TZSP_ETHERNET || protocol === PROTOCOL_WIFI)
  if (!isRead) return c.passOver(PassedOver.udpPort, TunnelPort.tzsp)
  let p = at + TZSP_HEADER_LEN
  for (; p < end && bytes[p] !== TZSP_TAG_END; ) p += bytes[p] === TZSP_TAG_PAD ? 1 : 2 + bytes[p + 1]!
  if (p >= end) return c.finish(PacketDrop.tunnelTruncated)
  c.at = p + 1
  return protocol === TZSP_ETHERNET ? c.frameInside() : Layer.wifi
}
