/**
 * Several sockets on each listen address, one for each receiving thread; the kernel chooses by steering.ts.
 *
 * The thread that opens them owns them: descriptors belong to the process, so any thread may read from its own, and when that thread dies
 * the socket goes on queueing for its successor.
 *
 * They share their address with SO_REUSEPORT, which would let a second process join in. It cannot take anything: the program names
 * ours only, whose indices come from the order of binding. And a port that is in use already is found first by binding without it.
 */
import { randomInt } from 'node:crypto'
import type { ListenAddress } from '../datagram-receiver.ts'
import { encodeBpf } from './bpf-assembler.ts'
import { type Libc, loadLibc } from './libc.ts'
import { type BindAddress, listenError, resolveListenAddresses } from './listen-address.ts'
import { type SteeredFormat, steeringProgram } from './steering.ts'
import { UdpSocket } from './udp-socket.ts'

export interface SteeredListen extends ListenAddress {
  readonly format: SteeredFormat
}

/** Enough to find a port in use. */
const PROBE_BUFFER_BYTES = 4096

export class SteeredSockets {
  /** Bound addresses with real ports, in the order given. */
  readonly bound: readonly ListenAddress[]
  /** Receive buffer of each socket of an address, bytes as SO_RCVBUF reports them. */
  readonly grantedBufferBytes: readonly number[]
  /** Per listen address, one socket for each receiver. */
  private readonly groups: readonly (readonly UdpSocket[])[]

  private constructor(groups: readonly (readonly UdpSocket[])[]) {
    this.groups = groups
    this.bound = groups.map((group) => group[0]!.bound)
    this.grantedBufferBytes = groups.map((group) => Math.min(...group.map((socket) => socket.grantedBufferBytes)))
  }

  /** @throws MirrorError ERR_LISTEN for an address that cannot be had, ERR_RECEIVER where koffi does not load */
  static async open(
    listen: readonly SteeredListen[],
    receivers: number,
    receiveBufferBytes: number,
  ): Promise<SteeredSockets> {
    const libc = await loadLibc()
    const addresses = await resolveListenAddresses(listen)
    const key = randomInt(0x100000000)
    const groups: UdpSocket[][] = []
    try {
      for (const [i, address] of addresses.entries()) {
        const group: UdpSocket[] = []
        groups.push(group)
        openGroup(group, libc, address, listen[i]!.format, receivers, receiveBufferBytes, key)
      }
    } catch (error) {
      for (const socket of groups.flat()) socket.close()
      throw error
    }
    return new SteeredSockets(groups)
  }

  /** Descriptors of one receiver, in the order of the listen addresses. */
  descriptorsOf(receiver: number): number[] {
    return this.groups.map((group) => group[receiver]!.fd)
  }

  /** Datagrams the kernel dropped at all of them; null where it cannot be read. */
  kernelDropped(): number | null {
    let total = 0
    for (const socket of this.groups.flat()) {
      const dropped = socket.kernelDropped()
      if (dropped === null) return null
      total += dropped
    }
    return total
  }

  /** All at once: closing one would change the indices of the others. */
  close(): void {
    for (const socket of this.groups.flat()) socket.close()
  }
}

function openGroup(
  group: UdpSocket[],
  libc: Libc,
  address: BindAddress,
  format: SteeredFormat,
  receivers: number,
  receiveBufferBytes: number,
  key: number,
): void {
  const probe = new UdpSocket(libc, address, PROBE_BUFFER_BYTES)
  const { port } = probe.bound
  probe.close()
  for (let i = 0; i < receivers; i++) {
    group.push(new UdpSocket(libc, { ...address, port }, receiveBufferBytes, true))
    if (i > 0) continue
    try {
      group[0]!.steer(encodeBpf(steeringProgram(format, receivers, key)))
    } catch (error) {
      throw listenError('UDP', address, error)
    }
  }
}
