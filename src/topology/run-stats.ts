/** What a run reads of itself: totals over all threads, times, and the summary made of them. */
import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { describeSystemError, MirrorError } from '../base/errors.ts'
import { COUNTER_BLOCK_BYTES, CounterBlock } from '../metrics/counters.ts'
import { makeSummary, type Summary } from '../report/summary.ts'
import { Totals } from '../report/totals.ts'
import type { Pipeline } from './pipeline.ts'

interface Reading {
  readonly seconds: number
  readonly cpuSeconds: number
}

export class RunStats {
  /** Counters of the main thread: source, and where it receives also decapsulation and dispatch. */
  readonly counters: CounterBlock
  /** Names of the sinks, in the order of their counters. */
  readonly targets: readonly string[]
  private readonly memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
  private pipeline: Pipeline | null = null
  private receiverBlocks: readonly SharedArrayBuffer[] = []
  private first: Reading | null = null
  private readonly hasSocket: boolean

  constructor(hasSocket: boolean, targets: readonly string[] = []) {
    this.targets = targets
    this.counters = new CounterBlock(this.memory)
    this.hasSocket = hasSocket
  }

  attach(pipeline: Pipeline): void {
    this.pipeline = pipeline
  }

  /** Counter blocks of receiving threads, where there are any. */
  attachReceivers(counterBlocks: readonly SharedArrayBuffer[]): void {
    this.receiverBlocks = counterBlocks
  }

  /** The first packet has come. */
  markFirstPacket(): void {
    this.first ??= readProcess()
  }

  totals(): Totals {
    return Totals.read([this.memory, ...this.receiverBlocks], this.pipeline?.counterBlocks)
  }

  protocolCounts(): [string, number][] {
    return this.pipeline?.protocolCounts() ?? []
  }

  summary(): Summary {
    const now = readProcess()
    const first = this.first ?? now
    const spent = {
      ...rounded(now),
      fromFirstPacket: rounded({ seconds: now.seconds - first.seconds, cpuSeconds: now.cpuSeconds - first.cpuSeconds }),
    }
    return makeSummary(this.totals(), this.protocolCounts(), this.hasSocket, spent, this.targets)
  }
}

/** Seconds since the process started, and its processor time over all threads. */
function readProcess(): Reading {
  const { user, system } = process.cpuUsage()
  return { seconds: process.uptime(), cpuSeconds: (user + system) / 1e6 }
}

function rounded({ seconds, cpuSeconds }: Reading): Reading {
  return { seconds: Math.round(seconds * 1000) / 1000, cpuSeconds: Math.round(cpuSeconds * 1000) / 1000 }
}

/** Counts tell of production's traffic too. A file that is there keeps its mode: a script's choice. */
const SUMMARY_MODE = 0o600

/** Says before hours of work, not after them, that the summary cannot be written. Leaves no file behind. @throws MirrorError ERR_OUTPUT */
export function checkSummary(path: string): void {
  write(path, () => {
    const isThere = existsSync(path)
    closeSync(openSync(path, 'a', SUMMARY_MODE))
    if (!isThere) rmSync(path, { force: true })
  })
}

/** @throws MirrorError ERR_OUTPUT */
export function writeSummary(path: string, summary: Summary): void {
  write(path, () => writeFileSync(path, `${JSON.stringify(summary, null, 2)}\n`, { mode: SUMMARY_MODE }))
}

function write(path: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    throw new MirrorError('ERR_OUTPUT', `--summary: cannot write ${path}: ${describeSystemError(error)}`, {
      cause: error,
    })
  }
}
