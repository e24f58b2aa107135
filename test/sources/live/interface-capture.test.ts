import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { MirrorError } from '../../../src/base/errors.ts'
import {
  type InterfaceCapture,
  type InterfaceCaptureOptions,
  linkTypeOf,
  openInterfaceCapture,
  type PacketHandler,
} from '../../../src/sources/live/interface-capture.ts'

const clock = { nowUs: () => 1_700_000_000_000_000 }
const silent: PacketHandler = { packet() {}, batchEnd() {} }
const lo: InterfaceCaptureOptions = { interfaceName: 'lo', filter: '', bufferBytes: 16 << 20, snapLength: 65_535 }

const failure = async (options: Partial<InterfaceCaptureOptions>, importCap?: () => Promise<unknown>) => {
  try {
    await (await openInterfaceCapture({ ...lo, ...options }, silent, clock, importCap)).stop()
    return null
  } catch (error) {
    return error
  }
}

/** cap is optional and wants a capability: the tests that capture run where both are there. */
const canCapture = (await failure({})) === null
const isCapBuilt = await import('cap' as string).then(
  () => true,
  () => false,
)

describe('capture from an interface', () => {
  const opened: InterfaceCapture[] = []
  afterEach(async () => {
    for (const capture of opened.splice(0)) await capture.stop()
  })

  test('without package cap built, the error says what to install', async () => {
    const error = await failure({}, () => Promise.reject(new Error('Cannot find module cap.node\nRequire stack')))
    expect(error).toBeInstanceOf(MirrorError)
    expect(error).toMatchObject({
      code: 'ERR_INTERFACE',
      message: expect.stringMatching(/^--interface lo: .*not built.*libpcap-dev.*npm ci again/),
    })
  })

  test.skipIf(!isCapBuilt)('an interface that is not there is an error that lists those that are', async () => {
    expect(await failure({ interfaceName: 'nosuch0' })).toMatchObject({
      code: 'ERR_INTERFACE',
      message: expect.stringMatching(/^--interface nosuch0: no such interface; there are .*\blo\b/),
    })
  })

  test.skipIf(!canCapture)('a filter that libpcap cannot read is an error with its words', async () => {
    expect(await failure({ filter: 'udp prot 5' })).toMatchObject({
      code: 'ERR_INTERFACE',
      message: expect.stringMatching(/^--interface lo: --filter "udp prot 5" is refused by libpcap: .*syntax error/),
    })
  })

  test.skipIf(!canCapture)(
    'packets on loopback arrive soon, with their bytes, filtered, cut at the snap length',
    async () => {
      const target = createSocket('udp4')
      const sender = createSocket('udp4')
      await new Promise<void>((resolve) => target.bind(0, '127.0.0.1', resolve))
      const { port } = target.address()
      await new Promise<void>((resolve) => sender.connect(port, '127.0.0.1', resolve))
      const seen: { bytes: Buffer; wireLength: number; linkType: number; timeUs: number }[] = []
      let sinceBatchEnd = 0
      const capture = await openInterfaceCapture(
        { ...lo, filter: `udp dst port ${port}`, snapLength: 60 },
        {
          packet({ bytes, at, end, wireLength, linkType, timeUs }) {
            sinceBatchEnd++
            seen.push({ bytes: Buffer.from(bytes.subarray(at, end)), wireLength, linkType, timeUs })
          },
          batchEnd() {
            sinceBatchEnd = 0
          },
        },
        clock,
      )
      opened.push(capture)
      for (let i = 0; i < 20; i++) sender.send(Buffer.alloc(8 + i, i))
      const deadline = performance.now() + 5_000
      while ((seen.length < 20 || sinceBatchEnd > 0) && performance.now() < deadline) await sleep(5)
      await capture.stop()
      await capture.stop()
      target.close()
      sender.close()

      expect(capture.linkType).toBe(1)
      expect(sinceBatchEnd).toBe(0)
      expect(seen.length).toBe(20)
      seen.forEach(({ bytes, wireLength, linkType, timeUs }, i) => {
        // Ethernet 14, IPv4 20, UDP 8.
        const length = Math.min(14 + 20 + 8 + 8 + i, 60)
        expect(bytes.length).toBe(length)
        expect(bytes.subarray(42)).toEqual(Buffer.alloc(length - 42, i))
        expect({ wireLength, linkType, timeUs }).toEqual({ wireLength: length, linkType: 1, timeUs: clock.nowUs() })
      })
    },
  )

  test('link types are given by their number in the registry', () => {
    expect(linkTypeOf('ETHERNET')).toBe(1)
    expect(linkTypeOf('LINKTYPE_LINUX_SLL')).toBe(113)
    expect(linkTypeOf('RAW')).toBe(101)
    expect(linkTypeOf('Unknown linktype 276')).toBe(276)
    expect(linkTypeOf('something else')).toBe(-1)
  })
})
