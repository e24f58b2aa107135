/**
 * The two HTTP servers of a running service: health for load balancers, which anybody may ask for one word, and admin for operators
 * (admin-access.ts says who). Neither shows anything that was captured: counts, names from closed sets, configured addresses, and of what was
 * refused the numbers (VNIs, ports, addresses of mirror sources).
 *
 * What a client can hold is bounded: connections, one request at a time on each, bytes of a head, and the time for one. One connection more than the bound ends the one
 * that was silent longest, so that clients who hold connections open do not keep others out.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describeSystemError, MirrorError } from '../base/errors.ts'
import { AdminAccess, type AdminAccessOptions } from './admin-access.ts'
import type { Diagnosis } from './diagnosis/watch.ts'
import type { MetricsPage } from './metrics-page.ts'
import type { Summary } from './summary.ts'

export interface Address {
  readonly host: string
  readonly port: number
  /** A listening socket that was made for it elsewhere, and belongs to the server from now on. */
  readonly fd?: number
}

/** What health says: receiving, or why not. */
export interface Health {
  readonly isHealthy: boolean
  readonly reason: string
}

export interface AdminSources {
  readonly metrics: MetricsPage
  health(): Health
  summary(): Summary
  diagnosis(): Diagnosis
  /** Breaks a thread, for tests of supervision; null where faults are not enabled. Answers what it did, or null for bad arguments. */
  injectFault:
    | ((thread: 'shard' | 'receiver' | 'main', index: string, kind: string, us: string) => string | null)
    | null
}

export interface OpenServer {
  readonly address: Address
  close(): Promise<void>
}

type Route = (
  path: string,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
) => void | Promise<void>

/** Scrapers, probes and people are a handful each; the rest is room. A descriptor apiece, of 1,024 that a process has by default. */
export const MAX_SERVER_CONNECTIONS = 128
/** A token, a cookie that a browser sends along, and room: nobody has reason for more. */
const MAX_REQUEST_HEAD_BYTES = 8 * 1024
/** For a request's head, and for all of it: on any network that reaches an admin port it takes milliseconds. */
const HEAD_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
/** How late those may be noticed. */
const CHECK_MS = 1_000
/** Idle connections; longer than most scrape intervals would be a descriptor for nothing. */
const KEEP_ALIVE_TIMEOUT_MS = 5_000

/** @throws MirrorError ERR_LISTEN */
export function openHealthServer(address: Address, health: () => Health): Promise<OpenServer> {
  return listen('--health', address, (path, _query, request, response) => {
    if (path !== '/healthz') return notFound(response)
    if (isRead(request, response)) sendHealth(response, health())
  })
}

/** @throws MirrorError ERR_LISTEN */
export async function openAdminServer(
  address: Address,
  sources: AdminSources,
  accessOptions: AdminAccessOptions = { token: null, hosts: [] },
): Promise<OpenServer> {
  const access = new AdminAccess(accessOptions)
  return listen('--admin', address, async (path, query, request, response) => {
    const denial = access.check(request, path)
    if (denial !== null) {
      if (denial.status === 401) response.setHeader('www-authenticate', 'Bearer realm="mirrorshard"')
      return send(response, denial.status, 'text/plain', denial.text)
    }
    if (path === '/debug/fault' && sources.injectFault !== null) {
      if (request.method !== 'POST') return send(response, 405, 'text/plain', 'POST only\n')
      const thread = (['main', 'receiver'] as const).find((name) => query.has(name)) ?? 'shard'
      const text = (name: string) => query.get(name) ?? ''
      const done = sources.injectFault(thread, text(thread), text('kind'), text('us'))
      if (done === null)
        return send(
          response,
          400,
          'text/plain',
          'expected shard=N or receiver=N and kind=throw|exit|oom|spin, shard=N and kind=slow&us=0 to 10000, ' +
            'or main and kind=throw|reject|exit|oom\n',
        )
      return send(response, 200, 'text/plain', `${done}\n`)
    }
    if (!isRead(request, response)) return
    switch (path) {
      case '/metrics': {
        const { contentType, text } = await sources.metrics.read()
        return send(response, 200, contentType, text)
      }
      case '/healthz':
        return sendHealth(response, sources.health())
      case '/summary':
        return send(response, 200, 'application/json', `${JSON.stringify(sources.summary(), null, 2)}\n`)
      case '/diagnose':
        return send(response, 200, 'application/json', `${JSON.stringify(sources.diagnosis(), null, 2)}\n`)
      case '/':
        return send(
          response,
          200,
          'text/plain',
          'mirrorshard\n\n/metrics   Prometheus\n/summary   live counts as JSON\n/diagnose  what is wrong, and what to do\n/healthz   health\n',
        )
      default:
        return notFound(response)
    }
  })
}

function listen(option: string, address: Address, route: Route): Promise<OpenServer> {
  const answering = new WeakSet<Socket>()
  const server = createServer(
    {
      maxHeaderSize: MAX_REQUEST_HEAD_BYTES,
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_MS,
    },
    (request, response) => {
      const { headers, socket } = request
      // Hundreds of requests fit into one read, and would all be answered before the next packet is received.
      if (answering.has(socket)) {
        if (!socket.writableEnded) socket.destroySoon()
        return
      }
      answering.add(socket)
      response.once('close', () => answering.delete(socket))
      // Nothing here takes a body, and nobody waits for the end of one.
      if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
        response.setHeader('connection', 'close')
      // By hand: URL throws on targets that only look like one, such as `//`.
      const target = request.url ?? '/'
      const queryAt = target.indexOf('?')
      const path = queryAt < 0 ? target : target.slice(0, queryAt)
      const query = new URLSearchParams(queryAt < 0 ? '' : target.slice(queryAt))
      Promise.resolve(route(path, query, request, response)).catch(() => {
        if (!response.headersSent) send(response, 500, 'text/plain', 'internal error\n')
      })
    },
  )
  boundConnections(server)
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      const where = `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
      reject(
        new MirrorError('ERR_LISTEN', `${option} ${where}: cannot listen: ${describeSystemError(error)}`, {
          cause: error,
        }),
      )
    }
    // Stays: a failing accept (out of descriptors) fails one client, not the service.
    server.on('error', onError)
    const { fd, host, port } = address
    server.listen(fd === undefined ? { host, port } : { fd }, () => {
      const bound = server.address() as AddressInfo
      resolve({ address: { host: bound.address, port: bound.port }, close: () => close(server) })
    })
  })
}

/** Ends the connection that was silent longest when there is one too many. */
function boundConnections(server: Server): void {
  // A Set keeps the order of insertion: whatever makes a request moves to the end.
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    if (open.size >= MAX_SERVER_CONNECTIONS) {
      const [longest] = open
      open.delete(longest!)
      longest!.destroy()
    }
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.on('request', ({ socket }) => {
    if (open.delete(socket)) open.add(socket)
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function isRead(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === 'GET' || request.method === 'HEAD') return true
  response.setHeader('allow', 'GET, HEAD')
  send(response, 405, 'text/plain', 'GET only\n')
  return false
}

function sendHealth(response: ServerResponse, health: Health): void {
  send(response, health.isHealthy ? 200 : 503, 'text/plain', `${health.reason}\n`)
}

function notFound(response: ServerResponse): void {
  send(response, 404, 'text/plain', 'not found\n')
}

/** No page, script or frame may make anything of an answer, and no other site may read it (there is no CORS). */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, ...SECURITY_HEADERS })
  response.end(text)
}
