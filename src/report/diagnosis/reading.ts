/** What diagnosis is made from: the counts of a service at one moment, as plain data, and what came between two moments. */
import { type PassedOverTotals, REFUSED, type RefusedName } from '../../metrics/passed-over.ts'
import { formatText, sourceText, vniText } from '../../metrics/refused-numbers.ts'
import type { KernelNetwork } from '../../sources/live/kernel-network.ts'
import { passedOverCounts } from '../passed-over-words.ts'
import { type Totals, total } from '../totals.ts'
import { divided, FAILED_OUTCOMES } from '../verdict.ts'

/** Name → count. */
export type Counts = Readonly<Record<string, number>>

export interface Reading {
  /** Of the monotonic clock. */
  readonly ms: number
  readonly packets: {
    readonly received: number
    /** TCP packets handed to the shards. */
    readonly tcp: number
    readonly other: number
    readonly truncated: number
    readonly truncatedHere: number
    readonly kernelDropped: number
    /** Reason → count. */
    readonly dropped: Counts
  }
  /** Numbers of what was refused, as text → packets. */
  readonly refused: { readonly [K in (typeof REFUSED)[RefusedName]['key']]: Counts }
  readonly passedOver: Readonly<Record<string, Counts>>
  readonly flows: { readonly opened: number }
  /** `tls:443` → connections. */
  readonly protocols: Counts
  readonly skippedBytes: { readonly otherProtocol: number; readonly resyncUnproven: number }
  readonly requests: {
    readonly parsed: number
    /** Reason → count, at all targets together where there are several. */
    readonly dropped: Counts
    readonly replayed: Counts
    /** Neither dropped nor ended, at this moment. */
    readonly held: number
    /** Of those, read whole: queued, or sent and not answered. */
    readonly waiting: number
  }
  readonly responses: { readonly parsed: number }
  readonly kernel: KernelNetwork | null
}

const WRITTEN: { readonly [K in RefusedName]: (number: number) => string } = {
  vni: vniText,
  source: sourceText,
  tcpPort: String,
  format: formatText,
  datagramBytes: String,
}

export function readingOf(
  ms: number,
  totals: Totals,
  protocolCounts: readonly (readonly [string, number])[],
  kernel: KernelNetwork | null,
): Reading {
  const protocols: Record<string, number> = {}
  for (const [key, n] of protocolCounts) protocols[key] = (protocols[key] ?? 0) + n
  return {
    ms,
    packets: {
      received: totals.get('packetsReceived'),
      tcp: totals.get('packetsDispatched'),
      other: totals.get('packetsOther'),
      truncated: totals.get('packetsTruncated'),
      truncatedHere: totals.get('packetsTruncatedHere'),
      kernelDropped: totals.get('kernelDropped'),
      dropped: totals.packetDrops(),
    },
    refused: refusedOf(totals.passedOver),
    passedOver: passedOverCounts(totals.passedOver),
    flows: { opened: totals.get('flowsOpened') },
    protocols,
    skippedBytes: { otherProtocol: totals.get('otherProtocolBytes'), resyncUnproven: totals.get('resyncUnproven') },
    requests: requestsOf(totals),
    responses: { parsed: totals.get('responsesParsed') },
    kernel,
  }
}

function requestsOf(totals: Totals): Reading['requests'] {
  const { targets } = totals
  return {
    parsed: totals.get('requestsParsed'),
    dropped: added([totals.requestDrops(), ...targets.map((target) => target.dropped())]),
    replayed: added([totals.outcomes(), ...targets.map((target) => target.replayed())]),
    held: targets.reduce((held, target) => held + target.held, totals.requestsHeld()),
    waiting: totals.get('replayQueued') + totals.get('replayInFlight'),
  }
}

function added(all: readonly Counts[]): Counts {
  const counts: Record<string, number> = {}
  for (const [name, n] of all.flatMap((one) => Object.entries(one))) counts[name] = (counts[name] ?? 0) + n
  return counts
}

function refusedOf(tables: PassedOverTotals): Reading['refused'] {
  const entries = (Object.keys(REFUSED) as RefusedName[]).map((name) => {
    const { numbers } = tables.counts[name]
    const counts = Object.fromEntries([...numbers].map(([number, n]) => [WRITTEN[name](number), n]))
    return [REFUSED[name].key, counts]
  })
  return Object.fromEntries(entries) as Reading['refused']
}

/** What came between two readings; `ms` is the time between them. A number that lost its place in a table counts as 0. */
export function between(before: Reading, now: Reading): Reading {
  const kernel =
    before.kernel === null || now.kernel === null ? null : (difference(before.kernel, now.kernel) as KernelNetwork)
  return { ...(difference({ ...before, kernel: null }, { ...now, kernel: null }) as Reading), kernel }
}

function difference(before: unknown, now: unknown): unknown {
  if (typeof now === 'number') return Math.max(0, now - (typeof before === 'number' ? before : 0))
  if (now === null || typeof now !== 'object') return now
  const earlier = (before ?? {}) as Record<string, unknown>
  return Object.fromEntries(Object.entries(now).map(([key, value]) => [key, difference(earlier[key], value)]))
}

/** The names that came, the most first. */
export function ranked(counts: Counts): [string, number][] {
  return Object.entries(counts)
    .filter(([, n]) => n > 0)
    .sort(([, a], [, b]) => b - a)
}

/** Requests that the origin answered, or that `--to null` took. */
export function answersIn(outcomes: Counts): number {
  const [, answered] = divided(outcomes, FAILED_OUTCOMES)
  return total(answered)
}
