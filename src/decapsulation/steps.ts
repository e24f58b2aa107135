/** The table of the slow path: the step that reads a layer's header, by the layer's number. */
import type { Step } from './cursor.ts'
import { Layer, type LayerName } from './layer.ts'
import { ethernet } from './layers/ethernet.ts'
import { geneve } from './layers/geneve.ts'
import { gpe } from './layers/gpe.ts'
import { gre } from './layers/gre.ts'
import { ip } from './layers/ip.ts'
import { ipv4 } from './layers/ipv4.ts'
import { ipv6 } from './layers/ipv6.ts'
import { linuxSll, linuxSll2 } from './layers/linux-cooked.ts'
import { llc } from './layers/llc.ts'
import { loopback } from './layers/loopback.ts'
import { mpls } from './layers/mpls.ts'
import { pppoe } from './layers/pppoe.ts'
import { vlan } from './layers/vlan.ts'
import { vxlan } from './layers/vxlan.ts'

const BY_NAME: Readonly<Record<LayerName, Step>> = {
  ethernet,
  vlan,
  llc,
  ip,
  ipv4,
  ipv6,
  vxlan,
  gpe,
  geneve,
  gre,
  mpls,
  pppoe,
  linuxSll,
  linuxSll2,
  loopback,
}

export const STEPS: readonly Step[] = stepsByLayer()

function stepsByLayer(): Step[] {
  const steps: Step[] = []
  for (const [name, step] of Object.entries(BY_NAME)) steps[Layer[name as LayerName]] = step
  return steps
}
