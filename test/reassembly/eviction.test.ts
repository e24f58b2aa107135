import { describe, expect, test } from 'vitest'
import { PacketDrop } from '../../src/base/drop.ts'
import { NO_ENTRY, ProgressRegister } from '../../src/flow/progress-register.ts'
import { PACKET_DROPS } from '../../src/metrics/counters.ts'
import { Phase } from '../../src/reassembly/stream-parser.ts'
import { ACK, FIN, Rig, RST, SYN } from './rig.ts'

const SECOND = 1_000_000
const LIMIT = PACKET_DROPS + PacketDrop.flowLimit

describe('when the flow table is full', () => {
  test('a SYN flood evicts itself: real connections stay, new ones come through', () => {
    const rig = new Rig({ maxFlows: 100 })
    rig.handshake(100, 900, { sourcePort: 1 })
    rig.client({ sourcePort: 1, seq: 101, ack: 901, data: 'a' })
    for (let i = 0; i < 1000; i++) rig.client({ sourcePort: 1000 + i, seq: i, flags: SYN })
    rig.handshake(100, 900, { sourcePort: 2 })
    rig.client({ sourcePort: 2, seq: 101, ack: 901, data: 'b' })
    for (let i = 0; i < 1000; i++) rig.client({ sourcePort: 3000 + i, seq: i, flags: SYN })
    rig.client({ sourcePort: 1, seq: 102, ack: 901, data: 'A' })
    rig.client({ sourcePort: 2, seq: 102, ack: 901, data: 'B' })
    expect(rig.streams.map((stream) => stream.text(0))).toEqual(['aA', 'bB'])
    expect(rig.counters.get(LIMIT)).toBe(0)
    expect(rig.get('flowsEvicted')).toBe(2002 - 100)
    expect(rig.reassembler.table.size).toBe(100)
    rig.closeAll()
  })

  test('closed ones go first, then half-open ones, then those without data, each time the oldest', () => {
    const rig = new Rig({ maxFlows: 4 })
    const isThere = (sourcePort: number) => {
      const before = rig.get('flowsOpened')
      rig.client({ sourcePort, seq: 101, ack: 901, flags: ACK })
      return rig.get('flowsOpened') === before && rig.ports().includes(sourcePort)
    }
    rig.handshake(100, 900, { sourcePort: 1 })
    rig.client({ sourcePort: 2, seq: 100, flags: SYN })
    rig.handshake(100, 900, { sourcePort: 3 })
    rig.client({ sourcePort: 3, seq: 101, ack: 901, flags: FIN | ACK })
    rig.server({ sourcePort: 3, seq: 901, ack: 102, flags: FIN | ACK })
    rig.client({ sourcePort: 4, seq: 100, ack: 901, data: 'x' })
    rig.client({ sourcePort: 5, seq: 100, ack: 901, data: 'x' })
    expect([1, 2, 3, 4, 5].map(isThere)).toEqual([true, true, false, true, true])
    expect(rig.get('flowsEvicted')).toBe(0)
    rig.client({ sourcePort: 6, seq: 100, ack: 901, data: 'x' })
    expect([1, 2, 4, 5, 6].map(isThere)).toEqual([true, false, true, true, true])
    rig.client({ sourcePort: 7, seq: 100, ack: 901, data: 'x' })
    expect([1, 4, 5, 6, 7].map(isThere)).toEqual([false, true, true, true, true])
    expect(rig.get('flowsEvicted')).toBe(2)
    rig.client({ sourcePort: 8, seq: 100, ack: 901, data: 'x' })
    expect(rig.counters.get(LIMIT)).toBe(1)
    rig.closeAll()
  })

  test('of those with data the oldest that is silent for five seconds goes; busy ones are not thrown out', () => {
    const rig = new Rig({ maxFlows: 3 })
    for (const sourcePort of [1, 2, 3]) rig.client({ sourcePort, seq: 100, data: 'x' })
    rig.nowUs += 5 * SECOND
    rig.client({ sourcePort: 1, seq: 101, data: 'y' })
    rig.client({ sourcePort: 4, seq: 100, data: 'z' })
    expect(rig.ports().sort()).toEqual([1, 3, 4])
    expect(rig.streams[1]!.log.at(-1)).toBe('close evicted')
    rig.client({ sourcePort: 5, seq: 100, data: 'z' })
    expect(rig.ports().sort()).toEqual([1, 4, 5])
    rig.client({ sourcePort: 6, seq: 100, data: 'z' })
    expect(rig.counters.get(LIMIT)).toBe(1)
    rig.closeAll()
  })
})

describe('a connection that gave way', () => {
  const midstream = (rig: Rig, sourcePort: number, seq: number, data: string) => rig.client({ sourcePort, seq, data })

  test('continues after what was read when it comes back, and nothing is read twice', () => {
    const rig = new Rig({ maxFlows: 1 })
    midstream(rig, 1, 100, 'first')
    rig.stream.phase = Phase.boundary
    midstream(rig, 2, 100, 'x')
    expect(rig.get('flowsEvicted')).toBe(1)
    rig.streams[1]!.phase = Phase.boundary
    midstream(rig, 1, 100, 'first')
    midstream(rig, 1, 105, 'second')
    expect(rig.streams.flatMap((stream) => stream.text(0)).join(' ')).toBe('first x second')
    rig.closeAll()
  })

  test('inside a message is known to be inside one when it comes back, however late; at a boundary it is not', () => {
    const rig = new Rig({ maxFlows: 1, closingTimeoutMs: 1000 })
    const comesBack = (sourcePort: number, isAtBoundary: boolean, afterUs: number) => {
      midstream(rig, sourcePort, 100, 'first')
      rig.streams.at(-1)!.phase = isAtBoundary ? Phase.boundary : Phase.message
      rig.nowUs += 6 * SECOND
      midstream(rig, 1000 + sourcePort, 100, 'x')
      rig.nowUs += afterUs + 6 * SECOND
      midstream(rig, sourcePort, 105, 'more')
      const back = rig.streams.at(-1)!
      rig.nowUs += 6 * SECOND
      return [back.text(0), back.isMidMessage]
    }
    expect(comesBack(1, true, 0)).toEqual(['more', false])
    expect(comesBack(2, false, 0)).toEqual(['more', true])
    expect(comesBack(3, false, 20 * SECOND)).toEqual(['more', true])
    rig.closeAll()
  })

  test('is not forgotten for others that need its place in the register', () => {
    /** All flows in one group, of eight. */
    class Crowded extends ProgressRegister {
      override take(_hash: number, ports: number, nowSeconds: number): number {
        return super.take(0, ports, nowSeconds)
      }
    }
    const rig = new Rig({ maxFlows: 8 }, {}, new Crowded())
    for (let port = 1; port <= 8; port++) midstream(rig, port, 100, 'first')
    rig.streams[0]!.phase = Phase.boundary
    midstream(rig, 9, 100, 'first')
    rig.streams[1]!.phase = Phase.boundary
    midstream(rig, 1, 100, 'first')
    expect(rig.get('flowsEvicted')).toBe(2)
    expect(rig.streams).toHaveLength(9)
    rig.closeAll()
  })

  test('and could not be remembered keeps all from beginning in the middle for the closing time-out; with a SYN they begin', () => {
    class Full extends ProgressRegister {
      override take(): number {
        return NO_ENTRY
      }
    }
    const rig = new Rig({ maxFlows: 2, closingTimeoutMs: 10_000 }, {}, new Full())
    for (const port of [1, 2]) midstream(rig, port, 100, 'first')
    rig.streams[0]!.phase = Phase.boundary
    rig.streams[1]!.phase = Phase.boundary
    rig.client({ sourcePort: 3, seq: 99, flags: SYN })
    expect(rig.get('flowsEvicted')).toBe(1)
    midstream(rig, 1, 100, 'first')
    expect(rig.counters.get(LIMIT)).toBe(1)
    // Its own SYN may be a repetition too.
    rig.client({ sourcePort: 1, seq: 99, flags: SYN })
    midstream(rig, 1, 100, 'first')
    rig.server({ sourcePort: 1, seq: 900, ack: 100, flags: SYN | ACK })
    expect(rig.counters.get(LIMIT)).toBe(4)
    rig.nowUs += 10 * SECOND
    rig.client({ sourcePort: 1, seq: 99, flags: SYN })
    midstream(rig, 4, 100, 'later')
    expect(rig.streams.map((stream) => stream.text(0))).toEqual(['first', 'first', 'later'])
    rig.closeAll()
  })
})

describe('what continues after the end of a connection that was mid-message', () => {
  const begin = (isAtBoundary: boolean, options = {}) => {
    const rig = new Rig(options)
    rig.handshake(100, 900)
    rig.client({ seq: 101, ack: 901, data: 'abc' })
    rig.stream.phase = isAtBoundary ? Phase.boundary : Phase.message
    return rig
  }
  /** Whether the connection that came after the first is known to be inside a message. */
  const isInside = (rig: Rig) => {
    const found = rig.streams.map((stream) => stream.isMidMessage)
    rig.closeAll()
    return found.slice(1)
  }

  test.each([true, false])('is inside one too: more was lost than a connection can jump (at a boundary: %s)', (is) => {
    const rig = begin(is)
    for (let i = 0; i < 3; i++) rig.client({ seq: 104 + (1 << 25) + i, ack: 901, data: 'x' })
    rig.server({ seq: 901, ack: 104 + (1 << 25) + 3 })
    expect(isInside(rig)).toEqual([!is])
  })

  test.each([true, false])('is inside one too: a reset that its receiver ignored (at a boundary: %s)', (is) => {
    const rig = begin(is)
    rig.client({ seq: 104, flags: RST })
    rig.client({ seq: 104, ack: 901, data: 'x' })
    expect(rig.streams).toHaveLength(1)
    rig.server({ seq: 901, ack: 105 })
    rig.client({ seq: 105, ack: 901, data: 'y' })
    expect(isInside(rig)).toEqual([!is])
  })

  test.each([true, false])('is inside one too: it was idle for too long (at a boundary: %s)', (is) => {
    for (const isSwept of [true, false]) {
      const rig = begin(is, { idleTimeoutMs: 20_000 })
      rig.nowUs += 30 * SECOND
      if (isSwept) rig.tick()
      rig.client({ seq: 104, ack: 901, data: 'x' })
      expect(isInside(rig)).toEqual([!is])
    }
  })

  test('is none of its own after a FIN, or where a SYN says that it begins', () => {
    const closed = begin(false)
    closed.client({ seq: 104, ack: 901, flags: FIN | ACK })
    closed.server({ seq: 901, ack: 105, flags: FIN | ACK })
    closed.client({ seq: 200, ack: 902, data: 'x' })
    closed.server({ seq: 902, ack: 201 })
    expect(isInside(closed)).toEqual([false])
    const opened = begin(false)
    opened.handshake(500_000_000, 600_000_000)
    opened.client({ seq: 500_000_001, ack: 600_000_001, data: 'x' })
    expect(isInside(opened)).toEqual([false])
    const idle = begin(false, { idleTimeoutMs: 20_000 })
    idle.nowUs += 30 * SECOND
    idle.handshake(5100, 5900)
    idle.client({ seq: 5101, ack: 5901, data: 'x' })
    expect(idle.streams[1]!.clientDirection).toBe(0)
    expect(isInside(idle)).toEqual([false])
  })

  test('is inside one too where only what was held when it gave way led into it', () => {
    const rig = new Rig({ maxFlows: 1 })
    rig.client({ seq: 100, data: 'abc' })
    const { stream } = rig
    Object.defineProperty(stream, 'phase', {
      get: () => (stream.log.some((line) => line.includes('gap')) ? Phase.opaque : Phase.boundary),
    })
    rig.client({ seq: 105, data: 'fgh' })
    rig.client({ sourcePort: 2, seq: 100, data: 'x' })
    rig.streams[1]!.phase = Phase.boundary
    rig.client({ seq: 108, data: 'more' })
    expect(stream.text(0)).toBe('abc<2>fgh')
    expect(rig.streams.map(({ isMidMessage }) => isMidMessage)).toEqual([false, false, true])
    rig.closeAll()
  })
})

describe('when there is no memory for another parser', () => {
  test('the first data of a connection is dropped and counted; with a parser without a message in hand it takes its place', () => {
    const rig = new Rig()
    rig.mostOpen = 2
    for (const sourcePort of [1, 2, 3]) rig.client({ sourcePort, seq: 100, data: 'x' })
    expect(rig.counters.get(PACKET_DROPS + PacketDrop.connectionLimit)).toBe(1)
    expect(rig.streams).toHaveLength(2)
    rig.streams[1]!.phase = Phase.boundary
    rig.client({ sourcePort: 4, seq: 100, data: 'x' })
    expect(rig.streams[1]!.isClosed).toBe(true)
    expect(rig.streams).toHaveLength(3)
    expect(rig.get('flowsEvicted')).toBe(1)
    rig.closeAll()
  })

  test('connections on the five-tuples of ended ones have none either; what is late of these is no matter', () => {
    const rig = new Rig()
    rig.mostOpen = 1
    for (const sourcePort of [1, 2]) {
      rig.client({ sourcePort, seq: 100, data: 'x' })
      rig.client({ sourcePort, seq: 101, flags: RST })
    }
    rig.client({ sourcePort: 3, seq: 100, data: 'x' })
    rig.client({ sourcePort: 1, seq: 100, data: 'x' })
    expect(rig.counters.get(PACKET_DROPS + PacketDrop.connectionLimit)).toBe(0)
    rig.server({ sourcePort: 1, seq: 900, ack: 102 })
    rig.client({ sourcePort: 1, seq: 102, data: 'x' })
    rig.client({ sourcePort: 2, seq: 500, flags: SYN, data: 'x' })
    expect(rig.counters.get(PACKET_DROPS + PacketDrop.connectionLimit)).toBe(2)
    expect(rig.streams.filter(({ isClosed }) => !isClosed)).toHaveLength(1)
    rig.closeAll()
  })

  test('flows whose data was never seen cannot go beyond it either: each declared gap closes another', () => {
    const rig = new Rig({ reorderWindowMs: 1000 })
    rig.mostOpen = 10
    for (let i = 0; i < 100; i++) {
      const sourcePort = 1000 + i
      rig.client({ sourcePort, seq: 100, flags: SYN })
      rig.server({ sourcePort, seq: 900, ack: 101, flags: SYN | ACK })
      rig.server({ sourcePort, seq: 901, ack: 600, flags: ACK })
    }
    rig.nowUs += 2 * SECOND
    rig.tick()
    expect(rig.streams.filter(({ isClosed }) => !isClosed).length).toBeLessThanOrEqual(10)
    expect(rig.get('gaps')).toBe(100)
    rig.closeAll()
  })
})

describe('the opening time-out', () => {
  test('forgets what only a SYN, or a SYN and its SYN+ACK, was seen of; a completed handshake has the idle time-out', () => {
    const rig = new Rig({ openingTimeoutMs: 5000, idleTimeoutMs: 60_000 })
    rig.client({ sourcePort: 1, seq: 100, flags: SYN })
    rig.client({ sourcePort: 2, seq: 100, flags: SYN })
    rig.server({ sourcePort: 2, seq: 900, ack: 101, flags: SYN | ACK })
    rig.handshake(100, 900, { sourcePort: 3 })
    rig.client({ sourcePort: 4, seq: 100, data: 'x' })
    rig.nowUs += 7 * SECOND
    rig.tick()
    expect(rig.ports().sort()).toEqual([3, 4])
    rig.nowUs += 60 * SECOND
    rig.tick()
    expect(rig.ports()).toEqual([])
    expect(rig.get('flowsExpired')).toBe(4)
  })
})

describe('the sweep over watched flows', () => {
  test('looks at a bounded number of them, and comes to all in time', () => {
    const rig = new Rig({ maxFlows: 10_000, reorderWindowMs: 1000 })
    for (let i = 0; i < 8000; i++) rig.client({ sourcePort: 1 + i, seq: 100, flags: SYN })
    for (let i = 0; i < 8000; i++) rig.server({ sourcePort: 1 + i, seq: 900, ack: 101, flags: SYN | ACK })
    for (let i = 0; i < 8000; i++) rig.server({ sourcePort: 1 + i, seq: 901, ack: 600, flags: ACK })
    rig.tick()
    rig.nowUs += 2 * SECOND
    rig.tick()
    const after = rig.get('gaps')
    expect(after).toBeGreaterThan(0)
    expect(after).toBeLessThanOrEqual(1024)
    for (let i = 0; i < 8; i++) rig.tick()
    expect(rig.get('gaps')).toBe(8000)
    rig.closeAll()
  })
})
