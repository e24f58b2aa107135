import type { RecordSource } from '../../../src/sources/capture-record.ts'
import type { ByteInput } from '../../../src/sources/files/byte-input.ts'
import { openCaptureInput } from '../../../src/sources/files/open-capture.ts'

/** What was read of one packet, kept. */
export interface Read {
  readonly data: string
  readonly wireLength: number
  readonly linkType: number
  readonly timeUs: number
}

/** Bytes in memory that come in pieces of the given sizes, over and over. */
export class PiecewiseInput implements ByteInput {
  readonly name = 'test.pcap'
  readonly isUnpacked = false
  readonly isReadAhead = true
  readonly warnings = []
  readonly bytesTotal: number
  isClosed = false
  bytesRead = 0
  private readonly bytes: Buffer
  private readonly sizes: readonly number[]
  private turn = 0

  constructor(bytes: Buffer, sizes: readonly number[] = [Number.POSITIVE_INFINITY]) {
    this.bytes = bytes
    this.bytesTotal = bytes.length
    this.sizes = sizes
  }

  async read(into: Buffer, at: number): Promise<number> {
    const size = this.sizes[this.turn++ % this.sizes.length]!
    const length = this.bytes.copy(into, at, this.bytesRead, Math.min(this.bytes.length, this.bytesRead + size))
    this.bytesRead += length
    return length
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

export async function readAll(source: RecordSource): Promise<Read[]> {
  const reads: Read[] = []
  const { record } = source
  while (await source.fill()) {
    while (source.next()) {
      const { at, end, wireLength, linkType, timeUs } = record
      if (!(at >= 0 && at <= end && end <= record.bytes.length)) throw new Error(`record [${at}, ${end}) out of bounds`)
      if (!(wireLength >= end - at)) throw new Error(`wire length ${wireLength} below captured ${end - at}`)
      if (!Number.isFinite(timeUs)) throw new Error(`time ${timeUs}`)
      reads.push({ data: record.bytes.toString('latin1', at, end), wireLength, linkType, timeUs })
    }
  }
  if (source.next() || (await source.fill())) throw new Error('a record came after the end')
  return reads
}

export async function readBytes(
  bytes: Buffer,
  sizes?: readonly number[],
  windowBytes?: number,
): Promise<{ reads: Read[]; warnings: readonly string[] }> {
  const source = await openCaptureInput(new PiecewiseInput(bytes, sizes), windowBytes)
  const reads = await readAll(source)
  await source.close()
  return { reads, warnings: source.warnings }
}
