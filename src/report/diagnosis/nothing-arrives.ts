/** No packet reaches us: what the kernel saw of it, nearest to us first. */
import { plural } from '../../base/plural.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { KernelNetwork } from '../../sources/live/kernel-network.ts'
import { type Finding, type FindingCode, finding, type Setup, SILENCE_MS, type Situation, seconds } from './finding.ts'

/** Fewer of what the kernel saw may be anybody's: name look-ups, discovery. */
const LEAST_EVIDENCE = 3

export function nothingArrives(situation: Situation): Finding[] {
  const { since, now, setup } = situation
  const silentMs = situation.silence.packetMs
  if (since.packets.received > 0) return []
  if (now.packets.received > 0 && silentMs < SILENCE_MS) return []
  const kernelDropped = since.packets.kernelDropped
  if (kernelDropped > 0) {
    return [
      finding(
        'kernelBuffer',
        'wrong',
        `the kernel dropped all ${plural(kernelDropped, 'datagram')} of the last ${seconds(since.ms)}, because the receive buffer was full`,
        'raise --receive-buffer-bytes and net.core.rmem_max, and see whether the process gets any CPU (docs/operations.md, Kernel buffers)',
        { kernelDropped, seconds: since.ms / 1000 },
      ),
    ]
  }
  if (now.packets.received > 0) {
    return [
      explained(
        situation,
        'packetsStopped',
        `no packet for ${seconds(silentMs)}, after ${plural(now.packets.received, 'packet')}`,
        'see whether the mirror session still exists, whether its source still runs, and what changed in routes and security groups',
      ),
    ]
  }
  if (setup.interface !== null) {
    const { name, filter } = setup.interface
    return [
      finding(
        'interfaceSilent',
        'wrong',
        `no packet on --interface ${name} for ${seconds(silentMs)}${filter === '' ? '' : `, with --filter ${filter}`}`,
        `see with tcpdump -ni ${name} whether anything comes${filter === '' ? '' : ', with the filter and without it'}`,
        { interface: name, filter, seconds: silentMs / 1000 },
      ),
    ]
  }
  return [
    explained(
      situation,
      'noPackets',
      `no packet has arrived on ${where(setup)} for ${seconds(silentMs)}`,
      'see whether the mirror session or tc filter is active and its target is this host, and whether route, firewall and security group let UDP to the port pass (tcpdump -ni any udp shows what arrives)',
    ),
  ]
}

/** The same finding, or a nearer one where the kernel saw why. */
function explained({ since, setup, silence }: Situation, code: FindingCode, said: string, action: string): Finding {
  const { kernel } = since
  const details = { seconds: silence.packetMs / 1000, listen: setup.listen.map(address), kernel }
  if (setup.listen.length > 0 && setup.listen.every(({ host }) => isLoopback(host)))
    return finding(
      'loopbackOnly',
      'wrong',
      `${said}: the port is bound on loopback only, where no other machine reaches it`,
      `use --listen 0.0.0.0:${setup.listen[0]!.port}, or the address of an interface`,
      details,
    )
  const found = kernel === null ? null : evidence(kernel, setup)
  if (found === null) return finding(code, 'wrong', `${said}${seen(kernel)}`, action, details)
  return finding(found.code, 'wrong', `${said}, ${found.said}`, found.action, details)
}

function evidence(k: KernelNetwork, setup: Setup): { code: FindingCode; said: string; action: string } | null {
  const ports = [...new Set(setup.listen.map(({ port }) => port))].join(', ')
  if (k.udpNoPort >= LEAST_EVIDENCE)
    return {
      code: 'udpPortUnused',
      said: `while ${plural(k.udpNoPort, 'UDP datagram')} came to ports or addresses of this host that nobody listens on`,
      action: `set the mirror's destination port to ${ports} or --listen to the port it sends to (tcpdump -ni any udp shows it; 8472 is the default of Linux, 6081 is GENEVE)`,
    }
  if (k.reversePathFiltered >= LEAST_EVIDENCE)
    return {
      code: 'reversePathFilter',
      said: `while the reverse path filter refused ${plural(k.reversePathFiltered, 'packet')}: their sources are routed through another interface`,
      action:
        'sysctl -w net.ipv4.conf.all.rp_filter=2 and the same for the interface, or add a route back to the mirror sources',
    }
  if (k.ipUndelivered >= LEAST_EVIDENCE)
    return {
      code: 'filteredByHost',
      said: `while ${plural(k.ipUndelivered, 'IP packet')} reached this host and were delivered to nobody`,
      action: `let UDP to port ${ports} pass in this host's firewall (nft list ruleset, iptables -L -v -n)`,
    }
  if (k.ipUnknownProtocol >= LEAST_EVIDENCE)
    return {
      code: 'ipProtocolUnknown',
      said: `while ${plural(k.ipUnknownProtocol, 'IP packet')} came of a protocol that no socket takes, such as GRE or ERSPAN (47)`,
      action: 'use --interface IFACE for GRE and ERSPAN, or have the mirror send VXLAN',
    }
  if (k.udpChecksum >= LEAST_EVIDENCE)
    return {
      code: 'udpChecksum',
      said: `while ${plural(k.udpChecksum, 'UDP datagram')} came with a wrong checksum`,
      action: 'switch the checksum off at the sender (VXLAN allows 0, RFC 7348 section 5) or its checksum offload',
    }
  return null
}

function seen(kernel: KernelNetwork | null): string {
  if (kernel === null) return ''
  return kernel.devicePackets === 0
    ? ', and no packet of any kind reached this host'
    : `, and nothing this host's kernel counted (${plural(kernel.devicePackets, 'packet')} in all) was refused on its way`
}

function address({ format, ...at }: Setup['listen'][number]): string {
  return `${format} ${formatHostPort(at)}`
}

function where({ listen }: Setup): string {
  return listen.map(address).join(', ')
}

function isLoopback(host: string): boolean {
  return host === '::1' || /^(::ffff:)?127\./.test(host)
}
