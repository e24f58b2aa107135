import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { addressText, CapturedConnection, endpointText } from '../../src/exchange/captured-connection.ts'
import { FlowTable } from '../../src/flow/flow-table.ts'

const wordsOf = (groups: readonly number[]) => Int32Array.from([0, 2, 4, 6], (i) => (groups[i]! << 16) | groups[i + 1]!)
const v6 = (...groups: number[]) => addressText(wordsOf(groups), 6)

test('IPv6 addresses are written as RFC 5952 says', () => {
  expect(v6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)).toBe('2001:db8::1')
  expect(v6(0, 0, 0, 0, 0, 0, 0, 0)).toBe('::')
  expect(v6(0, 0, 0, 0, 0, 0, 0, 1)).toBe('::1')
  expect(v6(0xfe80, 0, 0, 0, 0, 0, 0, 0)).toBe('fe80::')
  // One group of zeros is not shortened (section 4.2.2).
  expect(v6(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1)).toBe('2001:db8:0:1:1:1:1:1')
  // The longest run is, and the first of equals (section 4.2.3).
  expect(v6(0x2001, 0, 0, 1, 0, 0, 0, 1)).toBe('2001:0:0:1::1')
  expect(v6(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1)).toBe('2001:db8::1:0:0:1')
  expect(v6(0xffff, 0xabcd, 0x0a0b, 1, 2, 3, 4, 0xffff)).toBe('ffff:abcd:a0b:1:2:3:4:ffff')
})

test('the platform reads back every address, and writes it the same way', () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const text = v6(...groups)
      expect(isIPv6(text)).toBe(true)
      expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
    }),
  )
})

test('IPv4 addresses are dotted, the upper half too', () => {
  expect(addressText([0x0a000001], 4)).toBe('10.0.0.1')
  expect(addressText([0xfffffffe | 0], 4)).toBe('255.255.255.254')
})

test('an endpoint is address:port, IPv6 in brackets', () => {
  expect(endpointText('10.0.0.1', 80)).toBe('10.0.0.1:80')
  expect(endpointText('2001:db8::1', 443)).toBe('[2001:db8::1]:443')
})

/** A flow table with one flow, from 10.0.0.1:40000 to 192.168.0.2:80. */
function tableWithFlow(vni: number): { table: FlowTable; slot: number } {
  const view = new PacketView()
  view.bytes = Buffer.alloc(40)
  view.bytes.set([10, 0, 0, 1, 192, 168, 0, 2], 12)
  view.bytes.writeUInt16BE(40_000, 20)
  view.bytes.writeUInt16BE(80, 22)
  view.tcpAt = 20
  view.vni = vni
  view.hash = 5
  const table = new FlowTable(10, false)
  return { table, slot: table.insert(view) }
}

test('a connection keeps who talks after its slot in the flow table went to another', () => {
  const { table, slot } = tableWithFlow(7)
  const connection = CapturedConnection.ofFlow(table, slot, 0)
  const other = CapturedConnection.ofFlow(table, slot, 1)
  table.addresses.fill(0)
  table.ports.fill(0)
  const seen = (c: CapturedConnection) => [c.clientAddress, c.clientPort, c.serverAddress, c.serverPort, c.vni]
  expect(seen(connection)).toEqual(['10.0.0.1', 40_000, '192.168.0.2', 80, 7])
  expect(seen(other)).toEqual(['192.168.0.2', 80, '10.0.0.1', 40_000, 7])
})

test('no tunnel, no VNI; VNI 0 is one', () => {
  const vniOf = (vni: number) => {
    const { table, slot } = tableWithFlow(vni)
    return CapturedConnection.ofFlow(table, slot, 0).vni
  }
  expect([vniOf(-1), vniOf(0), vniOf(0xffffff)]).toEqual([null, 0, 0xffffff])
})

test('hashes are equal in every process, unsigned, and differ by port only where they should', () => {
  const { table, slot } = tableWithFlow(-1)
  const connection = CapturedConnection.ofFlow(table, slot, 0)
  expect([connection.clientHash, connection.flowHash]).toEqual([CLIENT_HASH, FLOW_HASH])
  table.ports[slot] = (40_001 << 16) | 80
  const next = CapturedConnection.ofFlow(table, slot, 0)
  expect(next.clientHash).toBe(connection.clientHash)
  expect(next.flowHash).not.toBe(connection.flowHash)
})

/** Written down once: a change would move every sampled client. */
const CLIENT_HASH = 3_491_144_512
const FLOW_HASH = 4_237_114_203
