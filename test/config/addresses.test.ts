import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatHostPort,
  isLoopback,
  parseCidr,
  parseHostName,
  parseHostPort,
  parseListen,
  parseOrigin,
  parseServerName,
} from '../../src/config/addresses.ts'
import { Refusal } from '../../src/config/refusal.ts'

function reason(outcome: unknown): string {
  return outcome instanceof Refusal ? outcome.reason : 'taken'
}

describe('addresses to listen on', () => {
  test.each([
    ['0.0.0.0:4789', { format: 'vxlan', host: '0.0.0.0', port: 4789 }],
    ['0.0.0.0:4790', { format: 'gpe', host: '0.0.0.0', port: 4790 }],
    ['[::]:6081', { format: 'geneve', host: '::', port: 6081 }],
    ['0.0.0.0:37008', { format: 'tzsp', host: '0.0.0.0', port: 37_008 }],
    ['vxlan:0.0.0.0:8472', { format: 'vxlan', host: '0.0.0.0', port: 8472 }],
    ['tzsp:[::1]:1', { format: 'tzsp', host: '::1', port: 1 }],
    ['127.0.0.1:0', { format: 'vxlan', host: '127.0.0.1', port: 0 }],
    ['localhost:4789', { format: 'vxlan', host: '127.0.0.1', port: 4789 }],
    ['geneve:127.0.0.1:4789', { format: 'geneve', host: '127.0.0.1', port: 4789 }],
    ['GPE:[fe80::1%eth0]:4789', { format: 'gpe', host: 'fe80::1%eth0', port: 4789 }],
    ['vxlan:localhost:1', { format: 'vxlan', host: '127.0.0.1', port: 1 }],
  ])('%s', (text, address) => {
    expect(parseListen(text)).toEqual(address)
  })

  test.each([
    ['gre:1.2.3.4:5', '"gre" is not a format'],
    ['1.2.3.4', 'port is missing'],
    ['::1:4789', 'brackets'],
    [':4789', 'address is missing'],
    ['[1.2.3.4]:80', 'not an IP address'],
    ['example.org:80', 'not an IP address'],
    ['1.2.3.4:65536', '0 to 65535'],
    ['1.2.3.4:', '0 to 65535'],
    ['vxlan:', '0 to 65535'],
    ['', 'not of the form'],
  ])('%j is refused: %s', (text, why) => {
    expect(reason(parseListen(text))).toContain(why)
  })

  test('an address that is printed can be read again', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65_535 }), (host, port) => {
        expect(parseHostPort(formatHostPort({ host, port }))).toEqual({ host, port })
      }),
    )
  })

  test('loopback is what only this machine reaches, of either family', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) expect(isLoopback(host)).toBe(true)
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'fe80::1', '::ffff:10.0.0.1']) expect(isLoopback(host)).toBe(false)
  })
})

describe('names', () => {
  test('a host name is spelled out, without port, in lower case; addresses stand without brackets', () => {
    expect(parseHostName('Mirror.Internal')).toBe('mirror.internal')
    expect(parseHostName('[FD00::1]')).toBe('fd00::1')
    expect(parseHostName('10.0.0.1')).toBe('10.0.0.1')
    expect(reason(parseHostName('*.internal'))).toContain('pattern')
    expect(reason(parseHostName('mirror:9464'))).toContain('without a port')
    for (const text of ['', 'a b', 'a/b', '-a', 'a..b', 'a\r\nb']) expect(parseHostName(text)).toBeInstanceOf(Refusal)
  })

  test('an address is no server name', () => {
    expect(parseServerName('staging')).toBe('staging')
    for (const text of ['10.0.0.1', '[::1]']) expect(reason(parseServerName(text))).toContain('RFC 6066')
  })
})

describe('networks', () => {
  test('host bits are zero in text and words', () => {
    expect(parseCidr('10.1.2.3/8')).toEqual({ text: '10.0.0.0/8', family: 4, words: [0x0a000000], prefixLength: 8 })
    expect(parseCidr('fd12:3456::9/8')).toMatchObject({ text: 'fd00::/8', family: 6, words: [0xfd000000 | 0, 0, 0, 0] })
    expect(parseCidr('255.255.255.255')).toMatchObject({ text: '255.255.255.255/32', words: [-1], prefixLength: 32 })
    expect(parseCidr('0.0.0.0/0')).toMatchObject({ text: '0.0.0.0/0', words: [0], prefixLength: 0 })
  })

  test('every address is inside its own network of any length', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, length) => {
        const word = address.split('.').reduce((sum, byte) => (sum << 8) | Number(byte), 0)
        const mask = length === 0 ? 0 : (-1 << (32 - length)) | 0
        expect(parseCidr(`${address}/${length}`)).toMatchObject({ words: [(word & mask) | 0] })
      }),
    )
  })

  test.each([
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '010.0.0.1',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'fe80::1%eth0/64',
    '',
  ])('%j is no network', (text) => {
    expect(parseCidr(text)).toBeInstanceOf(Refusal)
  })
})

describe('the origin', () => {
  test.each(['http://staging:8080', 'https://10.0.0.1', 'HTTP://Staging/', 'http://[::1]:80'])('%s is one', (text) => {
    expect(parseOrigin(text)).toBeInstanceOf(URL)
  })

  test('null discards', () => {
    expect(parseOrigin('null')).toBeNull()
  })

  test.each([
    ['http://s/path', 'remove the path /path'],
    ['http://s/?', 'remove the query'],
    ['http://s?x=1', 'remove the query'],
    ['http://s#f', 'remove the fragment'],
    ['http://u:p@s', 'remove user and password'],
    ['ftp://s', 'must be http or https, not ftp'],
    ['staging:8080', 'as in http://staging:8080'],
    ['//staging', 'as in http://staging'],
    ['http://', 'not a URL'],
    ['', 'empty'],
  ])('%j is refused: %s', (text, why) => {
    expect(reason(parseOrigin(text))).toContain(why)
  })
})

test('no text makes a parser throw', () => {
  const pieces = fc.array(
    fc.constantFrom('[', ']', ':', '/', '.', '%', '1', '::', 'vxlan', 'http://', '@', '?', '255', 'é', ' '),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        pieces.map((p) => p.join('')),
      ),
      (text) => {
        for (const parse of [parseListen, parseHostPort, parseHostName, parseServerName, parseCidr, parseOrigin])
          parse(text)
      },
    ),
  )
})
