/** The summary: fixed keys for scripts (docs/summary.md), and the same in words for people. */
import { count, plural } from '../base/plural.ts'
import { passedOverCounts, passedOverInWords } from './passed-over-words.ts'
import type { Quantiles, TargetTotals, Totals } from './totals.ts'
import { total } from './totals.ts'
import { divided, FAILED_OUTCOMES, named, PROTOCOL_NAMES, truncatedInWords, verdict } from './verdict.ts'

export interface Summary {
  readonly packets: {
    readonly received: number
    readonly processed: number
    readonly dropped: Record<string, number>
    /** Datagrams the kernel dropped before us; null where there is no socket or no way to tell. */
    readonly kernelDropped: number | null
    readonly truncated: number
    /** By us: the datagram was longer than --datagram-bytes. Not among `truncated`. */
    readonly truncatedHere: number
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
    /** Packets of another network than the open connection that has their addresses and ports, and that do not fit it. */
    readonly otherNetworkPackets: number
    /** Began with something that is no HTTP/1 request, and were answered in HTTP/1. */
    readonly unreadable: number
  }
  readonly responses: {
    readonly parsed: number
    readonly dropped: Record<string, number>
    /** Final ones for which no request was read. */
    readonly unasked: number
  }
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
    readonly behindClose: number
  }
  /** Connections that are not HTTP/1: protocol → server port → count; port 0 stands for further ports. */
  readonly otherProtocols: Record<string, Record<string, number>>
  /** What came and was not read: kind of number → number → packets. `others`: of further numbers together. */
  readonly passedOver: Record<string, Record<string, number>>
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
  protocolCounts: readonly [string, number][],
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
      truncatedHere: totals.get('packetsTruncatedHere'),
      other: totals.get('packetsOther'),
      held: totals.packetsHeld(),
    },
    flows: {
      opened: totals.get('flowsOpened'),
      gaps: totals.get('gaps'),
      lost: totals.get('flowsLost'),
      expired: totals.get('flowsExpired'),
      evicted: totals.get('flowsEvicted'),
      otherNetworkPackets: totals.get('otherNetworkPackets'),
      unreadable: totals.get('unreadableConnections'),
    },
    responses: {
      parsed: totals.get('responsesParsed'),
      dropped: totals.responseDrops(),
      unasked: totals.get('unaskedResponses'),
    },
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
      behindClose: totals.get('behindCloseBytes'),
    },
    otherProtocols: groupProtocolCounts(protocolCounts),
    passedOver: passedOverCounts(totals.passedOver),
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

function groupProtocolCounts(protocolCounts: readonly [string, number][]): Record<string, Record<string, number>> {
  const grouped: Record<string, Record<string, number>> = {}
  for (const [key, count] of protocolCounts) {
    const [protocol = '', port = ''] = key.split(':')
    grouped[protocol] ??= {}
    grouped[protocol][port] = (grouped[protocol][port] ?? 0) + count
  }
  return grouped
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
  const cut = truncatedInWords(packets)
    .map((words) => `, ${words}`)
    .join('')
  const lost = flows.lost > 0 ? `, ${count(flows.lost)} lost with a worker` : ''
  line('flows', `${count(flows.opened)} opened, ${plural(flows.gaps, 'gap')}${cut}${lost}`)
  const { forwarded } = requests
  const ended = forwarded === undefined ? endedInWords(requests.replayed, verb) : `${count(forwarded)} forwarded`
  line('requests', `${count(requests.parsed)} parsed, ${ended}${listed(requests.dropped, 'dropped')}`)
  if (requests.held > 0) line('', `${count(requests.held)} still held`)
  for (const [name, { given, dropped, replayed, held }] of Object.entries(summary.targets ?? {})) {
    const left = held > 0 ? `, ${count(held)} still held` : ''
    line(
      'target',
      `${name}: ${count(given)} given, ${endedInWords(replayed, verb)}${listed(dropped, 'dropped')}${left}`,
    )
  }
  const { parsed, dropped, unasked } = summary.responses
  const withoutRequest = unasked > 0 ? `, ${count(unasked)} to requests that were not read` : ''
  if (total(dropped) + unasked > 0)
    line('responses', `${count(parsed)} captured${listed(dropped, 'incomplete')}${withoutRequest}`)
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
  const passedOver = passedOverInWords(summary.passedOver)
  if (passedOver.length > 0) line('not read', passedOver.join(', '))
  const { resyncUnproven, afterAmbiguous, tunnel, behindClose } = summary.skippedBytes
  const skipped = [
    ...(resyncUnproven > 0 ? [`${plural(resyncUnproven, 'byte')} without a proven message boundary`] : []),
    ...(afterAmbiguous > 0 ? [`${plural(afterAmbiguous, 'byte')} after ambiguous messages`] : []),
    ...(tunnel > 0 ? [`${plural(tunnel, 'byte')} in tunnels`] : []),
    ...(behindClose > 0 ? [`${plural(behindClose, 'byte')} after Connection: close`] : []),
  ]
  if (skipped.length > 0) line('skipped', skipped.join(', '))
  const { seconds, cpuSeconds } = summary
  line('took', `${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of CPU`)
  return lines
}

/** `98 answered (2xx 98), 2 failed (refused 2)`: nobody has replayed a request that found no origin. */
function endedInWords(outcomes: Readonly<Record<string, number>>, verb: 'replayed' | 'printed' | 'discarded'): string {
  if (verb !== 'replayed') return `${count(total(outcomes))} ${verb}`
  const [failed, answered] = divided(outcomes, FAILED_OUTCOMES)
  const classes = total(answered) > 0 ? ` (${named(answered)})` : ''
  return `${count(total(answered))} answered${classes}${listed(failed, 'failed')}`
}

/** `, 3 dropped (gap 3)`; nothing where there are none. */
function listed(counts: Readonly<Record<string, number>>, word: string): string {
  return total(counts) === 0 ? '' : `, ${count(total(counts))} ${word} (${named(counts)})`
}

function ms(value: number): string {
  return value < 10 ? `${value.toFixed(2)} ms` : `${Math.round(value)} ms`
}
