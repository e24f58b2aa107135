/** The built-in origin: answers like the sample site and tells what it received. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Arrival } from './arrival.ts'
import { answerTo } from './traffic/sample-answer.ts'
import type { Field } from './traffic/sample-request.ts'

export interface Origin {
  readonly port: number
  close(): Promise<void>
}

/** Longer than replay keeps a connection idle: whoever closes second may lose a request. */
const KEEP_ALIVE_MS = 60_000
const MAX_HEADER_BYTES = 64 * 1024

/** On a free port of 127.0.0.1. @param onArrival before the answer is sent */
export function openOrigin(onArrival: (arrival: Arrival) => void): Promise<Origin> {
  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, maxHeaderSize: MAX_HEADER_BYTES },
    (request, response) => {
      const hash = createHash('sha256')
      let bodyBytes = 0
      request.on('data', (chunk: Buffer) => {
        hash.update(chunk)
        bodyBytes += chunk.length
      })
      request.on('end', () => {
        const { method = '', url: target = '' } = request
        onArrival({ method, target, headers: fieldsOf(request), bodyBytes, bodySha256: hash.digest('hex') })
        answer(method, target, response)
      })
    },
  )
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            server.closeAllConnections()
          }),
      })
    })
  })
}

function answer(method: string, target: string, response: ServerResponse): void {
  const { status, reason, headers, body, isChunked } = answerTo(method, target)
  response.writeHead(
    status,
    reason,
    [
      ...headers,
      ...(isChunked || body.length === 0 ? [] : [['Content-Length', String(body.length)]]),
    ].flat() as string[],
  )
  // Two writes without a length are two chunks.
  if (isChunked && body.length > 1) response.write(body.subarray(0, 1))
  response.end(isChunked ? body.subarray(1) : body)
}

function fieldsOf({ rawHeaders }: IncomingMessage): Field[] {
  const fields: Field[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) fields.push([rawHeaders[i]!, rawHeaders[i + 1]!])
  return fields
}
