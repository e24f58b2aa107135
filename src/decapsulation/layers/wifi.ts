/*
 * IEEE 802.11 data frames (clause 9.3.2), little-endian; then LLC:
 *
 *  | version 2 | type 2 | subtype 4 | to DS 1 | from DS 1 | more fragments 1 | 3 | protected 1 | order 1 | duration 16 |
 *  | address 48 | address 48 | address 48 | fragment 4 | sequence 12 |
 *  to DS and from DS:        | address 48 |
 *  subtype with QoS:         | TID 4 | EOSP 1 | ack policy 2 | A-MSDU 1 | 8 |
 *  QoS and order:            | HT control 32 |
 *
 *  A-MSDU: subframes, each | destination 48 | source 48 | length 16, big-endian | packet from its LLC on |, padded to 4 bytes
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedFrame, PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

const HEADER_LEN = 24
const TYPE_AND_VERSION = 0x0f
const DATA = 0x08
const WITHOUT_DATA = 0x40
const QOS = 0x80
const FLAGS = 1
const BOTH_DS = 0x03
const MORE_FRAGMENTS = 0x04
const PROTECTED = 0x40
const ORDER = 0x80
const SEQUENCE = 22
const FRAGMENT_NUMBER = 0x0f
const ADDRESS_LEN = 6
const QOS_LEN = 2
const QOS_AGGREGATE = 0x80
const HT_CONTROL_LEN = 4
const SUBFRAME_HEADER_LEN = 14
const SUBFRAME_LENGTH = 12
/** A frame check sequence may stand at the end. */
const FCS_LEN = 4

export function wifi(c: Cursor): number {
  return wifiFrame(c, false)
}

/** @param isPadded the header is padded to 4 bytes */
export function wifiFrame(c: Cursor, isPadded: boolean): number {
  const { bytes, at } = c
  if (c.left < 2) return c.finish(PacketDrop.linkTruncated)
  const control = bytes[at]!
  const flags = bytes[at + FLAGS]!
  if ((control & TYPE_AND_VERSION) !== DATA || (control & WITHOUT_DATA) !== 0)
    return c.passOver(PassedOver.frame, PassedFrame.wifi)
  let length = HEADER_LEN
  if ((flags & BOTH_DS) === BOTH_DS) length += ADDRESS_LEN
  const qosAt = at + length
  const hasQos = (control & QOS) !== 0
  if (hasQos) length += QOS_LEN + ((flags & ORDER) !== 0 ? HT_CONTROL_LEN : 0)
  if (isPadded) length = (length + 3) & ~3
  if (c.left < length) return c.finish(PacketDrop.linkTruncated)
  if ((flags & PROTECTED) !== 0) return c.finish(PacketDrop.frameProtected)
  if ((flags & MORE_FRAGMENTS) !== 0 || (bytes[at + SEQUENCE]! & FRAGMENT_NUMBER) !== 0)
    return c.finish(PacketDrop.frameFragment)
  c.at = at + length
  return hasQos && (bytes[qosAt]! & QOS_AGGREGATE) !== 0 ? aggregate(c) : Layer.llc
}

/** One packet in it is read. Of several each would need a count of its own. */
function aggregate(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < SUBFRAME_HEADER_LEN) return c.finish(PacketDrop.linkTruncated)
  const subframeEnd = at + SUBFRAME_HEADER_LEN + u16(bytes, at + SUBFRAME_LENGTH)
  if (c.wireEnd - subframeEnd > FCS_LEN + 3) return c.finish(PacketDrop.frameAggregate)
  c.at = at + SUBFRAME_HEADER_LEN
  return Layer.llc
}
