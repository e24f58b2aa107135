/** When a kind of loss begins, and when it has not happened for a while: from the counters, once a second. */
import { count, plural } from '../../base/plural.ts'
import type { TellEvent } from '../log-events.ts'
import { LOSS_GROUPS, type LossName, OUTCOME_LOSS, PACKET_LOSS, REQUEST_LOSS } from '../loss-groups.ts'
import { type Totals, total } from '../totals.ts'
import { duration, seconds } from './duration.ts'

/** Without a further one for so long it is over. */
const QUIET_MS = 30_000

/** Reasons and what they counted since the start, group by group. */
export type LossReading = Readonly<Record<LossName, Readonly<Record<string, number>>>>

const NAMES = Object.keys(LOSS_GROUPS) as LossName[]

/** Reasons named most, in a sentence. */
const MOST_REASONS = 4

export function readLosses(totals: Totals): LossReading {
  const reading = Object.fromEntries(NAMES.map((name) => [name, {}])) as Record<LossName, Record<string, number>>
  const take = (grouping: Readonly<Record<string, LossName | null>>, counts: Readonly<Record<string, number>>) => {
    for (const [reason, n] of Object.entries(counts)) {
      const group = grouping[reason] ?? null
      if (group !== null) reading[group][reason] = (reading[group][reason] ?? 0) + n
    }
  }
  take(PACKET_LOSS, totals.packetDrops())
  take(REQUEST_LOSS, totals.requestDrops())
  take(OUTCOME_LOSS, totals.outcomes())
  reading['kernel-drops'].kernelDropped = totals.get('kernelDropped')
  reading['fragments-lost'].kernelReassemblyFailed = totals.get('kernelReassemblyFailed')
  reading.gaps.gaps = totals.get('gaps')
  reading.truncated.truncated = totals.get('packetsTruncated')
  const own = totals.get('packetsTruncatedHere')
  if (own > 0) reading.truncated.datagramTruncated = (reading.truncated.datagramTruncated ?? 0) + own
  return reading
}

interface Running {
  readonly sinceMs: number
  lastMs: number
  readonly reasons: Record<string, number>
}

export class LossWatch {
  private readonly tell: TellEvent
  private readonly last = new Map<LossName, Readonly<Record<string, number>>>()
  private readonly running = new Map<LossName, Running>()

  constructor(tell: TellEvent) {
    this.tell = tell
  }

  /**
   * @param waits groups that are looked at later: it is not known yet whether something else tells them
   * @param elsewhere groups that something else tells now
   */
  look(
    reading: LossReading,
    nowMs: number,
    waits: ReadonlySet<LossName> = NONE,
    elsewhere: ReadonlySet<LossName> = NONE,
  ): void {
    for (const name of NAMES) {
      if (waits.has(name)) continue
      const more = difference(reading[name], this.last.get(name) ?? {})
      this.last.set(name, reading[name])
      if (elsewhere.has(name)) {
        // It is not over: what tells it now also tells its end.
        this.running.delete(name)
        continue
      }
      const running = this.running.get(name)
      const isMore = Object.keys(more).length > 0
      if (running === undefined) {
        if (isMore) this.begin(name, more, nowMs)
      } else if (isMore) {
        running.lastMs = nowMs
        for (const [reason, n] of Object.entries(more)) running.reasons[reason] = (running.reasons[reason] ?? 0) + n
      } else if (nowMs - running.lastMs >= QUIET_MS) this.end(name, running)
    }
  }

  private begin(name: LossName, reasons: Readonly<Record<string, number>>, nowMs: number): void {
    this.running.set(name, { sinceMs: nowMs, lastMs: nowMs, reasons: { ...reasons } })
    const { text } = LOSS_GROUPS[name]
    // What makes gaps besides the mirror comes first in the table: it has begun by now.
    const isExplained = MAKE_GAPS.some((group) => this.running.has(group))
    const where = name === 'gaps' && !isExplained ? '; they were lost before mirrorshard, which drops none now' : ''
    this.tell(name, `${text}: ${inWords(reasons)} so far${where}`, { reasons, count: total(reasons) }, name)
  }

  private end(name: LossName, { sinceMs, lastMs, reasons }: Running): void {
    this.running.delete(name)
    const { text, unit } = LOSS_GROUPS[name]
    const lastedMs = Math.max(1000, lastMs - sinceMs)
    this.tell(
      'loss-ended',
      `over, none for ${QUIET_MS / 1000} s: ${text}; ${plural(total(reasons), unit)} in ${duration(lastedMs)} (${inWords(reasons)})`,
      { loss: name, reasons, count: total(reasons), seconds: seconds(lastedMs) },
      name,
    )
  }
}

const NONE: ReadonlySet<LossName> = new Set()
const MAKE_GAPS: readonly LossName[] = ['kernel-drops', 'overload', 'memory-bound', 'truncated', 'fragments-lost']

function difference(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  const more: Record<string, number> = {}
  for (const [reason, n] of Object.entries(now)) if (n > (before[reason] ?? 0)) more[reason] = n - (before[reason] ?? 0)
  return more
}

function inWords(reasons: Readonly<Record<string, number>>): string {
  const entries = Object.entries(reasons).sort(([, a], [, b]) => b - a)
  const named = entries.slice(0, MOST_REASONS).map(([reason, n]) => `${reason} ${count(n)}`)
  const further = entries.length > MOST_REASONS ? [`${entries.length - MOST_REASONS} more reasons`] : []
  return [...named, ...further].join(', ')
}
