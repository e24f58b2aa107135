/** What this build can do: benches measure what is there and say what is not. */

import { MAIN } from './mirrorshard.ts'
import type { BenchOptions } from './options.ts'
import { runTimed } from './processes.ts'
import type { Report } from './report.ts'
import { openService } from './service.ts'

/** The engines to measure: all that the build has, or the one that was asked for; what is not there is said. */
export async function enginesFor(options: BenchOptions, report: Report): Promise<readonly (string | null)[]> {
  const known = await enginesOf(MAIN)
  if (known.includes(null)) report.line('--engine: not in this build, which has undici alone')
  const { engine } = options
  if (engine === null) return known
  const found = known.filter((one) => engineName(one) === engine)
  if (found.length === 0) report.line(`--engine ${engine}: not in this build`)
  return found
}

/** @param main of a build @returns as enginesInHelp */
export async function enginesOf(main: string): Promise<readonly (string | null)[]> {
  const { stdout } = await runTimed(process.execPath, [main, 'replay', '--help'])
  return enginesInHelp(stdout)
}

/** @param help the text of `replay --help` @returns [null] where it has no such option: then undici is all there is */
export function enginesInHelp(help: string): readonly (string | null)[] {
  const names = /--engine ([a-z][a-z0-9-]*(?:\|[a-z][a-z0-9-]*)+)/.exec(help)?.[1]
  return names === undefined ? [null] : names.split('|').filter((name) => name !== 'auto')
}

export function engineName(engine: string | null): string {
  return engine ?? 'undici'
}

/** Whether `run` starts with so many receiving threads. */
export async function knowsReceivers(receivers: number, directory: string): Promise<boolean> {
  if (receivers === 1) return true
  try {
    const service = await openService({ to: 'null', workers: 2, receivers }, directory)
    await service.close()
    return true
  } catch {
    return false
  }
}
