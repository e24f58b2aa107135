/** node:http as the other reader: a real server on loopback, fed through raw sockets. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, METHODS, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'

export interface NodeRequest {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

export const NODE_METHODS: readonly string[] = METHODS

export class NodeReader {
  private readonly server: Server
  private readonly seen = new Map<number, NodeRequest[]>()

  private constructor() {
    this.server = createServer({ requireHostHeader: false, keepAlive: true, maxHeaderSize: 131_072 })
    this.server.maxRequestsPerSocket = 0
    this.server.on('connection', (socket) => socket.on('error', () => {}))
    this.server.on('clientError', (_error, socket) => socket.destroy())
    this.server.on('request', (request, response) => {
      const list = this.seen.get(request.socket.remotePort!)
      const chunks: Buffer[] = []
      request.on('error', () => {})
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        if (request.complete) list?.push(shown(request, Buffer.concat(chunks)))
        response.end('ok')
      })
    })
  }

  static async open(): Promise<NodeReader> {
    const reader = new NodeReader()
    reader.server.listen(0, '127.0.0.1')
    await once(reader.server, 'listening')
    return reader
  }

  /** The complete requests node reads in `wire`, until it refuses or the bytes end. */
  async read(wire: Buffer): Promise<NodeRequest[]> {
    const list: NodeRequest[] = []
    const socket = connect((this.server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    const port = socket.localPort!
    this.seen.set(port, list)
    const closed = once(socket, 'close')
    socket.resume()
    socket.end(wire)
    await closed
    this.seen.delete(port)
    return list
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}

function shown(request: IncomingMessage, body: Buffer): NodeRequest {
  const headers: [string, string][] = []
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    headers.push([request.rawHeaders[i]!, request.rawHeaders[i + 1]!])
  return { method: request.method!, target: request.url!, headers, body: body.toString('latin1') }
}
