import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from '../../src/config/quantities.ts'

test('whatever a size or a time is printed as, reading it gives the same number', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (n) => {
      expect(parseBytes(formatBytes(n))).toBe(n)
      expect(parseDurationMs(formatDurationMs(n))).toBe(n)
    }),
  )
})

test.each([
  ['65536', 65_536],
  ['64k', 65_536],
  ['64KiB', 65_536],
  ['1.5 MiB', 1_572_864],
  ['1g', 2 ** 30],
  ['64KB', 65_536],
  ['64kB', 65_536],
  ['1GB', 2 ** 30],
  ['1 TB', 2 ** 40],
  ['0', 0],
])('the size %s is %d bytes', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes)
})

test.each([
  ['250', 250],
  ['250ms', 250],
  ['5s', 5000],
  ['0.5s', 500],
  ['2m', 120_000],
  ['24h', 86_400_000],
  ['1d', 86_400_000],
])('the time %s is %d ms', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms)
})

test.each(['', '-1', '1e3', '0x10', '16MX', '64kBB', '5 apples', '0.3', '1 2', 'NaN', 'constructor'])(
  '%j is no size: an unknown unit, a part of a byte, or no number',
  (text) => {
    expect(parseBytes(text)).toBeNull()
  },
)
