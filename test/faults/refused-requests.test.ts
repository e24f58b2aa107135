/** Requests that an engine cannot send, more of them than it has connections. */
import { expect, test } from 'vitest'
import { tellFigures } from './support/figures.ts'
import { connectionOf, Mirror, type Wanted } from './support/mirror.ts'
import { Origin } from './support/origin.ts'
import { closeAfterEach, openProgram } from './support/program.ts'

const CONNECTIONS = 4
closeAfterEach()

/** Legal on the wire, and refused by undici before a byte is written. */
const REFUSED: readonly { name: string; make: (n: number) => Wanted }[] = [
  {
    name: 'control character in a value',
    make: (n) => ({ method: 'GET', target: `/no/${n}`, fields: ['X-A: a\x01b'] }),
  },
  { name: 'two Host lines', make: (n) => ({ method: 'GET', target: `/no/${n}`, fields: ['Host: again.test'] }) },
  { name: 'OPTIONS *', make: () => ({ method: 'OPTIONS', target: '*' }) },
]

test.each(['undici', 'wire'])(
  '--engine %s: after N + 1 requests that it refuses all N connections are still usable, and replay goes on',
  async (engine) => {
    const origin = await Origin.listen()
    const program = await openProgram({
      to: origin.url,
      workers: 1,
      engine,
      args: ['--connections', String(CONNECTIONS), '--keep-host', '--request-timeout-ms', '3000'],
    })
    const mirror = await Mirror.open(program.port)
    let wanted = 0
    for (let n = 0; n < 5 * CONNECTIONS + 1; n++) {
      for (const { make } of REFUSED) mirror.push(connectionOf([make(wanted++)]))
      // On the same captured connection: what stands behind a refused request is sent.
      mirror.push(
        connectionOf([
          { method: 'GET', target: `/before/${n}` },
          REFUSED[n % REFUSED.length]!.make(wanted++),
          { method: 'GET', target: `/behind/${n}` },
        ]),
      )
    }
    const ledger = await program.settled()
    const good = [...origin.arrivedAt.keys()].filter((target) => /^\/(before|behind)\//.test(target)).length
    tellFigures({
      connections: CONNECTIONS,
      'requests it may refuse': wanted,
      'others sent': 2 * (5 * CONNECTIONS + 1),
      'others arrived': good,
      outcomes: ledger.outcomes,
      dropped: ledger.requestDrops,
    })
    expect(good).toBe(2 * (5 * CONNECTIONS + 1))
    expect(ledger.parsed).toBe(wanted + good)
    expect(ledger.requestDrops.unsendable ?? 0).toBeGreaterThan(engine === 'undici' ? CONNECTIONS : -1)
    mirror.close()
    await program.finish()
    await origin.close()
  },
)
