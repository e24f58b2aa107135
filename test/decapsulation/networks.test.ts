import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Network, NetworkList } from '../../src/decapsulation/networks.ts'

const word = fc.integer({ min: -0x80000000, max: 0x7fffffff })

/** The obvious way: compare bit by bit. */
function contains(network: Network, words: readonly number[]): boolean {
  for (let bit = 0; bit < network.prefixLength; bit++) {
    const at = bit >> 5
    const shift = 31 - (bit & 31)
    if (((network.words[at]! >>> shift) & 1) !== ((words[at]! >>> shift) & 1)) return false
  }
  return true
}

test('an empty list has no member', () => {
  const list = new NetworkList([])
  expect(list.hasIpv4(0)).toBe(false)
  expect(list.hasIpv6(0, 0, 0, 0)).toBe(false)
})

test('prefix length 0 is everybody of its family, 32 and 128 one address', () => {
  expect(new NetworkList([{ family: 4, words: [1], prefixLength: 0 }]).hasIpv4(-1)).toBe(true)
  expect(new NetworkList([{ family: 4, words: [1], prefixLength: 0 }]).hasIpv6(0, 0, 0, 1)).toBe(false)
  const one = new NetworkList([
    { family: 4, words: [0x0a000001], prefixLength: 32 },
    { family: 6, words: [1, 2, 3, -4], prefixLength: 128 },
  ])
  expect([one.hasIpv4(0x0a000001), one.hasIpv4(0x0a000000)]).toEqual([true, false])
  expect([one.hasIpv6(1, 2, 3, -4), one.hasIpv6(1, 2, 3, -3)]).toEqual([true, false])
})

test('membership is what comparing bit by bit says', () => {
  const address = fc.tuple(word, word, word, word)
  const network = (family: 4 | 6) =>
    fc.record({
      family: fc.constant(family),
      words: address,
      prefixLength: fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
    })
  // An address near a network: some bits turned.
  const near = fc.tuple(fc.array(fc.oneof(network(4), network(6)), { maxLength: 4 }), fc.nat(3), address, fc.nat(127))
  fc.assert(
    fc.property(near, ([networks, pick, other, bit]) => {
      const words = [...(networks[pick]?.words ?? other)]
      words[bit >> 5]! ^= 1 << (bit & 31)
      const list = new NetworkList(networks)
      const expected = (family: 4 | 6) => networks.some((n) => n.family === family && contains(n, words))
      expect(list.hasIpv4(words[0]!)).toBe(expected(4))
      expect(list.hasIpv6(words[0]!, words[1]!, words[2]!, words[3]!)).toBe(expected(6))
    }),
    { numRuns: 1000 },
  )
})
