/**
 * Finds the inner TCP packet of whatever a mirror or a capture delivers: one walk over the headers, outside to inside.
 *
 * In: bytes of a frame or of a mirrored datagram. Out: `view` filled and `Verdict.tcp`; or one of the other verdicts. No
 * header is trusted: every layer checks its length before it reads, and each refusal is one reason of PacketDrop.
 */
import { PacketDrop } from '../base/drop.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { i32, u16, u24 } from '../wire/bytes.ts'
import { ipv4ChecksumHolds, tcpChecksumHolds } from '../wire/checksum.ts'
import {
  ETHERNET_HEADER_LEN,
  ETHERNET_MAX_LENGTH,
  ETHERNET_TYPE,
  EtherType,
  LinkType,
  NULL_HEADER_LEN,
  SLL_HEADER_LEN,
  SLL_PROTOCOL,
  SLL2_HEADER_LEN,
  SLL2_PROTOCOL,
  SNAP_HEADER_LEN,
  VLAN_NEXT_TYPE,
  VLAN_TAG_LEN,
} from '../wire/ethernet.ts'
import {
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_MIN_HEADER_LEN,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV6_FRAGMENT_HEADER_LEN,
  IPV6_HEADER_LEN,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
  IpProtocol,
  UDP_DESTINATION_PORT,
  UDP_HEADER_LEN,
  UDP_LENGTH,
} from '../wire/ip.ts'
import { TCP_MIN_HEADER_LEN, tcpHeaderLength } from '../wire/tcp.ts'
import {
  ERSPAN2_HEADER_LEN,
  ERSPAN3_FLAGS,
  ERSPAN3_FRAME_TYPE,
  ERSPAN3_FRAME_TYPE_IP,
  ERSPAN3_HEADER_LEN,
  ERSPAN3_SUBHEADER_LEN,
  GENEVE_CLASS_AWS,
  GENEVE_CLASS_GOOGLE,
  GENEVE_FLAG_CONTROL,
  GENEVE_HEADER_LEN,
  GENEVE_OPTION_CRITICAL,
  GENEVE_OPTION_HEADER_LEN,
  GENEVE_PROTOCOL,
  GENEVE_VNI,
  GPE_FLAG_NEXT_PROTOCOL,
  GPE_NEXT_PROTOCOL,
  GpeProtocol,
  GRE_HEADER_LEN,
  GRE_PROTOCOL,
  GRE_ROUTING,
  GRE_SEQUENCE,
  GRE_VERSION,
  geneveOptionClass,
  geneveOptionLength,
  geneveOptionsLength,
  greHeaderLength,
  MPLS_BOTTOM,
  MPLS_ENTRY_LEN,
  PPP_IPV4,
  PPP_IPV6,
  PPP_MPLS,
  PPPOE_HEADER_LEN,
  TunnelPort,
  VXLAN_FLAG_VNI_VALID,
  VXLAN_HEADER_LEN,
  VXLAN_VNI,
} from '../wire/tunnel.ts'
import { type FragmentLimits, FragmentStore } from './fragment-store.ts'
import type { NetworkList } from './networks.ts'
import { PacketView } from './packet-view.ts'

/** What became of a packet. Positive numbers are PacketDrop codes. */
export const Verdict = {
  /** An inner TCP packet stands in `view`. */
  tcp: 0,
  /** Nothing wrong, but no TCP for us: ARP, DNS, ICMP, … */
  other: -1,
  /** A fragment that waits for the rest of its datagram. */
  held: -2,
} as const

/** Layers a walk can start at or come to. */
export const Layer = {
  ethernet: 0,
  ip: 1,
  ipv4: 2,
  ipv6: 3,
  vxlan: 4,
  gpe: 5,
  geneve: 6,
  gre: 7,
  mpls: 8,
  pppoe: 9,
  etherType: 10,
  none: 11,
} as const

export interface DecapsulatorOptions {
  readonly vlanDepth: number
  readonly tunnelDepth: number
  readonly verifyChecksums: boolean
  readonly fragments: FragmentLimits
  /** Outer sources allowed to mirror; null: any. */
  readonly allowFrom: NetworkList | null
  /** VNIs taken; null: any, and traffic without one. */
  readonly vnis: ReadonlySet<number> | null
}

const NO_VNI = -1
/** First byte of an IPv4 header: version 4, five words. */
const IPV4_WITHOUT_OPTIONS = 0x45

/** Labels and tags behind each other that no real network has; a bound for crafted packets. */
const MAX_MPLS_LABELS = 16
const MAX_IPV6_EXTENSIONS = 16

/** Verdicts whose cause is the receive slot where the datagram did not fit it. */
const ENDED_EARLY: ReadonlySet<number> = new Set([
  PacketDrop.linkTruncated,
  PacketDrop.vxlanTruncated,
  PacketDrop.gpeTruncated,
  PacketDrop.geneveTruncated,
  PacketDrop.greTruncated,
  PacketDrop.mplsTruncated,
  PacketDrop.pppoeTruncated,
  PacketDrop.ipTruncated,
  PacketDrop.fragmentCut,
  PacketDrop.tcpTruncated,
])

export class Decapsulator {
  readonly view = new PacketView()
  private options: DecapsulatorOptions
  private readonly counters: CounterBlock
  private readonly fragments: FragmentStore
  /** Time of what comes next, never going back: waiting fragments grow old by it. A field, because a number passed along would be boxed. */
  nowUs = 0
  /** Something is asked of every packet that only the walk checks. */
  private takesOnlyWalked: boolean

  // The walk's cursor: fields, because a JavaScript function returns one number.
  private bytes: Buffer = this.view.bytes
  private at = 0
  /** End of the bytes present, and end on the wire (beyond `end` where the packet was cut). */
  private end = 0
  private wireEnd = 0
  private etherType = 0
  private vlans = 0
  private tunnels = 0
  private vni = NO_VNI
  /** Put together from fragments that may be of two datagrams: only a right checksum proves it whole. */
  private isSuspect = false

  constructor(options: DecapsulatorOptions, counters: CounterBlock) {
    this.options = options
    this.counters = counters
    this.takesOnlyWalked = options.verifyChecksums || options.vnis !== null
    this.fragments = new FragmentStore(options.fragments, counters)
  }

  /** Takes over whom to hear, between two packets; the rest stays. */
  change({ allowFrom, vnis }: Pick<DecapsulatorOptions, 'allowFrom' | 'vnis'>): void {
    this.options = { ...this.options, allowFrom, vnis }
    this.takesOnlyWalked = this.options.verifyChecksums || vnis !== null
  }

  /** A whole frame of a capture. `wireEnd - at` is its length on the wire. */
  frame(bytes: Buffer, at: number, end: number, wireEnd: number, linkType: number): number {
    if (linkType === LinkType.ethernet && this.isPlain(bytes, at, end, NO_VNI)) return Verdict.tcp
    this.start(bytes, at, end, wireEnd)
    switch (linkType) {
      case LinkType.ethernet:
        return this.walk(Layer.ethernet)
      case LinkType.raw:
      case LinkType.rawBsd:
      case LinkType.rawOpenBsd:
        return this.walk(Layer.ip)
      case LinkType.ipv4:
        return this.walk(Layer.ipv4)
      case LinkType.ipv6:
        return this.walk(Layer.ipv6)
      case LinkType.linuxSll:
        if (end - at < SLL_HEADER_LEN) return PacketDrop.linkTruncated
        this.etherType = u16(bytes, at + SLL_PROTOCOL)
        this.at = at + SLL_HEADER_LEN
        return this.walk(Layer.etherType)
      case LinkType.linuxSll2:
        if (end - at < SLL2_HEADER_LEN) return PacketDrop.linkTruncated
        this.etherType = u16(bytes, at + SLL2_PROTOCOL)
        this.at = at + SLL2_HEADER_LEN
        return this.walk(Layer.etherType)
      case LinkType.null:
      case LinkType.loop:
        if (end - at < NULL_HEADER_LEN) return PacketDrop.linkTruncated
        this.at = at + NULL_HEADER_LEN
        return this.walk(layerOfAddressFamily(i32(bytes, at)))
      default:
        return PacketDrop.linkType
    }
  }

  /**
   * The payload of a mirrored datagram, beginning at `layer` (vxlan, gpe or geneve).
   * @param isCut the datagram was longer than what is here
   */
  datagram(bytes: Buffer, at: number, end: number, isCut: boolean, layer: number): number {
    const isPlain =
      layer === Layer.vxlan &&
      !isCut &&
      end - at >= VXLAN_HEADER_LEN &&
      (bytes[at]! & VXLAN_FLAG_VNI_VALID) !== 0 &&
      this.isPlain(bytes, at + VXLAN_HEADER_LEN, end, u24(bytes, at + VXLAN_VNI))
    if (isPlain) return Verdict.tcp
    // How much was cut is unknown; inner IP headers state their own length.
    this.start(bytes, at, end, isCut ? end + 1 : end)
    const verdict = this.walk(layer)
    return isCut && ENDED_EARLY.has(verdict) ? PacketDrop.datagramTruncated : verdict
  }

  /** Lets waiting fragments grow old. */
  tick(): void {
    this.fragments.expire(this.nowUs)
  }

  /** The end of the input: what still waits is dropped. */
  flush(): void {
    this.fragments.clear()
  }

  /**
   * The frame that nearly all are: Ethernet, IPv4 without options, whole and unfragmented, TCP, nothing to be checked. Fills `view` as
   * the walk would have, in one straight run of comparisons. False: the walk has to look.
   */
  private isPlain(bytes: Buffer, at: number, end: number, vni: number): boolean {
    const ipAt = at + ETHERNET_HEADER_LEN
    const tcpAt = ipAt + IPV4_MIN_HEADER_LEN
    if (this.takesOnlyWalked || end - tcpAt < TCP_MIN_HEADER_LEN) return false
    if (u16(bytes, at + ETHERNET_TYPE) !== EtherType.ipv4 || bytes[ipAt] !== IPV4_WITHOUT_OPTIONS) return false
    if (bytes[ipAt + IPV4_PROTOCOL] !== IpProtocol.tcp) return false
    if ((u16(bytes, ipAt + IPV4_FRAGMENT) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) !== 0) return false
    const packetEnd = ipAt + u16(bytes, ipAt + IPV4_TOTAL_LENGTH)
    const headerLength = tcpHeaderLength(bytes, tcpAt)
    if (packetEnd > end || headerLength < TCP_MIN_HEADER_LEN || headerLength > packetEnd - tcpAt) return false
    const { view } = this
    view.bytes = bytes
    view.ipAt = ipAt
    view.ipVersion = 4
    view.tcpAt = tcpAt
    view.end = packetEnd
    view.trueEnd = packetEnd
    view.vni = vni
    return true
  }

  private start(bytes: Buffer, at: number, end: number, wireEnd: number): void {
    this.bytes = bytes
    this.at = at
    this.end = end
    this.wireEnd = wireEnd
    this.vlans = 0
    this.tunnels = 0
    this.vni = NO_VNI
    this.isSuspect = false
  }

  private walk(first: number): number {
    let layer = first
    for (;;) {
      // Each step moves the cursor inward and answers with the next layer, or a verdict moved below zero.
      let step: number
      switch (layer) {
        case Layer.ethernet:
          step = this.ethernet()
          break
        case Layer.etherType:
          step = this.byEtherType()
          break
        case Layer.ip:
          step = this.ip()
          break
        case Layer.ipv4:
          step = this.ipv4()
          break
        case Layer.ipv6:
          step = this.ipv6()
          break
        case Layer.vxlan:
          step = this.vxlan()
          break
        case Layer.gpe:
          step = this.gpe()
          break
        case Layer.geneve:
          step = this.geneve()
          break
        case Layer.gre:
          step = this.gre()
          break
        case Layer.mpls:
          step = this.mpls()
          break
        case Layer.pppoe:
          step = this.pppoe()
          break
        default:
          return Verdict.other
      }
      if (step < 0) return step + DONE
      layer = step
    }
  }

  private ethernet(): number {
    const { bytes, at, end } = this
    if (end - at < ETHERNET_HEADER_LEN) return done(PacketDrop.linkTruncated)
    this.etherType = u16(bytes, at + ETHERNET_TYPE)
    this.at = at + ETHERNET_HEADER_LEN
    return Layer.etherType
  }

  private byEtherType(): number {
    const { bytes } = this
    let type = this.etherType
    while (type === EtherType.vlan || type === EtherType.serviceVlan || type === EtherType.oldServiceVlan) {
      // The cursor stands behind the tag's own type, at its 2 bytes of control information.
      if (this.end - this.at < VLAN_TAG_LEN) return done(PacketDrop.linkTruncated)
      if (++this.vlans > this.options.vlanDepth) return done(PacketDrop.vlanDepth)
      type = u16(bytes, this.at + VLAN_NEXT_TYPE - 2)
      this.at += VLAN_TAG_LEN
    }
    if (type === EtherType.ipv4) return Layer.ipv4
    if (type === EtherType.ipv6) return Layer.ipv6
    if (type === EtherType.mpls || type === EtherType.mplsMulticast) return Layer.mpls
    if (type === EtherType.pppoeSession) return Layer.pppoe
    if (type === EtherType.transparentEthernet) return Layer.ethernet
    if (
      type <= ETHERNET_MAX_LENGTH &&
      this.end - this.at >= SNAP_HEADER_LEN &&
      i32(bytes, this.at) >>> 8 === 0xaaaa03
    ) {
      // LLC with SNAP: organisation code (bytes 3 to 5) zero means an EtherType follows.
      if (bytes[this.at + 3] !== 0 || u16(bytes, this.at + 4) !== 0) return done(Verdict.other)
      this.etherType = u16(bytes, this.at + 6)
      this.at += SNAP_HEADER_LEN
      return this.etherType > ETHERNET_MAX_LENGTH ? Layer.etherType : done(Verdict.other)
    }
    return done(Verdict.other)
  }

  /** Raw IP: the version nibble says which. */
  private ip(): number {
    if (this.end <= this.at) return done(PacketDrop.ipTruncated)
    const version = this.bytes[this.at]! >> 4
    return version === 4 ? Layer.ipv4 : version === 6 ? Layer.ipv6 : done(PacketDrop.ipVersion)
  }

  private ipv4(): number {
    const { bytes, at } = this
    if (this.end - at < IPV4_MIN_HEADER_LEN) return done(PacketDrop.ipTruncated)
    if (bytes[at]! >> 4 !== 4) return done(PacketDrop.ipVersion)
    const headerLength = (bytes[at]! & 15) << 2
    let total = u16(bytes, at + IPV4_TOTAL_LENGTH)
    // Segmentation offload: frames captured on the sender may state 0. The frame is then the packet.
    if (total === 0) total = this.wireEnd - at
    if (headerLength < IPV4_MIN_HEADER_LEN || total < headerLength) return done(PacketDrop.ipLength)
    if (!this.narrow(at + total) || this.end - at < headerLength) return done(PacketDrop.ipTruncated)
    if (this.options.verifyChecksums && !ipv4ChecksumHolds(bytes, at, headerLength)) return done(PacketDrop.ipChecksum)
    const payloadAt = at + headerLength
    if ((u16(bytes, at + IPV4_FRAGMENT) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) !== 0) {
      if (this.wireEnd > this.end) return done(PacketDrop.fragmentCut)
      return this.resume(this.fragments.addIpv4(bytes, at, payloadAt, this.end, this.vni, this.nowUs), Layer.ipv4)
    }
    return this.transport(bytes[at + IPV4_PROTOCOL]!, payloadAt, at, 4)
  }

  private ipv6(): number {
    const { bytes, at } = this
    if (this.end - at < IPV6_HEADER_LEN) return done(PacketDrop.ipTruncated)
    if (bytes[at]! >> 4 !== 6) return done(PacketDrop.ipVersion)
    const payloadLength = u16(bytes, at + IPV6_PAYLOAD_LENGTH)
    // 0: a jumbo payload (RFC 2675) or segmentation offload. The frame is then the packet.
    if (!this.narrow(payloadLength === 0 ? this.wireEnd : at + IPV6_HEADER_LEN + payloadLength))
      return done(PacketDrop.ipTruncated)
    let next = bytes[at + IPV6_NEXT_HEADER]!
    let p = at + IPV6_HEADER_LEN
    for (let i = 0; i < MAX_IPV6_EXTENSIONS; i++) {
      let length: number
      switch (next) {
        case IpProtocol.hopByHop:
        case IpProtocol.routing:
        case IpProtocol.destinationOptions:
        case IpProtocol.mobility:
        case IpProtocol.hostIdentity:
        case IpProtocol.shim6:
          length = (bytes[p + 1]! + 1) << 3
          break
        case IpProtocol.authentication:
          // The one extension header counted in 4-byte words (RFC 4302 section 2.2).
          length = (bytes[p + 1]! + 2) << 2
          break
        case IpProtocol.fragment: {
          if (this.end - p < IPV6_FRAGMENT_HEADER_LEN) return done(PacketDrop.ipTruncated)
          // Offset 0 and no more fragments: an atomic fragment is a whole packet (RFC 6946).
          if ((u16(bytes, p + 2) & 0xfff9) === 0) {
            length = IPV6_FRAGMENT_HEADER_LEN
            break
          }
          if (this.wireEnd > this.end) return done(PacketDrop.fragmentCut)
          return this.resume(this.fragments.addIpv6(bytes, at, p, this.end, this.vni, this.nowUs), Layer.ipv6)
        }
        default:
          return this.transport(next, p, at, 6)
      }
      // No extension header is shorter than 8 bytes; a length read from beyond the packet fails here too.
      if (this.end - p < 8 || this.end - p < length) return done(PacketDrop.ipTruncated)
      next = bytes[p]!
      p += length
    }
    return done(PacketDrop.ipTruncated)
  }

  /** Restricts the cursor to an IP packet that ends at `packetEnd`; false when not even one byte of it is there. */
  private narrow(packetEnd: number): boolean {
    // Padding behind the packet (Ethernet's minimum of 60 bytes) falls away; a packet longer than the frame was cut.
    if (packetEnd < this.end) this.end = packetEnd
    this.wireEnd = packetEnd
    return this.end > this.at
  }

  private resume(whole: Buffer | null, layer: number): number {
    if (whole === null) return done(Verdict.held)
    this.bytes = whole
    this.at = 0
    this.end = whole.length
    this.wireEnd = whole.length
    this.isSuspect ||= this.fragments.isSuspect
    return layer
  }

  private transport(protocol: number, at: number, ipAt: number, ipVersion: number): number {
    this.at = at
    switch (protocol) {
      case IpProtocol.tcp:
        return done(this.tcp(at, ipAt, ipVersion))
      case IpProtocol.udp:
        return this.udp(at, ipAt, ipVersion)
      case IpProtocol.ipv4:
        return this.enter(Layer.ipv4)
      case IpProtocol.ipv6:
        return this.enter(Layer.ipv6)
      case IpProtocol.gre:
        return this.allows(ipAt, ipVersion) ? this.enter(Layer.gre) : done(PacketDrop.sourceNotAllowed)
      case IpProtocol.mpls:
        return this.enter(Layer.mpls)
      default:
        return done(Verdict.other)
    }
  }

  private tcp(at: number, ipAt: number, ipVersion: number): number {
    const { bytes, end, wireEnd, view } = this
    if (end - at < TCP_MIN_HEADER_LEN)
      return wireEnd - at < TCP_MIN_HEADER_LEN ? PacketDrop.tcpLength : PacketDrop.tcpTruncated
    const headerLength = tcpHeaderLength(bytes, at)
    if (headerLength < TCP_MIN_HEADER_LEN || headerLength > wireEnd - at) return PacketDrop.tcpLength
    if (headerLength > end - at) return PacketDrop.tcpTruncated
    if (this.options.vnis !== null && !this.options.vnis.has(this.vni)) return PacketDrop.vniNotAllowed
    if (wireEnd > end) this.counters.add(Counter.packetsTruncated)
    else if ((this.options.verifyChecksums || this.isSuspect) && !tcpChecksumHolds(bytes, ipAt, ipVersion, at, end))
      return PacketDrop.tcpChecksum
    view.bytes = bytes
    view.ipAt = ipAt
    view.ipVersion = ipVersion
    view.tcpAt = at
    view.end = end
    view.trueEnd = wireEnd
    view.vni = this.vni
    return Verdict.tcp
  }

  private udp(at: number, ipAt: number, ipVersion: number): number {
    const { bytes } = this
    if (this.end - at < UDP_HEADER_LEN) return done(Verdict.other)
    const port = u16(bytes, at + UDP_DESTINATION_PORT)
    if (port !== TunnelPort.vxlan && port !== TunnelPort.gpe && port !== TunnelPort.geneve) return done(Verdict.other)
    if (!this.allows(ipAt, ipVersion)) return done(PacketDrop.sourceNotAllowed)
    const length = u16(bytes, at + UDP_LENGTH)
    // Length 0 is segmentation offload again; a length beyond the packet is left to the inner headers to refuse.
    if (length >= UDP_HEADER_LEN && at + length < this.wireEnd) this.narrow(at + length)
    this.at = at + UDP_HEADER_LEN
    return this.enter(port === TunnelPort.vxlan ? Layer.vxlan : port === TunnelPort.gpe ? Layer.gpe : Layer.geneve)
  }

  private enter(layer: number): number {
    return ++this.tunnels > this.options.tunnelDepth ? done(PacketDrop.tunnelDepth) : layer
  }

  /** Only the outermost tunnel's source is checked: it names the mirror source. */
  private allows(ipAt: number, ipVersion: number): boolean {
    const list = this.options.allowFrom
    if (list === null || this.tunnels > 0) return true
    const { bytes } = this
    if (ipVersion === 4) return list.hasIpv4(i32(bytes, ipAt + IPV4_SOURCE))
    const s = ipAt + IPV6_SOURCE
    return list.hasIpv6(i32(bytes, s), i32(bytes, s + 4), i32(bytes, s + 8), i32(bytes, s + 12))
  }

  private vxlan(): number {
    const { bytes, at } = this
    if (this.end - at < VXLAN_HEADER_LEN) return done(PacketDrop.vxlanTruncated)
    if ((bytes[at]! & VXLAN_FLAG_VNI_VALID) === 0) return done(PacketDrop.vxlanNoVni)
    this.vni = u24(bytes, at + VXLAN_VNI)
    this.at = at + VXLAN_HEADER_LEN
    return Layer.ethernet
  }

  private gpe(): number {
    const { bytes, at } = this
    if (this.end - at < VXLAN_HEADER_LEN) return done(PacketDrop.gpeTruncated)
    const flags = bytes[at]!
    if ((flags & VXLAN_FLAG_VNI_VALID) === 0) return done(PacketDrop.vxlanNoVni)
    this.vni = u24(bytes, at + VXLAN_VNI)
    this.at = at + VXLAN_HEADER_LEN
    // Without the P bit it is plain VXLAN: Ethernet.
    if ((flags & GPE_FLAG_NEXT_PROTOCOL) === 0) return Layer.ethernet
    switch (bytes[at + GPE_NEXT_PROTOCOL]) {
      case GpeProtocol.ipv4:
        return Layer.ipv4
      case GpeProtocol.ipv6:
        return Layer.ipv6
      case GpeProtocol.ethernet:
        return Layer.ethernet
      default:
        return done(PacketDrop.gpeProtocol)
    }
  }

  private geneve(): number {
    const { bytes, at, end } = this
    if (end - at < GENEVE_HEADER_LEN) return done(PacketDrop.geneveTruncated)
    if (bytes[at]! >> 6 !== 0) return done(PacketDrop.geneveVersion)
    if ((bytes[at + 1]! & GENEVE_FLAG_CONTROL) !== 0) return done(PacketDrop.geneveControl)
    const optionsEnd = at + GENEVE_HEADER_LEN + geneveOptionsLength(bytes, at)
    if (optionsEnd > end) return done(PacketDrop.geneveTruncated)
    let p = at + GENEVE_HEADER_LEN
    while (p < optionsEnd) {
      if (optionsEnd - p < GENEVE_OPTION_HEADER_LEN) return done(PacketDrop.geneveOptions)
      const optionClass = geneveOptionClass(bytes, p)
      const isKnown = optionClass === GENEVE_CLASS_AWS || optionClass === GENEVE_CLASS_GOOGLE
      if ((bytes[p + 2]! & GENEVE_OPTION_CRITICAL) !== 0 && !isKnown) this.counters.add(Counter.geneveCriticalOptions)
      p += geneveOptionLength(bytes, p)
    }
    if (p !== optionsEnd) return done(PacketDrop.geneveOptions)
    this.vni = u24(bytes, at + GENEVE_VNI)
    this.at = optionsEnd
    switch (u16(bytes, at + GENEVE_PROTOCOL)) {
      case EtherType.transparentEthernet:
        return Layer.ethernet
      case EtherType.ipv4:
        return Layer.ipv4
      case EtherType.ipv6:
        return Layer.ipv6
      default:
        return done(PacketDrop.geneveProtocol)
    }
  }

  private gre(): number {
    const { bytes, at, end } = this
    if (end - at < GRE_HEADER_LEN) return done(PacketDrop.greTruncated)
    const flags = u16(bytes, at)
    if ((flags & (GRE_VERSION | GRE_ROUTING)) !== 0) return done(PacketDrop.greVersion)
    const protocol = u16(bytes, at + GRE_PROTOCOL)
    let inner = at + greHeaderLength(flags)
    let layer: number = Layer.etherType
    if (protocol === EtherType.erspan) {
      // Type II carries a sequence number in GRE and a header of its own; type I has neither.
      if ((flags & GRE_SEQUENCE) !== 0) inner += ERSPAN2_HEADER_LEN
      layer = Layer.ethernet
    } else if (protocol === EtherType.erspan3) {
      if (end - inner < ERSPAN3_HEADER_LEN) return done(PacketDrop.greTruncated)
      const frameType = (bytes[inner + ERSPAN3_FRAME_TYPE]! >> 2) & 31
      const hasSubheader = (bytes[inner + ERSPAN3_FLAGS]! & 1) !== 0
      inner += ERSPAN3_HEADER_LEN + (hasSubheader ? ERSPAN3_SUBHEADER_LEN : 0)
      layer = frameType === ERSPAN3_FRAME_TYPE_IP ? Layer.ip : Layer.ethernet
    }
    if (inner > end) return done(PacketDrop.greTruncated)
    this.etherType = protocol
    this.at = inner
    return layer
  }

  private mpls(): number {
    const { bytes, end } = this
    let p = this.at
    for (let i = 0; ; i++) {
      if (end - p < MPLS_ENTRY_LEN || i >= MAX_MPLS_LABELS) return done(PacketDrop.mplsTruncated)
      const isBottom = (bytes[p + 2]! & MPLS_BOTTOM) !== 0
      p += MPLS_ENTRY_LEN
      if (isBottom) break
    }
    if (p >= end) return done(PacketDrop.mplsTruncated)
    this.at = p
    const nibble = bytes[p]! >> 4
    if (nibble === 4) return Layer.ipv4
    if (nibble === 6) return Layer.ipv6
    // A pseudowire control word begins with a zero nibble (RFC 4385 section 3): Ethernet follows.
    if (nibble !== 0) return done(Verdict.other)
    this.at = p + 4
    return this.enter(Layer.ethernet)
  }

  private pppoe(): number {
    const { bytes, at } = this
    if (this.end - at < PPPOE_HEADER_LEN + 2) return done(PacketDrop.pppoeTruncated)
    const protocol = u16(bytes, at + PPPOE_HEADER_LEN)
    this.at = at + PPPOE_HEADER_LEN + 2
    if (protocol === PPP_IPV4) return Layer.ipv4
    if (protocol === PPP_IPV6) return Layer.ipv6
    return protocol === PPP_MPLS ? Layer.mpls : done(Verdict.other)
  }
}

/** Layers are 0 and up, so a step that ends the walk is told apart by lying far below: see `walk`. */
const DONE = 1000
function done(verdict: number): number {
  return verdict - DONE
}

/** AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs and macOS. Written in either byte order. */
function layerOfAddressFamily(word: number): number {
  const family = (word & 0xffff) === 0 ? (word >>> 24) | ((word >>> 8) & 0xff00) : word
  if (family === 2) return Layer.ipv4
  return family === 10 || family === 24 || family === 28 || family === 30 ? Layer.ipv6 : Layer.none
}
