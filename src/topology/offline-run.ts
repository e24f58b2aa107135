/** What replay and inspect have in common: capture files through the pipeline, to the summary. */

import { MonotonicClock } from '../base/clock.ts'
import { EXIT } from '../base/errors.ts'
import { plural } from '../base/plural.ts'
import type { InspectOptions, ReplayOptions } from '../config/options.ts'
import { DrainWatch } from '../report/drain-watch.ts'
import type { ServiceLog } from '../report/service-log.ts'
import type { Summary } from '../report/summary.ts'
import { total } from '../report/totals.ts'
import { RunWatch } from '../report/watch/run-watch.ts'
import { Captures, LinkTypeWatch } from './captures.ts'
import { openCommandLog, tellSummary } from './command-log.ts'
import { pumpFiles } from './file-pump.ts'
import { tell } from './output.ts'
import type { SkippedPause } from './pacer.ts'
import { PacketPipeline } from './packet-pipeline.ts'
import { openPipeline } from './pipeline.ts'
import { ProgressBar } from './progress-bar.ts'
import { checkSummary, RunStats, writeSummary } from './run-stats.ts'
import { originsOf, type SinkConfig } from './shard-config.ts'
import { packetPipelineOptions, shardConfigOf } from './stage-configs.ts'
import { ThreadDeaths } from './thread-deaths.ts'

export interface OfflineRun {
  readonly options: ReplayOptions | InspectOptions
  readonly sinkConfig: SinkConfig
  readonly ratePerSecond: number | null
  readonly speed: number
  /** Longest wait for a packet; null: no bound. */
  readonly maxPauseMs: number | null
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
  const bar = new ProgressBar(run.loops)
  let line: DrainWatch | null = null
  const log = openCommandLog(options, () => {
    line?.clear()
    bar.clear()
  })
  const captures = new Captures(options.files, log.event)
  const stats = new RunStats(false, [run.sinkConfig.name])
  if (options.summary !== null) checkSummary(options.summary)
  // Opened first: a bad file is told before any thread is started.
  let opened: Awaited<ReturnType<Captures['open']>> | null = await captures.open()
  const shardConfig = shardConfigOf(options, run.sinkConfig, false, new MonotonicClock().anchor, run.ratePerSecond)
  const deaths = new ThreadDeaths(() => stats.totals(), log.event)
  const watch = new RunWatch({
    origins: originsOf([run.sinkConfig]),
    workers: options.workers,
    startedMs: performance.now(),
    tell: log.event,
  })
  const pipeline = await openPipeline({
    shardConfig,
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
    onShardDied: deaths.shardDied,
    onShardBack: deaths.shardBack,
    onUnreached: (target, why) => watch.unreached(target, why, performance.now()),
  })
  stats.attach(pipeline)
  const packetPipeline = new PacketPipeline(packetPipelineOptions(options, false), pipeline.outlet, stats.counters)
  const stop = { requested: false }
  const onSignal = () => {
    if (stop.requested) process.exit(130)
    stop.requested = true
    bar.clear()
    const held = stats.totals().requestsHeld()
    // Behind the terminal's ^C.
    if (log.format === 'text') tell('')
    const text = `stopping: ${plural(held, 'request')} that were read are finished first; once more to quit at once`
    log.event('interrupted', text, { held })
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const linkTypes = new LinkTypeWatch(log.event)
  const pauses = new SkippedPauses(run.maxPauseMs, log)
  const looks = setInterval(() => watch.lookAtOrigins(stats.totals(), performance.now()), LOOK_MS).unref()
  let exitCode: number = EXIT.ok
  await pumpFiles(packetPipeline, pipeline, {
    speed: run.speed,
    maxPauseMs: run.maxPauseMs,
    loops: run.loops,
    open: async () => {
      const source = opened ?? (await captures.open())
      opened = null
      return source
    },
    onFirstPacket: () => stats.markFirstPacket(),
    onLongWait: (waitMs) => {
      const text = `the next packet is due in ${duration(waitMs)}; --speed max does not wait`
      if (process.stderr.isTTY || log.format === 'json')
        log.event('capture-pause', text, { seconds: Math.round(waitMs / 1000) })
    },
    onSkippedPause: (pause) => pauses.tell(pause),
    onLinkType: (linkType) => linkTypes.see(linkType),
    onProgress: (pass, read, total) => {
      if (log.format === 'text') bar.update(pass, read, total, () => stats.totals())
    },
    onReadError: (error) => {
      // What was read before stays processed: the summary tells it.
      log.event('read-failed', error.message, { code: error.code })
      exitCode = EXIT.failure
    },
    onWarnings: (warnings) => {
      for (const warning of warnings) log.event('capture-warning', warning)
    },
    stop,
  })
  bar.end()
  // Answers may take long, and a terminal that stands still tells nobody.
  const origin = run.sinkConfig.kind === 'replay' ? run.sinkConfig.name : null
  const draining = { totals: () => stats.totals(), origin, timeoutMs: null }
  if (origin !== null && log.format === 'text') line = new DrainWatch(process.stderr, null, draining)
  await pipeline.drain()
  line?.stop()
  line = null
  clearInterval(looks)
  // A short run ends before the first look.
  watch.lookAtOrigins(stats.totals(), performance.now())
  log.flush()
  pauses.tellRest()
  process.off('SIGINT', onSignal)
  process.off('SIGTERM', onSignal)
  const summary = stats.summary()
  if (log.format === 'text') {
    if (stop.requested) tell('Interrupted: the rest of the input was not read. Of what was read:')
    if (captures.failed > 0) tell(`${plural(captures.failed, 'file')} could not be read; of the rest:`)
  }
  if (options.summary !== null) writeSummary(options.summary, summary)
  // Who sees no request is told why.
  const isSilent = total(summary.requests.replayed) === 0
  if (run.tellsSummary || isSilent) tellSummary(log, summary, run.verb)
  if (captures.failed > 0) exitCode = EXIT.failure
  return { exitCode, summary }
}

/** Each of the first pauses that was cut short has a line of its own, the others one together. */
class SkippedPauses {
  private told = 0
  private rest = 0
  private restUs = 0
  private readonly maxPauseMs: number | null
  private readonly log: Pick<ServiceLog, 'event'>

  constructor(maxPauseMs: number | null, log: Pick<ServiceLog, 'event'>) {
    this.maxPauseMs = maxPauseMs
    this.log = log
  }

  tell({ timeUs, pauseUs, skippedUs }: SkippedPause): void {
    if (this.told === MOST_PAUSES_TOLD) {
      this.rest++
      this.restUs += skippedUs
      return
    }
    this.told++
    const at = new Date(timeUs / 1000)
    const when = Number.isNaN(at.getTime()) ? `${Math.round(timeUs / 1e6)} s` : at.toISOString()
    this.log.event(
      'pause-skipped',
      `the capture pauses for ${duration(pauseUs / 1000)} before its packet of ${when}: ${duration(skippedUs / 1000)} of that are skipped, --max-pause waits no longer than ${duration(this.maxPauseMs ?? 0)}`,
      { seconds: Math.round(skippedUs / 1e6) },
    )
  }

  tellRest(): void {
    if (this.rest > 0)
      this.log.event(
        'pause-skipped',
        `${plural(this.rest, 'further pause')} cut short, ${duration(this.restUs / 1000)} skipped (--max-pause)`,
        { seconds: Math.round(this.restUs / 1e6) },
      )
  }
}

const MOST_PAUSES_TOLD = 3
/** How often it is looked whether the origin answers. */
const LOOK_MS = 1000

/** `12 days`, `16 h 8 min`, `45 s`, `250 ms`. */
function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 72 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`
}
