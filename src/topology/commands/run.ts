/** `mirrorshard run`: the live mirror target. Runs until SIGTERM or SIGINT, then drains and tells what was lost. */
import { MonotonicClock } from '../../base/clock.ts'
import { EXIT } from '../../base/errors.ts'
import { openLog } from '../../base/log.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { RunOptions } from '../../config/options.ts'
import { NetworkList } from '../../decapsulation/networks.ts'
import { StatusLine } from '../../report/status-line.ts'
import { summaryInWords } from '../../report/summary.ts'
import { checkSummary, writeSummary } from '../accounts.ts'
import { tell } from '../output.ts'
import { ingressOptions, sendingWork, shardPlan } from '../plans.ts'
import { Service } from '../service.ts'

export async function execute(options: RunOptions): Promise<number> {
  const log = openLog(options.logLevel)
  const clock = new MonotonicClock()
  if (options.summary !== null) checkSummary(options.summary)
  const stopped = nextStopSignal()
  const service = await Service.open({
    listen: options.listen,
    receiver: options.receiver === 'auto' ? undefined : options.receiver,
    receiveBufferBytes: options.receiveBufferBytes,
    datagramBytes: options.datagramBytes,
    allowFrom: options.allowFrom === null ? null : new NetworkList(options.allowFrom),
    interface:
      options.interface === null
        ? null
        : { name: options.interface, filter: options.filter ?? '', bufferBytes: options.captureBufferBytes },
    ingress: ingressOptions(options, options.interface === null),
    plan: shardPlan(options, sendingWork(options, true), true, clock.anchor, options.rate),
    workers: options.workers,
    ringBytes: options.ringBytes,
    shardHeapMb: options.shardHeapMb,
    admin: options.admin,
    health: options.health,
    faultsEnabled: process.env.MIRRORSHARD_FAULTS === '1',
    clock,
    onWarning: (text, details) => log.warn(details ?? {}, text),
  })
  log.info(
    {
      listen: service.listening.map(formatHostPort),
      receiver: service.receiverKind,
      receiveBufferBytes: service.grantedBufferBytes.map((n) => n / 2),
      workers: options.workers,
      to: options.to?.origin ?? null,
      admin: service.admin === null ? null : formatHostPort(service.admin),
    },
    'receiving',
  )
  const status = new StatusLine(process.stderr, () => service.totals())
  const signal = await stopped
  // A second signal ends at once, whatever is still held.
  process.once('SIGTERM', () => process.exit(EXIT.failure))
  process.once('SIGINT', () => process.exit(130))
  status.stop()
  log.info({ signal }, 'draining')
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
