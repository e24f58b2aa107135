/** Sends frames as a cloud's traffic mirroring does: each in a VXLAN datagram over UDP, at a steady rate. */
import { createSocket, type Socket } from 'node:dgram'
import { VXLAN_FLAG_VNI_VALID, VXLAN_FLAGS, VXLAN_HEADER_LEN, VXLAN_VNI } from '../wire/tunnel.ts'

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
/** After a pause no more than this much is made good, so that the rate stays a rate. */
const MAX_BEHIND_MS = 20
/** What has not been received for this long will not be: the window opens again. */
const LOST_AFTER_MS = 1_000

/** Where the receiver says how many packets it has taken: one Int32, written by the main thread, wrapping. */
export type ReceivedCount = Int32Array<SharedArrayBuffer>

export class MirrorSource {
  packetsSent = 0
  private readonly socket: Socket
  private readonly received: ReceivedCount
  private readonly headers = new Map<number, Buffer>()
  /** Packets accounted for: received, or given up. */
  private settled = 0
  private lastReceived: number
  private lastMoveMs = 0

  private constructor(socket: Socket, received: ReceivedCount) {
    this.socket = socket
    this.received = received
    this.lastReceived = Atomics.load(received, 0)
  }

  static open(target: MirrorTarget, received: ReceivedCount): Promise<MirrorSource> {
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

  /**
   * Calls `next`, which sends one packet, at the pace until it returns false or the signal ends it.
   * The pace is read anew on each tick.
   */
  async pump(next: () => boolean, pace: () => Pace, signal: AbortSignal): Promise<void> {
    let dueMs = performance.now()
    this.lastMoveMs = dueMs
    while (!signal.aborted) {
      const now = performance.now()
      const { packetsPerSecond, window } = pace()
      dueMs = Math.max(dueMs, now - MAX_BEHIND_MS)
      let left = Math.min(Math.floor(((now - dueMs) * packetsPerSecond) / 1000), this.room(window, now))
      dueMs += (left * 1000) / packetsPerSecond
      while (left-- > 0) if (!next()) return
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    }
  }

  close(): void {
    this.socket.close()
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

  /** The 8 bytes in front of every frame, as AWS sends them: only the I flag and the VNI. */
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
