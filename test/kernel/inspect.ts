/** The command line over all scenarios in one file: must read of each what the path on one thread reads. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { keyOf } from '../fuzz/truth.ts'
import type { Judgement } from './judgement.ts'
import { pcapOf } from './pcap.ts'
import type { Scenario } from './scenario.ts'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const MOST_OUTPUT = 1 << 30

interface Line {
  /** Client; method is null where only an answer was seen. */
  readonly src: string
  readonly method: string | null
  readonly uri: string
  readonly version: string
  readonly headers: readonly (readonly [string, string])[]
  readonly bodyBytes: number
  readonly bodySha256: string
}

/** @throws Error when the program fails */
export function inspectAll(scenarios: readonly Scenario[], judgement: Judgement): void {
  const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-kernel-'))
  try {
    const file = join(folder, 'all.pcap')
    writeFileSync(file, pcapOf(scenarios.map((s) => s.capture)))
    const arguments_ = ['inspect', '--workers', '0', '--verify-checksums', '--log-level', 'warn', file]
    const run = spawnSync(process.execPath, [MAIN, ...arguments_], { encoding: 'utf8', maxBuffer: MOST_OUTPUT })
    if (run.status !== 0) throw new Error(`inspect ended with ${run.status}: ${run.stderr.slice(0, 2000)}`)
    const byClient = new Map<string, string[]>()
    for (const text of run.stdout.split('\n')) {
      if (text === '') continue
      const line = JSON.parse(text) as Line
      const { src, method, bodyBytes, bodySha256 } = line
      if (method === null) continue
      const headers = line.headers.map(([name, value]) => `${name}: ${value}`)
      const key = keyOf({
        text: `${method} ${line.uri} HTTP/${line.version}\n${headers.join('\n')}`,
        bodyBytes,
        bodySha256,
      })
      const address = src.slice(0, src.lastIndexOf(':'))
      byClient.set(address, [...(byClient.get(address) ?? []), key])
    }
    for (const scenario of scenarios) judgement.inspected(scenario, byClient.get(scenario.client.address) ?? [])
  } finally {
    rmSync(folder, { recursive: true })
  }
}
