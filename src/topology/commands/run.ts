/** `mirrorshard run`: the live mirror target. Runs until SIGTERM or SIGINT, then drains and tells what was lost. */
import { MonotonicClock } from '../../base/clock.ts'
import { EXIT } from '../../base/errors.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { RunOptions } from '../../config/options.ts'
import { openJournal } from '../../report/journal.ts'
import { StatusLine } from '../../report/status-line.ts'
import { summaryInWords } from '../../report/summary.ts'
import { checkSummary, writeSummary } from '../accounts.ts'
import { tell } from '../output.ts'
import { Service } from '../service.ts'
import { serviceOptions } from '../service-options.ts'

export async function execute(options: RunOptions): Promise<number> {
  let status: StatusLine | null = null
  const journal = openJournal(process.stderr, options.logLevel, () => status?.clear())
  if (options.summary !== null) checkSummary(options.summary)
  const stopped = nextStopSignal()
  const service = await Service.open(
    serviceOptions(
      options,
      new MonotonicClock(),
      (text, details) => journal.warn(text, details),
      () => journal.prepare(),
    ),
  )
  const admin = service.admin === null ? null : formatHostPort(service.admin)
  const from = service.listening.length === 0 ? service.receiverKind : service.listening.map(formatHostPort).join(', ')
  const to = options.to?.origin ?? 'nowhere (--to null)'
  journal.info(
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
  const signal = await stopped
  // A second signal ends at once, whatever is still held.
  process.once('SIGTERM', () => process.exit(EXIT.failure))
  process.once('SIGINT', () => process.exit(130))
  status.stop()
  journal.info('draining', 'draining', { signal })
  await service.close()
  const summary = service.summary()
  if (options.summary !== null) writeSummary(options.summary, summary)
  for (const line of summaryInWords(summary, options.to === null ? 'discarded' : 'replayed')) tell(line)
  return EXIT.ok
}

function nextStopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      process.off('SIGTERM', onSignal)
      process.off('SIGINT', onSignal)
      resolve(signal)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}
