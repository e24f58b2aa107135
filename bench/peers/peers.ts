/**
 * Others on the same capture in the same rounds. They do different work: what each one did stands beside its figures, and each
 * one's own count is checked.
 */
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { pairedRatios, spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'
import { gorLive } from './gor-live.ts'
import { gorFile, openPeers, type PeerRun, tcpflowHttp, tcpflowOnly, tsharkHttp } from './programs.ts'

const NAME = 'peers'

export async function benchPeers(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const capture = await benchCapture(options, directory)
  const rounds = options.runs ?? 3
  report.heading(NAME, 'one capture, whole process from cold, several programs')
  report.line(`${captureInWords(capture)}; ${rounds} round(s), in turns`)
  const peers = openPeers(report, NAME)
  for (const [name, path] of [
    ['tcpflow', peers.tcpflow],
    ['tshark', peers.tshark],
    ['gor', peers.gor],
  ])
    if (path === null) report.line(`${name}: not on PATH`)
  const own = (options.workers ?? (options.quick ? [0] : [0, 1])).map(
    (workers): PeerRun => ({
      label: `mirrorshard --workers ${workers}`,
      run: async () => {
        const run = await replayFile(capture.path, 'null', workers, directory)
        const counts = losslessCounts(run.summary, capture.packets, capture.requests, 'null')
        const check = report.check(`${NAME} mirrorshard --workers ${workers}`, counts)
        return { ...run, check, counted: `${run.summary.requests.parsed} requests` }
      },
    }),
  )
  const others = [
    tcpflowOnly(peers, capture, directory),
    tcpflowHttp(peers, capture, directory),
    tsharkHttp(peers, capture),
    gorFile(peers, Math.min(capture.requests, 20_000), directory),
  ].filter((peer) => peer !== null)
  const all = [...own, ...others]
  const runs = await inTurns(all, rounds, (peer) => peer.run())
  const rows = [['', 'CPU s', 'wall s', 'CPU µs/packet', 'peak RSS MB', 'counted', 'counts']]
  const lines: string[] = []
  for (const [i, { label }] of all.entries()) {
    const measured = runs[i]!
    const cpuSeconds = spreadOf(measured.map((run) => run.cpuSeconds))
    const wallSeconds = spreadOf(measured.map((run) => run.wallSeconds))
    const peakRssMb = spreadOf(measured.map((run) => run.peakRssBytes / 1e6))
    const { counted } = measured[0]!
    report.result({ bench: NAME, variant: label, capture, runs: rounds, cpuSeconds, wallSeconds, peakRssMb, counted })
    rows.push([
      label,
      spread(cpuSeconds, 2),
      spread(wallSeconds, 2),
      ((cpuSeconds.median / capture.packets) * 1e6).toFixed(2),
      spread(peakRssMb, 0),
      counted.replace(/\d{4,}/g, (digits) => count(Number(digits))),
      measured.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
    if (i === 0) continue
    const pairs = pairedRatios(
      runs[0]!.map((run) => run.cpuSeconds),
      measured.map((run) => run.cpuSeconds),
    )
    lines.push(
      `CPU s, ${all[0]!.label} / ${label}: ${spreadOf(runs[0]!.map((run) => run.cpuSeconds)).median.toFixed(2)} / ${cpuSeconds.median.toFixed(2)}; by rounds ${spread(pairs, 2)} ×`,
    )
  }
  report.table(rows)
  for (const line of lines) report.line(line)
  if (peers.gor !== null) await gorLive(peers.gor, options, report)
}
