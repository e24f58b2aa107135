/** Who is heard: what comes from elsewhere is counted, and nothing happens. Over real sockets. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { resolveOptions } from '../../src/config/resolve.ts'
import { NetworkList } from '../../src/decapsulation/networks.ts'
import type { Summary } from '../../src/report/summary.ts'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { RawOrigin } from '../sinks/replay/support/raw-origin.ts'
import { framesOf } from './support/captured-frames.ts'
import { type Running, service } from './support/program.ts'

const FRAMES = framesOf([{ request: 'GET /heard HTTP/1.1\r\nHost: a\r\n\r\n' }])

let origin: RawOrigin | null = null
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close()
  await origin?.close()
})

/** @param from a loopback address of its own stands for another host */
async function mirror(to: Running, from: string, vni: number): Promise<void> {
  const socket = createSocket('udp4')
  sockets.push(socket)
  socket.bind(0, from)
  await once(socket, 'listening')
  for (const frame of FRAMES) {
    const header = Buffer.alloc(8)
    header[0] = 0x08
    header.writeUIntBE(vni, 4, 3)
    await new Promise<void>((resolve, reject) =>
      socket.send(Buffer.concat([header, frame]), to.port, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
    )
  }
}

async function counted(running: Running, packets: number): Promise<Summary> {
  for (let tries = 0; ; tries++) {
    const summary = (await (await fetch(`${running.admin}/summary`)).json()) as Summary
    if (summary.packets.received >= packets || tries > 200) return summary
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** Each has a way of its own on which a datagram's source is looked at. */
const RECEIVERS: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['recvmmsg on the main thread', ['--receiver', 'recvmmsg']],
  ['dgram', ['--receiver', 'dgram']],
  ['threads', ['--receivers', '2', '--workers', '1']],
]
const hasKoffi = await koffiAvailable()

describe.each(RECEIVERS.filter(([name]) => hasKoffi || name === 'dgram'))('receiver: %s', (_name, args) => {
  test('a source outside --allow-from is counted packet by packet, and nothing is replayed for it', async () => {
    origin = await RawOrigin.listen()
    const running = await service(['--to', origin.url.origin, ...args, '--allow-from', '127.0.0.9/32'])
    await mirror(running, '127.0.0.1', 5)
    const outside = await counted(running, FRAMES.length)
    expect(outside.packets).toMatchObject({ processed: 0, dropped: { sourceNotAllowed: FRAMES.length } })
    expect(outside.flows.opened).toBe(0)
    await mirror(running, '127.0.0.9', 5)
    await origin.received(1)
    await running.stop()
    // One: the allowed source’s.
    expect(origin.requests.map(({ target }) => target)).toEqual(['/heard'])
  })

  test('a VNI outside --vni is counted, and nothing is replayed for it', async () => {
    origin = await RawOrigin.listen()
    const running = await service(['--to', origin.url.origin, ...args, '--vni', '7,8'])
    await mirror(running, '127.0.0.1', 9)
    const outside = await counted(running, FRAMES.length)
    expect(outside.packets).toMatchObject({ processed: 0, dropped: { vniNotAllowed: FRAMES.length } })
    expect(outside.flows.opened).toBe(0)
    await mirror(running, '127.0.0.1', 8)
    await origin.received(1)
    await running.stop()
    expect(origin.requests).toHaveLength(1)
  })
})

test('by default packets from public addresses are not accepted', async () => {
  const flags = new Map([['to', ['null']]])
  const { options } = await resolveOptions('run', { flags, arguments: [], faults: [] }, {})
  const list = new NetworkList(options.allowFrom!)
  const word = (address: string) => address.split('.').reduce((sum, byte) => (sum << 8) | Number(byte), 0)
  const hears = (address: string) => list.hasIpv4(word(address))
  for (const near of ['127.0.0.1', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.0.1', '169.254.1.1'])
    expect([near, hears(near)]).toEqual([near, true])
  for (const far of ['8.8.8.8', '11.0.0.1', '172.32.0.1', '192.169.0.1', '100.64.0.1', '0.0.0.0', '255.255.255.255'])
    expect([far, hears(far)]).toEqual([far, false])
  const hears6 = (w0: number, w1 = 0, w2 = 0, w3 = 1) => list.hasIpv6(w0 | 0, w1, w2, w3)
  expect([hears6(0), hears6(0xfc000000), hears6(0xfdffffff), hears6(0xfe800000)]).toEqual([true, true, true, true])
  expect([hears6(0x20010db8), hears6(0xfec00000), hears6(0xff020000), hears6(0, 0, 0, 2)]).toEqual(Array(4).fill(false))
})
