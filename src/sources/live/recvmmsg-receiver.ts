/**
 * Batched receiving on a clock. Thread: whichever opens it.
 *
 * Ways of waiting, and their price on one core (measured 2026-11-23, see native-notes):
 * - the clock, while packets come: sleep 4 ms, then take all there is. A wake-up per packet is the dearest part of receiving, and mirrored traffic does
 *   not mind milliseconds. Idle it would cost about 1 % of a core, and so
 * - readiness, after 100 ms without a packet: the kernel wakes us for the first packet, which then waits for nothing but the
 *   event loop; 0.2 % of a core, most of it our own tick.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { DatagramHandler, DatagramReceiver, ListenAddress, ReceiverOptions } from '../datagram-receiver.ts'
import { BATCHES_PER_TURN, BatchReader } from './batch-reader.ts'
import { type Libc, loadLibc, type PollHandle } from './libc.ts'
import { resolveListenAddresses } from './listen-address.ts'
import { ReceiveErrors } from './receive-errors.ts'
import { IDLE_TICK_MS, mostDatagramsIn } from './receiver-limits.ts'
import { SteeredSockets } from './steered-sockets.ts'
import { UdpSocket } from './udp-socket.ts'

const TICK_MS = 4
/** Ticks without a packet before it waits for readiness instead of the clock: at least 100 ms. */
const QUIET_TICKS = 25

/** @throws MirrorError ERR_LISTEN for an address that cannot be bound, ERR_RECEIVER where koffi does not load */
export async function openRecvmmsgReceiver(
  options: ReceiverOptions,
  handler: DatagramHandler,
  libc?: Libc,
): Promise<DatagramReceiver> {
  const calls = libc ?? (await loadLibc())
  const sockets = options.sharesPorts ? await openShared(options) : await OwnSockets.open(calls, options)
  return new RecvmmsgReceiver(calls, sockets, options, handler)
}

interface Sockets {
  readonly bound: readonly ListenAddress[]
  readonly grantedBufferBytes: readonly number[]
  descriptorsOf(receiver: number): readonly number[]
  takeOver(): void
  look(): void
  refuse(): void
  kernelDropped(): number | null
  close(): void
}

function openShared({ addresses, receiveBufferBytes }: ReceiverOptions): Promise<Sockets> {
  // With one socket an address there is nothing to look for in a datagram, whatever its format.
  const listen = addresses.map((address) => ({ ...address, format: 'vxlan' as const }))
  return SteeredSockets.open(listen, 1, receiveBufferBytes, { withOtherProcesses: true, withTimes: false })
}

/** One for each address, which nobody else can have. */
class OwnSockets implements Sockets {
  private readonly sockets: readonly UdpSocket[]

  private constructor(sockets: readonly UdpSocket[]) {
    this.sockets = sockets
  }

  static async open(libc: Libc, options: ReceiverOptions): Promise<OwnSockets> {
    const addresses = await resolveListenAddresses(options.addresses)
    const sockets: UdpSocket[] = []
    try {
      for (const address of addresses) sockets.push(new UdpSocket(libc, address, options.receiveBufferBytes))
    } catch (error) {
      for (const socket of sockets) socket.close()
      throw error
    }
    return new OwnSockets(sockets)
  }

  get bound(): readonly ListenAddress[] {
    return this.sockets.map((socket) => socket.bound)
  }

  get grantedBufferBytes(): readonly number[] {
    return this.sockets.map((socket) => socket.grantedBufferBytes)
  }

  descriptorsOf(): readonly number[] {
    return this.sockets.map((socket) => socket.fd)
  }

  takeOver(): void {}

  look(): void {}

  refuse(): void {
    for (const socket of this.sockets) socket.refuse()
  }

  kernelDropped(): number | null {
    let total = 0
    for (const socket of this.sockets) {
      const dropped = socket.kernelDropped()
      if (dropped === null) return null
      total += dropped
    }
    return total
  }

  close(): void {
    for (const socket of this.sockets) socket.close()
  }
}

class RecvmmsgReceiver implements DatagramReceiver {
  readonly kind = 'recvmmsg'
  readonly bound
  readonly grantedBufferBytes
  private readonly descriptors: readonly number[]
  private readonly libc: Libc
  private readonly sockets: Sockets
  private readonly reader: BatchReader
  private readonly handler: DatagramHandler
  /** One per socket; each handle is kept from the first quiet spell to stop(). */
  private readonly polls: PollHandle[] = []
  private readonly clock: NodeJS.Timeout
  private idleClock: NodeJS.Timeout | undefined
  private emptyTicks = 0
  private isQuiet = false
  private stopped: Promise<void> | undefined

  constructor(libc: Libc, sockets: Sockets, options: ReceiverOptions, handler: DatagramHandler) {
    this.libc = libc
    this.sockets = sockets
    this.descriptors = sockets.descriptorsOf(0)
    const errors = new ReceiveErrors(
      (text, errno) => options.onPassingError?.(text, errno),
      (error) => options.onFailed?.(error),
    )
    this.reader = new BatchReader(libc, this.descriptors, options.datagramBytes, handler, errors.report)
    this.handler = handler
    this.bound = sockets.bound
    this.grantedBufferBytes = sockets.grantedBufferBytes
    this.clock = setTimeout(this.turn, TICK_MS)
  }

  kernelDropped(): number | null {
    return this.sockets.kernelDropped()
  }

  takeOver(): void {
    this.sockets.takeOver()
  }

  look(): void {
    this.sockets.look()
  }

  stop(): Promise<void> {
    this.stopped ??= this.drainAndClose()
    return this.stopped
  }

  /** One turn: every socket drained or its share taken, then the next turn arranged. */
  private readonly turn = (): void => {
    if (this.stopped !== undefined) return
    let received = 0
    let hasMore = false
    for (let i = 0; i < this.descriptors.length; i++) {
      let batches = 0
      let count = 0
      do {
        count = this.reader.receive(i)
        received += count
        batches++
      } while (count === this.reader.slots && batches < BATCHES_PER_TURN)
      hasMore ||= count === this.reader.slots
    }
    if (received > 0) this.wake()
    else this.handler.batchEnd()
    // The handler may have stopped us.
    if (this.stopped !== undefined) return

    if (hasMore) setImmediate(this.turn)
    else if (this.isQuiet) this.idleClock?.refresh()
    else if (received === 0 && ++this.emptyTicks >= QUIET_TICKS) this.waitForReadiness()
    // Re-armed, not repeated: a slow turn is followed by a whole pause. refresh() makes no new timer object.
    else this.clock.refresh()
  }

  private waitForReadiness(): void {
    this.isQuiet = true
    if (this.polls.length === 0)
      for (const fd of this.descriptors) this.polls.push(this.libc.poll(fd, { readable: true }, this.onReadable))
    else for (const poll of this.polls) poll.start({ readable: true }, this.onReadable)
    // The handler's tick, and a net under readiness, should an event get lost: ten calls a second.
    if (this.idleClock === undefined) this.idleClock = setTimeout(this.turn, IDLE_TICK_MS)
    else this.idleClock.refresh()
  }

  /** Leaves the work to the next turn: sockets are read from timers and immediates only, never from inside an FFI callback. */
  private readonly onReadable = (): void => {
    if (!this.isQuiet || this.stopped !== undefined) return
    this.wake()
    setImmediate(this.turn)
  }

  /** Packets again: back to the clock. The caller arranges the next turn. */
  private wake(): void {
    this.emptyTicks = 0
    if (!this.isQuiet) return
    this.isQuiet = false
    clearTimeout(this.idleClock)
    this.idleClock = undefined
    for (const poll of this.polls) poll.stop()
  }

  private async drainAndClose(): Promise<void> {
    clearTimeout(this.clock)
    clearTimeout(this.idleClock)
    for (const poll of this.polls) poll.close()
    this.polls.length = 0
    // Never inside a datagram() call that asked for the stop: the batch is still being read.
    await nextTurn()
    this.sockets.refuse()
    for (let i = 0; i < this.descriptors.length; i++) {
      // What the socket can hold: senders who continue must not keep us for ever.
      let left = mostDatagramsIn(this.grantedBufferBytes[i]!)
      for (let batches = 1; left > 0; batches++) {
        const count = this.reader.receive(i)
        if (count < this.reader.slots) break
        left -= count
        if (batches % BATCHES_PER_TURN === 0) await nextTurn()
      }
    }
    this.handler.batchEnd()
    this.sockets.close()
  }
}
