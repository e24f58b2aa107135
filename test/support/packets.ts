/** Packets built by hand, layer by layer, outside in: `ethernet(EtherType.ipv4, ipv4({ payload: tcp({}) }))`. */
import { EtherType } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { TCP_CHECKSUM, TcpFlag } from '../../src/wire/tcp.ts'

export const CLIENT = '10.0.0.1'
export const SERVER = '10.0.0.2'
export const CLIENT6 = '2001:db8::1'
export const SERVER6 = '2001:db8::2'

export interface TcpFields {
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly seq?: number
  readonly ack?: number
  readonly flags?: number
  /** A multiple of 4 bytes. */
  readonly options?: Buffer
  readonly window?: number
  /** Urgent pointer. */
  readonly urgent?: number
  readonly data?: Buffer | string
  /** Header length in 32-bit words, where it shall be wrong. */
  readonly dataOffset?: number
}

/** A TCP segment; its checksum is filled in by the IP layer around it. */
export function tcp(f: TcpFields = {}): Buffer {
  const options = f.options ?? Buffer.alloc(0)
  const header = Buffer.alloc(20)
  header.writeUInt16BE(f.sourcePort ?? 40_000, 0)
  header.writeUInt16BE(f.destinationPort ?? 80, 2)
  header.writeInt32BE((f.seq ?? 1000) | 0, 4)
  header.writeInt32BE((f.ack ?? 0) | 0, 8)
  header[12] = (f.dataOffset ?? 5 + options.length / 4) << 4
  header[13] = f.flags ?? TcpFlag.ack
  header.writeUInt16BE(f.window ?? 0xffff, 14)
  header.writeUInt16BE(f.urgent ?? 0, 18)
  return Buffer.concat([header, options, Buffer.from(f.data ?? '')])
}

export function udp(
  destinationPort: number,
  payload: Buffer,
  length = 8 + payload.length,
  sourcePort = 65_500,
): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16BE(sourcePort, 0)
  header.writeUInt16BE(destinationPort, 2)
  header.writeUInt16BE(length & 0xffff, 4)
  return Buffer.concat([header, payload])
}

export interface Ipv4Fields {
  readonly source?: string
  readonly destination?: string
  readonly protocol?: number
  readonly payload: Buffer
  /** A multiple of 4 bytes. */
  readonly options?: Buffer
  readonly id?: number
  /** Bytes, a multiple of 8. */
  readonly fragmentOffset?: number
  readonly moreFragments?: boolean
  readonly totalLength?: number
  readonly ttl?: number
}

export function ipv4(f: Ipv4Fields): Buffer {
  const options = f.options ?? Buffer.alloc(0)
  const header = Buffer.alloc(20)
  const headerLength = 20 + options.length
  const protocol = f.protocol ?? IpProtocol.tcp
  header[0] = 0x40 | (headerLength >> 2)
  header.writeUInt16BE((f.totalLength ?? headerLength + f.payload.length) & 0xffff, 2)
  header.writeUInt16BE(f.id ?? 1, 4)
  header.writeUInt16BE(((f.moreFragments ?? false) ? 0x2000 : 0) | ((f.fragmentOffset ?? 0) >> 3), 6)
  header[8] = f.ttl ?? 64
  header[9] = protocol
  ipv4Address(f.source ?? CLIENT).copy(header, 12)
  ipv4Address(f.destination ?? SERVER).copy(header, 16)
  const isFragment = f.moreFragments === true || (f.fragmentOffset ?? 0) > 0
  const payload =
    protocol === IpProtocol.tcp && !isFragment ? withTcpChecksum(header.subarray(12, 20), f.payload) : f.payload
  const whole = Buffer.concat([header, options, payload])
  whole.writeUInt16BE(internetChecksum(whole.subarray(0, headerLength)), 10)
  return whole
}

export interface Ipv6Fields {
  readonly source?: string
  readonly destination?: string
  /** Protocol behind the last extension header. */
  readonly protocol?: number
  readonly payload: Buffer
  readonly extensions?: readonly Extension[]
  readonly payloadLength?: number
}

/** An IPv6 extension header: its number, and its bytes with the next-header byte to be filled in. */
export interface Extension {
  readonly type: number
  readonly bytes: Buffer
}

export function ipv6(f: Ipv6Fields): Buffer {
  const protocol = f.protocol ?? IpProtocol.tcp
  const extensions = f.extensions ?? []
  const types = [...extensions.map((e) => e.type), protocol]
  const header = Buffer.alloc(40)
  header[0] = 0x60
  header[6] = types[0]!
  header[7] = 64
  ipv6Address(f.source ?? CLIENT6).copy(header, 8)
  ipv6Address(f.destination ?? SERVER6).copy(header, 24)
  const chain = extensions.map((e, i) => Buffer.concat([Buffer.from([types[i + 1]!]), e.bytes.subarray(1)]))
  const isFragment = extensions.some((e) => e.type === IpProtocol.fragment && (e.bytes.readUInt16BE(2) & 0xfff9) !== 0)
  const payload =
    protocol === IpProtocol.tcp && !isFragment ? withTcpChecksum(header.subarray(8, 40), f.payload) : f.payload
  const behind = Buffer.concat([...chain, payload])
  header.writeUInt16BE((f.payloadLength ?? behind.length) & 0xffff, 4)
  return Buffer.concat([header, behind])
}

/** Hop-by-hop, routing, destination options, mobility, HIP, shim6: `units` of 8 bytes. */
export function optionsHeader(type: number, units = 1): Extension {
  const bytes = Buffer.alloc(units * 8, 1)
  bytes[1] = units - 1
  return { type, bytes }
}

/** Authentication header of `words` 4-byte words: the one extension header with a unit of its own. */
export function authenticationHeader(words = 6): Extension {
  const bytes = Buffer.alloc(words * 4, 1)
  bytes[1] = words - 2
  return { type: IpProtocol.authentication, bytes }
}

export function fragmentHeader(id: number, offset: number, more: boolean): Extension {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16BE(offset | (more ? 1 : 0), 2)
  bytes.writeUInt32BE(id, 4)
  return { type: IpProtocol.fragment, bytes }
}

/** The IPv4 packet as fragments of at most `size` (a multiple of 8) payload bytes. */
export function fragmentIpv4(packet: Buffer, size: number, id = 7): Buffer[] {
  const headerLength = (packet[0]! & 15) << 2
  const payload = packet.subarray(headerLength)
  return pieces(payload, size).map(({ at, bytes, isLast }) => {
    const header = Buffer.from(packet.subarray(0, headerLength))
    header.writeUInt16BE(headerLength + bytes.length, 2)
    header.writeUInt16BE(id, 4)
    header.writeUInt16BE((isLast ? 0 : 0x2000) | (at >> 3), 6)
    header.writeUInt16BE(0, 10)
    header.writeUInt16BE(internetChecksum(header), 10)
    return Buffer.concat([header, bytes])
  })
}

/** The payload of an IPv6 packet (protocol `protocol`) as fragments, behind `extensions`. */
export function fragmentIpv6(packet: Buffer, size: number, id = 7, extensions: readonly Extension[] = []): Buffer[] {
  return pieces(packet.subarray(40), size).map(({ at, bytes, isLast }) => {
    const chain = [...extensions, fragmentHeader(id, at, !isLast)]
    const whole = ipv6({ protocol: packet[6]!, payload: bytes, extensions: chain })
    packet.copy(whole, 8, 8, 40)
    return whole
  })
}

function pieces(payload: Buffer, size: number): { at: number; bytes: Buffer; isLast: boolean }[] {
  const out = []
  for (let at = 0; at < payload.length; at += size) {
    out.push({ at, bytes: payload.subarray(at, at + size), isLast: at + size >= payload.length })
  }
  return out
}

/** @param tags VLAN tag types, outermost first */
export function ethernet(type: number, payload: Buffer, tags: readonly number[] = []): Buffer {
  const types = [...tags, type]
  const header = Buffer.alloc(14)
  header.writeUInt16BE(types[0]!, 12)
  const rest = tags.map((_, i) => {
    const tag = Buffer.alloc(4)
    tag.writeUInt16BE(100 + i, 0)
    tag.writeUInt16BE(types[i + 1]!, 2)
    return tag
  })
  return Buffer.concat([header, ...rest, payload])
}

/** IEEE 802.3 frame with LLC and SNAP. */
export function snap(type: number, payload: Buffer, organisation = 0): Buffer {
  const llc = Buffer.from([
    0xaa,
    0xaa,
    3,
    organisation >> 16,
    (organisation >> 8) & 255,
    organisation & 255,
    type >> 8,
    type & 255,
  ])
  return ethernet(8 + payload.length, Buffer.concat([llc, payload]))
}

/** @param flags the I flag by default */
export function vxlan(vni: number, frame: Buffer, flags = 0x08): Buffer {
  const header = Buffer.alloc(8)
  header[0] = flags
  header.writeUIntBE(vni, 4, 3)
  return Buffer.concat([header, frame])
}

/** @param flags I and P by default */
export function gpe(vni: number, nextProtocol: number, payload: Buffer, flags = 0x0c): Buffer {
  const out = vxlan(vni, payload, flags)
  out[3] = nextProtocol
  return out
}

export interface GeneveFields {
  readonly vni?: number
  readonly protocol: number
  readonly payload: Buffer
  readonly options?: readonly Buffer[]
  /** First byte's upper two bits. */
  readonly version?: number
  /** Second byte: O 0x80, C 0x40. */
  readonly flags?: number
  /** Length of the options in 4-byte words, where it shall be wrong. */
  readonly optionWords?: number
}

export function geneve(f: GeneveFields): Buffer {
  const options = Buffer.concat(f.options ?? [])
  const header = Buffer.alloc(8)
  header[0] = ((f.version ?? 0) << 6) | (f.optionWords ?? options.length / 4)
  header[1] = f.flags ?? 0
  header.writeUInt16BE(f.protocol, 2)
  header.writeUIntBE(f.vni ?? 0, 4, 3)
  return Buffer.concat([header, options, f.payload])
}

/** @param type 0x80: critical */
export function geneveOption(optionClass: number, type: number, data: Buffer): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt16BE(optionClass, 0)
  header[2] = type
  header[3] = data.length / 4
  return Buffer.concat([header, data])
}

/** What a Gateway Load Balancer sends: endpoint id, attachment id, flow cookie. */
export const AWS_OPTIONS: readonly Buffer[] = [
  geneveOption(0x0108, 1, Buffer.alloc(8, 0x11)),
  geneveOption(0x0108, 2, Buffer.alloc(8, 0x22)),
  geneveOption(0x0108, 3, Buffer.alloc(4, 0x33)),
]
export const GOOGLE_OPTIONS: readonly Buffer[] = [
  geneveOption(0x0132, 0x81, Buffer.alloc(4, 1)),
  geneveOption(0x0132, 2, Buffer.alloc(12, 2)),
]

/** Optional fields follow the flags: checksum 0x8000, key 0x2000, sequence 0x1000. */
export function gre(protocol: number, payload: Buffer, flags = 0): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt16BE(flags, 0)
  header.writeUInt16BE(protocol, 2)
  const fields = [0x8000, 0x2000, 0x1000].filter((flag) => (flags & flag) !== 0).length
  return Buffer.concat([header, Buffer.alloc(4 * fields, 0x5a), payload])
}

export function erspan2(frame: Buffer): Buffer {
  return gre(EtherType.erspan, Buffer.concat([Buffer.alloc(8, 0x10), frame]), 0x1000)
}

/** @param frameType 0 Ethernet, 2 IP */
export function erspan3(payload: Buffer, frameType: number, hasSubheader: boolean): Buffer {
  const header = Buffer.alloc(12)
  header[0] = 0x20
  header[10] = frameType << 2
  header[11] = hasSubheader ? 1 : 0
  return gre(EtherType.erspan3, Buffer.concat([header, Buffer.alloc(hasSubheader ? 8 : 0, 0x45), payload]), 0x1000)
}

/** Label stack; the last label has the bottom bit. */
export function mpls(labels: number, payload: Buffer): Buffer {
  const stack = Array.from({ length: labels }, (_, i) => Buffer.from([0, 1, i === labels - 1 ? 0x11 : 0x10, 64]))
  return Buffer.concat([...stack, payload])
}

export function pppoe(pppProtocol: number, payload: Buffer): Buffer {
  const header = Buffer.from([0x11, 0, 0, 1, 0, 0, 0, 0])
  header.writeUInt16BE(payload.length + 2, 4)
  header.writeUInt16BE(pppProtocol, 6)
  return Buffer.concat([header, payload])
}

/** @param oneByte the protocol compressed to one byte, which the other end agreed to */
export function ppp(protocol: number, payload: Buffer, { framed = false, oneByte = false } = {}): Buffer {
  const header = oneByte ? Buffer.from([protocol]) : Buffer.from([protocol >> 8, protocol & 255])
  return Buffer.concat([Buffer.from(framed ? [0xff, 0x03] : []), header, payload])
}

/** A PPPoE session frame around PPP from its protocol on. */
export function pppoeAround(frame: Buffer): Buffer {
  const header = Buffer.from([0x11, 0, 0, 1, 0, 0])
  header.writeUInt16BE(frame.length, 4)
  return Buffer.concat([header, frame])
}

/** A tag of `length` bytes between an EtherType of its own and that of what follows. */
export function frameTag(etherType: number, length: number, next: number, payload: Buffer): Buffer {
  const tag = Buffer.alloc(length + 2, 0x21)
  tag.writeUInt16BE(next, length)
  return ethernet(etherType, Buffer.concat([tag, payload]))
}

export function providerBackbone(service: number, frame: Buffer): Buffer {
  const tag = Buffer.alloc(4)
  tag.writeUIntBE(service, 1, 3)
  return ethernet(0x88e7, Buffer.concat([tag, frame]))
}

/** @param tags whole, in front of the end of the list */
export function tzsp(frame: Buffer, tags: readonly Buffer[] = [], encapsulated = 1): Buffer {
  return Buffer.concat([Buffer.from([1, 0, encapsulated >> 8, encapsulated & 255]), ...tags, Buffer.from([1]), frame])
}

export interface GtpuFields {
  readonly payload: Buffer
  /** Whole extension headers without their last byte, each with its type. */
  readonly extensions?: readonly { readonly type: number; readonly content: Buffer }[]
  /** S 0x02, PN 0x01; E is set where there are extensions. */
  readonly flags?: number
  readonly messageType?: number
  readonly length?: number
}

export function gtpu(f: GtpuFields): Buffer {
  const extensions = f.extensions ?? []
  const flags = (f.flags ?? 0) | (extensions.length > 0 ? 0x04 : 0)
  const types = [...extensions.map(({ type }) => type), 0]
  const optional = flags === 0 ? Buffer.alloc(0) : Buffer.from([0x12, 0x34, 0x56, types[0]!])
  const chain = extensions.map(({ content }, i) =>
    Buffer.concat([Buffer.from([(content.length + 2) / 4]), content, Buffer.from([types[i + 1]!])]),
  )
  const behind = Buffer.concat([optional, ...chain, f.payload])
  const header = Buffer.from([0x30 | flags, f.messageType ?? 255, 0, 0, 0, 0, 0, 9])
  header.writeUInt16BE(f.length ?? behind.length, 2)
  return Buffer.concat([header, behind])
}

/** Variant 0. */
export function gue(protocol: number, payload: Buffer, fieldWords = 0, control = false): Buffer {
  const header = Buffer.from([(control ? 0x20 : 0) | fieldWords, protocol, 0, 0])
  return Buffer.concat([header, Buffer.alloc(4 * fieldWords, 0x66), payload])
}

export const TEREDO_ORIGIN = Buffer.from([0, 0, 0xf0, 0x0d, 0xf5, 0xff, 0xff, 0xfe])
export function teredoAuthentication(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, 1, id, value]), Buffer.alloc(id + value + 9, 0x77)])
}

/** Attributes in front of the packet, as the kernel sends them: a header, an empty prefix. */
export function nflog(payload: Buffer, family: number, littleEndian = true): Buffer {
  const attribute = (type: number, value: Buffer) => {
    const header = Buffer.alloc(4)
    const length = 4 + value.length
    if (littleEndian) {
      header.writeUInt16LE(length, 0)
      header.writeUInt16LE(type, 2)
    } else {
      header.writeUInt16BE(length, 0)
      header.writeUInt16BE(type, 2)
    }
    return Buffer.concat([header, value, Buffer.alloc(-length & 3)])
  }
  const packetHeader = Buffer.from([8, 0, 0, 0])
  return Buffer.concat([
    Buffer.from([family, 0, 0, 5]),
    attribute(1, packetHeader),
    attribute(10, Buffer.alloc(1)),
    attribute(9, payload),
  ])
}

export function cHdlc(type: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0f, 0, type >> 8, type & 255]), payload])
}

/** LLC and SNAP, as 802.11 data begins. */
export function llcSnap(type: number, payload: Buffer, organisation = 0): Buffer {
  const header = Buffer.from([0xaa, 0xaa, 3, 0, organisation >> 8, organisation & 255, type >> 8, type & 255])
  return Buffer.concat([header, payload])
}

export interface WifiFields {
  /** First byte: subtype and type; 0x08 is data, 0x88 QoS data. */
  readonly control?: number
  readonly flags?: number
  readonly fragment?: number
  /** QoS control, first byte. */
  readonly qos?: number
  readonly payload: Buffer
  readonly isPadded?: boolean
}

export function wifi(f: WifiFields): Buffer {
  const control = f.control ?? 0x08
  const flags = f.flags ?? 0x01
  const header = Buffer.alloc(24, 0x02)
  header[0] = control
  header[1] = flags
  header[22] = 0x30 | (f.fragment ?? 0)
  const parts = [header]
  if ((flags & 3) === 3) parts.push(Buffer.alloc(6, 0x04))
  if ((control & 0x80) !== 0) {
    parts.push(Buffer.from([f.qos ?? 0, 0]))
    if ((flags & 0x80) !== 0) parts.push(Buffer.alloc(4, 0x05))
  }
  const whole = Buffer.concat(parts)
  const padding = f.isPadded === true ? -whole.length & 3 : 0
  return Buffer.concat([whole, Buffer.alloc(padding), f.payload])
}

export function aMsdu(...packets: readonly Buffer[]): Buffer {
  return Buffer.concat(
    packets.map((packet, i) => {
      const header = Buffer.alloc(14, 0x02)
      header.writeUInt16BE(packet.length, 12)
      const padding = i === packets.length - 1 ? 0 : -(14 + packet.length) & 3
      return Buffer.concat([header, packet, Buffer.alloc(padding)])
    }),
  )
}

/** @param flags null: the field is not there @param words of present flags */
export function radiotap(frame: Buffer, flags: number | null = 0, { words = 1, hasTsft = true } = {}): Buffer {
  const present = Array.from({ length: words }, (_, i) => {
    const word = Buffer.alloc(4)
    word.writeUInt32LE(
      ((i < words - 1 ? 0x80000000 : 0) | (i === 0 ? (hasTsft ? 1 : 0) | (flags === null ? 0 : 2) : 0)) >>> 0,
    )
    return word
  })
  let fields = Buffer.concat([Buffer.alloc(4), ...present])
  if (hasTsft) fields = Buffer.concat([fields, Buffer.alloc((-fields.length & 7) + 8)])
  if (flags !== null) fields = Buffer.concat([fields, Buffer.from([flags])])
  fields = Buffer.concat([fields, Buffer.alloc(3, 0x42)])
  fields.writeUInt16LE(fields.length, 2)
  return Buffer.concat([fields, frame])
}

/** GRE version 1 (RFC 2637), with sequence and acknowledgement. */
export function enhancedGre(protocol: number, payload: Buffer, hasAcknowledgement = true): Buffer {
  const flags = 0x3001 | (hasAcknowledgement ? 0x80 : 0)
  const header = Buffer.alloc(hasAcknowledgement ? 16 : 12)
  header.writeUInt16BE(flags, 0)
  header.writeUInt16BE(protocol, 2)
  header.writeUInt16BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

/** MikroTik's: key bit, version 1, length, tunnel identifier. */
export function eoip(frame: Buffer): Buffer {
  const header = Buffer.from([0x20, 0x01, 0x64, 0x00, 0, 0, 7, 0])
  header.writeUInt16BE(frame.length, 4)
  return Buffer.concat([header, frame])
}

export function sll(protocol: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt16BE(1, 2)
  header.writeUInt16BE(protocol, 14)
  return Buffer.concat([header, payload])
}

export function sll2(protocol: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt16BE(protocol, 0)
  return Buffer.concat([header, payload])
}

export function loopback(family: number, payload: Buffer, littleEndian: boolean): Buffer {
  const header = Buffer.alloc(4)
  if (littleEndian) header.writeUInt32LE(family)
  else header.writeUInt32BE(family)
  return Buffer.concat([header, payload])
}

/** RFC 1071, written for reading: the tests' own, not the product's. */
export function internetChecksum(...parts: readonly Buffer[]): number {
  const all = Buffer.concat(parts)
  let sum = 0
  for (let i = 0; i < all.length; i += 2) sum += all[i]! * 256 + (all[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000)
  return 0xffff - sum
}

function withTcpChecksum(addresses: Buffer, segment: Buffer): Buffer {
  if (segment.length < 20) return segment
  const out = Buffer.from(segment)
  out.writeUInt16BE(0, TCP_CHECKSUM)
  const pseudo = Buffer.alloc(8)
  pseudo.writeUInt32BE(segment.length, 0)
  pseudo[7] = IpProtocol.tcp
  out.writeUInt16BE(internetChecksum(addresses, pseudo, out), TCP_CHECKSUM)
  return out
}

export function ipv4Address(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number))
}

export function ipv6Address(text: string): Buffer {
  const [left = '', right] = text.split('::')
  const head = left === '' ? [] : left.split(':')
  const tail = right === undefined || right === '' ? [] : right.split(':')
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  const out = Buffer.alloc(16)
  for (const [i, word] of [...head, ...zeros, ...tail].entries()) out.writeUInt16BE(Number.parseInt(word, 16), 2 * i)
  return out
}
