/** The wall clock jumps by an hour, forward and back: nothing expires, because every timer is on the monotonic clock. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { ethernet, fragmentIpv4, ipv4, tcp } from '../support/packets.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { Mirror, nextClient, requestBytes, segmentOf, vxlanOf } from './support/mirror.ts'
import { Origin, ok } from './support/origin.ts'
import { closeAfterEach, openProgram } from './support/program.ts'

closeAfterEach()
const directory = mkdtempSync(join(tmpdir(), 'mirrorshard-clock-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const HOUR_MS = 3_600_000

/** Debian's package faketime, where it is. */
function libfaketime(): string | null {
  for (const base of ['/usr/lib', '/usr/lib64']) {
    if (!existsSync(base)) continue
    for (const folder of ['', ...readdirSync(base)]) {
      const path = join(base, folder, 'faketime', 'libfaketimeMT.so.1')
      if (existsSync(path)) return path
    }
  }
  return null
}

interface ShiftedClock {
  readonly env: Readonly<Record<string, string>>
  shift(ms: number): void
}

const CLOCKS: readonly [string, () => ShiftedClock | null][] = [
  [
    "libfaketime shifts the system's clock",
    () => {
      const library = libfaketime()
      if (library === null) return null
      const file = join(directory, 'faketime')
      writeFileSync(file, '+0\n')
      return {
        env: {
          LD_PRELOAD: library,
          FAKETIME_TIMESTAMP_FILE: file,
          FAKETIME_NO_CACHE: '1',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        },
        shift: (ms) => writeFileSync(file, `${ms < 0 ? '' : '+'}${Math.round(ms / 1000)}\n`),
      }
    },
  ],
  [
    'Date is shifted in every thread',
    () => {
      const file = join(directory, 'shift')
      writeFileSync(file, '0')
      const script = fileURLToPath(new URL('support/shift-date.mjs', import.meta.url))
      return {
        env: { NODE_OPTIONS: `--import ${script}`, SHIFT_DATE_FILE: file },
        shift: (ms) => writeFileSync(file, String(ms)),
      }
    },
  ],
]

describe('the wall clock jumps by an hour', () => {
  test.for(CLOCKS)('%s: nothing expires early', async ([, make], { skip }) => {
    const clock = make()
    if (clock === null) return skip('libfaketime is not installed (Debian: faketime)')
    const origin = await Origin.listen()
    // An exchange with the origin is under way when the clock jumps.
    origin.answer = (request, socket) => {
      if (request.target === '/slow') setTimeout(() => ok(request, socket), 2500)
      else ok(request, socket)
    }
    const program = await openProgram({
      to: origin.url,
      env: clock.env,
      // Far below the jump, and longer than a busy machine takes for what follows.
      args: ['--reorder-window-ms', '60000', '--fragment-timeout-ms', '60000'],
    })
    const mirror = await Mirror.open(program.port)
    const whole = requestBytes({ method: 'POST', target: '/half', body: Buffer.alloc(1000, 'h') })
    const [halved, behindHole] = [nextClient(), nextClient()]
    const hole = requestBytes({ method: 'GET', target: '/hole' })
    const fragments = fragmentIpv4(
      ipv4({
        source: '10.250.0.1',
        payload: tcp({ seq: 500, data: requestBytes({ method: 'GET', target: '/fragments' }) }),
      }),
      40,
    ).map((packet) => vxlanOf(ethernet(0x0800, packet)))
    const slow = nextClient()
    mirror.push([
      segmentOf(halved, { seq: 99, flags: TcpFlag.syn }),
      segmentOf(halved, { seq: 100, flags: TcpFlag.ack, payload: whole.subarray(0, 500) }),
      segmentOf(behindHole, { seq: 99, flags: TcpFlag.syn }),
      // Its second half comes within the reorder window, whatever the wall clock says.
      segmentOf(behindHole, { seq: 120, flags: TcpFlag.ack, payload: hole.subarray(20) }),
      segmentOf(slow, { seq: 99, flags: TcpFlag.syn }),
      segmentOf(slow, { seq: 100, flags: TcpFlag.ack, payload: requestBytes({ method: 'GET', target: '/slow' }) }),
      fragments[0]!,
    ])
    await until('traffic flows', () => origin.arrivedAt.has('/slow'))
    const before = await program.ledger()
    clock.shift(HOUR_MS)
    await sleep(500)
    clock.shift(-HOUR_MS)
    await sleep(500)
    clock.shift(HOUR_MS)
    mirror.push([segmentOf(behindHole, { seq: 100, flags: TcpFlag.ack, payload: hole.subarray(0, 20) })])
    await sleep(700)
    const between = await program.ledger()
    mirror.push([
      segmentOf(halved, { seq: 600, flags: TcpFlag.ack, payload: whole.subarray(500) }),
      ...fragments.slice(1),
    ])
    await until('what was begun before the jump is finished behind it', () =>
      ['/half', '/hole', '/fragments'].every((target) => origin.arrivedAt.has(target)),
    )
    const after = await program.settled()
    const summary = await program.finish()
    const last = JSON.parse(program.said.findLast((line) => line.includes('draining'))!) as { time: string | number }
    const shiftedMs = new Date(last.time).getTime() - Date.now()
    tellFigures({
      'log said, ms ahead': Math.round(shiftedMs),
      'flows expired': summary.flows.expired,
      gaps: summary.flows.gaps,
      'packets dropped': after.packetDrops,
      'requests dropped': after.requestDrops,
      outcomes: after.outcomes,
      'latency of the slow one ms': Math.round(summary.latencyMs.max),
    })
    // The jump did reach the program.
    expect(shiftedMs).toBeGreaterThan(HOUR_MS * 0.9)
    expect(between.packetDrops).toEqual(before.packetDrops)
    expect(between.requestDrops).toEqual({})
    expect(summary.flows.expired).toBe(0)
    expect(summary.flows.gaps).toBe(0)
    expect(after.packetDrops).toEqual({})
    expect(after.outcomes).toEqual({ '2xx': 4 })
    expect(summary.latencyMs.max).toBeLessThan(10_000)
    mirror.close()
    await origin.close()
  })
})
