/** The built program as a process, and what a fault test asks of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect } from 'vitest'
import { parseMetrics } from '../../../bench/support/prometheus.ts'
import { type LiveSummary, openService, type Service, type ServiceOrder } from '../../../bench/support/service.ts'
import { expectBalance, expectIdentity, type Ledger } from './identity.ts'
import { MAIN } from './main.ts'
import { type ProcessState, stateOf } from './process-state.ts'

export interface Program {
  readonly service: Service
  readonly pid: number
  readonly port: number
  /** What the start of the program took just now: on a busy machine everything takes longer, and bounds of time are given so much more. */
  readonly paceMs: number
  /** What it said on stderr since it receives. */
  readonly said: readonly string[]
  /** Reads /metrics, which must add up. */
  ledger(): Promise<Ledger & { readonly samples: ReadonlyMap<string, number> }>
  state(): ProcessState
  /** Waits until nothing is held, and nothing more comes. */
  settled(): Promise<Ledger & { readonly samples: ReadonlyMap<string, number> }>
  /** Breaks a thread. @param thread `shard=0` or `receiver=1` */
  break(thread: string, kind: string): Promise<void>
  /** Ends it as an operator does; the summary must add up. */
  finish(): Promise<LiveSummary>
}

export type ProgramOrder = Partial<ServiceOrder> & { readonly to: string }

const SETTLE_MS = 15_000
const QUIET_MS = 150

const open: { program: Program; directory: string }[] = []

/** Nothing that a test started outlives it. */
export function closeAfterEach(): void {
  afterEach(closeAll)
}

export async function closeAll(): Promise<void> {
  for (const { program, directory } of open.splice(0)) {
    program.service.child.kill('SIGCONT')
    program.service.child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}

export async function openProgram(order: ProgramOrder): Promise<Program> {
  const directory = mkdtempSync(join(tmpdir(), 'mirrorshard-faults-'))
  const service = await openService(
    { workers: 2, main: MAIN, ...order, env: { MIRRORSHARD_FAULTS: '1', ...order.env } },
    directory,
  )
  const said: string[] = []
  createInterface(service.child.stderr!).on('line', (line) => said.push(line))
  const pid = service.child.pid!
  /** Remembered: a test that is tried again must not forget them. */
  const violations: string[] = []
  const ledger = async () => {
    const text = await service.metrics()
    try {
      return expectIdentity(parseMetrics(text))
    } catch (error) {
      violations.push((error as Error).message)
      throw error
    }
  }
  const program: Program = {
    service,
    pid,
    port: service.port,
    paceMs: service.startMs,
    said,
    ledger,
    state: () => stateOf(pid),
    settled: async () => {
      const untilMs = performance.now() + SETTLE_MS
      for (let last = -1; ; ) {
        const now = await ledger()
        if (now.packetsHeld === 0 && now.requestsHeld === 0 && now.received === last) return now
        if (performance.now() > untilMs) throw new Error(`still held after ${SETTLE_MS} ms: ${JSON.stringify(now)}`)
        last = now.received
        await sleep(QUIET_MS)
      }
    },
    break: async (thread, kind) => {
      const answer = await fetch(`${service.admin}/debug/fault?${thread}&kind=${kind}`, { method: 'POST' })
      if (!answer.ok) throw new Error(`${thread} ${kind}: ${answer.status} ${await answer.text()}`)
    },
    finish: async () => {
      const summary = await service.finish()
      expectBalance(summary)
      expect(violations).toEqual([])
      return summary
    },
  }
  open.push({ program, directory })
  return program
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
}
