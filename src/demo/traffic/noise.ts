/** What else a mirror copies: TLS, name look-ups, address resolution. None of it is a request. */
import { TcpFlag } from '../../wire/tcp.ts'
import type { Random } from './random.ts'
import { type Segment, TcpConversation } from './tcp-conversation.ts'
import { type Endpoint, ethernetFrame, udpFrames } from './wire-builder.ts'

const ARP = 0x0806
const BROADCAST = Buffer.alloc(6, 0xff)

/** A TLS 1.3 connection, as far as an observer can tell: two hellos, then records of random bytes. */
export function tlsSegments(random: Random, maxSegmentBytes: number): Segment[] {
  const tcp = new TcpConversation({ client: random.word(), server: random.word() })
  const full = () => maxSegmentBytes
  tcp.say('client', tlsRecord(22, Buffer.concat([Buffer.from([1, 0, 1, 0x2c, 3, 3]), random.bytes(298)])), full)
  tcp.say('server', tlsRecord(22, Buffer.concat([Buffer.from([2, 0, 0, 0x76, 3, 3]), random.bytes(116)])), full)
  for (let i = random.between(1, 4); i > 0; i--)
    tcp.say(i % 2 === 0 ? 'server' : 'client', tlsRecord(23, random.bytes(random.between(40, 1_200))), full)
  tcp.close('client')
  return tcp.segments.filter(
    (segment) => segment.payload.length > 0 || (segment.flags & (TcpFlag.syn | TcpFlag.fin)) !== 0,
  )
}

/** A DNS question for an A record (RFC 1035 section 4). */
export function dnsFrame(random: Random, client: Endpoint, server: Endpoint): Buffer {
  const labels = ['shop', 'example'].map((label) =>
    Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'),
  )
  const header = Buffer.from([random.below(256), random.below(256), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  const question = Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])])
  return udpFrames(client, { ...server, port: 53 }, question, {
    tags: [],
    id: random.below(0x10000),
    fragmentBytes: null,
  })[0]!
}

/** "Who has this address?" (RFC 826). Both endpoints are IPv4. */
export function arpFrame(client: Endpoint, server: Endpoint): Buffer {
  const request = Buffer.from([
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    1,
    ...client.mac,
    ...client.address,
    0,
    0,
    0,
    0,
    0,
    0,
    ...server.address,
  ])
  return ethernetFrame(client.mac, BROADCAST, [], ARP, request)
}

function tlsRecord(type: number, fragment: Buffer): Buffer {
  const header = Buffer.from([type, 3, type === 22 ? 1 : 3, fragment.length >> 8, fragment.length & 0xff])
  return Buffer.concat([header, fragment])
}
