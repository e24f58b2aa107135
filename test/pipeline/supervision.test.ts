import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import type { RunOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { SampleTraffic } from '../../src/demo/traffic/sample-traffic.ts'
import { Service } from '../../src/topology/service.ts'
import { serviceOptions } from '../../src/topology/service-options.ts'

interface Rig {
  readonly service: Service
  readonly arrived: string[]
  readonly warnings: string[]
  breakShard(shard: number, kind: string): Promise<void>
  send(frames: readonly Buffer[]): Promise<void>
  metrics(): Promise<string>
  close(): Promise<void>
}

/** A service with two shards in front of an origin that writes down what it is asked for. */
async function open(): Promise<Rig> {
  const arrived: string[] = []
  const warnings: string[] = []
  const origin = createServer((request, response) => {
    arrived.push(`${request.method} ${request.url}`)
    request.resume()
    request.on('end', () => response.end('ok'))
  })
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  const flags = new Map(
    Object.entries({
      listen: ['127.0.0.1:0'],
      to: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`],
      workers: ['2'],
      admin: ['127.0.0.1:0'],
      receiveBufferBytes: ['204800'],
      shardHeapMb: ['64'],
    }),
  )
  const { options } = await resolveOptions('run', { flags, arguments: [], faults: [] }, {})
  const service = await Service.open({
    ...serviceOptions(options as RunOptions, new MonotonicClock(), (text) => warnings.push(text)),
    faultsEnabled: true,
  })
  const socket = createSocket('udp4')
  const { host, port } = service.listening[0]!
  const admin = `http://127.0.0.1:${service.admin!.port}`
  return {
    service,
    arrived,
    warnings,
    async breakShard(shard, kind) {
      const answer = await fetch(`${admin}/debug/fault?shard=${shard}&kind=${kind}`, { method: 'POST' })
      expect(answer.status).toBe(200)
    },
    async send(frames) {
      for (const [i, frame] of frames.entries()) {
        socket.send(Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0, 7, 0]), frame]), port, host)
        if (i % 16 === 15) await sleep(2)
      }
    },
    async metrics() {
      return await (await fetch(`${admin}/metrics`)).text()
    },
    async close() {
      socket.close()
      await service.close()
      origin.closeAllConnections()
      await new Promise((resolve) => origin.close(resolve))
    },
  }
}

function sampleFrames(requests: number): { frames: Buffer[]; expected: number } {
  const frames: Buffer[] = []
  let expected = 0
  const traffic = new SampleTraffic(7, {
    request: () => {
      expected++
    },
    frame: (bytes) => {
      frames.push(Buffer.from(bytes))
    },
  })
  traffic.extend(requests)
  while (traffic.step());
  return { frames, expected }
}

async function until(condition: () => boolean, limitMs: number): Promise<number> {
  const started = performance.now()
  while (!condition() && performance.now() - started < limitMs) await sleep(10)
  return performance.now() - started
}

describe('a shard that breaks', () => {
  test.each(['throw', 'exit', 'oom', 'spin'])('by %s is back in two seconds, and the counts add up', async (kind) => {
    const rig = await open()
    const { frames } = sampleFrames(200)
    await rig.send(frames.slice(0, frames.length / 2))
    await rig.breakShard(0, kind)
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
    const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0)
    expect(packets.received).toBe(packets.processed + sum(packets.dropped))
    expect(requests.parsed).toBe(sum(requests.dropped) + sum(requests.replayed))
    expect(requests.held).toBe(0)
    expect(flows.lost).toBeGreaterThanOrEqual(0)
    expect(rig.warnings.filter((text) => text.startsWith('worker 1'))).toEqual([])
  })
})
