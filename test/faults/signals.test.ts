/** Signals under load. Reload (SIGHUP) has a file of its own. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { countBound } from '../../src/sources/live/proc-net-udp.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { sum } from './support/identity.ts'
import { Load, Mirror } from './support/mirror.ts'
import { Origin, ok } from './support/origin.ts'
import { closeAfterEach, openProgram } from './support/program.ts'

closeAfterEach()
const DRAIN_LIMIT_MS = 3000
/** For answers that do come: so late on the busiest machine. */
const AMPLE_LIMIT_MS = 30_000
const SLACK_MS = 1500

async function underLoad(answerMs: number, drainLimitMs: number) {
  const origin = await Origin.listen()
  origin.answer = (request, socket) => {
    setTimeout(() => ok(request, socket), answerMs)
  }
  const program = await openProgram({ to: origin.url, args: ['--drain-timeout-ms', String(drainLimitMs)] })
  const mirror = await Mirror.open(program.port)
  const load = new Load(mirror, (n) =>
    [0, 1].map((i) => ({ method: 'POST', target: `/${n}/${i}`, body: Buffer.from('b') })),
  )
  load.start(150)
  await until('traffic flows', () => origin.requests > 40)
  return { origin, program, mirror, load }
}

test('SIGTERM under load: what was received is finished, it ends with 0 before the limit, and the counts balance', async () => {
  const { origin, program, mirror, load } = await underLoad(50, AMPLE_LIMIT_MS)
  const startedMs = performance.now()
  const summary = await program.finish()
  const drainMs = Math.round(performance.now() - startedMs)
  load.stop()
  tellFigures({
    'drained in ms': drainMs,
    'limit ms': AMPLE_LIMIT_MS,
    parsed: summary.requests.parsed,
    replayed: summary.requests.replayed,
    dropped: summary.requests.dropped,
  })
  expect(drainMs).toBeLessThan(AMPLE_LIMIT_MS)
  // The origin answers in time: what was complete was finished.
  expect(Object.keys(summary.requests.dropped).filter((reason) => reason !== 'incomplete')).toEqual([])
  expect(sum(summary.requests.replayed)).toBe(origin.requests)
  expect(origin.repeated('POST')).toEqual([])
  mirror.close()
  await origin.close()
})

test('SIGTERM while the origin hangs: nothing more is received, and the rest is dropped with a reason at the limit', async () => {
  const { origin, program, mirror, load } = await underLoad(60_000, DRAIN_LIMIT_MS)
  const startedMs = performance.now()
  const finished = program.finish()
  // It still drains, and answers, when the port is closed already.
  await until('the port is closed', () => countBound({ host: '127.0.0.1', port: program.port }) === 0)
  const closedMs = performance.now() - startedMs
  const { received } = await program.ledger()
  const late = load.one()
  await sleep(100)
  expect((await program.ledger()).received, 'received while it drains').toBe(received)
  const summary = await finished
  const drainMs = Math.round(performance.now() - startedMs)
  load.stop()
  tellFigures({
    'port closed after ms': Math.round(closedMs),
    'drained in ms': drainMs,
    'limit ms': DRAIN_LIMIT_MS,
    dropped: summary.requests.dropped,
  })
  expect(summary.packets.received).toBe(received)
  for (const { target } of late) expect(origin.arrivedAt.has(target), target).toBe(false)
  expect(summary.requests.dropped.drainTimeout).toBeGreaterThan(0)
  expect(drainMs).toBeGreaterThan(DRAIN_LIMIT_MS * 0.9)
  expect(drainMs).toBeLessThan(DRAIN_LIMIT_MS + SLACK_MS + program.paceMs)
  mirror.close()
  await origin.close()
})

test('a second signal under load ends it at once', async () => {
  const { origin, program, mirror, load } = await underLoad(60_000, 30_000)
  const { child } = program.service
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await until('it drains', () => program.said.some((line) => line.includes('draining')))
  await sleep(200)
  expect(child.exitCode).toBeNull()
  const secondMs = performance.now()
  child.kill('SIGTERM')
  const [code] = await ended
  const endedMs = Math.round(performance.now() - secondMs)
  load.stop()
  tellFigures({ 'ended ms after the second signal': endedMs, 'exit code': code as number })
  expect(code).toBe(1)
  expect(endedMs).toBeLessThan(1000 + program.paceMs)
  mirror.close()
  await origin.close()
})
