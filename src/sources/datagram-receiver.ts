/** What a receiver of mirrored datagrams looks like from outside: batched recvmmsg and node:dgram both are one. */
import type { MirrorError } from '../base/errors.ts'

/** Outer source address of a datagram, reused from call to call. */
export class PeerAddress {
  /** 4 or 6; an IPv4-mapped IPv6 address is given as 4. */
  family: 4 | 6 = 4
  /** IPv4: word 0. IPv6: words 0 to 3. Big-endian words, signed. */
  readonly words = new Int32Array(4)
}

export interface DatagramHandler {
  /**
   * One datagram's UDP payload, [at, end) of `bytes`, borrowed until this returns.
   * @param cut the datagram was longer than the receive slot and is not whole
   * @param socket index of the listening address it came in on, in the order given
   */
  datagram(bytes: Buffer, at: number, end: number, cut: boolean, peer: PeerAddress, socket: number): void
  /** After the last datagram of a batch, and once per clock tick without any: flush and publish now. */
  batchEnd(): void
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export interface ReceiverOptions {
  readonly addresses: readonly ListenAddress[]
  /** Asked of the kernel for each socket. */
  readonly receiveBufferBytes: number
  /** Longest datagram taken whole, bytes: 2,048 or 9,216 where jumbo frames are mirrored. */
  readonly datagramBytes: number
  /** Other processes may bind the same addresses, as the process before or after this one: recvmmsg only. */
  readonly sharesPorts?: boolean
  /** Receiving failed for now, and is tried again; told once a minute for each error. */
  readonly onPassingError?: (text: string, errno: string) => void
  /** Receiving cannot continue. */
  readonly onFailed?: (error: MirrorError) => void
}

export interface DatagramReceiver {
  readonly kind: 'recvmmsg' | 'dgram'
  /** Bound addresses with real ports, in the order given. */
  readonly bound: readonly ListenAddress[]
  /** Receive buffer the kernel granted to each socket, bytes as SO_RCVBUF reports them. */
  readonly grantedBufferBytes: readonly number[]
  /** Datagrams the kernel dropped at these sockets so far; null where it cannot be read. */
  kernelDropped(): number | null
  /** All is ready: where the addresses are shared, datagrams come here from now on. */
  takeOver?(): void
  /** Once a second or so. */
  look?(): void
  /** Stops receiving after handing over what the sockets already hold, then closes them. Idempotent. */
  stop(): Promise<void>
}
