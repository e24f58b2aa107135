/**
 * `mirrorshard run`: the live mirror target. Runs until SIGTERM or SIGINT, then drains and tells what was lost; SIGHUP reads the
 * configuration again.
 */
import { setCrashSummary } from '../../base/crash-summary.ts'
import { endProcess } from '../../base/end-process.ts'
import { EXIT, type MirrorError } from '../../base/errors.ts'
import { plural } from '../../base/plural.ts'
import { onSighup } from '../../base/sighup.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { RunOptions } from '../../config/options.ts'
import { DrainWatch } from '../../report/drain-watch.ts'
import { LiveText } from '../../report/live-text.ts'
import { samplingNote } from '../../report/sampling-note.ts'
import { openServiceLog } from '../../report/service-log.ts'
import { StatusLine } from '../../report/status-line.ts'
import { duration, seconds } from '../../report/watch/duration.ts'
import { tellSummary } from '../command-log.ts'
import { tell } from '../output.ts'
import { prepareRun } from '../preflight.ts'
import { Reloader } from '../reload.ts'
import { writeSummary } from '../run-stats.ts'
import { Service } from '../service.ts'

/** @param reread the options once more: flags and environment as they were, the file as it is now */
export async function execute(options: RunOptions, reread: () => Promise<RunOptions>): Promise<number> {
  let status: StatusLine | DrainWatch | null = null
  const log = openServiceLog(process.stderr, {
    level: options.logLevel,
    format: options.logFormat,
    beforeLine: () => status?.clear(),
  })
  const signals = new Signals()
  const settings = prepareRun(options, log.event, () => log.prepare())
  const service = await Service.open({
    ...settings,
    onFinding: (sentence, details) => log.event('finding', sentence, details),
  })
  setCrashSummary((error) => {
    const summary = { ...service.summary(), fault: error instanceof Error ? error.message : String(error) }
    if (options.summary !== null) writeSummary(options.summary, summary)
  })
  const admin = service.admin === null ? null : formatHostPort(service.admin)
  const from = service.listening.length === 0 ? service.receiverKind : service.listening.map(formatHostPort).join(', ')
  const to = options.to?.origin ?? 'nowhere (--to null)'
  log.event(
    'receiving',
    `receiving on ${from}, replaying to ${to}${admin === null ? '' : `; metrics on http://${admin}/metrics`}`,
    {
      listen: service.listening.map(formatHostPort),
      receiver: service.receiverKind,
      receiveBufferBytes: service.grantedBufferBytes.map((n) => n / 2),
      receivers: options.receivers,
      workers: options.workers,
      to: options.to?.origin ?? 'null',
      admin,
    },
  )
  const live = new LiveText()
  // Between JSON lines it would be no line of its own.
  if (log.format === 'text') status = new StatusLine(process.stderr, (width) => live.text(service.totals(), width))
  const reloader = new Reloader(options, { service, serviceOptions: settings, log, reread })
  onSighup(() => void reloader.reload())
  const end: NodeJS.Signals | MirrorError = await Promise.race([signals.stopped, service.failed])
  signals.endAtOnce()
  onSighup(() => {})
  status?.stop()
  if (typeof end === 'string') log.event('draining', `${end}: draining`, { signal: end })
  else log.event('failing', `${end.message}; ending with what was received`, { code: end.code })
  const watch = new DrainWatch(process.stderr, log, {
    totals: () => service.totals(),
    origin: options.to?.origin ?? null,
    timeoutMs: options.drainTimeoutMs,
  })
  status = watch
  const drainMs = performance.now()
  await service.close()
  watch.stop()
  setCrashSummary(null)
  const summary = service.summary()
  const { drainTimeout = 0 } = summary.requests.dropped
  const tookMs = performance.now() - drainMs
  log.flush()
  log.event(
    'drained',
    `drained in ${duration(tookMs)}${drainTimeout > 0 ? `; ${plural(drainTimeout, 'request')} dropped as drainTimeout` : ''}`,
    { seconds: seconds(tookMs), dropped: drainTimeout },
  )
  const told = typeof end === 'string' ? summary : { ...summary, fault: end.message }
  if (options.summary !== null) writeSummary(options.summary, told)
  tellSummary(log, told, options.to === null ? 'discarded' : 'replayed')
  const note = samplingNote(summary, options)
  if (note !== null && log.format === 'text') tell(note)
  if (typeof end !== 'string') throw end
  return EXIT.ok
}

/** A signal while the service starts is acted upon when it has. */
class Signals {
  readonly stopped: Promise<NodeJS.Signals>

  constructor() {
    this.stopped = new Promise((resolve) => {
      process.once('SIGTERM', resolve)
      process.once('SIGINT', resolve)
    })
  }

  /** A second signal ends at once, whatever is still held. */
  endAtOnce(): void {
    process.removeAllListeners('SIGTERM')
    process.removeAllListeners('SIGINT')
    process.once('SIGTERM', () => endProcess(EXIT.failure))
    process.once('SIGINT', () => endProcess(130))
  }
}
