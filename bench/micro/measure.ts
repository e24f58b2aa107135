/** Times one mechanism with benchmark.js, and checks what came out of every call. */
import Benchmark from 'benchmark'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { type Spread, spreadOf } from '../support/statistics.ts'
import { count, ratio, spread } from '../support/table.ts'

export interface MicroCase {
  readonly name: string
  /** What one call does this many times: so many that the call itself costs nothing. */
  readonly operations: number
  /** Does it, and returns a number that depends on all of it. */
  readonly run: () => number
  readonly expected: number
}

export interface MicroBench {
  readonly name: string
  readonly title: string
  /** What one operation is: `packet`, `head`. */
  readonly unit: string
  /** Each group is compared with its first case. */
  readonly groups: readonly (readonly MicroCase[])[]
}

interface Timing {
  readonly nsPerOperation: Spread
  readonly samples: number
}

const FULL_SECONDS = 1
const QUICK_SECONDS = 0.1

export function runMicro(bench: MicroBench, options: BenchOptions, report: Report): void {
  report.heading(bench.name, bench.title)
  const rows = [['', `ns/${bench.unit}`, 'per second', 'samples', 'result']]
  const ratios: string[] = []
  for (const group of bench.groups) {
    let first: Timing | null = null
    for (const one of group) {
      const results = new Set<number>()
      const timing = measure(one, options.quick, results)
      const check = report.check(`${bench.name} ${one.name}`, {
        result: [[...results].join(' and '), String(one.expected)],
      })
      rows.push([
        one.name,
        spread(timing.nsPerOperation, 1),
        count(1e9 / timing.nsPerOperation.median),
        String(timing.samples),
        check,
      ])
      report.result({ bench: bench.name, variant: one.name, ...timing })
      if (first === null) first = timing
      else
        ratios.push(
          `${one.name} / ${group[0]!.name}: ${ratio(timing.nsPerOperation.median, first.nsPerOperation.median, 1)}`,
        )
    }
  }
  report.table(rows)
  for (const text of ratios) report.line(text)
}

export function measure({ name, operations, run }: MicroCase, isQuick: boolean, results: Set<number>): Timing {
  const benchmark = new Benchmark(name, () => results.add(run()), {
    maxTime: isQuick ? QUICK_SECONDS : FULL_SECONDS,
    minSamples: isQuick ? 3 : 10,
  })
  benchmark.run()
  const { error } = benchmark as { error?: Error }
  if (error !== undefined) throw error
  // Its own mean and margin of error take the samples for normally distributed: on a shared machine they are not.
  const { sample } = benchmark.stats
  return { nsPerOperation: spreadOf(sample.map((seconds) => (seconds / operations) * 1e9)), samples: sample.length }
}
