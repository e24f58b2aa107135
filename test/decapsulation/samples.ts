/** One packet per encapsulation that is read, with what must be found in it. */
import { Layer } from '../../src/decapsulation/layer.ts'
import { PPP_IPV4, PPP_IPV6, PPP_MPLS } from '../../src/decapsulation/layers/ppp.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import {
  AWS_OPTIONS,
  authenticationHeader,
  CLIENT6,
  erspan2,
  erspan3,
  ethernet,
  fragmentHeader,
  GOOGLE_OPTIONS,
  geneve,
  gpe,
  gre,
  ipv4,
  ipv6,
  loopback,
  mpls,
  optionsHeader,
  pppoe,
  SERVER6,
  sll,
  sll2,
  snap,
  tcp,
  udp,
  vxlan,
} from '../support/packets.ts'
import type { Entry } from './walk.ts'

export const DATA = 'GET / HTTP/1.1\r\n\r\n'
const SEGMENT = tcp({ data: DATA })
export const INNER4 = ipv4({ payload: SEGMENT })
export const INNER6 = ipv6({ payload: SEGMENT })
export const FRAME4 = ethernet(EtherType.ipv4, INNER4)
export const FRAME6 = ethernet(EtherType.ipv6, INNER6)

export const ETHERNET: Entry = { linkType: LinkType.ethernet }
const VXLAN: Entry = { layer: Layer.vxlan }
const GPE: Entry = { layer: Layer.gpe }
const GENEVE: Entry = { layer: Layer.geneve }

export interface Sample {
  readonly entry: Entry
  readonly bytes: Buffer
  readonly vni?: number
  readonly ipVersion?: 6
}

/** A frame that carries the IP protocol `protocol`. */
export function inIpv4(protocol: number, payload: Buffer): Buffer {
  return ethernet(EtherType.ipv4, ipv4({ source: '192.168.0.1', destination: '192.168.0.2', protocol, payload }))
}

export function inUdp(port: number, payload: Buffer): Buffer {
  return inIpv4(IpProtocol.udp, udp(port, payload))
}

const inGre = (protocol: number, payload: Buffer, flags = 0) => inIpv4(IpProtocol.gre, gre(protocol, payload, flags))
const greFlags = [0, 0x8000, 0x2000, 0x1000, 0xa000, 0x9000, 0x3000, 0xb000]
const extensions = {
  'hop-by-hop': [optionsHeader(IpProtocol.hopByHop)],
  routing: [optionsHeader(IpProtocol.routing, 3)],
  'destination options': [optionsHeader(IpProtocol.destinationOptions, 2)],
  mobility: [optionsHeader(IpProtocol.mobility)],
  'host identity': [optionsHeader(IpProtocol.hostIdentity, 5)],
  shim6: [optionsHeader(IpProtocol.shim6)],
  authentication: [authenticationHeader(6)],
  'atomic fragment': [fragmentHeader(9, 0, false)],
  'all of them': [
    optionsHeader(IpProtocol.hopByHop),
    optionsHeader(IpProtocol.destinationOptions),
    optionsHeader(IpProtocol.routing, 2),
    fragmentHeader(9, 0, false),
    authenticationHeader(4),
    optionsHeader(IpProtocol.mobility),
    optionsHeader(IpProtocol.hostIdentity),
    optionsHeader(IpProtocol.shim6),
  ],
}

export const SAMPLES: Readonly<Record<string, Sample>> = {
  'Ethernet, IPv4': { entry: ETHERNET, bytes: FRAME4 },
  'Ethernet, IPv6': { entry: ETHERNET, bytes: FRAME6, ipVersion: 6 },
  VLAN: { entry: ETHERNET, bytes: ethernet(EtherType.ipv4, INNER4, [EtherType.vlan]) },
  QinQ: { entry: ETHERNET, bytes: ethernet(EtherType.ipv4, INNER4, [EtherType.serviceVlan, EtherType.vlan]) },
  'three tags of three kinds': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.ipv6, INNER6, [EtherType.oldServiceVlan, EtherType.serviceVlan, EtherType.vlan]),
    ipVersion: 6,
  },
  '802.3 with SNAP': { entry: ETHERNET, bytes: snap(EtherType.ipv4, INNER4) },
  'Linux cooked': { entry: { linkType: LinkType.linuxSll }, bytes: sll(EtherType.ipv4, INNER4) },
  'Linux cooked, VLAN': {
    entry: { linkType: LinkType.linuxSll },
    bytes: sll(EtherType.vlan, Buffer.concat([Buffer.from([0, 100, 8, 0]), INNER4])),
  },
  'Linux cooked 2': { entry: { linkType: LinkType.linuxSll2 }, bytes: sll2(EtherType.ipv6, INNER6), ipVersion: 6 },
  'loopback, IPv4, little-endian': { entry: { linkType: LinkType.null }, bytes: loopback(2, INNER4, true) },
  'loopback, IPv4, big-endian': { entry: { linkType: LinkType.null }, bytes: loopback(2, INNER4, false) },
  'OpenBSD loop': { entry: { linkType: LinkType.loop }, bytes: loopback(2, INNER4, false) },
  ...table([10, 24, 28, 30], (family) => [
    `loopback, IPv6, family ${family}, little-endian`,
    { entry: { linkType: LinkType.null }, bytes: loopback(family, INNER6, true), ipVersion: 6 },
  ]),
  ...table([10, 24, 28, 30], (family) => [
    `loopback, IPv6, family ${family}, big-endian`,
    { entry: { linkType: LinkType.null }, bytes: loopback(family, INNER6, false), ipVersion: 6 },
  ]),
  ...table([LinkType.raw, LinkType.rawBsd, LinkType.rawOpenBsd], (linkType) => [
    `raw IPv4, link type ${linkType}`,
    { entry: { linkType }, bytes: INNER4 },
  ]),
  'raw IPv6': { entry: { linkType: LinkType.raw }, bytes: INNER6, ipVersion: 6 },
  'link type IPv4': { entry: { linkType: LinkType.ipv4 }, bytes: INNER4 },
  'link type IPv6': { entry: { linkType: LinkType.ipv6 }, bytes: INNER6, ipVersion: 6 },
  'IPv4 options': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.ipv4, ipv4({ payload: SEGMENT, options: Buffer.alloc(40, 1) })),
  },
  'TCP options': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.ipv4, ipv4({ payload: tcp({ data: DATA, options: Buffer.alloc(40, 1) }) })),
  },
  ...table(Object.entries(extensions), ([name, headers]) => [
    `IPv6 with ${name}`,
    { entry: ETHERNET, bytes: ethernet(EtherType.ipv6, ipv6({ payload: SEGMENT, extensions: headers })), ipVersion: 6 },
  ]),
  'total length 0 (segmentation offload)': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.ipv4, ipv4({ payload: SEGMENT, totalLength: 0 })),
  },
  'IPv6 payload length 0': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.ipv6, ipv6({ payload: SEGMENT, payloadLength: 0 })),
    ipVersion: 6,
  },

  VXLAN: { entry: VXLAN, bytes: vxlan(0xabcdef, FRAME4), vni: 0xabcdef },
  'VXLAN with every reserved bit set': { entry: VXLAN, bytes: reservedBitsSet(vxlan(5, FRAME4)), vni: 5 },
  'VXLAN, tagged frame': { entry: VXLAN, bytes: vxlan(7, ethernet(EtherType.ipv4, INNER4, [EtherType.vlan])), vni: 7 },
  'VXLAN in a capture': { entry: ETHERNET, bytes: inUdp(4789, vxlan(12, FRAME6)), vni: 12, ipVersion: 6 },
  'VXLAN over IPv6': {
    entry: ETHERNET,
    bytes: ethernet(
      EtherType.ipv6,
      ipv6({ source: SERVER6, destination: CLIENT6, protocol: IpProtocol.udp, payload: udp(4789, vxlan(1, FRAME4)) }),
    ),
    vni: 1,
  },
  'VXLAN in VXLAN': { entry: VXLAN, bytes: vxlan(1, inUdp(4789, vxlan(2, FRAME4))), vni: 2 },
  'GPE, IPv4': { entry: GPE, bytes: gpe(3, 1, INNER4), vni: 3 },
  'GPE, IPv6': { entry: GPE, bytes: gpe(3, 2, INNER6), vni: 3, ipVersion: 6 },
  'GPE, Ethernet': { entry: GPE, bytes: gpe(3, 3, FRAME4), vni: 3 },
  'GPE without the P bit': { entry: GPE, bytes: gpe(3, 0, FRAME4, 0x08), vni: 3 },
  'GPE in a capture': { entry: ETHERNET, bytes: inUdp(4790, gpe(4, 1, INNER4)), vni: 4 },
  'GENEVE, Ethernet': {
    entry: GENEVE,
    bytes: geneve({ vni: 9, protocol: EtherType.transparentEthernet, payload: FRAME4 }),
    vni: 9,
  },
  'GENEVE, IPv4, a load balancer’s options': {
    entry: GENEVE,
    bytes: geneve({ protocol: EtherType.ipv4, payload: INNER4, options: AWS_OPTIONS }),
    vni: 0,
  },
  'GENEVE, IPv6, Google’s options': {
    entry: GENEVE,
    bytes: geneve({ protocol: EtherType.ipv6, payload: INNER6, options: GOOGLE_OPTIONS }),
    vni: 0,
    ipVersion: 6,
  },
  'GENEVE around VXLAN': {
    entry: GENEVE,
    bytes: geneve({
      protocol: EtherType.ipv4,
      payload: inUdp(4789, vxlan(77, FRAME4)).subarray(14),
      options: AWS_OPTIONS,
    }),
    vni: 77,
  },
  'GENEVE in a capture': {
    entry: ETHERNET,
    bytes: inUdp(6081, geneve({ vni: 8, protocol: EtherType.ipv4, payload: INNER4 })),
    vni: 8,
  },
  ...table(greFlags, (flags) => [
    `GRE, flags ${flags.toString(16)}`,
    { entry: ETHERNET, bytes: inGre(EtherType.ipv4, INNER4, flags) },
  ]),
  'GRE, IPv6': { entry: ETHERNET, bytes: inGre(EtherType.ipv6, INNER6), ipVersion: 6 },
  'GRE, Ethernet': { entry: ETHERNET, bytes: inGre(EtherType.transparentEthernet, FRAME4, 0x2000) },
  'GRE, MPLS': { entry: ETHERNET, bytes: inGre(EtherType.mpls, mpls(2, INNER4)) },
  'ERSPAN I': { entry: ETHERNET, bytes: inGre(EtherType.erspan, FRAME4) },
  'ERSPAN II': { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, erspan2(FRAME4)) },
  'ERSPAN III': { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, erspan3(FRAME4, 0, false)) },
  'ERSPAN III with subheader': { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, erspan3(FRAME4, 0, true)) },
  'ERSPAN III around IP': { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, erspan3(INNER6, 2, true)), ipVersion: 6 },
  'IP in IP': { entry: ETHERNET, bytes: inIpv4(IpProtocol.ipv4, INNER4) },
  '6in4': { entry: ETHERNET, bytes: inIpv4(IpProtocol.ipv6, INNER6), ipVersion: 6 },
  '4in6': { entry: ETHERNET, bytes: ethernet(EtherType.ipv6, ipv6({ protocol: IpProtocol.ipv4, payload: INNER4 })) },
  'MPLS, one label': { entry: ETHERNET, bytes: ethernet(EtherType.mpls, mpls(1, INNER4)) },
  'MPLS multicast, three labels': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.mplsMulticast, mpls(3, INNER6)),
    ipVersion: 6,
  },
  'MPLS pseudowire': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.mpls, mpls(2, Buffer.concat([Buffer.alloc(4), FRAME4]))),
  },
  'MPLS in IP': { entry: ETHERNET, bytes: inIpv4(IpProtocol.mpls, mpls(1, INNER4)) },
  'PPPoE, IPv4': { entry: ETHERNET, bytes: ethernet(EtherType.pppoeSession, pppoe(PPP_IPV4, INNER4)) },
  'PPPoE, IPv6': { entry: ETHERNET, bytes: ethernet(EtherType.pppoeSession, pppoe(PPP_IPV6, INNER6)), ipVersion: 6 },
  'PPPoE, MPLS': { entry: ETHERNET, bytes: ethernet(EtherType.pppoeSession, pppoe(PPP_MPLS, mpls(1, INNER4))) },
}

function reservedBitsSet(datagram: Buffer): Buffer {
  datagram.fill(0xff, 0, 4)
  datagram[7] = 0xff
  return datagram
}

function table<T>(keys: readonly T[], row: (key: T) => [string, Sample]): Record<string, Sample> {
  return Object.fromEntries(keys.map(row))
}
