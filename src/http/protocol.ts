/** Names for traffic that is not HTTP/1, from its first bytes: so that "nothing was replayed" has an explanation. */

export const PROTOCOLS = ['tls', 'http2', 'ssh', 'proxyHeader', 'unknown'] as const
export type Protocol = (typeof PROTOCOLS)[number]

/** What the first bytes of a stream, [at, end), look like. Not HTTP/1: that was tried before. */
export function recogniseProtocol(bytes: Buffer, at: number, end: number): Protocol {
  if (isTlsRecord(bytes, at, end)) return 'tls'
  if (startsWith(bytes, at, end, 'PRI * HTTP/2.0\r\n') || isHttp2Settings(bytes, at, end)) return 'http2'
  return startsWith(bytes, at, end, 'SSH-') ? 'ssh' : 'unknown'
}

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

function startsWith(bytes: Buffer, at: number, end: number, text: string): boolean {
  return bytes.toString('latin1', at, Math.min(end, at + text.length)) === text
}

/** Connections by protocol and server port. Bounded: ports beyond the first MAX_PORTS of a protocol count as port 0, "others". */
export class ProtocolCensus {
  private readonly counts = new Map<string, number>()
  private readonly ports = new Map<Protocol, Set<number>>()

  add(protocol: Protocol, serverPort: number, connections = 1): void {
    const known = this.ports.get(protocol) ?? new Set()
    this.ports.set(protocol, known)
    const port = known.has(serverPort) || known.size < MAX_PORTS ? serverPort : 0
    known.add(port)
    const key = `${protocol}:${port}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + connections)
  }

  /** Adds what another one counted, as its `entries` tell; the bound on ports holds for the sum. */
  addEntries(entries: readonly (readonly [string, number])[]): void {
    for (const [key, connections] of entries) {
      const [protocol, port] = key.split(':')
      this.add(protocol as Protocol, Number(port), connections)
    }
  }

  /** Entries `protocol:port` → connections, for sending to another thread. */
  entries(): [string, number][] {
    return [...this.counts]
  }
}

const MAX_PORTS = 64
