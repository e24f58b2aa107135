/** A soak: the real service between a mirror and a strict origin, a schedule of faults, a look every second, a verdict. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeMachine, machineInWords } from '../support/machine.ts'
import { connectionsFor } from '../support/mirror-cycle.ts'
import { readSummary } from '../support/mirrorshard.ts'
import { stop } from '../support/processes.ts'
import type { Histogram } from '../support/prometheus.ts'
import { type LiveSummary, openService, type Service } from '../support/service.ts'
import { count } from '../support/table.ts'
import { Chaos } from './chaos.ts'
import { StrictOrigin, TrafficSource } from './children.ts'
import type { SoakOptions } from './options.ts'
import { renderPage } from './page.ts'
import { type FullReading, type Reading, readService } from './reading.ts'
import { makeSchedule, nameOf } from './schedule.ts'
import type { Sent } from './source.ts'
import { type Criterion, type Evidence, judge } from './verdict.ts'

/** Up to here faults are short and looks are frequent. */
const SHORT_MINUTES = 3
/** What is written down; every look is judged. */
const EVERY_S = 1
const EVERY_LONG_S = 5
const LONG_MINUTES = 10
const PROGRESS_S = 15
/** A megabyte of receive buffer: stopped for a third of a second under a burst it overflows, which is wanted. */
const RECEIVE_BUFFER = '1MiB'
const CONNECTIONS = 32
const SHARD_HEAP_MB = 192
const DRAIN_MS = 5_000
const SETTLE_MS = 5_000
const CALM_MARGIN_S = 1

/** The file that `docs` and people read. */
export interface RunFile {
  readonly kind: 'soak'
  readonly when: string
  readonly machine: readonly string[]
  readonly command: string
  readonly options: SoakOptions
  readonly isPassed: boolean
  readonly criteria: readonly Criterion[]
  readonly evidence: Omit<Evidence, 'addedTimes'>
}

/** @returns whether it was passed */
export async function soak(options: SoakOptions, directory: string, say: (line: string) => void): Promise<boolean> {
  const seconds = Math.round(options.minutes * 60)
  const { seed, rate, workers, receivers } = options
  const isShort = options.minutes <= SHORT_MINUTES
  const schedule = makeSchedule(seed, seconds, workers, receivers)
  const command = `npm run soak -- --minutes ${options.minutes} --seed ${seed} --rate ${rate} --workers ${workers} --receivers ${receivers}`
  say(
    `soak of ${options.minutes} min, seed ${seed}: ${schedule.events.length} events in ${schedule.rounds} round${schedule.rounds > 1 ? 's' : ''}, ${count(rate)} packets/s, --workers ${workers} --receivers ${receivers}`,
  )
  say(`again: ${command}`)
  for (const { fault, startS, durationS } of schedule.events)
    say(`  planned ${startS.toFixed(1).padStart(7)} s  ${durationS.toFixed(1).padStart(5)} s  ${nameOf(fault)}`)
  const machine = machineInWords(describeMachine())
  for (const line of machine) say(line)
  const connections = connectionsFor(rate)
  const origin = await StrictOrigin.open(connections)
  let service: Service | null = null
  let source: TrafficSource | null = null
  try {
    service = await openService(
      { to: origin.url, workers, receivers, args: serviceArguments(isShort), env: { MIRRORSHARD_FAULTS: '1' } },
      directory,
    )
    source = new TrafficSource(service.port, connections)
    const evidence = await watch(options, seconds, isShort, schedule, { service, source, origin }, directory, say)
    return tell(options, command, machine, evidence, say)
  } finally {
    await source?.close()
    await service?.close()
    await origin.close()
  }
}

/** Time-outs that fit the faults: a silent origin is found silent while it still is. */
function serviceArguments(isShort: boolean): string[] {
  return [
    ...['--receive-buffer-bytes', RECEIVE_BUFFER, '--shard-heap-mb', String(SHARD_HEAP_MB)],
    ...['--connections', String(CONNECTIONS), '--drain-timeout-ms', String(DRAIN_MS)],
    ...['--headers-timeout-ms', isShort ? '700' : '2000', '--body-timeout-ms', isShort ? '700' : '2000'],
    ...['--request-timeout-ms', isShort ? '3000' : '8000', '--circuit-open-ms', isShort ? '250' : '1000'],
    // Floods leave connections behind that nobody closes: they have to go within the run.
    ...['--flow-idle-timeout-ms', isShort ? '10000' : '30000', '--fragment-timeout-ms', '5000'],
  ]
}

interface Parts {
  readonly service: Service
  readonly source: TrafficSource
  readonly origin: StrictOrigin
}

async function watch(
  options: SoakOptions,
  seconds: number,
  isShort: boolean,
  schedule: ReturnType<typeof makeSchedule>,
  { service, source, origin }: Parts,
  directory: string,
  say: (line: string) => void,
): Promise<Evidence> {
  const startedMs = performance.now()
  const elapsed = () => (performance.now() - startedMs) / 1000
  const timed = (line: string) => say(`${elapsed().toFixed(1).padStart(7)} s  ${line}`)
  const { rate, seed, workers, receivers, budgetMb } = options
  const configured = { shard: workers, receiver: receivers }
  const chaos = new Chaos({ configured, service, origin, source, rate, seed, seconds: elapsed, say: timed })
  source.order({ rate })
  const end = new AbortController()
  let failure: Error | null = null
  const broken = chaos.run(schedule.events, end.signal).catch((error: Error) => {
    if (!end.signal.aborted) failure = error
  })
  const all: { reading: Reading; fromS: number; addedTimes: Histogram | null }[] = []
  const everyMs = isShort ? 500 : 1_000
  const died = deathOf(service)
  try {
    let earlier: FullReading = await readService(service, elapsed, null)
    let toldS = 0
    while (elapsed() < seconds) {
      await sleep(Math.max(20, everyMs - ((performance.now() - startedMs) % everyMs)))
      if (failure !== null) throw failure
      const now = await Promise.race([readService(service, elapsed, earlier), died])
      chaos.look(now.reading, earlier.reading)
      all.push({ reading: now.reading, fromS: earlier.reading.seconds, addedTimes: now.addedTimes })
      earlier = now
      if (now.reading.seconds - toldS >= PROGRESS_S) {
        toldS = now.reading.seconds
        timed(progressOf(now.reading))
      }
    }
  } finally {
    end.abort()
    await broken
  }
  const sent = await source.finish()
  const exit = await finish(service, sent, directory)
  const told = await origin.tell()
  // Which times were calm is known when all has recovered.
  const isCalm = all.map(({ reading, fromS }) => !chaos.touches(fromS, reading.seconds, CALM_MARGIN_S))
  return {
    readings: all.map(({ reading }) => reading),
    addedTimes: all.map(({ addedTimes }) => addedTimes),
    isCalm,
    events: chaos.records,
    kills: chaos.kills,
    deaths: chaos.deathWords,
    sent,
    origin: told,
    ...exit,
    workers,
    connections: CONNECTIONS,
    budgetMb,
  }
}

/** Rejects when the service ends by itself. */
function deathOf({ child }: Service): Promise<never> {
  const died = new Promise<never>((_, reject) => {
    child.once('exit', (code, signal) =>
      reject(new Error(`the service ended in the middle of the run with ${code ?? signal}`)),
    )
  })
  died.catch(() => {})
  return died
}

async function finish(
  service: Service,
  sent: Sent,
  directory: string,
): Promise<{ summary: LiveSummary | null; exitCode: number | null; exitText: string }> {
  const untilMs = performance.now() + SETTLE_MS
  for (;;) {
    const { packets } = await service.summary()
    if (packets.received + (packets.kernelDropped ?? 0) >= sent.packets || performance.now() > untilMs) break
    await sleep(50)
  }
  const exitCode = await stop(service.child)
  try {
    return { summary: readSummary(join(directory, 'live-summary.json')), exitCode, exitText: '' }
  } catch (error) {
    return { summary: null, exitCode, exitText: (error as Error).message }
  }
}

function progressOf(r: Reading): string {
  const heap = Object.entries(r.heapMb).map(([thread, mb]) => `${thread} ${mb.toFixed(0)}`)
  return `${r.rssMb.toFixed(0)} MB (heap ${heap.join(', ')}), ${count(r.requestsPerSecond)} requests/s, ${count(r.answersPerSecond)} answered/s, queued ${count(r.queued)}, ${r.descriptors} descriptors, health ${r.health.isGood ? 'good' : `bad: ${r.health.text}`}`
}

function tell(
  options: SoakOptions,
  command: string,
  machine: readonly string[],
  evidence: Evidence,
  say: (line: string) => void,
): boolean {
  const criteria = judge(evidence)
  const isPassed = criteria.every((criterion) => criterion.isPassed !== false)
  const when = new Date().toISOString()
  mkdirSync(options.out, { recursive: true })
  const path = join(options.out, `${when.replace(/[:.]/g, '-')}-soak-${options.seed}`)
  const thinned = thinOut(evidence, options.minutes > LONG_MINUTES ? EVERY_LONG_S : EVERY_S)
  const { addedTimes: _, ...written } = thinned
  const file: RunFile = {
    kind: 'soak',
    when,
    machine,
    command,
    options,
    isPassed,
    criteria,
    evidence: written,
  }
  writeFileSync(`${path}.json`, JSON.stringify(file))
  writeFileSync(`${path}.html`, renderPage(file))
  say('')
  for (const { name, isPassed: is, detail } of criteria)
    say(`  ${is === null ? 'not judged' : is ? 'ok        ' : 'FAILED    '}  ${name}: ${detail}`)
  say('')
  say(`report: ${path}.html; samples: ${path}.json`)
  say(`verdict: ${isPassed ? 'PASSED' : 'FAILED'} (seed ${options.seed}; again: ${command})`)
  return isPassed
}

/** Long runs are written down with fewer looks; those that show something wrong stay. */
function thinOut(evidence: Evidence, everyS: number): Evidence {
  let keptS = Number.NEGATIVE_INFINITY
  let wasGood = true
  const kept = evidence.readings.map((reading) => {
    const isNews = reading.accounts.length > 0 || reading.health.isGood !== wasGood
    wasGood = reading.health.isGood
    if (!isNews && reading.seconds - keptS < everyS - 0.1) return false
    keptS = reading.seconds
    return true
  })
  return {
    ...evidence,
    readings: evidence.readings.filter((_, i) => kept[i]),
    isCalm: evidence.isCalm.filter((_, i) => kept[i]),
    addedTimes: [],
  }
}
