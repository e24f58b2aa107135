/** What mirrorshard is to reach, as data, and how far a run of the bench came. */
import type { BenchOptions } from './options.ts'
import type { Figure, Report } from './report.ts'

export interface Goal {
  readonly what: string
  /** Figure of the report, and the bench that makes it. */
  readonly key: string
  readonly bench: string
  readonly least?: number
  readonly most?: number
  readonly unit: string
  readonly digits: number
  /** `worst`: each round has to meet it, not only the median. */
  readonly by?: 'worst'
}

export type Outcome = 'met' | 'missed' | 'not run'

const WHOLE_FILE = '434,000 frames, 100,000 requests, file → null, from a cold start'

export const GOALS: readonly Goal[] = [
  goal('pipeline/file', 'file.w0.cpu', `${WHOLE_FILE}, --workers 0: CPU`, { most: 0.6 }, 's', 2),
  goal('pipeline/file', 'file.w0.wall', 'the same: wall', { most: 0.5 }, 's', 2),
  goal('pipeline/file', 'file.w2.cpu', 'the same, --workers 2: CPU', { most: 0.8 }, 's', 2),
  goal('pipeline/file', 'file.w2.wall', 'the same, --workers 2: wall', { most: 0.4 }, 's', 2),
  goal('peers', 'file.tcpflow.ratio', 'CPU, --workers 0 / tcpflow, same file', { most: 1 }, '×', 2),
  goal('pipeline/file-growth', 'file.growth.cpu', 'CPU per frame, 2 GB / 100 MB', { least: 0.95, most: 1.05 }, '×', 3),
  // "Does not grow": a tenth is what the heap's own choices differ by. Chosen.
  goal('pipeline/file-growth', 'file.growth.rss', 'most memory, 2 GB / 100 MB', { most: 1.1 }, '×', 2),
  ...live(20_000, 3.3),
  ...live(60_000, 2),
  ...live(120_000, 1.6),
  goal(
    'pipeline/live-limit',
    'live.limit',
    'live → null, highest rate without loss',
    { least: 250_000 },
    'packets/s',
    0,
  ),
  goal('pipeline/replay', 'replay.undici.ratio', 'CPU per request, replay with undici / wrk', { most: 4 }, '×', 2),
  goal('pipeline/replay', 'replay.best.ratio', 'CPU per request, best engine / wrk', { most: 2.2 }, '×', 2),
  goal('pipeline/replay', 'replay.rate', 'replay to nginx', { least: 40_000 }, 'requests/s', 0),
  {
    ...goal('pipeline/live-replay', 'live-replay.lost', 'live → nginx at 60,000 packets/s: lost', { most: 0 }, '', 0),
    by: 'worst',
  },
  {
    ...goal(
      'pipeline/live-replay',
      'live-replay.altered',
      'live → nginx, written down and compared: altered',
      { most: 0 },
      '',
      0,
    ),
    by: 'worst',
  },
  goal(
    'pipeline/live-replay',
    'live-replay.added.p50',
    'live → nginx at 60,000 packets/s: added latency p50',
    { most: 5 },
    'ms',
    2,
  ),
  goal('pipeline/live-replay', 'live-replay.added.p99', 'the same: added latency p99', { most: 25 }, 'ms', 2),
  goal('flows', 'flows.idle.bytes', 'an idle flow of 1,000,000', { most: 256 }, 'bytes', 0),
  goal('flows', 'flows.cycle.us', 'to open and close a flow, of 1,000,000', { most: 2 }, 'µs', 2),
  goal('service/start', 'start.first', 'start to the first packet', { most: 250 }, 'ms', 0),
  goal('service/start', 'start.version.ratio', '--version / node -e 0, wall', { most: 2 }, '×', 2),
  goal('service/idle', 'idle.cpu', 'a service without traffic', { most: 3 }, '% of a core', 2),
]

type Bound = { readonly least?: number; readonly most?: number }

function goal(bench: string, key: string, what: string, bound: Bound, unit: string, digits: number): Goal {
  return { bench, key, what, ...bound, unit, digits }
}

function live(rate: number, most: number): Goal[] {
  const name = `${rate / 1000},000`
  return [
    goal('pipeline/live', `live.${rate}.cpu`, `live → null, ${name} packets/s: CPU per packet`, { most }, 'µs', 2),
    goal('pipeline/live', `live.${rate}.inline.cpu`, 'the same, on one thread', { most }, 'µs', 2),
    { ...goal('pipeline/live', `live.${rate}.lost`, 'the same: lost', { most: 0 }, '', 0), by: 'worst' },
  ]
}

export function outcomeOf(goal: Goal, figure: Figure | undefined): Outcome {
  if (figure === undefined) return 'not run'
  const isHigh = (goal.by === 'worst' ? figure.greatest : figure.median) > (goal.most ?? Number.POSITIVE_INFINITY)
  const isLow = (goal.by === 'worst' ? figure.least : figure.median) < (goal.least ?? Number.NEGATIVE_INFINITY)
  // NaN is neither, and meets nothing.
  return isHigh || isLow || Number.isNaN(figure.median) ? 'missed' : 'met'
}

/** Goal, bound, figure, outcome and what the figure is of; the first row is the heading. */
export function goalRows(goals: readonly Goal[], figures: ReadonlyMap<string, Figure>): string[][] {
  return [
    ['goal', 'bound', 'measured', '', 'of'],
    ...goals.map((goal) => {
      const figure = figures.get(goal.key)
      const outcome = outcomeOf(goal, figure)
      const measured = figure === undefined ? '–' : withUnit(inWords(figure, goal.digits), goal.unit)
      const from = figure === undefined ? goal.bench : (figure.of ?? '')
      return [goal.what, boundInWords(goal), measured, outcome, from]
    }),
  ]
}

/** The end of a run: all goals, or of a run of some benches those that they measured. */
export function tellGoals(options: BenchOptions, report: Report): void {
  const figures = report.figures()
  if (options.quick || options.file !== null) {
    report.heading('goals', 'not judged: they are for the full sizes')
    return
  }
  const goals = options.names.length === 0 ? GOALS : GOALS.filter((goal) => figures.has(goal.key))
  if (goals.length === 0) return
  const counts = { met: 0, missed: 0, 'not run': 0 }
  for (const goal of goals) counts[outcomeOf(goal, figures.get(goal.key))]++
  report.heading('goals', `${counts.met} met, ${counts.missed} missed, ${counts['not run']} not run; by the median`)
  report.table(goalRows(goals, figures))
  report.result({
    bench: 'goals',
    variant: '',
    goals: goals.map((goal) => ({ ...goal, outcome: outcomeOf(goal, figures.get(goal.key)) })),
  })
}

function boundInWords({ least, most, unit, digits }: Goal): string {
  if (least !== undefined && most !== undefined)
    return withUnit(`${inFigures(least, digits)} to ${inFigures(most, digits)}`, unit)
  if (most === 0) return 'none'
  return withUnit(least === undefined ? `≤ ${inFigures(most!, digits)}` : `≥ ${inFigures(least, digits)}`, unit)
}

function inWords({ median, least, greatest }: Figure, digits: number): string {
  const middle = inFigures(median, digits)
  return least === greatest ? middle : `${middle} (${inFigures(least, digits)}–${inFigures(greatest, digits)})`
}

/** Digits of the bound and of the figure are the same: none looks equal to a bound that it misses. */
function inFigures(n: number, digits: number): string {
  return n.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function withUnit(text: string, unit: string): string {
  return unit === '' ? text : `${text} ${unit}`
}
