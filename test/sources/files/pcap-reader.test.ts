import { describe, expect, test } from 'vitest'
import { openCaptureInput } from '../../../src/sources/files/open-capture.ts'
import {
  KUZNETZOV,
  MICROSECONDS,
  NANOSECONDS,
  type Packet,
  pcapFile,
  pcapHeader,
  pcapRecord,
} from './capture-builder.ts'
import { PiecewiseInput, readAll, readBytes } from './reading.ts'

const PACKETS: readonly Packet[] = [
  { data: Buffer.from('first'), seconds: 1_700_000_000, fraction: 123_456 },
  { data: Buffer.alloc(0), seconds: 1_700_000_001, fraction: 0 },
  { data: Buffer.from('cut'), wireLength: 1514, seconds: 4_000_000_000, fraction: 999_999 },
]

const AS_READ = [
  { data: 'first', wireLength: 5, linkType: 1, timeUs: 1_700_000_000_123_456 },
  { data: '', wireLength: 0, linkType: 1, timeUs: 1_700_000_001_000_000 },
  { data: 'cut', wireLength: 1514, linkType: 1, timeUs: 4_000_000_000_999_999 },
]

describe.each([{ littleEndian: true }, { littleEndian: false }])(
  'pcap, little-endian $littleEndian',
  ({ littleEndian }) => {
    test('packets come with bytes, both lengths and microseconds', async () => {
      expect(await readBytes(pcapFile(PACKETS, { littleEndian }))).toEqual({ reads: AS_READ, warnings: [] })
    })

    test('nanoseconds become fractions of microseconds', async () => {
      const packet = { data: Buffer.from('x'), seconds: 1_700_000_000, fraction: 123_456_750 }
      const { reads } = await readBytes(pcapFile([packet], { littleEndian, magic: NANOSECONDS }))
      expect(reads[0]!.timeUs).toBe(1_700_000_000_123_456 + 0.75)
    })

    test('the longer record headers of the Kuznetzov magic are skipped', async () => {
      const { reads } = await readBytes(pcapFile(PACKETS, { littleEndian, magic: KUZNETZOV }))
      expect(reads).toEqual(AS_READ)
    })

    test('flags above the link type are ignored', async () => {
      const { reads } = await readBytes(pcapFile(PACKETS, { littleEndian, linkType: 0xf4000000 | 113 }))
      expect(reads.map((read) => read.linkType)).toEqual([113, 113, 113])
    })
  },
)

test('a file with a header only has no packets and no warning', async () => {
  expect(await readBytes(pcapHeader())).toEqual({ reads: [], warnings: [] })
})

test('a wire length below the captured one is raised to it', async () => {
  const { reads } = await readBytes(pcapFile([{ data: Buffer.from('abcdef'), wireLength: 2, seconds: 1, fraction: 0 }]))
  expect(reads[0]).toMatchObject({ data: 'abcdef', wireLength: 6 })
})

test('a wire length that no packet has stays a small integer', async () => {
  const packet = { data: Buffer.from('abc'), wireLength: 0xffffffff, seconds: 1, fraction: 0 }
  expect((await readBytes(pcapFile([packet]))).reads[0]).toMatchObject({ data: 'abc', wireLength: 0x7fffffff })
})

test('times that go back or count more than a second in the fraction are taken as they are', async () => {
  const { reads } = await readBytes(
    pcapFile([
      { data: Buffer.from('a'), seconds: 100, fraction: 0 },
      { data: Buffer.from('b'), seconds: 0, fraction: 0xffffffff },
    ]),
  )
  expect(reads.map((read) => read.timeUs)).toEqual([100_000_000, 4_294_967_295])
})

test.each([1, 15, 16, 18])(
  'a file truncated %i bytes into its last record hands out the others and names the offset',
  async (kept) => {
    const whole = pcapFile(PACKETS.slice(0, 2))
    const { reads, warnings } = await readBytes(Buffer.concat([whole, pcapRecord(PACKETS[2]!).subarray(0, kept)]))
    expect(reads).toEqual(AS_READ.slice(0, 2))
    const expected = kept < 16 ? 16 : 19
    expect(warnings).toEqual([`test.pcap: cut at offset ${whole.length}: ${expected} bytes expected, ${kept} came`])
  },
)

test('a captured length that cannot be ends the reading there, with a warning and without taking memory', async () => {
  const whole = pcapFile(PACKETS.slice(0, 1))
  const absurd = Buffer.alloc(16, 0xff)
  const { reads, warnings } = await readBytes(Buffer.concat([whole, absurd, pcapRecord(PACKETS[1]!)]))
  expect(reads).toEqual(AS_READ.slice(0, 1))
  expect(warnings).toEqual([
    `test.pcap: malformed at offset ${whole.length}: a captured length of 4294967295 bytes, at most 67108864 can be; what follows is not read`,
  ])
})

test('a packet larger than the window is read whole, and the window follows', async () => {
  const large = Buffer.alloc(3_000_000, 'large ')
  const packets = [PACKETS[0]!, { data: large, seconds: 1, fraction: 2 }, PACKETS[0]!]
  const { reads, warnings } = await readBytes(pcapFile(packets), [10_000])
  expect(reads.map((read) => read.data.length)).toEqual([5, large.length, 5])
  expect(reads[1]!.data).toBe(large.toString('latin1'))
  expect(warnings).toEqual([])
})

test('a claimed length takes no more memory than twice the bytes that came', async () => {
  const claims = Buffer.concat([pcapHeader(), pcapRecord({ data: Buffer.alloc(200_000), seconds: 0, fraction: 0 })])
  claims.writeUInt32LE(60_000_000, 24 + 8)
  const sizes: number[] = []
  const input = new PiecewiseInput(claims)
  const source = await openCaptureInput({
    name: input.name,
    isUnpacked: false,
    isReadAhead: false,
    warnings: [],
    bytesRead: 0,
    bytesTotal: null,
    read(into, at) {
      sizes.push(into.length)
      return input.read(into, at)
    },
    close: () => input.close(),
  })
  expect(await readAll(source)).toEqual([])
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * 1024 * 1024)
  expect(source.warnings).toEqual([`test.pcap: cut at offset 24: 60000016 bytes expected, 200016 came`])
})

test.each([
  [pcapHeader().subarray(0, 23), 'test.pcap ends inside the pcap file header: 24 bytes expected, 23 came'],
  [pcapHeader({ version: [3, 1] }), 'test.pcap has pcap version 3.1, expected 2.x'],
])('a file header that is cut or of another version is an error', async (bytes, message) => {
  const input = new PiecewiseInput(bytes)
  await expect(openCaptureInput(input)).rejects.toMatchObject({ code: 'ERR_CAPTURE_FORMAT', message })
  expect(input.isClosed).toBe(true)
})

test('fill before next is exhausted loses no record', async () => {
  const source = await openCaptureInput(new PiecewiseInput(pcapFile(PACKETS)))
  const seen: number[] = []
  while (await source.fill()) {
    await source.fill()
    expect(source.next()).toBe(true)
    seen.push(source.record.timeUs)
  }
  expect(seen).toEqual(AS_READ.map((read) => read.timeUs))
})

test('progress counts the bytes read, up to the total', async () => {
  const bytes = pcapFile(PACKETS)
  const source = await openCaptureInput(new PiecewiseInput(bytes, [30]))
  expect(source.bytesRead).toBe(30)
  expect(source.bytesTotal).toBe(bytes.length)
  await readAll(source)
  expect(source.bytesRead).toBe(bytes.length)
})

test('a closed source hands out nothing more', async () => {
  const input = new PiecewiseInput(pcapFile(PACKETS, { magic: MICROSECONDS }))
  const source = await openCaptureInput(input)
  expect(await source.fill()).toBe(true)
  await source.close()
  expect(input.isClosed).toBe(true)
  expect(source.next()).toBe(false)
  expect(await source.fill()).toBe(false)
})
