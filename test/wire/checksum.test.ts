import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ipv4ChecksumHolds, tcpChecksumHolds } from '../../src/wire/checksum.ts'
import { ipv4, ipv6, tcp } from '../support/packets.ts'

describe('checksums', () => {
  test('the IPv4 header of RFC 1071 textbooks holds, and with one bit turned does not', () => {
    const header = Buffer.from('45000073000040004011b861c0a80001c0a800c7', 'hex')
    expect(ipv4ChecksumHolds(header, 0, 20)).toBe(true)
    header[8]! ^= 1
    expect(ipv4ChecksumHolds(header, 0, 20)).toBe(false)
  })

  test('a header anywhere in the bytes is summed alone', () => {
    const header = Buffer.from('45000073000040004011b861c0a80001c0a800c7', 'hex')
    const surrounded = Buffer.concat([Buffer.alloc(7, 0xff), header, Buffer.alloc(9, 0xee)])
    expect(ipv4ChecksumHolds(surrounded, 7, 20)).toBe(true)
  })

  test('a segment with payload of any length, odd ones too, over either IP version', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 65 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 3 }),
        (data, isV6, before) => {
          const payload = tcp({ data: Buffer.from(data) })
          const packet = isV6 ? ipv6({ payload }) : ipv4({ payload })
          const at = before
          const bytes = Buffer.concat([Buffer.alloc(before, 0xff), packet, Buffer.alloc(3, 0xff)])
          const tcpAt = at + (isV6 ? 40 : 20)
          expect(tcpChecksumHolds(bytes, at, isV6 ? 6 : 4, tcpAt, at + packet.length)).toBe(true)
        },
      ),
    )
  })

  test('any one bit that changes in segment or addresses is noticed', () => {
    const packet = ipv4({ payload: tcp({ data: 'GET / HTTP/1.1' }) })
    for (let bit = 12 * 8; bit < packet.length * 8; bit++) {
      const changed = Buffer.from(packet)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(tcpChecksumHolds(changed, 0, 4, 20, changed.length), `bit ${bit}`).toBe(false)
    }
  })

  test('a segment of the greatest length is summed without losing carries', () => {
    const packet = ipv4({ payload: tcp({ data: Buffer.alloc(65_495, 0xff) }) })
    expect(packet.length).toBe(65_535)
    expect(tcpChecksumHolds(packet, 0, 4, 20, packet.length)).toBe(true)
  })
})
