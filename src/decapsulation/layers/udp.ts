/** UDP (RFC 768), of interest where its port is that of a tunnel. The header's layout stands in wire/ip.ts. */
import { PassedOver } from '../../metrics/passed-over.ts'
import { u16 } from '../../wire/bytes.ts'
import { IpProtocol, UDP_DESTINATION_PORT, UDP_HEADER_LEN, UDP_LENGTH, UDP_SOURCE_PORT } from '../../wire/ip.ts'
import { TunnelPort } from '../../wire/tunnel-port.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'

/** Ports of services that answer from them to any port. */
const WELL_KNOWN = 1024

export function udp(c: Cursor): number {
  const { bytes, at } = c
  if (c.left < UDP_HEADER_LEN) return c.passOver(PassedOver.ipProtocol, IpProtocol.udp)
  const source = u16(bytes, at + UDP_SOURCE_PORT)
  const destination = u16(bytes, at + UDP_DESTINATION_PORT)
  let layer = c.layerOfPort(destination)
  // Of Teredo's two ends only servers and relays have the port.
  if (layer === Layer.done && source === TunnelPort.teredo) layer = Layer.teredo
  if (layer === Layer.done) return c.passOver(PassedOver.udpPort, servicePort(source, destination))
  if (!c.allowsSource()) return c.refuseSource()
  const length = u16(bytes, at + UDP_LENGTH)
  // Length 0 is segmentation offload again; a length beyond the packet is left to the inner headers to refuse.
  if (length >= UDP_HEADER_LEN && at + length < c.wireEnd) c.narrow(at + length)
  c.at = at + UDP_HEADER_LEN
  return c.enter(layer)
}

/** The port to name: where a well-known service answers, its own; else that of whoever is sent to. */
function servicePort(source: number, destination: number): number {
  return source < WELL_KNOWN && destination >= WELL_KNOWN && source !== 0 ? source : destination
}
