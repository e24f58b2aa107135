/** node:http (llhttp, strict): a real server on a real socket. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Reader, type Reading, type SeenRequest, sendAll } from './reader.ts'

interface OpenReading {
  readonly requests: SeenRequest[]
  refusal: string | null
}

/** A server that hands over every complete request it reads, in order, with the connection it came on, and answers 200. */
export class RecordingServer {
  readonly server: Server
  private readonly request: (from: Socket, request: SeenRequest) => void
  private readonly refusal: (from: Socket, why: string) => void

  private constructor(
    request: (from: Socket, request: SeenRequest) => void,
    refusal: (from: Socket, why: string) => void,
  ) {
    this.request = request
    this.refusal = refusal
    this.server = createServer({ requireHostHeader: false, keepAlive: true, maxHeaderSize: 1 << 20 })
    this.server.maxRequestsPerSocket = 0
    this.server.maxHeadersCount = 0
    this.server.keepAliveTimeout = 60_000
    this.server.on('connection', (socket) => socket.on('error', () => {}))
    this.server.on('clientError', (error: Error & { code?: string }, socket) => {
      // What was read before it, in the same piece, is told first.
      setImmediate(() => {
        const code = error.code ?? error.message
        // A connection that ended inside a message is no refusal.
        if (code !== 'HPE_INVALID_EOF_STATE') this.refusal(socket as Socket, code)
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
        setImmediate(() => socket.destroy())
      })
    })
    const take = (message: IncomingMessage, response: ServerResponse) => this.take(message, response)
    this.server.on('request', take)
    this.server.on('checkContinue', take)
    this.server.on('checkExpectation', take)
    this.server.on('connect', (_message, socket) => {
      this.refusal(socket as Socket, 'CONNECT')
      socket.destroy()
    })
  }

  static async listen(
    request: (from: Socket, request: SeenRequest) => void,
    refusal: (from: Socket, why: string) => void,
  ): Promise<RecordingServer> {
    const recording = new RecordingServer(request, refusal)
    recording.server.listen(0, '127.0.0.1')
    await once(recording.server, 'listening')
    return recording
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  private take(message: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    const { socket } = message
    message.on('error', () => {})
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      if (!message.complete) return
      const { rawHeaders } = message
      const headers: [string, string][] = []
      for (let i = 0; i < rawHeaders.length; i += 2) headers.push([rawHeaders[i]!, rawHeaders[i + 1]!])
      this.request(socket, {
        method: message.method!,
        target: message.url!,
        headers,
        body: Buffer.concat(chunks),
      })
      response.end('ok')
    })
  }
}

export class NodeHttpReader implements Reader {
  readonly name = 'node:http'
  readonly version = process.versions.node
  private readonly server: RecordingServer
  private readonly open: Map<string, OpenReading>

  private constructor(server: RecordingServer, open: Map<string, OpenReading>) {
    this.server = server
    this.open = open
  }

  static async open(): Promise<NodeHttpReader> {
    const open = new Map<string, OpenReading>()
    const of = (socket: Socket) => open.get(`${socket.remoteAddress}:${socket.remotePort}`)
    const server = await RecordingServer.listen(
      (socket, request) => of(socket)?.requests.push(request),
      (socket, why) => {
        const reading = of(socket)
        if (reading !== undefined) reading.refusal ??= why
      },
    )
    return new NodeHttpReader(server, open)
  }

  async read(streams: readonly Buffer[]): Promise<Reading[]> {
    const readings = streams.map((): OpenReading => ({ requests: [], refusal: null }))
    // A port may come again, but not before everything of its connection was told.
    const opened = (index: number, port: number) => this.open.set(`127.0.0.1:${port}`, readings[index]!)
    await sendAll(streams, this.server.port, () => '127.0.0.1', opened)
    this.open.clear()
    return readings
  }

  async close(): Promise<void> {
    await this.server.close()
  }
}
