/** The summary: fixed keys for scripts (docs/summary.md), and the same in plain words for people. */
import type { Totals } from './totals.ts'
import { total } from './totals.ts'

export interface Summary {
  readonly packets: {
    readonly received: number
    readonly processed: number
    readonly dropped: Record<string, number>
    /** Datagrams the kernel dropped before us; null where there is no socket or no way to tell. */
    readonly kernelDropped: number | null
    readonly truncated: number
    readonly other: number
    /** In rings, or fragments waiting for the rest of their datagram; 0 after a complete drain. */
    readonly held: number
  }
  readonly flows: { readonly opened: number; readonly gaps: number; readonly lost: number; readonly expired: number }
  readonly responses: { readonly parsed: number; readonly dropped: Record<string, number> }
  readonly requests: {
    readonly parsed: number
    readonly dropped: Record<string, number>
    readonly replayed: Record<string, number>
    readonly held: number
    readonly retried: number
  }
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
  /** Bytes passed over, with the reason. */
  readonly skippedBytes: {
    readonly resyncUnproven: number
    readonly afterAmbiguous: number
    readonly tunnel: number
    readonly otherProtocol: number
  }
  /** Connections that are not HTTP/1: protocol → server port → count; port 0 stands for further ports. */
  readonly otherProtocols: Record<string, Record<string, number>>
  readonly seconds: number
  readonly cpuSeconds: number
  readonly fromFirstPacket: { readonly seconds: number; readonly cpuSeconds: number }
}

/** Clock and processor readings a summary is made of. */
export interface Spent {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly fromFirstPacket: { readonly seconds: number; readonly cpuSeconds: number }
}

/** @param hasSocket whether the kernel's drops are known */
export function makeSummary(
  totals: Totals,
  census: readonly [string, number][],
  hasSocket: boolean,
  spent: Spent,
): Summary {
  return {
    packets: {
      received: totals.get('packetsReceived'),
      processed: totals.get('packetsProcessed'),
      dropped: totals.packetDrops(),
      kernelDropped: hasSocket ? totals.get('kernelDropped') : null,
      truncated: totals.get('packetsTruncated'),
      other: totals.get('packetsOther'),
      held: totals.packetsHeld(),
    },
    flows: {
      opened: totals.get('flowsOpened'),
      gaps: totals.get('gaps'),
      lost: totals.get('flowsLost'),
      expired: totals.get('flowsExpired'),
    },
    responses: { parsed: totals.get('responsesParsed'), dropped: totals.responseDrops() },
    requests: {
      parsed: totals.get('requestsParsed'),
      dropped: totals.requestDrops(),
      replayed: totals.outcomes(),
      held: totals.requestsHeld(),
      retried: totals.get('replayRetries'),
    },
    latencyMs: {
      p50: totals.latencyMs(0.5),
      p90: totals.latencyMs(0.9),
      p99: totals.latencyMs(0.99),
      max: totals.latencyMs(1),
    },
    skippedBytes: {
      resyncUnproven: totals.get('resyncUnproven'),
      afterAmbiguous: totals.get('afterAmbiguous'),
      tunnel: totals.get('tunnelBytes'),
      otherProtocol: totals.get('otherProtocolBytes'),
    },
    otherProtocols: groupCensus(census),
    ...spent,
  }
}

function groupCensus(census: readonly [string, number][]): Record<string, Record<string, number>> {
  const grouped: Record<string, Record<string, number>> = {}
  for (const [key, count] of census) {
    const [protocol = '', port = ''] = key.split(':')
    grouped[protocol] ??= {}
    grouped[protocol][port] = (grouped[protocol][port] ?? 0) + count
  }
  return grouped
}

/** Drops that were asked for: not a loss. */
const WANTED: ReadonlySet<string> = new Set([
  'connect',
  'upgrade',
  'loop',
  'method',
  'path',
  'sampledOut',
  'rateLimited',
])
const FAILED: ReadonlySet<string> = new Set([
  'refused',
  'unreachable',
  'tls',
  'connectTimeout',
  'reset',
  'timeout',
  'truncated',
  'invalid',
])
const PROTOCOL_NAMES: Readonly<Record<string, string>> = {
  tls: 'TLS',
  http2: 'HTTP/2',
  ssh: 'SSH',
  unknown: 'unrecognised',
}

/** The summary as lines for a person. The first says whether anything was lost, and where. */
export function summaryInWords(summary: Summary, verb: 'replayed' | 'printed' | 'discarded'): string[] {
  const { packets, requests, flows } = summary
  const lines = [verdict(summary)]
  const line = (label: string, text: string) => lines.push(`  ${label.padEnd(10)} ${text}`)
  const kernel = packets.kernelDropped ? `, ${count(packets.kernelDropped)} more dropped by the kernel` : ''
  line(
    'packets',
    `${count(packets.received)} received, ${count(packets.processed)} processed${listed(packets.dropped, 'dropped')}${kernel}`,
  )
  const cut = packets.truncated > 0 ? `, ${count(packets.truncated)} packets cut` : ''
  const lost = flows.lost > 0 ? `, ${count(flows.lost)} lost with a worker` : ''
  line('flows', `${count(flows.opened)} opened, ${plural(flows.gaps, 'gap')}${cut}${lost}`)
  const ended = total(requests.replayed)
  const outcomes = verb === 'replayed' ? listed(requests.replayed, '') : ''
  line(
    'requests',
    `${count(requests.parsed)} parsed, ${count(ended)} ${verb}${outcomes}${listed(requests.dropped, 'dropped')}`,
  )
  if (requests.held > 0) line('', `${count(requests.held)} still held`)
  if (summary.latencyMs.max > 0) {
    const { p50, p90, p99, max } = summary.latencyMs
    line('latency', `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, max ${ms(max)}`)
  }
  const others = Object.entries(summary.otherProtocols).flatMap(([protocol, ports]) =>
    Object.entries(ports).map(
      ([port, n]) =>
        `${plural(n, 'connection')} of ${PROTOCOL_NAMES[protocol] ?? protocol} on ${port === '0' ? 'further ports' : `port ${port}`}`,
    ),
  )
  if (others.length > 0) line('not HTTP/1', others.join(', '))
  const { seconds, cpuSeconds } = summary
  line('took', `${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of CPU`)
  return lines
}

function verdict(summary: Summary): string {
  const { packets, requests, flows } = summary
  const places: string[] = []
  const before = (packets.kernelDropped ?? 0) > 0 || flows.gaps > 0 || packets.truncated > 0
  if (packets.kernelDropped) places.push(`${count(packets.kernelDropped)} packets in the kernel's receive buffer`)
  if (flows.gaps > 0) places.push(`${plural(flows.gaps, 'gap')} in the captured streams`)
  const refused = total(packets.dropped)
  if (refused > 0) places.push(`${plural(refused, 'packet')} dropped here`)
  const unwanted = Object.entries(requests.dropped).filter(([reason]) => !WANTED.has(reason))
  const dropped = unwanted.reduce((sum, [, n]) => sum + n, 0)
  if (dropped > 0)
    places.push(
      `${plural(dropped, 'request')} dropped (${unwanted.map(([reason, n]) => `${reason} ${count(n)}`).join(', ')})`,
    )
  const failed = Object.entries(requests.replayed)
    .filter(([outcome]) => FAILED.has(outcome))
    .reduce((sum, [, n]) => sum + n, 0)
  if (failed > 0) places.push(`${plural(failed, 'request')} not answered by the target`)
  if (requests.held > 0) places.push(`${plural(requests.held, 'request')} still held`)
  if (places.length === 0)
    return requests.parsed === 0 ? 'Nothing was lost, but no HTTP/1 request was seen.' : 'Nothing was lost.'
  return `${before || refused > 0 || dropped > 0 ? 'Lost' : 'Not everything arrived'}: ${places.join('; ')}.`
}

function listed(counts: Readonly<Record<string, number>>, word: string): string {
  const entries = Object.entries(counts)
  if (entries.length === 0) return ''
  const list = entries.map(([name, n]) => `${name} ${count(n)}`).join(', ')
  return word === '' ? ` (${list})` : `, ${count(total(counts))} ${word} (${list})`
}

/** Digits in groups of three. By hand: the first toLocaleString of a process loads tables for tens of milliseconds. */
export function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`
}

function ms(value: number): string {
  return value < 10 ? `${value.toFixed(2)} ms` : `${Math.round(value)} ms`
}
