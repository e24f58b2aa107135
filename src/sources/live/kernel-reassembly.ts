/**
 * Fragmented IP datagrams that the kernel could not put together, as /proc/self/net/snmp and snmp6 count them (proc(5), RFC 4293
 * ipReasmFails): for a socket the kernel reassembles, and what it gives up reaches no socket. Counted for the whole network namespace.
 */
import { readFileSync } from 'node:fs'

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
  try {
    const ipv4 = parseIpv4Failures(readFileSync(IPV4_TABLE, 'latin1'))
    return ipv4 === null ? null : ipv4 + readIpv6()
  } catch {
    return null
  }
}

function readIpv6(): number {
  try {
    return parseIpv6Failures(readFileSync(IPV6_TABLE, 'latin1'))
  } catch {
    // No IPv6 here.
    return 0
  }
}

/** Names stand in one line, values in the next. @returns null where there is no such column */
export function parseIpv4Failures(text: string): number | null {
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith('Ip: '))
    .map((line) => line.split(' '))
  const value = values?.[names?.indexOf('ReasmFails') ?? -1]
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : null
}

export function parseIpv6Failures(text: string): number {
  return Number(/^Ip6ReasmFails\s+(\d+)$/m.exec(text)?.[1] ?? 0)
}
