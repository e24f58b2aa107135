/** What the bench was asked for on its command line. */
import { parseArgs } from 'node:util'

export interface BenchOptions {
  /** Names or beginnings of names: `micro`, `pipeline/file`; empty: all. */
  readonly names: readonly string[]
  /** Small sizes and one run: whether it works, not how fast it is. */
  readonly quick: boolean
  /** Runs of each variant, interleaved; null: the bench's own number. */
  readonly runs: number | null
  /** Length of a measured window of live traffic, and of a run of wrk. */
  readonly seconds: number
  /** Live traffic before a measured window. */
  readonly warmUpMs: number
  readonly workers: readonly number[] | null
  /** Packets per second of live traffic; null: the bench's own choice. */
  readonly rates: readonly number[] | null
  /** Receiving threads of live traffic; null: the bench's own choice. */
  readonly receivers: readonly number[] | null
  /** Of replay; null: every engine that the build has. */
  readonly engine: string | null
  /** Length of the endurance run. */
  readonly minutes: number
  /** Packets per second of live traffic that is replayed; null: the bench's own choice. */
  readonly rate: number | null
  /** A capture instead of the generated one, and the complete requests in it. */
  readonly file: string | null
  readonly requests: number | null
  /** What `compare` compares with: anything that git can check out. */
  readonly base: string | null
  /** Which benches `compare` compares; null: its own choice. */
  readonly compared: readonly Comparable[] | null
  /** Most CPU of this checkout over the base's; null: `compare` only tells. */
  readonly maxRatio: number | null
  /** Takes what `gate` measures as the new bounds. */
  readonly write: boolean
}

export const USAGE = `npm run bench -- [NAME…] [options]

  micro, micro/hash …   single mechanisms, with benchmark.js
  pipeline/file         capture file to null, whole process
  pipeline/live         VXLAN over UDP to null, at set rates
  pipeline/live-limit   highest rate of live traffic without loss
  pipeline/replay       capture file to nginx, with wrk on the same nginx
  pipeline/live-replay  VXLAN over UDP to nginx, at a set rate
  service/start, /idle  time to the first packet; a service without traffic
  pipeline/file-growth  a capture of 2 GB against one of 100 MB
  peers                 the same capture through tcpflow, tshark and GoReplay, those that are on PATH
  flows                 memory of idle connections, cost of opening and closing one
  scaling               CPU and packets/s by worker threads, costs by stage, and the throughput they predict
  (no name: all of the above, and the goals at the end)

  endurance             minutes of live-replay, plotted
  scrapes               minutes of scrapes under load: every sum of each must hold
  overload              one shard slower than its traffic: requests that still come out whole, plotted
  compare --base REF    this checkout against a commit, interleaved: CPU of file and live traffic, to null and
                        to nginx with every engine; --max-ratio X: exit code 1 above it
  nodes                 file to null and micro benches on Node 20, 22 and 24
  profile/file, …/live  a flame graph, and the functions with the most time of their own
  caches                inline caches and deoptimisations in the hot path
  floods                cost and memory of floods as they grow; --write: docs/floods.md and its plot
  floods-live           floods over UDP against run, with a small --memory-limit
  gate                  counts that do not depend on the machine, against bench/bounds.json
  --quick               small and short, for checking that it works
  --runs N              runs of each variant, interleaved (default 5; live-limit and idle 2, start 11)
  --seconds N           measured seconds of live traffic, and of wrk (default 2)
  --workers N,N         worker counts to compare (default 0,1,2; replay, compare 0,1)
  --rates N,N           packets per second of live traffic to null (default 20000,60000,120000; compare 20000,60000)
  --receivers N,N       receiving threads of live traffic to compare (default 1, and 2 at the highest rate)
  --engine NAME         engine of replay (default all; endurance the first)
  --minutes N           of endurance and scrapes (default 10)
  --rate N              packets per second of live traffic to nginx (default 60000; compare 30000; scrapes 12000)
  --file F --requests N a capture of your own for file and replay, and its number of complete requests
  --base REF            the commit to compare with
  --bench NAME,NAME     what to compare, of pipeline/file, /replay, /live and /live-replay (default all)
  --max-ratio X         compare: most CPU of this checkout over the base's, by the median of the rounds, as 1.03
  --write               gate: what was measured, with room, becomes the bounds; floods: its page
`

/** @throws Error in words for a person */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      seconds: { type: 'string' },
      workers: { type: 'string' },
      rates: { type: 'string' },
      receivers: { type: 'string' },
      engine: { type: 'string' },
      minutes: { type: 'string' },
      rate: { type: 'string' },
      file: { type: 'string' },
      requests: { type: 'string' },
      base: { type: 'string' },
      bench: { type: 'string' },
      'max-ratio': { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  })
  const { quick } = values
  if ((values.file === undefined) !== (values.requests === undefined))
    throw new Error('--file and --requests go together: without the expected number nothing can be checked')
  if (values['max-ratio'] !== undefined && values.base === undefined)
    throw new Error('--max-ratio needs --base REF: it bounds a ratio to that commit')
  return {
    names: positionals,
    quick,
    runs: values.runs === undefined ? (quick ? 1 : null) : wholeNumber('--runs', values.runs, 1),
    seconds: values.seconds === undefined ? (quick ? 0.5 : 2) : wholeNumber('--seconds', values.seconds, 1),
    warmUpMs: quick ? 300 : 2_000,
    workers: values.workers === undefined ? null : wholeNumbers('--workers', values.workers, 0),
    rates: values.rates === undefined ? null : wholeNumbers('--rates', values.rates, 1),
    receivers: values.receivers === undefined ? null : wholeNumbers('--receivers', values.receivers, 1),
    engine: values.engine ?? null,
    minutes: values.minutes === undefined ? 10 : wholeNumber('--minutes', values.minutes, 1),
    rate: values.rate === undefined ? null : wholeNumber('--rate', values.rate, 1),
    file: values.file ?? null,
    requests: values.requests === undefined ? null : wholeNumber('--requests', values.requests, 0),
    base: values.base ?? null,
    compared: values.bench === undefined ? null : comparedBenches(values.bench),
    maxRatio: values['max-ratio'] === undefined ? null : positiveNumber('--max-ratio', values['max-ratio']),
    write: values.write,
  }
}

/** Whether `name` was asked for, by itself or by what it begins with. @param isExtra only when it is named */
export function isAsked(options: BenchOptions, name: string, isExtra = false): boolean {
  return (
    (!isExtra && options.names.length === 0) ||
    options.names.some((asked) => name === asked || name.startsWith(`${asked}/`))
  )
}

/** What `compare` can compare, and does when it is not told. */
export const COMPARABLE = ['pipeline/file', 'pipeline/replay', 'pipeline/live', 'pipeline/live-replay'] as const
export type Comparable = (typeof COMPARABLE)[number]

function comparedBenches(text: string): Comparable[] {
  return text.split(',').map((name) => {
    const known = COMPARABLE.find((one) => one === name)
    if (known === undefined) throw new Error(`--bench: expected ${COMPARABLE.join(', ')}, got ${JSON.stringify(name)}`)
    return known
  })
}

function wholeNumbers(option: string, text: string, least: number): number[] {
  return text.split(',').map((part) => wholeNumber(option, part, least))
}

function wholeNumber(option: string, text: string, least: number): number {
  const n = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n) || n < least)
    throw new Error(`${option}: expected a whole number from ${least}, got ${JSON.stringify(text)}`)
  return n
}

function positiveNumber(option: string, text: string): number {
  const n = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || n <= 0)
    throw new Error(`${option}: expected a number above 0, got ${JSON.stringify(text)}`)
  return n
}
