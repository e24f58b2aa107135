import { deflateRawSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openCaptureInput } from '../../../src/sources/files/open-capture.ts'
import { pcapFile, Section } from './capture-builder.ts'
import { PiecewiseInput, readAll, readBytes } from './reading.ts'

/** Incompressible and long enough for many steps of zlib. */
function noisyPackets(count: number) {
  let state = 1
  return Array.from({ length: count }, (_, i) => {
    const data = Buffer.alloc(500)
    for (let k = 0; k < data.length; k++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
      data[k] = state >>> 16
    }
    return { data, seconds: 1_700_000_000 + i, fraction: i }
  })
}

const PLAIN = pcapFile(noisyPackets(1000))
const PACKED = gzipSync(PLAIN)

test.each([
  ['pcap', PLAIN],
  ['pcapng', new Section(false).interface(1).enhanced(0, 1n, Buffer.from('x')).end()],
])('a gzip of %s reads like the file itself', async (_, plain) => {
  expect(await readBytes(gzipSync(plain))).toEqual(await readBytes(plain))
})

test.each([1, 7, 4096, 65_536, 100_000])('packed bytes may come in pieces of %i', async (size) => {
  const bytes = size < 100 ? gzipSync(PLAIN.subarray(0, 24 + 516 * 20)) : PACKED
  const { reads, warnings } = await readBytes(bytes, [size])
  expect(reads).toHaveLength(size < 100 ? 20 : 1000)
  expect(warnings).toEqual([])
})

test('data that unpacks to a thousand times its size comes whole', async () => {
  const zeros = pcapFile(
    Array.from({ length: 400 }, (_, i) => ({ data: Buffer.alloc(65_000), seconds: i, fraction: 0 })),
  )
  const { reads } = await readBytes(gzipSync(zeros, { level: 9 }))
  expect(reads).toHaveLength(400)
  expect(reads.every((read) => read.data.length === 65_000)).toBe(true)
})

test('concatenated members are one stream, wherever they were parted, and may be empty', async () => {
  const parts = [PLAIN.subarray(0, 10), PLAIN.subarray(10, 10), PLAIN.subarray(10, 70_001), PLAIN.subarray(70_001)]
  const { reads, warnings } = await readBytes(Buffer.concat(parts.map((part) => gzipSync(part))), [1000])
  expect(reads).toEqual((await readBytes(PLAIN)).reads)
  expect(warnings).toEqual([])
})

test('all optional fields of a member header are skipped', async () => {
  const plain = PLAIN.subarray(0, 24 + 516)
  const packed = gzipSync(plain)
  const header = Buffer.concat([
    Buffer.from('1f8b081e000000000003', 'hex'),
    Buffer.from('0500', 'hex'),
    Buffer.from('extra'),
    Buffer.from('name.pcap\0a comment\0'),
    Buffer.from('abcd', 'hex'),
  ])
  for (const size of [1, 1000]) {
    const { reads, warnings } = await readBytes(Buffer.concat([header, packed.subarray(10)]), [size])
    expect(reads).toHaveLength(1)
    expect(warnings).toEqual([])
  }
})

describe('what is wrong with the gzip stream is a warning, and what came before it is read', () => {
  test('cut in the data', async () => {
    const cut = PACKED.subarray(0, 300_000)
    const { reads, warnings } = await readBytes(cut, [50_000])
    expect(reads.length).toBeGreaterThan(570)
    expect(warnings[0]).toBe('test.pcap: the gzip stream is cut (at offset 300000 of the packed file)')
    expect(warnings[1]).toMatch(/^test.pcap: cut at offset \d+ of the unpacked data: 516 bytes expected, \d+ came$/)
  })

  test.each([1, 8])('cut %i bytes before its end: nothing of the capture is missing', async (missing) => {
    const { reads, warnings } = await readBytes(PACKED.subarray(0, PACKED.length - missing))
    expect(reads).toHaveLength(1000)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/the gzip stream is cut/)
  })

  test('a wrong checksum', async () => {
    const damaged = Buffer.from(PACKED)
    damaged[damaged.length - 8]! ^= 1
    const { reads, warnings } = await readBytes(damaged)
    expect(reads).toHaveLength(1000)
    expect(warnings).toEqual([
      `test.pcap: the checksum of the gzip data before it is wrong; the data was used (at offset ${damaged.length - 8} of the packed file)`,
    ])
  })

  test('damaged data', async () => {
    // A block of the reserved type behind good ones.
    const good = deflateRawSync(PLAIN, { finishFlush: 2 })
    const { reads, warnings } = await readBytes(Buffer.concat([PACKED.subarray(0, 10), good, Buffer.alloc(100, 0xff)]))
    expect(reads.length).toBeGreaterThan(800)
    expect(warnings[0]).toMatch(/^test.pcap: the gzip data is damaged \(.+\) \(at offset \d+ of the packed file\)$/)
  })

  test('something else behind it; zeros are padding', async () => {
    const { reads, warnings } = await readBytes(Buffer.concat([PACKED, Buffer.from('tail')]))
    expect(reads).toHaveLength(1000)
    expect(warnings).toEqual([
      `test.pcap: what stands there is not gzip and was ignored (at offset ${PACKED.length} of the packed file)`,
    ])
    expect(await readBytes(Buffer.concat([PACKED, Buffer.alloc(600)]))).toMatchObject({ warnings: [] })
  })

  test('a second member with a malformed or truncated header', async () => {
    const malformed = await readBytes(Buffer.concat([PACKED, Buffer.from('1f8b09000000000000000000', 'hex')]))
    expect(malformed.reads).toHaveLength(1000)
    expect(malformed.warnings[0]).toMatch(/the gzip member header is malformed/)
    const cut = await readBytes(Buffer.concat([PACKED, Buffer.from('1f8b08', 'hex')]))
    expect(cut.warnings[0]).toMatch(/the gzip stream is cut inside a member header/)
  })
})

test.each([
  [gzipSync('plain text, no capture'), /^test.pcap holds gzip data that is not a capture: .*\("plain text, no c"\)$/],
  [gzipSync(''), /found nothing: it is empty$/],
  [gzipSync(PACKED), /found gzip data inside gzip data: unpack it first$/],
  [Buffer.from('1f8b', 'hex'), /found nothing: it is empty; test.pcap: the gzip stream is cut inside a member header/],
  [Buffer.from('1f8b07000000000000000000', 'hex'), /the gzip member header is malformed/],
])('gzip without a capture in it is an error', async (bytes, message) => {
  const input = new PiecewiseInput(bytes)
  const opening = openCaptureInput(input)
  await expect(opening).rejects.toMatchObject({ code: 'ERR_CAPTURE_FORMAT' })
  await expect(opening).rejects.toThrow(message)
  expect(input.isClosed).toBe(true)
})

test('progress counts packed bytes', async () => {
  const source = await openCaptureInput(new PiecewiseInput(PACKED))
  expect(source.bytesTotal).toBe(PACKED.length)
  await readAll(source)
  expect(source.bytesRead).toBe(PACKED.length)
})

test('closing in mid-stream ends a fill that is under way', async () => {
  const source = await openCaptureInput(new PiecewiseInput(PACKED, [1000]))
  while (source.next());
  const filling = source.fill()
  await source.close()
  await filling
  expect(source.next()).toBe(false)
})
