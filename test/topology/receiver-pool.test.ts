import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import { Shedding, ShedLevels, shedLevelBytes } from '../../src/dispatch/shedding.ts'
import { COUNTER_BLOCK_BYTES } from '../../src/metrics/counters.ts'
import { ArrivalOrder, arrivalOrderBytes } from '../../src/ring/arrival-order.ts'
import { DOORBELL_BYTES } from '../../src/ring/doorbell.ts'
import { RING_MIN_CAPACITY, ringBytes } from '../../src/ring/ring.ts'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { ReceiverPool } from '../../src/topology/receiver-pool.ts'

const ABOVE = 0.5

// koffi is optional.
describe.skipIf(!(await koffiAvailable()))('a receiver that dies', () => {
  test('takes with it the share of connections that it asked to shed: the others leave out nobody for it any longer', async () => {
    const shedLevels = new SharedArrayBuffer(shedLevelBytes(2, 1))
    const levels = new ShedLevels(shedLevels, 2, 1)
    const arrivalOrder = new SharedArrayBuffer(arrivalOrderBytes(2))
    const rings = [0, 1].map(() => [
      { ring: new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY)), bell: new SharedArrayBuffer(DOORBELL_BYTES) },
    ])
    const atDeath: number[] = []
    const pool = await ReceiverPool.open({
      listen: [{ host: '127.0.0.1', port: 0, format: 'vxlan' }],
      receivers: 2,
      receiveBufferBytes: 65_536,
      datagramBytes: 2048,
      sharesPorts: false,
      allowFrom: null,
      packetPipeline: {
        decapsulation: {
          vlanDepth: 2,
          tunnelDepth: 2,
          verifyChecksums: false,
          fragments: { datagrams: 16, bytes: 65_536, timeoutMs: 1000 },
          allowFrom: null,
          vnis: null,
        },
        dispatch: { vniInKey: true, ports: null, hashKey: 1 },
      },
      clockAnchor: new MonotonicClock().anchor,
      arrivalOrder,
      shedLevels,
      shedAbove: ABOVE,
      ringsOf: (receiver) => rings[receiver]!,
      counters: [0, 1].map(() => new SharedArrayBuffer(COUNTER_BLOCK_BYTES)),
      onReceiverDied: () => atDeath.push(levels.greatestShare()),
      onFailed: (error) => {
        throw error
      },
      onPassingError: () => {},
    })
    try {
      // As receiver 1 would have written, had its ring been so full; it writes again only when it changes its mind.
      new Shedding(shedLevels, 1, 2, 1, ABOVE).judge(Float64Array.of(0.725), 1000)
      expect(levels.greatestShare()).toBeCloseTo(0.5)
      pool.injectFault(1, 'throw')
      while (atDeath.length === 0) await sleep(5)
      expect(atDeath).toEqual([0])
      expect(new ArrivalOrder(arrivalOrder).isAbsent(0)).toBe(false)
    } finally {
      await pool.stop()
    }
  })
})
