/** A running service, an origin and a sender, all on loopback. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import type { RunOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { SampleTraffic } from '../../src/demo/traffic/sample-traffic.ts'
import { LOG_EVENTS } from '../../src/report/log-events.ts'
import { Service } from '../../src/topology/service.ts'
import { serviceOptions } from '../../src/topology/service-options.ts'

export interface Rig {
  readonly service: Service
  readonly arrived: string[]
  readonly warnings: string[]
  /** @returns datagrams sent so far */
  readonly sent: () => number
  /** @param thread `shard=0`, `receiver=1` */
  break(thread: string, kind: string): Promise<void>
  send(frames: readonly Buffer[]): Promise<void>
  metrics(): Promise<string>
  close(): Promise<void>
}

/** A service with two shards in front of an origin that writes down what it is asked for. @param more options as flags, by key */
export async function openRig(more: Readonly<Record<string, string>> = {}): Promise<Rig> {
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
      ...Object.fromEntries(Object.entries(more).map(([key, value]) => [key, [value]])),
    }),
  )
  const { options } = await resolveOptions('run', { flags, arguments: [], faults: [] }, {})
  const service = await Service.open({
    ...serviceOptions(options as RunOptions, new MonotonicClock(), (event, text) => {
      if (LOG_EVENTS[event].level !== 'info') warnings.push(text)
    }),
    faultsEnabled: true,
  })
  const socket = createSocket('udp4')
  let sent = 0
  const { host, port } = service.listening[0]!
  const admin = `http://127.0.0.1:${service.admin!.port}`
  return {
    service,
    arrived,
    warnings,
    sent: () => sent,
    async break(thread, kind) {
      const answer = await fetch(`${admin}/debug/fault?${thread}&kind=${kind}`, { method: 'POST' })
      expect(answer.status).toBe(200)
    },
    async send(frames) {
      for (const [i, frame] of frames.entries()) {
        sent++
        const done = new Promise<void>((resolve, reject) =>
          socket.send(Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0, 7, 0]), frame]), port, host, (error) =>
            error ? reject(error) : resolve(),
          ),
        )
        if (i === frames.length - 1) await done
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

export function sampleFrames(requests: number): { frames: Buffer[]; expected: number } {
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

export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}
