/** `mirrorshard replay FILE… --to URL`: requests from capture files to an origin. */
import { EXIT } from '../../base/errors.ts'
import type { ReplayOptions } from '../../config/options.ts'
import { samplingNote } from '../../report/sampling-note.ts'
import { runOffline } from '../offline-run.ts'
import { tell } from '../output.ts'
import { sendingSinkConfig } from '../stage-configs.ts'

export async function execute(options: ReplayOptions): Promise<number> {
  const isNull = options.to === null
  const { exitCode, summary } = await runOffline({
    options,
    sinkConfig: sendingSinkConfig(options, false),
    ratePerSecond: options.rate,
    speed: options.speed === 'max' ? Number.POSITIVE_INFINITY : options.speed,
    maxPauseMs: options.maxPause,
    loops: options.loop,
    verb: isNull ? 'discarded' : 'replayed',
    tellsSummary: true,
    writeOutput: () => Promise.resolve(),
  })
  const note = samplingNote(summary, options)
  if (note !== null) tell(note)
  if (exitCode !== EXIT.ok || isNull || summary.requests.parsed === 0) return exitCode
  // An origin that never answered is a failed run, however orderly it ended.
  const answered = ['1xx', '2xx', '3xx', '4xx', '5xx'].some((outcome) => (summary.requests.replayed[outcome] ?? 0) > 0)
  const tried = Object.keys(summary.requests.replayed).length > 0 || (summary.requests.dropped.circuitOpen ?? 0) > 0
  return tried && !answered ? EXIT.failure : EXIT.ok
}
