/** The floods: each a way to make many packets, and what must have become of them. */
import type { Totals } from '../../src/report/totals.ts'
import { ACK, FIN, geneveEncapsulation, nestedEncapsulation, plainEncapsulation, type Send, SYN, Wire } from './wire.ts'

/** What must be seen in the counts, by name: [got, expected], or whether it holds. */
export type Claims = Readonly<Record<string, readonly [unknown, unknown] | boolean>>

export interface Flood {
  readonly name: string
  /** Makes the function that sends the packets of step `i`: one, or a few that belong together. */
  readonly open: (send: Send) => (i: number) => void
  /** Beyond the sums, which hold for all. @param sent packets @param steps the function was called */
  readonly claims: (totals: Totals, sent: number, steps: number) => Claims
  /** Largest size, in packets, where it is not the usual one. */
  readonly most?: number
  /** Packets after which it does all that it does: growth is judged from there. */
  readonly settled?: number
}

const text = (content: string): Buffer => Buffer.from(content, 'latin1')
const GET = text('GET /a HTTP/1.1\r\nHost: shop.example.test\r\n\r\n')
const ANSWER = text('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
const filled = (begin: string, length: number, end = ''): Buffer =>
  text(begin + 'a'.repeat(length - begin.length - end.length) + end)

const drops = (totals: Totals, ...reasons: string[]): number =>
  reasons.reduce((n, reason) => n + (totals.requestDrops()[reason] ?? 0), 0)
const packetDrops = (totals: Totals, reason: string): number => totals.packetDrops()[reason] ?? 0

/** Packets of a stream from one acknowledgement of its server to the next. */
const ACK_EVERY = 1024

/**
 * Streams of one client: every `packets` packets the next connection begins.
 * @param payload of packet k of a connection, the first behind the handshake is 0
 */
function stream(
  packets: number,
  payload: (k: number) => Buffer,
  claims: Flood['claims'],
  name: string,
  most?: number,
): Flood {
  return {
    name,
    claims,
    ...(most === undefined ? {} : { most }),
    open(send) {
      const wire = new Wire(send)
      let seq = 1
      return (i) => {
        const flow = Math.floor(i / packets)
        const k = i % packets
        if (k === 0) {
          wire.handshake(flow)
          seq = 1
        }
        // Nobody takes more than a window: the server acknowledges, first to open its window.
        if (k % ACK_EVERY === 0) wire.server(flow, 1, seq, ACK)
        const bytes = payload(k)
        wire.client(flow, seq, 1, ACK, bytes)
        seq = (seq + bytes.length) | 0
      }
    },
  }
}

/** Connection 0, with both windows open. */
function openConnection(wire: Wire): void {
  wire.handshake(0)
  wire.server(0, 1, 1, ACK)
}

/** Out-of-order segments on one connection: offsets of its stream in the order they are sent. */
function disorder(name: string, offsetOf: (i: number) => number, payload: Buffer, claims: Flood['claims']): Flood {
  return {
    name,
    claims,
    open(send) {
      const wire = new Wire(send)
      return (i) => {
        if (i === 0) openConnection(wire)
        wire.client(0, 1 + offsetOf(i), 1, ACK, payload)
      }
    },
  }
}

const PIECE = 1400
const ONE_BYTE_REQUESTS = Array.from(GET, (byte) => Buffer.from([byte]))
const BLOCK = 4000

export const FLOODS: readonly Flood[] = [
  {
    name: 'SYN, each of another connection',
    most: 10_000_000,
    open(send) {
      const wire = new Wire(send)
      return (i) => wire.client(i, i, 0, SYN)
    },
    claims: (totals, sent) => ({
      'flows opened': [totals.get('flowsOpened'), sent],
      'none refused': [totals.packetsDropped(), 0],
    }),
  },
  {
    name: 'SYN flood beside real connections',
    open(send) {
      const wire = new Wire(send)
      // Beside 16 SYNs one real connection: request, answer, and its end.
      return (i) => {
        const flow = 0x80_0000 + i
        wire.handshake(flow)
        wire.client(flow, 1, 1, ACK, GET)
        wire.server(flow, 1, 1 + GET.length, ACK | FIN, ANSWER)
        wire.client(flow, 1 + GET.length, 2 + ANSWER.length, ACK | FIN)
        for (let k = 0; k < 16; k++) wire.client(i * 16 + k, 7, 0, SYN)
      }
    },
    claims: (totals, _sent, steps) => ({
      'every real request came through': [totals.requestsEnded(), steps],
    }),
  },
  {
    name: 'connections with handshake and request, never closed',
    open(send) {
      const wire = new Wire(send)
      return (i) => {
        wire.handshake(i)
        wire.client(i, 1, 1, ACK, GET)
      }
    },
    claims: (totals, sent, steps) => ({
      'each request ended or its packet was refused': [
        totals.requestsEnded() + packetDrops(totals, 'connectionLimit') + packetDrops(totals, 'flowLimit') > 0 &&
          totals.requestsEnded() <= steps,
        true,
      ],
      packets: sent === steps * 4,
    }),
  },
  {
    name: 'acknowledgements of bytes never seen, each on another connection',
    // The reorder window, two seconds: before it no gap is declared.
    settled: 300_000,
    open(send) {
      const wire = new Wire(send)
      return (i) => {
        wire.client(i, 0, 0, SYN)
        wire.server(i, 0, 1, SYN | ACK)
        wire.server(i, 1, 1001, ACK)
      }
    },
    claims: (totals, _sent, steps) => ({ 'flows opened': [totals.get('flowsOpened'), steps] }),
  },
  stream(
    Number.POSITIVE_INFINITY,
    () => ELEPHANT,
    (totals, _sent, steps) => ({ 'requests discarded': [totals.requestsEnded(), steps] }),
    'one elephant connection, a request a packet',
  ),
  disorder(
    'segments far ahead, a gap before each',
    (i) => 1000 + 30 * i,
    filled('', 20),
    (totals, _sent, steps) => ({ 'out of order': [totals.get('segmentsOutOfOrder'), steps] }),
  ),
  stream(
    Number.POSITIVE_INFINITY,
    (k) => ONE_BYTE_REQUESTS[k % GET.length]!,
    (totals, _sent, steps) => ({ 'requests discarded': [totals.requestsEnded(), Math.floor(steps / GET.length)] }),
    'one byte a segment, in order',
  ),
  disorder(
    'out of order: blocks of 4,000 backwards',
    (i) => (Math.floor(i / BLOCK) * BLOCK + (BLOCK - 1 - (i % BLOCK))) * 10,
    filled('', 10),
    (totals) => ({ 'seen out of order': totals.get('segmentsOutOfOrder') > 0 }),
  ),
  disorder(
    'out of order: every other byte, then those between',
    (i) =>
      Math.floor(i / BLOCK) * BLOCK + ((i % BLOCK) * 2 + 1 < BLOCK ? (i % BLOCK) * 2 + 1 : ((i % BLOCK) * 2) % BLOCK),
    filled('', 1),
    (totals) => ({ 'seen out of order': totals.get('segmentsOutOfOrder') > 0 }),
  ),
  disorder(
    'overlaps: 1,000 bytes, each 3 further, behind a gap',
    (i) => 1000 + 3 * i,
    filled('', 1000),
    (totals) => ({ 'seen out of order': totals.get('segmentsOutOfOrder') > 0 }),
  ),
  {
    name: 'one byte out of order on each connection',
    open(send) {
      const wire = new Wire(send)
      const byte = filled('', 1)
      return (i) => {
        wire.client(i, 0, 0, SYN)
        wire.client(i, 1000, 1, ACK, byte)
      }
    },
    claims: (totals, _sent, steps) => ({ 'flows opened': [totals.get('flowsOpened'), steps] }),
  },
  {
    name: 'one byte held between segments that are let go',
    open(send) {
      const wire = new Wire(send)
      const byte = filled('', 1)
      const long = filled('', 3900)
      let seq = 1
      return (i) => {
        if (i === 0) openConnection(wire)
        wire.client(1 + i, 0, 0, SYN)
        wire.client(1 + i, 1000, 1, ACK, byte)
        // Behind a hole of one byte, which then comes.
        wire.client(0, seq + 1, 1, ACK, long)
        wire.client(0, seq, 1, ACK, byte)
        seq = (seq + 3901) | 0
      }
    },
    claims: (totals) => ({ 'seen out of order': totals.get('segmentsOutOfOrder') > 0 }),
  },
  stream(
    60,
    (k) => (k === 0 ? filled('GET /a HTTP/1.1\r\nA: ', PIECE) : filled('', PIECE)),
    (totals) => ({ 'refused as too large': drops(totals, 'headerTooLarge') > 0 }),
    'a header line that never ends',
  ),
  stream(
    60,
    (k) => (k === 0 ? text('GET /a HTTP/1.1\r\n') : HEADER_LINES),
    (totals) => ({ 'refused as too many': drops(totals, 'tooManyHeaders') > 0 }),
    'heads of 16,000 header lines',
  ),
  stream(
    20,
    (k) => (k === 0 ? CHUNKED : k === 1 ? filled('1;', PIECE) : filled('', PIECE)),
    (totals) => ({ 'refused as no chunk': drops(totals, 'chunkSize') > 0 }),
    'chunk extensions that never end',
  ),
  stream(
    Number.POSITIVE_INFINITY,
    (k) => (k === 0 ? CHUNKED : ONE_BYTE_CHUNKS),
    (totals, _sent, steps) => ({ parsed: [totals.get('requestsParsed'), 1], 'bytes read': steps > 0 }),
    'chunks of one byte',
  ),
  stream(
    1,
    () => NEVER_ENDING_HEAD,
    (totals) => ({ 'all that were read ended': totals.requestsHeld() === 0 }),
    'heads that never end, each on another connection',
  ),
  stream(
    8,
    (k) => (k === 0 ? NEVER_ENDING_BODY : filled('', PIECE)),
    (totals) => ({ 'all that were read ended': totals.requestsHeld() === 0 }),
    'bodies that never end, each on another connection',
  ),
  {
    name: 'fragments that never complete',
    open(send) {
      const wire = new Wire(send)
      const payload = filled('', 512)
      return (i) => wire.fragment(i >>> 8, i, 0, false, payload)
    },
    claims: (totals, sent) => ({
      dropped: [packetDrops(totals, 'fragmentLimit') + packetDrops(totals, 'fragmentTimeout'), sent],
    }),
  },
  {
    name: 'fragments of 8 bytes, every other place of a datagram',
    open(send) {
      const wire = new Wire(send)
      const payload = filled('', 8)
      return (i) => wire.fragment(i >>> 12, i >>> 12, (4095 - (i & 4095)) * 16, false, payload)
    },
    claims: (totals, sent) => ({
      dropped: [totals.packetsDropped(), sent],
    }),
  },
  {
    name: 'fragments that overlap',
    open(send) {
      const wire = new Wire(send)
      const payload = filled('', 64)
      return (i) => wire.fragment(0, 7, (i % 3) * 32, false, payload)
    },
    claims: (totals) => ({ 'refused as invalid': packetDrops(totals, 'fragmentInvalid') > 0 }),
  },
  {
    name: 'VLAN tags, 4 and 300 deep',
    open(send) {
      const few = new Wire(send, plainEncapsulation(4))
      const many = new Wire(send, plainEncapsulation(300))
      return (i) => ((i & 1) === 0 ? few : many).client(i & 1023, 1, 0, SYN)
    },
    claims: (totals, sent) => ({ 'refused as too deep': [packetDrops(totals, 'vlanDepth'), Math.floor(sent / 2)] }),
  },
  {
    name: 'tunnels in tunnels, 3 and 100 deep',
    open(send) {
      const few = new Wire(send, nestedEncapsulation(3, 40))
      const many = new Wire(send, nestedEncapsulation(100, 40))
      return (i) => ((i & 1) === 0 ? few : many).client(i & 1023, 1, 0, SYN)
    },
    claims: (totals, sent) => ({ 'refused as too deep': [packetDrops(totals, 'tunnelDepth'), Math.floor(sent / 2)] }),
  },
  {
    name: 'GENEVE with 63 options',
    open(send) {
      const wire = new Wire(send, geneveEncapsulation(), 'geneve')
      return (i) => wire.client(i & 1023, 1, 0, SYN)
    },
    claims: (totals, sent) => ({ processed: [totals.get('packetsProcessed'), sent] }),
  },
  stream(
    Number.POSITIVE_INFINITY,
    () => PIPELINED,
    (totals, _sent, steps) => ({ 'requests discarded': [totals.requestsEnded(), steps * PIPELINED_REQUESTS] }),
    'tiny requests, 50 in a packet, never answered',
    100_000,
  ),
  {
    name: 'tiny responses, 50 in a packet, to no request',
    most: 100_000,
    open(send) {
      const wire = new Wire(send)
      let seq = 1
      return (i) => {
        if (i === 0) wire.handshake(0)
        wire.server(0, seq, 1, ACK, RESPONSES)
        seq = (seq + RESPONSES.length) | 0
      }
    },
    claims: (totals, _sent, steps) => ({
      'responses read': [totals.get('responsesCompleted'), steps * PIPELINED_REQUESTS],
    }),
  },
]

const ELEPHANT = filled('GET /a HTTP/1.1\r\nHost: shop.example.test\r\nA: ', PIECE, '\r\n\r\n')
const HEADER_LINES = text('a:b\r\n'.repeat(280))
const CHUNKED = text('POST /a HTTP/1.1\r\nHost: shop.example.test\r\nTransfer-Encoding: chunked\r\n\r\n')
const ONE_BYTE_CHUNKS = text('1\r\nx\r\n'.repeat(230))
const NEVER_ENDING_HEAD = filled('GET /a HTTP/1.1\r\nHost: shop.example.test\r\nA: ', PIECE)
const NEVER_ENDING_BODY = filled(
  'POST /a HTTP/1.1\r\nHost: shop.example.test\r\nContent-Length: 1000000\r\n\r\n',
  PIECE,
)
const PIPELINED_REQUESTS = 50
const PIPELINED = text('GET / HTTP/1.1\r\nA:b\r\n\r\n'.repeat(PIPELINED_REQUESTS))
const RESPONSES = text('HTTP/1.1 204 \r\n\r\n'.repeat(PIPELINED_REQUESTS))
