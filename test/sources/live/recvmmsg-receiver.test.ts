import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { koffiAvailable } from '../../../src/sources/live/libc.ts'
import { openRecvmmsgReceiver } from '../../../src/sources/live/recvmmsg-receiver.ts'
import { describeDatagramReceiver } from '../../contracts/datagram-receiver.contract.ts'

// koffi is optional: where it does not load there is nothing to test, and open-receiver.test.ts tests just that case.
describe.skipIf(!(await koffiAvailable()))('batched receiving through koffi', () => {
  describeDatagramReceiver('recvmmsg', (options, handler) => openRecvmmsgReceiver(options, handler))

  const cleanups: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup()
  })

  test('payloads begin 2 bytes behind an 8-byte boundary: the packet inside VXLAN and Ethernet is aligned', async () => {
    const offsets = new Set<number>()
    let count = 0
    const receiver = await openRecvmmsgReceiver(
      { addresses: [{ host: '127.0.0.1', port: 0 }], receiveBufferBytes: 1 << 20, datagramBytes: 1999 },
      {
        datagram(_bytes, at) {
          count++
          offsets.add(at % 8)
        },
        batchEnd() {},
      },
    )
    cleanups.push(() => receiver.stop())
    const sender = createSocket('udp4')
    await new Promise<void>((resolve) => sender.connect(receiver.bound[0]!.port, '127.0.0.1', resolve))
    for (let i = 0; i < 300; i++) sender.send('x')
    sender.close()
    await receiver.stop()
    expect(count).toBe(300)
    expect([...offsets]).toEqual([2])
  })

  test('an idle receiver sleeps: a handful of ticks a second', async () => {
    let ticks = 0
    const receiver = await openRecvmmsgReceiver(
      { addresses: [{ host: '127.0.0.1', port: 0 }], receiveBufferBytes: 1 << 16, datagramBytes: 2048 },
      { datagram() {}, batchEnd: () => void ticks++ },
    )
    cleanups.push(() => receiver.stop())
    const ticksInHalfASecond = async (): Promise<number> => {
      const before = ticks
      await sleep(500)
      return ticks - before
    }
    // A busy machine stretches the ticks of the clock, and so the way to the quiet state.
    let idle = await ticksInHalfASecond()
    for (let attempt = 0; idle > 6 && attempt < 10; attempt++) idle = await ticksInHalfASecond()
    expect(idle).toBeGreaterThan(0)
    expect(idle).toBeLessThanOrEqual(6)
  })
})
