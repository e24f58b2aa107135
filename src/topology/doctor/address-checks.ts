/** Addresses that `run` binds: whether it may have them, who has them, and what the interfaces below them let through. */
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describeSystemError } from '../../base/errors.ts'
import { readKernelFile } from '../../base/kernel-file.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { RunOptions } from '../../config/options.ts'
import { openReceiver } from '../../sources/live/open-receiver.ts'
import { findHolders, KERNEL_HOLDER } from '../../sources/live/port-holders.ts'
import { openTcpAcceptor } from '../../sources/live/tcp-acceptor.ts'
import type { ServiceOptions } from '../service.ts'
import { type Check, ok, warning, wrong } from './check.ts'

/** Outer IPv4, UDP and VXLAN headers, and the inner Ethernet header. */
const VXLAN_OVERHEAD = 50
/** The MTU that most production networks have. */
const USUAL_MTU = 1500
const IPV4_UDP_HEADERS = 28

/** @param isRunning a mirrorshard of ours lives: its ports are in use as they should be */
export async function listenChecks(options: ServiceOptions, isRunning: boolean): Promise<Check[]> {
  if (options.interface !== null) return []
  const checks: Check[] = []
  for (const { format, ...address } of options.listen) {
    const name = `${format} ${formatHostPort(address)}`
    checks.push(await tryListen(options, name, address, isRunning))
  }
  return checks
}

async function tryListen(
  options: ServiceOptions,
  name: string,
  address: { readonly host: string; readonly port: number },
  isRunning: boolean,
): Promise<Check> {
  const udp = findHolders('udp', address.port)
  const tcp = findHolders('tcp', address.port)
  if (isRunning && udp.length + tcp.length > 0) return ok(name, `in use by ${udp[0] ?? tcp[0]}: the service that runs`)
  try {
    const receiver = await openReceiver(
      options.receiver,
      { ...options, addresses: [address], sharesPorts: false },
      { datagram: () => {}, batchEnd: () => {} },
    )
    try {
      const acceptor = await openTcpAcceptor(receiver.bound)
      await acceptor.stop()
    } finally {
      await receiver.stop()
    }
    return ok(name, 'UDP and TCP are free and may be bound')
  } catch (error) {
    const code = (error as { cause?: { code?: string } }).cause?.code
    const holders = [...new Set([...udp, ...tcp])].join(', ')
    if (code === 'EADDRINUSE' && options.sharesPorts)
      return ok(name, `in use by ${holders || 'another process'}: --reuse-port shares it where that one has it too`)
    if (code === 'EADDRINUSE')
      return wrong(
        name,
        `in use by ${holders}`,
        udp.includes(KERNEL_HOLDER)
          ? 'ip link delete that device, or another port in --listen'
          : 'end that process, or another port in --listen',
      )
    if (code === 'EACCES')
      return wrong(
        name,
        (error as Error).message,
        'a port from 1024 on, or CAP_NET_BIND_SERVICE, or sysctl net.ipv4.ip_unprivileged_port_start',
      )
    if (code === 'EADDRNOTAVAIL')
      return wrong(
        name,
        (error as Error).message,
        `one of this host's addresses (${ownAddresses().join(', ')}), or 0.0.0.0`,
      )
    return wrong(name, (error as Error).message, 'mend what it says')
  }
}

export async function serverChecks({ admin, health }: RunOptions, isRunning: boolean): Promise<Check[]> {
  const checks: Check[] = []
  for (const [option, address] of [
    ['--admin', admin],
    ['--health', health],
  ] as const) {
    if (address === null) continue
    const name = `${option} ${formatHostPort(address)}`
    const failure = await tryTcp(address)
    if (failure === null) checks.push(ok(name, 'free'))
    else if (isRunning) checks.push(ok(name, 'in use by the service that runs'))
    else {
      const holders = findHolders('tcp', address.port)
      const by = failure.code === 'EADDRINUSE' && holders.length > 0 ? ` by ${holders.join(', ')}` : ''
      checks.push(
        wrong(name, `${describeSystemError(failure)}${by}`, `another address for ${option}, or ${option} off`),
      )
    }
  }
  return checks
}

function tryTcp({
  host,
  port,
}: {
  readonly host: string
  readonly port: number
}): Promise<NodeJS.ErrnoException | null> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', done)
    server.listen({ host, port }, () => server.close(() => done(null)))
  })
}

/** MTU of the interfaces that mirrored datagrams come in on. */
export function mtuChecks(options: ServiceOptions): Check[] {
  if (options.interface !== null) return []
  const hosts = new Set(options.listen.map(({ host }) => host))
  const takesAll = hosts.has('0.0.0.0') || hosts.has('::')
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) => {
    const isListening = addresses.some(({ address, internal }) => !internal && (takesAll || hosts.has(address)))
    const mtu = isListening ? mtuOf(name) : null
    return mtu === null ? [] : [mtuCheck(name, mtu, options.datagramBytes)]
  })
}

function mtuCheck(interfaceName: string, mtu: number, datagramBytes: number): Check {
  const name = `MTU of ${interfaceName}`
  const longest = mtu - IPV4_UDP_HEADERS
  if (mtu < USUAL_MTU + VXLAN_OVERHEAD)
    return warning(
      name,
      `${mtu}: a frame of ${USUAL_MTU} bytes is ${USUAL_MTU + VXLAN_OVERHEAD} in VXLAN, and arrives as fragments or truncated`,
      `an MTU of at least the source's and ${VXLAN_OVERHEAD} (AWS: 54), here and on the way, or a smaller one at the source`,
    )
  if (longest > datagramBytes)
    return warning(
      name,
      `${mtu}: datagrams of up to ${longest} bytes can arrive, and --datagram-bytes ${datagramBytes} truncates them`,
      `--datagram-bytes ${longest}`,
    )
  return ok(name, `${mtu}, room for frames of ${mtu - VXLAN_OVERHEAD} bytes in VXLAN`)
}

function mtuOf(name: string): number | null {
  const text = readKernelFile(`/sys/class/net/${name}/mtu`)
  return text === null ? null : Number(text)
}

/** Addresses of this host, without zones. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
}
