/** Floods over UDP against the real `run`, for seconds each, with a small memory limit: does it hold, and do the counts add up. */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchOptions } from '../support/options.ts'
import { parseMetrics, type Samples } from '../support/prometheus.ts'
import type { Report } from '../support/report.ts'
import { openService } from '../support/service.ts'
import { count } from '../support/table.ts'
import { FLOODS } from './floods.ts'

const NAME = 'floods-live'
const LIMIT = '300MiB'
const LIMIT_BYTES = 300 * 1024 * 1024
const LIVE = [
  'SYN, each of another connection',
  'SYN flood beside real connections',
  'heads that never end, each on another connection',
  'bodies that never end, each on another connection',
]
/** Datagrams between two looks at the clock, and what one turn of the event loop may send. */
const BURST = 64
const MOST_PACKETS = 300_000
const QUIET_MS = 600

export async function benchFloodsLive(options: BenchOptions, report: Report, directory: string): Promise<void> {
  report.heading(NAME, `floods over UDP to run --to null --workers 1 --memory-limit ${LIMIT}`)
  report.line(`${options.seconds} s each, sent as fast as one thread can; what the kernel dropped never came in`)
  const rows = [['flood', 'sent', 'received', 'dropped by the kernel', 'peak MiB', 'flows evicted', 'counts']]
  for (const name of LIVE) {
    const service = await openService({ to: 'null', workers: 1, args: ['--memory-limit', LIMIT] }, directory)
    try {
      const sent = await send(name, service.port, options.seconds)
      const samples = await quiet(() => service.metrics())
      const peak = highWaterBytes(service.child.pid!)
      const summary = await service.finish()
      const { packets, requests } = summary
      const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0)
      const verdict = report.check(`${NAME}: ${name}`, {
        'packets accounted for': [packets.processed + total(packets.dropped), packets.received],
        'requests accounted for': [total(requests.dropped) + total(requests.replayed), requests.parsed],
        'sent = received + dropped by the kernel': [packets.received + (packets.kernelDropped ?? 0), sent],
        'memory within its limit': [peak <= LIMIT_BYTES, true],
        'each part within its bound': [partsBeyond(samples), ''],
      })
      const evicted = summary.flows.evicted
      report.result({ bench: NAME, variant: name, sent, peak, packets, requests, evicted })
      rows.push([
        name,
        count(sent),
        count(packets.received),
        count(packets.kernelDropped ?? 0),
        count(Math.round(peak / 1024 / 1024)),
        count(evicted),
        verdict,
      ])
    } finally {
      await service.close()
    }
  }
  report.table(rows)
}

async function send(name: string, port: number, seconds: number): Promise<number> {
  const socket = createSocket('udp4')
  let sent = 0
  const step = FLOODS.find((flood) => flood.name === name)!.open((bytes, end) => {
    // The socket sends later, and the bytes are used again.
    socket.send(Buffer.from(bytes.subarray(0, end)), port, '127.0.0.1')
    sent++
  })
  const until = performance.now() + seconds * 1000
  for (let i = 0; performance.now() < until && sent < MOST_PACKETS; ) {
    for (const end = i + BURST; i < end; i++) step(i)
    await new Promise(setImmediate)
  }
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return sent
}

/** The metrics, once nothing more comes in. */
async function quiet(read: () => Promise<string>): Promise<Samples> {
  let last = -1
  for (;;) {
    const samples = parseMetrics(await read())
    const received = samples.get('mirrorshard_source_packets_total') ?? 0
    if (received === last) return samples
    last = received
    await sleep(QUIET_MS)
  }
}

/** Names of the parts that hold more than they may. */
function partsBeyond(samples: Samples): string {
  return [...samples]
    .filter(([key]) => key.startsWith('mirrorshard_memory_bytes{'))
    .filter(([key, bytes]) => bytes > (samples.get(key.replace('_bytes{', '_limit_bytes{')) ?? 0))
    .map(([key]) => key)
    .join(', ')
}

function highWaterBytes(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}
