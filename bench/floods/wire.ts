/** Mirrored packets made in one buffer, by patching the bytes that differ from the last one: a flood must cost its maker little. */
import type { TunnelFormat } from '../../src/topology/packet-pipeline.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'

export const { syn: SYN, ack: ACK, fin: FIN, rst: RST } = TcpFlag

/** Takes one mirrored datagram: bytes [0, end). */
export type Send = (bytes: Buffer, end: number, format: TunnelFormat) => void

const ETHERNET_LEN = 14
const IPV4_LEN = 20
const TCP_LEN = 20
const TUNNEL_LEN = 8
const MOST = 9000
const SERVER = 0xac10_0001
const NOTHING = Buffer.alloc(0)
/** Window scale 14, the largest, and a no-operation (RFC 7323 section 2.2). */
const WINDOW_SCALE = Buffer.from([3, 3, 14, 1])

/** VXLAN header with VNI 1 (RFC 7348 section 5). */
const VXLAN = Buffer.from([8, 0, 0, 0, 0, 0, 1, 0])

export class Wire {
  readonly bytes = Buffer.alloc(MOST)
  private readonly send: Send
  private readonly format: TunnelFormat
  private readonly ipAt: number
  private payload: Buffer = NOTHING

  /** @param encapsulation what stands in front of the IP header @param format how its beginning is read */
  constructor(send: Send, encapsulation: Buffer = plainEncapsulation(), format: TunnelFormat = 'vxlan') {
    this.send = send
    this.format = format
    this.ipAt = encapsulation.length
    encapsulation.copy(this.bytes)
    const { bytes, ipAt } = this
    bytes[ipAt] = 0x45
    bytes[ipAt + 8] = 64
    bytes[ipAt + 9] = 6
    bytes[ipAt + IPV4_LEN + 12] = 0x50
    bytes.writeUInt16BE(64_240, ipAt + IPV4_LEN + 14)
  }

  /** From client `n` to the one server. Checksums are not filled in: nobody asked for them. */
  client(n: number, seq: number, ack: number, flags: number, payload: Buffer = NOTHING): void {
    this.tcp(clientAddress(n), SERVER, clientPort(n), 80, seq, ack, flags, payload)
  }

  server(n: number, seq: number, ack: number, flags: number, payload: Buffer = NOTHING): void {
    this.tcp(SERVER, clientAddress(n), 80, clientPort(n), seq, ack, flags, payload)
  }

  /** SYN, SYN-ACK, ACK. The client's stream begins at 1, the server's at 1. Windows are as large as can be, from the first ACK on. */
  handshake(n: number): void {
    const offsetAt = this.ipAt + IPV4_LEN + 12
    this.bytes[offsetAt] = 0x60
    this.client(n, 0, 0, SYN, WINDOW_SCALE)
    this.server(n, 0, 1, SYN | ACK, WINDOW_SCALE)
    this.bytes[offsetAt] = 0x50
    this.client(n, 1, 1, ACK)
  }

  /** An IPv4 fragment of TCP data. @param id of its datagram @param offset in bytes, a multiple of 8 */
  fragment(n: number, id: number, offset: number, isLast: boolean, payload: Buffer): void {
    const { bytes, ipAt } = this
    const end = this.ip(clientAddress(n), SERVER, payload.length)
    bytes.writeUInt16BE(id & 0xffff, ipAt + 4)
    bytes.writeUInt16BE((isLast ? 0 : 0x2000) | (offset >> 3), ipAt + 6)
    payload.copy(bytes, ipAt + IPV4_LEN)
    this.payload = NOTHING
    this.send(bytes, end, this.format)
    bytes.writeUInt16BE(0, ipAt + 6)
  }

  private tcp(
    from: number,
    to: number,
    fromPort: number,
    toPort: number,
    seq: number,
    ack: number,
    flags: number,
    payload: Buffer,
  ): void {
    const { bytes } = this
    const end = this.ip(from, to, TCP_LEN + payload.length)
    const at = this.ipAt + IPV4_LEN
    put16(bytes, at, fromPort)
    put16(bytes, at + 2, toPort)
    put32(bytes, at + 4, seq)
    put32(bytes, at + 8, ack)
    bytes[at + 13] = flags
    if (payload !== this.payload && payload.length > 0) {
      payload.copy(bytes, at + TCP_LEN)
      this.payload = payload
    }
    this.send(bytes, end, this.format)
  }

  /** @returns where the packet ends */
  private ip(from: number, to: number, length: number): number {
    const { bytes, ipAt } = this
    put16(bytes, ipAt + 2, IPV4_LEN + length)
    put32(bytes, ipAt + 12, from)
    put32(bytes, ipAt + 16, to)
    return ipAt + IPV4_LEN + length
  }
}

/** 16,777,216 addresses, each with ports of its own. */
function clientAddress(n: number): number {
  return 0x0a00_0000 | (n & 0xff_ffff)
}

function clientPort(n: number): number {
  return 32_768 + Math.floor(n / 0x100_0000)
}

function put16(bytes: Buffer, at: number, n: number): void {
  bytes[at] = n >>> 8
  bytes[at + 1] = n
}

function put32(bytes: Buffer, at: number, n: number): void {
  bytes[at] = n >>> 24
  bytes[at + 1] = n >>> 16
  bytes[at + 2] = n >>> 8
  bytes[at + 3] = n
}

/** VXLAN and Ethernet. @param tags 802.1Q tags */
export function plainEncapsulation(tags = 0): Buffer {
  return Buffer.concat([VXLAN, ethernet(tags)])
}

function ethernet(tags = 0): Buffer {
  const header = Buffer.alloc(ETHERNET_LEN + 4 * tags)
  header[0] = 2
  header[6] = 2
  for (let i = 0; i < tags; i++) {
    header.writeUInt16BE(0x8100, 12 + 4 * i)
    header.writeUInt16BE(100 + i, 14 + 4 * i)
  }
  header.writeUInt16BE(0x0800, 12 + 4 * tags)
  return header
}

/** VXLAN in VXLAN: `depth` inner tunnels around a packet of `innerLength` bytes. */
export function nestedEncapsulation(depth: number, innerLength: number): Buffer {
  const layers: Buffer[] = [VXLAN, ethernet()]
  let length = innerLength + depth * (IPV4_LEN + 8 + TUNNEL_LEN + ETHERNET_LEN)
  for (let i = 0; i < depth; i++) {
    const ip = Buffer.alloc(IPV4_LEN)
    ip[0] = 0x45
    ip.writeUInt16BE(length, 2)
    ip[8] = 64
    ip[9] = 17
    ip.writeUInt32BE(0x0a01_0000 + i, 12)
    ip.writeUInt32BE(0x0a02_0000 + i, 16)
    const udp = Buffer.alloc(8)
    udp.writeUInt16BE(40_000 + i, 0)
    udp.writeUInt16BE(4789, 2)
    udp.writeUInt16BE(length - IPV4_LEN, 4)
    layers.push(ip, udp, VXLAN, ethernet())
    length -= IPV4_LEN + 8 + TUNNEL_LEN + ETHERNET_LEN
  }
  return Buffer.concat(layers)
}

/** GENEVE with as many options as its header can state: 63 words (RFC 8926 section 3.4). */
export function geneveEncapsulation(): Buffer {
  const words = 63
  const header = Buffer.alloc(8 + words * 4)
  header[0] = words
  header.writeUInt16BE(0x6558, 2)
  header[6] = 1
  // Options of no data: 4 bytes each, class 0x0102, unknown.
  for (let at = 8; at < header.length; at += 4) header.writeUInt32BE(0x0102_0100, at)
  return Buffer.concat([header, ethernet()])
}
