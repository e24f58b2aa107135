/** What a service costs that has nothing to do. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { openService } from '../support/service.ts'
import { spreadOf } from '../support/statistics.ts'
import { spread } from '../support/table.ts'

const NAME = 'service/idle'

export async function benchIdle(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const settleMs = options.quick ? 500 : 3_000
  const windowMs = options.quick ? 1_000 : 10_000
  const rounds = options.runs ?? 2
  const workers = options.workers ?? (options.quick ? [1] : [0, 1])
  report.heading(
    NAME,
    `\`run --to null\` without traffic, ${windowMs / 1000} s behind ${settleMs / 1000} s of settling`,
  )
  const runs = await inTurns(workers, rounds, async (n) => {
    const service = await openService({ to: 'null', workers: n }, directory)
    try {
      await sleep(settleMs)
      const before = await service.summary()
      await sleep(windowMs)
      const after = await service.summary()
      await service.finish()
      return ((after.cpuSeconds - before.cpuSeconds) / (after.seconds - before.seconds)) * 100
    } finally {
      await service.close()
    }
  })
  const rows = [['workers', '% of a core']]
  for (const [i, n] of workers.entries()) {
    const share = spreadOf(runs[i]!)
    report.result({ bench: NAME, variant: `workers ${n}`, runs: rounds, percentOfCore: share })
    rows.push([String(n), spread(share, 2)])
    if (n === Math.max(...workers)) report.figure('idle.cpu', { ...share, unit: '% of a core', of: `--workers ${n}` })
  }
  report.table(rows)
}
