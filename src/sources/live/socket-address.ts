/**
 * Socket addresses as the kernel lays them out (ip(7), ipv6(7)), on little-endian Linux.
 *
 *   sockaddr_in    0 family u16 (native)   2 port u16 (network)   4 address (network)                       16 bytes
 *   sockaddr_in6   0 family u16 (native)   2 port u16 (network)   4 flow label   8 address   24 scope u32    28 bytes
 */
import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { PeerAddress } from '../datagram-receiver.ts'
import type { BindAddress } from './listen-address.ts'

export const AF_INET = 2
export const AF_INET6 = 10
export const SOCKADDR_IN6_LEN = 28
const SOCKADDR_IN_LEN = 16
const PORT = 2
const IN_ADDRESS = 4
const IN6_ADDRESS = 8
const IN6_SCOPE = 24
/** Third word of an IPv4-mapped IPv6 address, ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
const MAPPED_WORD = 0x0000ffff

/** @throws Error when the zone of an IPv6 address names no interface */
export function encodeSocketAddress(address: BindAddress): Uint8Array {
  const bytes = new Uint8Array(address.family === 4 ? SOCKADDR_IN_LEN : SOCKADDR_IN6_LEN)
  const [text = '', zone] = address.host.split('%', 2)
  bytes[0] = address.family === 4 ? AF_INET : AF_INET6
  bytes[PORT] = address.port >>> 8
  bytes[PORT + 1] = address.port
  bytes.set(ipaddr.parse(text).toByteArray(), address.family === 4 ? IN_ADDRESS : IN6_ADDRESS)
  if (zone !== undefined) new DataView(bytes.buffer).setUint32(IN6_SCOPE, scopeOf(zone), true)
  return bytes
}

function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone)
  const scope = networkInterfaces()[zone]?.find((address) => address.family === 'IPv6')?.scopeid
  if (scope === undefined) throw new Error(`no interface ${zone} with an IPv6 address`)
  return scope
}

export function portOf(socketAddress: Uint8Array): number {
  return (socketAddress[PORT]! << 8) | socketAddress[PORT + 1]!
}

/** Reads a sockaddr at `at` into `peer`: no allocation. The caller vouches for 28 readable bytes. */
export function readPeer(bytes: Uint8Array, at: number, peer: PeerAddress): void {
  if (bytes[at] === AF_INET) {
    setIpv4(peer, readWord(bytes, at + IN_ADDRESS))
    return
  }
  const address = at + IN6_ADDRESS
  setIpv6(
    peer,
    readWord(bytes, address),
    readWord(bytes, address + 4),
    readWord(bytes, address + 8),
    readWord(bytes, address + 12),
  )
}

/** An address as Node prints it, as a PeerAddress. */
export function parsePeer(text: string): PeerAddress {
  const peer = new PeerAddress()
  const bytes = Uint8Array.from(ipaddr.parse(text.split('%', 1)[0]!).toByteArray())
  if (bytes.length === 4) setIpv4(peer, readWord(bytes, 0))
  else setIpv6(peer, readWord(bytes, 0), readWord(bytes, 4), readWord(bytes, 8), readWord(bytes, 12))
  return peer
}

function setIpv4(peer: PeerAddress, word: number): void {
  peer.family = 4
  peer.words[0] = word
  peer.words[1] = 0
  peer.words[2] = 0
  peer.words[3] = 0
}

function setIpv6(peer: PeerAddress, a: number, b: number, c: number, d: number): void {
  if (a === 0 && b === 0 && c === MAPPED_WORD) {
    setIpv4(peer, d)
    return
  }
  peer.family = 6
  peer.words[0] = a
  peer.words[1] = b
  peer.words[2] = c
  peer.words[3] = d
}

function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}
