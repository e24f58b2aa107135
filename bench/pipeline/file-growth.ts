/**
 * Whether a large capture costs more per frame than a small one, and how memory grows: the same traffic repeated, with times
 * and five-tuples that go on, so that nothing about it repeats for the program.
 *
 * Three captures, each the beginning of the next: 1, 5 and 20 passes over the traffic, 100 MB to 2 GB. The differences take the
 * start and the compiling of code out of both sides: frames between the first and the second are the early ones, frames between
 * the second and the third the late ones. Cost per frame holds when both are the same.
 */
import { rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { PcapWriter } from '../../src/sources/files/pcap-writer.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { FIRST_US, SEED, US_PER_FRAME, unpaddedLength } from '../support/bench-capture.ts'
import {
  CLIENT_NETWORK,
  FRAME_DESTINATION_ADDRESS,
  FRAME_SOURCE_ADDRESS,
  keepAliveFrames,
  type TrafficSize,
} from '../support/keep-alive-traffic.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { pairedRatios, spreadOf } from '../support/statistics.ts'
import { count, ratio, spread } from '../support/table.ts'

const NAME = 'pipeline/file-growth'
const FULL: TrafficSize = { connections: 4_000, requestsPerConnection: 25 }
const QUICK: TrafficSize = { connections: 200, requestsPerConnection: 25 }
const PASSES = [1, 5, 20] as const
const QUICK_PASSES = [1, 2, 4] as const
/** A pass, with file headers. */
const PASS_BYTES = 110e6
/** Left to everybody else on the disk. */
const LEAST_FREE_BYTES = 6e9

interface Capture {
  readonly path: string
  readonly passes: number
  readonly packets: number
  readonly requests: number
  readonly bytes: number
}

export async function benchFileGrowth(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const rounds = options.runs ?? 3
  report.heading(NAME, 'file → null, --workers 0, captures of growing size')
  const passes = options.quick ? QUICK_PASSES : passesThatFit(directory, report)
  const frames = [...keepAliveFrames(SEED, options.quick ? QUICK : FULL)]
  const requests = (options.quick ? QUICK : FULL).connections * FULL.requestsPerConnection
  const captures: Capture[] = []
  try {
    for (const n of passes) captures.push(write(join(directory, `growth-${n}.pcap`), frames, n, requests))
    report.line(`${count(frames.length)} frames a pass, new five-tuples in each; ${rounds} round(s), sizes in turns`)
    const runs = await inTurns(captures, rounds, async (capture) => {
      const run = await replayFile(capture.path, 'null', 0, directory)
      const counts = losslessCounts(run.summary, capture.packets, capture.requests, 'null')
      return { ...run, check: report.check(`${NAME} ${capture.passes} passes`, counts) }
    })
    const rows = [['', 'CPU s', 'wall s', 'CPU µs/frame', 'peak RSS MB', 'counts']]
    for (const [i, { passes: n, packets, bytes }] of captures.entries()) {
      const cpuSeconds = spreadOf(runs[i]!.map((run) => run.cpuSeconds))
      const wallSeconds = spreadOf(runs[i]!.map((run) => run.wallSeconds))
      const peakRssMb = spreadOf(runs[i]!.map((run) => run.peakRssBytes / 1e6))
      report.result({ bench: NAME, variant: `${n} passes`, packets, bytes, cpuSeconds, wallSeconds, peakRssMb })
      rows.push([
        `${count(bytes / 1e6)} MB, ${count(packets)} frames`,
        spread(cpuSeconds, 2),
        spread(wallSeconds, 2),
        ((cpuSeconds.median / packets) * 1e6).toFixed(3),
        spread(peakRssMb, 0),
        runs[i]!.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
      ])
    }
    report.table(rows)
    const perFrame = (small: number, large: number) =>
      runs[large]!.map(
        ({ cpuSeconds }, round) =>
          ((cpuSeconds - runs[small]![round]!.cpuSeconds) / (captures[large]!.packets - captures[small]!.packets)) *
          1e6,
      )
    const early = perFrame(0, 1)
    const late = perFrame(1, 2)
    const cpu = pairedRatios(late, early)
    report.line(
      `CPU µs/frame without start, frames of passes ${passes[1] + 1}–${passes[2]} / ${passes[0] + 1}–${passes[1]}: ${ratio(spreadOf(late).median, spreadOf(early).median, 3)}; by rounds ${spread(cpu, 2)} ×`,
    )
    const rss = pairedRatios(
      runs[2]!.map((run) => run.peakRssBytes),
      runs[0]!.map((run) => run.peakRssBytes),
    )
    report.line(`peak RSS, largest / smallest: by rounds ${spread(rss, 2)} ×`)
    report.figure('file.growth.cpu', { ...cpu, unit: '×' })
    report.figure('file.growth.rss', { ...rss, unit: '×' })
  } finally {
    for (const n of passes) rmSync(join(directory, `growth-${n}.pcap`), { force: true })
  }
}

/** Fewer passes where the disk has little room. */
function passesThatFit(directory: string, report: Report): readonly [number, number, number] {
  const { bavail, bsize } = statfsSync(directory)
  const free = bavail * bsize
  if (free >= LEAST_FREE_BYTES) return PASSES
  // Half of what is free, over captures that are together 1.3 times the largest.
  const most = Math.max(3, Math.min(PASSES[2], Math.floor(free / 2 / 1.3 / PASS_BYTES)))
  report.line(`${(free / 1e9).toFixed(1)} GB free: the largest capture has ${most} passes instead of ${PASSES[2]}`)
  return [1, Math.max(2, Math.floor(most / 4)), most]
}

function write(path: string, frames: readonly Buffer[], passes: number, requestsPerPass: number): Capture {
  const writer = PcapWriter.create(path, LinkType.ethernet)
  let packets = 0
  let bytes = 0
  for (let pass = 0; pass < passes; pass++) {
    for (const frame of frames) {
      renumber(frame, pass)
      const length = unpaddedLength(frame)
      writer.write(frame, 0, length, length, FIRST_US + packets * US_PER_FRAME)
      packets++
      bytes += length
    }
  }
  writer.close()
  return { path, passes, packets, requests: passes * requestsPerPass, bytes }
}

/** Second byte of the addresses: the client's counts up and the server's down, so all checksums stay right. */
function renumber(frame: Buffer, pass: number): void {
  const isFromClient = frame[FRAME_SOURCE_ADDRESS] === CLIENT_NETWORK
  frame[FRAME_SOURCE_ADDRESS + 1] = isFromClient ? pass : 255 - pass
  frame[FRAME_DESTINATION_ADDRESS + 1] = isFromClient ? 255 - pass : pass
}
