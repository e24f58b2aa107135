/** What this build can do: benches measure what is there and say what is not. */

import { MAIN } from './mirrorshard.ts'
import { runTimed } from './processes.ts'
import { openService } from './service.ts'

/** Engines that `--engine` names; [null] where the build has no such option: its only one, undici. */
export async function knownEngines(): Promise<readonly (string | null)[]> {
  const { stdout } = await runTimed(process.execPath, [MAIN, 'replay', '--help'])
  return enginesInHelp(stdout)
}

/** @param help the text of `replay --help` */
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
