import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { openCapture } from '../../../src/sources/files/open-capture.ts'
import { PcapWriter } from '../../../src/sources/files/pcap-writer.ts'
import { pcapFile } from './capture-builder.ts'
import { type Read, readAll } from './reading.ts'

const folder = mkdtempSync(join(tmpdir(), 'pcap-writer-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'out.pcap')

async function readBack(): Promise<{ reads: Read[]; warnings: readonly string[] }> {
  const source = await openCapture(path)
  const reads = await readAll(source)
  await source.close()
  return { reads, warnings: source.warnings }
}

test('the file is byte for byte classic little-endian pcap', () => {
  const writer = PcapWriter.create(path, 113)
  writer.write(Buffer.from('--packet--'), 2, 8, 60, 1_700_000_000_123_456)
  writer.close()
  const packet = { data: Buffer.from('packet'), wireLength: 60, seconds: 1_700_000_000, fraction: 123_456 }
  expect(readFileSync(path)).toEqual(pcapFile([packet], { linkType: 113 }))
})

test('only the owner may read it', () => {
  rmSync(path, { force: true })
  PcapWriter.create(path, 1).close()
  expect(statSync(path).mode & 0o077).toBe(0)
})

test('whatever is written is read back', async () => {
  const packet = fc.record({
    data: fc.uint8Array({ maxLength: 2000 }),
    more: fc.nat(10_000),
    timeUs: fc.integer({ min: 0, max: 4_294_967_295_999_999 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(packet, { maxLength: 20 }), async (packets) => {
      const writer = PcapWriter.create(path, 1)
      for (const { data, more, timeUs } of packets) writer.write(data, 0, data.length, data.length + more, timeUs)
      writer.close()
      const { reads, warnings } = await readBack()
      expect(reads).toEqual(
        packets.map(({ data, more, timeUs }) => ({
          data: Buffer.from(data).toString('latin1'),
          wireLength: data.length + more,
          linkType: 1,
          timeUs,
        })),
      )
      expect(warnings).toEqual([])
    }),
    { numRuns: 50 },
  )
})

test('more than the buffer holds arrives in order', async () => {
  const writer = PcapWriter.create(path, 1)
  for (let i = 0; i < 3000; i++) writer.write(Buffer.alloc(1000, i), 0, 1000, 1000, i)
  writer.close()
  const { reads } = await readBack()
  expect(reads.map((read) => read.timeUs)).toEqual(Array.from({ length: 3000 }, (_, i) => i))
})

test('what was flushed can be read while the writer goes on', async () => {
  const writer = PcapWriter.create(path, 1)
  expect((await readBack()).reads).toHaveLength(0)
  writer.write(Buffer.from('a'), 0, 1, 1, 0)
  writer.flush()
  writer.write(Buffer.from('b'), 0, 1, 1, 0)
  expect((await readBack()).reads).toHaveLength(1)
  writer.close()
  expect((await readBack()).reads).toHaveLength(2)
})

test('a packet beyond the snap length is truncated and keeps its length on the wire', async () => {
  const writer = PcapWriter.create(path, 1)
  writer.write(Buffer.alloc(300_000), 0, 300_000, 300_000, 0)
  writer.close()
  const { reads } = await readBack()
  expect(reads[0]!.data.length).toBe(262_144)
  expect(reads[0]!.wireLength).toBe(300_000)
})

test.each([
  [-1, 0],
  [Number.NaN, 0],
  [Number.POSITIVE_INFINITY, 4_294_967_295_000_000],
  [5e15, 4_294_967_295_000_000],
  [1.75, 1],
])('the time %d is written as %d', async (timeUs, written) => {
  const writer = PcapWriter.create(path, 1)
  writer.write(Buffer.from('x'), 0, 1, 0, timeUs)
  writer.close()
  expect((await readBack()).reads).toEqual([{ data: 'x', wireLength: 1, linkType: 1, timeUs: written }])
})

test('a file that cannot be made is an error that names it', () => {
  const missing = join(folder, 'missing', 'out.pcap')
  expect(() => PcapWriter.create(missing, 1)).toThrow(`cannot write ${missing}: no such file or directory (ENOENT)`)
})

test.skipIf(!existsSync('/dev/full'))('a full disk is an error that names the file', () => {
  expect(() => PcapWriter.create('/dev/full', 1)).toThrow(
    expect.objectContaining({
      code: 'ERR_OUTPUT',
      message: 'cannot write /dev/full: no space left on the device (ENOSPC)',
    }),
  )
})

test('a closed writer refuses packets, and closing again is nothing', () => {
  const writer = PcapWriter.create(path, 1)
  writer.close()
  writer.close()
  expect(() => writer.write(Buffer.from('x'), 0, 1, 1, 0)).toThrow(`cannot write ${path}: it is closed`)
})
