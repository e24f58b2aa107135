/** Signals under load. Reload (SIGHUP) has a file of its own. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { tellFigures } from './support/figures.ts'
import { sum } from './support/identity.ts'
import { Load, Mirror } from './support/mirror.ts'
import { Origin, ok } from './support/origin.ts'
import { closeAfterEach, openProgram } from './support/program.ts'
import { until } from './support/until.ts'

closeAfterEach()
const DRAIN_LIMIT_MS = 3000
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
  await until('traffic flows', () => origin.requests > 40, 10_000)
  return { origin, program, mirror, load }
}

test('SIGTERM under load: stops receiving, drains, ends with 0 within the limit, and the counts balance', async () => {
  const { origin, program, mirror, load } = await underLoad(50, DRAIN_LIMIT_MS)
  const startedMs = performance.now()
  const summary = await program.finish()
  const drainMs = Math.round(performance.now() - startedMs)
  load.stop()
  tellFigures({
    'drained in ms': drainMs,
    'limit ms': DRAIN_LIMIT_MS,
    parsed: summary.requests.parsed,
    replayed: summary.requests.replayed,
    dropped: summary.requests.dropped,
  })
  expect(drainMs).toBeLessThan(DRAIN_LIMIT_MS + SLACK_MS)
  // The origin answers in time: what was complete was finished.
  expect(Object.keys(summary.requests.dropped).filter((reason) => reason !== 'incomplete')).toEqual([])
  expect(sum(summary.requests.replayed)).toBe(origin.requests)
  expect(origin.repeated('POST')).toEqual([])
  mirror.close()
  await origin.close()
})

test('SIGTERM while the origin hangs: the rest is dropped at the limit, by name', async () => {
  const { origin, program, mirror, load } = await underLoad(60_000, 700)
  const startedMs = performance.now()
  const summary = await program.finish()
  const drainMs = Math.round(performance.now() - startedMs)
  load.stop()
  tellFigures({ 'drained in ms': drainMs, 'limit ms': 700, dropped: summary.requests.dropped })
  expect(summary.requests.dropped.drainTimeout).toBeGreaterThan(0)
  expect(drainMs).toBeLessThan(700 + SLACK_MS)
  mirror.close()
  await origin.close()
})

test('a second signal under load ends it at once', async () => {
  const { origin, program, mirror, load } = await underLoad(60_000, 30_000)
  const { child } = program.service
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await until('it drains', () => program.said.some((line) => line.includes('draining')), 3000)
  await sleep(200)
  expect(child.exitCode).toBeNull()
  const secondMs = performance.now()
  child.kill('SIGTERM')
  const [code] = await ended
  const endedMs = Math.round(performance.now() - secondMs)
  load.stop()
  tellFigures({ 'ended ms after the second signal': endedMs, 'exit code': code as number })
  expect(code).toBe(1)
  expect(endedMs).toBeLessThan(1000)
  mirror.close()
  await origin.close()
})
