import { describe, expect, test } from 'vitest'
import { BLOCK_VALUES, COUNTERS, PASSED_OVER_AT } from '../../src/metrics/counters.ts'
import { PASSED_OVER, PassedOverTotals } from '../../src/metrics/passed-over.ts'
import { passedOverCounts } from '../../src/report/passed-over-words.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import {
  enhancedGre,
  ethernet,
  gre,
  gtpu,
  gue,
  loopback,
  mpls,
  ppp,
  pppoe,
  snap,
  tzsp,
  udp,
  wifi,
} from '../support/packets.ts'
import { ETHERNET, FRAME4, INNER4, INNER6, inIpv4, inUdp } from './samples.ts'
import { type Given, Walker } from './walk.ts'

/** What is named after these packets. */
function namedAfter(...given: readonly Given[]): Record<string, Record<string, number>> {
  const walker = new Walker()
  for (const one of given) walker.walk(one)
  const totals = new PassedOverTotals()
  totals.add(walker.counters.values, PASSED_OVER_AT)
  return passedOverCounts(totals)
}

describe('what is not read is named', () => {
  const cases: Record<string, readonly [Given, Record<string, Record<string, number>>]> = {
    'a UDP port': [{ entry: ETHERNET, bytes: inUdp(4791, Buffer.alloc(20)) }, { udpPorts: { 4791: 1 } }],
    'a well-known port that answers': [
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.udp, udp(40_001, Buffer.alloc(20), 28, 53)) },
      { udpPorts: { 53: 1 } },
    ],
    'an EtherType': [{ entry: ETHERNET, bytes: ethernet(0x88cc, Buffer.alloc(40)) }, { etherTypes: { '0x88cc': 1 } }],
    'an EtherType behind a VLAN tag': [
      { entry: ETHERNET, bytes: ethernet(0x88e5, Buffer.alloc(40), [0x8100]) },
      { etherTypes: { '0x88e5': 1 } },
    ],
    'an IP protocol': [{ entry: ETHERNET, bytes: inIpv4(50, Buffer.alloc(40)) }, { ipProtocols: { 50: 1 } }],
    'a link type': [{ entry: { linkType: 147 }, bytes: FRAME4 }, { linkTypes: { 147: 1 } }],
    'a protocol type of GRE': [
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, gre(0x2001, Buffer.alloc(40))) },
      { etherTypes: { '0x2001': 1 } },
    ],
    'a PPP protocol': [
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, enhancedGre(0x880b, ppp(0x00fd, Buffer.alloc(40)))) },
      { pppProtocols: { '0x00fd': 1 } },
    ],
    'a PPPoE control frame': [
      { entry: ETHERNET, bytes: ethernet(0x8864, pppoe(0xc021, Buffer.alloc(8))) },
      { pppProtocols: { '0xc021': 1 } },
    ],
    'LLC without SNAP': [
      { entry: ETHERNET, bytes: ethernet(40, Buffer.alloc(40, 0x42)) },
      { frames: { '802.3 LLC': 1 } },
    ],
    'a vendor\u2019s SNAP': [
      { entry: ETHERNET, bytes: snap(0x0800, INNER4, 0x00000c) },
      { frames: { '802.3 LLC': 1 } },
    ],
    'a beacon': [
      { entry: { linkType: LinkType.wifi }, bytes: wifi({ control: 0x80, payload: Buffer.alloc(40) }) },
      { frames: { '802.11 without data': 1 } },
    ],
    'another address family': [
      { entry: { linkType: LinkType.null }, bytes: loopback(99, INNER4, true) },
      { frames: { 'loopback of another family': 1 } },
    ],
    'a GTP echo': [
      { entry: ETHERNET, bytes: inUdp(2152, gtpu({ payload: Buffer.alloc(4), messageType: 1, flags: 2 })) },
      { udpPorts: { 2152: 1 } },
    ],
    'a GUE control message': [
      { entry: ETHERNET, bytes: inUdp(6080, gue(1, Buffer.alloc(8), 0, true)) },
      { udpPorts: { 6080: 1 } },
    ],
    'a TCP segment straight in GUE': [
      { entry: ETHERNET, bytes: inUdp(6080, gue(IpProtocol.tcp, INNER4.subarray(20))) },
      { ipProtocols: { 6: 1 } },
    ],
    'something else on Teredo\u2019s port': [
      { entry: ETHERNET, bytes: inUdp(3544, Buffer.alloc(40, 0x99)) },
      { udpPorts: { 3544: 1 } },
    ],
    'something else on TZSP\u2019s port': [
      { entry: ETHERNET, bytes: inUdp(37_008, Buffer.alloc(40, 0x99)) },
      { udpPorts: { 37008: 1 } },
    ],
    'a TZSP keep-alive': [
      { entry: ETHERNET, bytes: inUdp(37_008, tzsp(FRAME4).fill(4, 1, 2)) },
      { udpPorts: { 37008: 1 } },
    ],
    'MPLS around what cannot be told': [
      { entry: ETHERNET, bytes: ethernet(0x8847, mpls(1, Buffer.alloc(20, 0xff))) },
      { etherTypes: { '0x8847': 1 } },
    ],
  }
  for (const [name, [given, named]] of Object.entries(cases)) test(name, () => expect(namedAfter(given)).toEqual(named))

  test('what is read is not', () => {
    expect(
      namedAfter({ entry: ETHERNET, bytes: FRAME4 }, { entry: { linkType: LinkType.raw }, bytes: INNER6 }),
    ).toEqual({})
  })

  test('each packet without TCP once', () => {
    const given = Object.values(cases).map(([one]) => one)
    const walker = new Walker()
    for (const one of given) walker.walk(one)
    const tables = walker.counters.values.subarray(COUNTERS, BLOCK_VALUES)
    const totals = new PassedOverTotals()
    totals.add(tables, 0)
    const counts = Object.values(passedOverCounts(totals)).flatMap((kind) => Object.values(kind))
    expect(counts.reduce((a, b) => a + b, 0)).toBe(given.length)
    expect(Object.keys(PASSED_OVER)).toHaveLength(6)
  })
})
