/** The summary: fixed keys for scripts (docs/summary.md), and the same in plain words for people. */
import type { Quantiles, TargetTotals, Totals } from './totals.ts'
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
  readonly flows: {
    readonly opened: number
    readonly gaps: number
    readonly lost: number
    readonly expired: number
    readonly evicted: number
  }
  readonly responses: { readonly parsed: number; readonly dropped: Record<string, number> }
  readonly requests: {
    readonly parsed: number
    readonly dropped: Record<string, number>
    readonly replayed: Record<string, number>
    readonly held: number
    readonly retried: number
    /** Handed to several targets; absent where there is one. */
    readonly forwarded?: number
  }
  /** What became of them at each target, by name; absent where there is one. */
  readonly targets?: Record<string, TargetSummary>
  readonly latencyMs: Quantiles
  /** Last packet of a live request to the request written; null where no request came live. */
  readonly addedLatencyMs: Quantiles | null
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
  /** Why the run ended, where not because it was told to. Without a drain what was held stands as held. */
  readonly fault?: string
}

/** given = Σ dropped + Σ replayed + held */
export interface TargetSummary {
  readonly given: number
  readonly dropped: Record<string, number>
  readonly replayed: Record<string, number>
  readonly held: number
}

/** Clock and processor readings a summary is made of. */
export interface Spent {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly fromFirstPacket: { readonly seconds: number; readonly cpuSeconds: number }
}

/** @param hasSocket whether the kernel's drops are known @param targetNames in the order of the counters */
export function makeSummary(
  totals: Totals,
  census: readonly [string, number][],
  hasSocket: boolean,
  spent: Spent,
  targetNames: readonly string[] = [],
): Summary {
  const hasTargets = targetNames.length > 1
  const added = totals.addedLatency()
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
      evicted: totals.get('flowsEvicted'),
    },
    responses: { parsed: totals.get('responsesParsed'), dropped: totals.responseDrops() },
    requests: {
      parsed: totals.get('requestsParsed'),
      dropped: totals.requestDrops(),
      replayed: totals.outcomes(),
      held: totals.requestsHeld(),
      retried: totals.get('replayRetries'),
      ...(hasTargets ? { forwarded: totals.get('requestsForwarded') } : {}),
    },
    ...(hasTargets ? { targets: byTarget(totals.targets, targetNames) } : {}),
    latencyMs: totals.latency().quantiles(),
    addedLatencyMs: added.count > 0 ? added.quantiles() : null,
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

function byTarget(targets: readonly TargetTotals[], names: readonly string[]): Record<string, TargetSummary> {
  const entries = targets.map((target, i): [string, TargetSummary] => [
    names[i]!,
    { given: target.given, dropped: target.dropped(), replayed: target.replayed(), held: target.held },
  ])
  return Object.fromEntries(entries)
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

/** Drops that were asked for, or that replay never does: not a loss. */
const ASKED_FOR: ReadonlySet<string> = new Set([
  'connect',
  'upgrade',
  'loop',
  'method',
  'path',
  'sampledOut',
  'rateLimited',
  'vniNotAllowed',
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
  'answerTooLarge',
])
const PROTOCOL_NAMES: Readonly<Record<string, string>> = {
  tls: 'TLS',
  http2: 'HTTP/2',
  ssh: 'SSH',
  unknown: 'an unrecognised protocol',
}

/** The summary as lines for a person. The first says whether anything was lost, and where. */
export function summaryInWords(summary: Summary, verb: 'replayed' | 'printed' | 'discarded'): string[] {
  const { packets, requests, flows } = summary
  const lines = [verdict(summary)]
  const line = (label: string, text: string) => lines.push(`  ${label.padEnd(10)} ${text}`)
  const kernel = packets.kernelDropped ? `, ${count(packets.kernelDropped)} more dropped by the kernel` : ''
  const withoutTcp = packets.other > 0 ? ` (${count(packets.other)} without TCP for us)` : ''
  line(
    'packets',
    `${count(packets.received)} received, ${count(packets.processed)} processed${withoutTcp}${listed(packets.dropped, 'dropped')}${kernel}`,
  )
  const cut = packets.truncated > 0 ? `, ${count(packets.truncated)} packets cut` : ''
  const lost = flows.lost > 0 ? `, ${count(flows.lost)} lost with a worker` : ''
  line('flows', `${count(flows.opened)} opened, ${plural(flows.gaps, 'gap')}${cut}${lost}`)
  const { forwarded } = requests
  const ended = forwarded ?? total(requests.replayed)
  const outcomes = verb === 'replayed' ? listed(requests.replayed, '') : ''
  line(
    'requests',
    `${count(requests.parsed)} parsed, ${count(ended)} ${forwarded === undefined ? verb : 'forwarded'}${outcomes}${listed(requests.dropped, 'dropped')}`,
  )
  if (requests.held > 0) line('', `${count(requests.held)} still held`)
  for (const [name, { given, dropped, replayed, held }] of Object.entries(summary.targets ?? {})) {
    const left = held > 0 ? `, ${count(held)} still held` : ''
    line(
      'target',
      `${name}: ${count(given)} given, ${count(total(replayed))} ${verb}${listed(replayed, '')}${listed(dropped, 'dropped')}${left}`,
    )
  }
  const { parsed, dropped } = summary.responses
  if (total(dropped) > 0) line('responses', `${count(parsed)} captured${listed(dropped, 'not whole')}`)
  if (summary.latencyMs.max > 0) {
    const { p50, p90, p99, max } = summary.latencyMs
    line('latency', `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, max ${ms(max)}`)
  }
  if (summary.addedLatencyMs !== null) {
    const { p50, p99, max } = summary.addedLatencyMs
    line('added', `p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)} from a request's last packet to sending it`)
  }
  const others = Object.entries(summary.otherProtocols).flatMap(([protocol, ports]) =>
    Object.entries(ports).map(
      ([port, n]) =>
        `${plural(n, 'connection')} of ${PROTOCOL_NAMES[protocol] ?? protocol} on ${port === '0' ? 'further ports' : `port ${port}`}`,
    ),
  )
  if (others.length > 0) line('not HTTP/1', others.join(', '))
  const { resyncUnproven, afterAmbiguous, tunnel } = summary.skippedBytes
  const skipped = [
    ...(resyncUnproven > 0 ? [`${plural(resyncUnproven, 'byte')} without a proven message boundary`] : []),
    ...(afterAmbiguous > 0 ? [`${plural(afterAmbiguous, 'byte')} behind ambiguous messages`] : []),
    ...(tunnel > 0 ? [`${plural(tunnel, 'byte')} in tunnels`] : []),
  ]
  if (skipped.length > 0) line('skipped', skipped.join(', '))
  const { seconds, cpuSeconds } = summary
  line('took', `${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of CPU`)
  return lines
}

/** Says first whether anything was lost, and where; then what was left out on purpose. */
function verdict(summary: Summary): string {
  const { packets, requests, flows } = summary
  const places: string[] = []
  if (packets.kernelDropped) places.push(`${plural(packets.kernelDropped, 'packet')} in the kernel's receive buffer`)
  if (flows.gaps > 0) {
    const isHarmless = !['gap', 'truncated', 'incomplete'].some((reason) => requests.dropped[reason])
    places.push(
      `${plural(flows.gaps, 'gap')} in the captured streams${isHarmless ? ', in no request that was recognised' : ''}`,
    )
  }
  const [wantedPackets, otherPackets] = divided(packets.dropped, ASKED_FOR)
  if (total(otherPackets) > 0)
    places.push(`${plural(total(otherPackets), 'packet')} dropped here (${names(otherPackets)})`)
  const [wanted, unwanted] = divided(requests.dropped, ASKED_FOR)
  if (total(unwanted) > 0) places.push(`${plural(total(unwanted), 'request')} dropped (${names(unwanted)})`)
  const [failed] = divided(requests.replayed, FAILED)
  if (total(failed) > 0)
    places.push(`${plural(total(failed), 'request')} without an answer from the target (${names(failed)})`)
  if (requests.held > 0) places.push(`${plural(requests.held, 'request')} still held`)
  for (const [name, target] of Object.entries(summary.targets ?? {})) places.push(...targetLosses(name, target))
  const leftOut = [
    ...(total(wanted) > 0
      ? [`${count(total(wanted))} of ${plural(requests.parsed, 'request')} (${names(wanted)})`]
      : []),
    ...(total(wantedPackets) > 0 ? [plural(total(wantedPackets), 'packet')] : []),
  ]
  const purpose = leftOut.length === 0 ? '' : ` Left out on purpose: ${leftOut.join(', ')}.`
  if (places.length > 0) return `Lost: ${places.join('; ')}.${purpose}`
  if (requests.parsed === 0) return `Nothing was lost, but no HTTP/1 request was seen.${purpose}`
  return `Nothing was lost.${purpose}`
}

function targetLosses(name: string, { dropped, replayed, held }: TargetSummary): string[] {
  const [, unwanted] = divided(dropped, ASKED_FOR)
  const [failed] = divided(replayed, FAILED)
  return [
    ...(total(unwanted) > 0 ? [`${plural(total(unwanted), 'request')} to ${name} dropped (${names(unwanted)})`] : []),
    ...(total(failed) > 0
      ? [`${plural(total(failed), 'request')} without an answer from ${name} (${names(failed)})`]
      : []),
    ...(held > 0 ? [`${plural(held, 'request')} to ${name} still held`] : []),
  ]
}

type Counts = Readonly<Record<string, number>>

/** The counts whose names are in the set, and the others. */
function divided(counts: Counts, set: ReadonlySet<string>): [Counts, Counts] {
  const entries = Object.entries(counts)
  return [
    Object.fromEntries(entries.filter(([name]) => set.has(name))),
    Object.fromEntries(entries.filter(([name]) => !set.has(name))),
  ]
}

function names(counts: Counts): string {
  return Object.entries(counts)
    .map(([name, n]) => `${name} ${count(n)}`)
    .join(', ')
}

function listed(counts: Readonly<Record<string, number>>, word: string): string {
  const entries = Object.entries(counts)
  if (entries.length === 0) return ''
  return word === '' ? ` (${names(counts)})` : `, ${count(total(counts))} ${word} (${names(counts)})`
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
