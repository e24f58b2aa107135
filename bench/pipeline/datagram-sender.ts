/** Sends prepared datagrams to one address: in batches with sendmmsg where koffi loads, else one by one with node:dgram. */
import { createSocket, type Socket } from 'node:dgram'
import { errnoName, type Libc, loadLibc } from '../../src/sources/live/libc.ts'
import { AF_INET, encodeSocketAddress } from '../../src/sources/live/socket-address.ts'

export interface Datagrams {
  /** Shared memory, which never moves. */
  readonly bytes: Buffer
  /** Start of each datagram, and behind the last one its end. */
  readonly offsets: Int32Array
}

/** Datagrams in the order in which they are sent: prepared once, sent often. */
export interface Sequence {
  readonly length: number
  /** Sends those at `first` to `first + count - 1`. */
  send(first: number, count: number): void | Promise<void>
}

export interface DatagramSender {
  readonly kind: 'sendmmsg' | 'dgram'
  /** From now on to this port of 127.0.0.1. */
  connect(port: number): Promise<void>
  /** @param order indexes of datagrams */
  sequence(order: Int32Array): Sequence
  close(): void
}

export async function openSender(datagrams: Datagrams): Promise<DatagramSender> {
  let libc: Libc
  try {
    libc = await loadLibc()
  } catch {
    return new SingleSender(datagrams)
  }
  return new BatchSender(libc, await bindCalls(), datagrams)
}

const SOCK_DGRAM = 2
const KOFFI: string = 'koffi'

interface Calls {
  connect(fd: number, address: Uint8Array, length: number): number
  sendmmsg(fd: number, headers: number, count: number, flags: number): number
}

async function bindCalls(): Promise<Calls> {
  interface Koffi {
    load(path: null): { func(name: string, result: string, parameters: readonly string[]): unknown }
  }
  const koffi = (await import(KOFFI)) as { default?: Koffi } & Koffi
  const library = (koffi.default ?? koffi).load(null)
  return {
    connect: library.func('connect', 'int', ['int', 'void *', 'uint']) as Calls['connect'],
    sendmmsg: library.func('sendmmsg', 'int', ['int', 'uintptr_t', 'uint', 'int']) as Calls['sendmmsg'],
  }
}

/*
 * struct iovec, 16 bytes: base u64, length u64. struct mmsghdr, 64 bytes (64-bit Linux): iov at 16, iovlen at 24.
 * Both in shared memory, because it must not move, and held here, because koffi's addresses keep nothing alive.
 */
class BatchSender implements DatagramSender {
  readonly kind = 'sendmmsg'
  private readonly libc: Libc
  private readonly calls: Calls
  private readonly datagrams: Datagrams
  private readonly vectors: BigUint64Array
  private fd = -1

  constructor(libc: Libc, calls: Calls, datagrams: Datagrams) {
    this.libc = libc
    this.calls = calls
    this.datagrams = datagrams
    const { bytes, offsets } = datagrams
    const n = offsets.length - 1
    this.vectors = new BigUint64Array(new SharedArrayBuffer(n * 16))
    const bytesAddress = libc.address(bytes)
    for (let i = 0; i < n; i++) {
      this.vectors[i * 2] = BigInt(bytesAddress + offsets[i]!)
      this.vectors[i * 2 + 1] = BigInt(offsets[i + 1]! - offsets[i]!)
    }
  }

  async connect(port: number): Promise<void> {
    this.close()
    this.fd = this.libc.socket(AF_INET, SOCK_DGRAM, 0)
    if (this.fd < 0) throw this.failure('socket')
    const address = encodeSocketAddress({ family: 4, host: '127.0.0.1', port, ipv6Only: false })
    if (this.calls.connect(this.fd, address, address.length) < 0) throw this.failure('connect')
  }

  sequence(order: Int32Array): Sequence {
    const headers = new BigUint64Array(new SharedArrayBuffer(Math.max(1, order.length) * 64))
    const headersAddress = this.libc.address(headers)
    const vectorsAddress = this.libc.address(this.vectors)
    for (let i = 0; i < order.length; i++) {
      headers[i * 8 + 2] = BigInt(vectorsAddress + order[i]! * 16)
      headers[i * 8 + 3] = 1n
    }
    return {
      length: order.length,
      send: (first, count) => {
        for (let done = 0; done < count; ) {
          // The kernel takes at most 1,024 a call, and tells how many it took.
          const sent = this.calls.sendmmsg(this.fd, headersAddress + (first + done) * 64, count - done, 0)
          // Naming the memory that the kernel reads keeps it alive.
          if (sent < 0) throw this.failure(`sendmmsg of ${headers.length / 8} in ${this.datagrams.bytes.length} bytes`)
          done += sent
        }
      },
    }
  }

  close(): void {
    if (this.fd >= 0) this.libc.close(this.fd)
    this.fd = -1
  }

  private failure(call: string): Error {
    return new Error(`${call}: ${errnoName(this.libc.errno())}`)
  }
}

class SingleSender implements DatagramSender {
  readonly kind = 'dgram'
  private readonly datagrams: Datagrams
  private socket: Socket | null = null

  constructor(datagrams: Datagrams) {
    this.datagrams = datagrams
  }

  async connect(port: number): Promise<void> {
    this.close()
    const socket = createSocket('udp4')
    this.socket = socket
    await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve))
  }

  sequence(order: Int32Array): Sequence {
    const { bytes, offsets } = this.datagrams
    const datagram = (i: number) => bytes.subarray(offsets[order[i]!], offsets[order[i]! + 1])
    return {
      length: order.length,
      send: (first, count) => {
        const socket = this.socket!
        const last = first + count - 1
        for (let i = first; i < last; i++) socket.send(datagram(i))
        return new Promise<void>((resolve, reject) =>
          socket.send(datagram(last), (error) => (error ? reject(error) : resolve())),
        )
      },
    }
  }

  close(): void {
    this.socket?.close()
    this.socket = null
  }
}
