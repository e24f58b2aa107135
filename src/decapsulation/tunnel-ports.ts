/** Which tunnel a UDP port stands for. */
import { TunnelPort } from '../wire/tunnel-port.ts'
import { Layer } from './layer.ts'

const KNOWN: readonly (readonly [number, number])[] = [
  [TunnelPort.vxlan, Layer.vxlan],
  [TunnelPort.linuxVxlan, Layer.vxlan],
  [TunnelPort.gpe, Layer.gpe],
  [TunnelPort.geneve, Layer.geneve],
  [TunnelPort.gtpu, Layer.gtpu],
  [TunnelPort.teredo, Layer.teredo],
  [TunnelPort.gue, Layer.gue],
  [TunnelPort.tzsp, Layer.tzsp],
]

/** Layer + 1 by port; 0: no tunnel. @param vxlanPorts of VXLAN besides those known; they come before what else is known of a port */
export function layersByPort(vxlanPorts: readonly number[]): Uint8Array {
  const table = new Uint8Array(0x10000)
  for (const [port, layer] of KNOWN) table[port] = layer + 1
  for (const port of vxlanPorts) table[port] = Layer.vxlan + 1
  return table
}
