/**
 * Finds the inner TCP packet of whatever a mirror or a capture delivers, from the outermost header inward: a fast path for what
 * nearly all packets are, and a slow path, header by header, for everything.
 *
 * In: bytes of a frame or of a mirrored datagram. Out: `view` filled and `Verdict.tcp`; or one of the other verdicts. No
 * header is trusted: every layer checks its length before it reads, and each refusal is one reason of PacketDrop.
 */
import { PacketDrop } from '../base/drop.ts'
import type { CounterBlock } from '../metrics/counters.ts'
import { u16, u24 } from '../wire/bytes.ts'
import { ETHERNET_HEADER_LEN, ETHERNET_TYPE, EtherType } from '../wire/ethernet.ts'
import {
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_MIN_HEADER_LEN,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_TOTAL_LENGTH,
  IpProtocol,
} from '../wire/ip.ts'
import { LinkType } from '../wire/link-type.ts'
import { TCP_MIN_HEADER_LEN, tcpHeaderLength } from '../wire/tcp.ts'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN, VXLAN_VNI } from '../wire/vxlan.ts'
import { Cursor, type DecapsulatorOptions, NO_VNI } from './cursor.ts'
import { Layer } from './layer.ts'
import { layerOfLinkType } from './layers/link-type.ts'
import type { PacketView } from './packet-view.ts'
import { STEPS } from './steps.ts'
import { Verdict } from './verdict.ts'

/** First byte of an IPv4 header: version 4, five words. */
const IPV4_WITHOUT_OPTIONS = 0x45
/** Headers behind each other that no real packet has; a bound for crafted ones. */
const MAX_STEPS = 256

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
  readonly view: PacketView
  private readonly cursor: Cursor
  /** Something is asked of every packet that only the slow path checks. */
  private isSlowPathOnly: boolean

  constructor(options: DecapsulatorOptions, counters: CounterBlock) {
    this.cursor = new Cursor(options, counters)
    this.view = this.cursor.view
    this.isSlowPathOnly = options.verifyChecksums || options.vnis !== null
  }

  /** Takes over whom to hear, between two packets; the rest stays. */
  change({ allowFrom, vnis }: Pick<DecapsulatorOptions, 'allowFrom' | 'vnis'>): void {
    const { cursor } = this
    cursor.options = { ...cursor.options, allowFrom, vnis }
    this.isSlowPathOnly = cursor.options.verifyChecksums || vnis !== null
  }

  /** Time of what comes next, never going back: waiting fragments grow old by it. A field, because a number passed along would be boxed. */
  set nowUs(timeUs: number) {
    this.cursor.nowUs = timeUs
  }

  /** A whole frame of a capture. `wireEnd - at` is its length on the wire. */
  frame(bytes: Buffer, at: number, end: number, wireEnd: number, linkType: number): number {
    if (linkType === LinkType.ethernet && this.tryFastPath(bytes, at, end, NO_VNI)) return Verdict.tcp
    const layer = layerOfLinkType(linkType)
    if (layer === Layer.done) return PacketDrop.linkType
    this.cursor.start(bytes, at, end, wireEnd)
    return this.slowPath(layer)
  }

  /**
   * The payload of a mirrored datagram, beginning at `layer` (vxlan, gpe or geneve).
   * @param isTruncated the datagram was longer than what is here
   */
  datagram(bytes: Buffer, at: number, end: number, isTruncated: boolean, layer: number): number {
    const isDone =
      layer === Layer.vxlan &&
      !isTruncated &&
      end - at >= VXLAN_HEADER_LEN &&
      (bytes[at]! & VXLAN_FLAG_VNI_VALID) !== 0 &&
      this.tryFastPath(bytes, at + VXLAN_HEADER_LEN, end, u24(bytes, at + VXLAN_VNI))
    if (isDone) return Verdict.tcp
    // How much is missing is unknown; inner IP headers state their own length.
    this.cursor.start(bytes, at, end, isTruncated ? end + 1 : end)
    const verdict = this.slowPath(layer)
    return isTruncated && ENDED_EARLY.has(verdict) ? PacketDrop.datagramTruncated : verdict
  }

  /** Lets waiting fragments grow old. */
  tick(): void {
    this.cursor.fragments.expire(this.cursor.nowUs)
  }

  /** The end of the input: what still waits is dropped. */
  flush(): void {
    this.cursor.fragments.clear()
  }

  /**
   * Fills `view` as the slow path would have, in one straight run of comparisons, where the frame is what nearly all are: Ethernet, IPv4
   * without options, whole and unfragmented, TCP, nothing to be checked. False: nothing was done.
   */
  private tryFastPath(bytes: Buffer, at: number, end: number, vni: number): boolean {
    const ipAt = at + ETHERNET_HEADER_LEN
    const tcpAt = ipAt + IPV4_MIN_HEADER_LEN
    if (this.isSlowPathOnly || end - tcpAt < TCP_MIN_HEADER_LEN) return false
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

  private slowPath(first: number): number {
    const { cursor } = this
    let layer = first
    for (let steps = 0; layer !== Layer.done; steps++) {
      if (steps >= MAX_STEPS) return PacketDrop.tunnelDepth
      layer = STEPS[layer]!(cursor)
    }
    return cursor.verdict
  }
}
