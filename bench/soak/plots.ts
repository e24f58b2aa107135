/** A run as pictures over time, with what was done to it as bands behind. */
import { type Band, drawSeries, type Panel, type Series } from '../support/series-svg.ts'
import type { Reading } from './reading.ts'
import type { RunFile } from './run.ts'

const MOST_SERIES = 8

export interface Picture {
  readonly name: string
  readonly svg: string
}

/** Small enough to be read one after the other: what belongs together stands over one time axis. */
export function drawRun(run: RunFile): Picture[] {
  const { readings, events } = run.evidence
  const seconds = readings.map((r) => r.seconds)
  const column = (name: string, of: (r: Reading) => number | null): Series => ({ name, values: readings.map(of) })
  const bands: Band[] = events.map(({ name, fault, startS, endS, recoveredS }) => ({
    fromSeconds: startS,
    toSeconds: Math.max(endS ?? startS, fault.kind === 'kill' ? (recoveredS ?? startS) : startS),
    kind:
      fault.track === 'origin'
        ? 'origin fault'
        : fault.kind === 'kill'
          ? 'thread killed'
          : fault.kind === 'flood'
            ? 'flood'
            : 'burst, pause',
    label: name,
  }))
  const threads = [...new Set(readings.flatMap((r) => Object.keys(r.heapMb)))].sort()
  const picture = (name: string, title: string, panels: Panel[]): Picture => ({
    name,
    svg: drawSeries({
      title,
      subtitle: `${run.options.minutes} min, seed ${run.options.seed}, ${run.options.rate.toLocaleString('en-US')} packets/s, ${run.options.workers} workers, ${run.options.receivers} receiver${run.options.receivers > 1 ? 's' : ''}; Node ${process.versions.node}`,
      seconds,
      panels,
      bands,
    }),
  })
  return [
    picture('memory', 'Memory and descriptors', [
      { title: 'Resident', unit: 'MB', series: [column('resident', (r) => r.rssMb)] },
      {
        title: 'Heap in use, by thread',
        unit: 'MB',
        series: threads.map((thread) => column(thread, (r) => r.heapMb[thread] ?? null)),
      },
      {
        title: 'Buffers outside of the heap, by thread',
        unit: 'MB',
        series: threads.map((thread) => column(thread, (r) => r.externalMb[thread] ?? null)),
      },
      { title: 'Open descriptors', unit: 'count', series: [column('descriptors', (r) => r.descriptors)] },
    ]),
    picture('latency', 'Latency', [
      {
        title: 'Packet received to request written',
        unit: 'ms',
        series: [column('p50', (r) => r.addedMs?.p50 ?? null), column('p99', (r) => r.addedMs?.p99 ?? null)],
      },
      {
        title: 'Request written to answer complete',
        unit: 'ms',
        series: [column('p50', (r) => r.replayMs?.p50 ?? null), column('p99', (r) => r.replayMs?.p99 ?? null)],
      },
      {
        title: 'Event-loop delay, main thread, greatest',
        unit: 'ms',
        series: [column('greatest', (r) => r.loopDelayMaxMs)],
      },
      { title: 'Processor', unit: 'cores', series: [column('cores', (r) => r.cpu)] },
    ]),
    picture('drops', 'What was dropped and what failed', [
      {
        title: 'Packets dropped, by reason',
        unit: 'per second',
        series: perSecond(readings, (r) => ({ ...r.packetsDropped, kernel: r.kernelDropped })),
      },
      {
        title: 'Requests dropped, by reason',
        unit: 'per second',
        series: perSecond(readings, (r) => r.requestsDropped),
      },
      {
        title: 'Requests that left, by outcome',
        unit: 'per second',
        series: perSecond(readings, (r) => r.outcomes),
      },
    ]),
    picture('traffic', 'Traffic, queues and health', [
      { title: 'Packets received', unit: 'per second', series: [column('packets', (r) => r.packetsPerSecond)] },
      {
        title: 'Requests',
        unit: 'per second',
        series: [column('found', (r) => r.requestsPerSecond), column('answered 2xx', (r) => r.answersPerSecond)],
      },
      {
        title: 'Requests waiting',
        unit: 'count',
        series: [
          column('held', (r) => r.held),
          column('queued', (r) => r.queued),
          column('in flight', (r) => r.inFlight),
        ],
      },
      { title: 'Connections in the flow tables', unit: 'count', series: [column('flows', (r) => r.flowsOpen)] },
      {
        title: 'Health (1 good, 0 bad) and threads running',
        unit: 'count',
        series: [
          column('health', (r) => (r.health.isGood ? 1 : 0)),
          column('workers', (r) => r.workersRunning),
          column('receivers', (r) => r.receiversRunning),
        ],
      },
    ]),
  ]
}

/** Rates of counters by label: the greatest, and the rest as one. */
function perSecond(readings: readonly Reading[], of: (r: Reading) => Readonly<Record<string, number>>): Series[] {
  const last = readings.at(-1)
  if (last === undefined) return []
  const totals = Object.entries(of(last)).filter(([, n]) => n > 0)
  totals.sort((a, b) => b[1] - a[1])
  const own = totals.length <= MOST_SERIES ? totals : totals.slice(0, MOST_SERIES - 1)
  const rest = new Set(totals.slice(own.length).map(([name]) => name))
  const rates = (names: (name: string) => boolean) =>
    readings.map((now, i) => {
      const before = readings[i - 1]
      if (before === undefined) return null
      const sum = (r: Reading) => Object.entries(of(r)).reduce((all, [name, n]) => (names(name) ? all + n : all), 0)
      return Math.max(0, (sum(now) - sum(before)) / (now.seconds - before.seconds))
    })
  const series = own.map(([name]) => ({ name, values: rates((other) => other === name) }))
  return rest.size === 0
    ? series
    : [...series, { name: `${rest.size} others`, values: rates((name) => rest.has(name)) }]
}
