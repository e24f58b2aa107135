/** Threads that die: the others go on, and what was lost has a count. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { sum } from './support/identity.ts'
import { Load, Mirror } from './support/mirror.ts'
import { Origin, ok } from './support/origin.ts'
import { closeAfterEach, openProgram } from './support/program.ts'

const KINDS = ['throw', 'exit', 'oom', 'spin']
/** Promised to be back within. */
const RESTART_MS = 2000
/** Two cores are shared with whatever else runs: a check every 200 ms may be late. A start is given what the first one took, too. */
const GRACE_MS = 1000

const ANSWER_MS = 40

let origin: Origin
let round = 0
beforeAll(async () => {
  origin = await Origin.listen()
  // Answers take a while, so that there is something in the hands of whoever dies.
  origin.answer = (request, socket) => {
    setTimeout(() => ok(request, socket), ANSWER_MS)
  }
})
afterAll(() => origin.close())
closeAfterEach()

async function breakUnderLoad(thread: string, kind: string, receivers: number) {
  const program = await openProgram({
    to: origin.url,
    receivers,
    args: ['--shard-heap-mb', '64'],
  })
  const mirror = await Mirror.open(program.port)
  const name = `/${thread.replace('=', '')}/${kind}/${++round}`
  const load = new Load(mirror, (n) => [0, 1, 2].map((i) => ({ method: 'GET', target: `${name}/${n}/${i}` })))
  load.start(200)
  await until('traffic flows', () => origin.arrivedAt.has(`${name}/50/0`))
  const before = program.state()
  const limitMs = RESTART_MS + GRACE_MS + program.paceMs
  const stage = thread.startsWith('shard') ? 'worker' : 'receiver'
  const running = async () =>
    (await program.ledger()).samples.get(`mirrorshard_${stage}s{state="running"}`) ?? Number.NaN
  await program.break(thread, kind)
  const brokenMs = performance.now()
  const index = thread.split('=')[1]
  await until('its death is told', () => program.said.some((line) => line.includes(`${stage} ${index} died`)), limitMs)
  const diedMs = Math.round(performance.now() - brokenMs)
  await until('both run', async () => (await running()) === 2, limitMs)
  const restartMs = Math.round(performance.now() - brokenMs)
  // While one was away: requests that other threads carried.
  const carried = [...origin.arrivedAt].filter(
    ([target, atMs]) => target.startsWith(name) && atMs > brokenMs && atMs < brokenMs + restartMs,
  ).length
  const sentMeanwhile = [...load.sentAt.values()].filter(
    (atMs) => atMs > brokenMs && atMs < brokenMs + restartMs,
  ).length
  await sleep(500)
  load.stop()
  const ledger = await program.settled()
  const after = program.state()
  const arrived = [...load.sentAt.keys()].filter((target) => origin.arrivedAt.has(target)).length
  const others = program.said.filter((line) => /(worker|receiver) \d+ died/.test(line))
  const summary = await program.finish()
  mirror.close()
  return {
    program,
    ledger,
    summary,
    mirror,
    diedMs,
    restartMs,
    limitMs,
    carried,
    sentMeanwhile,
    before,
    after,
    arrived,
    others,
    load,
  }
}

function tellBreak(seen: Awaited<ReturnType<typeof breakUnderLoad>>, more: Readonly<Record<string, number>>): void {
  const { ledger, before, after } = seen
  tellFigures({
    'noticed ms': seen.diedMs,
    'back ms': seen.restartMs,
    'arrived of those sent meanwhile': `${seen.carried} / ${seen.sentMeanwhile}`,
    'requests sent': seen.load.sentAt.size,
    arrived: seen.arrived,
    'packets dropped': ledger.packetDrops,
    'requests dropped': ledger.requestDrops,
    ...more,
    'RSS MB': `${before.rssMb} → ${after.rssMb}`,
    descriptors: `${before.descriptors} → ${after.descriptors}`,
  })
}

describe('a shard under load', () => {
  test.each(KINDS)(
    'that ends by %s: the other goes on, it is back in two seconds, its loss is counted',
    async (kind) => {
      const seen = await breakUnderLoad('shard=0', kind, 1)
      const { ledger, summary } = seen
      tellBreak(seen, { 'flows lost': summary.flows.lost })
      expect(seen.restartMs).toBeLessThan(seen.limitMs)
      // The kernel delivered everything, so what did not arrive must have a reason.
      expect(ledger.received + ledger.kernelDrops).toBe(seen.mirror.datagrams)
      expect(seen.others, 'only the broken one died').toHaveLength(1)
      // About half of the connections are the other shard's.
      expect(seen.carried).toBeGreaterThan(seen.sentMeanwhile / 5)
      expect(summary.flows.lost).toBeGreaterThan(0)
      expect(summary.requests.dropped.shardLost).toBeGreaterThan(0)
      // Nothing is sent a second time by the shard that is back.
      expect(origin.repeated('GET')).toEqual([])
      expect(seen.after.descriptors).toBeLessThanOrEqual(seen.before.descriptors + 70)
    },
  )
})

describe.skipIf(!(await koffiAvailable()))('a receiver under load', () => {
  test.each(KINDS)(
    'that ends by %s: the other goes on, it is back in two seconds, its loss is counted',
    async (kind) => {
      const seen = await breakUnderLoad('receiver=1', kind, 2)
      const { ledger, summary } = seen
      tellBreak(seen, { gaps: summary.flows.gaps })
      expect(seen.restartMs).toBeLessThan(seen.limitMs)
      expect(ledger.received + ledger.kernelDrops).toBe(seen.mirror.datagrams)
      expect(seen.others, 'only the broken one died').toHaveLength(1)
      expect(seen.carried).toBeGreaterThan(seen.sentMeanwhile / 5)
      // Its sockets went on queueing: a dead receiver costs what it had in its hands, and that is counted.
      const requestsLost = seen.load.sentAt.size - seen.arrived
      if (requestsLost > 0) {
        const counted = (ledger.packetDrops.receiverLost ?? 0) + ledger.kernelDrops + sum(ledger.requestDrops)
        expect(counted).toBeGreaterThan(0)
      }
    },
  )
})
