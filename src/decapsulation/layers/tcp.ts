/** The inner TCP packet, where the path ends well: fills the view. The header's layout stands in wire/tcp.ts. */
import { PacketDrop } from '../../base/drop.ts'
import { Counter } from '../../metrics/counters.ts'
import { PassedOver } from '../../metrics/passed-over.ts'
import { vniNumber } from '../../metrics/refused-numbers.ts'
import { tcpChecksumHolds } from '../../wire/checksum.ts'
import { TCP_MIN_HEADER_LEN, tcpHeaderLength } from '../../wire/tcp.ts'
import type { Cursor } from '../cursor.ts'
import { Verdict } from '../verdict.ts'

export function tcp(c: Cursor): number {
  const { bytes, at, end, wireEnd, view, options } = c
  if (end - at < TCP_MIN_HEADER_LEN)
    return c.finish(wireEnd - at < TCP_MIN_HEADER_LEN ? PacketDrop.tcpLength : PacketDrop.tcpTruncated)
  const headerLength = tcpHeaderLength(bytes, at)
  if (headerLength < TCP_MIN_HEADER_LEN || headerLength > wireEnd - at) return c.finish(PacketDrop.tcpLength)
  if (headerLength > end - at) return c.finish(PacketDrop.tcpTruncated)
  if (options.vnis !== null && !options.vnis.has(c.vni)) {
    c.counters.passOver(PassedOver.vni, vniNumber(c.vni))
    return c.finish(PacketDrop.vniNotAllowed)
  }
  if (wireEnd > end) c.counters.add(c.isTruncatedHere ? Counter.packetsTruncatedHere : Counter.packetsTruncated)
  else if ((options.verifyChecksums || c.isSuspect) && !tcpChecksumHolds(bytes, c.ipAt, c.ipVersion, at, end))
    return c.finish(PacketDrop.tcpChecksum)
  view.bytes = bytes
  view.ipAt = c.ipAt
  view.ipVersion = c.ipVersion
  view.tcpAt = at
  view.end = end
  view.trueEnd = wireEnd
  view.vni = c.vni
  view.network = c.network
  return c.finish(Verdict.tcp)
}
