/**
 * Hostile datagrams for the mirror's port. Their addresses lie outside of those of the real traffic (11.0.0.0/8 to 192.0.2.0/24),
 * and none of them holds the text of a request: whatever reaches the origin from here was invented.
 */
import { Random } from '../../src/demo/traffic/random.ts'
import { type Endpoint, tcpFrames } from '../../src/demo/traffic/wire-builder.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN, VXLAN_VNI } from '../../src/wire/vxlan.ts'
import type { Datagrams } from '../pipeline/datagram-sender.ts'
import type { Flood } from './schedule.ts'

const DATAGRAMS = 4_096
const FLOOD_VNI = 66
const NO_OPTIONS = Buffer.alloc(0)
/** Beyond the reorder window of bytes, still a window that TCP may have. */
const AHEAD_BYTES = 200_000
const AHEAD_FLOWS = 64

/** @param seed another one, other addresses */
export function floodDatagrams(kind: Flood, seed: number): Datagrams {
  const random = new Random(seed)
  return layOut(Array.from({ length: DATAGRAMS }, (_, i) => MAKERS[kind](random, i)))
}

const MAKERS: { readonly [K in Flood]: (random: Random, i: number) => Buffer } = {
  syn: (random) => wrapped(tcp(client(random), { seq: random.word(), ack: 0, flags: TcpFlag.syn }, Buffer.alloc(0))),

  /** A few connections, opened, then nothing but segments far ahead of what was said. */
  ahead: (random, i) => {
    const from: Endpoint = {
      mac: MAC,
      address: Buffer.from([11, 200, 0, i % AHEAD_FLOWS]),
      port: 2_000 + (i % AHEAD_FLOWS),
    }
    const base = (i % AHEAD_FLOWS) * 1_000_003
    if (i < AHEAD_FLOWS) return wrapped(tcp(from, { seq: base, ack: 0, flags: TcpFlag.syn }, Buffer.alloc(0)))
    const seq = base + 1 + AHEAD_BYTES + random.below(600_000)
    return wrapped(tcp(from, { seq, ack: 1, flags: TcpFlag.ack }, Buffer.alloc(random.between(1, 1_200), 'z')))
  },

  random: (random) => random.bytes(random.between(0, 1_400)),

  /** Whole frames with lies in their headers, or cut short. */
  tunnels: (random) => {
    const datagram = wrapped(
      tcp(client(random), { seq: random.word(), ack: 1, flags: TcpFlag.ack }, Buffer.alloc(random.below(200), 'z')),
    )
    switch (random.below(6)) {
      case 0:
        return datagram.subarray(0, random.below(datagram.length))
      case 1: {
        // VLAN tags without an end.
        const tags = Buffer.alloc(VXLAN_HEADER_LEN + 12 + 4 * random.between(1, 40), Buffer.from([0x81, 0, 0, 1]))
        datagram.copy(tags, 0, 0, VXLAN_HEADER_LEN + 12)
        return tags
      }
      case 2: {
        // IPv4 header length, total length, offset of the data.
        const at = VXLAN_HEADER_LEN + 14 + random.pick([0, 2, 3, 32])
        datagram[at] = random.below(256)
        return datagram
      }
      case 3: {
        // Another EtherType in front of the same bytes.
        datagram.writeUInt16BE(
          random.pick([0x86dd, 0x8847, 0x8864, 0x22eb, 0x88be, 0x6558, 0x0806]),
          VXLAN_HEADER_LEN + 12,
        )
        return datagram
      }
      case 4: {
        // GRE, IP in IP, UDP to a tunnel's port: with TCP's bytes inside.
        datagram[VXLAN_HEADER_LEN + 14 + 9] = random.pick([4, 41, 47, 17, 50, 51, 132])
        return datagram
      }
      default: {
        // The I flag is missing, reserved bits are set.
        datagram[0] = random.below(256)
        datagram[1] = random.below(256)
        return datagram
      }
    }
  },

  /** Of datagrams that never become whole; some overlap. */
  fragments: (random, i) => {
    const frames = tcpFrames(
      client(random),
      SERVER,
      { seq: random.word(), ack: 1, flags: TcpFlag.ack, options: NO_OPTIONS },
      Buffer.alloc(600, 'z'),
      { tags: [], id: i, fragmentBytes: 200 },
    )
    return wrapped(frames[random.below(frames.length - 1)]!)
  },
}

const MAC = Buffer.from([2, 0, 0, 0, 11, 0])
const SERVER: Endpoint = { mac: Buffer.from([2, 0, 0, 0, 12, 0]), address: Buffer.from([192, 0, 2, 1]), port: 80 }

function client(random: Random): Endpoint {
  return {
    mac: MAC,
    address: Buffer.from([11, random.below(100), random.below(256), random.below(256)]),
    port: random.between(1_024, 65_535),
  }
}

function tcp(from: Endpoint, header: { seq: number; ack: number; flags: number }, payload: Buffer): Buffer {
  return tcpFrames(from, SERVER, { ...header, options: NO_OPTIONS }, payload, {
    tags: [],
    id: 1,
    fragmentBytes: null,
  })[0]!
}

function wrapped(frame: Buffer): Buffer {
  const datagram = Buffer.alloc(VXLAN_HEADER_LEN + frame.length)
  datagram[0] = VXLAN_FLAG_VNI_VALID
  datagram.writeUIntBE(FLOOD_VNI, VXLAN_VNI, 3)
  frame.copy(datagram, VXLAN_HEADER_LEN)
  return datagram
}

function layOut(datagrams: readonly Buffer[]): Datagrams {
  const offsets = new Int32Array(datagrams.length + 1)
  for (const [i, { length }] of datagrams.entries()) offsets[i + 1] = offsets[i]! + length
  const bytes = Buffer.from(new SharedArrayBuffer(offsets.at(-1)!))
  for (const [i, datagram] of datagrams.entries()) datagram.copy(bytes, offsets[i]!)
  return { bytes, offsets }
}
