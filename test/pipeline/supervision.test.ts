import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { openRig, sampleFrames, sum, until } from './rig.ts'

describe('a shard that breaks', () => {
  test.each(['throw', 'exit', 'oom', 'spin'])('by %s is back in two seconds, and the counts add up', async (kind) => {
    const rig = await openRig()
    const { frames } = sampleFrames(200)
    await rig.send(frames.slice(0, frames.length / 2))
    await rig.break('shard=0', kind)
    const brokenAt = performance.now()
    const sending = rig.send(frames.slice(frames.length / 2))
    expect(await until(() => rig.warnings.some((text) => text.startsWith('worker 0 died')), 3000)).toBeLessThan(3000)
    while (!(await rig.metrics()).includes('mirrorshard_workers{state="running"} 2')) await sleep(10)
    // Seen as dead, and started again.
    expect(performance.now() - brokenAt).toBeLessThan(2000)
    await sending
    await sleep(500)
    const before = rig.arrived.length
    // A shard that is back reads new connections as if nothing had happened.
    const again = sampleFrames(50)
    await rig.send(again.frames)
    await until(() => rig.arrived.length > before, 2000)
    await rig.close()
    const { packets, requests, flows } = rig.service.summary()
    expect(packets.received).toBe(packets.processed + sum(packets.dropped))
    expect(requests.parsed).toBe(sum(requests.dropped) + sum(requests.replayed))
    expect(requests.held).toBe(0)
    expect(flows.lost).toBeGreaterThanOrEqual(0)
    expect(rig.warnings.filter((text) => text.startsWith('worker 1'))).toEqual([])
  })
})
