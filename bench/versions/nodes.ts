/** The same work on several Node versions, real binaries from the npm registry, in turns. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import { runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { pairedRatios, spreadOf } from '../support/statistics.ts'
import { spread } from '../support/table.ts'
import type { MicroResult } from './micro-child.ts'

const NAME = 'nodes'
const MAJORS = [20, 22, 24] as const
const MICRO = fileURLToPath(new URL('./micro-child.js', import.meta.url))

interface Version {
  readonly path: string
  readonly name: string
}

export async function benchNodes(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const rounds = options.runs ?? 3
  const workers = options.workers ?? [0, 1]
  const capture = await benchCapture(options, directory)
  report.heading(NAME, `Node ${MAJORS.join(', ')}, the same build, in turns`)
  const versions: Version[] = []
  for (const major of MAJORS) {
    const version = install(major, directory)
    if (typeof version === 'string') report.line(`no Node ${major} to be had: ${version}`)
    else versions.push(version)
  }
  if (versions.length === 0) throw new Error('no Node could be installed from the npm registry')
  report.line(`${captureInWords(capture)}; ${rounds} round(s)`)
  const variants = workers.flatMap((n) => versions.map((version) => ({ workers: n, version })))
  const runs = await inTurns(variants, rounds, async ({ workers: n, version }) => {
    const run = await replayFile(capture.path, 'null', n, directory, { node: version.path })
    const counts = losslessCounts(run.summary, capture.packets, capture.requests, 'null')
    return { ...run, check: report.check(`${NAME} Node ${version.name} --workers ${n}`, counts) }
  })
  const rows = [['file → null', 'CPU s', 'wall s', 'peak RSS MB', 'CPU, by rounds', 'counts']]
  for (const [i, { workers: n, version }] of variants.entries()) {
    const own = runs[i]!
    const first = runs[i - (i % versions.length)]!
    const cpuSeconds = spreadOf(own.map((run) => run.cpuSeconds))
    const wallSeconds = spreadOf(own.map((run) => run.wallSeconds))
    const peakRssMb = spreadOf(own.map((run) => run.peakRssBytes / 1e6))
    const pairs = pairedRatios(
      own.map((run) => run.cpuSeconds),
      first.map((run) => run.cpuSeconds),
    )
    const label = `Node ${version.name}, --workers ${n}`
    report.result({ bench: NAME, variant: label, cpuSeconds, wallSeconds, peakRssMb })
    rows.push([
      label,
      spread(cpuSeconds, 2),
      spread(wallSeconds, 2),
      spread(peakRssMb, 0),
      own === first ? '–' : `${spread(pairs, 2)} ×`,
      own.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(rows)
  report.line(`CPU, by rounds: against Node ${versions[0]!.name} with as many workers`)
  await tellMicro(versions, rounds, options, report)
}

async function tellMicro(
  versions: readonly Version[],
  rounds: number,
  options: BenchOptions,
  report: Report,
): Promise<void> {
  const runs = await inTurns(versions, rounds, async ({ path }) => {
    const { code, stdout, stderr } = await runTimed(path, [MICRO, options.quick ? 'quick' : 'full'])
    if (code !== 0) throw new Error(`micro benches on ${path} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout) as MicroResult[]
  })
  report.heading(NAME, 'single mechanisms, ns each')
  report.line(`medians of ${rounds} run(s)`)
  const rows = [['', ...versions.map(({ name }) => `Node ${name}`), 'results']]
  for (const [i, { name, expected }] of runs[0]![0]!.entries()) {
    const spreads = versions.map((_, v) => spreadOf(runs[v]!.map((run) => run[i]!.ns)))
    const check = report.check(`${NAME} ${name}`, {
      result: [[...new Set(runs.flat().map((run) => run[i]!.got))].join(' and '), String(expected)],
    })
    for (const [v, version] of versions.entries())
      report.result({ bench: NAME, variant: `${name}, Node ${version.name}`, nsPerOperation: spreads[v]! })
    rows.push([name, ...spreads.map((one) => spread(one, 1)), check])
  }
  report.table(rows)
}

/** @returns what npm said where it could not */
function install(major: number, directory: string): Version | string {
  const folder = join(directory, `node-${major}`)
  mkdirSync(folder, { recursive: true })
  const name = `node-${process.platform}-${process.arch}`
  const { status, stderr } = spawnSync(
    'npm',
    ['--prefix', folder, 'install', '--silent', '--no-save', '--no-audit', '--no-fund', `${name}@${major}`],
    { encoding: 'utf8' },
  )
  if (status !== 0) return stderr.trim().split('\n')[0] ?? `npm ended with ${status}`
  const path = join(folder, 'node_modules', name, 'bin/node')
  return { path, name: execFileSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim() }
}
