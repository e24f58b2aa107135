import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PACKET_DROP_HELP } from '../../src/base/drop.ts'
import { Layer } from '../../src/decapsulation/layer.ts'
import { NetworkList } from '../../src/decapsulation/networks.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { IpProtocol } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import {
  aMsdu,
  erspan3,
  ethernet,
  fragmentIpv4,
  fragmentIpv6,
  frameTag,
  geneve,
  geneveOption,
  gpe,
  gre,
  gtpu,
  gue,
  ipv4,
  ipv4Address,
  ipv6,
  ipv6Address,
  llcSnap,
  mpls,
  optionsHeader,
  pppoe,
  providerBackbone,
  radiotap,
  sll,
  sll2,
  snap,
  TEREDO_ORIGIN,
  tcp,
  teredoAuthentication,
  udp,
  vxlan,
  wifi,
} from '../support/packets.ts'
import { DATA, ETHERNET, FRAME4, INNER4, INNER6, inIpv4, inUdp, SAMPLES } from './samples.ts'
import { type Entry, type Given, Walker, walk } from './walk.ts'

const WIFI: Entry = { linkType: LinkType.wifi }

const ENTRIES: readonly Entry[] = [
  ...Object.values(LinkType).map((linkType) => ({ linkType })),
  ...[Layer.vxlan, Layer.gpe, Layer.geneve, Layer.tzsp].map((layer) => ({ layer })),
]

describe('the inner packet is found in', () => {
  for (const [name, sample] of Object.entries(SAMPLES)) {
    test(name, () => {
      const { entry, bytes, vni = -1, ipVersion = 4 } = sample
      expect(walk({ entry, bytes })).toEqual({ verdict: 'tcp', data: DATA, vni, ipVersion, missing: 0 })
    })
  }

  test('a frame padded to Ethernet’s minimum: the padding is none of it', () => {
    const short = ethernet(EtherType.ipv4, ipv4({ payload: tcp({ data: 'hi' }) }))
    expect(
      walk({ entry: ETHERNET, bytes: Buffer.concat([short, Buffer.alloc(60 - short.length, 0xee)]) }),
    ).toMatchObject({ data: 'hi' })
  })

  test('a datagram whose UDP length is 0 (offload) or too long: the inner lengths decide', () => {
    for (const length of [0, 9999]) {
      const bytes = inIpv4(IpProtocol.udp, udp(4789, vxlan(1, FRAME4), length))
      expect(walk({ entry: ETHERNET, bytes })).toMatchObject({ verdict: 'tcp', data: DATA })
    }
  })

  test('each with valid checksums where they are verified', () => {
    for (const [name, { entry, bytes }] of Object.entries(SAMPLES)) {
      if (name.includes('total length 0')) continue
      expect(walk({ entry, bytes }, { verifyChecksums: true }), name).toMatchObject({ verdict: 'tcp' })
    }
  })
})

describe('nothing wrong, but no TCP for us', () => {
  const others: Record<string, Given> = {
    ARP: { entry: ETHERNET, bytes: ethernet(0x0806, Buffer.alloc(28)) },
    ICMP: { entry: ETHERNET, bytes: inIpv4(1, Buffer.alloc(8)) },
    'UDP to another port': { entry: ETHERNET, bytes: inUdp(53, vxlan(1, FRAME4)) },
    'a UDP header cut short': { entry: ETHERNET, bytes: inIpv4(IpProtocol.udp, Buffer.alloc(7)) },
    '802.3 without SNAP': { entry: ETHERNET, bytes: ethernet(40, Buffer.alloc(40, 0x42)) },
    'SNAP of a vendor': { entry: ETHERNET, bytes: snap(EtherType.ipv4, INNER4, 0x00000c) },
    'a PPPoE control frame': {
      entry: ETHERNET,
      bytes: ethernet(EtherType.pppoeSession, pppoe(0xc021, Buffer.alloc(8))),
    },
    'MPLS around what cannot be told': {
      entry: ETHERNET,
      bytes: ethernet(EtherType.mpls, mpls(1, Buffer.alloc(20, 0xff))),
    },
    'an unknown address family': {
      entry: { linkType: LinkType.null },
      bytes: Buffer.concat([Buffer.from([0, 0, 0, 99]), INNER4]),
    },
    'GRE keep-alive': { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, gre(0, Buffer.alloc(0))) },
    'IPv6 without next header': {
      entry: ETHERNET,
      bytes: ethernet(EtherType.ipv6, ipv6({ protocol: IpProtocol.noNext, payload: Buffer.alloc(0) })),
    },
  }
  for (const [name, given] of Object.entries(others))
    test(name, () => expect(walk(given)).toEqual({ verdict: 'other' }))
})

describe('GENEVE options', () => {
  const around = (...options: Buffer[]) => geneve({ protocol: EtherType.ipv4, payload: INNER4, options })
  const entry = { layer: Layer.geneve }

  test('unknown critical ones are skipped and counted, known and uncritical ones only skipped', () => {
    const walker = new Walker()
    const options = [
      geneveOption(0x0999, 0x81, Buffer.alloc(4)),
      geneveOption(0x0999, 0x01, Buffer.alloc(4)),
      geneveOption(0x0108, 0x83, Buffer.alloc(4)),
      geneveOption(0x0999, 0xff, Buffer.alloc(0)),
    ]
    expect(walker.walk({ entry, bytes: around(...options) })).toMatchObject({ verdict: 'tcp', data: DATA })
    expect(walker.get('geneveCriticalOptions')).toBe(2)
  })

  test('63 words of them, the most there can be', () => {
    expect(
      walk({ entry, bytes: around(geneveOption(1, 1, Buffer.alloc(124)), geneveOption(1, 1, Buffer.alloc(120))) }),
    ).toMatchObject({ verdict: 'tcp' })
  })
})

describe('a truncated packet', () => {
  test('is handed on with its true length, and counted', () => {
    const walker = new Walker()
    const bytes = FRAME4.subarray(0, FRAME4.length - 10)
    expect(walker.walk({ entry: ETHERNET, bytes, missing: 10 })).toMatchObject({
      verdict: 'tcp',
      data: DATA.slice(0, -10),
      missing: 10,
    })
    expect(walker.get('packetsTruncated')).toBe(1)
  })

  test('is known by the inner length alone: a mirror that cuts does not say so', () => {
    const bytes = vxlan(1, FRAME4).subarray(0, -7)
    expect(walk({ entry: { layer: Layer.vxlan }, bytes })).toMatchObject({ verdict: 'tcp', missing: 7 })
    expect(walk({ entry: ETHERNET, bytes: inUdp(4789, bytes) })).toMatchObject({ verdict: 'tcp', missing: 7 })
  })

  test('without a length of its own (segmentation offload) takes it from the frame', () => {
    const bytes = ethernet(EtherType.ipv4, ipv4({ payload: tcp({ data: DATA }), totalLength: 0 })).subarray(0, -5)
    expect(walk({ entry: ETHERNET, bytes, missing: 5 })).toMatchObject({ verdict: 'tcp', missing: 5 })
  })

  test('has no checksum worth verifying', () => {
    const bytes = FRAME4.subarray(0, -3)
    expect(walk({ entry: ETHERNET, bytes, missing: 3 }, { verifyChecksums: true })).toMatchObject({
      verdict: 'tcp',
      missing: 3,
    })
  })

  test('cut anywhere, any encapsulation: never more data than is there, and never an exception', () => {
    for (const [name, { entry, bytes }] of Object.entries(SAMPLES)) {
      for (let length = 0; length < bytes.length; length++) {
        const found = walk({ entry, bytes: bytes.subarray(0, length), missing: bytes.length - length })
        if (found.verdict === 'tcp') expect(DATA.startsWith(found.data!), `${name} cut to ${length}`).toBe(true)
      }
    }
  })
})

describe('caps and lists', () => {
  test('VXLAN on ports that were named, and on no others', () => {
    const given = (port: number) => ({ entry: ETHERNET, bytes: inUdp(port, vxlan(5, FRAME4)) })
    const vxlanPorts = [5555, 6081]
    for (const port of [4789, 8472, ...vxlanPorts])
      expect(walk(given(port), { vxlanPorts })).toMatchObject({ verdict: 'tcp', vni: 5 })
    expect(walk(given(5555))).toEqual({ verdict: 'other' })
    expect(walk(given(5556), { vxlanPorts })).toEqual({ verdict: 'other' })
  })

  test('tags of switches up to the cap of VLAN tags', () => {
    let bytes = Buffer.concat([Buffer.from([8, 0]), INNER4])
    for (let tags = 1; tags <= 6; tags++) {
      bytes = Buffer.concat([Buffer.from([0x89, 0x26, 0, 0, 0, 0]), bytes])
      const frame = Buffer.concat([Buffer.alloc(12), bytes])
      expect(walk({ entry: ETHERNET, bytes: frame }, { vlanDepth: 5 }).verdict).toBe(tags <= 5 ? 'tcp' : 'vlanDepth')
    }
  })

  test('headers behind each other without end are given up', () => {
    const chain = Buffer.alloc(14)
    chain.writeUInt16BE(0x6558, 12)
    const bytes = Buffer.concat([...Array<Buffer>(600).fill(chain), FRAME4])
    expect(walk({ entry: ETHERNET, bytes })).toEqual({ verdict: 'tunnelDepth' })
  })

  const tags = (n: number) => ethernet(EtherType.ipv4, INNER4, Array<number>(n).fill(EtherType.vlan))
  test('VLAN tags up to the cap', () => {
    expect(walk({ entry: ETHERNET, bytes: tags(3) }, { vlanDepth: 3 })).toMatchObject({ verdict: 'tcp' })
    expect(walk({ entry: ETHERNET, bytes: tags(4) }, { vlanDepth: 3 })).toEqual({ verdict: 'vlanDepth' })
    expect(walk({ entry: ETHERNET, bytes: tags(1) }, { vlanDepth: 0 })).toEqual({ verdict: 'vlanDepth' })
  })

  test('tunnels in tunnels up to the cap', () => {
    let packet = INNER4
    for (let depth = 1; depth <= 6; depth++) {
      packet = ipv4({ protocol: IpProtocol.ipv4, payload: packet })
      const verdict = depth <= 4 ? 'tcp' : 'tunnelDepth'
      expect(walk({ entry: { linkType: LinkType.raw }, bytes: packet }).verdict).toBe(verdict)
    }
  })

  const allowFrom = new NetworkList([
    { family: 4, words: [ipv4Address('192.168.0.0').readInt32BE()], prefixLength: 24 },
    { family: 6, words: [0, 4, 8, 12].map((at) => ipv6Address('2001:db8::').readInt32BE(at)), prefixLength: 32 },
  ])
  test('only sources on the list may mirror; plain traffic is nobody’s mirror', () => {
    const from = (source: string) =>
      ethernet(EtherType.ipv4, ipv4({ source, protocol: IpProtocol.udp, payload: udp(4789, vxlan(1, FRAME4)) }))
    const from6 = (source: string) =>
      ethernet(EtherType.ipv6, ipv6({ source, protocol: IpProtocol.gre, payload: gre(EtherType.ipv4, INNER4) }))
    expect(walk({ entry: ETHERNET, bytes: from('192.168.0.255') }, { allowFrom })).toMatchObject({ verdict: 'tcp' })
    expect(walk({ entry: ETHERNET, bytes: from('192.168.1.0') }, { allowFrom })).toEqual({
      verdict: 'sourceNotAllowed',
    })
    expect(walk({ entry: ETHERNET, bytes: from6('2001:db8::99') }, { allowFrom })).toMatchObject({ verdict: 'tcp' })
    expect(walk({ entry: ETHERNET, bytes: from6('2001:db9::99') }, { allowFrom })).toEqual({
      verdict: 'sourceNotAllowed',
    })
    expect(walk({ entry: ETHERNET, bytes: FRAME4 }, { allowFrom })).toMatchObject({ verdict: 'tcp' })
  })

  test('of nested tunnels the outermost source counts', () => {
    const inner = ethernet(
      EtherType.ipv4,
      ipv4({ source: '8.8.8.8', protocol: IpProtocol.udp, payload: udp(4789, vxlan(2, FRAME4)) }),
    )
    expect(walk({ entry: ETHERNET, bytes: inUdp(4789, vxlan(1, inner)) }, { allowFrom })).toMatchObject({
      verdict: 'tcp',
      vni: 2,
    })
  })

  test('VNIs: the innermost counts, and traffic without one is refused when there is a list', () => {
    const vnis = new Set([5])
    const entry = { layer: Layer.vxlan }
    expect(walk({ entry, bytes: vxlan(5, FRAME4) }, { vnis })).toMatchObject({ verdict: 'tcp' })
    expect(walk({ entry, bytes: vxlan(6, FRAME4) }, { vnis })).toEqual({ verdict: 'vniNotAllowed' })
    expect(walk({ entry, bytes: vxlan(6, inUdp(4789, vxlan(5, FRAME4))) }, { vnis })).toMatchObject({ verdict: 'tcp' })
    expect(walk({ entry: ETHERNET, bytes: FRAME4 }, { vnis })).toEqual({ verdict: 'vniNotAllowed' })
  })
})

describe('every reason to drop a packet here is reached', () => {
  const raw = { linkType: LinkType.raw }
  const brokenHeader = Buffer.from(INNER4)
  brokenHeader[10]! ^= 1
  const brokenSegment = Buffer.from(INNER4)
  brokenSegment[INNER4.length - 1]! ^= 1
  const cut = (bytes: Buffer, length: number) => bytes.subarray(0, length)
  const geneveWith = (fields: object) => geneve({ protocol: EtherType.ipv4, payload: INNER4, ...fields })
  const fragments = fragmentIpv4(INNER4, 16)
  const shortHeader = Buffer.from(INNER4)
  shortHeader[0] = 0x44

  const reasons: Partial<Record<keyof typeof PACKET_DROP_HELP, readonly Given[]>> = {
    linkType: [{ entry: { linkType: 9999 }, bytes: FRAME4 }],
    linkTruncated: [
      { entry: ETHERNET, bytes: cut(FRAME4, 13) },
      { entry: ETHERNET, bytes: cut(ethernet(EtherType.ipv4, INNER4, [EtherType.vlan]), 17) },
      { entry: { linkType: LinkType.linuxSll }, bytes: cut(sll(EtherType.ipv4, INNER4), 15) },
      { entry: { linkType: LinkType.linuxSll2 }, bytes: cut(sll2(EtherType.ipv4, INNER4), 19) },
      { entry: { linkType: LinkType.null }, bytes: Buffer.from([2, 0, 0]) },
      { entry: ETHERNET, bytes: cut(frameTag(EtherType.vnTag, 4, EtherType.ipv4, INNER4), 19) },
      { entry: ETHERNET, bytes: cut(frameTag(EtherType.eTag, 6, EtherType.ipv4, INNER4), 21) },
      { entry: ETHERNET, bytes: cut(providerBackbone(1, FRAME4), 17) },
      { entry: { linkType: LinkType.ppp }, bytes: Buffer.from([0xff, 0x03, 0x00]) },
      { entry: { linkType: LinkType.cHdlc }, bytes: Buffer.from([0x0f, 0, 8]) },
      { entry: { linkType: LinkType.nflog }, bytes: Buffer.from([2, 0, 0, 0, 8, 0, 1]) },
      { entry: { linkType: LinkType.nflog }, bytes: Buffer.from([2, 0, 0, 0, 3, 0, 9, 0]) },
      { entry: { linkType: LinkType.nflog }, bytes: Buffer.from([2, 0, 0, 0, 200, 0, 1, 0]) },
      { entry: { linkType: LinkType.radiotap }, bytes: cut(radiotap(Buffer.alloc(0)), 15) },
      { entry: WIFI, bytes: cut(wifi({ payload: Buffer.alloc(0) }), 23) },
      { entry: WIFI, bytes: wifi({ control: 0x88, qos: 0x80, payload: Buffer.alloc(13) }) },
      { entry: { linkType: LinkType.arcnetLinux }, bytes: Buffer.from([1, 2, 0, 0, 240, 1, 1]) },
    ],
    vxlanTruncated: [{ entry: { layer: Layer.vxlan }, bytes: Buffer.from([8, 0, 0, 0, 0, 0, 1]) }],
    vxlanNoVni: [
      { entry: { layer: Layer.vxlan }, bytes: vxlan(1, FRAME4, 0xf7) },
      { entry: { layer: Layer.gpe }, bytes: gpe(1, 3, FRAME4, 0x04) },
    ],
    gpeTruncated: [{ entry: { layer: Layer.gpe }, bytes: Buffer.alloc(7, 0xff) }],
    gpeProtocol: [{ entry: { layer: Layer.gpe }, bytes: gpe(1, 4, FRAME4) }],
    geneveTruncated: [
      { entry: { layer: Layer.geneve }, bytes: cut(geneveWith({}), 7) },
      {
        entry: { layer: Layer.geneve },
        bytes: geneve({ protocol: EtherType.ipv4, payload: Buffer.alloc(8), optionWords: 3 }),
      },
    ],
    geneveVersion: [{ entry: { layer: Layer.geneve }, bytes: geneveWith({ version: 1 }) }],
    geneveOptions: [
      {
        entry: { layer: Layer.geneve },
        bytes: geneveWith({ options: [geneveOption(1, 1, Buffer.alloc(8))], optionWords: 2 }),
      },
    ],
    geneveControl: [{ entry: { layer: Layer.geneve }, bytes: geneveWith({ flags: 0x80 }) }],
    geneveProtocol: [{ entry: { layer: Layer.geneve }, bytes: geneveWith({ protocol: 0x1234 }) }],
    greTruncated: [
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, Buffer.alloc(3)) },
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, cut(gre(EtherType.ipv4, INNER4, 0xb000), 15)) },
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, cut(erspan3(FRAME4, 0, true), 19)) },
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, cut(erspan3(FRAME4, 0, true), 27)) },
    ],
    greVersion: [
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, gre(EtherType.ipv4, INNER4, 0x0001)) },
      { entry: ETHERNET, bytes: inIpv4(IpProtocol.gre, gre(EtherType.ipv4, INNER4, 0x4000)) },
    ],
    mplsTruncated: [
      { entry: ETHERNET, bytes: ethernet(EtherType.mpls, mpls(1, Buffer.alloc(0))) },
      { entry: ETHERNET, bytes: ethernet(EtherType.mpls, mpls(17, INNER4)) },
    ],
    pppoeTruncated: [{ entry: ETHERNET, bytes: ethernet(EtherType.pppoeSession, Buffer.alloc(7)) }],
    ipTruncated: [
      { entry: raw, bytes: Buffer.alloc(0) },
      { entry: raw, bytes: cut(INNER4, 19) },
      { entry: raw, bytes: cut(INNER6, 39) },
      { entry: raw, bytes: ipv6({ payload: Buffer.alloc(4), protocol: IpProtocol.routing }) },
      { entry: raw, bytes: ipv6({ payload: tcp(), extensions: Array(17).fill(optionsHeader(IpProtocol.hopByHop)) }) },
      { entry: raw, bytes: cut(ipv4({ payload: tcp(), options: Buffer.alloc(40) }), 50) },
    ],
    ipVersion: [
      { entry: raw, bytes: Buffer.alloc(40, 0x55) },
      { entry: ETHERNET, bytes: ethernet(EtherType.ipv4, INNER6) },
      { entry: ETHERNET, bytes: ethernet(EtherType.ipv6, INNER4) },
    ],
    ipLength: [
      { entry: raw, bytes: shortHeader },
      { entry: raw, bytes: ipv4({ payload: tcp(), totalLength: 19 }) },
    ],
    fragmentTruncated: [
      { entry: raw, bytes: cut(fragments[0]!, 30) },
      { entry: raw, bytes: cut(fragmentIpv6(INNER6, 16)[0]!, 60) },
    ],
    tunnelTruncated: [
      { entry: ETHERNET, bytes: inUdp(2152, cut(gtpu({ payload: INNER4 }), 7)) },
      { entry: ETHERNET, bytes: inUdp(2152, cut(gtpu({ payload: INNER4, flags: 2 }), 11)) },
      {
        entry: ETHERNET,
        bytes: inUdp(
          2152,
          gtpu({ payload: INNER4, extensions: [{ type: 0x85, content: Buffer.alloc(6) }] }).fill(0, 12, 13),
        ),
      },
      {
        entry: ETHERNET,
        bytes: inUdp(2152, cut(gtpu({ payload: INNER4, extensions: [{ type: 0x85, content: Buffer.alloc(6) }] }), 17)),
      },
      { entry: ETHERNET, bytes: inUdp(2152, gtpu({ payload: Buffer.alloc(0) })) },
      { entry: ETHERNET, bytes: inUdp(6080, Buffer.alloc(3)) },
      { entry: ETHERNET, bytes: inUdp(6080, gue(IpProtocol.ipv4, Buffer.alloc(0), 3).subarray(0, 10)) },
      { entry: ETHERNET, bytes: inUdp(3544, TEREDO_ORIGIN) },
      { entry: ETHERNET, bytes: inUdp(3544, teredoAuthentication(200, 200).subarray(0, 50)) },
      { entry: { layer: Layer.tzsp }, bytes: Buffer.from([1, 0, 0]) },
      { entry: { layer: Layer.tzsp }, bytes: Buffer.from([1, 0, 0, 1, 0, 41, 2]) },
      { entry: ETHERNET, bytes: inIpv4(97, Buffer.from([0x30])) },
    ],
    frameProtected: [{ entry: WIFI, bytes: wifi({ flags: 0x41, payload: Buffer.alloc(60) }) }],
    frameFragment: [
      { entry: WIFI, bytes: wifi({ flags: 0x05, payload: llcSnap(EtherType.ipv4, INNER4) }) },
      { entry: WIFI, bytes: wifi({ fragment: 1, payload: Buffer.alloc(60) }) },
    ],
    frameAggregate: [
      {
        entry: WIFI,
        bytes: wifi({
          control: 0x88,
          qos: 0x80,
          payload: aMsdu(llcSnap(EtherType.ipv4, INNER4), llcSnap(EtherType.ipv4, INNER4)),
        }),
      },
    ],
    frameDamaged: [
      {
        entry: { linkType: LinkType.radiotap },
        bytes: radiotap(wifi({ payload: llcSnap(EtherType.ipv4, INNER4) }), 0x40),
      },
    ],
    tcpTruncated: [
      { entry: raw, bytes: cut(INNER4, 39) },
      { entry: raw, bytes: cut(ipv4({ payload: tcp({ options: Buffer.alloc(20) }) }), 45) },
    ],
    tcpLength: [
      { entry: raw, bytes: ipv4({ payload: Buffer.alloc(19) }) },
      { entry: raw, bytes: ipv4({ payload: tcp({ dataOffset: 4 }) }) },
      { entry: raw, bytes: ipv4({ payload: tcp({ dataOffset: 15 }) }) },
    ],
  }
  for (const [reason, packets] of Object.entries(reasons)) {
    test(reason, () => {
      for (const given of packets) expect(walk(given)).toEqual({ verdict: reason })
    })
  }

  test('ipChecksum and tcpChecksum, where they are verified', () => {
    const verifyChecksums = true
    expect(walk({ entry: raw, bytes: brokenHeader }, { verifyChecksums })).toEqual({ verdict: 'ipChecksum' })
    expect(walk({ entry: raw, bytes: brokenSegment }, { verifyChecksums })).toEqual({ verdict: 'tcpChecksum' })
    expect(walk({ entry: raw, bytes: brokenHeader })).toMatchObject({ verdict: 'tcp' })
  })

  test('datagramTruncated: whatever ends early in a datagram that the receive slot truncated', () => {
    const whole = vxlan(1, FRAME4)
    for (const length of [7, 20, 30, 50]) {
      const given = { entry: { layer: Layer.vxlan }, bytes: cut(whole, length) }
      expect(walk({ ...given, missing: 1 })).toEqual({ verdict: 'datagramTruncated' })
      expect(walk(given).verdict).toMatch(/Truncated$/)
    }
    expect(walk({ entry: { layer: Layer.vxlan }, bytes: cut(whole, 70), missing: 1 })).toMatchObject({ verdict: 'tcp' })
  })

  test('the others are reached elsewhere: above, in the fragment store, in dispatch, in reassembly, with threads that die', () => {
    const above = [
      'sourceNotAllowed',
      'vniNotAllowed',
      'vlanDepth',
      'tunnelDepth',
      'ipChecksum',
      'tcpChecksum',
      'datagramTruncated',
    ]
    const fragmentStore = ['fragmentInvalid', 'fragmentLimit', 'fragmentTimeout']
    const elsewhere = ['ringFull', 'shed', 'flowLimit', 'connectionLimit', 'shardLost', 'receiverLost']
    expect([...Object.keys(reasons), ...above, ...fragmentStore, ...elsewhere].sort()).toEqual(
      Object.keys(PACKET_DROP_HELP).sort(),
    )
  })
})

describe('any bytes', () => {
  const entry = fc.constantFrom(...ENTRIES)
  test('random ones never throw, end in a known verdict, and only they decide it', () => {
    fc.assert(
      fc.property(entry, fc.uint8Array({ maxLength: 200 }), fc.nat(100), (e, bytes, missing) => {
        walk({ entry: e, bytes: Buffer.from(bytes), missing })
      }),
      { numRuns: 3000 },
    )
  })

  const mutated = fc
    .record({
      sample: fc.constantFrom(...Object.values(SAMPLES)),
      changes: fc.array(
        fc.record({
          at: fc.nat(),
          to: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 0x45, 0x60, 0xff)),
        }),
        { maxLength: 4 },
      ),
      cut: fc.option(fc.nat(), { nil: null }),
      missing: fc.constantFrom(0, 0, 1, 2000),
    })
    .map(({ sample, changes, cut, missing }) => {
      const bytes = Buffer.from(sample.bytes)
      for (const { at, to } of changes) bytes[at % bytes.length] = to
      return { entry: sample.entry, bytes: cut === null ? bytes : bytes.subarray(0, cut % bytes.length), missing }
    })
  test('valid packets with some bytes changed neither', () => {
    fc.assert(
      fc.property(mutated, fc.boolean(), (given, verifyChecksums) => {
        walk(given, { verifyChecksums })
      }),
      { numRuns: 5000 },
    )
  })

  test('a stream of them keeps every packet in one account', () => {
    fc.assert(
      fc.property(fc.array(mutated, { maxLength: 30 }), (stream) => {
        const walker = new Walker({ fragments: { datagrams: 3, bytes: 3000, timeoutMs: 5 } })
        const settled: Record<string, number> = {}
        for (const [i, given] of stream.entries()) {
          const { verdict } = walker.walk({ ...given, nowUs: i * 1000 })
          settled[verdict] = (settled[verdict] ?? 0) + 1
          const { held = 0, ...done } = settled
          const ended = Object.values(done).reduce((a, b) => a + b, 0)
          expect(held + ended).toBe(i + 1)
          expect(walker.get('fragmentsHeld') + walker.dropped() + walker.get('packetsProcessed')).toBe(held)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('fragments', () => {
  const big = ipv4({ payload: tcp({ data: DATA.repeat(20) }) })
  const big6 = ipv6({ payload: tcp({ data: DATA.repeat(20) }) })
  const raw = { linkType: LinkType.raw }
  const all = (packets: readonly Buffer[]): Given[] => packets.map((bytes) => ({ entry: raw, bytes }))

  test('in any order, any size, with duplicates, become the packet; its fragments end as processed', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.integer({ min: 1, max: 20 }), fc.infiniteStream(fc.nat()), (isV6, units, random) => {
        const fragments = isV6
          ? fragmentIpv6(big6, units * 8, 7, [optionsHeader(IpProtocol.hopByHop)])
          : fragmentIpv4(big, units * 8)
        const order = fragments.map((bytes) => ({ bytes, key: random.next().value! })).sort((a, b) => a.key - b.key)
        const duplicate = order[random.next().value! % Math.max(1, order.length - 1)]!
        const walker = new Walker()
        const found = [duplicate, ...order].map(({ bytes }) => walker.walk({ entry: raw, bytes }))
        const whole = found.filter((f) => f.verdict === 'tcp')
        expect(whole).toEqual([{ verdict: 'tcp', data: DATA.repeat(20), ipVersion: isV6 ? 6 : 4, vni: -1, missing: 0 }])
        expect(found.length).toBe(1 + walker.get('packetsProcessed') + walker.get('fragmentsHeld'))
      }),
      { numRuns: 200 },
    )
  })

  test('of the outer datagram: VXLAN larger than the mirror’s path', () => {
    const outer = inUdp(4789, vxlan(6, ethernet(EtherType.ipv4, big))).subarray(14)
    expect(walk(all(fragmentIpv4(outer, 200).reverse()))).toMatchObject({
      verdict: 'tcp',
      data: DATA.repeat(20),
      vni: 6,
    })
  })

  test('of the inner packet, each in a datagram of its own', () => {
    const givens = fragmentIpv4(big, 104).map((bytes) => ({
      entry: { layer: Layer.vxlan },
      bytes: vxlan(6, ethernet(EtherType.ipv4, bytes)),
    }))
    expect(walk(givens)).toMatchObject({ verdict: 'tcp', data: DATA.repeat(20), vni: 6 })
  })

  test('of inner and outer at once', () => {
    const givens = fragmentIpv4(big, 104).flatMap((bytes, i) =>
      all(fragmentIpv4(inUdp(4789, vxlan(6, ethernet(EtherType.ipv4, bytes))).subarray(14), 64, 100 + i)),
    )
    expect(walk(givens)).toMatchObject({ verdict: 'tcp', data: DATA.repeat(20), vni: 6 })
  })

  test('of two networks that use the same addresses and identification are kept apart', () => {
    const other = ipv4({ payload: tcp({ data: DATA.repeat(20).toLowerCase() }) })
    const inside = (vni: number, bytes: Buffer) => ({
      entry: { layer: Layer.vxlan },
      bytes: vxlan(vni, ethernet(EtherType.ipv4, bytes)),
    })
    const a = fragmentIpv4(big, 200).map((bytes) => inside(1, bytes))
    const b = fragmentIpv4(other, 200).map((bytes) => inside(2, bytes))
    expect(walk([a[0]!, b[1]!, b[0]!])).toMatchObject({ verdict: 'tcp', data: DATA.repeat(20).toLowerCase(), vni: 2 })
  })

  test('with checksums verified where asked', () => {
    expect(walk(all(fragmentIpv4(big, 104)), { verifyChecksums: true })).toMatchObject({ verdict: 'tcp' })
  })
})
