import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Layer } from '../../src/decapsulation/layer.ts'
import { Verdict } from '../../src/decapsulation/verdict.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { erspan2, ethernet, fragmentIpv4, gre, providerBackbone, vxlan } from '../support/packets.ts'
import { FRAME4, INNER4, inIpv4, inUdp } from './samples.ts'
import { Walker } from './walk.ts'

/** A frame with these VLAN identifiers, outermost first. */
function inVlans(identifiers: readonly number[], packet = INNER4): Buffer {
  const frame = ethernet(
    EtherType.ipv4,
    packet,
    identifiers.map(() => EtherType.vlan),
  )
  // The upper bits are priority: they tell nothing apart.
  for (const [i, identifier] of identifiers.entries()) frame.writeUInt16BE(0xe000 | identifier, 14 + 4 * i)
  return frame
}

/** The number of the network a frame is in. */
function networkOf(bytes: Buffer, linkType: number = LinkType.ethernet): number {
  const { decapsulator } = new Walker()
  expect(decapsulator.frame(bytes, 0, bytes.length, bytes.length, linkType)).toBe(Verdict.tcp)
  return decapsulator.view.network
}

describe('the network of a packet', () => {
  test('is none without VNI and VLAN tag, nor with a tag that only states a priority', () => {
    expect(networkOf(FRAME4)).toBe(0)
    expect(networkOf(INNER4, LinkType.raw)).toBe(0)
    expect(networkOf(inVlans([0]))).toBe(0)
    expect(networkOf(inVlans([0, 7]))).toBe(networkOf(inVlans([7])))
  })

  test('differs by VNI, by VLAN, by the order of stacked VLANs, by the service of a backbone', () => {
    const frames = [
      FRAME4,
      inVlans([1]),
      inVlans([2]),
      inVlans([4095]),
      inVlans([1, 2]),
      inVlans([2, 1]),
      inUdp(4789, vxlan(0, FRAME4)),
      inUdp(4789, vxlan(1, FRAME4)),
      inUdp(4789, vxlan(1, inVlans([1]))),
      inUdp(4789, vxlan(2, inVlans([1]))),
      providerBackbone(1, FRAME4),
      providerBackbone(2, FRAME4),
      providerBackbone(2, inVlans([1])),
    ]
    expect(new Set(frames.map((frame) => networkOf(frame))).size).toBe(frames.length)
  })

  test('is that of the innermost frame: what lies around a tunnel is the mirror\u2019s', () => {
    const tagged = (frame: Buffer) => ethernet(frame.readUInt16BE(12), frame.subarray(14), [EtherType.vlan])
    const mirrored = inUdp(4789, vxlan(9, inVlans([5])))
    expect(networkOf(tagged(mirrored))).toBe(networkOf(mirrored))
    const spanned = inIpv4(47, erspan2(inVlans([5])))
    expect(networkOf(tagged(spanned))).toBe(networkOf(inVlans([5])))
    // IP in GRE has no frame of its own.
    expect(networkOf(tagged(inIpv4(47, gre(EtherType.ipv4, INNER4))))).toBe(networkOf(inVlans([100])))
  })

  test('is the same by the fast path and by the slow one', () => {
    const live = (datagram: Buffer, vnis: ReadonlySet<number> | null) => {
      const { decapsulator } = new Walker({ vnis })
      expect(decapsulator.datagram(datagram, 0, datagram.length, false, Layer.vxlan)).toBe(Verdict.tcp)
      return decapsulator.view.network
    }
    for (const vni of [0, 1, 0xffffff])
      expect(live(vxlan(vni, FRAME4), null)).toBe(live(vxlan(vni, FRAME4), new Set([vni])))
  })

  test('is met by no other VNI and VLAN among thousands', () => {
    const pair = fc.tuple(fc.integer({ min: 0, max: 4000 }), fc.integer({ min: 1, max: 4094 }))
    fc.assert(
      fc.property(fc.uniqueArray(pair, { minLength: 50, maxLength: 100, selector: String }), (pairs) => {
        const numbers = pairs.map(([vni, vlan]) => networkOf(inUdp(4789, vxlan(vni, inVlans([vlan])))))
        expect(new Set(numbers).size).toBe(pairs.length)
      }),
      { numRuns: 100 },
    )
  })
})

test('fragments of two VLANs with equal addresses and identifications are not mixed', () => {
  const walker = new Walker()
  const [first, last] = fragmentIpv4(INNER4, 24)
  const verdictOf = (identifier: number, fragment: Buffer) =>
    walker.walk({ entry: { linkType: LinkType.ethernet }, bytes: inVlans([identifier], fragment) }).verdict
  expect(verdictOf(5, first!)).toBe('held')
  expect(verdictOf(6, last!)).toBe('held')
  expect(verdictOf(5, last!)).toBe('tcp')
  expect(verdictOf(6, first!)).toBe('tcp')
})
