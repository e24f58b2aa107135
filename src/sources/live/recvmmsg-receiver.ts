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
import type { DatagramHandler, DatagramReceiver, ReceiverOptions } from '../datagram-receiver.ts'
import { BATCHES_PER_TURN, BatchReader } from './batch-reader.ts'
import { errnoName, type Libc, loadLibc, type PollHandle } from './libc.ts'
import { resolveListenAddresses } from './listen-address.ts'
import { IDLE_TICK_MS, mostDatagramsIn } from './receiver-limits.ts'
import { UdpSocket } from './udp-socket.ts'

const TICK_MS = 4
/** Ticks without a packet before the clock gives way to readiness: at least 100 ms. */
const QUIET_TICKS = 25

/** @throws MirrorError ERR_LISTEN for an address that cannot be bound, ERR_RECEIVER where koffi does not load */
export async function openRecvmmsgReceiver(
  options: ReceiverOptions,
  handler: DatagramHandler,
  libc?: Libc,
): Promise<DatagramReceiver> {
  const calls = libc ?? (await loadLibc())
  const addresses = await resolveListenAddresses(options.addresses)
  const sockets: UdpSocket[] = []
  try {
    for (const address of addresses) sockets.push(new UdpSocket(calls, address, options.receiveBufferBytes))
  } catch (error) {
    for (const socket of sockets) socket.close()
    throw error
  }
  return new RecvmmsgReceiver(calls, sockets, options.datagramBytes, handler)
}

class RecvmmsgReceiver implements DatagramReceiver {
  readonly kind = 'recvmmsg'
  readonly bound
  readonly grantedBufferBytes
  private readonly libc: Libc
  private readonly sockets: readonly UdpSocket[]
  private readonly reader: BatchReader
  private readonly handler: DatagramHandler
  /** One per socket; each handle is kept from the first quiet spell to stop(). */
  private readonly polls: PollHandle[] = []
  private readonly clock: NodeJS.Timeout
  private idleClock: NodeJS.Timeout | undefined
  private emptyTicks = 0
  private isQuiet = false
  private stopped: Promise<void> | undefined

  constructor(libc: Libc, sockets: readonly UdpSocket[], datagramBytes: number, handler: DatagramHandler) {
    this.libc = libc
    this.sockets = sockets
    this.reader = new BatchReader(
      libc,
      sockets.map((socket) => socket.fd),
      datagramBytes,
      handler,
      warnOnce(),
    )
    this.handler = handler
    this.bound = sockets.map((socket) => socket.bound)
    this.grantedBufferBytes = sockets.map((socket) => socket.grantedBufferBytes)
    this.clock = setTimeout(this.turn, TICK_MS)
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

  stop(): Promise<void> {
    this.stopped ??= this.drainAndClose()
    return this.stopped
  }

  /** One turn: every socket drained or its share taken, then the next turn arranged. */
  private readonly turn = (): void => {
    if (this.stopped !== undefined) return
    let received = 0
    let hasMore = false
    for (let i = 0; i < this.sockets.length; i++) {
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
      for (const socket of this.sockets) this.polls.push(this.libc.poll(socket.fd, { readable: true }, this.onReadable))
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
    for (let i = 0; i < this.sockets.length; i++) {
      // What the socket can hold: senders who go on must not keep us for ever.
      let left = mostDatagramsIn(this.grantedBufferBytes[i]!)
      for (let batches = 1; left > 0; batches++) {
        const count = this.reader.receive(i)
        if (count < this.reader.slots) break
        left -= count
        if (batches % BATCHES_PER_TURN === 0) await nextTurn()
      }
    }
    this.handler.batchEnd()
    for (const socket of this.sockets) socket.close()
  }
}

/** Says each error of receiving once: they come with every turn. */
function warnOnce(): (errno: number) => void {
  const warned = new Set<number>()
  return (errno) => {
    if (warned.has(errno)) return
    warned.add(errno)
    process.emitWarning(`receiving failed with ${errnoName(errno)}; trying on`, { code: 'ERR_RECEIVER' })
  }
}
