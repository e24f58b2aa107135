import { describe, expect, it } from 'vitest'
import { keepAliveFrames } from '../../bench/support/keep-alive-traffic.ts'
import { isAsked, parseOptions } from '../../bench/support/options.ts'
import { childrenSeconds } from '../../bench/support/processes.ts'
import { spreadOf } from '../../bench/support/statistics.ts'
import { formatTable, ratio, spread } from '../../bench/support/table.ts'
import { u16 } from '../../src/wire/bytes.ts'
import { ipv4ChecksumHolds, tcpChecksumHolds } from '../../src/wire/checksum.ts'

describe('figures of several runs', () => {
  it('are told by the median, of an even number by the middle of the middle two', () => {
    expect(spreadOf([9, 1, 2])).toEqual({ median: 2, least: 1, greatest: 9 })
    expect(spreadOf([4, 1, 2, 100]).median).toBe(3)
  })

  it('show their spread only where there is one', () => {
    expect(spread(spreadOf([1, 2, 3]), 1)).toBe('2.0 (1.0–3.0)')
    expect(spread(spreadOf([2]), 1)).toBe('2.0')
  })

  it('never show a ratio without its two sides', () => {
    expect(ratio(3, 2, 1)).toBe('3.0 / 2.0 = 1.50 ×')
  })

  it('stand in columns', () => {
    expect(
      formatTable([
        ['a', 'b'],
        ['long', '1'],
      ]),
    ).toEqual(['  a     b', '  long  1'])
  })
})

describe('the options of the bench', () => {
  it('ask for all benches, for a group or for one', () => {
    const asked = (names: string[]) =>
      ['micro/hash', 'pipeline/file', 'pipeline/files'].filter((name) => isAsked(parseOptions(names), name))
    expect(asked([])).toHaveLength(3)
    expect(asked(['micro'])).toEqual(['micro/hash'])
    expect(asked(['pipeline/file'])).toEqual(['pipeline/file'])
  })

  it('refuse what is no whole number, naming option and value', () => {
    expect(() => parseOptions(['--runs', '0'])).toThrow('--runs: expected a whole number from 1, got "0"')
    expect(() => parseOptions(['--workers', '0,x'])).toThrow('--workers')
  })

  it('refuse a capture without the number of its requests', () => {
    expect(() => parseOptions(['--file', 'a.pcap'])).toThrow('--requests')
  })
})

it('the processor time of a program is what the shell tells of its children', () => {
  expect(childrenSeconds('0m0.00s 0m0.00s\n0m1.25s 1m0.30s\n')).toBeCloseTo(61.55)
  expect(childrenSeconds('')).toBe(0)
})

describe('the traffic of the benches', () => {
  const frames = [...keepAliveFrames(3, { connections: 20, requestsPerConnection: 5 })]

  it('is the same for the same seed', () => {
    expect([...keepAliveFrames(3, { connections: 20, requestsPerConnection: 5 })]).toEqual(frames)
  })

  it('has as many requests as were asked for, each at the start of a segment', () => {
    const requests = frames.filter((frame) => /^(GET|POST) /.test(frame.toString('latin1', 54, 60)))
    expect(requests).toHaveLength(100)
  })

  it('has right checksums, also when the second bytes of both addresses are counted against each other', () => {
    const hold = (frame: Buffer) => {
      const end = 14 + u16(frame, 16)
      return ipv4ChecksumHolds(frame, 14, 20) && tcpChecksumHolds(frame, 14, 4, 34, end)
    }
    for (const frame of frames) {
      expect(hold(frame)).toBe(true)
      for (const at of [26, 30]) frame[at + 1] = frame[at] === 10 ? 77 : 255 - 77
      expect(hold(frame)).toBe(true)
    }
  })
})
