import { describe, expect, test } from 'vitest'
import { kernelNetworkOf, readKernelNetwork } from '../../../src/sources/live/kernel-network.ts'

const SNMP = `Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests ReasmReqds ReasmOKs
Ip: 2 64 1000 1 2 30 4 5 800 700 40 10
Icmp: InMsgs InErrors
Icmp: 1 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors
Udp: 500 60 9 0 0 0 9
`
const NETSTAT = `TcpExt: SyncookiesSent IPReversePathFilter TCPRcvCoalesce
TcpExt: 0 70 -1
IpExt: InNoRoutes InTruncatedPkts InMcastPkts
IpExt: 3 0 8
`
const SNMP6 = `Ip6InReceives                   	67
Ip6InUnknownProtos              	7
Ip6InDelivers                   	50
Udp6NoPorts                     	6
`
const DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 167039 2125 0 0 0 0 0 0 167039 2125 0 0 0 0 0 0
  eth0: 899517 254 0 0 0 0 0 0 2176 182 0 0 0 0 0 0
  eth1:899517 10 0 0 0 0 0 0 2176 182 0 0 0 0 0 0
`

describe('what the kernel counted', () => {
  test('is read by its names, both versions of IP added up', () => {
    expect(kernelNetworkOf(SNMP, NETSTAT, SNMP6, DEV)).toEqual({
      devicePackets: 264,
      ipReceived: 1067,
      // 1000 - 800 - 30 forwarded - 30 fragments - 1 - 2 - 4 - 5 - 3 - 70 - 8 multicast; and 67 - 50 - 7.
      ipUndelivered: 47 + 10,
      ipWrongAddress: 2,
      ipUnknownProtocol: 11,
      reversePathFiltered: 70,
      udpNoPort: 66,
      udpChecksum: 9,
    })
  })

  test('is nothing where tables are missing, and never less', () => {
    const values = Object.values(kernelNetworkOf('', '', '', ''))
    expect(values.every((value) => value === 0)).toBe(true)
    expect(kernelNetworkOf('Ip: InReceives InDelivers\nIp: 5 9\n', '', '', '').ipUndelivered).toBe(0)
  })

  test.runIf(process.platform === 'linux')('is read here, in whole numbers', () => {
    const values = Object.values(readKernelNetwork()!)
    expect(values.length).toBeGreaterThan(5)
    expect(values.every((value) => Number.isInteger(value) && value >= 0)).toBe(true)
  })
})
