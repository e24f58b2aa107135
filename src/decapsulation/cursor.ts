/**
 * Where the slow path stands in a packet's headers, and what a header's step may do. A step checks the length of its header, moves the
 * cursor after it and returns the layer that follows, or ends with a verdict.
 */
import { PacketDrop } from '../base/drop.ts'
import type { CounterBlock } from '../metrics/counters.ts'
import { PassedOver } from '../metrics/passed-over.ts'
import { sourceNumber } from '../metrics/refused-numbers.ts'
import { i32 } from '../wire/bytes.ts'
import { IPV4_SOURCE, IPV6_SOURCE } from '../wire/ip.ts'
import { type FragmentLimits, FragmentStore } from './fragment-store.ts'
import { Layer } from './layer.ts'
import type { NetworkList } from './networks.ts'
import { PacketView } from './packet-view.ts'
import { layersByPort } from './tunnel-ports.ts'
import { Verdict } from './verdict.ts'

export interface DecapsulatorOptions {
  readonly vlanDepth: number
  readonly tunnelDepth: number
  readonly verifyChecksums: boolean
  /** UDP ports of VXLAN besides those known. */
  readonly vxlanPorts?: readonly number[]
  readonly fragments: FragmentLimits
  /** Outer sources allowed to mirror; null: any. */
  readonly allowFrom: NetworkList | null
  /** VNIs taken; null: any, and traffic without one. */
  readonly vnis: ReadonlySet<number> | null
}

export const NO_VNI = -1
const NO_NETWORK = 0
/** 2^32 over the golden ratio, and the first multiplier of MurmurHash3's finaliser. */
const SPREAD = 0x9e3779b1
const MIX = 0x85ebca6b
/** Of an I-SID, which has 24 bits as a VNI has. */
const OF_SERVICE = 1 << 24

/** Reads one header. Returns the layer after it, or Layer.done with `cursor.verdict` set. */
export type Step = (cursor: Cursor) => number

/** State is in fields, because a JavaScript function returns one number. */
export class Cursor {
  readonly view = new PacketView()
  readonly counters: CounterBlock
  readonly fragments: FragmentStore
  options: DecapsulatorOptions
  /** No option requires of every packet what only the slow path checks. */
  allowsFastPath: boolean
  /** Time of what comes next, never going back: waiting fragments grow old by it. */
  nowUs = 0

  bytes: Buffer = this.view.bytes
  at = 0
  /** End of the bytes present, and end on the wire (beyond `end` where the packet was truncated). */
  end = 0
  wireEnd = 0
  /** The innermost IP header so far. */
  ipAt = 0
  ipVersion = 4
  vni = NO_VNI
  /** Made of the VNI and the VLAN identifiers of the innermost frame: see PacketView. */
  network = NO_NETWORK
  /** Put together from fragments that may be of two datagrams: only a right checksum proves it whole. */
  isSuspect = false
  verdict: number = Verdict.other
  /** The receive slot was shorter than the datagram: what is missing, we truncated. */
  isTruncatedHere = false
  private readonly layers: Uint8Array
  private tags = 0
  private tunnels = 0

  constructor(options: DecapsulatorOptions, counters: CounterBlock) {
    this.options = options
    this.allowsFastPath = allowsFastPath(options)
    this.counters = counters
    this.layers = layersByPort(options.vxlanPorts ?? [])
    this.fragments = new FragmentStore(options.fragments, counters)
  }

  /** Between two packets. */
  change(options: DecapsulatorOptions): void {
    this.options = options
    this.allowsFastPath = allowsFastPath(options)
  }

  start(bytes: Buffer, at: number, end: number, wireEnd: number, isTruncatedHere = false): void {
    this.bytes = bytes
    this.at = at
    this.end = end
    this.wireEnd = wireEnd
    this.tags = 0
    this.tunnels = 0
    this.vni = NO_VNI
    this.network = NO_NETWORK
    this.isSuspect = false
    this.isTruncatedHere = isTruncatedHere
  }

  /** Bytes present from the cursor on. */
  get left(): number {
    return this.end - this.at
  }

  /** Whether the IPv4 packet at the cursor may take the rest of the fast path. */
  get mayTryFastPath(): boolean {
    return this.allowsFastPath && !this.isSuspect
  }

  /** Ends the path. @param verdict of Verdict or PacketDrop */
  finish(verdict: number): number {
    this.verdict = verdict
    return Layer.done
  }

  /** One more tag of a frame, VLAN or other. False: too many. */
  mayTag(): boolean {
    return ++this.tags <= this.options.vlanDepth
  }

  /** A packet for this port, EtherType, … is not read. @param kind of PassedOver */
  passOver(kind: number, number: number): number {
    this.counters.passOver(kind, number)
    return this.finish(Verdict.other)
  }

  /** A tunnel with a VNI: what is inside is in that network, and no longer in those around it. */
  inVni(vni: number): void {
    this.vni = vni
    this.network = vni + 1
  }

  /** A frame inside a tunnel: VLAN tags around the tunnel are none of its. */
  frameInside(): number {
    this.network = this.vni + 1
    return Layer.ethernet
  }

  /** A frame inside a provider's backbone. */
  frameOfService(service: number): number {
    this.network = joined(this.vni + 1, service | OF_SERVICE)
    return Layer.ethernet
  }

  /** @param identifier 0: a tag with nothing but a priority, which the other direction need not have */
  inVlan(identifier: number): void {
    if (identifier !== 0) this.network = joined(this.network, identifier)
  }

  /** The layer of the tunnel that a UDP port stands for, or Layer.done. */
  layerOfPort(port: number): number {
    return this.layers[port]! - 1
  }

  /** One more tunnel, which leads to `layer`. */
  enter(layer: number): number {
    return ++this.tunnels > this.options.tunnelDepth ? this.finish(PacketDrop.tunnelDepth) : layer
  }

  /** Whether the innermost IP header's source may mirror. Only the outermost tunnel's is checked: it names the mirror source. */
  allowsSource(): boolean {
    const list = this.options.allowFrom
    if (list === null || this.tunnels > 0) return true
    const { bytes, ipAt } = this
    if (this.ipVersion === 4) return list.hasIpv4(i32(bytes, ipAt + IPV4_SOURCE))
    const s = ipAt + IPV6_SOURCE
    return list.hasIpv6(i32(bytes, s), i32(bytes, s + 4), i32(bytes, s + 8), i32(bytes, s + 12))
  }

  /** Drops a packet whose source may not mirror, and notes the source. */
  refuseSource(): number {
    const { bytes, ipAt } = this
    const at = ipAt + (this.ipVersion === 4 ? IPV4_SOURCE : IPV6_SOURCE)
    this.counters.passOver(PassedOver.source, sourceNumber(this.ipVersion, i32(bytes, at), i32(bytes, at + 4)))
    return this.finish(PacketDrop.sourceNotAllowed)
  }

  /** Restricts the cursor to what ends at `packetEnd`; false when not even one byte of it is there. */
  narrow(packetEnd: number): boolean {
    // Padding after the packet (Ethernet's minimum of 60 bytes) falls away; a packet longer than the frame was truncated.
    if (packetEnd < this.end) this.end = packetEnd
    this.wireEnd = packetEnd
    return this.end > this.at
  }

  /** Goes on in a datagram put together from fragments. @param whole null: the fragment waits for others */
  resume(whole: Buffer | null, layer: number): number {
    if (whole === null) return this.finish(Verdict.held)
    this.bytes = whole
    this.at = 0
    this.end = whole.length
    this.wireEnd = whole.length
    this.isSuspect ||= this.fragments.isSuspect
    return layer
  }
}

function allowsFastPath({ verifyChecksums, vnis }: DecapsulatorOptions): boolean {
  return !verifyChecksums && vnis === null
}

/** A network inside another. Two get one number once in 2^32 by chance, and are then still told apart by addresses and ports. */
function joined(network: number, identifier: number): number {
  const both = Math.imul(network, SPREAD) ^ identifier
  const mixed = Math.imul(both ^ (both >>> 16), MIX)
  return mixed ^ (mixed >>> 13)
}
