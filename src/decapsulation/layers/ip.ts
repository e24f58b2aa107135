/** Raw IP: the version nibble says which. */
import { PacketDrop } from '../../base/drop.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

export function ip(c: Cursor): number {
  if (c.left <= 0) return c.finish(PacketDrop.ipTruncated)
  const version = c.bytes[c.at]! >> 4
  return version === 4 ? Layer.ipv4 : version === 6 ? Layer.ipv6 : c.finish(PacketDrop.ipVersion)
}
