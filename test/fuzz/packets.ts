/** The builders of test/support, and what the fuzzer needs besides. */
import { EtherType } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { TunnelPort } from '../../src/wire/tunnel-port.ts'
import { ethernet, ipv4, udp, vxlan } from '../support/packets.ts'

export { ethernet, fragmentIpv4, fragmentIpv6, gpe, ipv4, ipv6, tcp, udp, vxlan } from '../support/packets.ts'

/** A frame as a mirror target would capture it: the copied frame in VXLAN in UDP. */
export function inVxlanFrame(vni: number, frame: Buffer): Buffer {
  const payload = udp(TunnelPort.vxlan, vxlan(vni, frame))
  const outer = ipv4({ source: '192.168.0.1', destination: '192.168.0.2', protocol: IpProtocol.udp, payload })
  return ethernet(EtherType.ipv4, outer)
}
