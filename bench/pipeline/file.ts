/** Capture file → null: the whole process from its start to its end, as a user waits for it. */
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { losslessCounts, replayFile, sumOf } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import { runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { spreadOf } from '../support/statistics.ts'
import { count, ratio, spread } from '../support/table.ts'

const NAME = 'pipeline/file'

export async function benchFile(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const capture = await benchCapture(options, directory)
  const workers = options.workers ?? [0, 1, 2]
  const rounds = options.runs ?? 5
  report.heading(NAME, 'file → null, --speed max, whole process')
  report.line(`${captureInWords(capture)}; ${rounds} run(s) each, in turns`)
  // What Node itself costs: the floor, and a measure of how busy the machine was.
  const bare: number[] = []
  const runs = await inTurns(workers, rounds, async (n) => {
    bare.push((await runTimed(process.execPath, ['-e', '0'])).cpuSeconds)
    return replayFile(capture.path, 'null', n, directory)
  })

  const rows = [['--workers', 'CPU s', 'wall s', 'CPU µs/packet', 'packets/s', 'dropped', 'counts']]
  const medians: number[] = []
  for (const [i, n] of workers.entries()) {
    const own = runs[i]!
    const checks = own.map((run) =>
      report.check(`${NAME} --workers ${n}`, losslessCounts(run.summary, capture.packets, capture.requests, 'null')),
    )
    const cpuSeconds = spreadOf(own.map((run) => run.cpuSeconds))
    const wallSeconds = spreadOf(own.map((run) => run.wallSeconds))
    const fromFirstPacket = spreadOf(own.map((run) => run.summary.fromFirstPacket.cpuSeconds))
    const cpuUsPerPacket = (cpuSeconds.median / capture.packets) * 1e6
    const dropped = own.reduce((sum, run) => sum + sumOf(run.summary.packets.dropped), 0)
    medians.push(cpuSeconds.median)
    report.result({
      bench: NAME,
      variant: `workers ${n}`,
      capture,
      runs: rounds,
      cpuSeconds,
      wallSeconds,
      fromFirstPacket,
      cpuUsPerPacket,
      dropped,
    })
    rows.push([
      String(n),
      spread(cpuSeconds, 2),
      spread(wallSeconds, 2),
      cpuUsPerPacket.toFixed(2),
      count(capture.packets / wallSeconds.median),
      String(dropped),
      checks.includes('WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(rows)
  const node = spreadOf(bare)
  report.line(`node -e 0 in the same turns: ${spread(node, 3)} CPU s`)
  report.result({ bench: NAME, variant: 'node -e 0', runs: bare.length, cpuSeconds: node })
  for (let i = 1; i < workers.length; i++)
    report.line(`CPU s, --workers ${workers[i]} / ${workers[0]}: ${ratio(medians[i]!, medians[0]!, 2)}`)
}
