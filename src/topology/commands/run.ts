/**
 * `mirrorshard run`: the live mirror target. Runs until SIGTERM or SIGINT, then drains and tells what was lost; SIGHUP reads the
 * configuration again.
 */
import { MonotonicClock } from '../../base/clock.ts'
import { setCrashSummary } from '../../base/crash-summary.ts'
import { endProcess } from '../../base/end-process.ts'
import { EXIT, type MirrorError } from '../../base/errors.ts'
import { onSighup } from '../../base/sighup.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { RunOptions } from '../../config/options.ts'
import { openServiceLog } from '../../report/service-log.ts'
import { StatusLine } from '../../report/status-line.ts'
import { summaryInWords } from '../../report/summary.ts'
import { tell } from '../output.ts'
import { Reloader } from '../reload.ts'
import { checkSummary, writeSummary } from '../run-stats.ts'
import { Service } from '../service.ts'
import { serviceOptions } from '../service-options.ts'

/** @param reread the options once more: flags and environment as they were, the file as it is now */
export async function execute(options: RunOptions, reread: () => Promise<RunOptions>): Promise<number> {
  let status: StatusLine | null = null
  const log = openServiceLog(process.stderr, options.logLevel, () => status?.clear())
  if (options.summary !== null) checkSummary(options.summary)
  const signals = new Signals()
  const settings = serviceOptions(
    options,
    new MonotonicClock(),
    (text, details) => log.warn(text, details),
    () => log.prepare(),
  )
  const service = await Service.open({ ...settings, onFinding: (sentence, details) => log.warn(sentence, details) })
  setCrashSummary((error) => {
    const summary = { ...service.summary(), fault: error instanceof Error ? error.message : String(error) }
    if (options.summary !== null) writeSummary(options.summary, summary)
  })
  const admin = service.admin === null ? null : formatHostPort(service.admin)
  const from = service.listening.length === 0 ? service.receiverKind : service.listening.map(formatHostPort).join(', ')
  const to = options.to?.origin ?? 'nowhere (--to null)'
  log.info(
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
  status = new StatusLine(process.stderr, () => service.totals())
  const reloader = new Reloader(options, { service, serviceOptions: settings, log, reread })
  onSighup(() => void reloader.reload())
  const end: NodeJS.Signals | MirrorError = await Promise.race([signals.stopped, service.failed])
  signals.endAtOnce()
  onSighup(() => {})
  status.stop()
  if (typeof end === 'string') log.info('draining', 'draining', { signal: end })
  else log.warn(`${end.message}; ending with what was received`, { code: end.code })
  await service.close()
  setCrashSummary(null)
  const summary = service.summary()
  if (options.summary !== null)
    writeSummary(options.summary, typeof end === 'string' ? summary : { ...summary, fault: end.message })
  for (const line of summaryInWords(summary, options.to === null ? 'discarded' : 'replayed')) tell(line)
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
