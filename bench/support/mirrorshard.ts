/** The program under test, from the same build, as a process of its own. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Summary } from '../../src/report/summary.ts'
import { type Finished, runTimed } from './processes.ts'

export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export interface ReplayRun extends Finished {
  readonly summary: Summary
}

export interface ReplaySettings {
  readonly loops?: number
  /** Another Node, options for it, another build of the program. */
  readonly node?: string
  readonly nodeOptions?: readonly string[]
  readonly main?: string
  /** null: what the build does without being asked. */
  readonly engine?: string | null
}

/** `replay FILE --to TARGET --speed max`. @throws Error with what it printed when it failed */
export async function replayFile(
  path: string,
  to: string,
  workers: number,
  directory: string,
  more: ReplaySettings = {},
): Promise<ReplayRun> {
  const summaryPath = join(directory, 'summary.json')
  rmSync(summaryPath, { force: true })
  const args = ['replay', path, '--to', to, '--speed', 'max', '--workers', String(workers), '--summary', summaryPath]
  if (more.engine != null) args.push('--engine', more.engine)
  if (more.loops !== undefined) args.push('--loop', String(more.loops))
  const program = more.node ?? process.execPath
  const finished = await runTimed(program, [...(more.nodeOptions ?? []), more.main ?? MAIN, ...args])
  if (finished.code !== 0)
    throw new Error(`mirrorshard ${args.join(' ')} ended with ${finished.code}: ${finished.stderr}`)
  return { ...finished, summary: readSummary(summaryPath) }
}

export function readSummary(path: string): Summary {
  return JSON.parse(readFileSync(path, 'utf8')) as Summary
}

export function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}

/** What must come out when nothing was lost: every packet processed, every request with this outcome. */
export function losslessCounts(
  summary: Summary,
  packets: number,
  requests: number,
  outcome: string,
): Record<string, readonly [unknown, unknown]> {
  return {
    'packets received': [summary.packets.received, packets],
    'packets processed': [summary.packets.processed, packets],
    'packets dropped': [sumOf(summary.packets.dropped), 0],
    gaps: [summary.flows.gaps, 0],
    'requests parsed': [summary.requests.parsed, requests],
    'requests dropped': [sumOf(summary.requests.dropped), 0],
    [`requests with outcome ${outcome}`]: [summary.requests.replayed[outcome] ?? 0, requests],
    'requests held': [summary.requests.held, 0],
  }
}
