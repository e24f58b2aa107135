/** What a connection costs: memory while it is idle, time to open and close it. Measured in processes of their own. */
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'
import type { CycleOrder, CycleResult, IdleOrder, IdleResult } from './flows-child.ts'
import { measureApart } from './parts.ts'

const NAME = 'flows'
const FULL = 1_000_000
const QUICK = 20_000

const IDLE = [
  { until: 'handshake', label: 'after its handshake', key: 'flows.idle.bytes' },
  { until: 'exchange', label: 'after one request and its answer', key: 'flows.idle-http.bytes' },
] as const

const CYCLES = [
  { close: 'fin', data: false, label: 'SYN, SYN-ACK, ACK, FIN, ACK, FIN, ACK', key: 'flows.cycle.us' },
  { close: 'rst', data: false, label: 'SYN, SYN-ACK, ACK, RST', key: 'flows.cycle-rst.us' },
  { close: 'fin', data: true, label: 'handshake, request, answer, FIN both ways', key: 'flows.cycle-http.us' },
] as const

export async function benchFlows(options: BenchOptions, report: Report): Promise<void> {
  const flows = options.quick ? QUICK : FULL
  const rounds = options.runs ?? 3
  report.heading(NAME, 'memory of idle connections, packets driven through a Shard in a process of its own')
  report.line(
    `${count(flows)} connections; growth of the process from before the first to after the last, garbage collected; ${rounds} run(s)`,
  )
  const memory = [['idle', 'bytes/flow: RSS', 'heap', 'outside the heap', 'requests', 'counts']]
  const idle = IDLE.map((): IdleResult[] => [])
  const cycles = CYCLES.map((): CycleResult[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, { until }] of IDLE.entries())
      idle[i]!.push(await measureApart<IdleResult>('./flows-child.js', { flows, until } satisfies IdleOrder))
    for (const [i, { close, data }] of CYCLES.entries())
      cycles[i]!.push(await measureApart<CycleResult>('./flows-child.js', { flows, close, data } satisfies CycleOrder))
  }
  for (const [i, { until, label, key }] of IDLE.entries()) {
    const runs = idle[i]!
    const per = (of: (run: IdleResult) => number) => spreadOf(runs.map((run) => of(run) / flows))
    const rss = per((run) => run.rss)
    const heap = per((run) => run.heap)
    const outside = per((run) => run.outside)
    const check = runs.map((run) =>
      report.check(`${NAME} ${label}`, {
        'flows open': [run.open, flows],
        'packets processed': [run.processed, run.packets],
        'requests parsed': [run.requests, until === 'exchange' ? flows : 0],
      }),
    )
    report.result({ bench: NAME, variant: label, flows, rss, heap, outside })
    report.figure(key, { ...rss, unit: 'bytes' })
    memory.push([
      label,
      spread(rss, 0),
      spread(heap, 0),
      spread(outside, 0),
      count(runs[0]!.requests),
      check.includes('WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(memory)

  report.heading(NAME, 'opening and closing connections, one after another')
  report.line(
    `${count(flows)} connections, 20,000 a second in packet time; a closed one stays in the table for the closing time-out. Reading and decapsulation are not in it`,
  )
  const rows = [['', 'µs/connection', 'packets each', 'ns/packet', 'in the table', 'counts']]
  for (const [i, { data, label, key }] of CYCLES.entries()) {
    const runs = cycles[i]!
    const us = spreadOf(runs.map((run) => (run.seconds / flows) * 1e6))
    const each = runs[0]!.packets / flows
    const check = runs.map((run) =>
      report.check(`${NAME} ${label}`, {
        'flows opened': [run.opened, flows],
        'packets processed': [run.processed, run.packets],
        'requests parsed': [run.requests, data ? flows : 0],
        'flows open at the end': [run.open, 0],
      }),
    )
    report.result({ bench: NAME, variant: label, flows, usPerFlow: us, packetsEach: each })
    report.figure(key, { ...us, unit: 'µs' })
    rows.push([
      label,
      spread(us, 2),
      String(each),
      ((us.median / each) * 1000).toFixed(0),
      count(runs[0]!.tableSize),
      check.includes('WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(rows)
}
