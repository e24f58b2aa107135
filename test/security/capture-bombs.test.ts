/** Capture files made to fill memory: little on the disk, much behind it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type Ended, folder, run } from './support/program.ts'

const MIB = 1024 * 1024
/** Node itself takes 60 MiB or so, the flow tables another hundred, and at most 66 MiB of unpacked bytes wait. */
const MOST_RSS_BYTES = 512 * MIB
const MEMBERS = 32

const FILE_HEADER = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex')

function record(capturedLength: number): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(capturedLength, 8)
  header.writeUInt32LE(capturedLength, 12)
  return header
}

/** The same 64 MiB again and again, each in a gzip member of its own: 2 GiB in 2 MB. */
function bomb(unpacked: Buffer): string {
  const path = join(folder(), 'bomb.pcap.gz')
  const member = gzipSync(unpacked, { level: 1 })
  expect(unpacked.length / member.length).toBeGreaterThan(100)
  writeFileSync(path, Buffer.concat([gzipSync(FILE_HEADER), ...Array.from({ length: MEMBERS }, () => member)]))
  return path
}

function inspect(path: string): Promise<Ended> {
  return run(['inspect', path, '--workers', '0'])
}

describe('a gzip bomb', () => {
  test('of large empty packets is read through in memory that stays flat', async () => {
    const packet = Buffer.concat([record(65_535), Buffer.alloc(65_535)])
    const { code, peakRssBytes } = await inspect(bomb(Buffer.concat(Array.from({ length: 1024 }, () => packet))))
    expect(code).toBe(0)
    expect(peakRssBytes).toBeLessThan(MOST_RSS_BYTES)
  }, 60_000)

  test('that unpacks to one packet of 4 GiB is refused at its offset, before any memory is taken', async () => {
    const { code, stderr, peakRssBytes } = await inspect(
      bomb(Buffer.concat([record(0xffffffff), Buffer.alloc(64 * MIB)])),
    )
    expect(code).toBe(0)
    expect(stderr).toContain('malformed at offset 24 of the unpacked data')
    expect(peakRssBytes).toBeLessThan(MOST_RSS_BYTES)
  }, 60_000)

  test('whose header has a name without end is refused', async () => {
    const path = join(folder(), 'name.gz')
    writeFileSync(path, Buffer.concat([Buffer.from('1f8b0808000000000003', 'hex'), Buffer.alloc(64 * MIB, 'n')]))
    const { code, peakRssBytes } = await inspect(path)
    expect(code).not.toBe(0)
    expect(peakRssBytes).toBeLessThan(MOST_RSS_BYTES)
  }, 60_000)
})
