/** How long a user waits: from the start of `run` to its first packet, and for `--version`. */
import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'
import { MIRROR_SEED, makeCycle } from '../support/mirror-cycle.ts'
import { MAIN } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import { runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { openService } from '../support/service.ts'
import { pairedRatios, spreadOf } from '../support/statistics.ts'
import { spread } from '../support/table.ts'

const NAME = 'service/start'
const BETWEEN_DATAGRAMS_MS = 1
const FIRST_PACKET_LIMIT_MS = 10_000

interface Start {
  readonly receivingMs: number
  readonly firstPacketMs: number
}

export async function benchStart(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const rounds = options.runs ?? 11
  const workers = options.workers ?? (options.quick ? [1] : [0, 1])
  report.heading(NAME, 'a mirror that already sends, `run --to null` started: wall ms until it receives')
  const starts = await inTurns(workers, rounds, (n) => startOnce(n, directory))
  const rows = [['workers', 'ms to “receiving”', 'ms to the first packet taken']]
  for (const [i, n] of workers.entries()) {
    const receivingMs = spreadOf(starts[i]!.map((start) => start.receivingMs))
    const firstPacketMs = spreadOf(starts[i]!.map((start) => start.firstPacketMs))
    report.result({ bench: NAME, variant: `workers ${n}`, runs: rounds, receivingMs, firstPacketMs })
    rows.push([String(n), spread(receivingMs, 0), spread(firstPacketMs, 0)])
    // Of the greatest number of workers: threads are what takes time.
    if (n === Math.max(...workers)) report.figure('start.first', { ...firstPacketMs, unit: 'ms', of: `--workers ${n}` })
  }
  report.table(rows)

  const programs = [
    [MAIN, '--version'],
    ['-e', '0'],
  ]
  const runs = await inTurns(programs, rounds, (args) => runTimed(process.execPath, args))
  report.check(`${NAME} --version`, { 'exit codes': [runs.flat().every((run) => run.code === 0), true] })
  const [ours, node] = runs.map((own) => own.map((run) => run.wallSeconds * 1000))
  const [oursCpu, nodeCpu] = runs.map((own) => own.map((run) => run.cpuSeconds * 1000))
  const wall = pairedRatios(ours!, node!)
  const cpu = pairedRatios(oursCpu!, nodeCpu!)
  report.line(
    `--version: ${spread(spreadOf(ours!), 0)} ms, node -e 0: ${spread(spreadOf(node!), 0)} ms, by round ${spread(wall, 2)} ×; CPU by round ${spread(cpu, 2)} ×`,
  )
  report.result({ bench: NAME, variant: '--version', ours: spreadOf(ours!), node: spreadOf(node!), wall, cpu })
  report.figure('start.version.ratio', { ...wall, unit: '× node -e 0' })
}

/** The first packet's time is what the program tells of it, counted back from the answer: exact to the answer's own way. */
async function startOnce(workers: number, directory: string): Promise<Start> {
  const cycle = makeCycle(MIRROR_SEED, 1, 1)
  const datagram = cycle.bytes.subarray(cycle.offsets[0], cycle.offsets[1])
  const port = await freePort()
  const socket = createSocket('udp4')
  // Nobody listens at first: that is what is waited for.
  socket.on('error', () => {})
  const sending = setInterval(() => socket.send(datagram, port, '127.0.0.1'), BETWEEN_DATAGRAMS_MS)
  try {
    const startedMs = performance.now()
    const service = await openService({ to: 'null', workers, port }, directory)
    try {
      for (;;) {
        const askedMs = performance.now()
        const { packets, fromFirstPacket } = await service.summary()
        const answeredMs = performance.now()
        if (packets.received > 0) {
          const readMs = (askedMs + answeredMs) / 2
          return {
            receivingMs: service.startMs,
            firstPacketMs: readMs - fromFirstPacket.seconds * 1000 - startedMs,
          }
        }
        if (answeredMs - startedMs > FIRST_PACKET_LIMIT_MS) throw new Error('no packet came')
        await sleep(2)
      }
    } finally {
      await service.close()
    }
  } finally {
    clearInterval(sending)
    socket.close()
  }
}
