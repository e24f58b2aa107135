/** The origin is away for half a minute, under load: what that costs, and how soon it is found again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { type Ledger, sum } from './support/identity.ts'
import { Load, Mirror } from './support/mirror.ts'
import { Origin } from './support/origin.ts'
import { socketsTo } from './support/process-state.ts'
import { closeAll, openProgram } from './support/program.ts'

const OUTAGE_MS = 30_000
const CONNECTIONS_PER_SECOND = 60
const REQUESTS_EACH = 3
/** Full after three seconds of this load: the queue's bound is reached too. */
const QUEUE_REQUESTS = 500
/** The longest pause of a circuit breaker that began with one second: 1, 2, 4, 8 (15 s in all), then 15. */
const LONGEST_PAUSE_MS = 15_000
const SHARDS = 2
/** Of a shard, from the sixth second of the outage to its end. */
const MOST_LATE_PROBES = 4
const SLACK_MS = 2000
/** Of noise: what is queued, half a megabyte, is far below. */
const FLAT_MB = 24

afterAll(closeAll)

const tried = ({ outcomes }: Ledger) => (outcomes.refused ?? 0) + (outcomes.reset ?? 0)

describe('an origin that is down for 30 s under load, and comes back', () => {
  test.concurrent.each(['wire', 'undici'])(
    '--engine %s: memory flat, drops by reason, the circuit opens and closes',
    async (engine) => {
      const origin = await Origin.listen()
      const program = await openProgram({
        to: origin.url,
        workers: SHARDS,
        engine,
        args: ['--queue-requests', String(QUEUE_REQUESTS), '--request-timeout-ms', '3000'],
      })
      const mirror = await Mirror.open(program.port)
      const load = new Load(mirror, (n) =>
        Array.from({ length: REQUESTS_EACH }, (_, i) => ({ method: 'GET', target: `/${engine}/${n}/${i}` })),
      ).start(CONNECTIONS_PER_SECOND)
      await until('traffic flows', () => origin.requests > 300, 30_000)
      const before = await program.ledger()
      await origin.goDown()
      const downMs = performance.now()
      // Once the queue is full and the breaker open, nothing may grow.
      await sleep(6000)
      const early = program.state()
      const during = await program.ledger()
      const memory = [early.rssMb]
      let most = 0
      while (performance.now() - downMs < OUTAGE_MS) {
        await sleep(500)
        memory.push(program.state().rssMb)
        const { samples } = await program.ledger()
        most = Math.max(most, samples.get('mirrorshard_replay_queued')!)
      }
      const late = program.state()
      const down = await program.ledger()
      const socketsDown = socketsTo(origin.port)
      await origin.comeUp()
      const had = origin.requests
      const recoveryMs = await until(
        'the first request is back',
        () => origin.requests > had,
        LONGEST_PAUSE_MS + SLACK_MS + program.paceMs,
      )
      // Each shard finds out by itself.
      const closedMs = await until(
        'every circuit is closed',
        async () => (await program.ledger()).samples.get('mirrorshard_replay_circuit_open') === 0,
        LONGEST_PAUSE_MS + SLACK_MS + program.paceMs,
      )
      await sleep(500)
      const fresh = load.one()
      await until('a new connection is replayed', () => fresh.every(({ target }) => origin.arrivedAt.has(target)))
      load.stop()
      const after = await program.settled()
      const drops = Object.fromEntries(
        Object.entries(after.requestDrops).map(([name, n]) => [name, n - (before.requestDrops[name] ?? 0)]),
      )
      tellFigures(
        {
          'requests sent': load.sentAt.size,
          outcomes: after.outcomes,
          dropped: drops,
          'circuit opened': after.samples.get('mirrorshard_replay_circuit_opened_total')!,
          'connections tried while down': tried(down),
          'first request back after ms': recoveryMs,
          'all circuits closed after ms': recoveryMs + closedMs,
          'queue at most': `${most} of ${QUEUE_REQUESTS}`,
          'RSS MB at 6 s, at 30 s, most': `${early.rssMb}, ${late.rssMb}, ${Math.max(...memory)}`,
          descriptors: `${early.descriptors} → ${program.state().descriptors}`,
          'sockets while down': `${socketsDown.established} + ${socketsDown.timeWait} TIME_WAIT`,
        },
        `an origin that is down for 30 s under load, and comes back: --engine ${engine}`,
      )
      expect(during.samples.get('mirrorshard_replay_circuit_open')).toBe(SHARDS)
      expect(Math.max(...memory)).toBeLessThan(early.rssMb + FLAT_MB)
      expect(most).toBeLessThanOrEqual(QUEUE_REQUESTS)
      expect(drops.circuitOpen).toBeGreaterThan(1000)
      // Sixteen failures open a circuit; then one probe per pause.
      expect(tried(down)).toBeLessThan(SHARDS * (16 + 8) + 64)
      // From the sixth second on the pauses are of 4, 8 and 15 s: a pause that does not grow would make twenty-four of them.
      expect(tried(down) - tried(during)).toBeLessThanOrEqual(SHARDS * MOST_LATE_PROBES)
      expect(socketsDown.established).toBe(0)
      expect(sum(after.outcomes) + sum(after.requestDrops)).toBe(load.sentAt.size)
      expect(origin.repeated('GET')).toEqual([])
      mirror.close()
      await program.finish()
      await origin.close()
    },
  )
})
