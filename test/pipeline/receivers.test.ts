import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { ReceiverPool, type ReceiverPoolOptions } from '../../src/topology/receiver-pool.ts'
import { until } from '../support/until.ts'
import { openRig, sampleFrames, sum } from './rig.ts'

test('without koffi there are no receiving threads, and the error says which option to change', async () => {
  const options = { receivers: 2, listen: [] } as unknown as ReceiverPoolOptions
  const missing = () => Promise.reject(new Error("Cannot find package 'koffi'"))
  await expect(ReceiverPool.open(options, missing)).rejects.toMatchObject({
    code: 'ERR_RECEIVER',
    message: expect.stringMatching(/^--receivers 2 cannot work here, only --receivers 1: .*koffi/),
  })
})

// koffi is optional.
describe.skipIf(!(await koffiAvailable()))('several receiving threads', () => {
  test('take every datagram once and lose no request: IPv6, VLAN tags, fragments and reordering among them', async () => {
    const rig = await openRig({ receivers: '3', receiveBufferBytes: '8388608' })
    const { frames, expected } = sampleFrames(600)
    await rig.send(frames)
    await until('all requests arrive', () => rig.arrived.length >= expected)
    const text = await rig.metrics()
    expect(text).toContain('mirrorshard_receivers{state="running"} 3')
    await rig.close()
    const { packets, requests } = rig.service.summary()
    expect(packets.received).toBe(rig.sent())
    expect(packets.kernelDropped).toBe(0)
    expect(packets.received).toBe(packets.processed + sum(packets.dropped))
    expect(packets.dropped).toEqual({})
    expect(rig.arrived).toHaveLength(expected)
    expect(sum(requests.replayed)).toBe(expected)
    // Each of them had something to do.
    const shares = rig.service.receivedByThread()
    expect(shares).toHaveLength(3)
    for (const share of shares) expect(share).toBeGreaterThan(rig.sent() / 30)
    expect(rig.warnings.filter((text) => !text.startsWith('the kernel granted'))).toEqual([])
  })

  /** @returns packets that the receiver had in its hands when it broke */
  async function breakAndAccount(kind: string): Promise<number> {
    const rig = await openRig({ receivers: '2', receiveBufferBytes: '8388608' })
    const { frames } = sampleFrames(200)
    await rig.send(frames.slice(0, frames.length / 2))
    const sending = rig.send(frames.slice(frames.length / 2))
    await rig.break('receiver=1', kind)
    await until('its death is told', () => rig.warnings.some((text) => text.startsWith('receiver 1 died')))
    // How soon: test/faults/threads.test.ts.
    await until('it is back', async () => (await rig.metrics()).includes('mirrorshard_receivers{state="running"} 2'))
    await sending
    await sleep(300)
    const before = rig.arrived.length
    await rig.send(sampleFrames(50).frames)
    await until('requests go on', () => rig.arrived.length > before)
    await rig.close()
    const { packets, requests } = rig.service.summary()
    // Nothing between the kernel and the rings is unaccounted for.
    expect(packets.received).toBe(rig.sent())
    expect(packets.received).toBe(packets.processed + sum(packets.dropped))
    expect(requests.parsed).toBe(sum(requests.dropped) + sum(requests.replayed))
    expect(requests.held).toBe(0)
    expect(rig.warnings.filter((text) => text.startsWith('receiver 0'))).toEqual([])
    return packets.dropped.receiverLost ?? 0
  }

  let lost = 0
  test.each(['throw', 'exit', 'oom', 'spin'])(
    'one that breaks by %s is back: its socket goes on queueing, and what it held is counted exactly',
    async (kind) => {
      lost += await breakAndAccount(kind)
    },
  )

  test('the one that broke had packets in its hands at least once, or the test above showed nothing', async () => {
    // Where the machine is busy it breaks between two batches as often as not.
    for (let tries = 0; tries < 10 && lost === 0; tries++) lost += await breakAndAccount('throw')
    expect(lost).toBeGreaterThan(0)
  })

  test('drain while packets go on coming: what was taken is finished, and the sums hold', async () => {
    const rig = await openRig({ receivers: '2' })
    const { frames } = sampleFrames(400)
    const sending = rig.send(frames)
    await until('requests arrive', () => rig.arrived.length > 20)
    await rig.service.close()
    await sending
    await rig.close()
    const { packets, requests } = rig.service.summary()
    expect(packets.received).toBeGreaterThan(0)
    expect(packets.received).toBeLessThan(rig.sent())
    expect(packets.received).toBe(packets.processed + sum(packets.dropped))
    expect(requests.parsed).toBe(sum(requests.dropped) + sum(requests.replayed))
    expect(requests.held).toBe(0)
  })

  test('a fault for a receiver that is not there, or where this thread receives, is refused', async () => {
    const rig = await openRig({ receivers: '2' })
    const refused = async (query: string) =>
      (await fetch(`http://127.0.0.1:${rig.service.admin!.port}/debug/fault?${query}`, { method: 'POST' })).status
    expect(await refused('receiver=2&kind=throw')).toBe(400)
    expect(await refused('receiver=0&kind=melt')).toBe(400)
    await rig.close()
    const alone = await openRig()
    const answer = await fetch(`http://127.0.0.1:${alone.service.admin!.port}/debug/fault?receiver=0&kind=throw`, {
      method: 'POST',
    })
    expect(answer.status).toBe(400)
    await alone.close()
  })
})
