/** Packet views of IPv4 and IPv6 TCP packets, as decapsulation would fill them. */
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { CLIENT, ipv4, ipv6, type TcpFields, tcp } from './packets.ts'

export interface ViewFields extends TcpFields {
  readonly source?: string
  readonly destination?: string
  readonly vni?: number
  /** VNI and VLAN tags: see PacketView. */
  readonly network?: number
  readonly hash?: number
  readonly timeUs?: number
  /** Data bytes cut off the end. */
  readonly missing?: number
}

/** @param fields addresses with a colon make it IPv6 */
export function viewOf(fields: ViewFields = {}): PacketView {
  const isV6 = (fields.source ?? CLIENT).includes(':')
  const addresses = {
    ...(fields.source === undefined ? {} : { source: fields.source }),
    ...(fields.destination === undefined ? {} : { destination: fields.destination }),
  }
  const payload = tcp(fields)
  const view = new PacketView()
  view.bytes = isV6 ? ipv6({ ...addresses, payload }) : ipv4({ ...addresses, payload })
  view.ipAt = 0
  view.ipVersion = isV6 ? 6 : 4
  view.tcpAt = isV6 ? 40 : 20
  view.trueEnd = view.bytes.length
  view.end = view.trueEnd - (fields.missing ?? 0)
  view.vni = fields.vni ?? -1
  view.network = fields.network ?? view.vni + 1
  view.hash = fields.hash ?? 0
  view.timeUs = fields.timeUs ?? 0
  view.nowUs = view.timeUs
  return view
}

/** The same connection, seen from the other end. */
export function reversed(fields: ViewFields): ViewFields {
  const { source, destination, sourcePort, destinationPort, ...rest } = fields
  return {
    ...rest,
    ...(destination === undefined ? {} : { source: destination }),
    ...(source === undefined ? {} : { destination: source }),
    ...(destinationPort === undefined ? {} : { sourcePort: destinationPort }),
    ...(sourcePort === undefined ? {} : { destinationPort: sourcePort }),
  }
}
