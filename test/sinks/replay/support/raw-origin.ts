/** A TCP server that records the bytes it gets and answers with the bytes it is told: no HTTP library in between. */

import type { AddressInfo } from 'node:net'
import net from 'node:net'

export interface RawRequest {
  /** Request line and header lines. */
  readonly lines: string[]
  readonly body: Buffer
  /** Number of the connection it came on, from 1. */
  readonly connection: number
  /** Number of the request on its connection, from 1. */
  readonly onConnection: number
  readonly target: string
}

export type RawAnswer = (request: RawRequest, socket: net.Socket) => void

export class RawOrigin {
  readonly requests: RawRequest[] = []
  connections = 0
  private readonly sockets = new Set<net.Socket>()
  private readonly server: net.Server
  private waiters: (() => void)[] = []
  answer: RawAnswer

  private constructor(answer: RawAnswer) {
    this.answer = answer
    this.server = net.createServer((socket) => this.accept(socket))
  }

  /** @param port 0 = any free one */
  static async listen(answer: RawAnswer = ok, port = 0): Promise<RawOrigin> {
    const origin = new RawOrigin(answer)
    await new Promise<void>((resolve, reject) => {
      origin.server.once('error', reject)
      origin.server.listen(port, '127.0.0.1', resolve)
    })
    return origin
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.port}`)
  }

  get openSockets(): number {
    return this.sockets.size
  }

  /** Resolves when the origin has got `n` requests in all. */
  async received(n: number): Promise<void> {
    while (this.requests.length < n) await new Promise<void>((resolve) => this.waiters.push(resolve))
  }

  /** On every open connection, as bytes that answer nothing. They have arrived, over loopback, when this returns. */
  writeToAll(bytes: string): void {
    for (const socket of this.sockets) socket.write(bytes, 'latin1')
  }

  /** FIN on every open connection. */
  endAll(): void {
    for (const socket of this.sockets) socket.end()
  }

  /** Resolves when no connection is open, that is when the other side has closed them too. */
  async allClosed(): Promise<void> {
    while (this.sockets.size > 0) await new Promise<void>((resolve) => this.waiters.push(resolve))
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  private wake(): void {
    for (const wake of this.waiters.splice(0)) wake()
  }

  private accept(socket: net.Socket): void {
    const connection = ++this.connections
    let onConnection = 0
    let pending = Buffer.alloc(0)
    this.sockets.add(socket)
    socket.on('close', () => {
      this.sockets.delete(socket)
      this.wake()
    })
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      for (;;) {
        const headEnd = pending.indexOf('\r\n\r\n')
        if (headEnd < 0) return
        const lines = pending.toString('latin1', 0, headEnd).split('\r\n')
        const length = Number(/^content-length: *(\d+)$/im.exec(lines.join('\n'))?.[1] ?? 0)
        if (pending.length < headEnd + 4 + length) return
        const body = Buffer.from(pending.subarray(headEnd + 4, headEnd + 4 + length))
        pending = pending.subarray(headEnd + 4 + length)
        const request: RawRequest = {
          lines,
          body,
          connection,
          onConnection: ++onConnection,
          target: lines[0]!.split(' ')[1]!,
        }
        this.requests.push(request)
        this.wake()
        this.answer(request, socket)
      }
    })
  }
}

/** 200 with a body of two bytes. */
export const ok: RawAnswer = (_request, socket) => {
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
}

/** These bytes, and the connection stays open. */
export function says(bytes: string): RawAnswer {
  return (_request, socket) => {
    socket.write(bytes, 'latin1')
  }
}

/** These bytes, then FIN. */
export function saysAndCloses(bytes: string): RawAnswer {
  return (_request, socket) => {
    socket.end(bytes, 'latin1')
  }
}

/** These bytes, then RST. The bytes are read first: what arrived before a reset stays readable (Linux). */
export function saysAndResets(bytes: string): RawAnswer {
  return (_request, socket) => {
    if (bytes === '') socket.resetAndDestroy()
    else socket.write(bytes, 'latin1', () => socket.resetAndDestroy())
  }
}

export const staysSilent: RawAnswer = () => {}

/** A loopback port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const origin = await RawOrigin.listen()
  const port = origin.port
  await origin.close()
  return port
}
