import { describe, expect, test } from 'vitest'
import { Rig } from './rig.ts'

const GET = 'GET / HTTP/1.1\r\n\r\n'

describe('packets of another network with the addresses and ports of an open connection', () => {
  test('are counted where they are of another connection', () => {
    const rig = new Rig()
    rig.handshake(1000, 5000, { network: 7 })
    rig.handshake(900_000_000, 1_800_000_000, { network: 8 })
    expect(rig.get('otherNetworkPackets')).toBeGreaterThan(0)
    const before = rig.get('otherNetworkPackets')
    rig.client({ network: 7, seq: 1001, ack: 5001, data: GET })
    expect(rig.get('otherNetworkPackets')).toBeGreaterThan(before)
    rig.closeAll()
  })

  test('are not where they are a second copy of it', () => {
    const rig = new Rig()
    for (const network of [7, 8]) rig.handshake(1000, 5000, { network })
    for (const network of [8, 7]) {
      rig.client({ network, seq: 1001, ack: 5001, data: GET })
      rig.server({ network, seq: 5001, ack: 1001 + GET.length, data: 'HTTP/1.1 204 No Content\r\n\r\n' })
    }
    expect(rig.get('otherNetworkPackets')).toBe(0)
    expect(rig.stream.bytes[0].join('')).toBe(GET)
    rig.closeAll()
  })

  test('are not where the connection before has ended', () => {
    const rig = new Rig()
    rig.handshake(1000, 5000, { network: 7 })
    rig.client({ network: 7, flags: 0x14, seq: 1001, ack: 5001 })
    rig.handshake(900_000_000, 1_800_000_000, { network: 8 })
    rig.client({ network: 8, seq: 900_000_001, ack: 1_800_000_001, data: GET })
    expect(rig.get('otherNetworkPackets')).toBe(0)
    rig.closeAll()
  })
})
