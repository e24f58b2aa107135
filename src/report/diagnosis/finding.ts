/** What is wrong with a running service, and what to do about it. docs/diagnose.md lists the codes. */
import { plural } from '../../base/plural.ts'
import { type Counts, type Reading, ranked } from './reading.ts'

/** `wrong`: nothing useful arrives or leaves. `warning`: a part of it does not. `note`: worth knowing, and not worth a line of the log. */
export type Severity = 'wrong' | 'warning' | 'note'

export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** What is wrong, with its numbers; no full stop. */
  readonly sentence: string
  /** What to do; begins in lower case, no full stop. */
  readonly do: string
  /** The counts it stands on. */
  readonly details: Readonly<Record<string, unknown>>
}

/** @param action see Finding.do */
export function finding(
  code: FindingCode,
  severity: Severity,
  sentence: string,
  action: string,
  details: Finding['details'],
): Finding {
  return { code, severity, sentence, do: action, details }
}

/** What each code means, for docs/diagnose.md. */
export const FINDING_HELP = {
  loopbackOnly: 'No packet, and the port is bound on loopback only.',
  interfaceSilent: 'No packet on --interface.',
  udpPortUnused: 'No packet, while UDP datagrams came to other ports of this host that nobody has.',
  ipProtocolUnknown: 'No packet, while IP packets came of a protocol that no socket takes, such as GRE.',
  filteredByHost: 'No packet, while IP packets reached this host and were delivered to nobody: a firewall on it.',
  reversePathFilter: 'No packet, while the reverse path filter of this host refused packets.',
  udpChecksum: 'No packet, while UDP datagrams with a wrong checksum came.',
  kernelBuffer: 'Every packet found the receive buffer full.',
  noPackets: 'No packet, and nothing that the kernel saw explains it.',
  packetsStopped: 'Packets came and have stopped.',
  wrongFormat: 'Datagrams are not of the format of their port.',
  wrongVni: 'Packets have other VNIs than --vni.',
  sourceNotAllowed: 'Packets come from sources outside --allow-from.',
  otherPorts: 'TCP of other server ports than --ports.',
  datagramTooLong: 'Datagrams are longer than --datagram-bytes: truncated here.',
  truncatedByMirror: 'Packets arrive truncated.',
  noTcp: 'Packets can be read, but none carries TCP.',
  tlsOnly: 'All connections are TLS.',
  http2Only: 'All connections are HTTP/2.',
  otherProtocolOnly: 'All connections are of protocols that are not read.',
  responsesOnly: 'Responses come without requests: one direction is not mirrored.',
  requestsOnly: 'Requests come without responses: one direction is not mirrored.',
  midStream: 'TCP data comes, from connections that were open before, in which no message has begun yet.',
  noData: 'TCP packets come, but none with data that could be read.',
  allFiltered: 'Requests come, and filters leave all of them out.',
  loop: 'The mirror sees the replay.',
  originDown: 'Requests come, and the origin answers none.',
  originSilent: 'Requests were sent, and no answer has come yet.',
  noneReplayed: 'Requests come, and all are dropped for other reasons.',
} as const
export type FindingCode = keyof typeof FINDING_HELP

/** What a service was told to do, as far as it explains what comes. */
export interface Setup {
  /** Real addresses; empty with --interface. */
  readonly listen: readonly { readonly format: string; readonly host: string; readonly port: number }[]
  readonly interface: { readonly name: string; readonly filter: string } | null
  readonly ports: readonly number[] | null
  readonly vnis: readonly number[] | null
  readonly datagramBytes: number
  /** Where requests go; null: nowhere. */
  readonly to: string | null
  readonly percent: number
  readonly sampleBy: string
}

/** Milliseconds since the last of each, or since the start where none came. */
export interface Silence {
  readonly packetMs: number
  readonly requestMs: number
  /** An answer of the origin, or a request that `--to null` took. */
  readonly answerMs: number
}

/** After what was right, so long without it is worth a word. Chosen: health checks and keep-alive probes come more often. */
export const SILENCE_MS = 60_000

/** What a rule looks at. */
export interface Situation {
  /** What came since the window began. */
  readonly since: Reading
  /** All that came since the start. */
  readonly now: Reading
  /** All that had come when the window began. */
  readonly before: Reading
  readonly silence: Silence
  readonly setup: Setup
}

/** Names in one sentence; /diagnose has all. */
const MOST_NAMED = 3

/** `7 (12 packets), 9 (3 packets) and 2 more`. */
export function listed(counts: Counts, noun: string): string {
  const all = ranked(counts)
  const named = all.slice(0, MOST_NAMED).map(([name, n]) => `${name} (${plural(n, noun)})`)
  const rest = all.length - named.length
  return `${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

export function seconds(ms: number): string {
  return `${Math.max(1, Math.round(ms / 1000))} s`
}

/** One sentence for a log: what is wrong, and what to do. */
export function diagnosisSentence({ sentence, do: action }: Finding): string {
  return `${sentence}: ${action}`
}
