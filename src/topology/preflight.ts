/**
 * What `run` asks of the machine before it receives, and `validate` asks the same way: files that must be readable or writable, packages that
 * must be there. What only starting tells (an address in use, a right that is missing) is not asked here.
 */
import { createRequire } from 'node:module'
import { MonotonicClock } from '../base/clock.ts'
import { MirrorError } from '../base/errors.ts'
import type { InspectOptions, RunOptions } from '../config/options.ts'
import type { TellEvent } from '../report/log-events.ts'
import { checkInterface } from '../sources/live/interface-capture.ts'
import { checkReceiver } from '../sources/live/open-receiver.ts'
import { checkReceivers } from './receiver-pool.ts'
import { checkSummary } from './run-stats.ts'
import type { ServiceOptions } from './service.ts'
import { serviceOptions } from './service-options.ts'
import { printingSinkConfig } from './stage-configs.ts'

/**
 * All but the receiver, which `run` finds out about when it opens it.
 * @throws MirrorError of the first that `run` refuses
 */
export function prepareRun(
  options: RunOptions,
  tell: TellEvent,
  whileThreadsStart: ServiceOptions['whileThreadsStart'] = () => {},
): ServiceOptions {
  if (options.summary !== null) checkSummary(options.summary)
  if (options.to !== null && options.engine === 'undici') checkUndici()
  return serviceOptions(options, new MonotonicClock(), tell, whileThreadsStart)
}

/** @throws MirrorError of the first thing that `run`, or `inspect`, refuses */
export async function checkMachine(run: RunOptions, inspect: InspectOptions): Promise<void> {
  const { interface: capture, receivers, sharesPorts, receiver } = prepareRun(run, () => {})
  if (capture !== null) await checkInterface(capture.name)
  else if (receivers > 1) await checkReceivers(receivers)
  else await checkReceiver(receiver, sharesPorts)
  printingSinkConfig(inspect)
}

function checkUndici(): void {
  try {
    createRequire(import.meta.url).resolve('undici')
  } catch (error) {
    throw new MirrorError('ERR_ORIGIN', '--engine undici: package undici is not there; npm install installs it', {
      cause: error,
    })
  }
}
