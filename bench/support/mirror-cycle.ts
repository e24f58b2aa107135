/**
 * Keep-alive traffic without an end, from a bounded set of frames: a cycle of connections whose starts are spread over it,
 * so that some of them run across its end into the next pass.
 *
 *   pass            0                1                2 = closing
 *   connection A    [=======]        [=======]
 *   connection B        [===========     [===========
 *                                ====]            ====]      frames that wrap: of the pass before
 *
 * Pass 0 leaves out what wraps, the closing pass sends nothing else: each connection is sent whole, as often as there are
 * passes, and about as many are open at any time. A pass has addresses of its own (`renumber`), so no five-tuple comes
 * back before 65,536 passes.
 */
import { Random } from '../../src/demo/traffic/random.ts'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN, VXLAN_VNI } from '../../src/wire/vxlan.ts'
import {
  CLIENT_NETWORK,
  connectionFrames,
  endpoint,
  FRAME_DESTINATION_ADDRESS,
  FRAME_SOURCE_ADDRESS,
  SERVER_NETWORK,
} from './keep-alive-traffic.ts'

export interface MirrorCycle {
  /** Datagrams, VXLAN header included, in shared memory, which never moves. */
  readonly bytes: Buffer
  /** Start of each datagram, and behind the last one its end. */
  readonly offsets: Int32Array
  /** 1 where the datagram belongs to a connection that began in the pass before. */
  readonly wraps: Uint8Array
  /** Where in `bytes` the two middle bytes of the client's and of the server's address stand. */
  readonly clientAt: Int32Array
  readonly serverAt: Int32Array
  readonly connections: number
  readonly requests: number
}

/** Of the cycle that the sender makes, and whoever checks what it sent. */
export const MIRROR_SEED = 1
const VNI = 7
export const REQUESTS_PER_CONNECTION = 25
/** Mean of the traffic made here, for sizes. */
const FRAMES_PER_CONNECTION = 110
const LEAST_CONNECTIONS = 60
/** About 30 MB of datagrams. */
const MOST_CONNECTIONS = 1_100
/** Share of the cycle that a connection lasts. */
const LIFE = 0.9
const PASSES = 65_536

/** So many that a pass takes about a second at this rate, where memory allows. @param packetsPerSecond null: flat out */
export function connectionsFor(packetsPerSecond: number | null): number {
  const wanted = Math.ceil((packetsPerSecond ?? Number.POSITIVE_INFINITY) / FRAMES_PER_CONNECTION)
  return Math.min(MOST_CONNECTIONS, Math.max(LEAST_CONNECTIONS, wanted))
}

interface Placed {
  readonly frame: Buffer
  readonly at: number
  readonly isWrapped: boolean
}

/** @param connections at most 60,000: they have a client port each */
export function makeCycle(seed: number, connections: number, requestsPerConnection: number): MirrorCycle {
  const random = new Random(seed)
  const placed: Placed[] = []
  for (let i = 0; i < connections; i++) {
    const client = endpoint(CLIENT_NETWORK, 0, i & 255, 1024 + i)
    const server = endpoint(SERVER_NETWORK, 255, 0xff00 | (i % 16), 80)
    const frames = connectionFrames(random, i, requestsPerConnection, client, server)
    const start = random.below(1 << 30) / (1 << 30)
    const step = LIFE / frames.length
    for (const [n, frame] of frames.entries()) {
      // Half a step of jitter keeps their order.
      const at = start + (n + random.below(1 << 15) / (1 << 16)) * step
      placed.push({ frame, at: at % 1, isWrapped: at >= 1 })
    }
  }
  placed.sort((a, b) => a.at - b.at)
  return layOut(placed, connections, connections * requestsPerConnection)
}

/** Gives a datagram the addresses of its pass. The server's bytes count down as the client's count up: no checksum changes. */
export function renumber(cycle: MirrorCycle, datagram: number, pass: number): void {
  const { bytes } = cycle
  const own = (pass - cycle.wraps[datagram]! + PASSES) % PASSES
  const client = cycle.clientAt[datagram]!
  const server = cycle.serverAt[datagram]!
  bytes[client] = own >> 8
  bytes[client + 1] = own & 255
  bytes[server] = 255 - (own >> 8)
  bytes[server + 1] = 255 - (own & 255)
}

function layOut(placed: readonly Placed[], connections: number, requests: number): MirrorCycle {
  const n = placed.length
  const offsets = new Int32Array(n + 1)
  for (const [i, { frame }] of placed.entries()) offsets[i + 1] = offsets[i]! + VXLAN_HEADER_LEN + frame.length
  const bytes = Buffer.from(new SharedArrayBuffer(offsets[n]!))
  const wraps = new Uint8Array(n)
  const clientAt = new Int32Array(n)
  const serverAt = new Int32Array(n)
  for (const [i, { frame, isWrapped }] of placed.entries()) {
    const at = offsets[i]!
    bytes[at] = VXLAN_FLAG_VNI_VALID
    bytes.writeUIntBE(VNI, at + VXLAN_VNI, 3)
    frame.copy(bytes, at + VXLAN_HEADER_LEN)
    const source = at + VXLAN_HEADER_LEN + FRAME_SOURCE_ADDRESS + 1
    const destination = at + VXLAN_HEADER_LEN + FRAME_DESTINATION_ADDRESS + 1
    const isFromClient = frame[FRAME_SOURCE_ADDRESS] === CLIENT_NETWORK
    clientAt[i] = isFromClient ? source : destination
    serverAt[i] = isFromClient ? destination : source
    wraps[i] = isWrapped ? 1 : 0
  }
  return { bytes, offsets, wraps, clientAt, serverAt, connections, requests }
}
