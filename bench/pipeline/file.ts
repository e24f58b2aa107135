/** Capture file → null: the whole process from its start to its end, as a user waits for it; beside it, in the same rounds, tcpflow. */
import { openPeers, type PeerRun, tcpflowOnly } from '../peers/programs.ts'
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { losslessCounts, replayFile, sumOf } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import { type Finished, runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { pairedRatios, type Spread, spreadOf } from '../support/statistics.ts'
import { count, ratio, spread } from '../support/table.ts'

const NAME = 'pipeline/file'

interface Variant {
  readonly label: string
  readonly workers: number | null
  readonly run: () => Promise<Measured>
}

interface Measured extends Finished {
  readonly dropped: number
  readonly check: string
}

export async function benchFile(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const capture = await benchCapture(options, directory)
  const rounds = options.runs ?? 5
  report.heading(NAME, 'file → null, --speed max, whole process from cold')
  report.line(`${captureInWords(capture)}; ${rounds} round(s), each variant once a round`)
  // What Node itself costs: the floor, and a measure of how busy the machine was.
  const bare: Variant = {
    label: 'node -e 0',
    workers: null,
    run: async () => ({ ...(await runTimed(process.execPath, ['-e', '0'])), dropped: 0, check: '' }),
  }
  const own = (options.workers ?? [0, 1, 2]).map(
    (workers): Variant => ({
      label: `--workers ${workers}`,
      workers,
      run: async () => {
        const run = await replayFile(capture.path, 'null', workers, directory)
        const counts = losslessCounts(run.summary, capture.packets, capture.requests, 'null')
        return {
          ...run,
          dropped: sumOf(run.summary.packets.dropped),
          check: report.check(`${NAME} --workers ${workers}`, counts),
        }
      },
    }),
  )
  const peers = openPeers(report, NAME)
  const tcpflow = tcpflowOnly(peers, capture, directory)
  if (tcpflow === null) report.line('tcpflow is not on PATH: nothing to compare with')
  const variants = tcpflow === null ? [bare, ...own] : [bare, ...own, peerVariant(tcpflow)]
  const runs = await inTurns(variants, rounds, (variant) => variant.run())

  const rows = [['', 'CPU s', 'wall s', 'CPU µs/packet', 'packets/s', 'peak RSS MB', 'dropped', 'counts']]
  for (const [i, { label, workers }] of variants.entries()) {
    const measured = runs[i]!
    const cpuSeconds = spreadOf(measured.map((run) => run.cpuSeconds))
    const wallSeconds = spreadOf(measured.map((run) => run.wallSeconds))
    const peakRssMb = spreadOf(measured.map((run) => run.peakRssBytes / 1e6))
    const isBare = label === bare.label
    const cpuUs = (cpuSeconds.median / capture.packets) * 1e6
    const dropped = measured.reduce((sum, run) => sum + run.dropped, 0)
    report.result({ bench: NAME, variant: label, capture, runs: rounds, cpuSeconds, wallSeconds, peakRssMb, dropped })
    if (workers !== null) {
      report.figure(`file.w${workers}.cpu`, { ...cpuSeconds, unit: 's' })
      report.figure(`file.w${workers}.wall`, { ...wallSeconds, unit: 's' })
    }
    rows.push([
      label,
      spread(cpuSeconds, 2),
      spread(wallSeconds, 2),
      isBare ? '' : cpuUs.toFixed(2),
      isBare ? '' : count(capture.packets / wallSeconds.median),
      spread(peakRssMb, 0),
      isBare ? '' : String(dropped),
      measured.some((run) => run.check === 'WRONG') ? 'WRONG' : measured[0]!.check,
    ])
  }
  report.table(rows)
  const cpuOf = (label: string) => runs[variants.findIndex((v) => v.label === label)]!.map((run) => run.cpuSeconds)
  const first = own[0]!
  for (const { label } of own.slice(1)) tellRatio(report, label, cpuOf(label), first.label, cpuOf(first.label))
  if (tcpflow === null) return
  for (const { label, workers } of own) {
    const pairs = tellRatio(report, label, cpuOf(label), tcpflow.label, cpuOf(tcpflow.label))
    if (workers === 0) report.figure('file.tcpflow.ratio', { ...pairs, unit: '×' })
  }
}

function peerVariant(peer: PeerRun): Variant {
  return {
    label: peer.label,
    workers: null,
    run: async () => ({ ...(await peer.run()), dropped: 0 }),
  }
}

function tellRatio(report: Report, a: string, above: readonly number[], b: string, below: readonly number[]): Spread {
  const pairs = pairedRatios(above, below)
  const sides = ratio(spreadOf(above).median, spreadOf(below).median, 2)
  report.line(`CPU s, ${a} / ${b}: ${sides}; by rounds ${spread(pairs, 2)} ×`)
  return pairs
}
