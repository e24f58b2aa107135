/** Sends frames as a cloud's traffic mirroring does: each in a VXLAN datagram over UDP, at a steady rate. */
import { createSocket, type Socket } from 'node:dgram'
import { VXLAN_FLAG_VNI_VALID, VXLAN_FLAGS, VXLAN_HEADER_LEN, VXLAN_VNI } from '../wire/vxlan.ts'

export interface MirrorTarget {
  readonly host: string
  readonly port: number
}

export interface Pace {
  readonly packetsPerSecond: number
  /** Packets sent and not yet received, at most: what the receive buffer surely holds. */
  readonly window: number
}

const TICK_MS = 1
/** The rate rises over this time, from a tenth: everything on this machine has just been started and runs slowly at first. */
const RISE_MS = 1_000
/** After a pause no more than this much is made good, so that the rate stays a rate. */
const MAX_BEHIND_MS = 20
/** What has not been received for this long will not be: the window opens again. */
const LOST_AFTER_MS = 1_000

export class MirrorSource {
  packetsSent = 0
  private readonly socket: Socket
  /** One element: packets received so far, modulo 2^32; the receiver writes it. */
  private readonly received: Int32Array
  private readonly headers = new Map<number, Buffer>()
  /** Packets accounted for: received, or given up. */
  private settled = 0
  private lastReceived: number
  private lastMoveMs = 0

  private constructor(socket: Socket, received: Int32Array) {
    this.socket = socket
    this.received = received
    this.lastReceived = Atomics.load(received, 0)
  }

  static open(target: MirrorTarget, received: Int32Array): Promise<MirrorSource> {
    const socket = createSocket('udp4')
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.connect(target.port, target.host, () => {
        socket.off('error', reject)
        // A receiver that is gone answers with ICMP; its packets are then missing, which is told where they are counted.
        socket.on('error', () => {})
        resolve(new MirrorSource(socket, received))
      })
    })
  }

  send(frame: Buffer, vni: number): void {
    this.packetsSent++
    this.socket.send([this.header(vni), frame], () => {})
  }

  /** Calls `next`, which sends one packet, at this pace until it returns false. */
  async pump(next: () => boolean, { packetsPerSecond, window }: Pace): Promise<void> {
    const startedMs = performance.now()
    /** Up to when packets have been sent. */
    let dueMs = startedMs
    this.lastMoveMs = startedMs
    for (;;) {
      const now = performance.now()
      dueMs = Math.max(dueMs, now - MAX_BEHIND_MS)
      const perMs = (packetsPerSecond / 1000) * Math.min(1, 0.1 + (now - startedMs) / RISE_MS)
      let left = Math.min(Math.floor((now - dueMs) * perMs), this.room(window, now))
      dueMs += left / perMs
      while (left-- > 0) if (!next()) return
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    }
  }

  private room(window: number, now: number): number {
    const count = Atomics.load(this.received, 0)
    const moved = (count - this.lastReceived) | 0
    this.lastReceived = count
    this.settled = Math.min(this.packetsSent, this.settled + moved)
    if (moved !== 0 || this.settled === this.packetsSent) this.lastMoveMs = now
    else if (now - this.lastMoveMs > LOST_AFTER_MS) this.settled = this.packetsSent
    return Math.max(0, window - (this.packetsSent - this.settled))
  }

  /** The 8 bytes before every frame, as AWS sends them: only the I flag and the VNI. */
  private header(vni: number): Buffer {
    let header = this.headers.get(vni)
    if (header === undefined) {
      header = Buffer.alloc(VXLAN_HEADER_LEN)
      header[VXLAN_FLAGS] = VXLAN_FLAG_VNI_VALID
      header.writeUIntBE(vni, VXLAN_VNI, 3)
      this.headers.set(vni, header)
    }
    return header
  }
}
