/**
 * The wire: a TUN device of Linux in this process's network namespace. What is written to it the kernel receives as a packet from the
 * network, and has worked on when the call returns; what the kernel sends is read from it. Nobody else speaks on the near side, so no
 * second TCP answers what the hand-written one sends.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync, writeFileSync, writeSync } from 'node:fs'

const NAME = 'mirror-test'
/** linux/if_tun.h: the request, and a device that carries IP packets without a header of its own in front. */
const TUNSETIFF = 0x400454ca
const IFF_TUN_NO_PI = 0x1001
const IFREQ_BYTES = 40
const IFREQ_FLAGS = 16
const MOST_BYTES = 65_536

/** Clients are 10.0.0.0/9; every address of 10.128.0.0/9 is the kernel's own. */
const NEAR_ADDRESS = '10.127.255.254/9'
const SERVER_NETWORK = '10.128.0.0/9'

const SYSCTLS: Readonly<Record<string, string>> = {
  // Every challenge ACK is sent: what the kernel thought of a segment shows at once.
  tcp_challenge_ack_limit: '2147483647',
  tcp_invalid_ratelimit: '0',
  // Client and server, listeners without a call of their own; a cookie is asked for.
  tcp_fastopen: '1027',
  tcp_max_syn_backlog: '4096',
}

export class Tun {
  private readonly fd: number
  private readonly buffer = Buffer.alloc(MOST_BYTES)

  private constructor(fd: number) {
    this.fd = fd
  }

  /**
   * Makes the device, its addresses and the kernel's settings in the network namespace of this process, which must be a fresh one.
   * @throws Error when the system refuses: no root, no /dev/net/tun, no iproute2
   */
  static async open(): Promise<Tun> {
    const ioctl = await loadIoctl()
    const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK)
    const request = Buffer.alloc(IFREQ_BYTES)
    request.write(NAME, 'latin1')
    request.writeUInt16LE(IFF_TUN_NO_PI, IFREQ_FLAGS)
    if (ioctl(fd, TUNSETIFF, request) < 0) throw new Error('the system refuses a TUN device (ioctl TUNSETIFF)')
    for (const line of [
      'link set lo up',
      `link set ${NAME} up mtu 1500 txqueuelen 10000`,
      `address add ${NEAR_ADDRESS} dev ${NAME}`,
      `route add local ${SERVER_NETWORK} dev lo`,
    ])
      execFileSync('ip', line.split(' '))
    for (const [name, value] of Object.entries(SYSCTLS)) writeFileSync(`/proc/sys/net/ipv4/${name}`, value)
    return new Tun(fd)
  }

  /** The kernel has worked on it when this returns; what the application reads of it comes with the event loop. */
  write(packet: Buffer): void {
    writeSync(this.fd, packet)
  }

  /** The next packet that the kernel sent, a copy; null when there is none. */
  read(): Buffer | null {
    try {
      const length = readSync(this.fd, this.buffer)
      return Buffer.from(this.buffer.subarray(0, length))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null
      throw error
    }
  }

  close(): void {
    closeSync(this.fd)
  }
}

type Ioctl = (fd: number, request: number, argument: Uint8Array) => number

/** Its own types are not imported: the build must pass where the package was not installed. */
async function loadIoctl(): Promise<Ioctl> {
  const name: string = 'koffi'
  const imported = (await import(name)) as { default: { load(path: null): { func(...f: unknown[]): unknown } } }
  return imported.default.load(null).func('ioctl', 'int', ['int', 'ulong', 'void *']) as Ioctl
}
