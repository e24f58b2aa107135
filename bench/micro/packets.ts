/** Packets for the micro benches, made by the builder of the sample traffic. */

import type { PacketView } from '../../src/decapsulation/packet-view.ts'
import { type Endpoint, type TcpHeader, tcpFrames } from '../../src/demo/traffic/wire-builder.ts'
import { u16 } from '../../src/wire/bytes.ts'
import { IPV4_MIN_HEADER_LEN, IPV4_TOTAL_LENGTH, IPV6_HEADER_LEN, IPV6_PAYLOAD_LENGTH } from '../../src/wire/ip.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'

export const ETHERNET_LEN = 14
const PLAIN = { tags: [], id: 1, fragmentBytes: null }
const NO_OPTIONS = Buffer.alloc(0)

/** Client `n` and its server, as IPv4 or IPv6. */
export function endsOf(ipVersion: 4 | 6, n: number): { client: Endpoint; server: Endpoint } {
  const address = (first: number, host: number) =>
    ipVersion === 4
      ? Buffer.from([first, 0, host >> 8, host & 255])
      : Buffer.from([0x20, 1, 0xd, 0xb8, first, 0, 0, 0, 0, 0, 0, 0, 0, 0, host >> 8, host & 255])
  return {
    client: { mac: Buffer.from([2, 0, 0, 0, 0, 1]), address: address(10, n), port: 32_768 + (n % 20_000) },
    server: { mac: Buffer.from([2, 0, 0, 0, 0, 2]), address: address(172, n % 12), port: 80 },
  }
}

/** One Ethernet frame. */
export function frameOf(from: Endpoint, to: Endpoint, payload: Buffer, header: Partial<TcpHeader> = {}): Buffer {
  return tcpFrames(from, to, { seq: 1, ack: 1, flags: TcpFlag.ack, options: NO_OPTIONS, ...header }, payload, PLAIN)[0]!
}

/** Points the view at the packet in an Ethernet frame that lies at `at`, padding excluded; IP headers have no options. */
export function viewFrame(view: PacketView, bytes: Buffer, at: number, ipVersion: 4 | 6): void {
  view.bytes = bytes
  view.ipAt = at + ETHERNET_LEN
  view.ipVersion = ipVersion
  view.tcpAt = view.ipAt + (ipVersion === 4 ? IPV4_MIN_HEADER_LEN : IPV6_HEADER_LEN)
  view.end =
    ipVersion === 4
      ? view.ipAt + u16(bytes, view.ipAt + IPV4_TOTAL_LENGTH)
      : view.tcpAt + u16(bytes, view.ipAt + IPV6_PAYLOAD_LENGTH)
  view.trueEnd = view.end
}

/** Buffers behind each other in one. @returns their starts, and behind the last one its end */
export function packed(parts: readonly Buffer[]): { bytes: Buffer; offsets: number[] } {
  const offsets = [0]
  for (const part of parts) offsets.push(offsets.at(-1)! + part.length)
  return { bytes: Buffer.concat(parts), offsets }
}
