/** The command line as a process: streams, exit code and the last line of defence; the rest is in cli/. Loaded by main.ts. */
import { writeCrashSummary } from './base/crash-summary.ts'
import { endProcess } from './base/end-process.ts'
import { describeSystemError, MirrorError } from './base/errors.ts'
import { holdSighup } from './base/sighup.ts'
import { readVersion } from './base/version.ts'
import type { HandlerLoaders } from './cli/commands.ts'
import { reportFatal } from './cli/fatal.ts'

const loaders: HandlerLoaders = {
  run: () => import('./topology/commands/run.ts'),
  replay: () => import('./topology/commands/replay.ts'),
  inspect: () => import('./topology/commands/inspect.ts'),
  capture: () => import('./topology/commands/capture.ts'),
  demo: () => import('./topology/commands/demo.ts'),
  validate: () => import('./topology/commands/validate.ts'),
  doctor: () => import('./topology/commands/doctor.ts'),
}

/** How long the end waits for a reader of stderr that stands still, and for threads that do not return from the system. */
const UNREAD_MS = 1000

/** @param hangUps SIGHUPs that came before this was loaded: acted upon when there is somebody to */
export async function start(hangUps: number): Promise<void> {
  if (process.argv[2] === 'run') holdSighup(hangUps)
  guardStreams()
  const argv = process.argv.slice(2)
  if (argv[0] === '--version' || argv[0] === '-V') {
    // Before the schema and the option parser are loaded.
    process.stdout.write(`${readVersion()}\n`)
  } else {
    try {
      const { runCli } = await import('./cli/program.ts')
      process.exitCode = await runCli(argv, process.env, loaders, process.stdout, process.stderr)
    } catch (error) {
      process.exitCode = reportFatal(error, process.env, process.stderr)
    }
  }
  // Words that nobody takes from a full pipe must not keep a process that is done.
  setTimeout(() => {
    if (process.exitCode !== undefined && process.stdout.writableLength === 0) endProcess(Number(process.exitCode))
  }, UNREAD_MS).unref()
}

function guardStreams(): void {
  // `mirrorshard inspect … | head` is no failure: whoever reads has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    const text = `cannot write standard output: ${describeSystemError(error)}`
    process.exit(reportFatal(new MirrorError('ERR_OUTPUT', text, { cause: error }), process.env, process.stderr))
  })
  // Nobody is there to be told.
  process.stderr.on('error', () => {})
  // Rejections that nobody handles come here too.
  process.on('uncaughtException', (error) => {
    writeCrashSummary(error)
    endProcess(reportFatal(error, process.env, process.stderr))
  })
}
