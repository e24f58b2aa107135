/*
 * PPPoE session (RFC 2516 section 4):
 *
 *  | version 4 | type 4 | code 8 | session 16 | length 16 |  then PPP's protocol
 */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import type { Cursor } from '../cursor.ts'
import { byPppProtocol } from './ppp.ts'

const HEADER_LEN = 6
const PPP_PROTOCOL_LEN = 2

export function pppoe(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN + PPP_PROTOCOL_LEN) return c.finish(PacketDrop.pppoeTruncated)
  c.at = at + HEADER_LEN + PPP_PROTOCOL_LEN
  return byPppProtocol(c, u16(bytes, at + HEADER_LEN))
}
