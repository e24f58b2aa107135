import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editDistance, findNearest } from '../../src/config/nearest.ts'

const OPTIONS = [
  '--workers',
  '--receivers',
  '--to',
  '--max-flows',
  '--verify-checksums',
  '--body-timeout-ms',
  '--vni',
  '--order',
]

describe('the nearest name', () => {
  test.each([
    ['--worker', '--workers'],
    ['--wrokers', '--workers'],
    ['--maxFlows', '--max-flows'],
    ['--max_flows', '--max-flows'],
    ['--checksums', '--verify-checksums'],
    ['--body-timeout', '--body-timeout-ms'],
    ['--too', '--to'],
  ])('%s is meant as %s', (written, meant) => {
    expect(findNearest(written, OPTIONS)).toBe(meant)
  })

  test.each(['--frobnicate', '-w', 'x'.repeat(1000), ''])('nothing is suggested for %j', (written) => {
    expect(findNearest(written, OPTIONS)).toBeNull()
  })
})

test('the distance is a count of edits: none for the same, symmetric, at most the longer length', () => {
  const word = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, a)).toBe(0)
      expect(editDistance(a, b)).toBe(editDistance(b, a))
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
      expect(editDistance(a, b)).toBeGreaterThanOrEqual(Math.abs(a.length - b.length))
    }),
  )
})
