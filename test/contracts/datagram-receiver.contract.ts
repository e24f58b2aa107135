/** What every DatagramReceiver promises, over real sockets on loopback. A receiver's test file calls this with its opener. */
import { createSocket, type Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { MirrorError } from '../../src/base/errors.ts'
import type {
  DatagramHandler,
  DatagramReceiver,
  ListenAddress,
  PeerAddress,
  ReceiverOptions,
} from '../../src/sources/datagram-receiver.ts'

export type OpenReceiver = (options: ReceiverOptions, handler: DatagramHandler) => Promise<DatagramReceiver>

interface Received {
  readonly bytes: Uint8Array
  readonly cut: boolean
  readonly family: number
  readonly words: readonly number[]
  readonly socket: number
}

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some((address) => address.address === '::1'))
const LOOPBACK: ListenAddress = { host: '127.0.0.1', port: 0 }
const LOOPBACK_WORD = 0x7f000001

/** Keeps a copy of all it is given, and how many datagrams came since the last batchEnd(). */
class Collector implements DatagramHandler {
  readonly received: Received[] = []
  batchEnds = 0
  sinceBatchEnd = 0

  datagram(bytes: Uint8Array, at: number, end: number, cut: boolean, peer: PeerAddress, socket: number): void {
    this.sinceBatchEnd++
    this.received.push({
      bytes: Uint8Array.from(bytes.subarray(at, end)),
      cut,
      family: peer.family,
      words: [...peer.words],
      socket,
    })
  }

  batchEnd(): void {
    this.batchEnds++
    this.sinceBatchEnd = 0
  }
}

export function describeDatagramReceiver(kind: DatagramReceiver['kind'], open: OpenReceiver): void {
  describe(`the ${kind} receiver keeps the contract of datagram receivers`, () => {
    const cleanups: (() => unknown)[] = []
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0)) await cleanup()
    })

    async function receiver(options: Partial<ReceiverOptions> = {}, handler: DatagramHandler = new Collector()) {
      const opened = await open(
        { addresses: [LOOPBACK], receiveBufferBytes: 1 << 20, datagramBytes: 2048, ...options },
        handler,
      )
      cleanups.push(() => opened.stop())
      return opened
    }

    /** A connected socket: its send() hands the datagram to the kernel before it returns. */
    async function sender(to: ListenAddress): Promise<Socket> {
      const socket = createSocket(to.host.includes(':') ? 'udp6' : 'udp4')
      await new Promise<void>((resolve) => socket.connect(to.port, to.host, resolve))
      cleanups.push(() => socket.close())
      return socket
    }

    async function until(condition: () => boolean): Promise<void> {
      const deadline = performance.now() + 5_000
      while (!condition() && performance.now() < deadline) await sleep(2)
    }

    test('it says what it is and where it is bound, with the port the kernel chose', async () => {
      const opened = await receiver()
      expect(opened.kind).toBe(kind)
      expect(opened.bound).toEqual([{ host: '127.0.0.1', port: expect.any(Number) }])
      expect(opened.bound[0]!.port).toBeGreaterThan(0)
    })

    test('the receive buffer it reports is the one granted, not the one asked for', async () => {
      const small = await receiver({ receiveBufferBytes: 16_384 })
      // Linux doubles what is asked for, for its own bookkeeping.
      expect(small.grantedBufferBytes).toEqual([32_768])
    })

    test('each datagram arrives once, in order, with its exact bytes and its source', async () => {
      const handler = new Collector()
      const opened = await receiver({ datagramBytes: 9216 }, handler)
      const from = await sender(opened.bound[0]!)
      const sent = [0, 1, 8, 1500, 9216, 0, 2, 2048].map((length, i) =>
        Uint8Array.from({ length }, (_, k) => (k * 7 + i * 31) & 255),
      )
      for (const bytes of sent) from.send(bytes)
      await until(() => handler.received.length >= sent.length)
      await sleep(20)
      expect(handler.received.map((datagram) => Buffer.from(datagram.bytes).toString('hex'))).toEqual(
        sent.map((bytes) => Buffer.from(bytes).toString('hex')),
      )
      for (const datagram of handler.received)
        expect(datagram).toMatchObject({ cut: false, family: 4, words: [LOOPBACK_WORD, 0, 0, 0], socket: 0 })
    })

    test('every address of 127/8 is told apart as source', async () => {
      const handler = new Collector()
      const opened = await receiver({}, handler)
      for (const host of ['127.0.0.2', '127.200.3.4']) {
        const socket = createSocket('udp4')
        cleanups.push(() => socket.close())
        await new Promise<void>((resolve) => socket.bind(0, host, resolve))
        await new Promise<void>((resolve) => socket.connect(opened.bound[0]!.port, '127.0.0.1', resolve))
        socket.send('x')
      }
      await until(() => handler.received.length >= 2)
      expect(handler.received.map((datagram) => datagram.words[0]).sort()).toEqual([0x7f000002, 0x7fc80304])
    })

    test.skipIf(!hasIpv6)('an IPv6 source is given as four words', async () => {
      const handler = new Collector()
      const opened = await receiver({ addresses: [{ host: '::1', port: 0 }] }, handler)
      const from = await sender(opened.bound[0]!)
      from.send('over six')
      await until(() => handler.received.length > 0)
      expect(handler.received).toEqual([
        { bytes: Uint8Array.from(Buffer.from('over six')), cut: false, family: 6, words: [0, 0, 0, 1], socket: 0 },
      ])
    })

    test.skipIf(!hasIpv6)('IPv4 that arrives at an IPv6 wildcard socket has an IPv4 source', async () => {
      const handler = new Collector()
      const opened = await receiver({ addresses: [{ host: '::', port: 0 }] }, handler)
      const from = await sender({ host: '127.0.0.1', port: opened.bound[0]!.port })
      from.send('mapped')
      await until(() => handler.received.length > 0)
      expect(handler.received[0]).toMatchObject({ family: 4, words: [LOOPBACK_WORD, 0, 0, 0] })
    })

    test.skipIf(!hasIpv6)('the wildcards of IPv4 and IPv6 can be listened on together, at one port', async () => {
      const { port } = (await receiver({ addresses: [{ host: '127.0.0.1', port: 0 }] })).bound[0]!
      for (const cleanup of cleanups.splice(0)) await cleanup()
      const handler = new Collector()
      const addresses = [
        { host: '::', port },
        { host: '0.0.0.0', port },
      ]
      await receiver({ addresses }, handler)
      const four = await sender({ host: '127.0.0.1', port })
      four.send('4')
      const six = await sender({ host: '::1', port })
      six.send('6')
      await until(() => handler.received.length >= 2)
      expect(handler.received.map(({ family, socket }) => [family, socket]).sort()).toEqual([
        [4, 1],
        [6, 0],
      ])
    })

    test('a datagram longer than the slot is truncated to it and flagged; one that just fits is whole', async () => {
      const handler = new Collector()
      const opened = await receiver({ datagramBytes: 100 }, handler)
      const from = await sender(opened.bound[0]!)
      for (const length of [100, 101, 5000, 3]) from.send(Buffer.alloc(length, length & 255))
      await until(() => handler.received.length >= 4)
      expect(handler.received.map(({ bytes, cut }) => [bytes.length, bytes[0], cut])).toEqual([
        [100, 100, false],
        [100, 101, true],
        [100, 5000 & 255, true],
        [3, 3, false],
      ])
    })

    test('the socket index says which listening address a datagram came in on', async () => {
      const handler = new Collector()
      const opened = await receiver({ addresses: [LOOPBACK, { host: '127.0.0.3', port: 0 }, LOOPBACK] }, handler)
      for (const i of [2, 0, 1]) (await sender(opened.bound[i]!)).send(Buffer.from([i]))
      await until(() => handler.received.length >= 3)
      expect(handler.received.map(({ bytes, socket }) => [bytes[0], socket]).sort()).toEqual([
        [0, 0],
        [1, 1],
        [2, 2],
      ])
    })

    test('a batchEnd() follows the last datagram, and goes on coming without traffic', async () => {
      const handler = new Collector()
      const opened = await receiver({}, handler)
      const from = await sender(opened.bound[0]!)
      for (let i = 0; i < 300; i++) from.send('x')
      await until(() => handler.received.length >= 300 && handler.sinceBatchEnd === 0)
      expect(handler.received.length).toBe(300)
      expect(handler.sinceBatchEnd).toBe(0)
      const before = handler.batchEnds
      await until(() => handler.batchEnds >= before + 2)
      expect(handler.batchEnds).toBeGreaterThanOrEqual(before + 2)
    })

    test('it receives again after a long silence', async () => {
      const handler = new Collector()
      const opened = await receiver({}, handler)
      const from = await sender(opened.bound[0]!)
      for (let spell = 1; spell <= 3; spell++) {
        await sleep(250)
        from.send(Buffer.from([spell]))
        await until(() => handler.received.length >= spell)
      }
      expect(handler.received.map(({ bytes }) => bytes[0])).toEqual([1, 2, 3])
    })

    test('thousands in a row arrive in order and whole, while timers of the same thread go on', async () => {
      const handler = new Collector()
      const opened = await receiver({ receiveBufferBytes: 4 << 20 }, handler)
      const from = await sender(opened.bound[0]!)
      let timers = 0
      const timer = setInterval(() => timers++, 1)
      cleanups.push(() => clearInterval(timer))
      const total = 21_000
      for (let sent = 0; sent < total; ) {
        for (let i = 0; i < 150; i++, sent++) {
          const bytes = Buffer.alloc(236, sent & 255)
          bytes.writeUInt32LE(sent, 0)
          from.send(bytes)
        }
        await until(() => sent - handler.received.length < 150)
      }
      await until(() => handler.received.length >= total)
      expect(handler.received.length).toBe(total)
      const wrong = handler.received.findIndex(({ bytes }, i) => {
        const view = Buffer.from(bytes)
        return view.length !== 236 || view.readUInt32LE(0) !== i || view[4] !== (i & 255) || view[235] !== (i & 255)
      })
      expect(wrong).toBe(-1)
      expect(timers).toBeGreaterThan(0)
      expect(opened.kernelDropped() ?? 0).toBe(0)
    })

    test('garbage collection does not take the memory the kernel writes into', async () => {
      const handler = new Collector()
      const opened = await receiver({}, handler)
      const from = await sender(opened.bound[0]!)
      let total = 0
      for (let round = 0; round < 8; round++) {
        // Some 60 MB a round, in small and in external pieces: many young and a few full collections.
        let garbage: unknown[] = []
        for (let i = 0; i < 2_000; i++)
          garbage.push(
            new Uint8Array(16_384),
            Array.from({ length: 1_000 }, () => i),
          )
        garbage = []
        globalThis.gc?.()
        for (let i = 0; i < 50; i++, total++) from.send(Buffer.alloc(64, total & 255))
        await until(() => handler.received.length >= total)
      }
      expect(handler.received.length).toBe(total)
      expect(handler.received.findIndex(({ bytes }, i) => bytes[0] !== (i & 255) || bytes[63] !== (i & 255))).toBe(-1)
    })

    test('what the kernel drops because nobody reads is counted', async () => {
      const handler = new Collector()
      const opened = await receiver({ receiveBufferBytes: 8_192 }, handler)
      const from = await sender(opened.bound[0]!)
      // All in one turn of the event loop: the receiver, on the same thread, is stalled.
      const total = 500
      for (let i = 0; i < total; i++) from.send(Buffer.alloc(200))
      const dropped = opened.kernelDropped()
      await opened.stop()
      if (dropped === null) return
      expect(dropped).toBeGreaterThan(0)
      expect(handler.received.length + dropped).toBe(total)
      expect(opened.kernelDropped()).toBe(dropped)
    })

    test('stop() hands over what the sockets hold, then closes them', async () => {
      const handler = new Collector()
      const opened = await receiver({ addresses: [LOOPBACK, LOOPBACK], receiveBufferBytes: 4 << 20 }, handler)
      const from = await Promise.all(opened.bound.map(sender))
      const total = 600 // 300 a socket: what a system's default limit has room for
      for (let i = 0; i < total; i++) from[i & 1]!.send('queued')
      expect(handler.received.length).toBe(0)
      await opened.stop()
      expect(handler.received.length).toBe(total)
      expect(handler.sinceBatchEnd).toBe(0)
      const ends = handler.batchEnds
      await sleep(150)
      expect(handler.batchEnds).toBe(ends)
      // The port is free again.
      await receiver({ addresses: [opened.bound[0]!] })
    })

    test('stop() comes to an end while senders go on, and can be called again and from inside the handler', async () => {
      let stopped: Promise<void> | undefined
      let count = 0
      const opened: DatagramReceiver = await receiver(
        {},
        {
          datagram() {
            count++
            stopped ??= opened.stop()
          },
          batchEnd() {},
        },
      )
      const from = await sender(opened.bound[0]!)
      from.on('error', () => {}) // refused, once the receiver is gone
      const timer = setInterval(() => {
        for (let i = 0; i < 50; i++) from.send('more')
      }, 1)
      cleanups.push(() => clearInterval(timer))
      await until(() => stopped !== undefined)
      await stopped
      await opened.stop()
      const atStop = count
      await sleep(30)
      expect(count).toBe(atStop)
    })

    test('a port in use is an error that names the address and the reason, and leaves nothing bound', async () => {
      const first = await receiver()
      const taken = first.bound[0]!
      const { port } = (await receiver()).bound[0]!
      await cleanups.pop()!()
      const refused = open(
        { addresses: [{ host: '127.0.0.1', port }, taken], receiveBufferBytes: 1 << 16, datagramBytes: 2048 },
        new Collector(),
      )
      await expect(refused).rejects.toThrow(MirrorError)
      await expect(refused).rejects.toMatchObject({
        code: 'ERR_LISTEN',
        message: expect.stringMatching(
          new RegExp(`^--listen 127\\.0\\.0\\.1:${taken.port}: cannot bind UDP .*already in use \\(EADDRINUSE\\)`),
        ),
      })
      await receiver({ addresses: [{ host: '127.0.0.1', port }] })
    })

    test('a port that another socket shares with SO_REUSEADDR is not taken from it', async () => {
      const other = createSocket({ type: 'udp4', reuseAddr: true })
      cleanups.push(() => other.close())
      await new Promise<void>((resolve) => other.bind(0, '127.0.0.1', resolve))
      await expect(receiver({ addresses: [{ host: '127.0.0.1', port: other.address().port }] })).rejects.toMatchObject({
        code: 'ERR_LISTEN',
      })
    })

    test('an address that is not of this machine, and a name that does not resolve, are told as such', async () => {
      await expect(receiver({ addresses: [{ host: '203.0.113.77', port: 0 }] })).rejects.toMatchObject({
        code: 'ERR_LISTEN',
        message: expect.stringContaining('EADDRNOTAVAIL'),
      })
      await expect(receiver({ addresses: [{ host: 'no such name', port: 4789 }] })).rejects.toMatchObject({
        code: 'ERR_LISTEN',
        message: expect.stringContaining('--listen no such name:4789'),
      })
    })
  })
}
