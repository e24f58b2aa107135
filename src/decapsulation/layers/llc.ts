/*
 * LLC (IEEE 802.2) with SNAP (RFC 1042), where a frame states a length instead of an EtherType:
 *
 *  | DSAP 0xaa | SSAP 0xaa | control 3 | organisation 24 | type 16 |
 *
 * Organisation 0: the type is an EtherType.
 */
import { i32, u16 } from '../../wire/bytes.ts'
import { ETHERNET_MAX_LENGTH } from '../../wire/ethernet.ts'
import type { Cursor } from '../cursor.ts'
import { Verdict } from '../verdict.ts'
import { byEtherType } from './ether-type.ts'

const HEADER_LEN = 8
const SNAP = 0xaaaa03
const ORGANISATION = 3
const TYPE = 6

export function llc(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN || i32(bytes, at) >>> 8 !== SNAP) return c.finish(Verdict.other)
  if (bytes[at + ORGANISATION] !== 0 || u16(bytes, at + ORGANISATION + 1) !== 0) return c.finish(Verdict.other)
  const type = u16(bytes, at + TYPE)
  c.at = at + HEADER_LEN
  return type > ETHERNET_MAX_LENGTH ? byEtherType(c, type) : c.finish(Verdict.other)
}
