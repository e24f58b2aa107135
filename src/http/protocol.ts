/**
 * What a connection may speak. Each protocol is an entry of the registry (protocol-registry.ts): it knows its own first bytes, and reads its
 * connections, or is only named and counted, so that "nothing was replayed" has an explanation.
 */
import type { StreamParser } from '../reassembly/stream-parser.ts'
import { Probe } from './first-line.ts'
import type { HttpContext, OpenEvents } from './http-context.ts'

/** Names of what is passed over, in summaries and metrics. */
export const PROTOCOLS = ['tls', 'http2', 'ssh', 'proxyHeader', 'unknown'] as const
export type ProtocolName = (typeof PROTOCOLS)[number]

/**
 * @param ports of the endpoints that send in direction 0 and 1
 * @param clientDirection -1 where the start of the connection was not seen
 * @param isMidMessage its first data may lie in the middle of a message or in a tunnel
 */
export type OpenParser = (
  context: HttpContext,
  flowHash: number,
  ports: readonly [number, number],
  clientDirection: number,
  openEvents: OpenEvents,
  isMidMessage: boolean,
) => StreamParser

export interface Protocol {
  readonly name: ProtocolName | 'http1'
  /** One of Probe: what [at, end), the first bytes of one side's stream, are of it. Either side's: each has its own beginning. */
  probe(bytes: Buffer, at: number, end: number): number
  /** Null: its connections are not read. */
  readonly open: OpenParser | null
}

const TLS: Protocol = {
  name: 'tls',
  probe: (bytes, at, end) => {
    if (isTlsRecord(bytes, at, end)) return Probe.yes
    return end - at < 3 && (end === at || bytes[at] === 0x16) ? Probe.more : Probe.no
  },
  open: null,
}

const HTTP2: Protocol = {
  name: 'http2',
  probe: (bytes, at, end) =>
    isHttp2Settings(bytes, at, end) ? Probe.yes : probeText(bytes, at, end, 'PRI * HTTP/2.0\r\n'),
  open: null,
}

const SSH: Protocol = { name: 'ssh', probe: (bytes, at, end) => probeText(bytes, at, end, 'SSH-'), open: null }

/** Those that are named only. */
export const UNREAD_PROTOCOLS: readonly Protocol[] = [TLS, HTTP2, SSH]

/** A SOCKS handshake (version 4 CONNECT, or RFC 1928 version 5): what the proxy then carries is a stream of its own. */
export function isSocksHandshake(bytes: Buffer, at: number, end: number): boolean {
  if (end - at < 2) return false
  if (bytes[at] === 4) return bytes[at + 1] === 1 && end - at >= 8
  return bytes[at] === 5 && bytes[at + 1]! > 0 && bytes[at + 1] === end - at - 2
}

/** TLS record (RFC 8446 section 5.1): type 20 to 24, version 3.x, length up to 2^14 + 2048. */
export function isTlsRecord(bytes: Buffer, at: number, end: number): boolean {
  if (end - at < 3 || bytes[at]! < 0x14 || bytes[at]! > 0x18 || bytes[at + 1] !== 3 || bytes[at + 2]! > 4) return false
  return end - at < 5 || ((bytes[at + 3]! << 8) | bytes[at + 4]!) <= 16_384 + 2048
}

/** A server's HTTP/2 connection begins with a SETTINGS frame on stream 0 (RFC 9113 section 3.4). */
function isHttp2Settings(bytes: Buffer, at: number, end: number): boolean {
  if (end - at < 9 || bytes[at + 3] !== 4) return false
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
  return length % 6 === 0 && length <= 6 * 32 && bytes.readUInt32BE(at + 5) === 0
}

function probeText(bytes: Buffer, at: number, end: number, text: string): number {
  const first = bytes.toString('latin1', at, Math.min(end, at + text.length))
  if (first === text) return Probe.yes
  return text.startsWith(first) ? Probe.more : Probe.no
}
