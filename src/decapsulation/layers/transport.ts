/** What an IP protocol number says follows. */
import { PassedOver } from '../../metrics/passed-over.ts'
import { IpProtocol } from '../../wire/ip.ts'
import type { Cursor } from '../cursor.ts'
import { Layer } from '../layer.ts'
import { tcp } from './tcp.ts'
import { udp } from './udp.ts'

/** The cursor stands after the IP header that `c.ipAt` names. */
export function transport(c: Cursor, protocol: number): number {
  switch (protocol) {
    case IpProtocol.tcp:
      return tcp(c)
    case IpProtocol.udp:
      return udp(c)
    case IpProtocol.ipv4:
      return c.enter(Layer.ipv4)
    case IpProtocol.ipv6:
      return c.enter(Layer.ipv6)
    case IpProtocol.gre:
      return c.allowsSource() ? c.enter(Layer.gre) : c.refuseSource()
    case IpProtocol.mpls:
      return c.enter(Layer.mpls)
    case IpProtocol.etherIp:
      return c.enter(Layer.etherIp)
    case IpProtocol.ethernet:
      return c.enter(c.frameInside())
    default:
      return c.passOver(PassedOver.ipProtocol, protocol)
  }
}
