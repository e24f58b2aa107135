/**
 * The regression gate: counts that do not depend on how fast the machine is, against committed bounds. It judges no speed; what
 * it catches is an allocation, a copy or a system call that a packet did not need before.
 */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BenchCapture, benchCapture, captureInWords } from '../support/bench-capture.ts'
import { openLiveRun } from '../support/live-run.ts'
import { CHECKOUT } from '../support/machine.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import { MAIN } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import { findOnPath, runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { type Bounds, boundFor, exceeds, type Measures, readBounds } from './bounds.ts'
import type { GateOrder, GateResult } from './gate-child.ts'
import { measureApart } from './parts.ts'
import { readCounts, workCalls } from './strace.ts'

const NAME = 'gate'
const BOUNDS = join(CHECKOUT, 'bench/bounds.json')
/** Least packets behind a count, whatever the capture. */
const LEAST_PACKETS = 200_000
const LIVE_RATE = 20_000
const LIVE_WARM_UP_MS = 2_000
const LIVE_WINDOW_MS = 3_000
/** strace holds up what it watches; the sender has to outlast that. */
const LIVE_SPARE_SECONDS = 2
/** MB; so much memory for young objects that none is collected while allocation is counted. */
const ROOMY_YOUNG = ['--max-semi-space-size=512', '--min-semi-space-size=512']

export async function benchGate(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const capture = await benchCapture(options, directory)
  const bounds = readBounds(readFileSync(BOUNDS, 'utf8'))
  report.heading(NAME, 'counts that do not depend on the speed of the machine, against bench/bounds.json')
  report.line(captureInWords(capture))
  const measures: Measures = new Map([
    ...(await measureInside(capture, report)),
    ...(await measureCalls(capture, report, directory)),
  ])
  const rows = [['', 'measured', 'bound', 'verdict']]
  for (const [key, { value, unit }] of measures) {
    const bound = bounds[key]
    if (bound === undefined && !options.write) throw new Error(`bench/bounds.json has no ${key}`)
    const verdict = options.write ? 'written' : exceeds(value, bound!) ? 'EXCEEDED' : 'ok'
    if (!options.write) report.check(NAME, { [`${key} within ${bound}`]: [verdict, 'ok'] })
    report.result({ bench: NAME, variant: key, value, unit, bound: bound ?? null, verdict })
    rows.push([`${key}, ${unit}`, String(value), options.write ? String(boundFor(key, value)) : String(bound), verdict])
  }
  report.table(rows)
  if (options.write) write(bounds, measures, report)
}

function write(bounds: Bounds, measures: Measures, report: Report): void {
  const next = { ...bounds }
  for (const [key, { value }] of measures) next[key] = boundFor(key, value)
  writeFileSync(BOUNDS, `${JSON.stringify(next, null, 2)}\n`)
  report.line(`${BOUNDS} written`)
}

async function measureInside(capture: BenchCapture, report: Report): Promise<Measures> {
  const passes = Math.max(1, Math.ceil(LEAST_PACKETS / capture.packets))
  const ask = async (measure: GateOrder['measure'], more: number, nodeOptions: readonly string[] = []) => {
    const order: GateOrder = { path: capture.path, measure, warmUp: 3 * passes, passes: more * passes }
    const result = await measureApart<GateResult>('./gate-child.js', order, nodeOptions)
    report.check(`${NAME} ${measure}`, {
      packets: [result.packets, capture.packets * order.passes],
      requests: [result.requests, capture.requests * order.passes],
    })
    return result
  }
  const allocation = await ask('allocation', 1, ROOMY_YOUNG)
  report.check(`${NAME} allocation`, { 'collections while it was counted': [allocation.collections, 0] })
  const collections = await ask('collections', 4)
  const copies = await ask('copies', 1)
  return new Map([
    ['heapBytesPerPacket', { value: rounded(allocation.allocatedBytes / allocation.packets), unit: 'bytes allocated' }],
    [
      'outsideBytesPerPacket',
      {
        value: rounded(Math.max(0, allocation.allocatedOutsideBytes) / allocation.packets),
        unit: 'bytes of buffers left',
      },
    ],
    [
      'collectionsPer100000Packets',
      { value: rounded((collections.collections / collections.packets) * 1e5), unit: 'garbage collections' },
    ],
    [
      'copiedBytesPerByte',
      { value: rounded(copies.copiedBytes / copies.bytes), unit: 'bytes copied, source to sink, by byte captured' },
    ],
  ])
}

async function measureCalls(capture: BenchCapture, report: Report, directory: string): Promise<Measures> {
  const strace = findOnPath('strace')
  if (strace === null) {
    report.line('no strace on PATH: system calls are not counted')
    return new Map()
  }
  const passes = Math.max(1, Math.ceil(LEAST_PACKETS / capture.packets))
  const [short, long] = [passes, 5 * passes]
  const calls: number[] = []
  for (const loops of [short, long]) calls.push(await fileCalls(strace, capture, loops, directory))
  const packets = capture.packets * (long - short)
  const file = { value: rounded(((calls[1]! - calls[0]!) / packets) * 1000), unit: 'system calls, file → null' }
  const live = await liveCalls(strace, report, directory)
  return new Map([
    ['fileCallsPer1000Packets', file],
    ...(live === null
      ? []
      : [['liveCallsPer1000Packets', { value: live, unit: `system calls, live → null at ${LIVE_RATE}/s` }] as const]),
  ])
}

/** Of a run with so many passes; two of them less one another have no start in them. */
async function fileCalls(strace: string, capture: BenchCapture, loops: number, directory: string): Promise<number> {
  const output = join(directory, 'strace.txt')
  const args = ['replay', capture.path, '--to', 'null', '--speed', 'max', '--workers', '0', '--loop', String(loops)]
  const { code, stderr } = await runTimed(strace, ['-f', '-c', '-o', output, process.execPath, MAIN, ...args])
  if (code !== 0) throw new Error(`strace of file → null ended with ${code}: ${stderr}`)
  return workCalls(readCounts(readFileSync(output, 'utf8')))
}

/** Over a window behind the warm-up. @returns null where strace may not attach to a process */
async function liveCalls(strace: string, report: Report, directory: string): Promise<number | null> {
  const output = join(directory, 'strace-live.txt')
  const source = await MirrorSource.open(LIVE_RATE)
  const run = await openLiveRun(0, [])
  try {
    const seconds = (LIVE_WARM_UP_MS + LIVE_WINDOW_MS) / 1000 + LIVE_SPARE_SECONDS
    const { sent } = await source.send({ port: run.port, packetsPerSecond: LIVE_RATE, seconds })
    await sleep(LIVE_WARM_UP_MS)
    const watch = spawn(strace, ['-f', '-c', '-o', output, '-p', String(run.child.pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    watch.stderr.on('data', (chunk) => {
      said += chunk
    })
    const ended = new Promise<number | null>((resolve) => watch.once('exit', (code) => resolve(code)))
    const before = (await run.summary()).packets.received
    await sleep(LIVE_WINDOW_MS)
    const after = (await run.summary()).packets.received
    watch.kill('SIGINT')
    await ended
    await sent
    if (/not permitted|Could not attach/.test(said)) {
      report.line(`strace may not attach: live system calls are not counted (${said.trim().split('\n')[0]})`)
      return null
    }
    const counts = readCounts(readFileSync(output, 'utf8'))
    if (after <= before) throw new Error('no packet came while system calls were counted')
    return rounded((workCalls(counts) / (after - before)) * 1000)
  } finally {
    await run.end()
    await source.close()
  }
}

function rounded(n: number): number {
  return Number(n.toPrecision(4))
}
