/** Captures as pcap files, for `inspect` and for other tools. */
import type { Captured } from './scenario.ts'

const RAW = 101
const START_US = 1_700_000_000_000_000

/** Scenarios one after the other in one file. */
export function pcapOf(captures: readonly (readonly Captured[])[]): Buffer {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(262_144, 16)
  header.writeUInt32LE(RAW, 20)
  const parts: Buffer[] = [header]
  let timeUs = START_US
  for (const capture of captures) {
    for (const { bytes, laterUs } of capture) {
      timeUs += laterUs
      const record = Buffer.alloc(16)
      record.writeUInt32LE(Math.floor(timeUs / 1e6), 0)
      record.writeUInt32LE(timeUs % 1e6, 4)
      record.writeUInt32LE(bytes.length, 8)
      record.writeUInt32LE(bytes.length, 12)
      parts.push(record, bytes)
    }
  }
  return Buffer.concat(parts)
}
