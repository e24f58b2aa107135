/**
 * Clean keep-alive traffic for throughput: connections with a handshake, requests and answers in turns, acknowledgements, a
 * close from both sides. The same seed gives the same frames.
 */
import { Random } from '../../src/demo/traffic/random.ts'
import { other, TcpConversation } from '../../src/demo/traffic/tcp-conversation.ts'
import { type Endpoint, tcpFrames } from '../../src/demo/traffic/wire-builder.ts'

export interface TrafficSize {
  /** At most 65,536. */
  readonly connections: number
  readonly requestsPerConnection: number
}

/** Offsets in these frames: Ethernet without tags, IPv4 without options. */
export const FRAME_SOURCE_ADDRESS = 26
export const FRAME_DESTINATION_ADDRESS = 30
/** First bytes of the two sides' addresses. */
export const CLIENT_NETWORK = 10
export const SERVER_NETWORK = 172

/** Connections under way at once. */
const WIDTH = 16
const MAX_SEGMENT_BYTES = 1448
const POSTS = 0.25
const CHUNKED_POSTS = 0.3
const LARGE_ANSWERS = 0.012
const NO_OPTIONS = Buffer.alloc(0)
const AGENTS = [
  'curl/7.88.1',
  'okhttp/4.9',
  'python-requests/2.31',
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
]

/** All frames in the order in which a mirror sends them. */
export function* keepAliveFrames(seed: number, size: TrafficSize): Generator<Buffer> {
  const random = new Random(seed)
  const active: Buffer[][] = []
  let opened = 0
  for (;;) {
    while (active.length < WIDTH && opened < size.connections)
      active.push(framesOfCapture(random, opened++, size.requestsPerConnection).reverse())
    if (active.length === 0) return
    const i = random.below(active.length)
    const frames = active[i]!
    yield frames.pop()!
    if (frames.length === 0) active.splice(i, 1)
  }
}

function framesOfCapture(random: Random, connection: number, requests: number): Buffer[] {
  const client = endpoint(CLIENT_NETWORK, 0, connection, 1024 + (connection % 60_000))
  const server = endpoint(SERVER_NETWORK, 255, connection % 16, 80)
  return connectionFrames(random, connection, requests, client, server)
}

/** One connection from its SYN to its last acknowledgement, in order. @param connection its number, which its requests name */
export function connectionFrames(
  random: Random,
  connection: number,
  requests: number,
  client: Endpoint,
  server: Endpoint,
): Buffer[] {
  const tcp = new TcpConversation({ client: random.word() | 0, server: random.word() | 0 })
  const wholeSegments = () => MAX_SEGMENT_BYTES
  for (let i = 0; i < requests; i++) {
    tcp.say('client', requestOf(random, connection, i), wholeSegments)
    tcp.say('server', answerOf(random), wholeSegments)
  }
  tcp.close('client')
  const ends = { client, server }
  const plain = { tags: [], id: connection, fragmentBytes: null }
  return tcp.segments.flatMap((s) =>
    tcpFrames(ends[s.from], ends[other(s.from)], { ...s, options: NO_OPTIONS }, s.payload, plain),
  )
}

/** @param n the two low bytes of the address, 0 to 65,535 */
export function endpoint(first: number, second: number, n: number, port: number): Endpoint {
  return {
    mac: Buffer.from([2, 0, 0, first, n >> 8, n & 255]),
    address: Buffer.from([first, second, n >> 8, n & 255]),
    port,
  }
}

function requestOf(random: Random, connection: number, index: number): Buffer {
  const isPost = random.chance(POSTS)
  const isChunked = isPost && random.chance(CHUNKED_POSTS)
  const lines = [
    `${isPost ? 'POST' : 'GET'} /c${connection}/r${index}?q=${random.hex(12)} HTTP/1.1`,
    `Host: shop${connection % 7}.example.test`,
    `User-Agent: ${random.pick(AGENTS)}`,
    'Accept: */*',
    `X-Request-Id: ${connection}-${index}`,
    `Cookie: session=${random.hex(random.between(8, 64))}`,
  ]
  const body = Buffer.from(isPost ? random.hex(random.between(16, 600)) : '')
  if (!isPost) return message(lines, body)
  if (!isChunked) return message([...lines, 'Content-Type: application/json', `Content-Length: ${body.length}`], body)
  const half = body.length >> 1
  return message(
    [...lines, 'Transfer-Encoding: chunked'],
    Buffer.concat([chunk(body.subarray(0, half)), chunk(body.subarray(half)), chunk(NO_OPTIONS)]),
  )
}

function answerOf(random: Random): Buffer {
  const body = Buffer.alloc(random.chance(LARGE_ANSWERS) ? random.between(2_000, 12_000) : random.between(20, 600), 'x')
  return message(
    ['HTTP/1.1 200 OK', 'Server: example', 'Content-Type: text/plain', `Content-Length: ${body.length}`],
    body,
  )
}

function message(lines: readonly string[], body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body])
}

function chunk(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')])
}
