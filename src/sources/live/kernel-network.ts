/**
 * What became of packets in the kernel before any socket, as /proc/self/net tells (proc(5)): for the network namespace, all programs
 * together. Where nothing arrives it says how far packets came. Four small files: once a second at most, not per packet.
 */
import { readFileSync } from 'node:fs'

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
  try {
    return readFileSync(`${FOLDER}/${name}`, 'latin1')
  } catch {
    return null
  }
}

/** @param snmp6 empty without IPv6 */
export function kernelNetworkOf(snmp: string, netstat: string, snmp6: string, dev: string): KernelNetwork {
  const v4 = parsePairs(`${snmp}\n${netstat}`)
  const v6 = parseLines(snmp6)
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

/** Names stand in one line, values in the next, both after `Ip: ` and the like. */
function parsePairs(text: string): Map<string, number> {
  const values = new Map<string, number>()
  let names: readonly string[] = []
  for (const line of text.split('\n')) {
    const [prefix = '', ...columns] = line.trim().split(/\s+/)
    if (!prefix.endsWith(':')) continue
    if (columns.some((column) => /[A-Za-z]/.test(column))) names = columns
    else for (const [i, name] of names.entries()) values.set(`${prefix.slice(0, -1)}.${name}`, Number(columns[i] ?? 0))
  }
  return values
}

function parseLines(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\w+)\s+(\d+)$/gm)].map(([, name, value]) => [name!, Number(value)]))
}

/** `eth0: bytes packets errs drop …`; the first two lines are headings. */
function devicePackets(text: string): number {
  let packets = 0
  for (const [, name, received] of text.matchAll(/^\s*([^\s:|]+):\s*\d+\s+(\d+)/gm))
    if (name !== 'lo') packets += Number(received)
  return packets
}
