import type { Readable } from 'node:stream'
import { MirrorError } from '../../base/errors.ts'
import type { RecordSource } from '../capture-record.ts'
import type { ByteInput } from './byte-input.ts'
import { FileInput } from './file-input.ts'
import { GzipInput, isGzip } from './gzip-input.ts'
import { InputWindow } from './input-window.ts'
import { isPcap, PcapReader } from './pcap-reader.ts'
import { isPcapng, PcapngReader } from './pcapng-reader.ts'
import { StreamInput } from './stream-input.ts'

/** Length of the longest magic number looked at, bytes. */
const MAGIC_LEN = 4
/** How much of what is not a capture is shown. */
const SHOWN_BYTES = 16

/** Formats that people mistake for a capture, by their first bytes in hex, and what to do about it. */
const KNOWN_OTHERS: Readonly<Record<string, string>> = {
  '28b52ffd': 'zstd data: unpack it first',
  '425a68': 'bzip2 data: unpack it first',
  fd377a58: 'xz data: unpack it first',
  '04224d18': 'lz4 data: unpack it first',
  '504b0304': 'a zip archive: unpack it first',
  '1f8b': 'gzip data inside gzip data: unpack it first',
  '736e6f6f70': 'a snoop capture: convert it with "editcap -F pcap"',
  '474d4255': 'a Network Monitor capture: convert it with "editcap -F pcap"',
}

const EXPECTED = 'expected pcap or pcapng, or either in gzip'

/**
 * Opens a capture file; its format is told from its content, never from its name.
 *
 * @param path `-` is standard input
 * @throws MirrorError ERR_CAPTURE_OPEN when it cannot be opened, ERR_CAPTURE_FORMAT when it is not a capture,
 *   ERR_CAPTURE_READ when it cannot be read
 */
export async function openCapture(path: string, options: { stdin?: Readable } = {}): Promise<RecordSource> {
  return openCaptureInput(path === '-' ? openStandardInput(options.stdin ?? process.stdin) : await FileInput.open(path))
}

function openStandardInput(stdin: Readable): ByteInput {
  if ((stdin as { isTTY?: boolean }).isTTY === true) {
    throw new MirrorError(
      'ERR_CAPTURE_OPEN',
      'cannot open standard input: it is a terminal, expected a capture piped in',
    )
  }
  return new StreamInput('standard input', stdin)
}

/**
 * The same for any input, which it closes when it throws.
 * @param windowBytes how much of the input is held in memory at a time, for tests; a record always fits
 */
export async function openCaptureInput(input: ByteInput, windowBytes?: number): Promise<RecordSource> {
  let window = new InputWindow(input, windowBytes)
  try {
    await window.ensure(MAGIC_LEN)
    if (isGzip(window.bytes, window.at, window.end)) {
      const unpacked = new GzipInput(input, window.bytes.subarray(window.at, window.end))
      window = new InputWindow(unpacked, windowBytes)
      await window.ensure(MAGIC_LEN)
    }
    if (window.end - window.at >= MAGIC_LEN) {
      if (isPcap(window.bytes, window.at)) return await PcapReader.open(window)
      if (isPcapng(window.bytes, window.at)) return await PcapngReader.open(window)
    }
    await window.ensure(SHOWN_BYTES)
    throw notACapture(window)
  } catch (error) {
    await window.input.close()
    throw error
  }
}

function notACapture(window: InputWindow): MirrorError {
  const { input } = window
  const start = window.bytes.subarray(window.at, Math.min(window.end, window.at + SHOWN_BYTES))
  const what = input.isUnpacked
    ? `${input.name} holds gzip data that is not a capture`
    : `${input.name} is not a capture`
  const why = input.warnings.map((warning) => `; ${warning}`).join('')
  return new MirrorError('ERR_CAPTURE_FORMAT', `${what}: ${EXPECTED}, found ${describeStart(start)}${why}`)
}

function describeStart(start: Buffer): string {
  if (start.length === 0) return 'nothing: it is empty'
  const hex = start.toString('hex')
  for (const [magic, name] of Object.entries(KNOWN_OTHERS)) {
    if (hex.startsWith(magic)) return name
  }
  // Only printable characters may reach the terminal.
  const text = start.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
  return `${hex.replace(/..(?=.)/g, '$& ')} ("${text}")`
}
