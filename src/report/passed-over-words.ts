/** What came and was not read: keys of the summary, and the same in words. */

import { count } from '../base/plural.ts'
import {
  PASSED_FRAME_NAMES,
  PASSED_OVER,
  PassedFrame,
  type PassedOverName,
  type PassedOverTotals,
} from '../metrics/passed-over.ts'

/** Numbers of each kind named in words; the summary has all. */
const MOST_NAMED = 4
const OTHERS = 'others'

const KINDS = Object.keys(PASSED_OVER) as PassedOverName[]

/** Names that people know numbers by. */
const NAMES: Partial<Record<PassedOverName, Readonly<Record<string, string>>>> = {
  udpPort: { 53: 'DNS', 123: 'NTP', 443: 'QUIC', 500: 'IKE', 1701: 'L2TP', 4500: 'IPsec', 51820: 'WireGuard' },
  etherType: {
    '0x0806': 'ARP',
    '0x22f3': 'TRILL',
    '0x8863': 'PPPoE discovery',
    '0x88cc': 'LLDP',
    '0x88e5': 'MACsec',
    '0x894f': 'NSH',
  },
  ipProtocol: {
    1: 'ICMP',
    2: 'IGMP',
    50: 'ESP',
    58: 'ICMPv6',
    88: 'EIGRP',
    89: 'OSPF',
    112: 'VRRP',
    115: 'L2TPv3',
    132: 'SCTP',
  },
  pppProtocol: { '0x003d': 'multilink', '0x00fd': 'compressed or encrypted', '0xc021': 'LCP' },
}

/** What never carries a TCP connection: that it was passed over says nothing about what was read. */
const HARMLESS: Partial<Record<PassedOverName, ReadonlySet<string>>> = {
  // DNS, DHCP, NTP, NetBIOS, SNMP, syslog, DHCPv6, SSDP, mDNS, LLMNR, statsd.
  udpPort: new Set(
    [53, 67, 68, 123, 137, 138, 161, 162, 514, 546, 547, 1900, 5353, 5355, 8125].map((port) => String(port)),
  ),
  // ARP, RARP, slow protocols (LACP), PPPoE discovery, EAPOL, LLDP, CFM, PTP, configuration test.
  etherType: new Set(['0x0806', '0x8035', '0x8809', '0x8863', '0x888e', '0x88cc', '0x8902', '0x88f7', '0x9000']),
  // ICMP, IGMP, ICMPv6, EIGRP, OSPF, PIM, VRRP.
  ipProtocol: new Set(['1', '2', '58', '88', '89', '103', '112']),
  // Control protocols: IPCP, IPv6CP, LCP, PAP, LQR, CHAP.
  pppProtocol: new Set(['0x8021', '0x8057', '0xc021', '0xc023', '0xc025', '0xc223']),
  // STP and its like; management and control frames.
  frame: new Set([PASSED_FRAME_NAMES[PassedFrame.llc]!, PASSED_FRAME_NAMES[PassedFrame.wifi]!]),
}

const WORDS: Readonly<Record<PassedOverName, readonly [label: string, unit: string]>> = {
  udpPort: ['UDP port ', 'datagram'],
  etherType: ['EtherType ', 'frame'],
  ipProtocol: ['IP protocol ', 'packet'],
  pppProtocol: ['PPP protocol ', 'frame'],
  linkType: ['link type ', 'frame'],
  frame: ['', 'frame'],
}

/** Kind → number as it is written in its field → packets, the most first; kinds of which nothing came are left out. */
export function passedOverCounts(totals: PassedOverTotals): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {}
  for (const kind of KINDS) {
    const { numbers, others } = totals.counts[kind]
    const sorted = [...numbers].sort(([a, n], [b, m]) => m - n || a - b)
    const entries = sorted.map(([number, n]): [string, number] => [written(kind, number), n])
    if (others > 0) entries.push([OTHERS, others])
    if (entries.length > 0) counts[PASSED_OVER[kind].key] = Object.fromEntries(entries)
  }
  return counts
}

/** `UDP port 4790 1,203 datagrams`, … */
export function passedOverInWords(passedOver: Readonly<Record<string, Readonly<Record<string, number>>>>): string[] {
  return KINDS.flatMap((kind) => wordsOf(kind, passedOver[PASSED_OVER[kind].key] ?? {}))
}

/** Of what was passed over, that which may have carried requests. */
export function mayHideRequests(
  passedOver: Readonly<Record<string, Readonly<Record<string, number>>>>,
): Record<string, Record<string, number>> {
  return Object.fromEntries(
    KINDS.map((kind) => [
      PASSED_OVER[kind].key,
      Object.fromEntries(
        Object.entries(passedOver[PASSED_OVER[kind].key] ?? {}).filter(([number]) => !HARMLESS[kind]?.has(number)),
      ),
    ]),
  )
}

function wordsOf(kind: PassedOverName, counts: Readonly<Record<string, number>>): string[] {
  const [label, unit] = WORDS[kind]
  const units = (n: number) => `${count(n)} ${unit}${n === 1 ? '' : 's'}`
  // Keys that are whole numbers are not kept in the order they were put in.
  const sorted = Object.entries(counts)
    .filter(([number]) => number !== OTHERS)
    .sort(([, n], [, m]) => m - n)
  const words = sorted.slice(0, MOST_NAMED).map(([number, n]) => {
    const name = NAMES[kind]?.[number]
    return `${label}${number}${name === undefined ? '' : ` (${name})`} ${units(n)}`
  })
  const rest = sorted.slice(MOST_NAMED).reduce((sum, [, n]) => sum + n, counts[OTHERS] ?? 0)
  if (rest > 0) words.push(`${label === '' ? 'others' : `other ${label.trimEnd()}s`} ${units(rest)}`)
  return words
}

function written(kind: PassedOverName, number: number): string {
  if (kind === 'frame') return PASSED_FRAME_NAMES[number] ?? String(number)
  const isHexadecimal = kind === 'etherType' || kind === 'pppProtocol'
  return isHexadecimal ? `0x${number.toString(16).padStart(4, '0')}` : String(number)
}
