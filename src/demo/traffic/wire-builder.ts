/** Frames as they stand on a wire: Ethernet with VLAN tags, IPv4 and IPv6 with fragments, TCP and UDP, all checksums right. */
import { EtherType, VLAN_TAG_LEN } from '../../wire/ethernet.ts'
import {
  IPV4_MIN_HEADER_LEN,
  IPV4_MORE_FRAGMENTS,
  IPV6_FRAGMENT_HEADER_LEN,
  IPV6_HEADER_LEN,
  IpProtocol,
  UDP_HEADER_LEN,
} from '../../wire/ip.ts'
import { TCP_CHECKSUM, TCP_DATA_OFFSET, TCP_FLAGS, TCP_MIN_HEADER_LEN } from '../../wire/tcp.ts'
import { checksumOf, sumWords } from './checksum.ts'

/** A host and port. IPv4 where `address` has 4 bytes, IPv6 where it has 16. */
export interface Endpoint {
  readonly mac: Buffer
  readonly address: Buffer
  readonly port: number
}

/** One 802.1Q or 802.1ad tag. */
export interface VlanTag {
  readonly type: number
  /** 0 to 4,095. */
  readonly id: number
}

export interface TcpHeader {
  readonly seq: number
  readonly ack: number
  readonly flags: number
  /** A multiple of 4 bytes, at most 40. */
  readonly options: Buffer
}

/** How a packet is put on the wire. */
export interface Wrapping {
  readonly tags: readonly VlanTag[]
  /** IPv4 identification, or that of the IPv6 fragment header. */
  readonly id: number
  /** IP payload bytes per fragment, a multiple of 8; null: whole. */
  readonly fragmentBytes: number | null
}

const WINDOW = 64_240
const HOPS = 64
/** Ethernet's shortest frame without its check sequence: shorter packets are padded with zeros. */
const MIN_FRAME_LEN = 60
const IPV4_DONT_FRAGMENT = 0x4000

/** @returns one frame, or one per fragment, in order */
export function tcpFrames(
  from: Endpoint,
  to: Endpoint,
  header: TcpHeader,
  payload: Buffer,
  wrapping: Wrapping,
): Buffer[] {
  const headerLen = TCP_MIN_HEADER_LEN + header.options.length
  const segment = Buffer.alloc(headerLen + payload.length)
  segment.writeUInt16BE(from.port, 0)
  segment.writeUInt16BE(to.port, 2)
  segment.writeUInt32BE(header.seq >>> 0, 4)
  segment.writeUInt32BE(header.ack >>> 0, 8)
  segment[TCP_DATA_OFFSET] = headerLen << 2
  segment[TCP_FLAGS] = header.flags
  segment.writeUInt16BE(WINDOW, 14)
  header.options.copy(segment, TCP_MIN_HEADER_LEN)
  payload.copy(segment, headerLen)
  segment.writeUInt16BE(transportChecksum(from, to, IpProtocol.tcp, segment), TCP_CHECKSUM)
  return ipFrames(from, to, IpProtocol.tcp, segment, wrapping)
}

export function udpFrames(from: Endpoint, to: Endpoint, payload: Buffer, wrapping: Wrapping): Buffer[] {
  const datagram = Buffer.alloc(UDP_HEADER_LEN + payload.length)
  datagram.writeUInt16BE(from.port, 0)
  datagram.writeUInt16BE(to.port, 2)
  datagram.writeUInt16BE(datagram.length, 4)
  payload.copy(datagram, UDP_HEADER_LEN)
  // A sum of zero means "no checksum" in UDP, so it is sent as its other form (RFC 768).
  datagram.writeUInt16BE(transportChecksum(from, to, IpProtocol.udp, datagram) || 0xffff, 6)
  return ipFrames(from, to, IpProtocol.udp, datagram, wrapping)
}

/** Any Ethernet payload. @param etherType of `payload` */
export function ethernetFrame(
  source: Buffer,
  destination: Buffer,
  tags: readonly VlanTag[],
  etherType: number,
  payload: Buffer,
): Buffer {
  const headerLen = 14 + tags.length * VLAN_TAG_LEN
  const frame = Buffer.alloc(Math.max(MIN_FRAME_LEN, headerLen + payload.length))
  destination.copy(frame, 0)
  source.copy(frame, 6)
  let at = 12
  for (const tag of tags) {
    frame.writeUInt16BE(tag.type, at)
    frame.writeUInt16BE(tag.id, at + 2)
    at += VLAN_TAG_LEN
  }
  frame.writeUInt16BE(etherType, at)
  payload.copy(frame, headerLen)
  return frame
}

function ipFrames(
  from: Endpoint,
  to: Endpoint,
  protocol: number,
  payload: Buffer,
  { tags, id, fragmentBytes }: Wrapping,
): Buffer[] {
  const isIpv4 = from.address.length === 4
  const etherType = isIpv4 ? EtherType.ipv4 : EtherType.ipv6
  const packetOf = isIpv4 ? ipv4Packet : ipv6Packet
  const step = fragmentBytes ?? payload.length
  const frames: Buffer[] = []
  for (let at = 0; at < payload.length; at += step) {
    const isLast = at + step >= payload.length
    const packet = packetOf(
      from,
      to,
      protocol,
      payload.subarray(at, at + step),
      id,
      fragmentBytes === null ? null : at,
      isLast,
    )
    frames.push(ethernetFrame(from.mac, to.mac, tags, etherType, packet))
  }
  return frames
}

/** @param offset of this fragment in bytes; null: not fragmented */
function ipv4Packet(
  from: Endpoint,
  to: Endpoint,
  protocol: number,
  payload: Buffer,
  id: number,
  offset: number | null,
  isLast: boolean,
): Buffer {
  const packet = Buffer.alloc(IPV4_MIN_HEADER_LEN + payload.length)
  packet[0] = 0x45
  packet.writeUInt16BE(packet.length, 2)
  packet.writeUInt16BE(id & 0xffff, 4)
  packet.writeUInt16BE(offset === null ? IPV4_DONT_FRAGMENT : (isLast ? 0 : IPV4_MORE_FRAGMENTS) | (offset >> 3), 6)
  packet[8] = HOPS
  packet[9] = protocol
  from.address.copy(packet, 12)
  to.address.copy(packet, 16)
  packet.writeUInt16BE(checksumOf(sumWords(packet.subarray(0, IPV4_MIN_HEADER_LEN))), 10)
  payload.copy(packet, IPV4_MIN_HEADER_LEN)
  return packet
}

function ipv6Packet(
  from: Endpoint,
  to: Endpoint,
  protocol: number,
  payload: Buffer,
  id: number,
  offset: number | null,
  isLast: boolean,
): Buffer {
  const extensionLen = offset === null ? 0 : IPV6_FRAGMENT_HEADER_LEN
  const headerLen = IPV6_HEADER_LEN + extensionLen
  const packet = Buffer.alloc(headerLen + payload.length)
  packet[0] = 0x60
  packet.writeUInt16BE(extensionLen + payload.length, 4)
  packet[6] = offset === null ? protocol : IpProtocol.fragment
  packet[7] = HOPS
  from.address.copy(packet, 8)
  to.address.copy(packet, 24)
  if (offset !== null) {
    packet[IPV6_HEADER_LEN] = protocol
    // The offset counts 8-byte units in the upper 13 bits, which is the byte offset itself; the lowest bit is M.
    packet.writeUInt16BE(offset | (isLast ? 0 : 1), IPV6_HEADER_LEN + 2)
    packet.writeUInt32BE(id >>> 0, IPV6_HEADER_LEN + 4)
  }
  payload.copy(packet, headerLen)
  return packet
}

/** Over the pseudo header and the segment, whose checksum field is zero. */
function transportChecksum(from: Endpoint, to: Endpoint, protocol: number, segment: Buffer): number {
  return checksumOf(sumWords(segment, sumWords(from.address) + sumWords(to.address) + protocol + segment.length))
}
