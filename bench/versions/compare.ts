/** This checkout against another commit, built and run in turns: a change of speed that one run after the other would hide. */
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { losslessCounts, MAIN, type ReplayRun, replayFile } from '../support/mirrorshard.ts'
import { type Nginx, openNginx } from '../support/nginx.ts'
import type { BenchOptions } from '../support/options.ts'
import { findOnPath } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { pairedRatios, type Spread, spreadOf } from '../support/statistics.ts'
import { ratio, spread } from '../support/table.ts'
import { buildOf } from './build-of.ts'

const NAME = 'compare'
const ROUNDS = 7

interface Side {
  readonly label: string
  readonly main: string
}

interface Work {
  readonly label: string
  readonly run: (main: string) => Promise<ReplayRun>
}

export async function benchCompare(options: BenchOptions, report: Report, directory: string): Promise<void> {
  if (options.base === null) throw new Error('compare needs --base REF: the commit to compare with')
  const capture = await benchCapture(options, directory)
  const rounds = options.runs ?? ROUNDS
  const base = buildOf(options.base, directory)
  let nginx: Nginx | null = null
  try {
    const sides: readonly [Side, Side] = [
      { label: `base ${base.commit}`, main: base.main },
      { label: 'this checkout', main: MAIN },
    ]
    report.heading(NAME, `${options.base} (${base.commit}) and this checkout, in turns`)
    report.line(`${captureInWords(capture)}; packages of the base: ${base.packages}; ${rounds} round(s)`)
    const wanted = options.compared ?? ['pipeline/file']
    const works: Work[] = []
    for (const workers of options.workers ?? [0, 1]) {
      const runTo = (to: string, outcome: string) => async (main: string) => {
        const run = await replayFile(capture.path, to, workers, directory, { main })
        const counts = losslessCounts(run.summary, capture.packets, capture.requests, outcome)
        report.check(`${NAME} --workers ${workers} ${main === MAIN ? 'this checkout' : 'base'}`, counts)
        return run
      }
      if (wanted.includes('pipeline/file'))
        works.push({ label: `file → null, --workers ${workers}`, run: runTo('null', 'null') })
      if (!wanted.includes('pipeline/replay')) continue
      const program = findOnPath('nginx')
      if (program === null) throw new Error('compare of pipeline/replay needs nginx on PATH')
      nginx ??= await openNginx(program, directory)
      works.push({ label: `file → nginx, --workers ${workers}`, run: runTo(nginx.url, '2xx') })
    }
    tell(report, sides, works, await alternate(sides, works, rounds))
  } finally {
    await nginx?.close()
    base.remove()
  }
}

/** Who begins changes from round to round: the second of two finds warmer caches. @returns by work, by side, by round */
async function alternate(sides: readonly Side[], works: readonly Work[], rounds: number): Promise<ReplayRun[][][]> {
  const runs: ReplayRun[][][] = works.map(() => sides.map(() => []))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? [0, 1] : [1, 0]
    for (const [w, work] of works.entries()) for (const s of order) runs[w]![s]!.push(await work.run(sides[s]!.main))
  }
  return runs
}

function tell(
  report: Report,
  sides: readonly [Side, Side],
  works: readonly Work[],
  runs: readonly (readonly (readonly ReplayRun[])[])[],
): void {
  const rows = [['', 'CPU s', 'wall s', 'peak RSS MB']]
  const lines: string[] = []
  for (const [w, { label }] of works.entries()) {
    const spreads = sides.map((side, s): Record<'cpu' | 'wall' | 'rss', Spread> => {
      const own = runs[w]![s]!
      const of = {
        cpu: spreadOf(own.map((run) => run.cpuSeconds)),
        wall: spreadOf(own.map((run) => run.wallSeconds)),
        rss: spreadOf(own.map((run) => run.peakRssBytes / 1e6)),
      }
      report.result({ bench: NAME, variant: `${label}, ${side.label}`, ...of })
      rows.push([`${label}, ${side.label}`, spread(of.cpu, 2), spread(of.wall, 2), spread(of.rss, 0)])
      return of
    })
    const [base, current] = [runs[w]![0]!, runs[w]![1]!]
    const cpu = pairedRatios(
      current.map((run) => run.cpuSeconds),
      base.map((run) => run.cpuSeconds),
    )
    const wall = pairedRatios(
      current.map((run) => run.wallSeconds),
      base.map((run) => run.wallSeconds),
    )
    report.result({ bench: NAME, variant: `${label}, this checkout / base`, cpu, wall })
    lines.push(
      `${label}, this checkout / base: CPU ${ratio(spreads[1]!.cpu.median, spreads[0]!.cpu.median, 2)}, by rounds ${spread(cpu, 3)} ×; wall by rounds ${spread(wall, 3)} ×`,
    )
  }
  report.table(rows)
  for (const line of lines) report.line(line)
}
