import { describe, expect, test } from 'vitest'
import { Counter } from '../../src/metrics/counters.ts'
import { End } from '../../src/reassembly/stream-parser.ts'

import { ConnectionRig, RigContext } from './support/connection-rig.ts'

const MIB = 1024 * 1024
const KIB = 1024

const upload = (length: number) => `POST /u HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`

describe('messages being read', () => {
  test('never take more than their bound, and the oldest is evicted for the newest', () => {
    const context = new RigContext({ messageBytes: MIB })
    const rigs = Array.from({ length: 40 }, () => new ConnectionRig({ context }))
    for (const rig of rigs) {
      rig.client(upload(100 * KIB))
      for (let sent = 0; sent < 64; sent++) {
        rig.client('x'.repeat(KIB))
        expect(context.counters.get(Counter.messageBytes)).toBeLessThanOrEqual(MIB)
      }
    }
    // Those that came last are still there, and complete.
    const last = rigs.at(-1)!
    last.client('x'.repeat(36 * KIB)).server('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(last.exchanges).toEqual(['POST /u -> 200'])
    for (const rig of rigs) rig.connection.close(End.input)
    const { memoryLimit = 0, incomplete = 0 } = last.drops
    expect(memoryLimit).toBeGreaterThan(20)
    expect(memoryLimit + incomplete + 1).toBe(40)
    expect(context.counters.get(Counter.messageBytes)).toBe(0)
    expect(context.counters.get(Counter.connectionBytes)).toBe(0)
    expect(context.requestsInParsing).toBe(0)
  })

  test('a body that was evicted is read over, and the next request is read', () => {
    const context = new RigContext({ messageBytes: 20 * KIB })
    const rig = new ConnectionRig({ context })
    rig.client(upload(40 * KIB)).client('x'.repeat(40 * KIB))
    rig.client('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
    rig.server('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(rig.exchanges).toContain('GET /next -> 200')
    expect(context.counters.get(Counter.messageBytes)).toBe(0)
  })

  test('after a head that was evicted nothing is read until a boundary is proven', () => {
    const context = new RigContext({ messageBytes: 4 * KIB })
    const rig = new ConnectionRig({ context })
    rig.client(`GET /a HTTP/1.1\r\nA: ${'x'.repeat(3000)}`).client('x'.repeat(3000))
    rig.client('\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n')
    rig.client('GET /proven HTTP/1.1\r\nHost: a\r\n\r\n', { isAckedTo: true })
    rig.connection.close(End.input)
    expect(rig.exchanges.some((e) => e.includes('hidden'))).toBe(false)
    expect(rig.exchanges.some((e) => e.includes('proven'))).toBe(true)
    expect(context.requestsInParsing).toBe(0)
    expect(context.counters.get(Counter.messageBytes)).toBe(0)
  })
})

describe('a head that is evicted', () => {
  const LINE = 'GET /a HTTP/1.1\r\nHost: a\r\n'
  /** Heads that were begun and are never ended, until the first of them had to go. */
  const crowd = (context: RigContext) => {
    for (let i = 0; i < 4; i++) new ConnectionRig({ context }).client(`${LINE}B: `)
  }

  test('counts as a request though its first line came in pieces', () => {
    const context = new RigContext({ messageBytes: 5 * KIB })
    const rig = new ConnectionRig({ context })
    for (const byte of LINE) rig.client(byte)
    expect(rig.count('requestsParsed')).toBe(0)
    crowd(context)
    expect(rig.drops).toEqual({ memoryLimit: 2 })
    expect(rig.count('requestsParsed')).toBe(5)
  })

  test('and was the response that accepted a tunnel: nothing after the CONNECT is read', () => {
    const context = new RigContext({ messageBytes: 5 * KIB })
    const rig = new ConnectionRig({ context })
    rig.client('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')
    for (const piece of ['HTTP/1.1 2', '00 OK\r\n', 'A: b\r\n']) rig.server(piece)
    crowd(context)
    expect(rig.responseDrops).toEqual({ memoryLimit: 1 })
    rig.server('\r\n').client('GET /inside HTTP/1.1\r\nHost: a\r\n\r\n', { isAckedTo: true })
    expect(rig.exchanges).toEqual(['CONNECT a:1 -> none'])
    expect(rig.count('tunnelBytes')).toBeGreaterThan(0)
  })

  test('a message that evicted the response which accepted a tunnel is the last one that is read', () => {
    const context = new RigContext({ messageBytes: 10 * KIB })
    const rig = new ConnectionRig({ context })
    // An answer that came before its question: nobody waits for it.
    rig.server('HTTP/1.1 101 Switching\r\nA: b', { ack: null })
    rig.client(`${upload(9000)}${'x'.repeat(1000)}`)
    rig.client('x'.repeat(7999))
    rig.client('xGET /inside HTTP/1.1\r\nHost: a\r\n\r\n')
    expect([rig.count('requestsParsed'), rig.drops]).toEqual([1, { incomplete: 1 }])
    rig.close()
  })
})

describe('exchanges that wait for their response', () => {
  test('are handed on without it when the bound is reached, each once', () => {
    const context = new RigContext({ messageBytes: 50 * KIB })
    const rigs = Array.from({ length: 100 }, () => new ConnectionRig({ context, bodies: 'keep' }))
    for (const rig of rigs) {
      rig.client(`${upload(KIB)}${'x'.repeat(KIB)}`)
      expect(context.counters.get(Counter.messageBytes)).toBeLessThanOrEqual(50 * KIB)
    }
    const shed = rigs.reduce((n, rig) => n + rig.shed, 0)
    expect(shed).toBeGreaterThan(60)
    for (const rig of rigs) rig.server('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok').connection.close(End.input)
    const all = rigs.flatMap((rig) => rig.exchanges)
    expect(all.filter((e) => e === 'POST /u -> none')).toHaveLength(shed)
    expect(all.filter((e) => e === 'POST /u -> 200')).toHaveLength(100 - shed)
    expect(rigs.reduce((n, rig) => n + rig.pairing.held, 0)).toBe(0)
    expect(context.counters.get(Counter.messageBytes)).toBe(0)
  })

  test('a flood of interim responses is bounded too', () => {
    const context = new RigContext({ messageBytes: 50 * KIB })
    const rig = new ConnectionRig({ context })
    rig.client('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
    for (let i = 0; i < 1000; i++) {
      rig.server('HTTP/1.1 100 Continue\r\nA: b\r\n\r\n')
      expect(context.counters.get(Counter.messageBytes)).toBeLessThanOrEqual(50 * KIB)
    }
    rig.connection.close(End.input)
    expect(rig.pairing.held).toBe(0)
    expect(rig.full.reduce((n, { interim }) => n + interim.length, 0)).toBeLessThan(100)
  })

  test('a flood of interim responses to a request that never ends is bounded as well', () => {
    const context = new RigContext({ messageBytes: 50 * KIB })
    const rig = new ConnectionRig({ context })
    rig.client(`${upload(100)}x`)
    for (let i = 0; i < 1000; i++) rig.server('HTTP/1.1 100 Continue\r\nA: b\r\n\r\n')
    rig.server('HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n')
    rig.connection.close(End.input)
    expect(rig.full.reduce((n, { interim }) => n + interim.length, 0)).toBeLessThan(100)
    expect(context.counters.get(Counter.messageBytes)).toBe(0)
  })
})

test('requests that wait for their response are forgotten, oldest first, when connections have used up their memory', () => {
  const context = new RigContext({ connectionBytes: 20 * KIB })
  const rig = new ConnectionRig({ context })
  rig.client('GET /a HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(500))
  expect(context.counters.get(Counter.connectionBytes)).toBeLessThanOrEqual(20 * KIB)
  expect(rig.exchanges.length).toBeGreaterThan(300)
  rig.connection.close(End.input)
  expect(rig.exchanges).toHaveLength(500)
  expect(context.counters.get(Counter.connectionBytes)).toBe(0)
})

test('a malformed response that accepts a tunnel gives back the memory of the requests before it', () => {
  const context = new RigContext()
  for (let i = 0; i < 3; i++) {
    const rig = new ConnectionRig({ context })
    rig.client('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')
    rig.server('HTTP/1.1 200 OK\r\nA b\r\n\r\n')
    rig.connection.close(End.input)
    expect(rig.exchanges).toEqual(['CONNECT a:1 -> none'])
    expect(context.counters.get(Counter.connectionBytes)).toBe(0)
  }
})

test('memory of a message that was given up is not counted again', () => {
  const { memory, counters } = new RigContext()
  const reservation = memory.open({ evict: () => {} })
  memory.resize(reservation, KIB)
  memory.close(reservation)
  memory.resize(reservation, 2 * KIB)
  expect(counters.get(Counter.messageBytes)).toBe(0)
})
