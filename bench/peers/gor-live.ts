/** GoReplay's own VXLAN engine, fed by the sender of the live bench: what it costs, best effort. Only where `gor` is on PATH. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { MirrorSource } from '../support/mirror-source.ts'
import type { BenchOptions } from '../support/options.ts'
import { stop } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { count } from '../support/table.ts'

/** The port of VXLAN (RFC 7348 section 5): its engine takes no other without an option of each version's own. */
const VXLAN_PORT = 4789
const START_MS = 1500
const PACKETS_PER_SECOND = 20_000
/** Clock ticks a second of /proc on Linux, on every architecture Node supports (proc(5), USER_HZ). */
const TICKS = 100

export async function gorLive(program: string, options: BenchOptions, report: Report): Promise<void> {
  const args = ['--input-raw', ':80', '--input-raw-engine', 'vxlan', '--output-null']
  const source = await MirrorSource.open(PACKETS_PER_SECOND)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  try {
    await sleep(START_MS)
    if (child.exitCode !== null || child.pid === undefined) {
      report.line(`gor ${args.join(' ')} did not start: ${said.trim().split('\n').at(-1) ?? ''}`)
      return
    }
    const before = cpuSeconds(child.pid)
    const order = { port: VXLAN_PORT, packetsPerSecond: PACKETS_PER_SECOND, seconds: options.seconds }
    const sent = await (await source.send(order)).sent
    const cpuUs = ((cpuSeconds(child.pid) - before) / sent.packets) * 1e6
    report.result({ bench: 'peers', variant: 'gor vxlan engine', sent, cpuUs })
    report.line(
      `gor, its vxlan engine → null: ${cpuUs.toFixed(2)} CPU µs for each of ${count(sent.packets)} packets sent at ${count(PACKETS_PER_SECOND)}/s; it does not tell how many it took`,
    )
  } finally {
    await source.close()
    await stop(child)
  }
}

/** User and system time of all threads, fields 14 and 15 of proc(5)'s stat. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}
