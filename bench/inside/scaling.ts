/** CPU per packet by number of shards, costs by stage, and whether the two agree. */
import { cpus } from 'node:os'
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { type Spread, spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'
import { foretell, type SideCosts, saturatingShards } from './model.ts'
import { measureApart } from './parts.ts'
import { STAGES, type Stage, type StagesOrder, type StagesResult } from './stages.ts'

const NAME = 'scaling'
/** Passes of the short and of the long run: their difference has no start and no compiling in it. */
const PASSES = [3, 11] as const
const QUICK_PASSES = [1, 3] as const
/** Machines that the model speaks of. */
const CORES = [1, 2, 3, 4, 8, 16] as const

const NAMES: Readonly<Record<Stage, string>> = {
  read: 'read records',
  decapsulate: 'decapsulate, hash, dispatch',
  ringWrite: 'write into the ring',
  ringRead: 'read from the ring',
  reassemble: 'reassemble',
  http: 'HTTP and exchange',
  sink: 'sink (null)',
}

export async function benchScaling(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const capture = await benchCapture(options, directory)
  const rounds = options.runs ?? 3
  report.heading(NAME, 'costs by stage over a whole capture, one thread, warm')
  report.line(`${captureInWords(capture)}; ${rounds} round(s) behind those in which code is compiled`)
  const order: StagesOrder = { path: capture.path, rounds }
  const { packets, requests, stages } = await measureApart<StagesResult>('./stages-child.js', order)
  const check = report.check(`${NAME} stages`, {
    packets: [packets, capture.packets],
    requests: [requests, capture.requests],
  })
  const rows = [['stage', 'ns/packet', 'thread', 'counts']]
  for (const stage of STAGES) {
    const ns = spreadOf(stages[stage])
    report.result({ bench: NAME, variant: NAMES[stage], nsPerPacket: ns })
    rows.push([NAMES[stage], spread(ns, 0), isReceiving(stage) ? 'receiving' : 'shard', check])
  }
  report.table(rows)
  const sum = (isOne: (stage: Stage) => boolean) =>
    STAGES.filter(isOne).reduce((total, stage) => total + spreadOf(stages[stage]).median, 0)
  const costs: SideCosts = { receivingNs: sum(isReceiving), shardNs: sum((stage) => !isReceiving(stage)) }
  report.line(
    `receiving thread ${costs.receivingNs.toFixed(0)} ns, shard ${costs.shardNs.toFixed(0)} ns a packet: one receiving thread keeps ${saturatingShards(costs).toFixed(1)} shards busy, and is the bound from ${Math.ceil(saturatingShards(costs))} on, at ${count(1e9 / costs.receivingNs)} packets/s`,
  )

  const measured = await measureWorkers(options, report, directory)
  tellModel(report, costs, measured)
}

interface Measured {
  readonly workers: number
  readonly cpuUs: Spread
  readonly packetsPerSecond: Spread
}

async function measureWorkers(options: BenchOptions, report: Report, directory: string): Promise<Measured[]> {
  const capture = await benchCapture(options, directory)
  const workers = options.workers ?? (options.quick ? [1] : [1, 2, 3, 4])
  const passes = options.quick ? QUICK_PASSES : PASSES
  const rounds = options.runs ?? 3
  report.heading(NAME, 'file → null by worker threads, passes over warm code')
  report.line(
    `${passes[1]} passes less ${passes[0]}: what is left has no start in it; ${rounds} round(s), in turns; ${cpus().length} cores`,
  )
  const variants = workers.flatMap((n) => passes.map((loops) => ({ workers: n, loops })))
  const runs = await inTurns(variants, rounds, async (variant) => {
    const run = await replayFile(capture.path, 'null', variant.workers, directory, { loops: variant.loops })
    const [all, asked] = [capture.packets * variant.loops, capture.requests * variant.loops]
    const counts = losslessCounts(run.summary, all, asked, 'null')
    return { ...run, check: report.check(`${NAME} --workers ${variant.workers}`, counts) }
  })
  const rows = [['--workers', 'CPU µs/packet', 'packets/s', 'counts']]
  const measured: Measured[] = []
  for (const [i, n] of workers.entries()) {
    const [short, long] = [runs[2 * i]!, runs[2 * i + 1]!]
    const packets = capture.packets * (passes[1] - passes[0])
    const differences = (of: (run: (typeof short)[number]) => number) =>
      long.map((run, round) => of(run) - of(short[round]!))
    const cpuUs = spreadOf(differences((run) => run.cpuSeconds).map((seconds) => (seconds / packets) * 1e6))
    // A busy machine can make the short run the longer one: such a round tells nothing.
    const seconds = differences((run) => run.wallSeconds).filter((difference) => difference > 0)
    const packetsPerSecond = spreadOf((seconds.length > 0 ? seconds : [Number.NaN]).map((s) => packets / s))
    report.result({ bench: NAME, variant: `workers ${n}`, cpuUsPerPacket: cpuUs, packetsPerSecond })
    measured.push({ workers: n, cpuUs, packetsPerSecond })
    rows.push([
      String(n),
      spread(cpuUs, 3),
      `${count(packetsPerSecond.median)} (${count(packetsPerSecond.least)}–${count(packetsPerSecond.greatest)})`,
      [...short, ...long].some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(rows)
  return measured
}

function tellModel(report: Report, costs: SideCosts, measured: readonly Measured[]): void {
  const cores = cpus().length
  report.heading(NAME, 'the model: the most that the costs by stage allow, and what was measured here')
  report.line(
    'the lowest of: the receiving thread alone, the shards together, all cores shared. Waiting and busy neighbours are not in it',
  )
  const here = [['--workers', 'foretold packets/s', 'measured packets/s', 'measured / foretold', 'bound by']]
  for (const { workers, packetsPerSecond } of measured) {
    const { packetsPerSecond: most, limit } = foretell(costs, workers, cores)
    here.push([
      String(workers),
      count(most),
      count(packetsPerSecond.median),
      (packetsPerSecond.median / most).toFixed(2),
      limit,
    ])
  }
  report.table(here)
  report.heading(NAME, 'the model for other machines of cores like these')
  const there = [['cores', 'workers', 'packets/s', 'bound by']]
  for (const n of CORES) {
    const workers = Math.max(1, n - 1)
    const { packetsPerSecond, limit } = foretell(costs, workers, n)
    report.result({ bench: NAME, variant: `model, ${n} cores`, workers, packetsPerSecond, limit })
    there.push([`${n} core(s)`, String(workers), count(packetsPerSecond), limit])
  }
  report.result({ bench: NAME, variant: 'model', ...costs, saturatingShards: saturatingShards(costs) })
  report.table(there)
}

function isReceiving(stage: Stage): boolean {
  return stage === 'read' || stage === 'decapsulate' || stage === 'ringWrite'
}
