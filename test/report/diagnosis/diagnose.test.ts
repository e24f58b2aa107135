import { describe, expect, test } from 'vitest'
import { diagnose } from '../../../src/report/diagnosis/diagnose.ts'
import {
  diagnosisSentence,
  FINDING_HELP,
  type FindingCode,
  type Setup,
  type Silence,
} from '../../../src/report/diagnosis/finding.ts'
import type { Reading } from '../../../src/report/diagnosis/reading.ts'
import { GOOD, KERNEL, reading, SETUP } from './readings.ts'

interface Situation {
  readonly title: string
  readonly now: Parameters<typeof reading>[1]
  readonly before?: Parameters<typeof reading>[1]
  readonly silence?: Partial<Silence>
  readonly setup?: Partial<Setup>
  /** `code severity`, in order. */
  readonly findings: readonly string[]
  /** Stand in the sentences. */
  readonly says?: readonly string[]
}

const SPAN_MS = 8_000
const LONG = 70_000

const NOTHING: Parameters<typeof reading>[1] = {}
const TCP = { packets: { received: 100, tcp: 100 }, flows: { opened: 10 } }

const SITUATIONS: readonly Situation[] = [
  { title: 'all is well', now: GOOD, findings: [] },

  // Nothing arrives.
  { title: 'no packet of any kind', now: NOTHING, findings: ['noPackets wrong'], says: ['vxlan 0.0.0.0:4789', '8 s'] },
  {
    title: 'no packet, other traffic to this host',
    now: { kernel: { devicePackets: 50, ipReceived: 50 } },
    findings: ['noPackets wrong'],
    says: ['50 packets'],
  },
  {
    title: 'the port is bound on loopback only',
    now: { kernel: { udpNoPort: 50 } },
    setup: {
      listen: [
        { format: 'vxlan', host: '127.0.0.1', port: 4789 },
        { format: 'geneve', host: '::1', port: 6081 },
      ],
    },
    findings: ['loopbackOnly wrong'],
    says: ['0.0.0.0:4789'],
  },
  {
    title: 'datagrams to another port',
    now: { kernel: { udpNoPort: 475 } },
    findings: ['udpPortUnused wrong'],
    says: ['475 UDP datagrams', '4789'],
  },
  { title: 'two stray datagrams', now: { kernel: { udpNoPort: 2 } }, findings: ['noPackets wrong'] },
  {
    title: 'those of before the window do not count',
    before: { kernel: { udpNoPort: 475 } },
    now: { kernel: { udpNoPort: 475 } },
    findings: ['noPackets wrong'],
  },
  {
    title: 'a firewall of this host',
    now: { kernel: { ipUndelivered: 80 } },
    findings: ['filteredByHost wrong'],
    says: ['80 IP packets'],
  },
  {
    title: 'GRE',
    now: { kernel: { ipUnknownProtocol: 80 } },
    findings: ['ipProtocolUnknown wrong'],
    says: ['--interface'],
  },
  {
    title: 'the reverse path filter',
    now: { kernel: { reversePathFiltered: 80 } },
    findings: ['reversePathFilter wrong'],
  },
  { title: 'wrong UDP checksums', now: { kernel: { udpChecksum: 80 } }, findings: ['udpChecksum wrong'] },
  {
    title: 'an interface on which nothing comes',
    now: { kernel: { udpNoPort: 80 } },
    setup: { listen: [], interface: { name: 'eth1', filter: 'udp port 4789' } },
    findings: ['interfaceSilent wrong'],
    says: ['eth1', 'udp port 4789'],
  },
  {
    title: 'every datagram found the buffer full',
    now: { packets: { kernelDropped: 5000 } },
    findings: ['kernelBuffer wrong'],
    says: ['5,000 datagrams'],
  },
  { title: 'a pause of the mirror', before: GOOD, now: GOOD, silence: { packetMs: 30_000 }, findings: [] },
  {
    title: 'packets have stopped',
    before: GOOD,
    now: GOOD,
    silence: { packetMs: LONG },
    findings: ['packetsStopped wrong'],
    says: ['70 s', '1,000 packets'],
  },
  {
    title: 'packets go to another port since',
    before: GOOD,
    now: { ...GOOD, kernel: { udpNoPort: 80 } },
    silence: { packetMs: LONG },
    findings: ['udpPortUnused wrong'],
    says: ['after 1,000 packets'],
  },

  // Packets that cannot be read.
  {
    title: 'GENEVE for VXLAN',
    now: {
      packets: { received: 50, dropped: { vxlanNoVni: 50 } },
      refused: { formats: { 'geneve for vxlan': 49, 'unknown for vxlan': 1 } },
    },
    findings: ['wrongFormat wrong'],
    says: ['50 datagrams of 50', 'GENEVE', '--listen geneve:0.0.0.0:4789'],
  },
  {
    title: 'no format that is known',
    now: { packets: { received: 50, dropped: { vxlanNoVni: 50 } }, refused: { formats: { 'unknown for vxlan': 50 } } },
    findings: ['wrongFormat wrong'],
    says: ['no format that is known'],
  },
  {
    title: 'a scanner beside good traffic',
    now: { ...GOOD, refused: { formats: { 'unknown for vxlan': 2 } } },
    findings: [],
  },
  {
    title: 'a part of another format',
    now: { ...GOOD, refused: { formats: { 'geneve for vxlan': 500 } } },
    findings: ['wrongFormat warning'],
  },
  {
    title: 'other VNIs',
    now: {
      packets: { received: 60, dropped: { vniNotAllowed: 60 } },
      refused: { vnis: { 7: 50, 9: 8, 10: 1, 11: 1 } },
    },
    setup: { vnis: [42] },
    findings: ['wrongVni wrong'],
    says: ['--vni 42', '7 (50 packets), 9 (8 packets)', '1 more', '--vni 7'],
  },
  {
    title: 'other VNIs beside the right one',
    now: {
      ...GOOD,
      packets: { received: 1010, tcp: 1000, dropped: { vniNotAllowed: 10 } },
      refused: { vnis: { 7: 10 } },
    },
    setup: { vnis: [42] },
    findings: ['wrongVni note'],
  },
  {
    title: 'sources that are not on the list',
    now: { packets: { received: 60, dropped: { sourceNotAllowed: 60 } }, refused: { sources: { '203.0.113.9': 60 } } },
    findings: ['sourceNotAllowed wrong'],
    says: ['203.0.113.9 (60 packets)', '--allow-from 203.0.113.9'],
  },
  {
    title: 'a new source that is not on the list',
    now: {
      ...GOOD,
      packets: { received: 1010, tcp: 1000, dropped: { sourceNotAllowed: 10 } },
      refused: { sources: { '203.0.113.9': 10 } },
    },
    findings: ['sourceNotAllowed warning'],
  },
  {
    title: 'other ports',
    now: { packets: { received: 60, other: 60 }, refused: { tcpPorts: { 8080: 50, 22: 10 } } },
    setup: { ports: [80, 443] },
    findings: ['otherPorts wrong'],
    says: ['--ports 80,443', '8080 (50 packets)', '--ports 8080'],
  },
  {
    title: 'other ports beside those asked for',
    now: { ...GOOD, refused: { tcpPorts: { 22: 10 } } },
    setup: { ports: [80] },
    findings: [],
  },
  {
    title: 'datagrams longer than the slot',
    now: {
      ...GOOD,
      packets: { received: 1000, tcp: 1000, truncatedHere: 30 },
      refused: { datagramBytes: { 1550: 30 } },
    },
    setup: { datagramBytes: 1024 },
    findings: ['datagramTooLong warning'],
    says: ['30 datagrams', '--datagram-bytes 1024', 'not by the mirror', '1550 bytes', '--datagram-bytes 2048'],
  },
  {
    title: 'datagrams longer than the slot, all of them',
    now: {
      packets: { received: 30, dropped: { datagramTruncated: 30 } },
      refused: { datagramBytes: { 9051: 10 } },
    },
    setup: { datagramBytes: 576 },
    findings: ['datagramTooLong wrong'],
    says: ['--datagram-bytes 9216'],
  },
  {
    title: 'datagrams longer than the slot, so that no request is whole',
    now: {
      ...GOOD,
      packets: { received: 1000, tcp: 1000, truncatedHere: 300 },
      requests: { parsed: 100, dropped: { truncated: 100 }, replayed: {} },
    },
    findings: ['datagramTooLong wrong'],
  },
  {
    title: 'truncated by the mirror, without harm to requests',
    now: { ...GOOD, packets: { received: 1000, tcp: 1000, truncated: 30 } },
    findings: ['truncatedByMirror note'],
  },
  {
    title: 'truncated by the mirror, requests too',
    now: {
      ...GOOD,
      packets: { received: 1000, tcp: 1000, truncated: 30 },
      requests: { parsed: 100, dropped: { truncated: 5 }, replayed: { '2xx': 95 } },
    },
    findings: ['truncatedByMirror warning'],
    says: ['5 requests'],
  },
  {
    title: 'nothing but DNS and ARP',
    now: { packets: { received: 60, other: 60 }, passedOver: { udpPorts: { 53: 50 }, etherTypes: { '0x0806': 10 } } },
    findings: ['noTcp wrong'],
    says: ['UDP port 53 (DNS) 50 datagrams', 'ARP'],
  },
  {
    title: 'nothing but what is malformed',
    now: { packets: { received: 60, dropped: { ipLength: 60 } } },
    findings: ['noTcp wrong'],
    says: ['ipLength 60'],
  },

  // TCP, and no request.
  {
    title: 'TLS alone',
    now: { ...TCP, protocols: { 'tls:443': 9, 'tls:8443': 1 } },
    findings: ['tlsOnly wrong'],
    says: ['port 443, 8443', '10 connections of TLS'],
  },
  {
    title: 'TLS connections that were opened before',
    before: { protocols: { 'tls:443': 9 } },
    now: { ...TCP, protocols: { 'tls:443': 9 }, skippedBytes: { otherProtocol: 5000 } },
    findings: ['tlsOnly wrong'],
  },
  { title: 'TLS beside HTTP', now: { ...GOOD, protocols: { 'tls:443': 9 } }, findings: [] },
  { title: 'HTTP/2 alone', now: { ...TCP, protocols: { 'http2:80': 10 } }, findings: ['http2Only wrong'] },
  {
    title: 'protocols of all kinds',
    now: { ...TCP, protocols: { 'ssh:22': 5, 'unknown:5432': 5 } },
    findings: ['otherProtocolOnly wrong'],
    says: ['SSH (server port 22)', '5432'],
  },
  {
    title: 'responses alone',
    now: { ...TCP, responses: { parsed: 10 } },
    findings: ['responsesOnly wrong'],
    says: ['10 responses'],
  },
  {
    title: 'requests alone',
    now: { ...GOOD, responses: { parsed: 0 } },
    findings: ['requestsOnly warning'],
    says: ['100 requests'],
  },
  {
    title: 'no response yet to the first request',
    now: { ...TCP, requests: { parsed: 1, replayed: { '2xx': 1 } } },
    findings: [],
  },
  {
    title: 'the middle of streams',
    now: { ...TCP, skippedBytes: { resyncUnproven: 5000 } },
    findings: ['midStream warning'],
  },
  { title: 'TCP without data', now: TCP, findings: ['noData warning'] },
  { title: 'a handshake', now: { packets: { received: 3, tcp: 3 } }, findings: [] },
  {
    title: 'TLS for a moment after requests',
    before: GOOD,
    now: { ...GOOD, packets: { received: 1100, tcp: 1100 }, protocols: { 'tls:443': 9 } },
    silence: { requestMs: 9_000 },
    findings: [],
  },
  {
    title: 'TLS alone since a minute',
    before: GOOD,
    now: { ...GOOD, packets: { received: 1100, tcp: 1100 }, protocols: { 'tls:443': 9 } },
    silence: { requestMs: LONG },
    findings: ['tlsOnly wrong'],
  },

  // Requests, and none is sent.
  {
    title: 'the origin refuses',
    now: { ...GOOD, requests: { parsed: 100, dropped: { circuitOpen: 90 }, replayed: { refused: 10 } } },
    findings: ['originDown wrong'],
    says: ['http://staging:8080', 'refused 10', '90 requests'],
  },
  {
    title: 'a handshake fails',
    now: { ...GOOD, requests: { parsed: 10, dropped: {}, replayed: { tls: 10 } } },
    findings: ['originDown wrong'],
    says: ['--tls-ca'],
  },
  {
    title: 'some requests fail',
    now: { ...GOOD, requests: { parsed: 100, dropped: {}, replayed: { '2xx': 90, refused: 10 } } },
    findings: [],
  },
  {
    title: 'the origin is silent',
    before: { requests: { parsed: 5, held: 5, waiting: 5 } },
    now: { ...GOOD, requests: { parsed: 15, dropped: {}, replayed: {} } },
    findings: ['originSilent wrong'],
    says: ['5 requests'],
  },
  {
    title: 'the first answers are on their way',
    now: { ...GOOD, requests: { parsed: 15, dropped: {}, replayed: {} } },
    findings: [],
  },
  {
    title: 'methods that are not asked for',
    now: { ...GOOD, requests: { parsed: 100, dropped: { method: 100 }, replayed: {} } },
    findings: ['allFiltered wrong'],
    says: ['method 100', '--methods'],
  },
  {
    title: 'a share in which there is no connection',
    now: { ...GOOD, requests: { parsed: 100, dropped: { sampledOut: 100 }, replayed: {} } },
    setup: { percent: 10 },
    findings: ['allFiltered warning'],
    says: ['--percent 10', 'each connection as a whole', '--sample-by random'],
  },
  {
    title: 'a share of nothing',
    now: { ...GOOD, requests: { parsed: 100, dropped: { sampledOut: 100 }, replayed: {} } },
    setup: { percent: 0 },
    findings: ['allFiltered warning'],
    says: ['a --percent above 0'],
  },
  {
    title: 'for a moment nothing is in the share',
    before: GOOD,
    now: {
      ...GOOD,
      packets: { received: 1100, tcp: 1100 },
      requests: { parsed: 110, dropped: { sampledOut: 10 }, replayed: { '2xx': 100 } },
    },
    silence: { answerMs: 9_000 },
    findings: [],
  },
  {
    title: 'the replay itself is mirrored',
    now: { ...GOOD, requests: { parsed: 100, dropped: { loop: 100 }, replayed: {} } },
    findings: ['loop wrong'],
  },
  {
    title: 'all requests have gaps',
    now: { ...GOOD, requests: { parsed: 100, dropped: { gap: 90, method: 10 }, replayed: {} } },
    findings: ['noneReplayed wrong'],
    says: ['gap 90'],
  },
  {
    title: 'requests are discarded on purpose',
    now: { ...GOOD, requests: { parsed: 100, dropped: {}, replayed: { null: 100 } } },
    setup: { to: null },
    findings: [],
  },
]

function found({ now, before = {}, silence = {}, setup = {} }: Situation) {
  const all = { packetMs: SPAN_MS, requestMs: SPAN_MS, answerMs: SPAN_MS, ...silence }
  return diagnose(reading(0, before), reading(SPAN_MS, now), all, { ...SETUP, ...setup })
}

describe('of two readings', () => {
  test.each(SITUATIONS)('$title', (situation) => {
    const findings = found(situation)
    expect(findings.map(({ code, severity }) => `${code} ${severity}`)).toEqual(situation.findings)
    const text = findings.map(diagnosisSentence).join('\n')
    for (const words of situation.says ?? []) expect(text).toContain(words)
  })

  test('every finding has its situation here', () => {
    const codes = new Set(SITUATIONS.flatMap(({ findings }) => findings.map((text) => text.split(' ')[0]!)))
    expect(Object.keys(FINDING_HELP).filter((code) => !codes.has(code))).toEqual([])
  })

  test('every finding is one line, without a full stop, and says what to do', () => {
    for (const situation of SITUATIONS)
      for (const finding of found(situation)) {
        const text = diagnosisSentence(finding)
        expect(text).not.toMatch(/[\n]|\.$|undefined|NaN|Infinity|null/)
        expect(finding.do).toMatch(/^[^A-Z]/)
        expect(JSON.parse(JSON.stringify(finding.details))).toEqual(finding.details)
      }
  })

  test('the worst comes first', () => {
    const now: Reading = reading(SPAN_MS, {
      ...TCP,
      packets: { received: 200, tcp: 100, truncated: 5 },
      protocols: { 'tls:443': 5 },
    })
    const silence = { packetMs: 0, requestMs: SPAN_MS, answerMs: SPAN_MS }
    const codes: FindingCode[] = diagnose(reading(0), now, silence, SETUP).map(({ code }) => code)
    expect(codes).toEqual(['tlsOnly', 'truncatedByMirror'])
  })

  test('a kernel that tells nothing is no reason to say nothing', () => {
    const silence = { packetMs: SPAN_MS, requestMs: SPAN_MS, answerMs: SPAN_MS }
    const [finding] = diagnose(reading(0), { ...reading(SPAN_MS), kernel: null }, silence, SETUP)
    expect(finding).toMatchObject({ code: 'noPackets', details: { kernel: null } })
    expect(KERNEL.devicePackets).toBe(0)
  })
})
