/** Listen addresses: from what people write to what a socket is bound to, and the error when it cannot be. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { describeSystemError, MirrorError } from '../../base/errors.ts'
import type { ListenAddress } from '../datagram-receiver.ts'

export interface BindAddress {
  readonly family: 4 | 6
  /** An IP address as text, an IPv6 one perhaps with a zone (`fe80::1%eth0`). */
  readonly host: string
  readonly port: number
  /** Whether an IPv6 wildcard socket must leave IPv4 alone. */
  readonly ipv6Only: boolean
}

/** `127.0.0.1:4789`, `[::1]:4789`. */
export function formatListenAddress(address: ListenAddress): string {
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** @throws MirrorError ERR_LISTEN when a host name does not resolve */
export async function resolveListenAddresses(addresses: readonly ListenAddress[]): Promise<BindAddress[]> {
  const resolved = await Promise.all(addresses.map(resolveOne))
  return resolved.map((address) => ({
    ...address,
    // `::` takes IPv4 as well, unless that port is listened on with an IPv4 address of its own: then the second bind would fail.
    ipv6Only:
      address.family === 6 &&
      address.port !== 0 &&
      resolved.some((other) => other.family === 4 && other.port === address.port),
  }))
}

async function resolveOne(address: ListenAddress): Promise<Omit<BindAddress, 'ipv6Only'>> {
  const { port } = address
  const family = isIP(address.host)
  if (family === 4 || family === 6) return { family, host: address.host, port }
  try {
    const found = await lookup(address.host)
    return { family: found.family === 6 ? 6 : 4, host: found.address, port }
  } catch (error) {
    throw new MirrorError(
      'ERR_LISTEN',
      `--listen ${formatListenAddress(address)}: ${address.host} is neither an IP address nor a name that resolves: ${describeSystemError(error)}`,
      { cause: error },
    )
  }
}

/** What a failed bind is told as. The one cause people meet daily, a port in use, names the way to find its owner. */
export function listenError(protocol: 'UDP' | 'TCP', address: ListenAddress, cause: unknown): MirrorError {
  const where = formatListenAddress(address)
  const inUse = (cause as { code?: unknown } | null)?.code === 'EADDRINUSE'
  const hint = inUse ? `; ss -lnp${protocol === 'UDP' ? 'u' : 't'} 'sport = :${address.port}' shows by whom` : ''
  return new MirrorError(
    'ERR_LISTEN',
    `--listen ${where}: cannot bind ${protocol} ${where}: ${describeSystemError(cause)}${hint}`,
    { cause },
  )
}
