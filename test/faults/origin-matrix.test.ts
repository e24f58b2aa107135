/** What an origin may do wrong × both engines: outcome, what other connections felt, recovery, bounds. */
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { countsInWords, tellFigures } from './support/figures.ts'
import { difference, sum } from './support/identity.ts'
import { connectionOf, Load, Mirror, type Wanted } from './support/mirror.ts'
import { Origin, ok } from './support/origin.ts'
import { LIMITS, ORIGIN_FAULTS, type OriginFault } from './support/origin-faults.ts'
import { socketsTo } from './support/process-state.ts'
import { closeAll, openProgram, type Program, percentile } from './support/program.ts'

const CONNECTIONS = 16
const RETRIES = 'mirrorshard_replay_retries_total'
const QUEUE_REQUESTS = 200
const FAULT_MS = 1200
const HEALTHY_PER_SECOND = 80
const FAULTY_PER_SECOND = 10
/** Others must not wait for a request that waits for its time-out: the shortest of them. */
const OTHERS_P99_MS = Math.min(LIMITS.headersTimeoutMs, LIMITS.bodyTimeoutMs) - 100
/** Of a busy machine, on top of what the rule says. */
const SLACK_MS = 600
/** The clock of a request begins a moment before it is at the origin. */
const EARLY_MS = 100
/** Memory may grow while a program warms up; what a fault costs must not add up. */
const ROW_GROWTH_MB = 40

/**
 * Origin and mirror live in this process, and their time-outs are short: where the machine is busy with something else they fire by
 * themselves. What must never happen, a sum that does not add up or a POST sent twice, is remembered over all attempts.
 */
const RETRIES_WHEN_BUSY = 2
/** Of the scrape and the like. */
const OWN_DESCRIPTORS = 4

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
const ARGS = [
  ...Object.entries(LIMITS).flatMap(([name, value]) => [`--${kebab(name)}`, String(value)]),
  ...['--connections', String(CONNECTIONS), '--queue-requests', String(QUEUE_REQUESTS)],
]

interface Bench {
  readonly origin: Origin
  readonly program: Program
  readonly mirror: Mirror
}

async function openBench(engine: string, isTls: boolean): Promise<Bench> {
  const origin = await Origin.listen(isTls)
  const program = await openProgram({
    to: origin.url,
    workers: 1,
    engine,
    args: [...ARGS, ...(isTls ? ['--tls-insecure'] : [])],
  })
  const mirror = await Mirror.open(program.port)
  // Everything is compiled and connected before anything is measured.
  const warm = new Load(mirror, (n) => [wanted(n, `/warm/${n}`)])
  await warm.runFor(600, 200)
  await program.settled()
  return { origin, program, mirror }
}

const METHODS = ['GET', 'POST', 'PUT', 'GET']
const wanted = (n: number, target: string, bodyBytes = 3): Wanted => {
  const method = METHODS[n % METHODS.length]!
  const hasBody = method !== 'GET' || bodyBytes > 3
  return {
    method: hasBody && method === 'GET' ? 'POST' : method,
    target,
    ...(hasBody ? { body: Buffer.alloc(bodyBytes, 'b') } : {}),
  }
}

/** Watches the queue while it runs. */
function watchQueue(program: Program) {
  let most = 0
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      const { samples } = await program.ledger()
      most = Math.max(most, samples.get('mirrorshard_replay_queued') ?? Number.POSITIVE_INFINITY)
      await sleep(60)
    }
  })()
  return async () => {
    isOver = true
    await watching
    return most
  }
}

describe.each(['wire', 'undici'])('--engine %s', (engine) => {
  let plain: Bench
  let tls: Bench
  let baselineP99 = 0
  let attempt = 0

  beforeAll(async () => {
    plain = await openBench(engine, false)
    tls = await openBench(engine, true)
    const load = await new Load(plain.mirror, (n) => [wanted(n, `/baseline/${n}`)]).runFor(1500, HEALTHY_PER_SECOND)
    await plain.program.settled()
    baselineP99 = percentile(delays(load, plain.origin), 0.99)
  })

  test.each(ORIGIN_FAULTS)('the origin: $name', { retry: RETRIES_WHEN_BUSY }, async (fault) => {
    const { origin, program, mirror } = fault.isTls ? tls : plain
    const path = `/${++attempt}`
    calm(origin)
    const before = await program.settled()
    const stateBefore = program.state()
    const hitsAll = fault.begin !== undefined

    const queueWatched = watchQueue(program)
    const ended: number[] = []
    const end = await begin(fault, origin, ended)
    const healthy = new Load(mirror, (n) => [wanted(n, `${path}/well/${n}`)])
    const faulty = new Load(mirror, (n) => [wanted(n, `${path}/fault/${n}`, fault.bodyBytes)])
    if (!hitsAll || fault.faultyPerSecond === undefined) healthy.start(HEALTHY_PER_SECOND)
    faulty.start(fault.faultyPerSecond ?? FAULTY_PER_SECOND)
    await sleep(FAULT_MS)
    faulty.stop()
    healthy.stop()
    // The fault is over when the last of them has met it: on a busy machine the way there takes a while.
    if (!hitsAll)
      await until('each faulty request has met the fault', () =>
        [...faulty.sentAt.keys()].every((target) => origin.arrivedAt.has(target)),
      )
    const most = await queueWatched()
    await end()
    const recoveryMs = await recovery(mirror, origin, `${path}/back`)
    const after = await program.settled()
    const stateAfter = program.state()
    const sockets = socketsTo(origin.port)

    const probes = [...origin.arrivedAt.keys()].filter((target) => target.startsWith(`${path}/back`)).length
    const outcomes = difference(after.outcomes, before.outcomes)
    const dropped = difference(after.requestDrops, before.requestDrops)
    const sent = healthy.sentAt.size + faulty.sentAt.size
    const others = delays(healthy, origin)
    // What went well was: the requests beside the fault, and those that ask whether it is over.
    const ofFaulty: Record<string, number> = {
      ...outcomes,
      ...dropped,
      '2xx': (outcomes['2xx'] ?? 0) - (hitsAll ? 0 : healthy.sentAt.size) - probes,
    }
    tellFigures(
      {
        'faulty requests came to': ofFaulty,
        'others: p99 ms': hitsAll ? 'all hit' : `${percentile(others, 0.99)} (before: ${baselineP99})`,
        'sent again': (after.samples.get(RETRIES) ?? 0) - (before.samples.get(RETRIES) ?? 0),
        'back after ms': recoveryMs,
        'queue at most': `${most} of ${QUEUE_REQUESTS}`,
        sockets: `${sockets.established} + ${sockets.timeWait} TIME_WAIT`,
        descriptors: `${stateBefore.descriptors} → ${stateAfter.descriptors}`,
        'RSS MB': `${stateBefore.rssMb} → ${stateAfter.rssMb}`,
      },
      `${engine} | ${fault.name}`,
    )

    // Every request is accounted for, under a name that fits.
    expect(after.parsed - before.parsed).toBeGreaterThanOrEqual(sent)
    expect(sum(outcomes) + sum(dropped)).toBe(after.parsed - before.parsed)
    const allowed = (engine === 'undici' ? fault.undici : undefined) ?? fault.outcomes
    const seen = Object.entries(ofFaulty).filter(([, n]) => n > 0)
    if (hitsAll) {
      // An answer may have come before the fault began, or behind it.
      expect([...allowed, '2xx'], countsInWords(ofFaulty)).toEqual(expect.arrayContaining(seen.map(([name]) => name)))
      expect(sum(ofFaulty) - ofFaulty['2xx']!, 'the fault was felt').toBeGreaterThan(0)
    } else if (fault.isRace) {
      expect(['2xx', 'reset'], countsInWords(ofFaulty)).toEqual(expect.arrayContaining(seen.map(([name]) => name)))
      expect(ofFaulty.reset ?? 0).toBeLessThan(faulty.sentAt.size / 5)
      expect(percentile(others, 0.99)).toBeLessThan(Math.max(OTHERS_P99_MS, baselineP99 * 3))
    } else {
      expect(countsInWords(ofFaulty)).toBe(countsInWords({ [allowed[0]!]: faulty.sentAt.size }))
      // The others neither failed nor waited.
      for (const target of healthy.sentAt.keys()) expect(origin.arrivedAt.has(target), target).toBe(true)
      expect(percentile(others, 0.99)).toBeLessThan(Math.max(OTHERS_P99_MS, baselineP99 * 3))
    }
    if (fault.endedBy !== undefined) {
      // The shorter ones end it before that of the whole request does.
      const median = percentile(ended, 0.5)
      expect(median).toBeGreaterThan(LIMITS[fault.endedBy] - EARLY_MS)
      if (fault.endedBy !== 'requestTimeoutMs') expect(median).toBeLessThan(LIMITS.requestTimeoutMs - EARLY_MS)
    }
    // A POST is executed at most once, whatever happens to its connection.
    expect(origin.repeated('POST')).toEqual([])
    // A pause is at most as long as all before it, and the first once more.
    expect(recoveryMs).toBeLessThan(hitsAll ? FAULT_MS + LIMITS.circuitOpenMs + SLACK_MS : SLACK_MS)
    expect(most).toBeLessThanOrEqual(QUEUE_REQUESTS)
    expect(sockets.established).toBeLessThanOrEqual(CONNECTIONS)
    expect(stateAfter.descriptors).toBeLessThanOrEqual(stateBefore.descriptors + CONNECTIONS + OWN_DESCRIPTORS)
    expect(stateAfter.rssMb).toBeLessThan(stateBefore.rssMb + ROW_GROWTH_MB)
  })

  afterAll(async () => {
    for (const bench of [plain, tls]) {
      if (bench === undefined) continue
      bench.mirror.close()
      await bench.program.finish()
      await bench.origin.close()
    }
    await closeAll()
  })
})

/** @param ended gets the time from each faulty request to the end of its connection, milliseconds */
async function begin(fault: OriginFault, origin: Origin, ended: number[]): Promise<() => Promise<void>> {
  if (fault.begin !== undefined) return fault.begin(origin)
  const { answer, atHead, later } = fault
  const hadIt = new WeakSet<Socket>()
  const isFaulty = (target: string) => target.includes('/fault/')
  if (answer !== undefined)
    origin.answer = (request, socket) => {
      if (later !== undefined && hadIt.has(socket)) later(request, socket)
      else if (!isFaulty(request.target)) ok(request, socket)
      else {
        hadIt.add(socket)
        socket.once('close', () => ended.push(performance.now() - request.atMs))
        answer(request, socket)
      }
    }
  if (atHead !== undefined)
    origin.atHead = (_method, target, socket) => {
      if (isFaulty(target)) atHead(socket)
      return isFaulty(target)
    }
  return async () => calm(origin)
}

/** The origin as it should be, whatever an attempt that failed left behind. */
function calm(origin: Origin): void {
  origin.answer = ok
  origin.atHead = null
  origin.atAccept = null
}

/** One request after the other until one arrives. @returns milliseconds */
async function recovery(mirror: Mirror, origin: Origin, name: string): Promise<number> {
  const startedMs = performance.now()
  for (let n = 0; ; n++) {
    mirror.push(connectionOf([{ method: 'GET', target: `${name}/${n}` }]))
    await sleep(20)
    for (let i = 0; i <= n; i++) {
      const atMs = origin.arrivedAt.get(`${name}/${i}`)
      if (atMs !== undefined) return Math.round(atMs - startedMs)
    }
    if (performance.now() - startedMs > 10_000) return Number.POSITIVE_INFINITY
  }
}

/** Sent to the mirror until arrived at the origin, milliseconds. */
function delays(load: Load, origin: Origin): number[] {
  return [...load.sentAt].flatMap(([target, atMs]) => {
    const arrivedMs = origin.arrivedAt.get(target)
    return arrivedMs === undefined ? [] : [arrivedMs - atMs]
  })
}
