/** UDP (RFC 768), of interest where its port is that of a tunnel. The header's layout stands in wire/ip.ts. */
import { PacketDrop } from '../../base/drop.ts'
import { u16 } from '../../wire/bytes.ts'
import { UDP_DESTINATION_PORT, UDP_HEADER_LEN, UDP_LENGTH } from '../../wire/ip.ts'
import { TunnelPort } from '../../wire/tunnel-port.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { Verdict } from '../verdict.ts'

export function udp(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < UDP_HEADER_LEN) return c.finish(Verdict.other)
  const layer = layerOf(u16(bytes, at + UDP_DESTINATION_PORT))
  if (layer === Layer.done) return c.finish(Verdict.other)
  if (!c.allowsSource()) return c.finish(PacketDrop.sourceNotAllowed)
  const length = u16(bytes, at + UDP_LENGTH)
  // Length 0 is segmentation offload again; a length beyond the packet is left to the inner headers to refuse.
  if (length >= UDP_HEADER_LEN && at + length < c.wireEnd) c.narrow(at + length)
  c.at = at + UDP_HEADER_LEN
  return c.enter(layer)
}

function layerOf(port: number): number {
  switch (port) {
    case TunnelPort.vxlan:
      return Layer.vxlan
    case TunnelPort.gpe:
      return Layer.gpe
    case TunnelPort.geneve:
      return Layer.geneve
    default:
      return Layer.done
  }
}
