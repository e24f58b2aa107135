/*
 * GTP-U, 3GPP TS 29.281 section 5.1:
 *
 *  | version 3 | PT 1 | * 1 | E 1 | S 1 | PN 1 | message type 8 | length 16: what follows these 8 bytes | TEID 32 |
 *  with any of E, S, PN:   | sequence 16 | N-PDU number 8 | next extension header 8 |
 *  extension header:       | length 8, in 4-byte words | content | next extension header 8 |  next 0: none
 */
import { PacketDrop } from '../../base/drop.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import { TunnelPort } from '../../wire/tunnel-port.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { looksLikeFrame } from '../looks-like.ts'

const HEADER_LEN = 8
const VERSION_AND_TYPE = 0xf0
/** Version 1, protocol type GTP. */
const VERSION_1 = 0x30
const HAS_OPTIONAL = 0x07
const HAS_EXTENSION = 0x04
const OPTIONAL_LEN = 4
const MESSAGE_TYPE = 1
const G_PDU = 255
const LENGTH = 2
const NO_EXTENSION = 0
/** Extension headers one after another that no real network has. */
const MAX_EXTENSIONS = 16

export function gtpu(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < HEADER_LEN) return c.finish(PacketDrop.tunnelTruncated)
  const flags = bytes[at]!
  // Echo, error indication and end marker carry nothing.
  if ((flags & VERSION_AND_TYPE & ~0x08) !== VERSION_1 || bytes[at + MESSAGE_TYPE] !== G_PDU)
    return c.passOver(PassedOver.udpPort, TunnelPort.gtpu)
  const length = u16(bytes, at + LENGTH)
  if (at + HEADER_LEN + length < c.wireEnd) c.narrow(at + HEADER_LEN + length)
  const { end } = c
  let p = at + HEADER_LEN
  if ((flags & HAS_OPTIONAL) !== 0) {
    p += OPTIONAL_LEN
    if (p > end) return c.finish(PacketDrop.tunnelTruncated)
    let next = (flags & HAS_EXTENSION) !== 0 ? bytes[p - 1]! : NO_EXTENSION
    for (let i = 0; next !== NO_EXTENSION; i++) {
      const extensionLength = p < end ? bytes[p]! << 2 : 0
      if (extensionLength === 0 || extensionLength > end - p || i >= MAX_EXTENSIONS)
        return c.finish(PacketDrop.tunnelTruncated)
      p += extensionLength
      next = bytes[p - 1]!
    }
  }
  if (p >= end) return c.finish(PacketDrop.tunnelTruncated)
  c.at = p
  const version = bytes[p]! >> 4
  // A session of 5G may carry Ethernet (TS 23.501 section 5.6.10.2); nothing in the header says so.
  if (looksLikeFrame(c, p)) return c.frameInside()
  return version === 4 || version === 6 ? Layer.ip : c.passOver(PassedOver.udpPort, TunnelPort.gtpu)
}
