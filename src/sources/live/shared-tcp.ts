/**
 * A listening TCP socket with SO_REUSEPORT, for a new process that binds the same port before we have left it. Node 20 cannot make one:
 * it is made through libc and handed over by its descriptor, which belongs to the server from then on.
 */
import type { ListenAddress } from '../datagram-receiver.ts'
import { lastSystemError, loadLibc } from './libc.ts'
import { type BindAddress, listenError, resolveListenAddresses } from './listen-address.ts'
import { AF_INET, AF_INET6, encodeSocketAddress } from './socket-address.ts'
import { SO_REUSEPORT, SOL_SOCKET } from './udp-socket.ts'

const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
/** As Node's own servers: what earlier connections left in TIME_WAIT does not keep the port. */
const SO_REUSEADDR = 2
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
/** Node's default. */
const BACKLOG = 511

/** @returns the descriptor @throws MirrorError ERR_LISTEN, ERR_RECEIVER where koffi does not load */
export async function openSharedTcp(listen: ListenAddress): Promise<number> {
  const [address] = await resolveListenAddresses([listen])
  return await bindShared(address!)
}

export async function bindShared(address: BindAddress): Promise<number> {
  const libc = await loadLibc()
  const domain = address.family === 4 ? AF_INET : AF_INET6
  const fd = libc.socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw listenError('TCP', address, lastSystemError(libc, 'socket'))
  const set = (level: number, option: number, value: number): void => {
    if (libc.setsockopt(fd, level, option, new Int32Array([value]), 4) < 0) throw lastSystemError(libc, 'setsockopt')
  }
  try {
    if (address.family === 6) set(IPPROTO_IPV6, IPV6_V6ONLY, address.ipv6Only ? 1 : 0)
    set(SOL_SOCKET, SO_REUSEADDR, 1)
    set(SOL_SOCKET, SO_REUSEPORT, 1)
    const name = encodeSocketAddress(address)
    if (libc.bind(fd, name, name.length) < 0) throw lastSystemError(libc, 'bind')
    if (libc.listen(fd, BACKLOG) < 0) throw lastSystemError(libc, 'listen')
    return fd
  } catch (error) {
    libc.close(fd)
    throw listenError('TCP', address, error)
  }
}
