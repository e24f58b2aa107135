/** Whether a run was passed: one criterion for each promise, none of them a speed. */

import { sumOf } from '../support/mirrorshard.ts'
import type { Histogram } from '../support/prometheus.ts'
import { quantile } from '../support/prometheus.ts'
import type { LiveSummary } from '../support/service.ts'
import { fitLine, spreadOf } from '../support/statistics.ts'
import { count } from '../support/table.ts'
import { type Death, type EventRecord, roomDrops } from './chaos.ts'
import type { OriginTold } from './origin.ts'
import type { Reading } from './reading.ts'
import type { Sent } from './source.ts'

export interface Criterion {
  readonly name: string
  /** null: the run was too short to tell. */
  readonly isPassed: boolean | null
  readonly detail: string
}

/** Everything of a run that is judged. */
export interface Evidence {
  readonly readings: readonly Reading[]
  /** Of each reading: whether no event or its traces touch the time since the one before. */
  readonly isCalm: readonly boolean[]
  readonly addedTimes: readonly (Histogram | null)[]
  readonly events: readonly EventRecord[]
  readonly kills: number
  readonly deaths: readonly Death[]
  readonly sent: Sent
  readonly origin: OriginTold
  /** null: none was written. */
  readonly summary: LiveSummary | null
  readonly exitCode: number | null
  readonly exitText: string
  readonly workers: number
  readonly connections: number
  readonly budgetMb: number
}

const WARM_UP_S = 3
const LEAST_CALM = 3
/** Of the median, and in MB: what the collector's habits and the allocator's may add in half a run. Chosen. */
const RSS_GROWTH = 0.1
const RSS_GROWTH_MB = 32
/** Between the least heap of the second quarter and that of the last. */
const HEAP_FACTOR = 1.5
const HEAP_MORE_MB = 12
/** Timers, health checks, the bench's own questions. */
const DESCRIPTORS_MORE = 12
/** Files, sockets and threads of a process without traffic. */
const DESCRIPTORS_AT_REST = 120
/** Of the same machine's first calm time; and a bucket's width, and what else the machine does. */
const LATENCY_FACTOR = 3
const LATENCY_MORE_MS = 10
/** Less than the steady traffic of a second. */
const QUEUED_AT_REST = 500
/** Above this share of a second's packets health must turn bad: src/report/health.ts. */
const OVERLOAD = 0.01
const HEALTH_BAD_WITHIN_S = 4
/** Sixty good checks at most, and the time between two looks. */
const HEALTH_GOOD_WITHIN_S = 75

export function judge(evidence: Evidence): Criterion[] {
  return [
    ...atTheOrigin(evidence),
    accounts(evidence),
    ...finalAccounts(evidence),
    ...memory(evidence),
    descriptors(evidence),
    latency(evidence),
    felt(evidence),
    recovery(evidence),
    threads(evidence),
    health(evidence),
    {
      name: 'the process ended with 0',
      isPassed: evidence.exitCode === 0,
      detail: evidence.exitCode === 0 ? 'drained on SIGTERM' : `${evidence.exitCode}: ${evidence.exitText}`,
    },
  ]
}

/** Requests of which the service cannot know whether the origin took or answered them. */
export function inDoubtOf({ requests }: LiveSummary): number {
  const { replayed, dropped, retried } = requests
  const outcomes = ['reset', 'timeout', 'truncated', 'invalid'].reduce((sum, name) => sum + (replayed[name] ?? 0), 0)
  return outcomes + (dropped.shardLost ?? 0) + (dropped.drainTimeout ?? 0) + retried
}

function answered({ requests }: LiveSummary): number {
  return ['1xx', '2xx', '3xx', '4xx', '5xx'].reduce((sum, name) => sum + (requests.replayed[name] ?? 0), 0)
}

function atTheOrigin({ origin, summary, sent }: Evidence): Criterion[] {
  const nothing = origin.altered === 0 && origin.invented === 0 && origin.twice === 0 && origin.passes <= sent.passes
  const criteria: Criterion[] = [
    {
      name: 'nothing altered, invented or sent twice',
      isPassed: nothing && origin.distinct > 0,
      detail: `${count(origin.arrived)} requests compared byte for byte; altered ${origin.altered}, invented ${origin.invented}, twice against the rules ${origin.twice}${origin.example === null ? '' : `; first: ${origin.example}`}`,
    },
  ]
  if (summary === null) return criteria
  const doubt = inDoubtOf(summary)
  const ours = answered(summary)
  const lost = summary.requests.dropped.shardLost ?? 0
  criteria.push({
    name: 'retries are the only repetitions',
    isPassed: origin.again <= summary.requests.retried + lost,
    detail: `${count(origin.again)} came a second time ≤ ${count(summary.requests.retried)} retried${lost > 0 ? ` + ${count(lost)} of dead shards` : ''}`,
  })
  criteria.push({
    name: 'the origin got what was counted',
    isPassed: ours <= origin.arrived && origin.arrived <= ours + doubt,
    detail: `answered ${count(ours)} ≤ arrived ${count(origin.arrived)} ≤ answered + in doubt ${count(ours + doubt)}`,
  })
  for (const outcome of ['2xx', '5xx'] as const) {
    const n = summary.requests.replayed[outcome] ?? 0
    const written = origin.answers[outcome]
    criteria.push({
      name: `answers ${outcome} are those that the origin wrote`,
      isPassed: n <= written && written <= n + doubt,
      detail: `counted ${count(n)} ≤ written ${count(written)} ≤ counted + in doubt ${count(n + doubt)}`,
    })
  }
  return criteria
}

function accounts({ readings }: Evidence): Criterion {
  const wrong = readings.filter((reading) => reading.accounts.length > 0)
  const first = wrong[0]
  return {
    name: 'counts balance in every scrape',
    isPassed: readings.length > 0 && wrong.length === 0,
    detail:
      first === undefined
        ? `in = out + dropped + held for packets, requests and responses in ${count(readings.length)} scrapes, in the middle of every fault`
        : `${wrong.length} of ${readings.length} do not; first at ${first.seconds.toFixed(1)} s: ${first.accounts.join('; ')}`,
  }
}

function finalAccounts({ sent, summary }: Evidence): Criterion[] {
  if (summary === null)
    return [{ name: 'counts balance at the end', isPassed: false, detail: 'no summary was written' }]
  const { packets, requests } = summary
  const kernel = packets.kernelDropped ?? 0
  const taken = packets.received + kernel
  const ended = sumOf(requests.dropped) + sumOf(requests.replayed)
  const gone = packets.processed + sumOf(packets.dropped)
  return [
    {
      name: 'every packet sent is accounted for',
      isPassed: sent.packets === taken,
      detail: `sent ${count(sent.packets)}; received ${count(packets.received)} + dropped by the kernel ${count(kernel)} = ${count(taken)}`,
    },
    {
      name: 'counts balance at the end',
      isPassed: packets.received === gone && requests.parsed === ended + requests.held && requests.held === 0,
      detail: `packets: received ${count(packets.received)} = processed ${count(packets.processed)} + dropped ${count(sumOf(packets.dropped))}; requests: parsed ${count(requests.parsed)} = dropped ${count(sumOf(requests.dropped))} + replayed ${count(sumOf(requests.replayed))} + held ${requests.held}`,
    },
    {
      name: 'no request was found that was not sent',
      isPassed: requests.parsed <= sent.requests,
      detail: `parsed ${count(requests.parsed)} ≤ sent ${count(sent.requests)}`,
    },
  ]
}

/** Readings of calm times in this part of the run; all readings of it where there is next to no calm. */
function calmIn({ readings, isCalm }: Evidence, from: number, to: number): Reading[] {
  const last = readings.at(-1)?.seconds ?? 0
  const part = readings
    .map((reading, i) => ({ reading, i }))
    .filter(({ reading: { seconds } }) => seconds >= Math.max(WARM_UP_S, from * last) && seconds <= to * last)
  const calm = part.filter(({ i }) => isCalm[i])
  return (calm.length >= LEAST_CALM ? calm : part).map(({ reading }) => reading)
}

function memory(evidence: Evidence): Criterion[] {
  const { readings, budgetMb } = evidence
  const peak = Math.max(...readings.map(({ rssMb }) => rssMb))
  const criteria: Criterion[] = [
    {
      name: 'memory stays within its budget',
      isPassed: peak <= budgetMb,
      detail: `resident at most ${peak.toFixed(0)} MB ≤ ${budgetMb} MB`,
    },
  ]
  const half = calmIn(evidence, 0.5, 1)
  if (half.length < LEAST_CALM) return criteria
  const seconds = half.at(-1)!.seconds - half[0]!.seconds
  const { slope } = fitLine(half.map((reading) => [reading.seconds, reading.rssMb] as const))
  const growth = slope * seconds
  const allowed = RSS_GROWTH_MB + RSS_GROWTH * spreadOf(half.map(({ rssMb }) => rssMb)).median
  criteria.push({
    name: 'memory is flat in the second half',
    isPassed: growth <= allowed,
    detail: `calm times: ${(slope * 60).toFixed(2)} MB a minute, ${growth.toFixed(1)} MB over ${seconds.toFixed(0)} s; allowed ${allowed.toFixed(0)} MB`,
  })
  const early = calmIn(evidence, 0.1, 0.5)
  const late = calmIn(evidence, 0.75, 1)
  const heaps = Object.keys(late.at(-1)?.heapMb ?? {}).map((thread) => {
    const least = (part: readonly Reading[]) =>
      Math.min(...part.map(({ heapMb }) => heapMb[thread] ?? Number.POSITIVE_INFINITY))
    return { thread, early: least(early), late: least(late) }
  })
  criteria.push({
    name: 'the heap of each thread is flat',
    isPassed: heaps.length > 0 && heaps.every((h) => h.late <= h.early * HEAP_FACTOR + HEAP_MORE_MB),
    detail: `least in the first half → in the last quarter: ${heaps.map((h) => `${h.thread} ${h.early.toFixed(1)} → ${h.late.toFixed(1)} MB`).join(', ')}`,
  })
  return criteria
}

function descriptors(evidence: Evidence): Criterion {
  const { readings, workers, connections } = evidence
  const median = (part: readonly Reading[]) => (part.length === 0 ? 0 : spreadOf(part.map((r) => r.descriptors)).median)
  const early = median(calmIn(evidence, 0, 0.35))
  const late = median(calmIn(evidence, 0.75, 1))
  const most = Math.max(...readings.map((r) => r.descriptors))
  const allowed = DESCRIPTORS_AT_REST + workers * connections * 2
  return {
    name: 'descriptors are flat',
    isPassed: late <= early + DESCRIPTORS_MORE + workers * 8 && most <= allowed,
    detail: `calm: ${early} at first, ${late} at last; most ${most} ≤ ${allowed}`,
  }
}

/** The calm before the first event against the calm after the last: what lies between holds queues that are being worked off. */
function latency({ readings, isCalm, addedTimes, events }: Evidence): Criterion {
  const name = 'latency is flat'
  const firstS = Math.min(...events.map(({ startS }) => startS))
  const lastS = Math.max(...events.map(({ startS, endS, recoveredS }) => recoveredS ?? endS ?? startS))
  const sum = (isMeant: (reading: Reading) => boolean): Histogram | null => {
    const parts = readings.flatMap((reading, i) => {
      const times = addedTimes[i] ?? null
      return isCalm[i] && times !== null && isMeant(reading) ? [times] : []
    })
    const [first] = parts
    if (first === undefined) return null
    return {
      bounds: first.bounds,
      counts: first.bounds.map((_, i) => parts.reduce((n, { counts }) => n + counts[i]!, 0)),
    }
  }
  const isLate = ({ seconds }: Reading) => seconds > lastS
  const early = sum(({ seconds }) => seconds >= WARM_UP_S && seconds < firstS)
  const late = sum((reading) => isLate(reading) && reading.queued <= QUEUED_AT_REST)
  if (late === null && sum(isLate) !== null)
    return { name, isPassed: false, detail: 'the queue of requests is not worked off after the last event' }
  if (early === null || late === null || quantile(early, 0.5) === null || quantile(late, 0.5) === null)
    return { name, isPassed: null, detail: 'no calm time at one of the two ends' }
  const pairs = [0.5, 0.9].map((share) => ({
    share,
    early: quantile(early, share)! * 1000,
    late: quantile(late, share)! * 1000,
  }))
  return {
    name,
    isPassed: pairs.every((pair) => pair.late <= pair.early * LATENCY_FACTOR + LATENCY_MORE_MS),
    detail: `packet received → request written, calm before the first event → after the last: ${pairs.map((pair) => `p${pair.share * 100} ${pair.early.toFixed(2)} → ${pair.late.toFixed(2)} ms`).join(', ')}; allowed ${LATENCY_FACTOR} × and ${LATENCY_MORE_MS} ms`,
  }
}

/** What each kind of fault must leave in the accounts: a fault that nobody felt proves nothing. */
function felt({ events, summary, sent }: Evidence): Criterion {
  const name = 'the faults were felt'
  if (summary === null) return { name, isPassed: false, detail: 'no summary was written' }
  const { packets, requests } = summary
  const counts: Readonly<Record<string, readonly [what: string, n: number]>> = {
    refuse: ['refused', requests.replayed.refused ?? 0],
    reset: ['reset', requests.replayed.reset ?? 0],
    silence: ['timeout', requests.replayed.timeout ?? 0],
    'half body': ['truncated', requests.replayed.truncated ?? 0],
    garbage: ['invalid', requests.replayed.invalid ?? 0],
    errors: ['5xx', requests.replayed['5xx'] ?? 0],
    kill: ['connections lost with a thread', summary.flows.lost + (packets.dropped.receiverLost ?? 0)],
    stopped: ['dropped by the kernel', packets.kernelDropped ?? 0],
    flood: ['packets of floods', sent.floodPackets],
  }
  const kinds = [...new Set(events.map(({ fault }) => fault.kind))].filter((kind) => counts[kind] !== undefined)
  const nothing = kinds.filter((kind) => counts[kind]![1] === 0)
  return {
    name,
    isPassed: kinds.length > 0 && nothing.length === 0,
    detail:
      nothing.length > 0
        ? `without a trace: ${nothing.join(', ')}`
        : kinds.map((kind) => `${counts[kind]![0]} ${count(counts[kind]![1])}`).join(', '),
  }
}

export function recovery({ events }: Pick<Evidence, 'events'>): Criterion {
  const times = events.map((event) => ({ event, took: recoveryOf(event, events) }))
  const late = times.filter(({ event, took }) => took === null || took > event.boundS)
  const slowest = times.reduce((a, b) => ((b.took ?? 0) > (a.took ?? 0) ? b : a), times[0]!)
  return {
    name: 'every fault is recovered from',
    isPassed: events.length > 0 && late.length === 0,
    detail:
      late.length > 0
        ? late
            .map(
              ({ event, took }) =>
                `${event.name} at ${event.startS.toFixed(0)} s: ${took === null ? 'never' : `${took.toFixed(1)} s`}, bound ${event.boundS.toFixed(0)} s`,
            )
            .join('; ')
        : `${events.length} events; slowest ${slowest.event.name}, ${slowest.took!.toFixed(1)} s after its end`,
  }
}

/** What may turn health bad. */
const OVERLOADS: ReadonlySet<string> = new Set(['flood', 'burst', 'stopped'])

/**
 * Seconds from the end of the event; null: never. Health tells of the service and not of an event: of overloads that follow each
 * other before it was good again, it counts from the end of the last one.
 */
export function recoveryOf(event: EventRecord, events: readonly EventRecord[]): number | null {
  const { endS, recoveredS } = event
  if (endS === null || recoveredS === null) return null
  let fromS = endS
  if (OVERLOADS.has(event.fault.kind)) {
    const others = events.filter(({ fault, startS }) => OVERLOADS.has(fault.kind) && startS > event.startS)
    for (const other of others.sort((a, b) => a.startS - b.startS)) {
      const isInTime = other.startS <= fromS + event.boundS
      if (isInTime && other.endS !== null && other.endS <= recoveredS) fromS = Math.max(fromS, other.endS)
    }
  }
  return Math.max(0, recoveredS - fromS)
}

function threads({ kills, deaths }: Evidence): Criterion {
  return {
    name: 'threads die when they are killed, and only then',
    isPassed: kills === deaths.length,
    detail: `${kills} killed, ${deaths.length} died${kills === deaths.length ? '' : `: ${deaths.map(({ seconds, words }) => `${seconds.toFixed(1)} s ${words}`).join('; ')}`}`,
  }
}

/** Bad after each second in which packets were lost for want of room, good again later, and good at the end. */
function health({ readings }: Evidence): Criterion {
  let overloads = 0
  const wrong: string[] = []
  let coveredS = -1
  for (let i = 1; i < readings.length; i++) {
    const [before, now] = [readings[i - 1]!, readings[i]!]
    const lost = roomDrops(now) - roomDrops(before)
    const packets = now.received - before.received + now.kernelDropped - before.kernelDropped
    // The rule looks at seconds of its own: only what is far above its line in any of them is held against it.
    if (lost <= OVERLOAD * 3 * packets || now.seconds <= coveredS) continue
    overloads++
    const after = readings.slice(i)
    const bad = after.find((r) => !r.health.isGood && r.seconds <= now.seconds + HEALTH_BAD_WITHIN_S)
    const lastLost = after.reduce(
      (at, r, j) => (j > 0 && roomDrops(r) > roomDrops(after[j - 1]!) ? r.seconds : at),
      now.seconds,
    )
    const good = bad === undefined ? undefined : after.find((r) => r.seconds > bad.seconds && r.health.isGood)
    coveredS = good?.seconds ?? Number.POSITIVE_INFINITY
    if (bad === undefined) {
      wrong.push(`stayed good at ${now.seconds.toFixed(1)} s, where ${count(lost)} packets were lost`)
      coveredS = now.seconds
    } else if (good === undefined || good.seconds > lastLost + HEALTH_GOOD_WITHIN_S)
      wrong.push(`stayed bad from ${bad.seconds.toFixed(1)} s`)
  }
  const last = readings.at(-1)
  if (last === undefined || !last.health.isGood) wrong.push(`bad at the end: ${last?.health.text}`)
  return {
    name: 'health turns bad and good again when it should',
    isPassed: wrong.length === 0,
    detail:
      wrong.length > 0
        ? wrong.join('; ')
        : `${overloads} overloads: bad within ${HEALTH_BAD_WITHIN_S} s each, then good; good at the end`,
  }
}
