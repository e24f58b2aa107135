import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  FORMATS,
  formatNumber,
  formatText,
  sourceNumber,
  sourceText,
  vniNumber,
  vniText,
} from '../../src/metrics/refused-numbers.ts'
import { parsePeer } from '../../src/sources/live/socket-address.ts'

describe('what was refused fits a table of numbers, and is read back', () => {
  const numberOf = (text: string) => {
    const { family, words } = parsePeer(text)
    return sourceNumber(family, words[0]!, words[1]!)
  }

  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2::3', '2001:db8:1::/48'],
    ['::1', '0:0:0::/48'],
    ['ffff:ffff:ffff::1', 'ffff:ffff:ffff::/48'],
  ])('source %s as %s', (address, text) => {
    expect(sourceText(numberOf(address))).toBe(text)
  })

  test('every source as an exact number that is 0 or more', () => {
    fc.assert(
      fc.property(fc.constantFrom(4, 6), fc.integer(), fc.integer(), (family, word0, word1) => {
        const number = sourceNumber(family, word0, word1)
        expect(Number.isSafeInteger(number + 1) && number >= 0).toBe(true)
      }),
    )
  })

  test('every VNI, and none', () => {
    expect([vniText(vniNumber(-1)), vniText(vniNumber(0)), vniText(vniNumber(16_777_215))]).toEqual([
      'none',
      '0',
      '16777215',
    ])
  })

  test('every pair of formats', () => {
    for (const expected of FORMATS)
      for (const found of FORMATS) expect(formatText(formatNumber(expected, found))).toBe(`${found} for ${expected}`)
  })
})
