/** The receiver on a real socket: keeps every byte it read, and what node:http reads in these bytes. Answers each request. */

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type Libc, lastSystemError } from '../../src/sources/live/libc.ts'
import { keyOf } from '../fuzz/truth.ts'
import type { Endpoint } from './segment.ts'

/** One connection of the receiver's. */
export interface Received {
  readonly socket: Socket
  readonly from: Endpoint
  readonly chunks: Buffer[]
  /** Complete requests in order, as keys to compare. */
  readonly requests: string[]
  end: 'none' | 'fin' | 'reset'
}

export interface ReceiverOptions {
  /** Urgent bytes stay in the stream (SO_OOBINLINE). */
  readonly isOobInline: boolean
  readonly isMptcp: boolean
  /** Bytes of SO_RCVBUF; 0: as the system has it. */
  readonly receiveBuffer: number
}

/** State of a connection as the kernel tells it; what an injected segment changed shows here. */
export interface TcpInfo {
  readonly state: number
  readonly bytesReceived: number
  readonly outOfOrder: number
}

/* linux/in.h, linux/tcp.h, linux/socket.h; struct tcp_info's fields by offset. */
const AF_INET = 2
const SOCK_STREAM_NONBLOCK = 1 | 2048
const IPPROTO_TCP = 6
const IPPROTO_MPTCP = 262
const TCP_INFO = 11
const TCP_INFO_BYTES = 232
const BYTES_RECEIVED = 128
const OUT_OF_ORDER_PACKETS = 224
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_RCVBUF = 8
const SO_OOBINLINE = 10
const MOST_ANSWER_BYTES = 1200

export class Receiver {
  readonly connections: Received[] = []
  private readonly libc: Libc
  private readonly at: Endpoint
  private readonly options: ReceiverOptions
  private readonly http: HttpServer
  private server: Server | null = null
  private isReading = true

  constructor(libc: Libc, at: Endpoint, options: ReceiverOptions) {
    this.libc = libc
    this.at = at
    this.options = options
    this.http = createHttpServer({ requireHostHeader: false, keepAliveTimeout: 600_000 })
    this.http.maxRequestsPerSocket = 0
    this.http.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    })
  }

  async listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.accepted(socket))
    this.server = server
    const { address, port } = this.at
    if (this.options.isMptcp) server.listen({ fd: this.mptcpListener() })
    else server.listen({ host: address, port, backlog: 64 })
    await once(server, 'listening')
  }

  /** Opens a connection from its own side; the client's address is the one it will be known by. */
  connectTo(client: Endpoint): void {
    const { address, port } = this.at
    const socket = connect({
      host: client.address,
      port: client.port,
      localAddress: address,
      localPort: port,
      allowHalfOpen: true,
    })
    socket.on('error', () => {})
    socket.on('connect', () => this.attach(socket, client))
  }

  /** While it does not read, the window closes. */
  setReading(isReading: boolean): void {
    this.isReading = isReading
    for (const { socket } of this.connections) {
      if (isReading) socket.resume()
      else socket.pause()
    }
  }

  /** Of the last connection; null while there is none, or none any more. */
  info(): TcpInfo | null {
    const fd = descriptorOf(this.connections.at(-1)?.socket)
    if (fd < 0) return null
    const value = new Int32Array(TCP_INFO_BYTES / 4)
    if (this.libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, value, new Uint32Array([TCP_INFO_BYTES])) < 0) return null
    return {
      state: value[0]! & 0xff,
      bytesReceived: value[BYTES_RECEIVED / 4]!,
      outOfOrder: value[OUT_OF_ORDER_PACKETS / 4]!,
    }
  }

  close(): void {
    this.server?.close()
    for (const { socket } of this.connections) socket.destroy()
    this.http.close()
  }

  private accepted(socket: Socket): void {
    socket.on('error', () => {})
    const { remoteAddress, remotePort } = socket
    if (remoteAddress === undefined || remotePort === undefined) {
      // The client reset it before it was accepted.
      this.attach(socket, { address: '', port: 0 })
      return
    }
    this.attach(socket, { address: remoteAddress, port: remotePort })
  }

  private attach(socket: Socket, from: Endpoint): void {
    const received: Received = { socket, from, chunks: [], requests: [], end: 'none' }
    this.connections.push(received)
    const fd = descriptorOf(socket)
    if (fd >= 0 && this.options.isOobInline) this.libc.setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, new Int32Array([1]), 4)
    if (fd >= 0 && this.options.receiveBuffer > 0)
      this.libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, new Int32Array([this.options.receiveBuffer]), 4)
    const stream = new Duplex({
      read: () => {},
      write: (chunk, _encoding, done) => {
        if (socket.writable) socket.write(chunk)
        done()
      },
      final: (done) => {
        if (socket.writable) socket.end()
        done()
      },
      allowHalfOpen: true,
    })
    stream.on('error', () => {})
    let isOver = false
    // What was read before a reset is still the application's.
    const over = (how: Received['end']): void => {
      if (isOver) return
      isOver = true
      received.end = how
      stream.push(null)
    }
    socket.on('data', (bytes: Buffer) => {
      received.chunks.push(bytes)
      if (!isOver) stream.push(bytes)
    })
    socket.on('end', () => over('fin'))
    socket.on('error', () => over('reset'))
    socket.on('close', () => over('reset'))
    if (!this.isReading) socket.pause()
    const http = this.http
    const take = (message: IncomingMessage, response: ServerResponse): void => {
      if ((message.socket as unknown) === stream) this.take(received, message, response)
    }
    http.on('request', take)
    http.emit('connection', stream)
  }

  private take(received: Received, message: IncomingMessage, response: ServerResponse): void {
    const body: Buffer[] = []
    message.on('error', () => {})
    message.on('data', (bytes: Buffer) => body.push(bytes))
    message.on('end', () => {
      const whole = Buffer.concat(body)
      const { method, url, httpVersion, rawHeaders } = message
      const lines = Array.from(
        { length: rawHeaders.length / 2 },
        (_, i) => `${rawHeaders[2 * i]}: ${rawHeaders[2 * i + 1]}`,
      )
      const sha256 = createHash('sha256').update(whole).digest('hex')
      const text = `${method} ${url} HTTP/${httpVersion}\n${lines.join('\n')}`
      received.requests.push(keyOf({ text, bodyBytes: whole.length, bodySha256: sha256 }))
      response.on('error', () => {})
      const answer = Buffer.alloc(((url?.charCodeAt(3) || 0) * 17) % MOST_ANSWER_BYTES, 0x2e)
      response.setHeader('Content-Length', answer.length)
      response.end(answer)
    })
  }

  private mptcpListener(): number {
    const { libc } = this
    const fd = libc.socket(AF_INET, SOCK_STREAM_NONBLOCK, IPPROTO_MPTCP)
    if (fd < 0) throw lastSystemError(libc, 'socket IPPROTO_MPTCP')
    const address = Buffer.alloc(16)
    address.writeUInt16LE(AF_INET, 0)
    address.writeUInt16BE(this.at.port, 2)
    Buffer.from(this.at.address.split('.').map(Number)).copy(address, 4)
    libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([1]), 4)
    if (libc.bind(fd, address, address.length) < 0) throw lastSystemError(libc, 'bind')
    if (libc.listen(fd, 64) < 0) throw lastSystemError(libc, 'listen')
    return fd
  }
}

function descriptorOf(socket: Socket | undefined): number {
  const handle = (socket as unknown as { _handle?: { fd?: number } | null } | undefined)?._handle
  return handle?.fd ?? -1
}
