/** `run`, the live service, as a process of its own on free ports of loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Summary } from '../../src/report/summary.ts'
import type { LiveSent } from '../pipeline/live-source.ts'
import { owned } from './children.ts'
import { MAIN, readSummary, sumOf } from './mirrorshard.ts'
import { benchEnvironment, stop } from './processes.ts'

/** How long packets that were sent may take to be counted. */
const SETTLE_MS = 5_000
const LOOK_MS = 50
const MOST_ATTEMPTS = 5
/** A start takes a quarter of a second, beside much other load many seconds: only what hangs is ended. */
const START_LIMIT_MS = 60_000
const WORDS_OF_A_FAILURE = 20

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** What a build may tell beside the fixed keys. */
export type LiveSummary = Summary & {
  /** Packet of the mirror taken to request written. */
  readonly addedLatencyMs?: Percentiles | null
}

export interface ServiceOrder {
  readonly to: string
  readonly workers: number
  /** null: what the build does without being asked. */
  readonly receivers?: number | null
  readonly engine?: string | null
  /** UDP port; 0: a free one. */
  readonly port?: number
  /** Further options, as they are typed. */
  readonly args?: readonly string[]
  /** Beside the bench's own environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Another build of the program. */
  readonly main?: string
}

export interface Service {
  readonly child: ChildProcess
  readonly port: number
  readonly admin: string
  readonly receiver: string
  /** From the moment before the process was made to its line that it receives. */
  readonly startMs: number
  summary(): Promise<LiveSummary>
  /** The text of /metrics. */
  metrics(): Promise<string>
  /** Waits until everything sent is counted. */
  settle(sent: Pick<LiveSent, 'packets'>): Promise<LiveSummary>
  /** Waits until nothing of it is under way either: no packet in a ring, no request without its end. */
  drain(sent: Pick<LiveSent, 'packets'>): Promise<LiveSummary>
  /** Ends it as an operator does. @returns its last summary */
  finish(): Promise<LiveSummary>
  /** For a bench that failed: nothing stays behind. */
  close(): Promise<void>
}

/** A free UDP port may be in use for TCP, which `run` takes too: another try, another port. @throws Error with what it printed */
export async function openService(order: ServiceOrder, directory: string): Promise<Service> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open(order, directory)
    } catch (error) {
      if (attempt === MOST_ATTEMPTS || !(error as Error).message.includes('EADDRINUSE')) throw error
    }
  }
}

function open(order: ServiceOrder, directory: string): Promise<Service> {
  const summaryPath = join(directory, 'live-summary.json')
  rmSync(summaryPath, { force: true })
  const args = [
    ...['run', '--listen', `vxlan:127.0.0.1:${order.port ?? 0}`, '--admin', '127.0.0.1:0'],
    ...['--to', order.to, '--workers', String(order.workers), '--summary', summaryPath],
    ...(order.receivers == null ? [] : ['--receivers', String(order.receivers)]),
    ...(order.engine == null ? [] : ['--engine', order.engine]),
    ...(order.args ?? []),
  ]
  const startedMs = performance.now()
  const child = owned(
    spawn(process.execPath, [order.main ?? MAIN, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...benchEnvironment(), ...order.env },
    }),
  )
  const said: string[] = []
  const words = () => `mirrorshard ${args.join(' ')}: ${said.slice(-WORDS_OF_A_FAILURE).join('\n')}`
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`${what}: ${words()}`))
    const late = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`not receiving after ${START_LIMIT_MS} ms`)
    }, START_LIMIT_MS)
    child.once('error', reject)
    child.once('exit', (code) => {
      clearTimeout(late)
      fail(`ended with ${code}`)
    })
    createInterface(child.stderr).on('line', (line) => {
      said.push(line)
      if (said.length > WORDS_OF_A_FAILURE) said.shift()
      const entry = parseLog(line)
      if (entry?.msg !== 'receiving') return
      clearTimeout(late)
      resolve(serviceOf(child, entry, performance.now() - startedMs, summaryPath, words))
    })
  })
}

function serviceOf(
  child: ChildProcess,
  entry: ReceivingEntry,
  startMs: number,
  summaryPath: string,
  words: () => string,
): Service {
  const admin = `http://${entry.admin}`
  const summary = async () => (await (await fetch(`${admin}/summary`)).json()) as LiveSummary
  return {
    child,
    port: Number(entry.listen[0]!.split(':').at(-1)),
    admin,
    receiver: entry.receiver,
    startMs,
    summary,
    metrics: async () => (await fetch(`${admin}/metrics`)).text(),
    settle: (sent) => summaryWhen(summary, (now) => takenOf(now) >= sent.packets),
    drain: (sent) =>
      summaryWhen(summary, (now) => takenOf(now) >= sent.packets && now.packets.held === 0 && now.requests.held === 0),
    finish: async () => {
      const code = await stop(child)
      if (code !== 0) throw new Error(`ended with ${code}: ${words()}`)
      return readSummary(summaryPath)
    },
    close: async () => {
      await stop(child)
    },
  }
}

/** @returns the first summary that `isDone`, or after SETTLE_MS whatever it says: the counts are judged afterwards */
async function summaryWhen(
  summary: () => Promise<LiveSummary>,
  isDone: (now: LiveSummary) => boolean,
): Promise<LiveSummary> {
  const untilMs = performance.now() + SETTLE_MS
  for (;;) {
    const now = await summary()
    if (isDone(now) || performance.now() > untilMs) return now
    await sleep(LOOK_MS)
  }
}

/** Datagrams that have come to an account: ours or the kernel's. */
function takenOf({ packets }: Summary): number {
  return packets.received + (packets.kernelDropped ?? 0)
}

/** What was lost or failed on the way, by place. */
export interface Losses {
  readonly kernel: number
  /** Because a shard did not follow: packets shed, and refused by a full ring. */
  readonly ring: number
  readonly otherPackets: number
  readonly gaps: number
  readonly requests: number
}

/** @param outcome what each request should have come to */
export function lossesOf(summary: Summary, outcome: string): Losses {
  const { packets, requests, flows } = summary
  const ring = (packets.dropped.ringFull ?? 0) + (packets.dropped.shed ?? 0)
  return {
    kernel: packets.kernelDropped ?? 0,
    ring,
    otherPackets: sumOf(packets.dropped) - ring,
    gaps: flows.gaps,
    requests: sumOf(requests.dropped) + sumOf(requests.replayed) - (requests.replayed[outcome] ?? 0) + requests.held,
  }
}

export function lostInAll(losses: Losses): number {
  return losses.kernel + losses.ring + losses.otherPackets + losses.gaps + losses.requests
}

/** Every packet sent is received or counted as lost, every request ends in one count; where no packet was lost every request was found. */
export function liveCounts(
  summary: Summary,
  sent: LiveSent,
  outcome: string,
): Record<string, readonly [unknown, unknown]> {
  const { packets, requests, flows } = summary
  const dropped = sumOf(packets.dropped)
  const counts: Record<string, readonly [unknown, unknown]> = {
    'packets received and dropped by the kernel': [takenOf(summary), sent.packets],
    'packets processed and dropped': [packets.processed + dropped, packets.received],
    'requests replayed, dropped and held': [
      sumOf(requests.replayed) + sumOf(requests.dropped) + requests.held,
      requests.parsed,
    ],
  }
  if (packets.received < sent.packets || dropped > 0) return counts
  const whole = { ...counts, gaps: [flows.gaps, 0], 'requests parsed': [requests.parsed, sent.requests] } as const
  // A replay under load may drop requests, and counts them; throwing them away leaves no reason to.
  return outcome === 'null'
    ? { ...whole, 'requests with outcome null': [requests.replayed.null ?? 0, sent.requests] }
    : whole
}

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
