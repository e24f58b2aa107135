import { afterEach, describe, expect, test } from 'vitest'
import type { DatagramReceiver } from '../../../src/sources/datagram-receiver.ts'
import { koffiAvailable } from '../../../src/sources/live/libc.ts'
import { openReceiver } from '../../../src/sources/live/open-receiver.ts'

const options = { addresses: [{ host: '127.0.0.1', port: 0 }], receiveBufferBytes: 65_536, datagramBytes: 2048 }
const handler = { datagram() {}, batchEnd() {} }
const withoutKoffi = () => Promise.reject(new Error("Cannot find package 'koffi'"))

describe('choosing a receiver', () => {
  const opened: DatagramReceiver[] = []
  const open = async (...args: Parameters<typeof openReceiver>): Promise<DatagramReceiver> => {
    const receiver = await openReceiver(...args)
    opened.push(receiver)
    return receiver
  }
  afterEach(async () => {
    for (const receiver of opened.splice(0)) await receiver.stop()
  })

  test('the default is recvmmsg where koffi loads, and dgram elsewhere', async () => {
    const expected = (await koffiAvailable()) ? 'recvmmsg' : 'dgram'
    expect((await open(undefined, options, handler)).kind).toBe(expected)
    expect((await open(undefined, options, handler, withoutKoffi)).kind).toBe('dgram')
  })

  test('dgram can be asked for', async () => {
    expect((await open('dgram', options, handler)).kind).toBe('dgram')
  })

  test('asking for recvmmsg where koffi does not load is an error that gives the reason and what to install', async () => {
    await expect(open('recvmmsg', options, handler, withoutKoffi)).rejects.toMatchObject({
      code: 'ERR_RECEIVER',
      message: expect.stringMatching(
        /--receiver recvmmsg.*(Cannot find package 'koffi'.*npm install|system call of Linux|architectures)/,
      ),
    })
  })

  test('a port in use is an error, never a reason to try the other receiver', async () => {
    const first = await open(undefined, options, handler)
    await expect(open(undefined, { ...options, addresses: first.bound }, handler)).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    })
  })
})
