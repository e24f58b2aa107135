/** `mirrorshard inspect FILE…`: the HTTP exchanges in capture files. */
import type { InspectOptions } from '../../config/options.ts'
import { openFormat } from '../inspect-format.ts'
import { runOffline } from '../offline-run.ts'
import { TextOutput } from '../output.ts'
import { printingSinkConfig } from '../stage-configs.ts'

export async function execute(options: InspectOptions): Promise<number> {
  const output = new TextOutput(process.stdout)
  const format = openFormat(options.format, (text) => output.write(text))
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
    writeLines: (lines) => format.lines(lines),
  })
  await format.end()
  return exitCode
}
