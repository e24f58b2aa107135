/** This checkout against another commit, built and run in turns: a change of speed that one run after the other would hide. */

import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { engineName, enginesOf } from '../support/capabilities.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import { type Nginx, openNginx } from '../support/nginx.ts'
import { type BenchOptions, COMPARABLE, type Comparable } from '../support/options.ts'
import { findOnPath } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { spreadOf } from '../support/statistics.ts'
import { count } from '../support/table.ts'
import { buildOf, copyOfThisBuild } from './build-of.ts'
import { isWithin, type Pair, pairsInTurns, type Ratios, ratiosOf } from './pairs.ts'
import { type ComparedWork, fileWork, liveWork, type Measured, type Side, type Target } from './works.ts'

const NAME = 'compare'
const ROUNDS = 5
const WORKERS = [0, 1]
const FILE_PASSES = 3
/** Fewer: sending is dear, and the start weighs less beside it. */
const REPLAY_PASSES = 2
const LIVE_RATES = [20_000, 60_000]
/** Half of what the goals ask of live → nginx: a machine with other work on it loses nothing there. */
const LIVE_REPLAY_RATE = 30_000
const QUICK_RATE = 10_000
/** To null, also for low rates: what matters to the compiler is how many packets there were. */
const WARM_UP_RATE = 60_000

export async function benchCompare(options: BenchOptions, report: Report, directory: string): Promise<void> {
  if (options.base === null) throw new Error('compare needs --base REF: the commit to compare with')
  const wanted = options.compared ?? COMPARABLE
  const nginxProgram = programFor(wanted)
  const rounds = options.runs ?? ROUNDS
  const base = buildOf(options.base, directory)
  const sources = new Map<number, MirrorSource>()
  let nginx: Nginx | null = null
  try {
    const sides: Pair<Side> = [
      { label: `base ${base.commit}`, main: base.main },
      { label: 'this checkout', main: copyOfThisBuild(directory) },
    ]
    report.heading(NAME, `${options.base} (${base.commit}) and this checkout, in turns`)
    report.line(`packages of the base: ${base.packages}; ${rounds} round(s)`)
    if (nginxProgram !== null) nginx = await openNginx(nginxProgram, directory)
    const targets = nginx === null ? [] : await targetsOf(nginx, sides, options, report)
    const works = await worksOf(wanted, targets, sources, options, report, directory)
    const pairs = await pairsInTurns(works, sides, {
      rounds,
      tellRepeat: ({ label }, side, disturbed) => report.line(`run again: ${label}, ${side.label}: ${disturbed}`),
      // The median of few rounds wanders: that of twice as many has to be above the bound as well.
      isSettled: ({ label }, own) => {
        const cpu = ratiosOf(own, (run) => run.cpuUs)
        const isSettled = isWithin(cpu, options.maxRatio)
        if (!isSettled) report.line(`${rounds} more round(s): ${label}, CPU ${ratioInWords(cpu)}`)
        return isSettled
      },
    })
    checkDisturbed(works, sides, pairs, report)
    tell(works, sides, pairs, options.maxRatio, report)
  } finally {
    for (const source of sources.values()) await source.close()
    await nginx?.close()
    base.remove()
  }
}

/** @returns null where nothing goes to nginx @throws Error where something does, and there is none: it would look as if it were compared */
function programFor(wanted: readonly Comparable[]): string | null {
  const needing = wanted.filter((name) => name.endsWith('replay'))
  if (needing.length === 0) return null
  const program = findOnPath('nginx')
  if (program !== null) return program
  const others = COMPARABLE.filter((name) => !name.endsWith('replay'))
  throw new Error(`compare of ${needing.join(' and ')} needs nginx on PATH; --bench ${others.join(',')} does not`)
}

/** nginx through each engine that both builds have, or the one that was asked for. */
async function targetsOf(
  nginx: Nginx,
  sides: Pair<Side>,
  options: BenchOptions,
  report: Report,
): Promise<NonNullable<Target>[]> {
  const [ofBase, ofCurrent] = [await enginesOf(sides[0].main), await enginesOf(sides[1].main)]
  const names = ofBase.map(engineName)
  const both = ofCurrent.filter((engine) => names.includes(engineName(engine)))
  if (both.length < Math.max(ofBase.length, ofCurrent.length))
    report.line(`engines of both builds: ${both.map(engineName).join(', ')}`)
  const engines = both.filter((engine) => options.engine === null || engineName(engine) === options.engine)
  if (engines.length === 0) throw new Error(`--engine ${options.engine}: not in both builds`)
  // A build that knows no such option is not given it.
  const isOption = !ofBase.includes(null) && !ofCurrent.includes(null)
  return engines.map((engine) => ({ nginx, engine: isOption ? engine : null }))
}

async function worksOf(
  wanted: readonly Comparable[],
  targets: readonly NonNullable<Target>[],
  sources: Map<number, MirrorSource>,
  options: BenchOptions,
  report: Report,
  directory: string,
): Promise<ComparedWork[]> {
  const { quick } = options
  const seconds = { seconds: options.seconds, warmUpSeconds: options.warmUpMs / 1000 }
  const works: ComparedWork[] = []
  const forEach = (to: readonly Target[], add: (target: Target, workers: number) => ComparedWork) => {
    for (const target of to) for (const n of options.workers ?? WORKERS) works.push(add(target, n))
  }
  const addFile = async (to: readonly Target[], passes: number) => {
    const capture = await benchCapture(options, directory)
    report.line(`${to.includes(null) ? 'null' : 'nginx'}: ${captureInWords(capture)}, read ${passes} time(s)`)
    forEach(to, (target, workers) => fileWork({ capture, passes, target, workers, report, directory }))
  }
  const addLive = async (to: readonly Target[], rates: readonly number[]) => {
    for (const rate of rates) {
      const source = sources.get(rate) ?? (await MirrorSource.open(rate))
      sources.set(rate, source)
      forEach(to, (target, workers) =>
        liveWork({
          ...{ target, workers, source, packetsPerSecond: rate, seconds: seconds.seconds, report, directory },
          warmUp: {
            packetsPerSecond: target === null && !quick ? WARM_UP_RATE : rate,
            seconds: seconds.warmUpSeconds,
          },
        }),
      )
    }
    report.line(
      `${to.includes(null) ? 'null' : 'nginx'}: live ${rates.map(count).join(' and ')} packets/s, ${seconds.seconds} s behind ${seconds.warmUpSeconds} s of warm-up`,
    )
  }
  if (wanted.includes('pipeline/file')) await addFile([null], quick ? 1 : FILE_PASSES)
  if (wanted.includes('pipeline/replay')) await addFile(targets, quick ? 1 : REPLAY_PASSES)
  if (wanted.includes('pipeline/live')) await addLive([null], options.rates ?? (quick ? [QUICK_RATE] : LIVE_RATES))
  if (wanted.includes('pipeline/live-replay'))
    await addLive(targets, [options.rate ?? (quick ? QUICK_RATE : LIVE_REPLAY_RATE)])
  return works
}

/** A loss that repeating did not take away is one of the build, or of a machine too busy to compare anything on. */
function checkDisturbed(
  works: readonly ComparedWork[],
  sides: Pair<Side>,
  pairs: readonly (readonly Pair<Measured>[])[],
  report: Report,
): void {
  for (const [w, { label }] of works.entries()) {
    for (const [s, side] of sides.entries()) {
      const disturbed = pairs[w]!.map((pair) => pair[s]!.disturbed).filter((text) => text !== null)
      report.check(`${NAME} ${label}, ${side.label}`, {
        'runs disturbed at each repeat': [disturbed.join('; '), ''],
      })
    }
  }
}

function tell(
  works: readonly ComparedWork[],
  sides: Pair<Side>,
  pairs: readonly (readonly Pair<Measured>[])[],
  bound: number | null,
  report: Report,
): void {
  const verdict = bound === null ? [] : [`≤ ${bound}`]
  const cpu = [['CPU µs', 'base', 'this checkout', 'this / base', 'least / least', ...verdict]]
  const memory = [['peak MB', 'base', 'this checkout', 'this / base']]
  for (const [w, { label }] of works.entries()) {
    const own = pairs[w]!
    const ratios = {
      cpu: ratiosOf(own, (run) => run.cpuUs),
      wall: ratiosOf(own, (run) => run.wallSeconds),
      peakRss: ratiosOf(own, (run) => run.peakRssBytes),
    }
    for (const [s, side] of sides.entries()) {
      const runs = own.map((pair) => pair[s]!)
      report.result({
        bench: NAME,
        variant: `${label}, ${side.label}`,
        runs,
        cpuUs: spreadOf(runs.map((run) => run.cpuUs)),
        wallSeconds: spreadOf(runs.map((run) => run.wallSeconds)),
        peakRssBytes: spreadOf(runs.map((run) => run.peakRssBytes)),
      })
    }
    report.result({ bench: NAME, variant: `${label}, this checkout / base`, bound, ...ratios })
    const isGood = isWithin(ratios.cpu, bound)
    if (bound !== null)
      report.check(`${NAME} ${label}`, {
        [`CPU of this checkout / base, median of ${own.length} round(s), --max-ratio`]: [
          isGood ? `at most ${bound}` : ratioInWords(ratios.cpu),
          `at most ${bound}`,
        ],
      })
    const medianOf = (s: 0 | 1, figure: (run: Measured) => number) =>
      spreadOf(own.map((pair) => figure(pair[s]))).median
    cpu.push([
      label,
      ...([0, 1] as const).map((s) => medianOf(s, (run) => run.cpuUs).toFixed(2)),
      ratioInWords(ratios.cpu),
      ratios.cpu.leastByLeast.toFixed(3),
      ...(bound === null ? [] : [isGood ? 'ok' : 'ABOVE']),
    ])
    memory.push([
      label,
      ...([0, 1] as const).map((s) => (medianOf(s, (run) => run.peakRssBytes) / 1e6).toFixed(1)),
      ratioInWords(ratios.peakRss),
    ])
  }
  report.line('CPU of a packet to null and of a request to nginx, medians; ratios pair by pair: median (quartiles)')
  report.line('file: the whole process, its start included; live: the warm process')
  report.table(cpu)
  report.line('most memory resident at once')
  report.table(memory)
}

function ratioInWords({ median, lower, upper }: Ratios): string {
  if (lower === upper) return median.toFixed(3)
  return `${median.toFixed(3)} (${lower.toFixed(3)}–${upper.toFixed(3)})`
}
