/**
 * Fragmented IP datagrams that the kernel could not put together, as /proc/self/net/snmp and snmp6 count them (proc(5), RFC 4293
 * ipReasmFails): for a socket the kernel reassembles, and what it gives up reaches no socket. Counted for the whole network namespace.
 */
import { readKernelFile } from '../../base/kernel-file.ts'
import { parseSnmp, parseSnmp6 } from './proc-net-snmp.ts'

const IPV4_TABLE = '/proc/self/net/snmp'
const IPV6_TABLE = '/proc/self/net/snmp6'

export class KernelReassembly {
  private readonly atStart = read()

  /** Failures since this object was made; null where the kernel does not tell. Two small files: once a second, not per packet. */
  failed(): number | null {
    const now = read()
    return now === null || this.atStart === null ? null : Math.max(0, now - this.atStart)
  }
}

function read(): number | null {
  const ipv4 = parseIpv4Failures(readKernelFile(IPV4_TABLE) ?? '')
  // Without IPv6 there is no table of it.
  return ipv4 === null ? null : ipv4 + parseIpv6Failures(readKernelFile(IPV6_TABLE) ?? '')
}

/** @returns null where there is no such column */
export function parseIpv4Failures(text: string): number | null {
  return parseSnmp(text).get('Ip.ReasmFails') ?? null
}

export function parseIpv6Failures(text: string): number {
  return parseSnmp6(text).get('Ip6ReasmFails') ?? 0
}
