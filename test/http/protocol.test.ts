import { expect, test } from 'vitest'
import { Probe } from '../../src/http/first-line.ts'
import { HTTP1 } from '../../src/http/http1.ts'
import { isSocksHandshake, isTlsRecord, UNREAD_PROTOCOLS } from '../../src/http/protocol.ts'
import { ProtocolCounts } from '../../src/http/protocol-counts.ts'
import { ProtocolRegistry } from '../../src/http/protocol-registry.ts'
import { bytesOf } from './support/parsing.ts'

/** Not at offset 0, so that a reader that forgets where it stands must fail. */
const name = (text: string) =>
  new ProtocolRegistry([HTTP1, ...UNREAD_PROTOCOLS]).recognise(bytesOf(`ab${text}`), 2, 2 + text.length)

test('first bytes are named', () => {
  expect(name('\x16\x03\x01\x02\x00\x01')).toBe('tls')
  expect(name('\x17\x03\x03')).toBe('tls')
  expect(name('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('http2')
  expect(name('\x00\x00\x12\x04\x00\x00\x00\x00\x00')).toBe('http2')
  expect(name('SSH-2.0-x')).toBe('ssh')
  for (const other of ['', 'S', '220 mail\r\n', '\x00\x00\x12\x04\x00\x00\x00\x00\x01', '\x16\x04\x01\x00\x01'])
    expect(name(other)).toBe('unknown')
})

test.each([
  ['http1', 'GET /a HTTP/1.1\r\n'],
  ['http1', 'HTTP/1.1 200 '],
  ['tls', '\x16\x03\x01'],
  ['http2', 'PRI * HTTP/2.0\r\n'],
  ['ssh', 'SSH-'],
])('first bytes say what a connection speaks, or wait for more: %s', (protocol, text) => {
  const entries = [HTTP1, ...UNREAD_PROTOCOLS]
  const asked = (length: number) => entries.map(({ probe }) => probe(bytesOf(`ab${text}`), 2, 2 + length))
  const own = entries.findIndex((entry) => entry.name === protocol)
  for (let length = 1; length < text.length; length++) expect(asked(length)[own]).toBe(Probe.more)
  expect(asked(text.length).filter((seen) => seen === Probe.yes)).toEqual([Probe.yes])
  expect(asked(text.length)[own]).toBe(Probe.yes)
})

test('a TLS record is not longer than RFC 8446 allows', () => {
  expect(isTlsRecord(bytesOf('\x17\x03\x03\x48\x00'), 0, 5)).toBe(true)
  expect(isTlsRecord(bytesOf('\x17\x03\x03\x48\x01'), 0, 5)).toBe(false)
  expect(isTlsRecord(bytesOf('\x19\x03\x03\x00\x01'), 0, 5)).toBe(false)
})

test('SOCKS handshakes', () => {
  expect(isSocksHandshake(bytesOf('\x05\x01\x00'), 0, 3)).toBe(true)
  expect(isSocksHandshake(bytesOf('\x05\x02\x00'), 0, 3)).toBe(false)
  expect(isSocksHandshake(bytesOf('\x04\x01\x00\x50\x0a\x00\x00\x01\x00'), 0, 9)).toBe(true)
  expect(isSocksHandshake(bytesOf('\x05'), 0, 1)).toBe(false)
})

test('connections are counted by protocol and port, and the counts do not grow with the number of ports', () => {
  const counts = new ProtocolCounts()
  for (let port = 1; port <= 1000; port++) counts.add('tls', port)
  counts.add('tls', 1)
  counts.add('ssh', 22)
  const entries = new Map(counts.entries())
  expect(entries.get('tls:1')).toBe(2)
  expect(entries.get('ssh:22')).toBe(1)
  expect(entries.get('tls:0')).toBe(1000 - 64)
  expect(entries.size).toBe(66)
})

test('the counts of many workers, one after the other, do not grow with their number', () => {
  const sum = new ProtocolCounts()
  for (let worker = 0; worker < 50; worker++) {
    const counts = new ProtocolCounts()
    for (let port = 1; port <= 20; port++) counts.add('tls', 100 * worker + port)
    counts.add('ssh', 22)
    sum.addEntries(counts.entries())
  }
  const entries = new Map(sum.entries())
  expect(entries.get('ssh:22')).toBe(50)
  expect(entries.get('tls:120')).toBe(1)
  expect(entries.get('tls:0')).toBe(50 * 20 - 64)
  expect(entries.size).toBe(66)
})
