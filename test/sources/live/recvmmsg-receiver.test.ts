import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { koffiAvailable, loadLibc } from '../../../src/sources/live/libc.ts'
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

  test.each([
    { errno: 9, name: 'EBADF', isFinal: true },
    { errno: 12, name: 'ENOMEM', isFinal: false },
    { errno: 100, name: 'ENETDOWN', isFinal: false },
  ])(
    'receiving that fails with $name ends it, or is tried on until it works again',
    async ({ errno, name, isFinal }) => {
      const libc = await loadLibc()
      let failsWith = 0
      const failing = {
        ...libc,
        recvmmsg: (...args: Parameters<typeof libc.recvmmsg>) => (failsWith === 0 ? libc.recvmmsg(...args) : -1),
        errno: () => (failsWith === 0 ? libc.errno() : failsWith),
      }
      const failures: string[] = []
      const warnings: string[] = []
      let count = 0
      const receiver = await openRecvmmsgReceiver(
        {
          addresses: [{ host: '127.0.0.1', port: 0 }],
          receiveBufferBytes: 1 << 20,
          datagramBytes: 1999,
          onFailed: ({ message }) => failures.push(message),
          onPassingError: (text) => warnings.push(text),
        },
        { datagram: () => void count++, batchEnd() {} },
        failing,
      )
      cleanups.push(() => receiver.stop())
      failsWith = errno
      await sleep(100)
      failsWith = 0
      const sender = createSocket('udp4')
      await new Promise<void>((resolve) => sender.connect(receiver.bound[0]!.port, '127.0.0.1', resolve))
      sender.send('x')
      for (let i = 0; i < 100 && count === 0; i++) await sleep(20)
      sender.close()
      expect(count).toBe(1)
      // Once, not with every turn.
      expect(failures).toEqual(isFinal ? [`receiving failed with ${name}: the socket cannot be read any more`] : [])
      expect(warnings).toEqual(isFinal ? [] : [`receiving failed with ${name}; retrying`])
    },
  )
})
