/** `mirrorshard inspect FILE…`: the HTTP exchanges in capture files. */
import { readVersion } from '../../base/version.ts'
import type { InspectOptions } from '../../config/options.ts'
import { openFormat } from '../../sinks/inspect/formats.ts'
import { runOffline } from '../offline-run.ts'
import { DataStream } from '../output.ts'
import { printingSinkConfig } from '../stage-configs.ts'

export async function execute(options: InspectOptions): Promise<number> {
  const output = new DataStream(process.stdout)
  const format = openFormat(
    options.format,
    (data) => output.write(data),
    process.stdout.columns ?? 160,
    process.stdout.isTTY === true,
    readVersion(),
  )
  const { exitCode } = await runOffline({
    options,
    sinkConfig: printingSinkConfig(options),
    ratePerSecond: null,
    speed: Number.POSITIVE_INFINITY,
    maxPauseMs: null,
    loops: 1,
    verb: 'printed',
    // Data goes to stdout; the summary is for whoever watches.
    tellsSummary: process.stderr.isTTY === true && !process.stdout.isTTY ? true : options.format === 'table',
    writeOutput: (bytes) => format.take(bytes),
  })
  await format.end()
  return exitCode
}
