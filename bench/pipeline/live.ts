/**
 * VXLAN over UDP on loopback → null: `run` and a sender, each a process of its own, at set rates. Processor time is that of
 * `run` over a window after its warm-up, when code is compiled and buffers have grown: what a day of it costs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Summary } from '../../src/report/summary.ts'
import { MAIN, readSummary, sumOf } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import { benchEnvironment, stop } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'
import type { LiveOrder, LiveSent } from './live-source.ts'

const NAME = 'pipeline/live'
const SOURCE = fileURLToPath(new URL('./live-source.js', import.meta.url))
const WARM_UP_MS = 2_000
/** The sender goes on a little behind the window. */
const TAIL_SECONDS = 0.3
const MOST_ATTEMPTS = 5
/** How long packets that were sent may take to be counted. */
const SETTLE_MS = 5_000

interface Variant {
  readonly workers: number
  readonly packetsPerSecond: number
}

interface Measured {
  readonly cpuUsPerPacket: number
  /** The same from the first packet to the end, code being compiled included. */
  readonly cpuUsPerPacketCold: number
  readonly sent: LiveSent
  readonly summary: Summary
  readonly receiver: string
  readonly check: 'ok' | 'WRONG'
}

interface Target {
  readonly child: ChildProcess
  readonly port: number
  readonly admin: string
  readonly receiver: string
}

export async function benchLive(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const workers = options.workers ?? [0, 1]
  const rounds = options.runs ?? 3
  const variants = options.rates.flatMap((packetsPerSecond) =>
    workers.map((n): Variant => ({ workers: n, packetsPerSecond })),
  )
  report.heading(NAME, 'VXLAN over UDP on loopback → null, CPU of the `run` process')
  const runs = await inTurns(variants, rounds, (variant) => runOnce(variant, options, report, directory))
  const { sent, receiver } = runs[0]![0]!
  report.line(
    `clean keep-alive traffic by ${sent.kind}, received by ${receiver}; ${options.seconds} s behind ${WARM_UP_MS / 1000} s of warm-up, ${rounds} run(s) each, in turns`,
  )
  const rows = [
    ['rate', '--workers', 'CPU µs/packet', 'with start', 'sent/s', 'packets', 'lost: kernel', 'ring', 'counts'],
  ]
  for (const [i, variant] of variants.entries()) {
    const own = runs[i]!
    const cpuUsPerPacket = spreadOf(own.map((run) => run.cpuUsPerPacket))
    const cpuUsPerPacketCold = spreadOf(own.map((run) => run.cpuUsPerPacketCold))
    const sentPerSecond = spreadOf(own.map((run) => run.sent.packets / run.sent.seconds))
    const packets = own.reduce((sum, run) => sum + run.sent.packets, 0)
    const kernelDropped = own.reduce((sum, run) => sum + (run.summary.packets.kernelDropped ?? 0), 0)
    const ringFull = own.reduce((sum, run) => sum + (run.summary.packets.dropped.ringFull ?? 0), 0)
    report.result({
      bench: NAME,
      variant: `${variant.packetsPerSecond}/s, workers ${variant.workers}`,
      runs: rounds,
      cpuUsPerPacket,
      cpuUsPerPacketCold,
      sentPerSecond,
      packets,
      kernelDropped,
      ringFull,
    })
    rows.push([
      `${count(variant.packetsPerSecond)}/s`,
      String(variant.workers),
      spread(cpuUsPerPacket, 2),
      cpuUsPerPacketCold.median.toFixed(2),
      count(sentPerSecond.median),
      count(packets),
      count(kernelDropped),
      count(ringFull),
      own.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(rows)
}

async function runOnce(
  { workers, packetsPerSecond }: Variant,
  options: BenchOptions,
  report: Report,
  directory: string,
): Promise<Measured> {
  const summaryPath = join(directory, 'live-summary.json')
  const target = await openTargetSomewhere(workers, summaryPath)
  try {
    const order: LiveOrder = {
      port: target.port,
      packetsPerSecond,
      seconds: WARM_UP_MS / 1000 + options.seconds + TAIL_SECONDS,
    }
    const source = spawn(process.execPath, [SOURCE, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface(source.stdout)[Symbol.asyncIterator]()
    if ((await lines.next()).value !== 'sending') throw new Error('the sender of the live bench did not start')
    await sleep(WARM_UP_MS)
    const before = await summaryOf(target)
    await sleep(options.seconds * 1000)
    const after = await summaryOf(target)
    const sent = JSON.parse((await lines.next()).value as string) as LiveSent
    await settle(target, sent.packets)
    await stop(target.child)
    const summary = readSummary(summaryPath)
    return {
      cpuUsPerPacket:
        ((after.cpuSeconds - before.cpuSeconds) / (after.packets.received - before.packets.received)) * 1e6,
      cpuUsPerPacketCold: (summary.fromFirstPacket.cpuSeconds / summary.packets.received) * 1e6,
      sent,
      summary,
      receiver: target.receiver,
      check: report.check(`${NAME} ${packetsPerSecond}/s --workers ${workers}`, liveCounts(summary, sent)),
    }
  } finally {
    await stop(target.child)
  }
}

/** Every packet sent is received or counted as lost; without loss every request came through. */
function liveCounts(summary: Summary, sent: LiveSent): Record<string, readonly [unknown, unknown]> {
  const { packets, requests, flows } = summary
  const dropped = sumOf(packets.dropped)
  const counts: Record<string, readonly [unknown, unknown]> = {
    'packets received and dropped by the kernel': [packets.received + (packets.kernelDropped ?? 0), sent.packets],
    'packets processed and dropped': [packets.processed + dropped, packets.received],
    'requests replayed, dropped and held': [
      sumOf(requests.replayed) + sumOf(requests.dropped) + requests.held,
      requests.parsed,
    ],
  }
  if (packets.received < sent.packets || dropped > 0) return counts
  return {
    ...counts,
    gaps: [flows.gaps, 0],
    'requests with outcome null': [requests.replayed.null ?? 0, sent.requests],
  }
}

/** A free UDP port may be in use for TCP, which `run` takes too: another try, another port. */
async function openTargetSomewhere(workers: number, summaryPath: string): Promise<Target> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openTarget(workers, summaryPath)
    } catch (error) {
      if (attempt === MOST_ATTEMPTS || !(error as Error).message.includes('EADDRINUSE')) throw error
    }
  }
}

/** Starts `run` on free ports and reads from its log which. */
async function openTarget(workers: number, summaryPath: string): Promise<Target> {
  const args = [
    'run',
    '--listen',
    'vxlan:127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    '--to',
    'null',
    '--workers',
    String(workers),
    '--summary',
    summaryPath,
  ]
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: benchEnvironment(),
  })
  const said: string[] = []
  const lines = createInterface(child.stderr)
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`mirrorshard ${args.join(' ')} ${what}: ${said.join('\n')}`))
    const late = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`was not receiving after ${START_LIMIT_MS} ms`)
    }, START_LIMIT_MS)
    child.once('exit', (code) => {
      clearTimeout(late)
      fail(`ended with ${code}`)
    })
    lines.on('line', (line) => {
      said.push(line)
      const entry = parseLog(line)
      if (entry?.msg !== 'receiving') return
      clearTimeout(late)
      resolve({
        child,
        port: Number(entry.listen[0]!.split(':').at(-1)),
        admin: `http://${entry.admin}`,
        receiver: entry.receiver,
      })
    })
  })
}

/** A start takes a quarter of a second; ten are a machine in trouble. */
const START_LIMIT_MS = 10_000

interface ReceivingEntry {
  readonly msg: string
  readonly listen: readonly string[]
  readonly admin: string
  readonly receiver: string
}

function parseLog(line: string): ReceivingEntry | null {
  try {
    return JSON.parse(line) as ReceivingEntry
  } catch {
    return null
  }
}

async function summaryOf({ admin }: Target): Promise<Summary> {
  return (await (await fetch(`${admin}/summary`)).json()) as Summary
}

/** Waits until everything sent is counted. */
async function settle(target: Target, packets: number): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS
  for (;;) {
    const now = (await summaryOf(target)).packets
    if (now.received + (now.kernelDropped ?? 0) >= packets || performance.now() > untilMs) return
    await sleep(50)
  }
}
