/** The table of the slow path: the step that reads a layer's header, by the layer's number. */
import type { Step } from './cursor.ts'
import { Layer, type LayerName } from './layer.ts'
import { arcnet } from './layers/arcnet.ts'
import { cHdlc } from './layers/c-hdlc.ts'
import { etherIp } from './layers/ether-ip.ts'
import { ethernet } from './layers/ethernet.ts'
import { ciscoMetadata, ciscoTimestamp, eTag, vnTag } from './layers/frame-tags.ts'
import { geneve } from './layers/geneve.ts'
import { gpe } from './layers/gpe.ts'
import { gre } from './layers/gre.ts'
import { gtpu } from './layers/gtpu.ts'
import { gue } from './layers/gue.ts'
import { ip } from './layers/ip.ts'
import { ipv4 } from './layers/ipv4.ts'
import { ipv6 } from './layers/ipv6.ts'
import { linuxSll, linuxSll2 } from './layers/linux-cooked.ts'
import { llc } from './layers/llc.ts'
import { loopback } from './layers/loopback.ts'
import { mpls } from './layers/mpls.ts'
import { nflog } from './layers/nflog.ts'
import { ppp, pppWithDirection } from './layers/ppp.ts'
import { pppoe } from './layers/pppoe.ts'
import { providerBackbone } from './layers/provider-backbone.ts'
import { radiotap } from './layers/radiotap.ts'
import { teredo } from './layers/teredo.ts'
import { tzsp } from './layers/tzsp.ts'
import { vlan } from './layers/vlan.ts'
import { vxlan } from './layers/vxlan.ts'
import { wifi } from './layers/wifi.ts'

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
  vnTag,
  eTag,
  ciscoMetadata,
  ciscoTimestamp,
  providerBackbone,
  tzsp,
  gtpu,
  gue,
  teredo,
  etherIp,
  ppp,
  pppWithDirection,
  cHdlc,
  nflog,
  wifi,
  radiotap,
  arcnet,
}

export const STEPS: readonly Step[] = stepsByLayer()

function stepsByLayer(): Step[] {
  const steps: Step[] = []
  for (const [name, step] of Object.entries(BY_NAME)) steps[Layer[name as LayerName]] = step
  return steps
}
