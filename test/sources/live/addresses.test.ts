import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PeerAddress } from '../../../src/sources/datagram-receiver.ts'
import { formatListenAddress, resolveListenAddresses } from '../../../src/sources/live/listen-address.ts'
import { localAddressColumn, parseDrops } from '../../../src/sources/live/proc-net-udp.ts'
import { encodeSocketAddress, parsePeer, portOf, readPeer } from '../../../src/sources/live/socket-address.ts'

const bind = (family: 4 | 6, host: string, port = 0) => ({ family, host, port, ipv6Only: false })

describe('socket addresses', () => {
  test('are laid out as the kernel reads them', () => {
    expect(Buffer.from(encodeSocketAddress(bind(4, '127.0.0.1', 4789))).toString('hex')).toBe(
      '020012b57f0000010000000000000000',
    )
    expect(Buffer.from(encodeSocketAddress(bind(6, 'fe80::1%3', 4789))).toString('hex')).toBe(
      '0a0012b500000000fe80000000000000000000000000000103000000',
    )
  })

  test('read from a sockaddr are the same as parsed from their text, for every address', () => {
    const check = (family: 4 | 6) => (host: string, port: number) => {
      const name = new Uint8Array(32)
      name.set(encodeSocketAddress(bind(family, host, port)))
      const peer = new PeerAddress()
      peer.words.fill(-1) // leftovers of an earlier peer
      readPeer(name, 0, peer)
      expect(peer).toEqual(parsePeer(host))
      expect(portOf(name)).toBe(port)
    }
    const port = fc.integer({ min: 0, max: 65_535 })
    fc.assert(fc.property(fc.ipV4(), port, check(4)))
    fc.assert(fc.property(fc.ipV6(), port, check(6)))
  })

  test('that map IPv4 into IPv6 are IPv4', () => {
    expect(parsePeer('::ffff:10.1.2.3')).toEqual(parsePeer('10.1.2.3'))
    expect(parsePeer('::fffe:10.1.2.3').family).toBe(6)
  })
})

describe('listen addresses', () => {
  test('are written with brackets around IPv6', () => {
    expect(formatListenAddress({ host: '::', port: 1 })).toBe('[::]:1')
    expect(formatListenAddress({ host: '10.0.0.1', port: 1 })).toBe('10.0.0.1:1')
  })

  test('leave IPv4 to an IPv4 address at the same port, and to no other', async () => {
    const ipv6Only = async (...ports: number[]) =>
      (
        await resolveListenAddresses([
          { host: '::', port: ports[0]! },
          { host: '0.0.0.0', port: ports[1]! },
        ])
      )[0]!.ipv6Only
    expect(await ipv6Only(4789, 4789)).toBe(true)
    expect(await ipv6Only(4789, 6081)).toBe(false)
    expect(await ipv6Only(0, 0)).toBe(false)
  })
})

describe('the drop counts of /proc/net/udp', () => {
  test('are found by local address', () => {
    const table = [
      '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
      ' 6070: 0100007F:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 26845 2 00000000bcdcc9b9 17',
      ' 6071: 00000000000000000000000001000000:E5E3 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 26846 2 00000000bcdcc9b9 4',
      'a line that is none',
      '',
    ].join('\n')
    const drops = new Map<string, number>()
    parseDrops(table, drops)
    expect(drops.get(localAddressColumn({ host: '127.0.0.1', port: 4789 }))).toBe(17)
    expect(drops.get(localAddressColumn({ host: '::1', port: 0xe5e3 }))).toBe(4)
    expect(drops.size).toBe(2)
  })
})
