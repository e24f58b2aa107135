/**
 * The program by which the kernel chooses the receiving socket of a mirrored datagram: by the five-tuple of the packet INSIDE it,
 * the same for both directions. Byte 0 of the packet is the first of the encapsulation header.
 *
 * The rule:
 * - Ethernet with up to four VLAN tags, IPv4, and IPv6 with up to four extension headers are read.
 * - TCP and UDP are spread by a keyed, symmetric hash of addresses and ports, modulo the number of sockets.
 * - Socket 0 takes all else: what ends early (a load outside the packet ends the program with 0), IP fragments, whose ports only the first
 *   one knows, UDP from or to the port of a tunnel, whose ports say nothing about the flows inside, and other protocols.
 *
 * So all packets of a connection come through one socket in the order of their arrival, but fragments.
 */
import { ETHERNET_HEADER_LEN, ETHERNET_TYPE, EtherType, VLAN_TAG_LEN } from '../../wire/ethernet.ts'
import { GENEVE_HEADER_LEN, GENEVE_PROTOCOL } from '../../wire/geneve.ts'
import {
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV6_DESTINATION,
  IPV6_HEADER_LEN,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
  IpProtocol,
  UDP_DESTINATION_PORT,
  UDP_SOURCE_PORT,
} from '../../wire/ip.ts'
import { TunnelPort } from '../../wire/tunnel-port.ts'
import { TZSP_ETHERNET, TZSP_HEADER_LEN, TZSP_PROTOCOL, TZSP_TAG_END, TZSP_TAG_PAD } from '../../wire/tzsp.ts'
import {
  GPE_FLAG_NEXT_PROTOCOL,
  GPE_NEXT_PROTOCOL,
  GpeProtocol,
  VXLAN_FLAGS,
  VXLAN_HEADER_LEN,
} from '../../wire/vxlan.ts'
import { BpfAssembler, type Instruction } from './bpf-assembler.ts'

export type SteeredFormat = 'vxlan' | 'gpe' | 'geneve' | 'tzsp'

export const STEERED_VLAN_TAGS = 4
export const STEERED_IPV6_EXTENSIONS = 4
/** Of TZSP, the end of the list included: what senders put there is one or none. */
export const STEERED_TZSP_TAGS = 4

/** Multipliers of MurmurHash3's finaliser, and 2^32 over the golden ratio. */
const MULTIPLY_1 = 0x85ebca6b
const MULTIPLY_2 = 0xc2b2ae35
const MULTIPLY_PORT = 0x9e3779b1

/**
 * @param sockets number of receiving sockets
 * @param key of the hash, 32 bits
 * @param first index of the first of them among all sockets of the address
 * @param vxlanPorts UDP ports of VXLAN besides those known, at most a few dozen
 */
export function steeringProgram(
  format: SteeredFormat,
  sockets: number,
  key: number,
  first = 0,
  vxlanPorts: readonly number[] = [],
): Instruction[] {
  const p = new BpfAssembler()
  if (sockets === 1) {
    p.return(first)
    return p.build()
  }
  encapsulation(p, format)
  ethernet(p)
  ipv4(p, key)
  p.label('early')
  p.return(first)
  ipv6(p, key)
  transport(p, sockets, first, [...Object.values(TunnelPort), ...vxlanPorts])
  p.label('other')
  p.return(first)
  return p.build()
}

/** X = start of the packet inside; goes to `ethernet`, `ipv4` or `ipv6`. */
function encapsulation(p: BpfAssembler, format: SteeredFormat): void {
  if (format === 'vxlan') {
    p.setX(VXLAN_HEADER_LEN)
  } else if (format === 'gpe') {
    p.setX(0)
    p.loadByte(VXLAN_FLAGS)
    p.keepA('flags')
    p.loadByte(GPE_NEXT_PROTOCOL)
    p.keepA('next')
    p.setX(VXLAN_HEADER_LEN)
    p.recallA('flags')
    p.jumpIfNone(GPE_FLAG_NEXT_PROTOCOL, 'ethernet')
    p.recallA('next')
    p.jumpIfEqual(GpeProtocol.ipv4, 'ipv4')
    p.jumpIfEqual(GpeProtocol.ipv6, 'ipv6')
    p.jumpUnlessEqual(GpeProtocol.ethernet, 'early')
  } else if (format === 'tzsp') {
    tzsp(p)
  } else {
    p.setX(0)
    p.loadHalf(GENEVE_PROTOCOL)
    p.keepA('next')
    // The options' length in 4-byte words stands in the lower six bits of the first byte.
    p.loadByte(0)
    p.and(0x3f)
    p.shiftLeft(2)
    p.add(GENEVE_HEADER_LEN)
    p.toX()
    p.recallA('next')
    p.jumpIfEqual(EtherType.ipv4, 'ipv4')
    p.jumpIfEqual(EtherType.ipv6, 'ipv6')
    p.jumpUnlessEqual(EtherType.transparentEthernet, 'early')
  }
}

/** X = after the list of tags. */
function tzsp(p: BpfAssembler): void {
  p.setX(0)
  p.loadHalf(TZSP_PROTOCOL)
  p.jumpUnlessEqual(TZSP_ETHERNET, 'early')
  p.setX(TZSP_HEADER_LEN)
  for (let tag = 0; tag < STEERED_TZSP_TAGS; tag++) {
    p.loadByte(0)
    p.jumpIfEqual(TZSP_TAG_END, 'tags end')
    p.jumpIfEqual(TZSP_TAG_PAD, `pad ${tag}`)
    p.loadByte(1)
    p.add(2)
    p.jump(`skip tag ${tag}`)
    p.label(`pad ${tag}`)
    p.loadByte(0)
    p.add(1)
    p.label(`skip tag ${tag}`)
    p.addX()
    p.toX()
  }
  p.jump('early')
  p.label('tags end')
  p.fromX()
  p.add(1)
  p.toX()
}

/** X at the frame → X at the IP header. */
function ethernet(p: BpfAssembler): void {
  p.label('ethernet')
  for (let tag = 0; tag < STEERED_VLAN_TAGS; tag++) {
    p.loadHalf(ETHERNET_TYPE)
    p.jumpIfEqual(EtherType.vlan, `tag ${tag}`)
    p.jumpIfEqual(EtherType.serviceVlan, `tag ${tag}`)
    p.jumpUnlessEqual(EtherType.oldServiceVlan, 'type')
    p.label(`tag ${tag}`)
    // A tag has its own type in front and the next one after it: looking 4 bytes further on finds that.
    p.fromX()
    p.add(VLAN_TAG_LEN)
    p.toX()
  }
  p.loadHalf(ETHERNET_TYPE)
  p.label('type')
  p.keepA('type')
  p.fromX()
  p.add(ETHERNET_HEADER_LEN)
  p.toX()
  p.recallA('type')
  p.jumpIfEqual(EtherType.ipv6, 'ipv6')
  p.jumpUnlessEqual(EtherType.ipv4, 'early')
}

function ipv4(p: BpfAssembler, key: number): void {
  p.label('ipv4')
  p.keepX('ip')
  p.loadHalf(IPV4_FRAGMENT)
  p.jumpIfAny(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET, 'early')
  p.loadByte(IPV4_PROTOCOL)
  p.keepA('protocol')
  p.loadByte(0)
  p.and(0x0f)
  p.shiftLeft(2)
  p.addX()
  p.keepA('ports')
  address(p, 'source', [IPV4_SOURCE], key)
  address(p, 'destination', [IPV4_DESTINATION], key)
  p.jump('transport')
}

function ipv6(p: BpfAssembler, key: number): void {
  p.label('ipv6')
  p.keepX('ip')
  p.loadByte(IPV6_NEXT_HEADER)
  p.keepA('protocol')
  p.fromX()
  p.add(IPV6_HEADER_LEN)
  p.toX()
  p.recallA('protocol')
  for (let i = 0; i < STEERED_IPV6_EXTENSIONS; i++) {
    for (const header of IN_EIGHT_BYTES) p.jumpIfEqual(header, `in 8 ${i}`)
    p.jumpUnlessEqual(IpProtocol.authentication, 'upper')
    // In 4-byte words, two not counted (RFC 4302 section 2.2).
    p.loadByte(1)
    p.add(2)
    p.shiftLeft(2)
    p.jump(`skip ${i}`)
    p.label(`in 8 ${i}`)
    p.loadByte(1)
    p.add(1)
    p.shiftLeft(3)
    p.label(`skip ${i}`)
    p.keepA('length')
    p.loadByte(0)
    p.keepA('protocol')
    p.recallA('length')
    p.addX()
    p.toX()
    p.recallA('protocol')
  }
  p.label('upper')
  p.keepX('ports')
  const words = [0, 4, 8, 12]
  address(
    p,
    'source',
    words.map((at) => IPV6_SOURCE + at),
    key,
  )
  address(
    p,
    'destination',
    words.map((at) => IPV6_DESTINATION + at),
    key,
  )
}

/** Extension headers whose length is counted in 8-byte words, one not counted. A fragment header is none: it goes to socket 0. */
const IN_EIGHT_BYTES = [
  IpProtocol.hopByHop,
  IpProtocol.routing,
  IpProtocol.destinationOptions,
  IpProtocol.mobility,
  IpProtocol.hostIdentity,
  IpProtocol.shim6,
]

/** M[name] = hash of the address whose words stand at these offsets of the IP header. */
function address(p: BpfAssembler, name: string, words: readonly number[], key: number): void {
  for (const [i, at] of words.entries()) {
    p.recallX('ip')
    p.loadWord(at)
    if (i === 0) p.xor(key)
    else {
      p.recallX(name)
      p.xorX()
    }
    mix(p, MULTIPLY_1)
    p.keepA(name)
  }
}

function transport(p: BpfAssembler, sockets: number, first: number, tunnelPorts: readonly number[]): void {
  p.label('transport')
  p.recallX('ports')
  p.recallA('protocol')
  p.jumpIfEqual(IpProtocol.tcp, 'flow')
  p.jumpUnlessEqual(IpProtocol.udp, 'other')
  // Teredo is told by the source port, too. Whatever has a tunnel's port at either end goes to the same socket.
  for (const at of [UDP_SOURCE_PORT, UDP_DESTINATION_PORT]) {
    p.loadHalf(at)
    for (const port of tunnelPorts) p.jumpIfEqual(port, 'other')
  }
  p.label('flow')
  // Address and port are joined after a keyed mix, and the sum of the two ends does not know which came first.
  p.loadHalf(0)
  p.multiply(MULTIPLY_PORT)
  p.recallX('source')
  p.addX()
  mix(p, MULTIPLY_2)
  p.keepA('source')
  p.recallX('ports')
  p.loadHalf(2)
  p.multiply(MULTIPLY_PORT)
  p.recallX('destination')
  p.addX()
  mix(p, MULTIPLY_2)
  p.recallX('source')
  p.addX()
  mix(p, MULTIPLY_1)
  p.modulo(sockets)
  if (first > 0) p.add(first)
  p.returnA()
}

/** A = A * multiplier, its upper half folded into its lower: what the modulo looks at. X is lost. */
function mix(p: BpfAssembler, multiplier: number): void {
  p.multiply(multiplier)
  p.toX()
  p.shiftRight(16)
  p.xorX()
}
