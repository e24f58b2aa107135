/** Mirrored traffic with ground truth: whole connections in VXLAN datagrams over real UDP. */
import { createSocket, type Socket } from 'node:dgram'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { other, TcpConversation } from '../../../src/demo/traffic/tcp-conversation.ts'
import { type Endpoint, tcpFrames } from '../../../src/demo/traffic/wire-builder.ts'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN } from '../../../src/wire/vxlan.ts'

export interface Wanted {
  readonly method: string
  /** Names the request: no two have the same. */
  readonly target: string
  readonly body?: Buffer
  readonly fields?: readonly string[]
}

const SEGMENT_BYTES = 1400
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
const NOTHING = Buffer.alloc(0)
const PLAIN = { tags: [], fragmentBytes: null }
const VXLAN = Buffer.alloc(VXLAN_HEADER_LEN)
VXLAN[0] = VXLAN_FLAG_VNI_VALID
VXLAN[6] = 7

/** Five-tuples never come back within one test file: connections are numbered. */
let connections = 0

export function nextClient(): Endpoint {
  const n = ++connections
  return {
    mac: Buffer.from([2, 0, 0, 1, (n >> 8) & 255, n & 255]),
    address: Buffer.from([10, (n >> 16) & 255, (n >> 8) & 255, n & 255]),
    port: 1024 + (n % 60_000),
  }
}

export const SERVER: Endpoint = {
  mac: Buffer.from([2, 0, 0, 2, 0, 1]),
  address: Buffer.from([172, 16, 0, 1]),
  port: 80,
}

export function requestBytes({ method, target, body, fields = [] }: Wanted): Buffer {
  const length = body === undefined ? [] : [`Content-Length: ${body.length}`]
  const head = [`${method} ${target} HTTP/1.1`, 'Host: shop.example.test', ...fields, ...length]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body ?? NOTHING])
}

export function vxlanOf(frame: Buffer): Buffer {
  return Buffer.concat([VXLAN, frame])
}

/** One captured connection, from SYN to the last acknowledgement, as a mirror sends it. */
export function connectionOf(requests: readonly Wanted[]): Buffer[] {
  const client = nextClient()
  const tcp = new TcpConversation({ client: connections * 7919, server: connections * 104_729 })
  const whole = () => SEGMENT_BYTES
  for (const request of requests) {
    tcp.say('client', requestBytes(request), whole)
    tcp.say('server', ANSWER, whole)
  }
  tcp.close('client')
  const ends = { client, server: SERVER }
  return tcp.segments.flatMap((s) =>
    tcpFrames(ends[s.from], ends[other(s.from)], { ...s, options: NOTHING }, s.payload, {
      ...PLAIN,
      id: connections,
    }).map(vxlanOf),
  )
}

export interface Piece {
  readonly seq: number
  readonly ack?: number
  readonly flags: number
  readonly payload?: Buffer
}

/** One segment of a client, in its datagram. */
export function segmentOf(client: Endpoint, { seq, ack = 0, flags, payload = NOTHING }: Piece): Buffer {
  const header = { seq, ack, flags, options: NOTHING }
  return vxlanOf(tcpFrames(client, SERVER, header, payload, { ...PLAIN, id: seq })[0]!)
}

/** As many as a receive buffer surely holds, then the receiver gets its turn. */
const BURST = 128

export class Mirror {
  datagrams = 0
  private readonly socket: Socket

  private constructor(socket: Socket) {
    this.socket = socket
  }

  static open(port: number): Promise<Mirror> {
    const socket = createSocket('udp4')
    return new Promise((resolve) => {
      socket.connect(port, '127.0.0.1', () => {
        // A receiver that is gone answers with ICMP; what it missed is told where packets are counted.
        socket.on('error', () => {})
        resolve(new Mirror(socket))
      })
    })
  }

  /** Without a pause: what does not fit into the receive buffer is lost. */
  push(datagrams: readonly Buffer[]): void {
    this.datagrams += datagrams.length
    for (const datagram of datagrams) this.socket.send(datagram, () => {})
  }

  /** @param pauseMs between bursts; 0: a turn of the event loop */
  async send(datagrams: readonly Buffer[], pauseMs = 1): Promise<void> {
    for (let at = 0; at < datagrams.length; at += BURST) {
      this.push(datagrams.slice(at, at + BURST))
      await (pauseMs === 0 ? turn() : sleep(pauseMs))
    }
  }

  close(): void {
    this.socket.close()
  }
}

/** Connections at a steady rate until told, and when each request was sent. */
export class Load {
  /** Target → milliseconds of performance.now(). */
  readonly sentAt = new Map<string, number>()
  private readonly mirror: Mirror
  private readonly next: (n: number) => readonly Wanted[]
  private timer: NodeJS.Timeout | null = null
  private connections = 0

  /** @param next the requests of connection `n` */
  constructor(mirror: Mirror, next: (n: number) => readonly Wanted[]) {
    this.mirror = mirror
    this.next = next
  }

  start(connectionsPerSecond: number): this {
    const startedMs = performance.now()
    const before = this.connections
    const tick = () => {
      const due = before + Math.floor(((performance.now() - startedMs) / 1000) * connectionsPerSecond)
      // After a pause of this process not everything at once.
      for (let left = 50; this.connections < due && left > 0; left--) this.one()
    }
    this.timer = setInterval(tick, 5)
    return this
  }

  /** One connection now. */
  one(): readonly Wanted[] {
    const requests = this.next(this.connections++)
    const now = performance.now()
    for (const { target } of requests) this.sentAt.set(target, now)
    this.mirror.push(connectionOf(requests))
    return requests
  }

  stop(): this {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
    return this
  }

  async runFor(ms: number, connectionsPerSecond: number): Promise<this> {
    this.start(connectionsPerSecond)
    await sleep(ms)
    return this.stop()
  }
}
