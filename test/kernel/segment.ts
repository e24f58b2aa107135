/** Segments as the hand-written client makes and reads them: every field may be wrong on purpose. */
import { ipv4, type TcpFields, tcp } from '../support/packets.ts'

export const Option = {
  end: 0,
  nop: 1,
  mss: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
  md5: 19,
  ao: 29,
  mptcp: 30,
  fastOpen: 34,
} as const

export interface Endpoint {
  readonly address: string
  readonly port: number
}

export interface SegmentFields extends Pick<TcpFields, 'flags' | 'seq' | 'ack' | 'data' | 'dataOffset'> {
  readonly window?: number
  readonly urgent?: number
  /** Padded to a multiple of 4 bytes here. */
  readonly options?: Buffer
  /** Which checksum is wrong. */
  readonly damage?: 'tcp' | 'ip'
}

const MD5_OPTION_BYTES = 18
const TCP_AT = 20
const WINDOW = 14
const CHECKSUM = 16
const URGENT = 18
const IP_CHECKSUM = 10

export function segment(from: Endpoint, to: Endpoint, f: SegmentFields): Buffer {
  const options = padded(f.options ?? Buffer.alloc(0))
  const bytes = tcp({ ...f, options, sourcePort: from.port, destinationPort: to.port })
  bytes.writeUInt16BE(f.window ?? 0xffff, WINDOW)
  bytes.writeUInt16BE(f.urgent ?? 0, URGENT)
  const packet = ipv4({ source: from.address, destination: to.address, payload: bytes })
  if (f.damage === 'tcp') packet[TCP_AT + CHECKSUM]! ^= 0x5a
  if (f.damage === 'ip') packet[IP_CHECKSUM]! ^= 0x5a
  return packet
}

export function option(kind: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([kind, value.length + 2]), value])
}

export function timestamps(value: number, echo: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32BE(value | 0, 0)
  bytes.writeInt32BE(echo | 0, 4)
  return Buffer.concat([Buffer.from([Option.nop, Option.nop]), option(Option.timestamps, bytes)])
}

function padded(options: Buffer): Buffer {
  const rest = options.length % 4
  return rest === 0 ? options : Buffer.concat([options, Buffer.alloc(4 - rest, Option.nop)])
}

/** A segment read from the wire. Numbers of 32 bits are signed, as sequence arithmetic has them. */
export interface Seen {
  readonly from: Endpoint
  readonly to: Endpoint
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly window: number
  readonly urgent: number
  readonly data: Buffer
  readonly options: readonly SeenOption[]
  /** A length among the options does not fit, where an option of TCP-MD5 has room: Linux looks for it no further. */
  readonly hasBadOptions: boolean
}

export interface SeenOption {
  readonly kind: number
  readonly value: Buffer
}

/** Null for what is no whole IPv4 TCP packet. */
export function readSegment(packet: Buffer): Seen | null {
  const ipLength = (packet[0]! & 15) << 2
  if (packet[0]! >> 4 !== 4 || packet[9] !== 6 || packet.length < ipLength + 20) return null
  const bytes = packet.subarray(ipLength, packet.readUInt16BE(2))
  const headerLength = (bytes[12]! >> 4) << 2
  if (headerLength < 20 || headerLength > bytes.length) return null
  const { options, isBad } = readOptions(bytes.subarray(20, headerLength))
  return {
    from: { address: [...packet.subarray(12, 16)].join('.'), port: bytes.readUInt16BE(0) },
    to: { address: [...packet.subarray(16, 20)].join('.'), port: bytes.readUInt16BE(2) },
    seq: bytes.readInt32BE(4),
    ack: bytes.readInt32BE(8),
    flags: bytes[13]!,
    window: bytes.readUInt16BE(WINDOW),
    urgent: bytes.readUInt16BE(URGENT),
    data: bytes.subarray(headerLength),
    options,
    hasBadOptions: isBad,
  }
}

function readOptions(bytes: Buffer): { options: SeenOption[]; isBad: boolean } {
  const options: SeenOption[] = []
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at]!
    if (kind === Option.end) break
    if (kind === Option.nop) {
      at++
      continue
    }
    const length = bytes[at + 1] ?? 0
    if (length < 2 || at + length > bytes.length) return { options, isBad: bytes.length - at >= MD5_OPTION_BYTES }
    options.push({ kind, value: bytes.subarray(at + 2, at + length) })
    at += length
  }
  return { options, isBad: false }
}

export function findOption(seen: Seen, kind: number): Buffer | null {
  return seen.options.find((o) => o.kind === kind)?.value ?? null
}
