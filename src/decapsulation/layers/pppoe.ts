/*
 * PPPoE session (RFC 2516 section 4):
 *
 *  | version 4 | type 4 | code 8 | session 16 | length 16 |  then PPP from its protocol on
 */
import { PacketDrop } from '../../base/drop.ts'
import type { Cursor } from '../cursor.ts'
import { pppFrame } from './ppp.ts'

const HEADER_LEN = 6

export function pppoe(c: Cursor): number {
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.pppoeTruncated)
  c.at += HEADER_LEN
  return pppFrame(c, PacketDrop.pppoeTruncated)
}
