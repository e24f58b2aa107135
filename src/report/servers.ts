/** The two HTTP servers of a running service: health for load balancers, admin for operators (loopback only). */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describeSystemError, MirrorError } from '../base/errors.ts'
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
  /** Breaks a thread, for tests of supervision; null where faults are not enabled. Answers what it did, or null for bad arguments. */
  injectFault:
    | ((thread: 'shard' | 'receiver' | 'main', index: string, kind: string, us: string) => string | null)
    | null
}

export interface OpenServer {
  readonly address: Address
  close(): Promise<void>
}

type Route = (url: URL, request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** @throws MirrorError ERR_LISTEN */
export function openHealthServer(address: Address, health: () => Health): Promise<OpenServer> {
  return listen('--health', address, (url, request, response) => {
    if (url.pathname !== '/healthz') return notFound(response)
    if (isRead(request, response)) sendHealth(response, health())
  })
}

/** @throws MirrorError ERR_LISTEN */
export async function openAdminServer(address: Address, sources: AdminSources): Promise<OpenServer> {
  return listen('--admin', address, async (url, request, response) => {
    // A page elsewhere must not reach this address through a name it controls (DNS rebinding).
    if (!isLoopbackHost(request.headers.host))
      return send(response, 403, 'text/plain', 'the Host header must name a loopback address\n')
    if (url.pathname === '/debug/fault' && sources.injectFault !== null) {
      if (request.method !== 'POST') return send(response, 405, 'text/plain', 'POST only\n')
      const thread = (['main', 'receiver'] as const).find((name) => url.searchParams.has(name)) ?? 'shard'
      const text = (name: string) => url.searchParams.get(name) ?? ''
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
    switch (url.pathname) {
      case '/metrics': {
        const { contentType, text } = await sources.metrics.read()
        return send(response, 200, contentType, text)
      }
      case '/healthz':
        return sendHealth(response, sources.health())
      case '/summary':
        return send(response, 200, 'application/json', `${JSON.stringify(sources.summary(), null, 2)}\n`)
      case '/':
        return send(
          response,
          200,
          'text/plain',
          'mirrorshard\n\n/metrics  Prometheus\n/summary  live counts as JSON\n/healthz  health\n',
        )
      default:
        return notFound(response)
    }
  })
}

function listen(option: string, address: Address, route: Route): Promise<OpenServer> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    Promise.resolve(route(url, request, response)).catch(() => {
      if (!response.headersSent) send(response, 500, 'text/plain', 'internal error\n')
    })
  })
  server.requestTimeout = 10_000
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const where = `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
      reject(
        new MirrorError('ERR_LISTEN', `${option} ${where}: cannot listen: ${describeSystemError(error)}`, {
          cause: error,
        }),
      )
    })
    const { fd, host, port } = address
    server.listen(fd === undefined ? { host, port } : { fd }, () => {
      // A failing accept (out of descriptors) fails one request; the next may pass.
      server.on('error', () => {})
      const bound = server.address() as AddressInfo
      resolve({ address: { host: bound.address, port: bound.port }, close: () => close(server) })
    })
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

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  response.end(text)
}

function isLoopbackHost(host: string | undefined): boolean {
  if (host === undefined) return true
  const name = host.replace(/:\d+$/, '').toLowerCase()
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}
