/** Capture file → replay against a real nginx, with wrk on the same nginx as the floor. */

import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { engineName, enginesFor } from '../support/capabilities.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import { type Nginx, openNginx } from '../support/nginx.ts'
import type { BenchOptions } from '../support/options.ts'
import { findOnPath, runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'
import { inTurns } from '../support/rounds.ts'
import { pairedRatios, type Spread, spreadOf } from '../support/statistics.ts'
import { count, spread } from '../support/table.ts'

const NAME = 'pipeline/replay'
/** Over the file: so that what is measured is mostly sending, as it is for wrk, and not the start. */
const PASSES = 3

interface Client {
  readonly label: string
  /** null: wrk. */
  readonly engine: string | null
  readonly run: () => Promise<Measured>
}

interface Measured {
  readonly requests: number
  /** Of the whole process, its start included. */
  readonly cpuUsPerRequest: number
  /** From the first packet on. */
  readonly cpuUsPerRequestWarm: number
  readonly requestsPerSecond: number
  readonly check: 'ok' | 'WRONG'
}

export async function benchReplay(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const program = findOnPath('nginx')
  if (program === null) {
    report.heading(NAME, 'skipped: no nginx on PATH')
    return
  }
  const capture = await benchCapture(options, directory)
  const rounds = options.runs ?? 5
  const passes = options.quick ? 1 : PASSES
  const requests = capture.requests * passes
  report.heading(NAME, 'file → nginx, --speed max, whole process, 64 connections; wrk -t1 -c64 on the same nginx')
  report.line(
    `${captureInWords(capture)}, read ${passes} time(s); ${rounds} run(s) each, in turns; nginx with one worker, no access log`,
  )
  const engines = await enginesFor(options, report)
  const nginx = await openNginx(program, directory)
  try {
    const replay = async (engine: string | null, workers: number, label: string): Promise<Measured> => {
      const before = await nginx.requests()
      const { summary, cpuSeconds } = await replayFile(capture.path, nginx.url, workers, directory, {
        engine,
        loops: passes,
      })
      const after = await nginx.requests()
      const check = report.check(`${NAME} ${label}`, {
        ...losslessCounts(summary, capture.packets * passes, requests, '2xx'),
        // The second question counts itself.
        'requests that nginx counted': [
          after === null || before === null ? null : after - before - 1,
          before === null ? null : requests,
        ],
        'what nginx complained about': [nginx.complaints().join('; '), ''],
      })
      return {
        requests,
        cpuUsPerRequest: (cpuSeconds / requests) * 1e6,
        cpuUsPerRequestWarm: (summary.fromFirstPacket.cpuSeconds / requests) * 1e6,
        requestsPerSecond: requests / summary.fromFirstPacket.seconds,
        check,
      }
    }
    const replays = engines.flatMap((engine) =>
      (options.workers ?? (options.quick ? [1] : [0, 1])).map((workers): Client => {
        const label = `${engineName(engine)}, --workers ${workers}`
        return { label, engine: engineName(engine), run: () => replay(engine, workers, label) }
      }),
    )
    const wrk = findOnPath('wrk')
    if (wrk === null) report.line('no wrk on PATH: nothing to compare with')
    const clients: Client[] =
      wrk === null
        ? replays
        : [{ label: 'wrk -t1 -c64', engine: null, run: () => runWrk(wrk, nginx, options.seconds, report) }, ...replays]
    tell(clients, await inTurns(clients, rounds, (client) => client.run()), report)
  } finally {
    await nginx.close()
  }
}

async function runWrk(program: string, nginx: Nginx, seconds: number, report: Report): Promise<Measured> {
  const { stdout, cpuSeconds } = await runTimed(program, [
    '-t1',
    '-c64',
    `-d${Math.max(1, Math.round(seconds))}s`,
    `${nginx.url}/`,
  ])
  const [, requests = '0', took = '0', unit = 's'] = /(\d+) requests in ([\d.]+)(m?s)/.exec(stdout) ?? []
  const check = report.check(`${NAME} wrk`, {
    'answers other than 2xx, socket errors': [/Non-2xx|Socket errors/.test(stdout), false],
    'any requests': [Number(requests) > 0, true],
  })
  const cpuUsPerRequest = (cpuSeconds / Number(requests)) * 1e6
  return {
    requests: Number(requests),
    cpuUsPerRequest,
    cpuUsPerRequestWarm: cpuUsPerRequest,
    requestsPerSecond: Number(requests) / (Number(took) / (unit === 'ms' ? 1000 : 1)),
    check,
  }
}

function tell(clients: readonly Client[], runs: readonly Measured[][], report: Report): void {
  const rows = [['', 'CPU µs/request', 'from first packet', '× wrk, by round', 'requests/s', 'requests', 'counts']]
  const wrk = clients[0]!.engine === null ? runs[0]!.map((run) => run.cpuUsPerRequest) : null
  const ratios = new Map<string, Spread & { of: string }>()
  let fastest = 0
  for (const [i, { label, engine }] of clients.entries()) {
    const own = runs[i]!
    const cpuUs = spreadOf(own.map((run) => run.cpuUsPerRequest))
    const warm = spreadOf(own.map((run) => run.cpuUsPerRequestWarm))
    const perSecond = spreadOf(own.map((run) => run.requestsPerSecond))
    const toWrk =
      wrk === null || engine === null
        ? null
        : pairedRatios(
            own.map((run) => run.cpuUsPerRequest),
            wrk,
          )
    report.result({
      bench: NAME,
      variant: label,
      runs: own.length,
      cpuUsPerRequest: cpuUs,
      cpuUsPerRequestWarm: warm,
      requestsPerSecond: perSecond,
      ...(toWrk === null ? {} : { toWrk }),
    })
    rows.push([
      label,
      spread(cpuUs, 1),
      engine === null ? '–' : warm.median.toFixed(1),
      toWrk === null ? '–' : spread(toWrk, 2),
      count(perSecond.median),
      count(spreadOf(own.map((run) => run.requests)).median),
      own.some((run) => run.check === 'WRONG') ? 'WRONG' : 'ok',
    ])
    if (engine === null) continue
    if (perSecond.median > fastest) {
      fastest = perSecond.median
      report.figure('replay.rate', { ...perSecond, unit: 'requests/s', of: label })
    }
    const best = ratios.get(engine)
    if (toWrk !== null && (best === undefined || toWrk.median < best.median))
      ratios.set(engine, { ...toWrk, of: label })
  }
  report.table(rows)
  for (const [engine, figure] of ratios) report.figure(`replay.${engine}.ratio`, { ...figure, unit: '× wrk' })
  const best = [...ratios.values()].sort((a, b) => a.median - b.median)[0]
  if (best !== undefined) report.figure('replay.best.ratio', { ...best, unit: '× wrk' })
}
