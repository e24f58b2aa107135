/** `mirrorshard doctor`: checks what `run` with the same options would need, before anything is started. */
import { MonotonicClock } from '../../base/clock.ts'
import { EXIT } from '../../base/errors.ts'
import { printableJson, printableLines } from '../../base/printable.ts'
import type { DoctorOptions } from '../../config/options.ts'
import { listenChecks, mtuChecks, serverChecks } from '../doctor/address-checks.ts'
import { type Check, guarded, ok, warning } from '../doctor/check.ts'
import {
  clockCheck,
  descriptorCheck,
  memoryCheck,
  processorCheck,
  summaryCheck,
  threadCheck,
} from '../doctor/machine-checks.ts'
import { fragmentCheck, interfaceCheck, koffiCheck, loopbackCheck } from '../doctor/receiver-checks.ts'
import { askRunning } from '../doctor/running.ts'
import { checkTable, conclusion, runningTable, tally } from '../doctor/table.ts'
import { targetChecks } from '../doctor/target-checks.ts'
import { serviceOptions } from '../service-options.ts'

export async function execute(options: DoctorOptions): Promise<number> {
  const service = serviceOptions(options, new MonotonicClock(), () => {})
  const answer = await askRunning(options.admin, service.adminAccess.token)
  const running = typeof answer === 'string' ? null : answer
  const isRunning = answer !== null
  const checks: Check[] = [ok('node', `${process.version} on ${process.platform} ${process.arch}`)]
  const add = async (name: string, check: () => Promise<Check[]> | Check[]) => {
    checks.push(...(await guarded(name, check)))
  }
  await add('koffi', () => koffiCheck(service))
  await add('receiving', () => loopbackCheck(service))
  await add('fragments', fragmentCheck)
  await add('interface', () => interfaceCheck(service))
  await add('listen', () => listenChecks(service, isRunning))
  await add('MTU', () => mtuChecks(service))
  await add('servers', () => serverChecks(options, isRunning))
  await add('descriptors', () => descriptorCheck(options))
  await add('memory', () => memoryCheck(options))
  await add('processors', () => processorCheck(options))
  await add('threads', () => threadCheck(service))
  await add('clock', clockCheck)
  await add('summary', () => summaryCheck(options))
  await add('target', () => targetChecks(options, service.shardConfig.sinks))
  if (typeof answer === 'string')
    checks.push(warning('running service', `cannot be asked: ${answer}`, 'give the token'))

  const found = tally(checks, running)
  const isWrong = found.wrong > 0
  const text = options.json
    ? printableJson({ status: isWrong ? 'wrong' : 'ok', checks, running })
    : printableLines(
        [
          ...checkTable(checks),
          ...(running === null ? [] : ['', ...runningTable(running)]),
          '',
          conclusion(found),
        ].join('\n'),
      )
  process.stdout.write(`${text}\n`)
  return isWrong ? EXIT.failure : EXIT.ok
}
