/**
 * Receiving through node:dgram, for where koffi does not load: the same contract at three to four times the CPU.
 *
 * Each datagram is copied into one reused slot: the handler then sees the same kind of array (Buffer, payload 2 bytes
 * after an 8-byte boundary) as from the batched receiver, and stays as fast.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type {
  DatagramHandler,
  DatagramReceiver,
  ListenAddress,
  PeerAddress,
  ReceiverOptions,
} from '../datagram-receiver.ts'
import { forceReceiveBuffers } from './force-buffer.ts'
import { type BindAddress, listenError, resolveListenAddresses } from './listen-address.ts'
import { readDrops } from './proc-net-udp.ts'
import { IDLE_TICK_MS, mostDatagramsIn } from './receiver-limits.ts'
import { parsePeer } from './socket-address.ts'

const PAYLOAD_IN_SLOT = 2
/** Peers remembered; a mirror has a handful of sources. Beyond it (spoofed sources) the cache starts anew. */
const MOST_PEERS = 4096

/** @throws MirrorError ERR_LISTEN for an address that cannot be bound */
export async function openDgramReceiver(options: ReceiverOptions, handler: DatagramHandler): Promise<DatagramReceiver> {
  const addresses = await resolveListenAddresses(options.addresses)
  const sockets: Socket[] = []
  try {
    for (const address of addresses) sockets.push(await bindSocket(address, options.receiveBufferBytes))
  } catch (error) {
    for (const socket of sockets) socket.close()
    throw error
  }
  const bound = addresses.map(({ host }, i) => ({ host, port: sockets[i]!.address().port }))
  if (sockets.some((socket) => socket.getRecvBufferSize() < options.receiveBufferBytes))
    await forceReceiveBuffers(bound, options.receiveBufferBytes)
  return new DgramReceiver(sockets, bound, options, handler)
}

async function bindSocket(address: BindAddress, receiveBufferBytes: number): Promise<Socket> {
  // Neither reuseAddr nor reusePort: a second process must not share the port unnoticed.
  const socket = createSocket({
    type: address.family === 4 ? 'udp4' : 'udp6',
    reuseAddr: false,
    ipv6Only: address.ipv6Only,
  })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address: address.host, port: address.port, exclusive: true }, () => {
        socket.off('error', reject)
        resolve()
      })
    })
    try {
      socket.setRecvBufferSize(receiveBufferBytes)
    } catch {
      // The system's default stays; what was granted is read back and reported by the caller.
    }
    return socket
  } catch (error) {
    socket.close()
    throw listenError('UDP', address, error)
  }
}

class DgramReceiver implements DatagramReceiver {
  readonly kind = 'dgram'
  readonly bound: readonly ListenAddress[]
  readonly grantedBufferBytes: readonly number[]
  private readonly sockets: readonly Socket[]
  private readonly handler: DatagramHandler
  private readonly slot: Buffer
  private readonly datagramBytes: number
  private readonly peers = new Map<string, PeerAddress>()
  private readonly idleClock: NodeJS.Timeout
  private received = 0
  private receivedAtTick = 0
  private isBatchOpen = false
  private dropped: number | null = 0
  private isClosed = false
  private stopped: Promise<void> | undefined

  constructor(
    sockets: readonly Socket[],
    bound: readonly ListenAddress[],
    { datagramBytes, onPassingError }: ReceiverOptions,
    handler: DatagramHandler,
  ) {
    this.sockets = sockets
    this.bound = bound
    this.handler = handler
    this.datagramBytes = datagramBytes
    this.slot = Buffer.from(new SharedArrayBuffer(PAYLOAD_IN_SLOT + datagramBytes))
    this.grantedBufferBytes = sockets.map((socket) => socket.getRecvBufferSize())
    this.idleClock = setInterval(() => this.idleTick(), IDLE_TICK_MS)
    sockets.forEach((socket, i) => {
      socket.on('message', (bytes, from) => this.take(bytes, from, i))
      // An error after the bind concerns one receive call; the socket continues.
      socket.on('error', (error: NodeJS.ErrnoException) =>
        onPassingError?.(`receiving failed with ${error.code ?? error.message}; retrying`, error.code ?? 'unknown'),
      )
    })
  }

  kernelDropped(): number | null {
    if (this.isClosed || this.dropped === null) return this.dropped
    const drops = readDrops(this.bound)
    this.dropped = drops === null ? null : drops.reduce((sum, count) => sum + count, 0)
    return this.dropped
  }

  stop(): Promise<void> {
    this.stopped ??= this.drainAndClose()
    return this.stopped
  }

  private take(bytes: Uint8Array, from: RemoteInfo, socket: number): void {
    this.received++
    if (!this.isBatchOpen) {
      this.isBatchOpen = true
      // The event loop reads what is ready before it comes to immediates: that is the batch.
      setImmediate(this.endBatch)
    }
    const isTruncated = bytes.length > this.datagramBytes
    this.slot.set(isTruncated ? bytes.subarray(0, this.datagramBytes) : bytes, PAYLOAD_IN_SLOT)
    const end = PAYLOAD_IN_SLOT + (isTruncated ? this.datagramBytes : bytes.length)
    this.handler.datagram(this.slot, PAYLOAD_IN_SLOT, end, isTruncated, this.peerOf(from.address), socket)
  }

  private readonly endBatch = (): void => {
    this.isBatchOpen = false
    if (!this.isClosed) this.handler.batchEnd()
  }

  private idleTick(): void {
    if (this.received === this.receivedAtTick) this.handler.batchEnd()
    this.receivedAtTick = this.received
  }

  private peerOf(address: string): PeerAddress {
    let peer = this.peers.get(address)
    if (peer === undefined) {
      if (this.peers.size >= MOST_PEERS) this.peers.clear()
      peer = parsePeer(address)
      this.peers.set(address, peer)
    }
    return peer
  }

  /** The event loop reads the sockets; a whole turn of it without a datagram means they are empty. */
  private async drainAndClose(): Promise<void> {
    clearInterval(this.idleClock)
    // What the sockets can hold: senders who continue must not keep us for ever.
    const most = this.received + this.grantedBufferBytes.reduce((sum, bytes) => sum + mostDatagramsIn(bytes), 0)
    // The first wait may end before the turn that polls: it proves nothing.
    await nextTurn()
    let before: number
    do {
      before = this.received
      await nextTurn()
    } while (this.received !== before && this.received < most)
    this.kernelDropped()
    this.isClosed = true
    this.handler.batchEnd()
    await Promise.all(this.sockets.map((socket) => new Promise<void>((resolve) => socket.close(resolve))))
  }
}
