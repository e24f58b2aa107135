import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { openRig, sampleFrames, sum } from './rig.ts'

describe('a shard that breaks', () => {
  test.each(['throw', 'exit', 'oom', 'spin'])('by %s is back, and the counts add up', async (kind) => {
    const rig = await openRig()
    const { frames } = sampleFrames(200)
    await rig.send(frames.slice(0, frames.length / 2))
    await rig.break('shard=0', kind)
    const sending = rig.send(frames.slice(frames.length / 2))
    const isDeath = (text: string) => text.startsWith('worker 0 died')
    await until('its death is told', () => rig.warnings.some(isDeath))
    // How soon: test/faults/threads.test.ts.
    await until('it is back', async () => (await rig.metrics()).includes('mirrorshard_workers{state="running"} 2'))
    await sending
    await sleep(500)
    const before = rig.arrived.length
    // A shard that is back reads new connections as if nothing had happened.
    const again = sampleFrames(50)
    await rig.send(again.frames)
    await until('it reads new connections', () => rig.arrived.length > before)
    await rig.close()
    const { packets, requests } = rig.service.summary()
    expect(packets.received).toBe(packets.processed + sum(packets.dropped))
    expect(requests.parsed).toBe(sum(requests.dropped) + sum(requests.replayed))
    expect(requests.held).toBe(0)
    expect(rig.warnings.filter((text) => text.startsWith('worker 1'))).toEqual([])
  })
})
