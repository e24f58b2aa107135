import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seqAdd, seqBefore, seqDistance } from '../../src/wire/seq.ts'

const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff })

describe('sequence numbers', () => {
  test('the one after 2^32 - 1 is one later, not the same', () => {
    expect(seqDistance(0xffffffff | 0, 0)).toBe(1)
    expect(seqDistance(0, 0xffffffff | 0)).toBe(-1)
    expect(seqAdd(0xffffffff | 0, 1)).toBe(0)
  })

  test('2^31 - 1 and its successor are neighbours', () => {
    expect(seqAdd(0x7fffffff, 1)).toBe(-0x80000000)
    expect(seqDistance(0x7fffffff, -0x80000000)).toBe(1)
    expect(seqBefore(0x7fffffff, -0x80000000)).toBe(true)
  })

  test('going a distance comes to where the distance says, anywhere on the circle', () => {
    fc.assert(
      fc.property(int32, int32, (a, n) => {
        expect(seqDistance(a, seqAdd(a, n))).toBe(n)
      }),
    )
  })

  test('agree with arithmetic on big integers', () => {
    fc.assert(
      fc.property(int32, int32, (a, b) => {
        expect(seqDistance(a, b)).toBe(Number(BigInt.asIntN(32, BigInt(b) - BigInt(a))))
        expect(seqAdd(a, b)).toBe(Number(BigInt.asIntN(32, BigInt(a) + BigInt(b))))
      }),
    )
  })

  test('one stands before another exactly when the distance to it is positive; half the circle away neither is later for sure', () => {
    fc.assert(
      fc.property(int32, fc.integer({ min: 1, max: 0x7fffffff }), (a, n) => {
        expect(seqBefore(a, seqAdd(a, n))).toBe(true)
        expect(seqBefore(seqAdd(a, n), a)).toBe(false)
        expect(seqBefore(a, a)).toBe(false)
      }),
    )
  })
})
