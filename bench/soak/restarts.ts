/**
 * Millions of requests against an nginx that is stopped and started again and again: at the end our count and nginx's log say
 * the same about every single one.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeMachine, machineInWords } from '../support/machine.ts'
import { connectionsFor } from '../support/mirror-cycle.ts'
import { sumOf } from '../support/mirrorshard.ts'
import { findOnPath } from '../support/processes.ts'
import { type LiveSummary, openService, type Service } from '../support/service.ts'
import { count } from '../support/table.ts'
import { roomDrops } from './chaos.ts'
import { TrafficSource } from './children.ts'
import { KnownRequests, placeOfIds } from './known-requests.ts'
import type { SoakOptions } from './options.ts'
import { type FullReading, type Reading, readService } from './reading.ts'
import { RestartedNginx, type Way } from './restarted-nginx.ts'
import type { Sent } from './source.ts'
import { type Criterion, inDoubtOf } from './verdict.ts'

const LOOK_MS = 1_000
const PROGRESS_S = 15
/** The rate is sought while it runs: down where something was lost or piles up, else up. */
const FIRST_SHARE = 0.5
const DOWN = 0.8
const UP = 1.05
const LEAST_RATE = 1_000
/** A restart's own queue is no sign of too high a rate. */
const AFTER_RESTART_S = 3
const PILED_UP = 20_000
const SERVICE = [
  ...['--queue-requests', '200000', '--queue-bytes', '512MiB', '--circuit-open-ms', '250'],
  ...['--headers-timeout-ms', '5000', '--drain-timeout-ms', '15000'],
]
/** Not one more request found for so long: something hangs. */
const STALL_S = 60

/** What nginx's log says, each request by its own number. */
export interface LogCount {
  readonly lines: number
  readonly byStatus: Readonly<Record<string, number>>
  readonly distinct: number
  /** Logged a second time: idempotent ones, as retries may be. */
  readonly again: number
  /** Logged a second time and must not be, or a third time. */
  readonly twice: number
  /** No request of the mirror, or of a pass that was not sent. */
  readonly invented: number
  readonly example: string | null
}

/** @returns whether every count fits */
export async function restarts(options: SoakOptions, directory: string, say: (line: string) => void): Promise<boolean> {
  const program = findOnPath('nginx')
  if (program === null) {
    say('skipped: no nginx on PATH')
    return true
  }
  const machine = machineInWords(describeMachine())
  for (const line of machine) say(line)
  const { requests, everySeconds, workers, receivers, rate } = options
  say(
    `restarts: ${count(requests)} requests, nginx started again every ${everySeconds} s, at most ${count(rate)} packets/s, --workers ${workers} --receivers ${receivers}`,
  )
  const connections = connectionsFor(rate)
  const nginx = await RestartedNginx.open(program, directory)
  let service: Service | null = null
  let source: TrafficSource | null = null
  try {
    service = await openService({ to: nginx.url, workers, receivers, args: SERVICE }, directory)
    source = new TrafficSource(service.port, connections)
    const startedMs = performance.now()
    const { accounts, seconds } = await drive(options, service, source, nginx, say)
    const sent = await source.finish()
    await service.settle(sent)
    const summary = await service.finish()
    await nginx.close()
    const log = await countLog(nginx.log(), new KnownRequests(connections, ''), sent.passes)
    const criteria = judgeRestarts({ sent, summary, log, restarts: nginx.restarts, accounts, asked: requests })
    const isPassed = criteria.every(({ isPassed: is }) => is !== false)
    say('')
    for (const { name, isPassed: is, detail } of criteria) say(`  ${is ? 'ok    ' : 'FAILED'}  ${name}: ${detail}`)
    mkdirSync(options.out, { recursive: true })
    const when = new Date().toISOString()
    const path = join(options.out, `${when.replace(/[:.]/g, '-')}-restarts.json`)
    writeFileSync(
      path,
      JSON.stringify({
        kind: 'restarts',
        when,
        machine,
        options,
        isPassed,
        criteria,
        seconds,
        sent,
        summary,
        log,
        restarts: nginx.restarts,
      } satisfies RestartsFile),
    )
    say('')
    say(`${((performance.now() - startedMs) / 1000).toFixed(0)} s; figures: ${path}`)
    say(`verdict: ${isPassed ? 'PASSED' : 'FAILED'}`)
    return isPassed
  } finally {
    await source?.close()
    await service?.close()
    await nginx.close()
  }
}

export interface RestartsFile {
  readonly kind: 'restarts'
  readonly when: string
  readonly machine: readonly string[]
  readonly options: SoakOptions
  readonly isPassed: boolean
  readonly criteria: readonly Criterion[]
  /** Of traffic. */
  readonly seconds: number
  readonly sent: Sent
  readonly summary: LiveSummary
  readonly log: LogCount
  readonly restarts: { readonly [W in Way]: number }
}

interface RunStats {
  looks: number
  readonly wrong: string[]
}

/** Traffic at the highest rate that all keep up with, and restarts, until so many requests were found. */
async function drive(
  { requests, everySeconds, rate: mostRate }: SoakOptions,
  service: Service,
  source: TrafficSource,
  nginx: RestartedNginx,
  say: (line: string) => void,
): Promise<{ accounts: RunStats; seconds: number }> {
  const startedMs = performance.now()
  const elapsed = () => (performance.now() - startedMs) / 1000
  const accounts: RunStats = { looks: 0, wrong: [] }
  let rate = Math.max(LEAST_RATE, mostRate * FIRST_SHARE)
  source.order({ rate })
  let restarting: Promise<void> | null = null
  let failure: Error | null = null
  let nextRestartS = Math.min(everySeconds, 3)
  let restartedS = Number.NEGATIVE_INFINITY
  let way: Way = 'graceful'
  let toldS = 0
  let progressedS = 0
  let earlier: FullReading = await readService(service, elapsed, null)
  for (;;) {
    await sleep(LOOK_MS)
    if (failure !== null) throw failure
    const now = await readService(service, elapsed, earlier)
    const { reading } = now
    accounts.looks++
    for (const wrong of reading.accounts) accounts.wrong.push(`${reading.seconds.toFixed(1)} s: ${wrong}`)
    if (reading.parsed > earlier.reading.parsed) progressedS = reading.seconds
    if (reading.seconds - progressedS > STALL_S) throw new Error(`no request was found for ${STALL_S} s`)
    if (reading.parsed >= requests) break
    const isSettled = restarting === null && reading.seconds - restartedS > AFTER_RESTART_S
    const wanted = nextRate(rate, mostRate, reading, earlier.reading, isSettled)
    if (wanted !== rate) {
      rate = wanted
      source.order({ rate })
    }
    if (restarting === null && reading.seconds >= nextRestartS) {
      nextRestartS = reading.seconds + everySeconds
      const chosen = way
      way = way === 'graceful' ? 'hard' : 'graceful'
      restarting = nginx.restart(chosen).then(
        () => {
          restartedS = elapsed()
          restarting = null
        },
        (error: Error) => {
          failure = error
        },
      )
    }
    if (reading.seconds - toldS >= PROGRESS_S) {
      toldS = reading.seconds
      say(
        `${reading.seconds.toFixed(0).padStart(6)} s  ${count(reading.parsed)} of ${count(requests)}, ${count(reading.answersPerSecond)} answered/s at ${count(rate)} packets/s, queued ${count(reading.queued)}, ${nginx.restarts.graceful} graceful and ${nginx.restarts.hard} hard restarts, ${reading.rssMb.toFixed(0)} MB`,
      )
    }
    earlier = now
  }
  await restarting
  if (failure !== null) throw failure
  return { accounts, seconds: elapsed() }
}

function nextRate(rate: number, most: number, now: Reading, before: Reading, isSettled: boolean): number {
  const lost =
    roomDrops(now) - roomDrops(before) + (now.requestsDropped.queueFull ?? 0) - (before.requestsDropped.queueFull ?? 0)
  if (!isSettled) return rate
  if (lost > 0 || now.queued > PILED_UP) return Math.max(LEAST_RATE, rate * DOWN)
  return now.queued > PILED_UP / 4 ? rate : Math.min(most, rate * UP)
}

/** @param passes as many as were sent */
export async function countLog(
  lines: AsyncIterable<{ readonly status: string; readonly address: string; readonly id: string }>,
  known: Pick<KnownRequests, 'perPass' | 'isIdempotent'>,
  passes: number,
): Promise<LogCount> {
  const { perPass } = known
  const times = new Uint8Array(passes * perPass)
  const byStatus: Record<string, number> = {}
  const counted = { lines: 0, distinct: 0, again: 0, twice: 0, invented: 0 }
  let example: string | null = null
  for await (const { status, address, id } of lines) {
    counted.lines++
    byStatus[status] = (byStatus[status] ?? 0) + 1
    const place = placeOfIds(address, id, perPass)
    if (place === null || place.pass >= passes) {
      counted.invented++
      example ??= `not sent: ${status} ${address} ${id}`
      continue
    }
    const number = place.pass * perPass + place.inPass
    const seen = Math.min(255, times[number]! + 1)
    times[number] = seen
    if (seen === 1) counted.distinct++
    else if (seen === 2 && known.isIdempotent(place.inPass)) counted.again++
    else {
      counted.twice++
      example ??= `${seen} times: ${address} ${id}`
    }
  }
  return { ...counted, byStatus, example }
}

/** What must hold, with every inequality and where it comes from. */
export function judgeRestarts({
  sent,
  summary,
  log,
  restarts: { graceful, hard },
  accounts,
  asked,
}: {
  readonly sent: Pick<Sent, 'packets' | 'requests'>
  readonly summary: LiveSummary
  readonly log: LogCount
  readonly restarts: { readonly [W in Way]: number }
  readonly accounts: { readonly looks: number; readonly wrong: readonly string[] }
  readonly asked: number
}): Criterion[] {
  const { packets, requests } = summary
  const kernel = packets.kernelDropped ?? 0
  const dropped = sumOf(requests.dropped)
  const replayed = sumOf(requests.replayed)
  const answered = requests.replayed['2xx'] ?? 0
  const logged = log.byStatus['200'] ?? 0
  const doubt = inDoubtOf(summary) - requests.retried
  const most = answered + doubt + requests.retried
  return [
    {
      name: 'as many requests as asked, and restarts of both kinds',
      isPassed: requests.parsed >= asked && graceful > 0 && hard > 0,
      detail: `${count(requests.parsed)} found of ${count(sent.requests)} sent; ${graceful} graceful restarts (SIGQUIT), ${hard} hard ones (SIGKILL)`,
    },
    {
      name: 'every packet sent is accounted for',
      isPassed:
        sent.packets === packets.received + kernel && packets.received === packets.processed + sumOf(packets.dropped),
      detail: `sent ${count(sent.packets)} = received ${count(packets.received)} + dropped by the kernel ${count(kernel)}; of the received ones processed ${count(packets.processed)}, dropped ${count(sumOf(packets.dropped))}${reasons(packets.dropped)}`,
    },
    {
      name: 'parsed = dropped + replayed + held',
      isPassed: requests.parsed === dropped + replayed + requests.held && requests.held === 0,
      detail: `${count(requests.parsed)} = ${count(dropped)} + ${count(replayed)} + ${requests.held}${reasons(requests.dropped)}; by outcome${reasons(requests.replayed)}`,
    },
    {
      name: 'counts balance in every scrape',
      isPassed: accounts.looks > 0 && accounts.wrong.length === 0,
      detail: accounts.wrong.length === 0 ? `${accounts.looks} scrapes` : accounts.wrong.slice(0, 3).join('; '),
    },
    {
      // nginx writes the line after the answer; a worker does one thing at a time, so a kill can come between for one request.
      name: 'what was answered is in nginx’s log',
      isPassed: answered - hard <= logged,
      detail: `answered ${count(answered)} − hard restarts ${hard} ≤ logged with 200 ${count(logged)}`,
    },
    {
      name: 'what is in nginx’s log was answered, in doubt or retried',
      isPassed: logged <= most,
      detail: `logged with 200 ${count(logged)} ≤ answered ${count(answered)} + in doubt ${count(doubt)} + retried ${count(requests.retried)} = ${count(most)}`,
    },
    {
      name: 'nginx logged nothing else',
      isPassed: logged === log.lines && log.invented === 0 && log.distinct <= requests.parsed,
      detail: `${count(log.lines)} lines${reasons(log.byStatus)}; invented ${log.invented}; ${count(log.distinct)} different requests${log.example === null ? '' : `; first wrong: ${log.example}`}`,
    },
    {
      name: 'no request is logged more often than allowed',
      isPassed: log.twice === 0 && log.again <= requests.retried,
      detail: `against the rules ${log.twice}; idempotent ones a second time ${count(log.again)} ≤ retried ${count(requests.retried)}`,
    },
  ]
}

function reasons(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts)
  return entries.length === 0 ? '' : ` (${entries.map(([name, n]) => `${name} ${count(n)}`).join(', ')})`
}
