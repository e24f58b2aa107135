/** Takes datagrams from sockets in batches of recvmmsg and hands them over one by one: the loop inside every batched receiver. */
import { RECEIVE_SLOTS } from '../../base/memory-weights.ts'
import { type DatagramHandler, PeerAddress } from '../datagram-receiver.ts'
import type { Libc } from './libc.ts'
import { ReceiveBatch } from './receive-batch.ts'

/** Slots of a batch. Chosen: between 64 and 512 earlier measurements showed no difference. */
/** Batches per socket and turn: a few milliseconds, then the thread's other duties get their turn. */
export const BATCHES_PER_TURN = 8

const MSG_DONTWAIT = 0x40
const EINTR = 4
const EAGAIN = 11

export class BatchReader {
  /** Most datagrams of one call of `receive`. */
  readonly slots = RECEIVE_SLOTS
  /** Datagrams taken from the kernel so far, those of an unfinished batch included. */
  taken = 0
  /** Of the datagram being handed over: when it arrived, microseconds of the wall clock, or NaN (see receive-batch.ts). */
  arrivalUs = Number.NaN
  private readonly libc: Libc
  private readonly descriptors: readonly number[]
  /** Held here for as long as the sockets are read: the kernel writes into it (see receive-batch.ts). */
  private readonly batch: ReceiveBatch
  private readonly handler: DatagramHandler
  private readonly peer = new PeerAddress()
  private readonly onError: (errno: number) => void
  private readonly onTaken: ((taken: number) => void) | null
  private readonly withTimes: boolean

  /**
   * @param onError errors other than an empty socket (EAGAIN) and a signal (EINTR), which only end a drain. They must not pass in silence
   * @param onTaken told `taken` after each system call, before any of its datagrams is looked at
   */
  constructor(
    libc: Libc,
    descriptors: readonly number[],
    datagramBytes: number,
    handler: DatagramHandler,
    onError: (errno: number) => void,
    onTaken: ((taken: number) => void) | null = null,
    withTimes = false,
  ) {
    this.libc = libc
    this.descriptors = descriptors
    this.batch = new ReceiveBatch(libc, RECEIVE_SLOTS, datagramBytes, withTimes)
    this.handler = handler
    this.onError = onError
    this.onTaken = onTaken
    this.withTimes = withTimes
  }

  /** One system call and what it brought. A count below `slots`: the socket was empty. */
  receive(socket: number): number {
    const { batch, peer, handler } = this
    const { bytes } = batch
    const count = this.libc.recvmmsg(this.descriptors[socket]!, batch.headersAddress, batch.slots, MSG_DONTWAIT, 0)
    if (count <= 0) {
      if (count < 0) {
        const errno = this.libc.errno()
        if (errno !== EAGAIN && errno !== EINTR) this.onError(errno)
      }
      return 0
    }
    this.taken += count
    this.onTaken?.(this.taken)
    for (let i = 0; i < count; i++) {
      const at = batch.payloadAt(i)
      if (this.withTimes) this.arrivalUs = batch.arrivalUs(i)
      batch.readPeer(i, peer)
      batch.rearm(i)
      handler.datagram(bytes, at, at + batch.payloadLength(i), batch.isTruncated(i), peer, socket)
    }
    handler.batchEnd()
    return count
  }
}
