/** What replay and inspect have in common: capture files through the path, to the summary. */

import { MonotonicClock } from '../base/clock.ts'
import { EXIT } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import type { InspectOptions, ReplayOptions } from '../config/options.ts'
import { plural, type Summary, summaryInWords } from '../report/summary.ts'
import { Accounts, checkSummary, writeSummary } from './accounts.ts'
import { Captures, LinkTypeWatch } from './captures.ts'
import { pumpFiles } from './file-pump.ts'
import { Ingress } from './ingress.ts'
import { tell, warn } from './output.ts'
import { openPath } from './path.ts'
import { ingressOptions, shardPlan } from './plans.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Work } from './shard-plan.ts'

export interface OfflineRun {
  readonly options: ReplayOptions | InspectOptions
  readonly work: Work
  readonly ratePerSecond: number | null
  readonly speed: number
  readonly loops: number
  readonly verb: 'replayed' | 'printed' | 'discarded'
  /** Whether the summary in words is for a person who waits, or would only get in the way of the data. */
  readonly tellsSummary: boolean
  /** Takes what sinks make for standard output; resolves when more may come. */
  readonly writeOutput: (bytes: Uint8Array) => Promise<void>
}

export interface OfflineResult {
  readonly exitCode: number
  readonly summary: Summary
}

export async function runOffline(run: OfflineRun): Promise<OfflineResult> {
  const { options } = run
  const captures = new Captures(options.files)
  const accounts = new Accounts(false, [run.work.name])
  if (options.summary !== null) checkSummary(options.summary)
  // Opened first: a bad file is told before any thread is started.
  let opened: Awaited<ReturnType<Captures['open']>> | null = await captures.open()
  const plan = shardPlan(options, run.work, false, new MonotonicClock().anchor, run.ratePerSecond)
  const path = await openPath({
    plan,
    shards: options.workers,
    producers: 1,
    ringCapacity: options.ringBytes,
    // The reader waits.
    shedAbove: null,
    heapMb: options.shardHeapMb,
    writeOutput: run.writeOutput,
    // The reader would wait for it for ever.
    onShardGivenUp: (error) =>
      queueMicrotask(() => {
        throw error
      }),
    onShardDied: (shard, error, restartMs) =>
      warn(
        `worker ${shard} died (${error.message}); its requests are counted as shardLost; it starts again in ${restartMs} ms`,
      ),
  })
  accounts.attach(path)
  const ingress = new Ingress(ingressOptions(options, false), path.outlet, accounts.counters)
  const stop = { requested: false }
  const bar = new ProgressBar(run.loops)
  const onSignal = () => {
    if (stop.requested) process.exit(130)
    stop.requested = true
    bar.clear()
    const held = accounts.totals().requestsHeld()
    tell(
      `\nmirrorshard: stopping: ${plural(held, 'request')} that were read are finished first; once more to quit at once`,
    )
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const linkTypes = new LinkTypeWatch()
  let exitCode: number = EXIT.ok
  await pumpFiles(ingress, path, {
    speed: run.speed,
    loops: run.loops,
    open: async () => {
      const source = opened ?? (await captures.open())
      opened = null
      return source
    },
    onFirstPacket: () => accounts.markFirstPacket(),
    onLongWait: (waitMs) => {
      if (process.stderr.isTTY)
        tell(`mirrorshard: the next packet is due in ${duration(waitMs)}; --speed max does not wait`)
    },
    onLinkType: (linkType) => linkTypes.see(linkType),
    onProgress: (pass, read, total) => bar.update(pass, read, total, accounts.totals()),
    onReadError: (error) => {
      // What was read before stays processed: the summary tells it.
      bar.clear()
      tell(`mirrorshard: ${printable(error.message)}`)
      exitCode = EXIT.failure
    },
    onWarnings: (warnings) => {
      bar.clear()
      for (const warning of warnings) warn(warning)
    },
    stop,
  })
  await path.drain()
  bar.clear()
  process.off('SIGINT', onSignal)
  process.off('SIGTERM', onSignal)
  const summary = accounts.summary()
  if (stop.requested) tell('Interrupted: the rest of the input was not read. Of what was read:')
  if (captures.failed > 0) tell(`${plural(captures.failed, 'file')} could not be read; of the rest:`)
  if (options.summary !== null) writeSummary(options.summary, summary)
  const sawNothing = summary.requests.parsed === 0 && summary.responses.parsed === 0
  if (run.tellsSummary || sawNothing) for (const line of summaryInWords(summary, run.verb)) tell(line)
  if (captures.failed > 0) exitCode = EXIT.failure
  return { exitCode, summary }
}

/** `16 h 8 min`, `45 s`. */
function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
