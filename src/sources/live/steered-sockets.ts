/**
 * Several sockets on each listen address, one for each receiving thread; the kernel chooses by steering.ts.
 *
 * The thread that opens them owns them: descriptors belong to the process, so any thread may read from its own, and when that thread dies
 * the socket continues queueing for the restarted one.
 *
 * They share their address with SO_REUSEPORT, which would let a second process join in. It cannot take anything unasked: the program
 * names ours only, by their index in order of binding. Whether it may join at all is `--reuse-port`: without, a port that is in use
 * already is found first by binding without SO_REUSEPORT.
 *
 * With it, a new process takes the address over while we still have it. The kernel keeps the sockets of an address in an array, in order
 * of binding; where one is closed, the last one moves into its place:
 *
 *   ours    theirs  spare      P = our program, Q = theirs
 *   0 1     2 3     4 5        they bind; P names 0 and 1: nothing changes
 *   0 1     2 3     4 5        they are ready and attach Q, which names 2 and 3: from this datagram on all are theirs
 *   5 4     2 3                we drain and close ours: spare ones move into the gaps, and Q stays right
 *
 * So a new process binds as many spare sockets after its own as it finds there, and no datagram is ever left to the kernel's hash. Spare
 * ones take nothing: what comes to one all the same is counted as dropped by the kernel. If a new process goes away
 * after it took over, we attach P again (`look`).
 */
import { randomInt } from 'node:crypto'
import { MirrorError } from '../../base/errors.ts'
import type { ListenAddress } from '../datagram-receiver.ts'
import { encodeBpf } from './bpf-assembler.ts'
import { type Libc, loadLibc } from './libc.ts'
import { type BindAddress, formatListenAddress, listenError, resolveListenAddresses } from './listen-address.ts'
import { countBound } from './proc-net-udp.ts'
import { type SteeredFormat, steeringProgram } from './steering.ts'
import { UdpSocket } from './udp-socket.ts'

export interface SteeredListen extends ListenAddress {
  readonly format: SteeredFormat
}

export interface Sharing {
  /** Another process may bind the address beside us, before or after: then `takeOver` must be called when all is ready. */
  readonly withOtherProcesses: boolean
  /** Datagrams carry their time of arrival. */
  readonly withTimes: boolean
}

/** Enough to find a port in use; and for sockets that take nothing. */
const LEAST_BUFFER_BYTES = 4096
/** Sockets of an address, of all processes: each hand-over adds some. Chosen: far below the kernel's 65,535, far above a day of releases. */
const MOST_SOCKETS = 512

interface Group {
  readonly address: BindAddress
  readonly format: SteeredFormat
  /** One for each receiver. */
  readonly sockets: UdpSocket[]
  readonly spare: UdpSocket[]
  /** Index of our first socket. */
  first: number
  /** Others were there besides us when we looked last. */
  hasOthers: boolean
}

export class SteeredSockets {
  /** Bound addresses with real ports, in the order given. */
  readonly bound: readonly ListenAddress[]
  /** Receive buffer of each socket of an address, bytes as SO_RCVBUF reports them. */
  readonly grantedBufferBytes: readonly number[]
  /** Per listen address. */
  private readonly groups: readonly Group[]
  /** Of the hash that spreads flows over the receivers. */
  private readonly key: number
  private readonly vxlanPorts: readonly number[]
  private hasTakenOver = false

  private constructor(groups: readonly Group[], key: number, vxlanPorts: readonly number[]) {
    this.groups = groups
    this.key = key
    this.vxlanPorts = vxlanPorts
    this.bound = groups.map(({ sockets }) => sockets[0]!.bound)
    this.grantedBufferBytes = groups.map(({ sockets }) =>
      Math.min(...sockets.map((socket) => socket.grantedBufferBytes)),
    )
  }

  /** @throws MirrorError ERR_LISTEN for an address that cannot be had, ERR_RECEIVER where koffi does not load */
  static async open(
    listen: readonly SteeredListen[],
    receivers: number,
    receiveBufferBytes: number,
    sharing: Sharing = { withOtherProcesses: false, withTimes: true },
    vxlanPorts: readonly number[] = [],
  ): Promise<SteeredSockets> {
    const libc = await loadLibc()
    const addresses = await resolveListenAddresses(listen)
    const key = randomInt(0x100000000)
    const groups: Group[] = []
    try {
      for (const [i, address] of addresses.entries()) {
        const { format } = listen[i]!
        const group: Group = { address, format, sockets: [], spare: [], first: 0, hasOthers: false }
        groups.push(group)
        openGroup(group, libc, receivers, receiveBufferBytes, key, sharing, vxlanPorts)
      }
      const opened = new SteeredSockets(groups, key, vxlanPorts)
      if (!sharing.withOtherProcesses) opened.hasTakenOver = true
      return opened
    } catch (error) {
      closeAll(groups)
      throw error
    }
  }

  /** Descriptors of one receiver, in the order of the listen addresses. */
  descriptorsOf(receiver: number): number[] {
    return this.groups.map(({ sockets }) => sockets[receiver]!.fd)
  }

  /** From now on every datagram comes to these sockets, whoever else is bound. @throws MirrorError ERR_LISTEN */
  takeOver(): void {
    for (const group of this.groups) steer(group, this.key, this.vxlanPorts)
    this.hasTakenOver = true
  }

  /** Now and then: a process that took over and went away left a program that names no socket. */
  look(): void {
    if (!this.hasTakenOver) return
    for (const group of this.groups) {
      const hadOthers = group.hasOthers
      group.hasOthers = othersOf(group) > 0
      if (hadOthers && !group.hasOthers) steer(group, this.key, this.vxlanPorts)
    }
  }

  /** Before the last reads: nothing more is queued; what was can be read. */
  refuse(): void {
    for (const { sockets } of this.groups) for (const socket of sockets) socket.refuse()
  }

  /** Datagrams the kernel dropped at all of them; null where it cannot be read. */
  kernelDropped(): number | null {
    let total = 0
    for (const socket of this.groups.flatMap(allOf)) {
      const dropped = socket.kernelDropped()
      if (dropped === null) return null
      total += dropped
    }
    return total
  }

  /** All at once: closing one changes the indices of others. */
  close(): void {
    closeAll(this.groups)
  }
}

function openGroup(
  group: Group,
  libc: Libc,
  receivers: number,
  receiveBufferBytes: number,
  key: number,
  { withOtherProcesses, withTimes }: Sharing,
  vxlanPorts: readonly number[],
): void {
  const { address } = group
  let { port } = address
  if (port === 0 || !withOtherProcesses) {
    const probe = new UdpSocket(libc, address, LEAST_BUFFER_BYTES)
    port = probe.bound.port
    probe.close()
  }
  const real = { ...address, port }
  group.first = withOtherProcesses ? countBound(real) : 0
  if (receivers + 2 * group.first > MOST_SOCKETS)
    throw new MirrorError(
      'ERR_LISTEN',
      `--reuse-port: ${formatListenAddress(real)} has ${group.first} sockets of processes before this one: stop them, then start this one`,
    )
  for (let i = 0; i < receivers; i++) {
    group.sockets.push(new UdpSocket(libc, real, receiveBufferBytes, true, withTimes))
    // Before there is a second one. The previous process's program stays until `takeOver`.
    if (i === 0 && group.first === 0) steer(group, key, vxlanPorts, receivers)
  }
  for (let i = 0; i < group.first; i++) {
    const spare = new UdpSocket(libc, real, LEAST_BUFFER_BYTES, true, false)
    group.spare.push(spare)
    spare.refuse()
  }
  if (withOtherProcesses && countBound(real) !== group.first + receivers + group.spare.length)
    throw new MirrorError(
      'ERR_LISTEN',
      `--reuse-port: another process opened or closed ${formatListenAddress(real)} at the same moment: start again`,
    )
  group.hasOthers = group.first > 0
}

function steer(
  { address, format, sockets, first }: Group,
  key: number,
  vxlanPorts: readonly number[],
  receivers = sockets.length,
): void {
  try {
    sockets[0]!.steer(encodeBpf(steeringProgram(format, receivers, key, first, vxlanPorts)))
  } catch (error) {
    throw listenError('UDP', address, error)
  }
}

function allOf({ sockets, spare }: Group): UdpSocket[] {
  return [...sockets, ...spare]
}

function othersOf(group: Group): number {
  return countBound(group.sockets[0]!.bound) - allOf(group).length
}

function closeAll(groups: readonly Group[]): void {
  for (const socket of groups.flatMap(allOf)) socket.close()
}
