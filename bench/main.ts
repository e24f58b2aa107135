/** `npm run bench`: runs the benches asked for, prints tables, and fails when a count that came out was wrong. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchFloods } from './floods/bench.ts'
import { benchFloodsLive } from './floods/live.ts'
import { benchFlows } from './inside/flows.ts'
import { benchGate } from './inside/gate.ts'
import { benchScaling } from './inside/scaling.ts'
import { decapsulationBench } from './micro/decapsulation.ts'
import { hashBench } from './micro/hash.ts'
import { httpBench } from './micro/http.ts'
import { runMicro } from './micro/measure.ts'
import { reassemblyBench } from './micro/reassembly.ts'
import { ringBench } from './micro/ring.ts'
import { benchPeers } from './peers/peers.ts'
import { benchEndurance } from './pipeline/endurance.ts'
import { benchFile } from './pipeline/file.ts'
import { benchFileGrowth } from './pipeline/file-growth.ts'
import { benchLive } from './pipeline/live.ts'
import { benchLiveLimit } from './pipeline/live-limit.ts'
import { benchLiveReplay } from './pipeline/live-replay.ts'
import { benchOverload } from './pipeline/overload.ts'
import { benchReplay } from './pipeline/replay.ts'
import { benchCaches } from './profile/caches.ts'
import { profileFile, profileLive } from './profile/profile.ts'
import { benchIdle } from './service/idle.ts'
import { benchScrapes } from './service/scrapes.ts'
import { benchStart } from './service/start.ts'
import { endWithThisProcess } from './support/children.ts'
import { tellGoals } from './support/goals.ts'
import { type BenchOptions, isAsked, parseOptions, USAGE } from './support/options.ts'
import { Report } from './support/report.ts'
import { benchCompare } from './versions/compare.ts'
import { benchNodes } from './versions/nodes.ts'

interface Bench {
  readonly name: string
  /** Not part of a run without names: it needs something of its own, or judges. */
  readonly isExtra?: boolean
  readonly run: (options: BenchOptions, report: Report, directory: string) => Promise<void> | void
}

const BENCHES: readonly Bench[] = [
  ...[hashBench(), ringBench(), decapsulationBench(), reassemblyBench(), ...httpBench()].map((bench) => ({
    name: bench.name,
    run: (options: BenchOptions, report: Report) => runMicro(bench, options, report),
  })),
  { name: 'pipeline/file', run: benchFile },
  { name: 'pipeline/file-growth', run: benchFileGrowth },
  { name: 'pipeline/live', run: benchLive },
  { name: 'pipeline/live-limit', run: benchLiveLimit },
  { name: 'pipeline/replay', run: benchReplay },
  { name: 'peers', run: benchPeers },
  { name: 'flows', run: benchFlows },
  { name: 'scaling', run: benchScaling },
  { name: 'compare', run: benchCompare, isExtra: true },
  { name: 'nodes', run: benchNodes, isExtra: true },
  { name: 'profile/file', run: profileFile, isExtra: true },
  { name: 'profile/live', run: profileLive, isExtra: true },
  { name: 'caches', run: benchCaches, isExtra: true },
  { name: 'gate', run: benchGate, isExtra: true },
  { name: 'floods', run: benchFloods, isExtra: true },
  { name: 'floods-live', run: benchFloodsLive, isExtra: true },
  { name: 'pipeline/live-replay', run: benchLiveReplay },
  { name: 'service/start', run: benchStart },
  { name: 'service/idle', run: benchIdle },
  { name: 'overload', run: benchOverload, isExtra: true },
  { name: 'endurance', run: benchEndurance, isExtra: true },
  { name: 'scrapes', run: benchScrapes, isExtra: true },
]

const USAGE_EXIT = 2

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    console.log(USAGE)
    return 0
  }
  let options: BenchOptions
  try {
    options = parseOptions(argv)
    for (const name of options.names)
      if (!BENCHES.some((bench) => bench.name === name || bench.name.startsWith(`${name}/`)))
        throw new Error(`no bench ${name}; there are ${BENCHES.map((bench) => bench.name).join(', ')}`)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`)
    return USAGE_EXIT
  }
  const directory = mkdtempSync(join(tmpdir(), 'mirrorshard-bench-'))
  endWithThisProcess(directory)
  try {
    const report = new Report((line) => console.log(line))
    for (const bench of BENCHES.filter(({ name, isExtra }) => isAsked(options, name, isExtra))) {
      try {
        await bench.run(options, report, directory)
      } catch (error) {
        report.failed(bench.name, error)
      }
    }
    tellGoals(options, report)
    return report.finish() ? 0 : 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

process.exitCode = await main(process.argv.slice(2))
