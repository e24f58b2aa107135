import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { KernelReassembly, parseIpv4Failures, parseIpv6Failures } from '../../../src/sources/live/kernel-reassembly.ts'

const SNMP = `Ip: Forwarding DefaultTTL InReceives ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs
Ip: 2 64 90 5 400 30 17 0
Icmp: InMsgs ReasmFails
Icmp: 3 99
`

describe('the kernel’s failures of reassembly', () => {
  test('are found by the name of their column, in the lines of IP alone', () => {
    expect(parseIpv4Failures(SNMP)).toBe(17)
  })

  test('are not known where the column is missing, or the table is something else', () => {
    expect(parseIpv4Failures('Ip: Forwarding\nIp: 2\n')).toBe(null)
    expect(parseIpv4Failures('')).toBe(null)
    expect(parseIpv4Failures('Ip: ReasmFails\n')).toBe(null)
  })

  test('of IPv6 stand in a table of their own', () => {
    expect(parseIpv6Failures('Ip6ReasmOKs                     \t4\nIp6ReasmFails                   \t12\n')).toBe(12)
    expect(parseIpv6Failures('')).toBe(0)
  })

  test('count from the start', () => {
    const failed = new KernelReassembly().failed()
    if (existsSync('/proc/self/net/snmp')) expect(failed).toBeGreaterThanOrEqual(0)
    else expect(failed).toBe(null)
  })
})
