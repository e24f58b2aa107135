/**
 * A bound UDP socket of our own, made through libc. Node never sees the descriptor.
 *
 * SO_REUSEADDR stays off, and SO_REUSEPORT unless several of our own share an address or --reuse-port asks for it: with either, a second
 * process could bind the same port and take the traffic without anybody noticing (steered-sockets.ts says why it cannot there).
 */
import type { ListenAddress } from '../datagram-receiver.ts'
import { BpfAssembler, encodeBpf } from './bpf-assembler.ts'
import { type Libc, lastSystemError } from './libc.ts'
import { type BindAddress, listenError } from './listen-address.ts'
import { AF_INET, AF_INET6, encodeSocketAddress, portOf, SOCKADDR_IN6_LEN } from './socket-address.ts'

const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
export const SOL_SOCKET = 1
const SO_RCVBUF = 8
/** Like SO_RCVBUF without the limit net.core.rmem_max; wants CAP_NET_ADMIN. */
export const SO_RCVBUFFORCE = 33
/** Nine u32 of socket memory figures (Linux 4.12), the last the datagrams dropped: no control message per packet, no /proc. */
const SO_MEMINFO = 55
const MEMINFO_WORDS = 9
const MEMINFO_DROPS = 8
export const SO_REUSEPORT = 15
const SO_ATTACH_FILTER = 26
/** A time stamp of the arrival with each datagram, as a control message of the same number. */
export const SO_TIMESTAMPNS = 35
const SO_ATTACH_REUSEPORT_CBPF = 51
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

const TAKES_NOTHING = (() => {
  const p = new BpfAssembler()
  p.return(0)
  return p.build()
})()

export class UdpSocket {
  readonly fd: number
  readonly bound: ListenAddress
  /** As SO_RCVBUF reports it, which is twice what was asked: the kernel adds as much for its own bookkeeping. */
  readonly grantedBufferBytes: number
  private readonly libc: Libc
  private readonly memInfo = new Int32Array(MEMINFO_WORDS)
  private readonly memInfoLen = new Uint32Array(1)
  private dropped: number | null = 0
  private open = true

  /**
   * @param sharing bound with SO_REUSEPORT: others that are, too, may be bound to the same address
   * @param withTimes its datagrams carry their time of arrival
   * @throws MirrorError ERR_LISTEN
   */
  constructor(libc: Libc, address: BindAddress, receiveBufferBytes: number, sharing = false, withTimes = sharing) {
    this.libc = libc
    const domain = address.family === 4 ? AF_INET : AF_INET6
    this.fd = libc.socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if (this.fd < 0) throw listenError('UDP', address, lastSystemError(libc, 'socket'))
    try {
      if (address.family === 6) this.setOption(IPPROTO_IPV6, IPV6_V6ONLY, address.ipv6Only ? 1 : 0)
      if (sharing && !this.setOption(SOL_SOCKET, SO_REUSEPORT, 1)) throw lastSystemError(libc, 'setsockopt')
      if (withTimes && !this.setOption(SOL_SOCKET, SO_TIMESTAMPNS, 1)) throw lastSystemError(libc, 'setsockopt')
      // Before bind: no packet may meet the default buffer.
      if (!this.setOption(SOL_SOCKET, SO_RCVBUFFORCE, receiveBufferBytes))
        this.setOption(SOL_SOCKET, SO_RCVBUF, receiveBufferBytes)
      const name = encodeSocketAddress(address)
      if (libc.bind(this.fd, name, name.length) < 0) throw lastSystemError(libc, 'bind')
      this.bound = { host: address.host, port: this.boundPort() }
      this.grantedBufferBytes = this.receiveBufferBytes()
    } catch (error) {
      libc.close(this.fd)
      throw listenError('UDP', address, error)
    }
  }

  /**
   * The program chooses among the sockets that share this one's address, by their index in order of binding.
   * @param program as encodeBpf gives it @throws Error with the system's code
   */
  steer(program: Uint8Array): void {
    this.attach(SO_ATTACH_REUSEPORT_CBPF, program)
  }

  /**
   * No more datagrams are queued here: the kernel counts each that comes as dropped. What was queued before can still be read. So nothing
   * can come between the last read and the close that no count has.
   */
  refuse(): void {
    try {
      this.attach(SO_ATTACH_FILTER, encodeBpf(TAKES_NOTHING))
    } catch {
      // A socket that cannot be told continues queueing: as if it had not been asked.
    }
  }

  private attach(option: number, program: Uint8Array): void {
    // struct sock_fprog: length in instructions u16, address u64 at byte 8. The kernel copies the program.
    const description = new Uint8Array(16)
    const view = new DataView(description.buffer)
    view.setUint16(0, program.length / 8, true)
    view.setBigUint64(8, BigInt(this.libc.address(program)), true)
    if (this.libc.setsockopt(this.fd, SOL_SOCKET, option, description, description.length) < 0)
      throw lastSystemError(this.libc, `setsockopt ${option}`)
  }

  /** Datagrams the kernel dropped here since the socket was made; the last reading once closed. Null before Linux 4.12. */
  kernelDropped(): number | null {
    if (!this.open || this.dropped === null) return this.dropped
    this.memInfoLen[0] = this.memInfo.byteLength
    if (this.libc.getsockopt(this.fd, SOL_SOCKET, SO_MEMINFO, this.memInfo, this.memInfoLen) < 0) {
      this.dropped = null
      return null
    }
    // A 32-bit counter of the kernel: what it grew by since the last reading, modulo 2^32, goes on a wider one.
    this.dropped += (this.memInfo[MEMINFO_DROPS]! - this.dropped) >>> 0
    return this.dropped
  }

  /** Idempotent: the number may belong to somebody else by the second call. */
  close(): void {
    if (!this.open) return
    this.kernelDropped()
    this.open = false
    this.libc.close(this.fd)
  }

  private setOption(level: number, option: number, value: number): boolean {
    return this.libc.setsockopt(this.fd, level, option, new Int32Array([value]), 4) === 0
  }

  private receiveBufferBytes(): number {
    const value = new Int32Array(1)
    if (this.libc.getsockopt(this.fd, SOL_SOCKET, SO_RCVBUF, value, new Uint32Array([4])) < 0)
      throw lastSystemError(this.libc, 'getsockopt')
    return value[0]!
  }

  private boundPort(): number {
    const name = new Uint8Array(SOCKADDR_IN6_LEN)
    if (this.libc.getsockname(this.fd, name, new Uint32Array([name.length])) < 0)
      throw lastSystemError(this.libc, 'getsockname')
    return portOf(name)
  }
}
