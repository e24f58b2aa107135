/** Whole IPv4 TCP packets with one field that is not as the sender meant it. */
import type { Random } from '../../src/demo/traffic/random.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { internetChecksum } from '../support/packets.ts'
import { Option, option } from './segment.ts'

const IP_BYTES = 20
const TCP_FLAGS = IP_BYTES + 13
const TCP_CHECKSUM = IP_BYTES + 16

/** One field that a forger would set, checksums made right again. Not of a SYN: it begins what all others are held against. */
export function changed(random: Random, packet: Buffer): Buffer {
  const out = Buffer.from(packet)
  if (out[TCP_FLAGS] === TcpFlag.syn) return out
  const headerEnd = IP_BYTES + ((out[IP_BYTES + 12]! >> 4) << 2)
  switch (random.below(7)) {
    case 0:
      out[TCP_FLAGS]! ^= random.pick([1, 2, 4, 8, 16, 32, 64, 128])
      break
    case 1:
      out[TCP_FLAGS]! |= TcpFlag.urg
      out.writeUInt16BE(random.pick([0, 1, 5, 60_000]), IP_BYTES + 18)
      break
    case 2:
      out.writeInt32BE(
        (out.readInt32BE(IP_BYTES + 4) + random.pick([1, -1, 7, -500, 500, 1 << 20, 1 << 30])) | 0,
        IP_BYTES + 4,
      )
      break
    case 3:
      out.writeInt32BE(
        (out.readInt32BE(IP_BYTES + 8) + random.pick([1, -1, -300, 5000, 1 << 20, 1 << 30, -(1 << 30)])) | 0,
        IP_BYTES + 8,
      )
      break
    case 4:
      // The value of a timestamp, where there is one behind two NOPs.
      if (headerEnd >= IP_BYTES + 32 && out[IP_BYTES + 22] === Option.timestamps)
        out.writeInt32BE((out.readInt32BE(IP_BYTES + 24) + random.pick([-2, -100, 1000, 1 << 30])) | 0, IP_BYTES + 24)
      break
    case 5:
      return withOptions(out, headerEnd, mptcpOption(random))
    default:
      return withOptions(
        out,
        headerEnd,
        Buffer.concat([option(Option.md5, random.bytes(16)), Buffer.alloc(2, Option.nop)]),
      )
  }
  return withChecksums(out)
}

/** A mapping of MPTCP that nobody agreed on. */
function mptcpOption(random: Random): Buffer {
  return Buffer.concat([
    option(Option.mptcp, Buffer.concat([Buffer.from([0x20, 0x04]), random.bytes(10)])),
    Buffer.alloc(2, Option.nop),
  ])
}

function withOptions(packet: Buffer, headerEnd: number, options: Buffer): Buffer {
  const length = headerEnd - IP_BYTES + options.length
  if (length > 60) return packet
  const out = Buffer.concat([packet.subarray(0, headerEnd), options, packet.subarray(headerEnd)])
  out[IP_BYTES + 12] = (length >> 2) << 4
  out.writeUInt16BE(out.length, 2)
  return withChecksums(out)
}

function withChecksums(packet: Buffer): Buffer {
  packet.writeUInt16BE(0, 10)
  packet.writeUInt16BE(internetChecksum(packet.subarray(0, IP_BYTES)), 10)
  packet.writeUInt16BE(0, TCP_CHECKSUM)
  const pseudo = Buffer.alloc(4)
  pseudo[1] = packet[9]!
  pseudo.writeUInt16BE(packet.length - IP_BYTES, 2)
  const sum = internetChecksum(Buffer.concat([packet.subarray(12, 20), pseudo]), packet.subarray(IP_BYTES))
  packet.writeUInt16BE(sum, TCP_CHECKSUM)
  return packet
}
