/** The PROXY protocol, versions 1 and 2, in front of a connection. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ProxiedEnds, ProxyHeader, ProxyHeaderReader } from '../../src/http/proxy-header.ts'
import { answer, CLIENT, ConnectionRig, get } from './support/connection-rig.ts'
import { cuts } from './support/messages.ts'
import { bytesOf, cutAt } from './support/parsing.ts'

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'
const V4 = '\xcb\x00\x71\x07\x0a\x00\x00\x01\xdc\x04\x00\x50'
const V6 = `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x07\xfe\x80${'\0'.repeat(13)}\x01\xdc\x04\x01\xbb`
const version2 = (command: number, family: number, content: string, length = content.length) =>
  `${SIGNATURE}${String.fromCharCode(0x20 | command, family, length >> 8, length & 255)}${content}`
const FOUR: ProxiedEnds = {
  client: { address: '203.0.113.7', port: 56_324 },
  server: { address: '10.0.0.1', port: 80 },
}
const SIX: ProxiedEnds = {
  client: { address: '2001:db8::7', port: 56_324 },
  server: { address: 'fe80::1', port: 443 },
}

const HEADERS: readonly (readonly [string, string, ProxiedEnds | null])[] = [
  ['version 1, IPv4', 'PROXY TCP4 203.0.113.7 10.0.0.1 56324 80\r\n', FOUR],
  ['version 1, IPv6', 'PROXY TCP6 2001:DB8:0::7 fe80::1 56324 443\r\n', SIX],
  ['version 1, IPv4 in IPv6', 'PROXY TCP6 ::ffff:203.0.113.7 ::ffff:a00:1 56324 80\r\n', FOUR],
  ['version 1, unknown', 'PROXY UNKNOWN\r\n', null],
  ['version 1, unknown with addresses', `PROXY UNKNOWN ffff::1 ${'f'.repeat(60)} 65535 65535\r\n`, null],
  ['version 2, IPv4', version2(1, 0x11, V4), FOUR],
  ['version 2, IPv6', version2(1, 0x21, V6), SIX],
  ['version 2, datagrams', version2(1, 0x12, V4), FOUR],
  ['version 2 with TLVs', version2(1, 0x11, `${V4}\x03\x00\x04abcd\x04\x00\x00`), FOUR],
  ['version 2 with long TLVs', version2(1, 0x21, `${V6}\x04\x80\x00${'x'.repeat(0x8000)}`), SIX],
  ['version 2, local', version2(0, 0x00, ''), null],
  ['version 2, local with addresses', version2(0, 0x11, V4), null],
  ['version 2, local with less than its family has', version2(0, 0x21, 'abc'), null],
  ['version 2, unspecified', version2(1, 0x00, 'abc'), null],
  ['version 2, Unix sockets', version2(1, 0x31, `/a${'\0'.repeat(214)}`), null],
]

const MALFORMED: readonly (readonly [string, string])[] = [
  ['an address of the other family', 'PROXY TCP4 ::1 ::2 1 2\r\n'],
  ['no address', 'PROXY TCP4 a b 1 2\r\n'],
  ['a port too large', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n'],
  ['a port with a sign', 'PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n'],
  ['words missing', 'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n'],
  ['a word too many', 'PROXY TCP6 ::1 ::2 1 2 3\r\n'],
  ['two blanks', 'PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n'],
  ['a line beyond 107 bytes', `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`],
  ['a version 2 of another version', `${SIGNATURE}\x11\x11\0\x0c${V4}`],
  ['an unknown command', version2(2, 0x11, V4)],
  ['an unknown family', version2(1, 0x41, V4)],
  ['an unknown transport', version2(1, 0x13, V4)],
  ['addresses that are too short', version2(1, 0x11, V4.slice(1))],
]

/** What the reader makes of pieces: how it ended, what it said, and the bytes behind it. */
function read(pieces: readonly Buffer[]) {
  const reader = new ProxyHeaderReader()
  for (const [i, piece] of pieces.entries()) {
    const result = reader.take(piece, 0, piece.length)
    if (result === ProxyHeader.more) {
      expect(reader.next).toBe(piece.length)
      continue
    }
    const rest = Buffer.concat([piece.subarray(reader.next), ...pieces.slice(i + 1)]).toString('latin1')
    const before = result === ProxyHeader.absent ? reader.kept.toString('latin1') : ''
    return { result, ends: reader.ends, rest: result === ProxyHeader.malformed ? '' : before + rest }
  }
  return { result: ProxyHeader.more, ends: null, rest: '' }
}

test.each(HEADERS)('%s', (_name, header, ends) => {
  const rest = get('/1')
  expect(read([bytesOf(header + rest)])).toEqual({ result: ProxyHeader.done, ends, rest })
  fc.assert(
    fc.property(cuts, (places) => {
      expect(read(cutAt(bytesOf(header + rest), places))).toEqual({ result: ProxyHeader.done, ends, rest })
    }),
    { numRuns: 30 },
  )
})

test.each(MALFORMED)('malformed: %s', (_name, header) => {
  expect(read([bytesOf(`${header}${get('/1')}`)]).result).toBe(ProxyHeader.malformed)
  expect(read(Array.from(bytesOf(`${header}${get('/1')}`), (b) => Buffer.from([b]))).result).toBe(ProxyHeader.malformed)
})

test('what begins with something else comes out whole, however it was cut', () => {
  const others = fc.constantFrom(
    get('/'),
    'PROXY /x HTTP/1.1\r\n\r\n',
    'P',
    'PROXY TCP5 x',
    `\r\n${get('/')}`,
    '\r\n\r\n\0\r\nQUIz',
    '\x16\x03\x01',
  )
  fc.assert(
    fc.property(others, cuts, (text, places) => {
      const { result, rest } = read(cutAt(bytesOf(text), places))
      if (text === 'P') expect(result).toBe(ProxyHeader.more)
      else expect({ result, rest }).toEqual({ result: ProxyHeader.absent, rest: text })
    }),
  )
})

describe('a connection', () => {
  test.each(HEADERS)('is read after it, in any pieces: %s', (_name, header) => {
    fc.assert(
      fc.property(cuts, (places) => {
        const rig = new ConnectionRig()
        for (const piece of cutAt(bytesOf(header + get('/1') + get('/2')), places)) rig.client(piece.toString('latin1'))
        rig.server(answer(201) + answer(202))
        expect(rig.close()).toEqual(['GET /1 -> 201', 'GET /2 -> 202'])
        expect(rig.count('otherProtocolBytes') + rig.count('resyncUnproven')).toBe(0)
      }),
      { numRuns: 20 },
    )
  })

  test.each(MALFORMED)('is named where it is malformed, and not read: %s', (_name, header) => {
    for (const pieces of [
      [header, get('/1')],
      [...header, get('/1')],
    ]) {
      const rig = new ConnectionRig()
      for (const piece of pieces) rig.client(piece)
      rig.server(answer(400))
      expect(rig.close()).toEqual([])
      expect(rig.context.protocolCounts.entries()).toEqual([['proxyHeader:80', 1]])
      const bytes = header.length + get('/1').length + answer(400).length
      expect(rig.count('otherProtocolBytes')).toBe(bytes)
    }
  })

  test('has it at its very beginning only', () => {
    const line = 'PROXY TCP4 203.0.113.7 10.0.0.1 56324 80\r\n'
    const second = new ConnectionRig()
      .client(get('/1'))
      .server(answer(200))
      .client(line + get('/2'))
    expect(second.close()).toEqual(['GET /1 -> 200'])
    const middle = new ConnectionRig({ client: -1 }).client(line + get('/1'))
    expect(middle.close()).toEqual([])
    const server = new ConnectionRig().server(line).client(get('/1'))
    expect(server.close()).toEqual([])
  })

  test('whose header never comes whole is counted', () => {
    const rig = new ConnectionRig().client('PROXY TCP4 203')
    rig.close()
    expect(rig.count('resyncUnproven')).toBe(14)
    const lost = new ConnectionRig().client('PROXY TCP4 203').gap(CLIENT, 10).client(get('/1'))
    expect(lost.close()).toEqual([])
    expect(lost.count('resyncUnproven')).toBe(get('/1').length)
  })

  test('may continue in another protocol', () => {
    const rig = new ConnectionRig().client('PROXY UNKNOWN\r\n\x16\x03\x01\x00\x05hello')
    rig.close()
    expect(rig.context.protocolCounts.entries()).toEqual([['tls:80', 1]])
  })
})
