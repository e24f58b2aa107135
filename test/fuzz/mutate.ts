/** Damage: to bytes, to lists of packets, to the fields that state a length, to text that frames messages. */
import type { Random } from '../../src/demo/traffic/random.ts'
import { internetChecksum } from '../support/packets.ts'

const BOUNDARIES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 19, 20, 31, 32, 39, 40, 63, 64, 127, 128, 255, 256, 1023, 1024, 1500]
const WIDE = [...BOUNDARIES, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]

/** No input grows beyond this. Chosen: three of the longest packets, and fast. */
export const MAX_PART_BYTES = 200_000

/** @param donor other bytes of the same kind, for splices */
export function mutateBytes(random: Random, bytes: Buffer, donor: Buffer, times = random.between(1, 4)): Buffer {
  let out: Buffer = Buffer.from(bytes)
  for (let i = 0; i < times; i++) out = damage(random, out, donor)
  return out.length > MAX_PART_BYTES ? out.subarray(0, MAX_PART_BYTES) : out
}

function damage(random: Random, bytes: Buffer, donor: Buffer): Buffer {
  const n = bytes.length
  const at = random.below(n + 1)
  const length = Math.min(n - at, random.between(1, random.chance(0.2) ? 400 : 12))
  const rest = bytes.subarray(at)
  switch (random.below(12)) {
    case 0:
      if (at < n) bytes[at]! ^= 1 << random.below(8)
      return bytes
    case 1:
      if (at < n) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x20, random.below(256)])
      return bytes
    case 2:
      return Buffer.from(bytes.subarray(0, at))
    case 3:
      return Buffer.from(rest)
    case 4:
      return Buffer.concat([bytes.subarray(0, at), rest.subarray(length)])
    case 5:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.between(1, 12)), rest])
    case 6: {
      // Again and again: what is quadratic shows.
      const piece = rest.subarray(0, length)
      const again = random.chance(0.1) ? random.between(2, 200) : random.between(1, 4)
      return Buffer.concat([bytes.subarray(0, at), ...Array.from({ length: again }, () => piece), rest])
    }
    case 7: {
      const from = random.below(donor.length + 1)
      return Buffer.concat([bytes.subarray(0, at), donor.subarray(from)])
    }
    case 8: {
      const from = random.below(donor.length + 1)
      const piece = donor.subarray(from, from + random.between(1, 80))
      return Buffer.concat([bytes.subarray(0, at), piece, rest])
    }
    case 9:
      return writeNumber(random, bytes, at, random.pick(WIDE))
    case 10:
      return writeNumber(random, bytes, at & ~3, n - at + random.between(-9, 9))
    default: {
      if (n < 2) return bytes
      const other = random.below(n)
      const one = bytes[at % n]!
      bytes[at % n] = bytes[other]!
      bytes[other] = one
      return bytes
    }
  }
}

/** One, two or four bytes, in either order. */
function writeNumber(random: Random, bytes: Buffer, at: number, value: number): Buffer {
  const size = random.pick([1, 2, 2, 4])
  if (at < 0 || at + size > bytes.length) return bytes
  const kept = size === 4 ? value >>> 0 : (value >>> 0) % 2 ** (8 * size)
  if (random.chance(0.5)) bytes.writeUIntBE(kept, at, size)
  else bytes.writeUIntLE(kept, at, size)
  return bytes
}

/** Drops, doubles, moves, repeats and splices whole parts. */
export function mutateList<T>(random: Random, list: readonly T[], donors: readonly T[], times: number): T[] {
  const out = [...list]
  for (let i = 0; i < times && out.length > 0; i++) {
    const at = random.below(out.length)
    switch (random.below(8)) {
      case 0:
        out.splice(at, random.chance(0.2) ? random.between(1, 8) : 1)
        break
      case 1:
        out.splice(at, 0, out[at]!)
        break
      case 2:
        out.splice(random.below(out.length), 0, ...out.splice(at, 1))
        break
      case 3: {
        // Near, as networks do it.
        const to = Math.min(out.length - 1, at + random.between(1, 6))
        out.splice(to, 0, ...out.splice(at, 1))
        break
      }
      case 4:
        out.splice(random.below(out.length + 1), 0, ...out.slice(at, at + random.between(1, 12)))
        break
      case 5:
        if (donors.length > 0) out.splice(at, 0, random.pick(donors))
        break
      case 6: {
        const from = random.below(donors.length + 1)
        out.splice(at, out.length, ...donors.slice(from, from + 200))
        break
      }
      default:
        if (random.chance(0.3)) out.splice(at)
    }
  }
  return out
}

/** Where an IPv4 or IPv6 header seems to stand, outermost first; what is found by chance does no harm. */
export function ipHeaders(frame: Buffer): number[] {
  const found: number[] = []
  for (let at = 0; at + 20 <= frame.length; at++) {
    const first = frame[at]!
    const before = at >= 2 ? frame.readUInt16BE(at - 2) : 0
    if ((first === 0x45 && (before === 0x0800 || at === 0)) || (first >> 4 === 6 && before === 0x86dd)) found.push(at)
  }
  return found
}

/** The same for a GENEVE header and its options (RFC 8926 section 3.4): their lengths count 4-byte words. */
export function lieInGeneve(random: Random, payload: Buffer): Buffer {
  const out = Buffer.from(payload)
  if (out.length < 12) return out
  if (random.chance(0.4)) out[0] = random.chance(0.7) ? random.below(64) : random.below(256)
  else if (random.chance(0.2)) out.writeUInt16BE(random.pick([0x6558, 0x0800, 0x86dd, 0, 0x8847]), 2)
  else {
    // One of the options, wherever they have come to lie.
    let at = 8
    for (let i = random.below(4); i > 0 && at + 4 < out.length; i--) at += 4 + 4 * (out[at + 3]! & 31)
    if (at + 4 <= out.length) out[at + random.pick([2, 3, 3, 3])] = random.below(256)
  }
  return out
}

/** Makes a field that states a length, an offset or what follows say something else. */
export function lie(random: Random, frame: Buffer): Buffer {
  const out = Buffer.from(frame)
  const headers = ipHeaders(out)
  if (headers.length === 0) return mutateBytes(random, out, frame, 1)
  const ip = random.pick(headers)
  const isV4 = out[ip]! >> 4 === 4
  const word = (at: number) => {
    if (at + 2 > out.length) return
    const near = out.readUInt16BE(at) + random.between(-24, 24)
    out.writeUInt16BE(((random.chance(0.5) ? near : random.pick(WIDE)) >>> 0) & 0xffff, at)
  }
  const transport = ip + (isV4 ? (out[ip]! & 15) << 2 : 40)
  switch (random.below(8)) {
    case 0:
    case 1:
      word(ip + (isV4 ? 2 : 4))
      break
    case 2:
      out[ip] = (out[ip]! & 0xf0) | random.below(16)
      break
    case 3:
      if (isV4) word(ip + 6)
      else if (ip + 6 < out.length) out[ip + 6] = random.pick([0, 43, 44, 51, 60, 135, 139, 140, 6, 17, 4, 41, 47])
      break
    case 4:
      if (isV4) out[ip + 9] = random.pick([6, 17, 4, 41, 47, 137, 1])
      break
    case 5:
      if (transport + 12 < out.length) out[transport + 12] = random.below(256)
      break
    case 6:
      word(transport + 4)
      break
    default:
      // A GENEVE header behind UDP, or the first option of it.
      word(transport + 8 + random.pick([0, 2, 8, 10]))
  }
  if (isV4 && random.chance(0.5)) rightChecksum(out, ip)
  return out
}

function rightChecksum(frame: Buffer, ip: number): void {
  const length = (frame[ip]! & 15) << 2
  if (ip + length > frame.length || length < 20) return
  frame.writeUInt16BE(0, ip + 10)
  frame.writeUInt16BE(internetChecksum(frame.subarray(ip, ip + length)), ip + 10)
}

const WORDS = [
  '\r\n', '\r', '\n', '\0', ' ', '\t', ':', ';', ',', '0', '-', '+', '"', '\\', '\x7f', '\xff', '\r\n\r\n',
  'Content-Length: 5\r\n', 'Content-Length: 0\r\n', 'content-length:5\r\n', 'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: Chunked\r\n', 'Transfer-Encoding: gzip, chunked\r\n', 'Transfer-Encoding : chunked\r\n',
  'Connection: close\r\n', 'Connection: keep-alive, x-a\r\n', 'Connection: upgrade\r\n', 'Upgrade: websocket\r\n', 'Upgrade: h2c\r\n',
  'Expect: 100-continue\r\n', 'X-Mirrorshard: 1\r\n', 'Host: b\r\n', 'X-Forwarded-For: 1.1.1.1\r\n', 'Trailer: X\r\n', 'TE: trailers\r\n',
  ' folded\r\n', 'GET /x HTTP/1.1\r\n\r\n', 'POST /y HTTP/1.1\r\n', 'HEAD / HTTP/1.0\r\n\r\n', 'CONNECT h:1 HTTP/1.1\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\n', 'GET http://h/x?y HTTP/1.1\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '5\r\nhello\r\n', '0\r\n\r\n', '0;a="b"\r\n',
  'ffffffff\r\n', '00000000000000005\r\n', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 204 No\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 S\r\n\r\n', 'HTTP/1.0 200\r\n', 'HTTP/1.1 304 N\r\n\r\n', 'Keep-Alive: timeout=5\r\n', '\x16\x03\x01\x00\x05',
] // biome-ignore format: a list of words
  .map((word) => Buffer.from(word, 'latin1'))

/** As `mutateBytes`, with words of HTTP and with lengths that lie. */
export function mutateHttp(random: Random, text: Buffer, donor: Buffer, times = random.between(1, 4)): Buffer {
  let out: Buffer = text
  for (let i = 0; i < times; i++) {
    const share = random.below(10)
    if (share < 4) {
      const at = random.chance(0.5) ? lineStart(random, out) : random.below(out.length + 1)
      const end = at + (random.chance(0.3) ? random.between(0, 20) : 0)
      out = Buffer.concat([out.subarray(0, at), random.pick(WORDS), out.subarray(end)])
    } else if (share < 6) out = otherLength(random, out)
    else out = mutateBytes(random, out, donor, 1)
  }
  return out
}

function lineStart(random: Random, text: Buffer): number {
  const at = text.indexOf('\r\n', random.below(text.length + 1))
  return at < 0 ? text.length : at + 2
}

/** Another Content-Length or chunk size. */
function otherLength(random: Random, bytes: Buffer): Buffer {
  const text = bytes.toString('latin1')
  const found = [...text.matchAll(/content-length: *(\d+)|\r\n([0-9a-f]+)(?=[;\r])/gi)]
  if (found.length === 0) return bytes
  const match = random.pick(found)
  const digits = match[1] ?? match[2]!
  const value = Number.parseInt(digits, match[1] === undefined ? 16 : 10)
  const other = random.pick([value + 1, value - 1, value + random.between(-20, 20), random.pick(WIDE), 1e15, 2 ** 53])
  const shown = random.chance(0.2)
    ? random.pick(['', '-1', '+5', '0x5', '5 ', ' 5', '5,5', '5, 6', '99999999999999999999', '1e3', '٣'])
    : Math.max(0, other).toString(match[1] === undefined ? 16 : 10)
  const at = match.index + match[0].length - digits.length
  return Buffer.from(text.slice(0, at) + shown + text.slice(at + digits.length), 'latin1')
}
