import { describe, expect, test } from 'vitest'
import { openCaptureInput } from '../../../src/sources/files/open-capture.ts'
import { Section } from './capture-builder.ts'
import { PiecewiseInput, readBytes } from './reading.ts'

const T = 1_700_000_000_123_456n
const DATA = Buffer.from('seven b')

describe.each([{ littleEndian: true }, { littleEndian: false }])(
  'pcapng, little-endian $littleEndian',
  ({ littleEndian }) => {
    const section = () => new Section(littleEndian)

    test('enhanced, simple and old packets come with their bytes, lengths, link type and time', async () => {
      const bytes = section()
        .interface(1)
        .enhanced(0, T, DATA, 1500)
        .simple(Buffer.from('simple'))
        .oldPacket(0, T + 5n, Buffer.from('old'), 99)
        .end()
      expect(await readBytes(bytes)).toEqual({
        reads: [
          { data: 'seven b', wireLength: 1500, linkType: 1, timeUs: Number(T) },
          { data: 'simple', wireLength: 6, linkType: 1, timeUs: Number(T) },
          { data: 'old', wireLength: 99, linkType: 1, timeUs: Number(T) + 5 },
        ],
        warnings: [],
      })
    })

    test('each interface has its own link type, resolution and offset', async () => {
      const bytes = section()
        .interface(1, 0, 9)
        .interface(101, 0, 3, 1_600_000_000n)
        .interface(113, 0, 0x80 | 10)
        .interface(276, 0, 0, -3_600n)
        .enhanced(0, T * 1000n + 750n, DATA)
        .enhanced(1, 1_250n, DATA)
        .enhanced(2, (1_700_000_000n << 10n) + 512n, DATA)
        .enhanced(3, 1_700_000_000n, DATA)
        .end()
      const { reads } = await readBytes(bytes)
      expect(reads.map(({ linkType, timeUs }) => [linkType, timeUs])).toEqual([
        [1, Number(T) + 0.75],
        [101, 1_600_000_001_250_000],
        [113, 1_700_000_000_500_000],
        [276, 1_699_996_400_000_000],
      ])
    })
  },
)

test('nanoseconds are rounded once: never off by more than an eighth of a microsecond', async () => {
  const section = new Section().interface(1, 0, 9)
  const units: bigint[] = []
  for (let i = 0n; i < 1000n; i++) units.push(T * 1000n + i * 7_919_317n)
  for (const unit of units) section.enhanced(0, unit, DATA)
  const { reads } = await readBytes(section.end())
  reads.forEach(({ timeUs }, i) => {
    // Quarters of microseconds, compared without rounding.
    const error = BigInt(timeUs * 4) * 250n - units[i]!
    expect(error >= -125n && error <= 125n).toBe(true)
  })
})

test.each([0x7f, 0xff, 0xc0, 20])('a time resolution of 0x%x still gives a finite time', async (resolution) => {
  const bytes = new Section()
    .interface(1, 0, resolution, -(2n ** 63n))
    .enhanced(0, 2n ** 64n - 1n, DATA)
    .end()
  expect(Number.isFinite((await readBytes(bytes)).reads[0]!.timeUs)).toBe(true)
})

test('a new section forgets the interfaces and may have the other byte order', async () => {
  const bytes = Buffer.concat([
    new Section(true).interface(1).enhanced(0, 1n, Buffer.from('a')).end(),
    new Section(false).interface(101).enhanced(0, 2n, Buffer.from('b')).end(),
    new Section(true).enhanced(0, 3n, Buffer.from('c')).end(),
  ])
  const { reads, warnings } = await readBytes(bytes)
  expect(reads.map(({ data, linkType }) => [data, linkType])).toEqual([
    ['a', 1],
    ['b', 101],
  ])
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toMatch(/malformed at offset \d+: a packet of interface 0, and the section describes 0/)
})

test('a stated section length is not relied on', async () => {
  const bytes = new Section(true, 4n).interface(1).enhanced(0, 1n, DATA).end()
  expect((await readBytes(bytes)).reads).toHaveLength(1)
})

test('a simple packet is as long as the snap length lets it be, and before any time is seen it has time 0', async () => {
  const bytes = new Section()
    .interface(1, 4)
    .simple(Buffer.from('abcd'), 60)
    .simple(Buffer.from('xyz'))
    .simple(Buffer.from('much'), 0xfffffff0)
    .end()
  expect((await readBytes(bytes)).reads).toEqual([
    { data: 'abcd', wireLength: 60, linkType: 1, timeUs: 0 },
    { data: 'xyz', wireLength: 3, linkType: 1, timeUs: 0 },
    { data: 'much', wireLength: 0x7fffffff, linkType: 1, timeUs: 0 },
  ])
})

test('blocks without packets are skipped: known ones in silence, others with one warning', async () => {
  const section = new Section().interface(1)
  for (const type of [4, 5, 10, 0xbad, 0x40000bad]) section.block(type, Buffer.from('some body'))
  section.enhanced(0, 1n, DATA)
  expect(await readBytes(section.end())).toMatchObject({ reads: [{ data: 'seven b' }], warnings: [] })
  section.block(0x204, Buffer.from('event')).block(0x80000001, Buffer.alloc(0)).enhanced(0, 2n, DATA)
  const { reads, warnings } = await readBytes(section.end())
  expect(reads).toHaveLength(2)
  expect(warnings).toEqual([
    'test.pcap: 2 blocks of types that are not read were skipped (the last of type 0x80000001)',
  ])
})

const block = (...words: number[]) =>
  new Section()
    .fields()
    .u32(...words)
    .end()

test.each([
  ['a length below the smallest block', block(6, 8, 8, 0), 'a block length of 8 bytes'],
  ['a length that is no multiple of 4', block(6, 33, 0, 0), 'a block length of 33 bytes'],
  ['a length beyond the cap', block(6, 0xfffffffc, 0, 0), 'a block length of 4294967292 bytes'],
  ['two lengths that differ', block(5, 12, 16), 'states 12 bytes at its start and 16 at its end'],
  ['an enhanced packet too short for its header', block(6, 16, 0, 16), 'too short'],
  ['a simple packet too short for its header', block(3, 12, 12), 'too short'],
  ['a captured length beyond the block', block(6, 36, 0, 0, 0, 5, 5, 0, 36), 'a captured length of 5 bytes'],
  ['a simple packet longer than its block', block(3, 20, 5, 0, 20), 'a captured length of 5 bytes'],
  ['a packet of an unknown interface', block(6, 32, 9, 0, 0, 0, 0, 32), 'a packet of interface 9'],
  ['an interface description too short', block(1, 16, 1, 16), 'an interface description of 16 bytes'],
  ['an option beyond its block', block(1, 24, 1, 0, 0xffff0009, 24), 'options do not add up'],
  ['a time resolution of two bytes', block(1, 28, 1, 0, 0x00020009, 0, 28), 'options do not add up'],
  ['a section without byte order', block(0x0a0d0d0a, 28, 0, 1, 0, 0, 28), 'without the byte-order magic'],
  ['a section header too short', block(0x0a0d0d0a, 16, 0x1a2b3c4d, 16), 'a section header of 16 bytes'],
  ['a section of another version', block(0x0a0d0d0a, 28, 0x1a2b3c4d, 2, 0, 0, 28), 'pcapng version 2'],
])('%s ends the reading there with a warning that names the offset', async (_, damage, why) => {
  const good = new Section().interface(1).enhanced(0, 1n, DATA)
  const offset = good.end().length
  const { reads, warnings } = await readBytes(good.raw(damage).enhanced(0, 2n, DATA).end())
  expect(reads).toHaveLength(1)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(`test.pcap: malformed at offset ${offset}: `)
  expect(warnings[0]).toContain(why)
})

test('a file truncated in mid-block hands out what stands before and names the offset', async () => {
  const whole = new Section().interface(1).enhanced(0, 1n, DATA).end()
  const block = new Section()
    .interface(1)
    .enhanced(0, 2n, DATA)
    .end()
    .subarray(whole.length - 52)
  const { reads, warnings } = await readBytes(Buffer.concat([whole, block.subarray(0, 30)]))
  expect(reads).toHaveLength(1)
  expect(warnings).toEqual([`test.pcap: cut at offset ${whole.length}: 52 bytes expected, 30 came`])
})

test.each([
  [
    new Section().end().subarray(0, 20),
    'test.pcap ends inside the first pcapng section header: at least 28 bytes expected, 20 came',
  ],
  [
    Buffer.concat([Buffer.from('0a0d0d0a1c000000deadbeef', 'hex'), Buffer.alloc(20)]),
    'test.pcap begins like pcapng, but its byte-order magic is deadbeef, expected 1a2b3c4d or 4d3c2b1a',
  ],
  [new Section(false, -1n, [2, 0]).end(), 'test.pcap has pcapng version 2, expected 1'],
])('a first section header that cannot be read is an error', async (bytes, message) => {
  await expect(openCaptureInput(new PiecewiseInput(bytes))).rejects.toMatchObject({
    code: 'ERR_CAPTURE_FORMAT',
    message,
  })
})
