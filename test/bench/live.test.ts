import { describe, expect, it } from 'vitest'
import { MIRROR_SEED, type MirrorCycle, makeCycle, renumber } from '../../bench/support/mirror-cycle.ts'
import { Schedule } from '../../bench/support/pacing.ts'
import { RateSearch } from '../../bench/support/rate-search.ts'
import { compareLogs, expectedLog, logLine } from '../../bench/support/sent-requests.ts'
import { u16 } from '../../src/wire/bytes.ts'
import { ipv4ChecksumHolds, tcpChecksumHolds } from '../../src/wire/checksum.ts'

describe('the schedule of a sender', () => {
  it('owes what time has brought, less what has left, and never a part of a packet', () => {
    const schedule = new Schedule(60_000, 1_000, 20)
    expect(schedule.due(1_000)).toBe(0)
    expect(schedule.due(1_001.51)).toBe(90)
    schedule.took(90)
    expect(schedule.due(1_001.51)).toBe(0)
    expect(schedule.due(1_002)).toBe(30)
  })

  it('keeps its rate exactly over any pattern of late wake-ups', () => {
    const schedule = new Schedule(120_000, 0, 20)
    let sent = 0
    for (let ms = 0; ms <= 1_000; ms += (ms * 7) % 13 < 6 ? 0.5 : 4.25) {
      const due = schedule.due(ms)
      schedule.took(due)
      sent += due
    }
    expect(sent + schedule.due(1_000)).toBe(120_000)
    expect(schedule.slippedMs).toBe(0)
  })

  it('makes good no more than its bound after a pause, and says what it gave up', () => {
    const schedule = new Schedule(10_000, 0, 20)
    expect(schedule.due(120)).toBe(200)
    expect(schedule.slippedMs).toBeCloseTo(100)
    schedule.took(200)
    // From there on at the rate.
    expect(schedule.due(121)).toBe(10)
  })

  it('owes more than anyone can send where no rate is set', () => {
    expect(new Schedule(Number.POSITIVE_INFINITY, 0, 20).due(0)).toBe(Number.MAX_SAFE_INTEGER)
  })
})

/** Ethernet behind the VXLAN header. */
const FRAME = 8

/** The datagrams as they leave: opening pass, whole passes, closing pass. */
function* sentIn(cycle: MirrorCycle, passes: number): Generator<Buffer> {
  for (let pass = 0; pass <= passes; pass++) {
    for (const [i, wraps] of cycle.wraps.entries()) {
      if ((pass === 0 && wraps === 1) || (pass === passes && wraps === 0)) continue
      renumber(cycle, i, pass)
      yield Buffer.from(cycle.bytes.subarray(cycle.offsets[i], cycle.offsets[i + 1]))
    }
  }
}

describe('the endless mirror', () => {
  const cycle = makeCycle(MIRROR_SEED, 60, 25)
  const PASSES = 3
  const sent = [...sentIn(cycle, PASSES)].map((datagram) => datagram.subarray(FRAME))

  it('sends each connection whole in every pass, in order, on a five-tuple of its own', () => {
    expect(sent).toHaveLength(PASSES * cycle.wraps.length)
    const directions = new Map<string, Buffer[]>()
    for (const frame of sent) {
      const key = frame.toString('hex', 26, 38)
      directions.set(key, [...(directions.get(key) ?? []), frame])
    }
    expect(directions.size).toBe(PASSES * 60 * 2)
    for (const frames of directions.values()) {
      const flags = frames.map((frame) => frame[47]!)
      expect(flags[0]! & 2, 'SYN first').toBe(2)
      expect(flags.filter((f) => (f & 2) !== 0)).toHaveLength(1)
      expect(
        flags.filter((f) => (f & 1) !== 0),
        'one FIN',
      ).toHaveLength(1)
      let expected = frames[0]!.readUInt32BE(38)
      for (const frame of frames) {
        expect(frame.readUInt32BE(38), 'no byte missing, none twice').toBe(expected)
        const length = u16(frame, 16) - 40
        expected = (expected + length + ((frame[47]! & 3) !== 0 ? 1 : 0)) >>> 0
      }
    }
  })

  it('keeps all checksums right in every pass, the last of its numbers included', () => {
    for (const pass of [0, 1, 255, 256, 65_535, 65_536]) {
      for (const i of cycle.wraps.keys()) {
        renumber(cycle, i, pass)
        const frame = cycle.bytes.subarray(cycle.offsets[i]! + FRAME, cycle.offsets[i + 1])
        expect(ipv4ChecksumHolds(frame, 14, 20)).toBe(true)
        expect(tcpChecksumHolds(frame, 14, 4, 34, 14 + u16(frame, 16))).toBe(true)
      }
    }
  })

  it('keeps about as many connections open at any time', () => {
    // LIFE of the cycle, so nine of ten; between passes as well as within.
    let open = 0
    const counts: number[] = []
    for (const [n, frame] of sent.entries()) {
      const isFromClient = frame[26] === 10
      if (isFromClient && (frame[47]! & 2) !== 0) open++
      if (isFromClient && (frame[47]! & 1) !== 0) open--
      if (n > cycle.wraps.length && n < 2 * cycle.wraps.length) counts.push(open)
    }
    expect(Math.min(...counts)).toBeGreaterThan(40)
    expect(Math.max(...counts)).toBeLessThanOrEqual(60)
    expect(open).toBe(0)
  })

  it('carries datagrams of about 236 bytes, 4.3 of them for a request', () => {
    expect(cycle.bytes.length / cycle.wraps.length).toBeGreaterThan(215)
    expect(cycle.bytes.length / cycle.wraps.length).toBeLessThan(255)
    expect(cycle.wraps.length / cycle.requests).toBeCloseTo(4.35, 0)
  })
})

describe('requests that an origin wrote down', () => {
  const cycle = makeCycle(MIRROR_SEED, 30, 25)
  const expected = expectedLog(cycle)

  it('are read off the frames one by one, no two alike', () => {
    expect(expected).toHaveLength(cycle.requests)
    expect(new Set(expected).size).toBe(cycle.requests)
    expect(expected.filter((line) => line.startsWith('POST ')).length).toBeGreaterThan(100)
  })

  it('have their chunked bodies put together, and their length', () => {
    const head = 'POST /a HTTP/1.1\r\nHost: h\r\nX-Request-Id: 7\r\nTransfer-Encoding: chunked'
    expect(logLine(`${head}\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n`)).toBe(
      'POST /a HTTP/1.1\t\t\t7\t\t\t13\tabc0123456789',
    )
    expect(logLine('GET /a HTTP/1.1\r\nHost: h\r\n\r\n')).toBe('GET /a HTTP/1.1\t\t\t\t\t\t\t')
  })

  it('are altered, doubled or missing, each told for what it is', () => {
    const twice = [...expected, ...expected]
    expect(compareLogs(expected, 2, twice)).toEqual({ altered: 0, doubled: 0, missing: 0, example: null })
    const changed = expected[0]!.replace('/', '/x')
    expect(compareLogs(expected, 2, [...twice.slice(1), changed, expected[5]!])).toEqual({
      altered: 1,
      doubled: 1,
      missing: 1,
      example: changed,
    })
  })
})

describe('the search for the highest rate without loss', () => {
  const search = (limit: number, senderMost = Number.POSITIVE_INFINITY) => {
    const rates = new RateSearch({ first: 100_000, step: 1.5, close: 1.05, mostProbes: 20 })
    for (let asked = rates.next(); asked !== null; asked = rates.next()) {
      const achieved = Math.min(asked, senderMost)
      rates.add({ asked, achieved, lost: achieved > limit ? 1 : 0 })
    }
    return rates
  }

  it('comes closer to any limit than it was asked to, from below', () => {
    for (const limit of [40_000, 99_999, 100_000, 123_456, 265_000, 1_000_000]) {
      const found = search(limit)
      expect(found.highestLossless, `limit ${limit}`).toBeLessThanOrEqual(limit)
      expect(found.highestLossless, `limit ${limit}`).toBeGreaterThan(limit / 1.06)
      expect(found.lowestLosing).toBeGreaterThan(limit)
      expect(found.senderIsTheLimit).toBe(false)
    }
  })

  it('stops where the sender can do no more, and says so', () => {
    const found = search(1_000_000, 260_000)
    expect(found.senderIsTheLimit).toBe(true)
    expect(found.highestLossless).toBe(260_000)
    expect(found.lowestLosing).toBeNull()
  })

  it('does not believe a lossless probe above one that lost', () => {
    const rates = new RateSearch({ first: 100_000, step: 1.5, close: 1.05, mostProbes: 20 })
    rates.add({ asked: 100_000, achieved: 100_000, lost: 0 })
    rates.add({ asked: 150_000, achieved: 150_000, lost: 9 })
    rates.add({ asked: 200_000, achieved: 200_000, lost: 0 })
    expect(rates.highestLossless).toBe(100_000)
  })

  it('ends where everything is lost', () => {
    expect(search(0).highestLossless).toBe(0)
  })
})
