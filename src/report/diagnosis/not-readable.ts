/** Packets arrive, and we cannot or must not read them. */

import { plural } from '../../base/plural.ts'
import { formatHostPort } from '../../config/addresses.ts'
import { FORMAT_NAMES, type FormatName } from '../../metrics/refused-numbers.ts'
import { passedOverInWords } from '../passed-over-words.ts'
import { total } from '../totals.ts'
import { named } from '../verdict.ts'
import { type Finding, listed, type Situation, seconds } from './finding.ts'
import { answersIn, type Counts, ranked } from './reading.ts'

/** Share of the packets of another format that is worth a word beside right ones. */
const FOREIGN_SHARE = 0.01

export function notReadable(situation: Situation): Finding[] {
  const { since } = situation
  if (since.packets.received === 0) return []
  const findings = [
    wrongFormat(situation),
    sourceNotAllowed(situation),
    wrongVni(situation),
    otherPorts(situation),
    datagramTooLong(situation),
    truncatedByMirror(situation),
  ].filter((finding) => finding !== null)
  if (findings.length > 0 || since.packets.tcp > 0) return findings
  const finding = noTcp(situation)
  return finding === null ? [] : [finding]
}

function wrongFormat({ since, setup }: Situation): Finding | null {
  const { received, tcp } = since.packets
  const foreign = total(since.refused.formats)
  if (foreign === 0 || (tcp > 0 && foreign / received < FOREIGN_SHARE)) return null
  const [[top]] = ranked(since.refused.formats) as [[string, number]]
  const [found, expected] = top.split(' for ') as [FormatName, FormatName]
  const listen = setup.listen.find(({ format }) => format === expected)
  const port = listen === undefined ? '' : ` ${formatHostPort(listen)}`
  return {
    code: 'wrongFormat',
    severity: tcp === 0 ? 'wrong' : 'warning',
    sentence: `${plural(foreign, 'datagram')} of ${received} in ${seconds(since.ms)} are not ${FORMAT_NAMES[expected]}, which ${expected}${port} expects: they look like ${FORMAT_NAMES[found]}`,
    do: formatAdvice(found, expected, port),
    details: { formats: nonZero(since.refused.formats), received, dropped: nonZero(since.packets.dropped) },
  }
}

function formatAdvice(found: FormatName, expected: FormatName, port: string): string {
  if (found === 'vxlan' || found === 'gpe' || found === 'geneve' || found === 'tzsp')
    return `use --listen ${found}:${port.trim()}, or have the mirror send ${FORMAT_NAMES[expected]}`
  if (found === 'unknown')
    return 'have the mirror send VXLAN, VXLAN-GPE, GENEVE or TZSP, and see with tcpdump -X who else sends to the port'
  return `have the mirror send ${FORMAT_NAMES[expected]}, or use --interface IFACE, which recognises what is inside`
}

function sourceNotAllowed({ since }: Situation): Finding | null {
  const refused = since.packets.dropped.sourceNotAllowed ?? 0
  if (refused === 0) return null
  const { sources } = since.refused
  return {
    code: 'sourceNotAllowed',
    severity: since.packets.tcp === 0 ? 'wrong' : 'warning',
    sentence: `${plural(refused, 'packet')} of ${since.packets.received} in ${seconds(since.ms)} came from sources that --allow-from does not name: ${listed(sources, 'packet')}`,
    do: `if these are your mirror sources, name their networks: --allow-from ${ranked(sources)[0]?.[0] ?? 'CIDR'} beside those it has`,
    details: { sources: nonZero(sources), packets: refused, received: since.packets.received },
  }
}

function wrongVni({ since, setup }: Situation): Finding | null {
  const refused = since.packets.dropped.vniNotAllowed ?? 0
  if (refused === 0 || setup.vnis === null) return null
  const { vnis } = since.refused
  return {
    code: 'wrongVni',
    // Beside packets that are taken, the others were left out as asked.
    severity: since.packets.tcp === 0 ? 'wrong' : 'note',
    sentence: `${plural(refused, 'packet')} of ${since.packets.received} in ${seconds(since.ms)} have other VNIs than --vni ${setup.vnis.join(',')}: ${listed(vnis, 'packet')}`,
    do: `use --vni ${ranked(vnis)[0]?.[0] ?? 'VNI'}, or no --vni at all, or set the VNI of the mirror session`,
    details: { vnis: nonZero(vnis), wanted: setup.vnis, packets: refused, received: since.packets.received },
  }
}

function otherPorts({ since, setup }: Situation): Finding | null {
  const { tcpPorts } = since.refused
  if (setup.ports === null || since.packets.tcp > 0 || total(tcpPorts) === 0) return null
  return {
    code: 'otherPorts',
    severity: 'wrong',
    sentence: `none of the TCP packets of the last ${seconds(since.ms)} is of --ports ${setup.ports.join(',')}; the server ports that came: ${listed(tcpPorts, 'packet')}`,
    do: `use --ports ${ranked(tcpPorts)[0]![0]}, or no --ports at all: HTTP is recognised by its content`,
    details: { tcpPorts: nonZero(tcpPorts), wanted: setup.ports, received: since.packets.received },
  }
}

function datagramTooLong({ since, setup }: Situation): Finding | null {
  const dropped = since.packets.dropped.datagramTruncated ?? 0
  const lengths = Object.keys(nonZero(since.refused.datagramBytes)).map(Number)
  const packets = since.packets.truncatedHere + dropped
  if (packets === 0) return null
  const longest = Math.max(setup.datagramBytes + 1, ...lengths)
  return {
    code: 'datagramTooLong',
    severity: answersIn(since.requests.replayed) === 0 ? 'wrong' : 'warning',
    sentence: `${plural(packets, 'datagram')} of ${since.packets.received} in ${seconds(since.ms)} were longer than --datagram-bytes ${setup.datagramBytes} and were truncated here, not by the mirror; the longest had ${longest} bytes`,
    do: `use --datagram-bytes ${roomFor(longest)}`,
    details: { truncatedHere: since.packets.truncatedHere, datagramTruncated: dropped, longest },
  }
}

/** Standard frame, jumbo frame, or the longest datagram, each with its encapsulation. */
function roomFor(bytes: number): number {
  return [2048, 9216].find((room) => bytes <= room) ?? 65_535
}

function truncatedByMirror({ since }: Situation): Finding | null {
  const { truncated } = since.packets
  if (truncated === 0) return null
  const requests = since.packets.truncatedHere > 0 ? 0 : (since.requests.dropped.truncated ?? 0)
  return {
    code: 'truncatedByMirror',
    severity: requests > 0 ? (total(since.requests.replayed) === 0 ? 'wrong' : 'warning') : 'note',
    sentence: `${plural(truncated, 'packet')} of ${since.packets.received} in ${seconds(since.ms)} arrived truncated by the mirror, and ${plural(requests, 'request')} with them`,
    do: 'raise the packet length of the mirror session and the MTU of the path: encapsulation makes packets longer, VXLAN over IPv4 by 50 bytes',
    details: { truncated, requests, received: since.packets.received },
  }
}

function noTcp({ since }: Situation): Finding | null {
  const { received, other } = since.packets
  const dropped = nonZero(since.packets.dropped)
  const passedOver = Object.fromEntries(
    Object.entries(since.passedOver).map(([kind, counts]) => [kind, nonZero(counts)]),
  )
  // What waits, as fragments do, is not judged.
  if (other === 0 && total(dropped) === 0) return null
  const words = passedOverInWords(passedOver).join(', ')
  const reasons = total(dropped) > 0 ? `dropped: ${named(dropped)}` : ''
  return {
    code: 'noTcp',
    severity: 'wrong',
    sentence: `none of ${plural(received, 'packet')} in ${seconds(since.ms)} carries TCP that could be read: ${[words, reasons].filter((text) => text !== '').join('; ') || 'no reason was counted'}`,
    do: 'see that the mirror filter takes TCP of the web servers, in both directions',
    details: { passedOver, dropped, received },
  }
}

export function nonZero(counts: Counts): Record<string, number> {
  return Object.fromEntries(ranked(counts))
}
