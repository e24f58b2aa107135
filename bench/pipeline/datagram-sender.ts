/** Sends prepared datagrams to one address: in batches with sendmmsg where koffi loads, else one by one with node:dgram. */
import { createSocket } from 'node:dgram'
import { errnoName, loadLibc } from '../../src/sources/live/libc.ts'
import { AF_INET, encodeSocketAddress } from '../../src/sources/live/socket-address.ts'

export interface DatagramSender {
  readonly kind: 'sendmmsg' | 'dgram'
  /** Sends datagrams `first` to `first + count - 1`. */
  send(first: number, count: number): Promise<void>
  close(): void
}

export interface Datagrams {
  /** Shared memory, which never moves. */
  readonly bytes: Buffer
  /** Start of each datagram, and behind the last one its end. */
  readonly offsets: Int32Array
}

/** To a port of 127.0.0.1. */
export async function openSender(port: number, datagrams: Datagrams): Promise<DatagramSender> {
  try {
    return await openBatches(port, datagrams)
  } catch {
    return openSingles(port, datagrams)
  }
}

const SOCK_DGRAM = 2
const KOFFI: string = 'koffi'

interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: readonly string[]): unknown }
}

async function openBatches(port: number, { bytes, offsets }: Datagrams): Promise<DatagramSender> {
  const libc = await loadLibc()
  const koffi = (await import(KOFFI)) as { default?: Koffi } & Koffi
  const library = (koffi.default ?? koffi).load(null)
  const connect = library.func('connect', 'int', ['int', 'void *', 'uint']) as (
    fd: number,
    address: Uint8Array,
    length: number,
  ) => number
  const sendmmsg = library.func('sendmmsg', 'int', ['int', 'uintptr_t', 'uint', 'int']) as (
    fd: number,
    headers: number,
    count: number,
    flags: number,
  ) => number
  const fail = (call: string) => new Error(`${call}: ${errnoName(libc.errno())}`)

  const fd = libc.socket(AF_INET, SOCK_DGRAM, 0)
  if (fd < 0) throw fail('socket')
  const address = encodeSocketAddress({ family: 4, host: '127.0.0.1', port, ipv6Only: false })
  if (connect(fd, address, address.length) < 0) throw fail('connect')

  // struct iovec: base, length. struct mmsghdr, 64 bytes: iov at 16, iovlen at 24 (64-bit Linux). Shared memory: it must not move.
  const n = offsets.length - 1
  const vectors = new BigUint64Array(new SharedArrayBuffer(n * 16))
  const headers = new BigUint64Array(new SharedArrayBuffer(n * 64))
  const bytesAddress = libc.address(bytes)
  const vectorsAddress = libc.address(vectors)
  const headersAddress = libc.address(headers)
  for (let i = 0; i < n; i++) {
    vectors[i * 2] = BigInt(bytesAddress + offsets[i]!)
    vectors[i * 2 + 1] = BigInt(offsets[i + 1]! - offsets[i]!)
    headers[i * 8 + 2] = BigInt(vectorsAddress + i * 16)
    headers[i * 8 + 3] = 1n
  }
  return {
    kind: 'sendmmsg',
    send: async (first, count) => {
      for (let done = 0; done < count; ) {
        const sent = sendmmsg(fd, headersAddress + (first + done) * 64, count - done, 0)
        // Also keeps the memory that the kernel reads reachable.
        if (sent < 0)
          throw new Error(
            `sendmmsg of ${headers.length / 8} headers, ${vectors.length / 2} vectors: ${errnoName(libc.errno())}`,
          )
        done += sent
      }
    },
    close: () => {
      libc.close(fd)
    },
  }
}

async function openSingles(port: number, { bytes, offsets }: Datagrams): Promise<DatagramSender> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve))
  const datagram = (i: number) => bytes.subarray(offsets[i], offsets[i + 1])
  return {
    kind: 'dgram',
    send: async (first, count) => {
      const last = first + count - 1
      for (let i = first; i < last; i++) socket.send(datagram(i))
      await new Promise<void>((resolve, reject) =>
        socket.send(datagram(last), (error) => (error ? reject(error) : resolve())),
      )
    },
    close: () => socket.close(),
  }
}
