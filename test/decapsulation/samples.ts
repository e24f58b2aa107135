/** One packet per encapsulation that is read, with what must be found in it. */
import { Layer } from '../../src/decapsulation/layer.ts'
import { PPP_IPV4, PPP_IPV6, PPP_MPLS } from '../../src/decapsulation/layers/ppp.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import {
  AWS_OPTIONS,
  aMsdu,
  authenticationHeader,
  CLIENT6,
  cHdlc,
  enhancedGre,
  eoip,
  erspan2,
  erspan3,
  ethernet,
  fragmentHeader,
  frameTag,
  GOOGLE_OPTIONS,
  geneve,
  gpe,
  gre,
  gtpu,
  gue,
  ipv4,
  ipv6,
  llcSnap,
  loopback,
  mpls,
  nflog,
  optionsHeader,
  ppp,
  pppoe,
  pppoeAround,
  providerBackbone,
  radiotap,
  SERVER6,
  sll,
  sll2,
  snap,
  TEREDO_ORIGIN,
  tcp,
  teredoAuthentication,
  tzsp,
  udp,
  vxlan,
  wifi,
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
const TZSP: Entry = { layer: Layer.tzsp }
const WIFI: Entry = { linkType: LinkType.wifi }
const RADIOTAP: Entry = { linkType: LinkType.radiotap }

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
  'VXLAN on Linux’s port': { entry: ETHERNET, bytes: inUdp(8472, vxlan(3, FRAME4)), vni: 3 },
  TZSP: { entry: TZSP, bytes: tzsp(FRAME4) },
  'TZSP with tags': {
    entry: TZSP,
    bytes: tzsp(FRAME6, [Buffer.from([0]), Buffer.from([41, 2, 5, 220]), Buffer.from([10, 1, 0xc0]), Buffer.from([0])]),
    ipVersion: 6,
  },
  'TZSP in a capture': { entry: ETHERNET, bytes: inUdp(37_008, tzsp(FRAME4)) },
  'TZSP around 802.11': { entry: TZSP, bytes: tzsp(wifi({ payload: llcSnap(EtherType.ipv4, INNER4) }), [], 18) },
  'GTP-U': { entry: ETHERNET, bytes: inUdp(2152, gtpu({ payload: INNER4 })) },
  'GTP-U, IPv6': { entry: ETHERNET, bytes: inUdp(2152, gtpu({ payload: INNER6 })), ipVersion: 6 },
  ...table([1, 2, 3], (flags) => [
    `GTP-U, optional fields ${flags}`,
    { entry: ETHERNET, bytes: inUdp(2152, gtpu({ payload: INNER4, flags })) },
  ]),
  'GTP-U with a PDU session container': {
    entry: ETHERNET,
    bytes: inUdp(2152, gtpu({ payload: INNER4, extensions: [{ type: 0x85, content: Buffer.from([0x10, 0x09]) }] })),
  },
  'GTP-U with two extension headers': {
    entry: ETHERNET,
    bytes: inUdp(
      2152,
      gtpu({
        payload: INNER6,
        flags: 2,
        extensions: [
          { type: 0xc0, content: Buffer.from([1, 2]) },
          { type: 0x85, content: Buffer.alloc(6, 9) },
        ],
      }),
    ),
    ipVersion: 6,
  },
  'GTP-U around Ethernet': { entry: ETHERNET, bytes: inUdp(2152, gtpu({ payload: FRAME4 })) },
  'GUE variant 0, IPv4': { entry: ETHERNET, bytes: inUdp(6080, gue(IpProtocol.ipv4, INNER4)) },
  'GUE variant 0, IPv6, fields': { entry: ETHERNET, bytes: inUdp(6080, gue(IpProtocol.ipv6, INNER6, 3)), ipVersion: 6 },
  'GUE around GRE': { entry: ETHERNET, bytes: inUdp(6080, gue(IpProtocol.gre, gre(EtherType.ipv4, INNER4))) },
  'GUE variant 1, IPv4': { entry: ETHERNET, bytes: inUdp(6080, INNER4) },
  'GUE variant 1, IPv6': { entry: ETHERNET, bytes: inUdp(6080, INNER6), ipVersion: 6 },
  Teredo: { entry: ETHERNET, bytes: inUdp(3544, INNER6), ipVersion: 6 },
  'Teredo from a server': {
    entry: ETHERNET,
    bytes: inIpv4(IpProtocol.udp, udp(50_000, INNER6, 8 + INNER6.length, 3544)),
    ipVersion: 6,
  },
  'Teredo with origin': { entry: ETHERNET, bytes: inUdp(3544, Buffer.concat([TEREDO_ORIGIN, INNER6])), ipVersion: 6 },
  'Teredo with authentication': {
    entry: ETHERNET,
    bytes: inUdp(3544, Buffer.concat([teredoAuthentication(4, 5), INNER6])),
    ipVersion: 6,
  },
  'Teredo with both': {
    entry: ETHERNET,
    bytes: inUdp(3544, Buffer.concat([teredoAuthentication(0, 0), TEREDO_ORIGIN, INNER6])),
    ipVersion: 6,
  },
  'VN-Tag': { entry: ETHERNET, bytes: frameTag(EtherType.vnTag, 4, EtherType.ipv4, INNER4) },
  'VN-Tag, then VLAN': {
    entry: ETHERNET,
    bytes: frameTag(EtherType.vnTag, 4, EtherType.vlan, Buffer.concat([Buffer.from([0, 9, 0x86, 0xdd]), INNER6])),
    ipVersion: 6,
  },
  'E-Tag': { entry: ETHERNET, bytes: frameTag(EtherType.eTag, 6, EtherType.ipv4, INNER4) },
  'Cisco metadata': { entry: ETHERNET, bytes: frameTag(EtherType.ciscoMetadata, 6, EtherType.ipv4, INNER4) },
  'Cisco time stamp': {
    entry: ETHERNET,
    bytes: frameTag(EtherType.ciscoTimestamp, 6, EtherType.ipv6, INNER6),
    ipVersion: 6,
  },
  '802.1ah': { entry: ETHERNET, bytes: providerBackbone(0x123456, FRAME4) },
  '802.1ah in a backbone VLAN, a customer’s VLAN inside': {
    entry: ETHERNET,
    bytes: ethernet(0x88e7, providerBackbone(7, ethernet(EtherType.ipv4, INNER4, [EtherType.vlan])).subarray(14), [
      EtherType.serviceVlan,
    ]),
  },
  ...table([0x00, 0x02, 0x45, 0x60, 0x88, 0xfe], (first) => [
    `MPLS pseudowire without control word, address from ${first.toString(16)} on`,
    { entry: ETHERNET, bytes: ethernet(EtherType.mpls, mpls(2, mac(FRAME4, first))) },
  ]),
  'MPLS pseudowire without control word, tagged IPv6': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.mpls, mpls(1, mac(ethernet(EtherType.ipv6, INNER6, [EtherType.vlan]), 0x40))),
    ipVersion: 6,
  },
  'GRE, PPP': { entry: ETHERNET, bytes: inGre(0x880b, ppp(PPP_IPV4, INNER4, { framed: true })) },
  PPTP: {
    entry: ETHERNET,
    bytes: inIpv4(IpProtocol.gre, enhancedGre(0x880b, ppp(PPP_IPV4, INNER4, { framed: true }))),
  },
  'PPTP, compressed': {
    entry: ETHERNET,
    bytes: inIpv4(IpProtocol.gre, enhancedGre(0x880b, ppp(PPP_IPV4, INNER4, { oneByte: true }), false)),
  },
  WCCP: { entry: ETHERNET, bytes: inGre(0x883e, INNER4) },
  'WCCP version 2': { entry: ETHERNET, bytes: inGre(0x883e, Buffer.concat([Buffer.from([0x40, 1, 2, 3]), INNER4])) },
  'WCCP version 2, IPv6': {
    entry: ETHERNET,
    bytes: inGre(0x883e, Buffer.concat([Buffer.alloc(4), INNER6])),
    ipVersion: 6,
  },
  EoIP: { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, eoip(FRAME4)) },
  'GRE of Aruba': { entry: ETHERNET, bytes: inGre(0x8200, wifi({ payload: llcSnap(EtherType.ipv4, INNER4) })) },
  'GRE, a number of one’s own, Ethernet': { entry: ETHERNET, bytes: inGre(0xabcd, FRAME6), ipVersion: 6 },
  'GRE, a number of one’s own, IPv4': { entry: ETHERNET, bytes: inGre(0xabcd, INNER4) },
  'GRE, security group tag': {
    entry: ETHERNET,
    bytes: inGre(EtherType.ciscoMetadata, Buffer.from([1, 1, 0, 1, 0, 9, 8, 0, ...INNER4])),
  },
  EtherIP: { entry: ETHERNET, bytes: inIpv4(97, Buffer.concat([Buffer.from([0x30, 0]), FRAME4])) },
  'Ethernet in IPv6': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.ipv6, ipv6({ protocol: 143, payload: FRAME4 })),
  },
  'PPPoE, one-byte protocol': {
    entry: ETHERNET,
    bytes: ethernet(EtherType.pppoeSession, pppoeAround(ppp(PPP_IPV4, INNER4, { oneByte: true }))),
  },
  ...table([LinkType.ppp, LinkType.pppHdlc], (linkType) => [
    `link type PPP, ${linkType}`,
    { entry: { linkType }, bytes: ppp(PPP_IPV4, INNER4, { framed: true }) },
  ]),
  'link type PPP without framing': { entry: { linkType: LinkType.ppp }, bytes: ppp(PPP_IPV6, INNER6), ipVersion: 6 },
  'link type PPP, compressed': { entry: { linkType: LinkType.ppp }, bytes: ppp(PPP_IPV4, INNER4, { oneByte: true }) },
  'link type PPP, Cisco HDLC in it': { entry: { linkType: LinkType.pppHdlc }, bytes: cHdlc(EtherType.ipv4, INNER4) },
  'link type PPP of pppd': {
    entry: { linkType: LinkType.pppPppd },
    bytes: Buffer.concat([Buffer.from([1, 3]), ppp(PPP_IPV4, INNER4)]),
  },
  'link type PPP with direction': {
    entry: { linkType: LinkType.pppWithDirection },
    bytes: Buffer.concat([Buffer.from([1]), ppp(PPP_IPV4, INNER4, { framed: true })]),
  },
  'link type PPPoE': { entry: { linkType: LinkType.pppEther }, bytes: pppoe(PPP_IPV4, INNER4) },
  'link type Cisco HDLC': { entry: { linkType: LinkType.cHdlc }, bytes: cHdlc(EtherType.ipv6, INNER6), ipVersion: 6 },
  'link type NFLOG': { entry: { linkType: LinkType.nflog }, bytes: nflog(INNER4, 2) },
  'link type NFLOG, IPv6, big-endian': {
    entry: { linkType: LinkType.nflog },
    bytes: nflog(INNER6, 10, false),
    ipVersion: 6,
  },
  'link type ARCNET, RFC 1051': {
    entry: { linkType: LinkType.arcnetLinux },
    bytes: Buffer.concat([Buffer.from([1, 2, 0, 0, 240]), INNER4]),
  },
  'link type ARCNET, RFC 1201': {
    entry: { linkType: LinkType.arcnetLinux },
    bytes: Buffer.concat([Buffer.from([1, 2, 0, 0, 212, 0, 0, 7]), INNER4]),
  },
  '802.11, to the access point': { entry: WIFI, bytes: wifi({ payload: llcSnap(EtherType.ipv4, INNER4) }) },
  '802.11, from it, with a frame check sequence': {
    entry: WIFI,
    bytes: Buffer.concat([wifi({ flags: 0x02, payload: llcSnap(EtherType.ipv4, INNER4) }), Buffer.alloc(4, 0xfc)]),
  },
  '802.11, four addresses, bridge tunnel': {
    entry: WIFI,
    bytes: wifi({ flags: 0x03, payload: llcSnap(EtherType.ipv6, INNER6, 0xf8) }),
    ipVersion: 6,
  },
  '802.11, QoS': { entry: WIFI, bytes: wifi({ control: 0x88, payload: llcSnap(EtherType.ipv4, INNER4) }) },
  '802.11, QoS, HT control, four addresses': {
    entry: WIFI,
    bytes: wifi({ control: 0x88, flags: 0x83, payload: llcSnap(EtherType.ipv4, INNER4) }),
  },
  '802.11, an aggregate of one': {
    entry: WIFI,
    bytes: wifi({ control: 0x88, qos: 0x80, payload: aMsdu(llcSnap(EtherType.ipv4, INNER4)) }),
  },
  ...table([1, 2, 3], (words) => [
    `802.11 with radiotap, ${words} present words`,
    { entry: RADIOTAP, bytes: radiotap(wifi({ payload: llcSnap(EtherType.ipv4, INNER4) }), 0x10, { words }) },
  ]),
  '802.11 with radiotap, no field that matters': {
    entry: RADIOTAP,
    bytes: radiotap(wifi({ payload: llcSnap(EtherType.ipv4, INNER4) }), null, { hasTsft: false }),
  },
  '802.11 with radiotap, padded header': {
    entry: RADIOTAP,
    bytes: radiotap(wifi({ control: 0x88, isPadded: true, payload: llcSnap(EtherType.ipv4, INNER4) }), 0x20),
  },
  'PPPoE, MPLS': { entry: ETHERNET, bytes: ethernet(EtherType.pppoeSession, pppoe(PPP_MPLS, mpls(1, INNER4))) },
}

function mac(frame: Buffer, first: number): Buffer {
  const out = Buffer.from(frame)
  out[0] = first
  return out
}

function reservedBitsSet(datagram: Buffer): Buffer {
  datagram.fill(0xff, 0, 4)
  datagram[7] = 0xff
  return datagram
}

function table<T>(keys: readonly T[], row: (key: T) => [string, Sample]): Record<string, Sample> {
  return Object.fromEntries(keys.map(row))
}
