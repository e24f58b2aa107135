/** What a packet was that is not taken: noted where it is dropped, and nowhere else. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Layer } from '../../src/decapsulation/layer.ts'
import { networkListOf } from '../../src/decapsulation/networks.ts'
import { formatText, sourceText, vniText } from '../../src/metrics/refused-numbers.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { AWS_OPTIONS, ethernet, geneve, gpe, gre, gtpu, ipv4, tcp, tzsp, udp, vxlan } from '../support/packets.ts'
import { numbersOf } from '../support/refused.ts'
import { FRAME4, INNER4, INNER6 } from './samples.ts'
import { OPTIONS, Walker } from './walk.ts'

const SOCKETS = { vxlan: Layer.vxlan, gpe: Layer.gpe, geneve: Layer.geneve, tzsp: Layer.tzsp } as const
type Socket = keyof typeof SOCKETS

function formats(socket: Socket, payload: Buffer, missing = 0): string[] {
  const walker = new Walker()
  walker.walk({ entry: { layer: SOCKETS[socket] }, bytes: payload, missing })
  return numbersOf(walker.counters, 'format').map(([number]) => formatText(number))
}

const DNS = ethernet(EtherType.ipv4, ipv4({ protocol: IpProtocol.udp, payload: udp(53, Buffer.alloc(20)) }))
const ARP = ethernet(0x0806, Buffer.from([0, 1, 8, 0, 6, 4, 0, 1, ...Buffer.alloc(20)]))
const TRANSPARENT = EtherType.transparentEthernet

/** Of each format, as its senders make it. */
const SENT: Readonly<Record<string, readonly Buffer[]>> = {
  vxlan: [vxlan(7, FRAME4), vxlan(7, DNS)],
  gpe: [gpe(7, 1, INNER4), gpe(7, 3, FRAME4)],
  geneve: [
    geneve({ protocol: TRANSPARENT, payload: FRAME4 }),
    geneve({ protocol: EtherType.ipv4, payload: INNER4 }),
    geneve({ protocol: EtherType.ipv6, payload: INNER6 }),
    // 32 bytes: its first byte is that of VXLAN.
    geneve({ protocol: EtherType.ipv4, payload: INNER4, options: AWS_OPTIONS }),
  ],
  tzsp: [tzsp(FRAME4)],
  gre: [gre(TRANSPARENT, FRAME4)],
  gtpu: [gtpu({ payload: INNER4 })],
  ethernet: [FRAME4],
  ip: [INNER4],
  unknown: [Buffer.alloc(40), Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
}

describe('a datagram of another format than its socket\u2019s', () => {
  for (const [format, datagrams] of Object.entries(SENT))
    for (const socket of Object.keys(SOCKETS) as Socket[]) {
      // VXLAN-GPE reads VXLAN (draft-ietf-nvo3-vxlan-gpe), and VXLAN reads GPE that carries Ethernet.
      if (format === socket || (format === 'vxlan' && socket === 'gpe')) continue
      // GRE is a GENEVE header without fault, and what follows looks like a frame of some other protocol.
      if (format === 'gre' && socket === 'geneve') continue
      test(`is named: ${format} for ${socket}`, () => {
        for (const [i, datagram] of datagrams.entries()) {
          if (format === 'gpe' && socket === 'vxlan' && i === 1) continue
          expect(formats(socket, datagram)).toEqual([`${format} for ${socket}`])
        }
      })
    }

  test('is named where its slot was too short for it', () => {
    expect(formats('vxlan', geneve({ protocol: TRANSPARENT, payload: FRAME4 }), 100)).toEqual(['geneve for vxlan'])
  })

  test.each([
    ['vxlan', vxlan(7, DNS)],
    ['vxlan', vxlan(7, ARP)],
    ['vxlan', vxlan(7, ARP, 0x88)],
    ['geneve', geneve({ protocol: TRANSPARENT, payload: ARP })],
    ['gpe', gpe(7, 3, ARP)],
    ['tzsp', tzsp(ARP)],
    ['vxlan', vxlan(7, FRAME4)],
  ] as const)('of %s itself is not named, whatever it carries', (socket, datagram) => {
    expect(formats(socket, datagram)).toEqual([])
  })

  test('of random bytes does no harm', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Socket>('vxlan', 'gpe', 'geneve', 'tzsp'),
        fc.uint8Array({ maxLength: 120 }),
        fc.boolean(),
        (socket, bytes, isCut) => {
          expect(formats(socket, Buffer.from(bytes), isCut ? 1 : 0).length).toBeLessThanOrEqual(1)
        },
      ),
    )
  })
})

describe('what is refused', () => {
  test('are VNIs, and traffic without one', () => {
    const walker = new Walker({ vnis: new Set([42]) })
    for (const vni of [7, 7, 42, 9]) walker.walk({ entry: { layer: Layer.vxlan }, bytes: vxlan(vni, FRAME4) })
    walker.walk({ entry: { linkType: LinkType.ethernet }, bytes: FRAME4 })
    const found = numbersOf(walker.counters, 'vni').map(([number, n]) => [vniText(number), n])
    expect(found).toEqual([
      ['7', 2],
      ['9', 1],
      ['none', 1],
    ])
  })

  test('are sources of tunnels in captured frames', () => {
    const nowhere = networkListOf([{ family: 4, words: [0x7f000000], prefixLength: 8 }])
    const walker = new Walker({ ...OPTIONS, allowFrom: nowhere })
    const outer = (source: string) =>
      ethernet(EtherType.ipv4, ipv4({ source, protocol: IpProtocol.udp, payload: udp(4789, vxlan(7, FRAME4)) }))
    for (const source of ['203.0.113.9', '127.0.0.5'])
      walker.walk({ entry: { linkType: LinkType.ethernet }, bytes: outer(source) })
    expect(numbersOf(walker.counters, 'source').map(([number, n]) => [sourceText(number), n])).toEqual([
      ['203.0.113.9', 1],
    ])
  })
})

describe('a datagram that its slot truncated', () => {
  const frame = ethernet(EtherType.ipv4, ipv4({ payload: tcp({ data: Buffer.alloc(1000, 97) }) }))
  const datagram = vxlan(7, frame)

  test('is counted as truncated here, not by the mirror, with the length it had', () => {
    const walker = new Walker()
    const found = walker.walk({ entry: { layer: Layer.vxlan }, bytes: datagram.subarray(0, 576), missing: 1 })
    expect(found).toMatchObject({ verdict: 'tcp', missing: datagram.length - 576 })
    expect([walker.get('packetsTruncatedHere'), walker.get('packetsTruncated')]).toEqual([1, 0])
    expect(numbersOf(walker.counters, 'datagramBytes')).toEqual([[datagram.length, 1]])
  })

  test('is dropped with a reason of its own where a header is missing, at least one byte longer than its slot', () => {
    const walker = new Walker()
    expect(walker.walk({ entry: { layer: Layer.vxlan }, bytes: datagram.subarray(0, 30), missing: 1 })).toEqual({
      verdict: 'datagramTruncated',
    })
    expect(numbersOf(walker.counters, 'datagramBytes')[0]![0]).toBeGreaterThan(30)
  })

  test('before us is the mirror\u2019s', () => {
    const walker = new Walker()
    walker.walk({ entry: { layer: Layer.vxlan }, bytes: datagram.subarray(0, 576) })
    expect([walker.get('packetsTruncatedHere'), walker.get('packetsTruncated')]).toEqual([0, 1])
    expect(numbersOf(walker.counters, 'datagramBytes')).toEqual([])
  })
})
