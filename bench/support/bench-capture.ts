/** The capture file that the file and replay benches read: generated once, or the one that was given. */
import { join } from 'node:path'
import { openCapture } from '../../src/sources/files/open-capture.ts'
import { PcapWriter } from '../../src/sources/files/pcap-writer.ts'
import { u16 } from '../../src/wire/bytes.ts'
import { IPV4_TOTAL_LENGTH } from '../../src/wire/ip.ts'
import { LinkType } from '../../src/wire/link-type.ts'
import { keepAliveFrames, type TrafficSize } from './keep-alive-traffic.ts'
import type { BenchOptions } from './options.ts'
import { count } from './table.ts'

export interface BenchCapture {
  readonly path: string
  readonly name: string
  readonly packets: number
  readonly requests: number
  /** null: not known, the capture was given. */
  readonly connections: number | null
  readonly bytes: number
}

export const SEED = 1
export const FULL: TrafficSize = { connections: 4_000, requestsPerConnection: 25 }
const QUICK: TrafficSize = { connections: 200, requestsPerConnection: 25 }
export const US_PER_FRAME = 50
const ETHERNET_LEN = 14
/** 2026-01-01, any time would do. */
export const FIRST_US = 1_767_225_600e6

const made = new Map<string, BenchCapture>()

/** @param directory where a generated capture is put, once */
export async function benchCapture(options: BenchOptions, directory: string): Promise<BenchCapture> {
  if (options.file !== null && options.requests !== null) return measureCapture(options.file, options.requests)
  const path = join(directory, 'keep-alive.pcap')
  const present = made.get(path)
  if (present !== undefined) return present
  const capture = generate(path, options.quick ? QUICK : FULL)
  made.set(path, capture)
  return capture
}

export function captureInWords(capture: BenchCapture): string {
  return `${capture.name}, ${count(capture.packets)} packets, ${count(capture.requests)} requests, ${(capture.bytes / 1e6).toFixed(1)} MB`
}

function generate(path: string, size: TrafficSize): BenchCapture {
  const writer = PcapWriter.create(path, LinkType.ethernet)
  let packets = 0
  let bytes = 0
  for (const frame of keepAliveFrames(SEED, size)) {
    const length = unpaddedLength(frame)
    writer.write(frame, 0, length, length, FIRST_US + packets * US_PER_FRAME)
    packets++
    bytes += length
  }
  writer.close()
  return {
    path,
    name: `keep-alive traffic, seed ${SEED}`,
    packets,
    requests: size.connections * size.requestsPerConnection,
    connections: size.connections,
    bytes,
  }
}

/** As the sending host captures it, before its network card pads it: tcpflow takes the padding of a SYN for data. */
export function unpaddedLength(frame: Buffer): number {
  return ETHERNET_LEN + u16(frame, ETHERNET_LEN + IPV4_TOTAL_LENGTH)
}

async function measureCapture(path: string, requests: number): Promise<BenchCapture> {
  const source = await openCapture(path)
  let packets = 0
  let bytes = 0
  while (await source.fill()) {
    while (source.next()) {
      packets++
      bytes += source.record.end - source.record.at
    }
  }
  await source.close()
  return { path, name: path, packets, requests, connections: null, bytes }
}
