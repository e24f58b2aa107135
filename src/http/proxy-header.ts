/**
 * The PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and 2): what a load balancer puts before a connection to say for whom it
 * was opened. It stands at the very beginning of the client's stream, before the first byte of any other protocol.
 *
 *  version 1   PROXY SP TCP4|TCP6 SP source SP destination SP port SP port CRLF, or PROXY SP UNKNOWN … CRLF; at most 107 bytes
 *
 *  version 2   byte 0    signature, 12 bytes
 *                  12    version (2) and command (0 LOCAL, 1 PROXY), 4 bits each
 *                  13    family (1 IPv4, 2 IPv6, 3 Unix) and transport, 4 bits each
 *                  14    length of what follows, 16 bits: addresses, then ports, then TLVs
 *                  16    source address, destination address, source port, destination port
 */
import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { NamedEnd } from '../exchange/connection.ts'
import { StreamPiece } from '../reassembly/stream-parser.ts'

/** The ends of the connection that a PROXY header speaks of. */
export interface ProxiedEnds {
  readonly client: NamedEnd
  readonly server: NamedEnd
}

export const ProxyHeader = {
  /** The next bytes decide. */
  more: 0,
  /** The stream begins with something else. */
  absent: 1,
  /** The header is over; `ends` says what it said. */
  done: 2,
  malformed: 3,
} as const

const SIGNATURE_1 = Buffer.from('PROXY ')
const SIGNATURE_2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const WORDS = ['TCP4 ', 'TCP6 ', 'UNKNOWN']
const MAX_LINE = 107
const FIXED_2 = 16
/** Bytes of addresses and ports by family. */
const ADDRESSES_2 = [0, 12, 36, 216]
const CR = 0x0d

export class ProxyHeaderReader {
  /** Null: the header names no client (UNKNOWN, LOCAL, Unix sockets). */
  ends: ProxiedEnds | null = null
  /** Bytes taken so far of which nothing is known yet, or which are the header's beginning. */
  kept: Buffer = Buffer.allocUnsafeSlow(0)
  /** Bytes of a version 2 header that follow and are passed over: TLVs. */
  private toSkip = 0
  private isSkipping = false
  private headerEnd = 0
  /** Kept bytes of earlier pieces than the last. */
  before = 0
  /** Index after what was taken of the last piece. */
  next = 0

  /** Takes bytes of [at, end). One of ProxyHeader; `next` is the index after what was taken, `at` where the stream begins with something else. */
  take(bytes: Buffer, at: number, end: number): number {
    if (this.isSkipping) return this.skip(at, end)
    const before = this.kept.length
    this.before = before
    const needed = this.mostNeeded()
    const more = bytes.subarray(at, Math.min(end, at + needed - before))
    this.kept = before === 0 ? Buffer.from(more) : Buffer.concat([this.kept, more])
    const result = this.kept[0] === CR ? this.version2() : this.version1()
    if (result === ProxyHeader.done) this.next = at + (this.headerEnd - before)
    else this.next = result === ProxyHeader.more ? at + more.length : at
    if (result === ProxyHeader.absent) this.kept = this.kept.subarray(0, before)
    if (result === ProxyHeader.done && this.isSkipping) return this.skip(this.next, end)
    if (result === ProxyHeader.more && this.next < end) return this.take(bytes, this.next, end)
    return result
  }

  /** Bytes in all that are looked at before it is decided how many more are. */
  private mostNeeded(): number {
    const { kept } = this
    if (kept[0] !== CR && kept.length > 0) return MAX_LINE
    if (kept.length === 0) return MAX_LINE
    if (kept.length < FIXED_2) return FIXED_2
    return FIXED_2 + Math.min(kept.readUInt16BE(14), ADDRESSES_2[kept[13]! >> 4] ?? 0)
  }

  /** The kept bytes as a piece before `next`. */
  keptPiece(next: StreamPiece | null): StreamPiece {
    const piece = new StreamPiece()
    piece.bytes = this.kept
    piece.end = this.kept.length
    if (next === null) return piece
    piece.offset = next.offset - this.kept.length
    piece.peerOffset = next.peerOffset
    piece.timeUs = next.timeUs
    return piece
  }

  private skip(at: number, end: number): number {
    const n = Math.min(this.toSkip, end - at)
    this.toSkip -= n
    this.next = at + n
    return this.toSkip === 0 ? ProxyHeader.done : ProxyHeader.more
  }

  private version1(): number {
    const { kept } = this
    if (!beginsLike(kept, SIGNATURE_1)) return ProxyHeader.absent
    const text = kept.toString('latin1')
    // PROXY is no method that anybody knows; as one it has a target after it, which is none of these words.
    const words = text.slice(SIGNATURE_1.length)
    if (!WORDS.some((word) => word.startsWith(words) || words.startsWith(word))) return ProxyHeader.absent
    const lineEnd = text.indexOf('\r\n')
    if (lineEnd < 0) return kept.length >= MAX_LINE ? ProxyHeader.malformed : ProxyHeader.more
    this.headerEnd = lineEnd + 2
    const line = text.slice(0, lineEnd)
    if (/^PROXY UNKNOWN(?: |$)/.test(line)) return ProxyHeader.done
    const [, family, client = '', server = '', from = '', to = '', ...rest] = line.split(' ')
    const isAddress = family === 'TCP4' ? isIPv4 : isIPv6
    const isWhole = rest.length === 0 && isAddress(client) && isAddress(server) && isPort(from) && isPort(to)
    if (!isWhole) return ProxyHeader.malformed
    this.ends = endsOf(ipaddr.parse(client), Number(from), ipaddr.parse(server), Number(to))
    return ProxyHeader.done
  }

  private version2(): number {
    const { kept } = this
    if (!beginsLike(kept, SIGNATURE_2)) return ProxyHeader.absent
    if (kept.length < FIXED_2) return ProxyHeader.more
    const command = kept[12]! & 15
    const family = kept[13]! >> 4
    const length = kept.readUInt16BE(14)
    const addresses = ADDRESSES_2[family]
    if (kept[12]! >> 4 !== 2 || command > 1 || addresses === undefined || (kept[13]! & 15) > 2)
      return ProxyHeader.malformed
    // Of LOCAL what follows means nothing, whatever it is.
    if (command === 1 && length < addresses) return ProxyHeader.malformed
    const read = command === 1 ? addresses : 0
    if (kept.length < FIXED_2 + read) return ProxyHeader.more
    if (command === 1 && (family === 1 || family === 2)) this.ends = this.ends2(family === 1 ? 4 : 16)
    this.headerEnd = FIXED_2 + read
    this.toSkip = length - read
    this.isSkipping = this.toSkip > 0
    return ProxyHeader.done
  }

  private ends2(size: number): ProxiedEnds {
    const { kept } = this
    const address = (at: number) => ipaddr.fromByteArray([...kept.subarray(at, at + size)])
    const ports = FIXED_2 + 2 * size
    return endsOf(address(FIXED_2), kept.readUInt16BE(ports), address(FIXED_2 + size), kept.readUInt16BE(ports + 2))
  }
}

/** By its first two bytes: what nearly every connection begins with is told apart without a copy. */
export function mayBeProxyHeader({ bytes, at, end }: StreamPiece): boolean {
  const first = bytes[at]
  if (first !== SIGNATURE_1[0] && first !== CR) return false
  return end - at === 1 || bytes[at + 1] === (first === CR ? SIGNATURE_2[1] : SIGNATURE_1[1])
}

/** One begins with the other. */
function beginsLike(bytes: Buffer, signature: Buffer): boolean {
  const n = Math.min(bytes.length, signature.length)
  return bytes.compare(signature, 0, n, 0, n) === 0
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function endsOf(
  client: ipaddr.IPv4 | ipaddr.IPv6,
  clientPort: number,
  server: ipaddr.IPv4 | ipaddr.IPv6,
  serverPort: number,
): ProxiedEnds {
  return {
    client: { address: textOf(client), port: clientPort },
    server: { address: textOf(server), port: serverPort },
  }
}

/** Proxies with dual-stack sockets write IPv4 addresses as IPv4-mapped ones (RFC 4291 section 2.5.5.2). */
function textOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()
  return isMapped ? address.toIPv4Address().toString() : address.toString()
}
