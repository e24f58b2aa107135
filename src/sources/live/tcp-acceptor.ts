/**
 * Accepts TCP connections on the listen ports and closes them at once: what load balancers check by default to see whether a
 * UDP target lives.
 */
import { createServer, type Server } from 'node:net'
import type { ListenAddress } from '../datagram-receiver.ts'
import { type BindAddress, listenError, resolveListenAddresses } from './listen-address.ts'
import { bindShared } from './shared-tcp.ts'

export interface TcpAcceptor {
  /** Bound addresses with real ports, in the order given. */
  readonly bound: readonly ListenAddress[]
  /** Idempotent. */
  stop(): Promise<void>
}

/** @param sharesPorts other processes may have the same ports (SO_REUSEPORT) @throws MirrorError ERR_LISTEN for an address that cannot be bound */
export async function openTcpAcceptor(addresses: readonly ListenAddress[], sharesPorts = false): Promise<TcpAcceptor> {
  const bindAddresses = await resolveListenAddresses(addresses)
  const servers: Server[] = []
  try {
    for (const address of bindAddresses) servers.push(await listen(address, sharesPorts))
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }
  let stopped: Promise<void> | undefined
  return {
    bound: bindAddresses.map(({ host }, i) => ({ host, port: portOf(servers[i]!) })),
    stop: () => {
      stopped ??= Promise.all(servers.map(close)).then(() => undefined)
      return stopped
    },
  }
}

async function listen(address: BindAddress, sharesPorts: boolean): Promise<Server> {
  const server = createServer((connection) => {
    // A peer that resets first is no error of ours.
    connection.on('error', () => {})
    connection.destroy()
  })
  const { host, port, ipv6Only } = address
  const where = sharesPorts ? { fd: await bindShared(address) } : { host, port, ipv6Only, exclusive: true }
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(where, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    throw listenError('TCP', address, error)
  }
  // A failing accept (out of descriptors) fails one check; the next may pass.
  server.on('error', () => {})
  return server
}

function portOf(server: Server): number {
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
