/** Capture file → replay against a real nginx, with wrk on the same nginx as the floor. */
import { ENGINE_NAMES } from '../../src/sinks/replay/engine.ts'
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import { type Nginx, openNginx } from '../support/nginx.ts'
import type { BenchOptions } from '../support/options.ts'
import { findOnPath, runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { type Spread, spreadOf } from '../support/statistics.ts'
import { count, ratio, spread } from '../support/table.ts'

const NAME = 'pipeline/replay'

interface Client {
  readonly label: string
  readonly run: () => Promise<Measured>
}

interface Measured {
  readonly requests: number
  readonly cpuSeconds: number
  /** Of the requests, not of the process. */
  readonly seconds: number
  readonly check: 'ok' | 'WRONG'
}

export async function benchReplay(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const program = findOnPath('nginx')
  if (program === null) {
    report.heading(NAME, 'skipped: no nginx on PATH')
    return
  }
  const capture = await benchCapture(options, directory)
  const rounds = options.runs ?? 3
  report.heading(NAME, 'file → nginx, --speed max, whole process, 64 connections; wrk -t1 -c64 on the same nginx')
  report.line(`${captureInWords(capture)}; ${rounds} run(s) each, in turns`)
  const nginx = await openNginx(program, directory)
  try {
    const ways = ENGINE_NAMES.flatMap((engine) => (options.workers ?? [0, 1]).map((workers) => ({ engine, workers })))
    const replays = ways.map(({ engine, workers }): Client => {
      const label = `replay --engine ${engine} --workers ${workers}`
      return {
        label,
        run: async () => {
          const before = await nginx.requests()
          const { summary, cpuSeconds } = await replayFile(capture.path, nginx.url, workers, directory, [
            '--engine',
            engine,
          ])
          const after = await nginx.requests()
          const check = report.check(`${NAME} ${label}`, {
            ...losslessCounts(summary, capture.packets, capture.requests, '2xx'),
            // The second question counts itself.
            'requests that nginx counted': [
              after === null || before === null ? null : after - before - 1,
              before === null ? null : capture.requests,
            ],
          })
          return { requests: capture.requests, cpuSeconds, seconds: summary.fromFirstPacket.seconds, check }
        },
      }
    })
    const wrk = findOnPath('wrk')
    if (wrk === null) report.line('no wrk on PATH: nothing to compare with')
    const clients =
      wrk === null
        ? replays
        : [{ label: 'wrk -t1 -c64', run: () => runWrk(wrk, nginx, options.seconds, report) }, ...replays]
    tell(clients, await inTurns(clients, rounds, (client) => client.run()), report)
  } finally {
    await nginx.close()
  }
}

async function runWrk(program: string, nginx: Nginx, seconds: number, report: Report): Promise<Measured> {
  const { stdout, cpuSeconds } = await runTimed(program, ['-t1', '-c64', `-d${seconds}s`, `${nginx.url}/`])
  const [, requests = '0', took = '0', unit = 's'] = /(\d+) requests in ([\d.]+)(m?s)/.exec(stdout) ?? []
  const check = report.check(`${NAME} wrk`, {
    'answers other than 2xx, socket errors': [/Non-2xx|Socket errors/.test(stdout), false],
    'any requests': [Number(requests) > 0, true],
  })
  return { requests: Number(requests), cpuSeconds, seconds: Number(took) / (unit === 'ms' ? 1000 : 1), check }
}

function tell(clients: readonly Client[], runs: readonly Measured[][], report: Report): void {
  const rows = [['', 'CPU µs/request', 'requests/s', 'requests', 'counts']]
  const medians: Spread[] = []
  for (const [i, { label }] of clients.entries()) {
    const own = runs[i]!
    const cpuUs = spreadOf(own.map((run) => (run.cpuSeconds / run.requests) * 1e6))
    const perSecond = spreadOf(own.map((run) => run.requests / run.seconds))
    medians.push(cpuUs)
    report.result({
      bench: NAME,
      variant: label,
      runs: own.length,
      cpuUsPerRequest: cpuUs,
      requestsPerSecond: perSecond,
    })
    rows.push([
      label,
      spread(cpuUs, 1),
      count(perSecond.median),
      count(spreadOf(own.map((run) => run.requests)).median),
      own.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
  }
  report.table(rows)
  if (!clients[0]!.label.startsWith('wrk')) return
  for (let i = 1; i < clients.length; i++)
    report.line(`CPU µs/request, ${clients[i]!.label} / wrk: ${ratio(medians[i]!.median, medians[0]!.median, 1)}`)
}
