import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import type { PacketView } from '../../src/decapsulation/packet-view.ts'
import { compile } from '../support/compiled.ts'
import { viewOf } from '../support/views.ts'
import { ACK, FIN, Rig, SYN } from './rig.ts'

describe('the work for a flood grows with it, not with its square', () => {
  /** Positions of one-byte or longer segments, as packets of one flow. */
  const floods: Record<string, (i: number, n: number) => { at: number; length: number }> = {
    'far-ahead segments, each with a hole before it': (i) => ({ at: 1000 + 30 * i, length: 20 }),
    'the same backwards': (i, n) => ({ at: 1000 + 30 * (n - i), length: 20 }),
    'single bytes with holes between them': (i) => ({ at: 10 + 2 * i, length: 1 }),
    'single bytes, scattered': (i, n) => ({ at: 10 + 2 * ((i * 7919) % n), length: 1 }),
    'overlapping segments': (i) => ({ at: 10 + 3 * i, length: 40 }),
    'overlapping segments, scattered': (i, n) => ({ at: 10 + 3 * ((i * 7919) % n), length: 40 }),
    'one segment again and again': () => ({ at: 500, length: 1000 }),
    'bytes in order, one a packet': (i) => ({ at: i, length: 1 }),
  }

  const build = (n: number, flood: (i: number, n: number) => { at: number; length: number }) =>
    Array.from({ length: n }, (_, i) => {
      const { at, length } = flood(i, n)
      return viewOf({ sourcePort: 40_000, destinationPort: 80, seq: -999 + at, ack: 901, data: 'x'.repeat(length) })
    })

  const run = (views: readonly PacketView[], overlap: 'linux' | 'first' | 'last') => {
    const rig = new Rig({ overlap })
    rig.handshake(-1000, 900)
    const started = performance.now()
    for (const view of views) rig.packet(view)
    rig.closeAll()
    return performance.now() - started
  }

  for (const [name, flood] of Object.entries(floods)) {
    test(name, () => {
      const few = build(2000, flood)
      const many = build(20_000, flood)
      for (const overlap of ['linux', 'first', 'last'] as const) {
        // The slowest of few against the fastest of many: a busy machine must not decide.
        const small = Math.max(...[1, 2, 3].map(() => run(few, overlap)))
        const large = Math.min(...[1, 2].map(() => run(many, overlap)))
        // Ten times as many: a square would take a hundred times as long.
        expect(large, overlap).toBeLessThan(60 * Math.max(5, small))
      }
    })
  }

  test('whoever closes very many connections at once shows all the while that it lives', () => {
    const rig = new Rig({ maxFlows: 5_000 })
    for (let port = 1; port <= 5_000; port++)
      rig.reassembler.packet(viewOf({ sourcePort: port, hash: port, flags: SYN }))
    expect(rig.reassembler.open).toBe(5_000)
    const open: number[] = []
    rig.reassembler.closeAll(() => open.push(rig.reassembler.open))
    expect(rig.reassembler.open).toBe(0)
    let before = 5_000
    for (const now of [...open, 0]) {
      expect(before - now).toBeLessThanOrEqual(1_024)
      before = now
    }
  })

  test('connections that have just ended are not looked at again and again', () => {
    const rig = new Rig({ maxFlows: 30_000 })
    for (let i = 0; i < 20_000; i++) {
      const ports = { sourcePort: 1 + i, destinationPort: 80 }
      rig.handshake(100, 900, ports)
      rig.client({ ...ports, seq: 101, ack: 901, flags: FIN | ACK })
      rig.server({ ...ports, seq: 901, ack: 102, flags: FIN | ACK })
      rig.client({ ...ports, seq: 102, ack: 902 })
    }
    expect(rig.watched.size).toBe(0)
    rig.closeAll()
  })
})

describe('memory', () => {
  test('an in-order segment leaves nothing for the collector', () => {
    const compiled = compile(
      'reassembly/reassembler.ts',
      'metrics/counters.ts',
      'decapsulation/packet-view.ts',
      'dispatch/hash.ts',
    )
    try {
      const script = compiled.script(
        'in-order.js',
        `
        import { Reassembler } from '${compiled.url('reassembly/reassembler.ts')}'
        import { Counter, CounterBlock } from '${compiled.url('metrics/counters.ts')}'
        import { PacketView } from '${compiled.url('decapsulation/packet-view.ts')}'
        import { fiveTupleHash } from '${compiled.url('dispatch/hash.ts')}'
        const FLOWS = 1000, DATA = 100, PACKETS = 100_000
        const parser = {
          data: (direction, piece) => piece.end - piece.at,
          gap() {}, end() {}, close() {}, tick() {}, giveUpPause() {},
          demand: () => 0, phase: 1, wakeAtUs: Infinity,
        }
        const counters = new CounterBlock()
        const options = {
          maxFlows: 10_000, vniInKey: false, overlap: 'linux', openingTimeoutMs: 60_000, idleTimeoutMs: 60_000, closingTimeoutMs: 5000,
          outOfOrderBytes: 1 << 20, outOfOrderTotalBytes: 1 << 22, reorderWindowPackets: 100, reorderWindowMs: 1000,
        }
        const reassembler = new Reassembler(options, { mayOpen: () => true, open: () => parser }, counters)
        const view = new PacketView()
        view.bytes = Buffer.alloc(40 + DATA)
        view.tcpAt = 20
        view.end = view.trueEnd = view.bytes.length
        view.vni = -1
        view.bytes[32] = 0x50
        view.bytes[33] = 0x10
        view.bytes.writeUInt32BE(0x0a000001, 12)
        view.bytes.writeUInt32BE(0x0a000002, 16)
        view.bytes.writeUInt16BE(80, 22)
        let n = 0
        function run(packets) {
          for (let i = 0; i < packets; i++, n++) {
            const flow = n % FLOWS
            view.bytes.writeUInt16BE(flow, 20)
            view.bytes.writeInt32BE((0x7fff0000 + ((n - flow) / FLOWS) * DATA) | 0, 24)
            view.hash = fiveTupleHash(view.bytes, 0, 4, 20, 0, 1)
            view.timeUs = view.nowUs = 1e15 + n * 10
            reassembler.packet(view)
          }
        }
        run(PACKETS)
        const grown = []
        for (let round = 0; round < 5; round++) {
          gc(); gc()
          const before = process.memoryUsage().heapUsed
          run(PACKETS)
          grown.push((process.memoryUsage().heapUsed - before) / PACKETS)
        }
        console.log(JSON.stringify({ grown, bytes: counters.get(Counter.segmentBytes), packets: n }))
        `,
      )
      const { grown, bytes, packets } = JSON.parse(
        execFileSync(process.execPath, ['--expose-gc', script], { encoding: 'utf8' }),
      )
      expect(bytes).toBe(packets * 100)
      // The best round: the compiler’s own garbage falls into one or another.
      expect(Math.min(...grown), `bytes per packet by round: ${grown}`).toBeLessThan(1)
    } finally {
      compiled.remove()
    }
  })
})
