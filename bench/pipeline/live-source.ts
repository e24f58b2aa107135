/**
 * The mirror of the live bench, a process of its own: clean keep-alive traffic as VXLAN datagrams at a set rate, in whole
 * passes, each with addresses of its own. Prints `sending`, and at the end what it sent, as JSON.
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { VXLAN_FLAG_VNI_VALID, VXLAN_HEADER_LEN, VXLAN_VNI } from '../../src/wire/tunnel.ts'
import {
  CLIENT_NETWORK,
  FRAME_DESTINATION_ADDRESS,
  FRAME_SOURCE_ADDRESS,
  keepAliveFrames,
} from '../support/keep-alive-traffic.ts'
import { type Datagrams, openSender } from './datagram-sender.ts'

export interface LiveOrder {
  readonly port: number
  readonly packetsPerSecond: number
  /** At least so long; the pass under way is finished. */
  readonly seconds: number
}

export interface LiveSent {
  readonly kind: string
  readonly packets: number
  readonly requests: number
  readonly seconds: number
}

const SEED = 1
const VNI = 7
const REQUESTS_PER_CONNECTION = 25
const FRAMES_PER_CONNECTION = 110
const LEAST_CONNECTIONS = 90
/** Addresses count passes in one byte. */
const MOST_PASSES = 250
const TICK_MS = 1
/** After a pause no more than this is made good: the rate stays a rate. */
const MAX_BEHIND_MS = 20

async function sendPasses(order: LiveOrder): Promise<LiveSent> {
  const { packetsPerSecond, seconds } = order
  const connections = Math.max(
    LEAST_CONNECTIONS,
    Math.ceil((packetsPerSecond * seconds) / MOST_PASSES / FRAMES_PER_CONNECTION),
  )
  const datagrams = encapsulate(keepAliveFrames(SEED, { connections, requestsPerConnection: REQUESTS_PER_CONNECTION }))
  const perPass = datagrams.offsets.length - 1
  const passes = Math.ceil((packetsPerSecond * seconds) / perPass)
  const sender = await openSender(order.port, datagrams)
  writeSync(1, 'sending\n')
  const startedMs = performance.now()
  let dueMs = startedMs
  for (let pass = 0; pass < passes; pass++) {
    renumber(datagrams, pass)
    for (let next = 0; next < perPass; ) {
      const now = performance.now()
      dueMs = Math.max(dueMs, now - MAX_BEHIND_MS)
      const count = Math.min(perPass - next, Math.floor(((now - dueMs) * packetsPerSecond) / 1000))
      if (count > 0) await sender.send(next, count)
      next += count
      dueMs += (count * 1000) / packetsPerSecond
      if (next < perPass) await sleep(TICK_MS)
    }
  }
  sender.close()
  const took = (performance.now() - startedMs) / 1000
  return {
    kind: sender.kind,
    packets: passes * perPass,
    requests: passes * connections * REQUESTS_PER_CONNECTION,
    seconds: took,
  }
}

/** Each frame behind the 8 bytes that VXLAN puts in front. */
function encapsulate(frames: Iterable<Buffer>): Datagrams {
  const header = Buffer.alloc(VXLAN_HEADER_LEN)
  header[0] = VXLAN_FLAG_VNI_VALID
  header.writeUIntBE(VNI, VXLAN_VNI, 3)
  const all: Buffer[] = []
  const offsets = [0]
  for (const frame of frames) {
    all.push(header, frame)
    offsets.push(offsets.at(-1)! + header.length + frame.length)
  }
  const bytes = Buffer.from(new SharedArrayBuffer(offsets.at(-1)!))
  let at = 0
  for (const part of all) at += part.copy(bytes, at)
  return { bytes, offsets: Int32Array.from(offsets) }
}

/** Second byte of the addresses: the clients' counts up and the servers' down, so the sum in all checksums stays what it was. */
function renumber({ bytes, offsets }: Datagrams, pass: number): void {
  for (let i = 0; i + 1 < offsets.length; i++) {
    const frame = offsets[i]! + VXLAN_HEADER_LEN
    const isFromClient = bytes[frame + FRAME_SOURCE_ADDRESS] === CLIENT_NETWORK
    bytes[frame + FRAME_SOURCE_ADDRESS + 1] = isFromClient ? pass : 255 - pass
    bytes[frame + FRAME_DESTINATION_ADDRESS + 1] = isFromClient ? 255 - pass : pass
  }
}

const sent = await sendPasses(JSON.parse(process.argv[2]!) as LiveOrder)
writeSync(1, `${JSON.stringify(sent)}\n`)
