/**
 * The origin of the replay: its name, TCP, TLS as replay does it, and whether it is ourselves. No request is sent: the origin gets none
 * that production did not get.
 */
import { lookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { describeSystemError } from '../../base/errors.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { RunOptions } from '../../config/options.ts'
import { OriginAddress, OriginFault } from '../../sinks/replay/origin-socket.ts'
import type { SinkConfig } from '../shard-config.ts'
import { ownAddresses } from './address-checks.ts'
import { type Check, ok, warning, wrong } from './check.ts'

/** An origin that wants another client certificate says so right after the handshake, in TLS 1.3 (RFC 8446 section 4.4.2.4). */
const REFUSAL_MS = 300
const DAY_MS = 24 * 3_600_000
const SOON_DAYS = 14
const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy']

type ReplayConfig = Extract<SinkConfig, { kind: 'replay' }>

export async function targetChecks(options: RunOptions, sinks: readonly SinkConfig[]): Promise<Check[]> {
  const checks: Check[] = []
  for (const sink of sinks) if (sink.kind === 'replay') checks.push(...(await checkOne(options, sink)))
  if (checks.length === 0) return [ok('target', 'none: without --to URL nothing is sent')]
  const proxies = PROXY_VARIABLES.filter((name) => (process.env[name] ?? '') !== '')
  if (proxies.length > 0)
    checks.push(ok('proxy', `${proxies.join(', ')} in the environment: not used, requests go to --to directly`))
  return checks
}

async function checkOne(options: RunOptions, { name, origin, options: replay }: ReplayConfig): Promise<Check[]> {
  const url = new URL(origin)
  const address = new OriginAddress({ origin: url, ...replay })
  const resolved = await resolve(address.hostname)
  if (typeof resolved === 'string')
    return [
      wrong(
        `target ${name}`,
        `${address.hostname} does not resolve: ${resolved}`,
        'correct --to, or the name service of this host',
      ),
    ]
  const checks = isIP(address.hostname) > 0 ? [] : [ok('target name', `${address.hostname} is ${resolved.join(', ')}`)]
  const own = loopDanger(options, resolved, address.port)
  if (own !== null) checks.push(own)
  checks.push(...(await connect(name, address, replay.connectTimeoutMs)))
  return checks
}

/** @returns addresses, or why there are none */
async function resolve(hostname: string): Promise<string[] | string> {
  if (isIP(hostname) > 0) return [hostname]
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address)
  } catch (error) {
    return describeSystemError(error)
  }
}

/** The replay must not come to ourselves, nor pass where it is mirrored again. */
function loopDanger(options: RunOptions, addresses: readonly string[], port: number): Check | null {
  const own = new Set(ownAddresses())
  const here = addresses.find((address) => own.has(address) || address.startsWith('127.'))
  if (here === undefined) return null
  const listen = options.interface === null ? options.listen : []
  const ours = [
    ...listen.map((address) => ['--listen', address] as const),
    ['--admin', options.admin] as const,
    ['--health', options.health] as const,
  ].find(([, address]) => address !== null && address.port === port)
  if (ours !== undefined)
    return wrong(
      'target itself',
      `${here}:${port} is ${ours[0]} ${formatHostPort(ours[1]!)} of mirrorshard itself`,
      'correct --to: it names the environment that gets the requests',
    )
  if (options.interface !== null)
    return warning(
      'target itself',
      `${here} is this host, and --interface ${options.interface} may see the replay`,
      `--filter "not port ${port}"; what comes back is recognised by its marker and dropped as loop`,
    )
  return null
}

async function connect(name: string, address: OriginAddress, timeoutMs: number): Promise<Check[]> {
  const label = `target ${name}`
  const started = performance.now()
  const socket = await open(address, timeoutMs)
  if (typeof socket === 'string')
    return [
      wrong(
        label,
        socket,
        address.isTls ? TLS_ADVICE : 'start the origin, correct --to, or open the way to it (firewall, security group)',
      ),
    ]
  const took = `${Math.round(performance.now() - started)} ms`
  try {
    if (!(socket instanceof TLSSocket)) return [ok(label, `TCP connects in ${took}; no request was sent`)]
    await sleep(REFUSAL_MS)
    if (socket.destroyed && address.wasRefused(socket))
      return [
        wrong(
          label,
          'closed the connection after it asked for a client certificate',
          '--tls-cert and --tls-key that the origin accepts',
        ),
      ]
    return [ok(label, `TCP and ${socket.getProtocol()} in ${took}; no request was sent`), ...expiry(socket)]
  } finally {
    socket.destroy()
  }
}

const TLS_ADVICE =
  '--tls-ca for a private authority, --tls-server-name for another name in the certificate, http:// if it speaks no TLS'

/** @returns a connected socket, or why there is none */
function open(address: OriginAddress, timeoutMs: number): Promise<Socket | string> {
  return new Promise((done) => {
    const connecting = address.connect((fault, socket) => {
      clearTimeout(timer)
      done(socket ?? describe(fault!))
    })
    const timer = setTimeout(
      () =>
        connecting.destroy(
          new OriginFault(0, new Error(`no connection within ${timeoutMs} ms (--connect-timeout-ms)`)),
        ),
      timeoutMs,
    )
  })
}

function describe({ cause, message }: OriginFault): string {
  return cause === undefined ? message : describeSystemError(cause)
}

function expiry(socket: TLSSocket): Check[] {
  const until = Date.parse(socket.getPeerCertificate().valid_to ?? '')
  if (Number.isNaN(until)) return []
  const days = Math.floor((until - Date.now()) / DAY_MS)
  const found = `valid for ${days} more days`
  return [
    days >= SOON_DAYS
      ? ok('certificate', found)
      : warning('certificate', found, 'renew it: after that every request has the outcome tls'),
  ]
}
