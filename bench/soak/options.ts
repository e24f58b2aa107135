/** What the soak was asked for on its command line. */
import { parseArgs } from 'node:util'

export interface SoakOptions {
  readonly command: 'soak' | 'restarts' | 'docs'
  readonly minutes: number
  /** Of the chaos: the same seed, length and threads give the same schedule. */
  readonly seed: number
  /** Packets per second: of the steady traffic, of restarts the most that is tried. */
  readonly rate: number
  readonly workers: number
  readonly receivers: number
  /** Report page, samples, figures. */
  readonly out: string
  /** Resident memory that is never exceeded. */
  readonly budgetMb: number
  /** Of `restarts`. */
  readonly requests: number
  readonly everySeconds: number
  /** Of `docs`: JSON files of runs. */
  readonly files: readonly string[]
}

export const USAGE = `npm run soak -- [--minutes N] [options]       minutes of traffic under a schedule of faults; ends in a verdict
npm run soak -- restarts [--requests N]      requests to an nginx that is restarted again and again; every one accounted for
npm run soak -- docs RUN.json [RUN.json]     writes docs/plots/soak-*.svg and the figures in docs/soak.md

  --minutes N      length (default 1)
  --seed N         of the chaos schedule (default: a random one; printed)
  --rate N         mirrored packets per second (default 4000; restarts: at most 45000)
  --workers N      worker threads, at least 1 (default 2; restarts 1)
  --receivers N    receiving threads (default 1; from 2 on they are killed too)
  --out DIR        where the report page and the samples go (default bench/results)
  --budget-mb N    resident memory never to be exceeded (default 512, and 320 more for each worker and receiver)
  --requests N     of restarts: requests to be sent (default 200000)
  --every N        of restarts: seconds between two restarts of nginx (default 20)

Exit code 0: every criterion of the verdict holds. 1: one does not, or the run failed. 2: wrong options.`

/** 65,536 passes of the traffic, after which its addresses come again, last a little longer. */
const MOST_MINUTES = 20 * 60
const MOST_REQUESTS = 100_000_000

/** @throws Error in words for the person who typed it */
export function parseSoakOptions(argv: readonly string[]): SoakOptions {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: Object.fromEntries(
      ['minutes', 'seed', 'rate', 'workers', 'receivers', 'out', 'budget-mb', 'requests', 'every'].map((name) => [
        name,
        { type: 'string' } as const,
      ]),
    ),
  })
  const [word, ...files] = positionals
  const command = word ?? 'soak'
  if (command !== 'soak' && command !== 'restarts' && command !== 'docs')
    throw new Error(`no command ${command}; there are restarts and docs`)
  if (command === 'docs' ? files.length === 0 : files.length > 0)
    throw new Error(command === 'docs' ? 'docs needs the JSON file of a run' : `what is ${files.join(' ')}?`)
  const number = (name: string, without: number, least: number, most: number) => {
    const text = values[name]
    if (text === undefined) return without
    const n = Number(text)
    if (!(n >= least && n <= most)) throw new Error(`--${name} must be ${least} to ${most}, got ${String(text)}`)
    return n
  }
  const isSoak = command === 'soak'
  const workers = Math.floor(number('workers', isSoak ? 2 : 1, 1, 64))
  const receivers = Math.floor(number('receivers', 1, 1, 64))
  return {
    command,
    files,
    minutes: number('minutes', 1, 0.5, MOST_MINUTES),
    seed: Math.floor(number('seed', Math.floor(Math.random() * 1e9), 0, 0xffffffff)),
    rate: number('rate', isSoak ? 4_000 : 45_000, 500, 1_000_000),
    workers,
    receivers,
    out: String(values.out ?? 'bench/results'),
    budgetMb: number('budget-mb', 512 + 320 * (workers + receivers - 1), 64, 1 << 20),
    requests: Math.floor(number('requests', 200_000, 1_000, MOST_REQUESTS)),
    everySeconds: number('every', 20, 2, 3600),
  }
}
