/**
 * What became of packets in the kernel before any socket, as /proc/self/net tells (proc(5)): for the network namespace, all programs
 * together. Where nothing arrives it says how far packets came. Four small files: once a second at most, not per packet.
 */
import { readKernelFile } from '../../base/kernel-file.ts'
import { parseSnmp, parseSnmp6 } from './proc-net-snmp.ts'

const FOLDER = '/proc/self/net'

/** Counts since the network namespace was made. */
export interface KernelNetwork {
  /** Packets that network devices handed over, loopback apart. */
  readonly devicePackets: number
  /** IP packets received. */
  readonly ipReceived: number
  /** IP packets that were neither delivered to a protocol here nor forwarded, and that no other count explains: netfilter's drops, mostly. */
  readonly ipUndelivered: number
  /** IP packets to addresses that are not of this host. */
  readonly ipWrongAddress: number
  /** IP packets of protocols that nobody takes, such as GRE. */
  readonly ipUnknownProtocol: number
  /** IP packets refused by the reverse path filter (rp_filter, RFC 3704). */
  readonly reversePathFiltered: number
  /** UDP datagrams to ports that nobody has. */
  readonly udpNoPort: number
  /** UDP datagrams with a wrong checksum. */
  readonly udpChecksum: number
}

/** Null where the kernel does not tell. */
export function readKernelNetwork(): KernelNetwork | null {
  const ipv4 = readTable('snmp')
  if (ipv4 === null) return null
  return kernelNetworkOf(ipv4, readTable('netstat') ?? '', readTable('snmp6') ?? '', readTable('dev') ?? '')
}

function readTable(name: string): string | null {
  return readKernelFile(`${FOLDER}/${name}`)
}

/** @param snmp6 empty without IPv6 */
export function kernelNetworkOf(snmp: string, netstat: string, snmp6: string, dev: string): KernelNetwork {
  const v4 = parseSnmp(`${snmp}\n${netstat}`)
  const v6 = parseSnmp6(snmp6)
  const four = (name: string) => v4.get(name) ?? 0
  const six = (name: string) => v6.get(name) ?? 0
  const reversePathFiltered = four('TcpExt.IPReversePathFilter')
  // Fragments are received one by one and delivered as one packet.
  const undelivered4 =
    four('Ip.InReceives') -
    four('Ip.InDelivers') -
    four('Ip.ForwDatagrams') -
    (four('Ip.ReasmReqds') - four('Ip.ReasmOKs')) -
    four('Ip.InHdrErrors') -
    four('Ip.InAddrErrors') -
    four('Ip.InUnknownProtos') -
    four('Ip.InDiscards') -
    four('IpExt.InNoRoutes') -
    four('IpExt.InTruncatedPkts') -
    // Of groups that nobody here has joined, and that is no fault; the others are too few to miss.
    four('IpExt.InMcastPkts') -
    reversePathFiltered
  const undelivered6 =
    six('Ip6InReceives') -
    six('Ip6InDelivers') -
    six('Ip6OutForwDatagrams') -
    (six('Ip6ReasmReqds') - six('Ip6ReasmOKs')) -
    six('Ip6InHdrErrors') -
    six('Ip6InTooBigErrors') -
    six('Ip6InNoRoutes') -
    six('Ip6InAddrErrors') -
    six('Ip6InUnknownProtos') -
    six('Ip6InTruncatedPkts') -
    six('Ip6InMcastPkts') -
    six('Ip6InDiscards')
  return {
    devicePackets: devicePackets(dev),
    ipReceived: four('Ip.InReceives') + six('Ip6InReceives'),
    ipUndelivered: Math.max(0, undelivered4) + Math.max(0, undelivered6),
    ipWrongAddress: four('Ip.InAddrErrors') + six('Ip6InAddrErrors'),
    ipUnknownProtocol: four('Ip.InUnknownProtos') + six('Ip6InUnknownProtos'),
    reversePathFiltered,
    udpNoPort: four('Udp.NoPorts') + six('Udp6NoPorts'),
    udpChecksum: four('Udp.InCsumErrors') + six('Udp6InCsumErrors'),
  }
}

/** `eth0: bytes packets errs drop …`; the first two lines are headings. */
function devicePackets(text: string): number {
  let packets = 0
  for (const [, name, received] of text.matchAll(/^\s*([^\s:|]+):\s*\d+\s+(\d+)/gm))
    if (name !== 'lo') packets += Number(received)
  return packets
}
