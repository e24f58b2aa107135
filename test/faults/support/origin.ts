/** An origin that can be told to misbehave: a TCP (or TLS) server that reads requests and remembers what it executed. */
import net, { type AddressInfo, type Socket } from 'node:net'
import tls from 'node:tls'
import { TEST_CERTIFICATE, TEST_KEY } from '../../sinks/replay/support/tls-certificate.ts'

export interface Arrived {
  readonly method: string
  readonly target: string
  readonly bodyBytes: number
  /** Of the request on its connection, from 1. */
  readonly onConnection: number
  readonly atMs: number
}

export type Answer = (request: Arrived, socket: Socket) => void

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
export const ok: Answer = (_request, socket) => {
  socket.write(OK)
}

export class Origin {
  /** Answers requests. */
  answer: Answer = ok
  /** Is asked when a head has come, before its body. @returns whether the request is dealt with */
  atHead: ((method: string, target: string, socket: Socket) => boolean) | null = null
  /** Gets a connection before anything is read. @returns whether it is dealt with */
  atAccept: ((socket: Socket) => boolean) | null = null
  /** How often each request was executed, by `METHOD target`. */
  readonly executed = new Map<string, number>()
  /** When each target first came, milliseconds of performance.now(). */
  readonly arrivedAt = new Map<string, number>()
  accepted = 0
  private readonly isTls: boolean
  private readonly sockets = new Set<Socket>()
  private server: net.Server
  private boundPort = 0

  private constructor(isTls: boolean) {
    this.isTls = isTls
    this.server = this.makeServer()
  }

  static async listen(isTls = false): Promise<Origin> {
    const origin = new Origin(isTls)
    await origin.comeUp()
    return origin
  }

  get port(): number {
    return this.boundPort
  }

  get url(): string {
    return `${this.isTls ? 'https' : 'http'}://127.0.0.1:${this.boundPort}`
  }

  get openSockets(): number {
    return this.sockets.size
  }

  get requests(): number {
    return this.arrivedAt.size
  }

  /** Requests that were executed more than once, of these methods. */
  repeated(...methods: readonly string[]): string[] {
    return [...this.executed]
      .filter(([name, n]) => n > 1 && methods.includes(name.split(' ')[0]!))
      .map(([name]) => name)
  }

  /** Nobody listens any more, and all connections are reset. */
  async goDown(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.resetConnections()
    await closed
  }

  /** Listens, where it listened before. */
  async comeUp(): Promise<void> {
    this.server = this.makeServer()
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(this.boundPort, '127.0.0.1', resolve)
    })
    this.boundPort = (this.server.address() as AddressInfo).port
  }

  resetConnections(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    if (this.server.listening) await this.goDown()
    else this.resetConnections()
  }

  private makeServer(): net.Server {
    if (!this.isTls) return net.createServer((socket) => this.accept(socket, socket))
    const inner = tls.createServer({ cert: TEST_CERTIFICATE, key: TEST_KEY })
    inner.on('tlsClientError', () => {})
    inner.on('secureConnection', (socket) => this.read(socket))
    return net.createServer((socket) => this.accept(socket, inner))
  }

  private accept(socket: Socket, reader: Socket | tls.Server): void {
    this.accepted++
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('error', () => {})
    if (this.atAccept?.(socket)) return
    if (reader instanceof tls.Server) reader.emit('connection', socket)
    else this.read(socket)
  }

  private read(socket: Socket): void {
    let onConnection = 0
    let pending = Buffer.alloc(0)
    let isOver = false
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      if (isOver) return
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      for (;;) {
        const headEnd = pending.indexOf('\r\n\r\n')
        if (headEnd < 0) return
        const head = pending.toString('latin1', 0, headEnd)
        const [method = '', target = ''] = head.split(' ', 2)
        if (this.atHead?.(method, target, socket)) {
          this.note(method, target)
          isOver = true
          return
        }
        const bodyBytes = Number(/^content-length: *(\d+)$/im.exec(head)?.[1] ?? 0)
        if (pending.length < headEnd + 4 + bodyBytes) return
        pending = pending.subarray(headEnd + 4 + bodyBytes)
        const atMs = this.note(method, target)
        this.answer({ method, target, bodyBytes, onConnection: ++onConnection, atMs }, socket)
      }
    })
  }

  private note(method: string, target: string): number {
    const atMs = performance.now()
    const name = `${method} ${target}`
    this.executed.set(name, (this.executed.get(name) ?? 0) + 1)
    if (!this.arrivedAt.has(target)) this.arrivedAt.set(target, atMs)
    return atMs
  }
}
