/** The frame that nearly all are, in one straight run of comparisons. */
import { u16 } from '../wire/bytes.ts'
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
import { TCP_MIN_HEADER_LEN, tcpHeaderLength } from '../wire/tcp.ts'
import type { PacketView } from './packet-view.ts'

/** First byte of an IPv4 header: version 4, five words. */
const IPV4_WITHOUT_OPTIONS = 0x45

/**
 * Fills `view` as the slow path would have, where [at, end) is Ethernet, IPv4 without options, whole and unfragmented, and TCP, and nothing
 * but that has to be checked. False: nothing was done.
 */
export function tryFastPath(view: PacketView, bytes: Buffer, at: number, end: number, vni: number): boolean {
  const ipAt = at + ETHERNET_HEADER_LEN
  return (
    end - ipAt >= IPV4_MIN_HEADER_LEN &&
    u16(bytes, at + ETHERNET_TYPE) === EtherType.ipv4 &&
    tryFastPathFromIpv4(view, bytes, ipAt, end, vni, vni + 1)
  )
}

/** The same from the IPv4 header on, whatever stands before it. */
export function tryFastPathFromIpv4(
  view: PacketView,
  bytes: Buffer,
  ipAt: number,
  end: number,
  vni: number,
  network: number,
): boolean {
  const tcpAt = ipAt + IPV4_MIN_HEADER_LEN
  if (end - tcpAt < TCP_MIN_HEADER_LEN || bytes[ipAt] !== IPV4_WITHOUT_OPTIONS) return false
  if (bytes[ipAt + IPV4_PROTOCOL] !== IpProtocol.tcp) return false
  if ((u16(bytes, ipAt + IPV4_FRAGMENT) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) !== 0) return false
  const packetEnd = ipAt + u16(bytes, ipAt + IPV4_TOTAL_LENGTH)
  const headerLength = tcpHeaderLength(bytes, tcpAt)
  if (packetEnd > end || headerLength < TCP_MIN_HEADER_LEN || headerLength > packetEnd - tcpAt) return false
  view.bytes = bytes
  view.ipAt = ipAt
  view.ipVersion = 4
  view.tcpAt = tcpAt
  view.end = packetEnd
  view.trueEnd = packetEnd
  view.vni = vni
  view.network = network
  return true
}
