import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MirrorError } from '../../../src/base/errors.ts'
import { openCaptureInput } from '../../../src/sources/files/open-capture.ts'
import { KUZNETZOV, MICROSECONDS, NANOSECONDS, pcapFile, pcapHeader, Section } from './capture-builder.ts'
import { PiecewiseInput, readBytes } from './reading.ts'

const data = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const u32 = fc.integer({ min: 0, max: 0xffffffff })

const pcap = fc
  .record({
    packets: fc.array(fc.record({ data, wireLength: u32, seconds: u32, fraction: u32 }), { maxLength: 12 }),
    littleEndian: fc.boolean(),
    magic: fc.constantFrom(MICROSECONDS, NANOSECONDS, KUZNETZOV),
    linkType: u32,
  })
  .map(({ packets, ...shape }) => pcapFile(packets, shape))

const packet = fc.record({
  kind: fc.constantFrom('enhanced', 'simple', 'old', 'skipped'),
  id: fc.nat(2),
  units: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  data,
})
const pcapng = fc
  .array(
    fc.record({
      littleEndian: fc.boolean(),
      resolutions: fc.array(fc.nat(255), { minLength: 3, maxLength: 3 }),
      packets: fc.array(packet, { maxLength: 6 }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((sections) =>
    Buffer.concat(
      sections.map(({ littleEndian, resolutions, packets }) => {
        const section = new Section(littleEndian)
        for (const resolution of resolutions) section.interface(1, 0, resolution, 3n)
        for (const { kind, id, units, data } of packets) {
          if (kind === 'enhanced') section.enhanced(id, units, data)
          else if (kind === 'simple') section.simple(data)
          else if (kind === 'old') section.oldPacket(id, units, data)
          else section.block(5, data)
        }
        return section.end()
      }),
    ),
  )
const capture = fc.oneof(pcap, pcapng)
const packedOrNot = fc.oneof(
  { weight: 3, arbitrary: capture },
  { weight: 1, arbitrary: capture.map((bytes) => gzipSync(bytes)) },
)
const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 5 })
const windowBytes = fc.integer({ min: 1, max: 600 })

test('any split of the input, and any size of the window, gives the same records and warnings', async () => {
  await fc.assert(
    fc.asyncProperty(packedOrNot, fc.nat(400), sizes, windowBytes, async (bytes, cut, sizes, windowBytes) => {
      // Whole, or cut anywhere near its end.
      const kept = cut < 300 ? bytes.subarray(0, Math.max(28, bytes.length - cut)) : bytes
      const outcome = (read: ReturnType<typeof readBytes>) =>
        read.catch((error: unknown) => {
          expect(error).toBeInstanceOf(MirrorError)
          return (error as MirrorError).message
        })
      expect(await outcome(readBytes(kept, sizes, windowBytes))).toEqual(await outcome(readBytes(kept)))
    }),
    { numRuns: 300 },
  )
})

/** Reading must end well: with records in bounds (`readAll` checks each) or with a MirrorError at opening. */
async function readsSafely(bytes: Buffer): Promise<void> {
  const outcome = await readBytes(bytes).catch((error: unknown) => error)
  if (outcome instanceof Error) {
    expect(outcome).toBeInstanceOf(MirrorError)
    expect(outcome).toMatchObject({ code: 'ERR_CAPTURE_FORMAT' })
    return
  }
  const { reads, warnings } = outcome as Awaited<ReturnType<typeof readBytes>>
  // Every record takes at least its header: the work is bounded by the input's length.
  const walked = reads.reduce((sum, read) => sum + read.data.length + 16, 0)
  if (bytes[0] !== 0x1f) expect(walked).toBeLessThanOrEqual(bytes.length)
  // At most: a wrong checksum, the gzip stream's end, the capture's end, skipped blocks.
  expect(warnings.length).toBeLessThanOrEqual(4)
}

test('random bytes, with or without a good start, never do harm', async () => {
  const start = fc.constantFrom(
    Buffer.alloc(0),
    pcapHeader(),
    pcapHeader({ littleEndian: false }),
    new Section(true).interface(1, 10).end(),
    new Section(false).interface(1).end(),
    Buffer.from('1f8b0800000000000003', 'hex'),
    Buffer.from('0a0d0d0a', 'hex'),
  )
  await fc.assert(
    fc.asyncProperty(start, fc.uint8Array({ maxLength: 400 }), (start, rest) =>
      readsSafely(Buffer.concat([start, rest])),
    ),
    { numRuns: 1000 },
  )
})

test('damaged captures never do harm', async () => {
  const damage = fc.record({ where: fc.nat(2000), value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x0a, 3, 6) })
  await fc.assert(
    fc.asyncProperty(packedOrNot, fc.array(damage, { minLength: 1, maxLength: 6 }), (bytes, damages) => {
      const damaged = Buffer.from(bytes)
      for (const { where, value } of damages) damaged[where % damaged.length] = value
      return readsSafely(damaged)
    }),
    { numRuns: 1000 },
  )
})

test('walking records that are in memory allocates nothing', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const count = 20_000
  const files = [
    pcapFile(Array.from({ length: count }, (_, i) => ({ data: Buffer.alloc(20), seconds: 1e9 + i, fraction: i }))),
    (() => {
      const section = new Section().interface(1, 0, 9)
      for (let i = 0; i < count; i++) section.enhanced(0, 1_700_000_000_000_000_000n + BigInt(i), Buffer.alloc(20))
      return section.end()
    })(),
  ]
  for (const bytes of files) {
    let least = Number.POSITIVE_INFINITY
    // The first passes run unoptimised code, and nobody knows for how long: one pass without allocation is the proof.
    for (let pass = 0; pass < 100 && least >= count; pass++) {
      const source = await openCaptureInput(new PiecewiseInput(bytes), 2 * 1024 * 1024)
      await source.fill()
      gc()
      const before = process.memoryUsage().heapUsed
      let records = 0
      while (source.next()) records++
      least = Math.min(least, process.memoryUsage().heapUsed - before)
      expect(records).toBe(count)
    }
    expect(least / count).toBeLessThan(1)
  }
})
