/*
 * LLC (IEEE 802.2) with SNAP (RFC 1042), where a frame states a length instead of an EtherType:
 *
 *  | DSAP 0xaa | SSAP 0xaa | control 3 | organisation 24 | type 16 |
 *
 * Organisation 0, or 0xf8 (IEEE 802.1H, bridge tunnel): the type is an EtherType.
 */
import { PassedFrame, PassedOver } from '../../metrics/passed-over.ts'
import { i32, u16, u24 } from '../../wire/bytes.ts'
import { ETHERNET_MAX_LENGTH } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { byEtherType } from './ether-type.ts'

const HEADER_LEN = 8
const SNAP = 0xaaaa03
const ORGANISATION = 3
const ETHERNET = 0
const BRIDGE_TUNNEL = 0xf8
const TYPE = 6

export function llc(c: Cursor): number {
  const { bytes, at } = c
  const type = u16(bytes, at + TYPE)
  const isRead = c.left >= HEADER_LEN && i32(bytes, at) >>> 8 === SNAP && type > ETHERNET_MAX_LENGTH
  const organisation = u24(bytes, at + ORGANISATION)
  if (!isRead || (organisation !== ETHERNET && organisation !== BRIDGE_TUNNEL))
    return c.passOver(PassedOver.frame, PassedFrame.llc)
  c.at = at + HEADER_LEN
  return byEtherType(c, type)
}
