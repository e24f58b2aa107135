/** What `compare` lets both builds do: a file and live traffic, to null and to nginx. Each run checks its own counts. */

import type { BenchCapture } from '../support/bench-capture.ts'
import { engineName } from '../support/capabilities.ts'
import type { MirrorSource } from '../support/mirror-source.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import type { Nginx } from '../support/nginx.ts'
import { peakRssOf } from '../support/peak-rss.ts'
import type { Report } from '../support/report.ts'
import { liveCounts, lossesOf, lostInAll, openService } from '../support/service.ts'
import { count } from '../support/table.ts'
import type { PairedRun, Work } from './pairs.ts'

export interface Side {
  readonly label: string
  readonly main: string
}

export interface Measured extends PairedRun {
  /** User and system time of all threads: to null of a packet, to nginx of a request. */
  readonly cpuUs: number
  readonly wallSeconds: number
  readonly peakRssBytes: number
}

export type ComparedWork = Work<Side, Measured>

/** Where requests go. null: thrown away. */
export type Target = { readonly nginx: Nginx; readonly engine: string | null } | null

interface Common {
  readonly target: Target
  readonly workers: number
  readonly report: Report
  readonly directory: string
}

export interface FileWork extends Common {
  readonly capture: BenchCapture
  /** Over the file: enough of them that not only the start is compared. */
  readonly passes: number
}

export interface LiveWork extends Common {
  readonly source: MirrorSource
  readonly packetsPerSecond: number
  /** Before what is measured, and its rate: code is compiled, buffers grow. */
  readonly warmUp: { readonly packetsPerSecond: number; readonly seconds: number }
  readonly seconds: number
}

/**
 * Room for some seconds in which the machine does other work, for both builds alike: what stands in a buffer is dealt with later, what
 * does not fit is lost, and a run that lost something is no comparison.
 */
const ROOMY = [
  ...['--receive-buffer-bytes', '256MiB', '--ring-bytes', '64MiB'],
  ...['--queue-requests', '100000', '--queue-bytes', '256MiB'],
]

type Counts = Readonly<Record<string, readonly [got: unknown, expected: unknown]>>

/** The whole process, its start included, as it tells itself: the shell that waits for it tells hundredths of a second. */
export function fileWork({ capture, passes, target, workers, report, directory }: FileWork): ComparedWork {
  const label = labelOf('file', target, workers)
  const packets = capture.packets * passes
  const requests = capture.requests * passes
  return {
    label,
    run: async (side) => {
      const arrivals = await arrivalsAt(target)
      const { summary, wallSeconds, peakRssBytes } = await replayFile(capture.path, urlOf(target), workers, directory, {
        main: side.main,
        engine: target?.engine ?? null,
        loops: passes,
      })
      report.check(`compare ${label}, ${side.label}`, {
        ...losslessCounts(summary, packets, requests, outcomeOf(target)),
        ...(await arrivals(requests)),
      })
      const cpuUs = (summary.cpuSeconds / (target === null ? packets : requests)) * 1e6
      // A file waits for its reader: whatever else the machine does, nothing of it may be lost.
      return { cpuUs, wallSeconds, peakRssBytes, disturbed: null }
    },
  }
}

/** CPU of the warm process for one order of the sender, from quiet to quiet: no packet of it before, none after. */
export function liveWork(work: LiveWork): ComparedWork {
  const { target, workers, source, packetsPerSecond, report, directory } = work
  const label = labelOf(`live ${count(packetsPerSecond)}/s`, target, workers)
  return {
    label,
    run: async (side) => {
      const where = `compare ${label}, ${side.label}`
      const arrivals = await arrivalsAt(target)
      const service = await openService(
        { to: urlOf(target), workers, engine: target?.engine ?? null, main: side.main, args: ROOMY },
        directory,
      )
      try {
        const order = { port: service.port, packetsPerSecond, seconds: work.seconds }
        const warm = await (await source.send({ ...order, ...work.warmUp })).sent
        const before = await service.drain(warm)
        const own = await (await source.send(order)).sent
        const sent = { ...own, packets: warm.packets + own.packets, requests: warm.requests + own.requests }
        const after = await service.drain(sent)
        const peakRssBytes = peakRssOf(service.child.pid!)
        const summary = await service.finish()
        // What was lost was counted, in every run; that nothing was lost is asked of the pair that is kept.
        report.check(where, liveCounts(summary, sent, outcomeOf(target)))
        const lost = lostInAll(lossesOf(summary, outcomeOf(target)))
        if (lost === 0)
          report.check(where, {
            ...losslessCounts(summary, sent.packets, sent.requests, outcomeOf(target)),
            ...(await arrivals(sent.requests)),
          })
        const units =
          target === null
            ? after.packets.received - before.packets.received
            : after.requests.parsed - before.requests.parsed
        return {
          cpuUs: ((after.cpuSeconds - before.cpuSeconds) / units) * 1e6,
          wallSeconds: own.seconds,
          peakRssBytes,
          disturbed: disturbedBy(lost, own.packets / own.seconds, packetsPerSecond),
        }
      } finally {
        await service.close()
      }
    },
  }
}

/** A lower rate is dearer per packet: two runs at far different rates say nothing about two builds. Chosen. */
const LEAST_SHARE_OF_RATE = 0.8

/** @param lost packets, gaps and requests */
export function disturbedBy(lost: number, reached: number, asked: number): string | null {
  if (lost > 0) return `${count(lost)} packets, gaps or requests lost`
  if (reached < asked * LEAST_SHARE_OF_RATE) return `the sender reached ${count(reached)}/s of ${count(asked)}/s`
  return null
}

/** How often nginx was asked from now on, and what it found wrong with it: as counts to check. */
async function arrivalsAt(target: Target): Promise<(expected: number) => Promise<Counts>> {
  if (target === null) return async () => ({})
  const { nginx } = target
  // Those of a run that lost something are not the next one's.
  nginx.complaints()
  const before = await nginx.requests()
  return async (expected) => {
    const after = await nginx.requests()
    return {
      // The second question counts itself.
      'requests that nginx counted': [
        after === null || before === null ? null : after - before - 1,
        before === null ? null : expected,
      ],
      'what nginx complained about': [nginx.complaints().join('; '), ''],
    }
  }
}

function labelOf(from: string, target: Target, workers: number): string {
  const to = target === null ? 'null' : `nginx, ${engineName(target.engine)}`
  return `${from} → ${to}, --workers ${workers}`
}

function urlOf(target: Target): string {
  return target === null ? 'null' : target.nginx.url
}

function outcomeOf(target: Target): string {
  return target === null ? 'null' : '2xx'
}
