import { describe, expect, test } from 'vitest'
import { Watch } from '../../../src/report/diagnosis/watch.ts'
import { GOOD, reading, SETUP } from './readings.ts'

/** Looks once a second from `from` on, with what `made` says has come by then. @returns `second code` of what is told */
function follow(
  watch: Watch,
  from: number,
  to: number,
  made: (second: number) => Parameters<typeof reading>[1],
): string[] {
  const told: string[] = []
  for (let second = from; second <= to; second++)
    for (const { code } of watch.look(reading(second * 1000, made(second)), SETUP)) told.push(`${second} ${code}`)
  return told
}

/** `n` requests, all answered, of which each brings ten packets. */
function good(n: number) {
  return {
    packets: { received: 10 * n, tcp: 10 * n },
    requests: { parsed: n, dropped: {}, replayed: { '2xx': n } },
    responses: { parsed: n },
  }
}

describe('a service that is followed', () => {
  test('is told of silence within ten seconds of its start, and once a minute while it lasts', () => {
    const told = follow(new Watch(reading(0)), 1, 200, () => ({}))
    expect(told).toEqual(['5 noPackets', '65 noPackets', '125 noPackets', '185 noPackets'])
  })

  test('is told nothing while all is well, however little comes', () => {
    expect(follow(new Watch(reading(0)), 1, 300, (s) => good(s * 50))).toEqual([])
    expect(follow(new Watch(reading(0)), 1, 300, (s) => good(1 + Math.floor(s / 30)))).toEqual([])
  })

  test('is told when packets turn into others within ten seconds, and when they are right again nothing more', () => {
    const watch = new Watch(reading(0))
    expect(follow(watch, 1, 100, (s) => good(s))).toEqual([])
    const wrong = (s: number) => ({
      ...good(100),
      packets: { received: 1000 + 10 * (s - 100), tcp: 1000, dropped: { sourceNotAllowed: 10 * (s - 100) } },
      refused: { sources: { '203.0.113.9': 10 * (s - 100) } },
    })
    const told = follow(watch, 101, 130, wrong)
    expect(told).toHaveLength(1)
    expect(Number(told[0]!.split(' ')[0])).toBeLessThanOrEqual(110)
    expect(follow(watch, 131, 300, (s) => ({ ...wrong(130), ...good(100 + s) }))).toEqual([])
  })

  test('is told that packets have stopped after a minute, not before', () => {
    const watch = new Watch(reading(0))
    expect(follow(watch, 1, 20, (s) => good(s))).toEqual([])
    expect(follow(watch, 21, 100, () => good(20))).toEqual(['80 packetsStopped'])
  })

  test('is told once a minute of what comes and goes', () => {
    const watch = new Watch(reading(0))
    // Every 15 s a burst to an origin that refuses.
    const burst = (s: number) => {
      const n = 20 * (1 + Math.floor(s / 15))
      return { ...good(n), requests: { parsed: n, dropped: {}, replayed: { refused: n } } }
    }
    const told = follow(watch, 1, 180, burst)
    expect(told.length).toBeLessThanOrEqual(3)
    expect(told.length).toBeGreaterThan(1)
    expect(new Set(told.map((text) => text.split(' ')[1]))).toEqual(new Set(['originDown']))
  })
})

describe('what is wrong now', () => {
  test('is told when asked, with the window and the counts since the start', () => {
    const watch = new Watch(reading(0))
    follow(watch, 1, 3, () => ({}))
    const diagnosis = watch.diagnosis(reading(4000, { packets: { received: 5, other: 5 } }), SETUP)
    expect(diagnosis).toMatchObject({
      status: 'wrong',
      findings: [{ code: 'noTcp', severity: 'wrong' }],
      uptimeSeconds: 4,
      total: { packets: { received: 5 } },
    })
    expect(diagnosis.window.packets.received).toBe(5)
  })

  test('is ok where nothing is', () => {
    const watch = new Watch(reading(0))
    expect(watch.diagnosis(reading(9000, GOOD), SETUP)).toMatchObject({ status: 'ok', findings: [] })
  })

  test('is judged by what came last where nothing came since, for a minute', () => {
    const watch = new Watch(reading(0))
    const tls = { packets: { received: 100, tcp: 100 }, flows: { opened: 9 }, protocols: { 'tls:443': 9 } }
    follow(watch, 1, 20, () => tls)
    expect(watch.diagnosis(reading(40_000, tls), SETUP).findings.map(({ code }) => code)).toEqual(['tlsOnly'])
  })

  test('keeps readings of one minute', () => {
    const watch = new Watch(reading(0))
    follow(watch, 1, 1000, (s) => good(s))
    const { windowSeconds, window } = watch.diagnosis(reading(1_001_000, good(1001)), SETUP)
    expect(windowSeconds).toBe(8)
    expect(window.requests.parsed).toBe(8)
    // Also where somebody asks all the time.
    for (let ms = 0; ms < 120_000; ms += 10) watch.diagnosis(reading(1_001_000 + ms, good(1001)), SETUP)
    expect((watch as unknown as { readings: unknown[] }).readings.length).toBeLessThan(130)
  })
})
