import { expect, test } from 'vitest'
import { MonotonicClock } from '../../src/base/clock.ts'
import { PACKET_DROP_NAMES, PacketDrop } from '../../src/base/drop.ts'
import type { RunOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { ProgressRegister } from '../../src/flow/progress-register.ts'
import { TunnelRegister } from '../../src/http/tunnel-register.ts'
import { Counter, CounterBlock, PACKET_DROPS } from '../../src/metrics/counters.ts'
import { RATE_LIMITER_BYTES } from '../../src/sinks/filter/rate-limiter.ts'
import { PacketPipeline } from '../../src/topology/packet-pipeline.ts'
import { Shard } from '../../src/topology/shard.ts'
import { packetPipelineOptions, shardConfigOf } from '../../src/topology/stage-configs.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { ethernet, fragmentIpv4, ipv4, udp, vxlan } from '../support/packets.ts'
import { sampleFrames } from './rig.ts'

/** Enough for the fragments of inner packets too, which come between those of other connections. */
const MOST_DATAGRAMS = 1024
const MOST_BYTES = 1024 * 1024
const FRAGMENT = 600

/** Outer frames as an interface sees them: VXLAN over UDP over fragmented IPv4. */
function outerFrames(inner: Buffer, id: number): Buffer[] {
  const outer = ipv4({ protocol: IpProtocol.udp, payload: udp(4789, vxlan(7, inner)) })
  return fragmentIpv4(outer, FRAGMENT, id & 0xffff).map((bytes) => ethernet(EtherType.ipv4, bytes))
}

/** The first of two fragments; the other one never comes. */
function neverComplete(i: number): Buffer {
  const source = `10.9.${(i >> 8) & 255}.${i & 255}`
  const packet = ipv4({ protocol: IpProtocol.udp, source, payload: udp(4789, Buffer.alloc(FRAGMENT * 2)) })
  return ethernet(EtherType.ipv4, fragmentIpv4(packet, FRAGMENT, i & 0xffff)[0]!)
}

test('mirrored datagrams in outer fragments, from an interface, give every request beside a flood of fragments that never complete; the flood stays in its bounds and is counted', async () => {
  const flags = new Map([
    ['to', ['null']],
    ['fragmentDatagrams', [String(MOST_DATAGRAMS)]],
    ['fragmentBytes', [String(MOST_BYTES)]],
    ['fragmentTimeoutMs', ['1000']],
  ])
  const { options } = await resolveOptions('run', { flags, arguments: [], faults: [] }, {})
  const run = options as RunOptions
  const requests: unknown[] = []
  const shardCounters = new CounterBlock()
  const shard = await Shard.open(
    shardConfigOf(
      run,
      { kind: 'print', name: 'inspect', options: { format: 'ndjson', bodies: 'hash', redaction: null, steps: [] } },
      false,
      new MonotonicClock().anchor,
      null,
    ),
    {
      counters: shardCounters,
      tunnels: new TunnelRegister(),
      progress: new ProgressRegister(),
      rateMemory: new SharedArrayBuffer(RATE_LIMITER_BYTES),
      output: {
        write: (bytes) => {
          for (const line of Buffer.from(bytes).toString().split('\n'))
            if (line !== '' && JSON.parse(line).method !== null) requests.push(line)
        },
        hasRoom: () => true,
      },
    },
  )
  const counters = new CounterBlock()
  const outlet = {
    offer: (view: Parameters<Shard['packet']>[0]) => {
      shard.packet(view)
      return PacketDrop.none
    },
    publish: () => {},
  }
  const packetPipeline = new PacketPipeline(packetPipelineOptions(run, false), outlet, counters)
  let timeUs = 1_700_000_000_000_000
  let [mostHeld, mostBytes, flood] = [0, 0, 0]
  const take = (bytes: Buffer) => {
    timeUs += 50
    packetPipeline.frame({
      bytes,
      at: 0,
      end: bytes.length,
      wireLength: bytes.length,
      timeUs,
      linkType: LinkType.ethernet,
    })
    mostHeld = Math.max(mostHeld, counters.get(Counter.fragmentsHeld))
    mostBytes = Math.max(mostBytes, counters.get(Counter.fragmentBytes))
  }
  const { frames, expected } = sampleFrames(600)
  let fragmented = 0
  for (const [id, frame] of frames.entries()) {
    const pieces = outerFrames(frame, id)
    if (pieces.length > 1) fragmented++
    for (const piece of pieces) {
      take(piece)
      take(neverComplete(flood++))
    }
  }
  packetPipeline.tick(timeUs + 2_000_000)
  packetPipeline.flush()
  shard.closeAll()
  shard.publish()

  expect(fragmented).toBeGreaterThan(100)
  expect(counters.get(Counter.datagramsReassembled)).toBeGreaterThanOrEqual(fragmented)
  expect(requests).toHaveLength(expected)
  expect(mostBytes).toBeLessThanOrEqual(MOST_BYTES)
  // Datagrams of the traffic wait in more than one fragment.
  expect(mostHeld).toBeLessThanOrEqual(MOST_DATAGRAMS + 16)
  expect(mostHeld).toBeGreaterThan(MOST_DATAGRAMS / 2)
  const drops = (code: number) => counters.get(PACKET_DROPS + code)
  expect(drops(PacketDrop.fragmentLimit) + drops(PacketDrop.fragmentTimeout)).toBe(flood)
  expect(drops(PacketDrop.fragmentLimit)).toBeGreaterThan(flood / 2)
  expect(counters.get(Counter.fragmentsHeld)).toBe(0)
  const dropped = PACKET_DROP_NAMES.reduce((n, _, code) => n + drops(code), 0)
  expect(counters.get(Counter.packetsReceived)).toBe(
    counters.get(Counter.packetsDispatched) + counters.get(Counter.packetsProcessed) + dropped,
  )
})
