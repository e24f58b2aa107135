import { MirrorError } from '../../base/errors.ts'
import { readBits32, readU16, readU32 } from './byte-order.ts'
import { CaptureReader, MAX_PACKET_BYTES } from './capture-reader.ts'
import type { InputWindow } from './input-window.ts'
import {
  CAPTURED_LENGTH,
  FILE_HEADER_LEN,
  FRACTION,
  KUZNETZOV_RECORD_HEADER_LEN,
  LINK_TYPE,
  MAGIC_KUZNETZOV,
  MAGIC_MICROSECONDS,
  MAGIC_NANOSECONDS,
  RECORD_HEADER_LEN,
  VERSION_MAJOR,
  VERSION_MINOR,
  WIRE_LENGTH,
} from './pcap-layout.ts'

const MAGICS: readonly number[] = [MAGIC_MICROSECONDS, MAGIC_NANOSECONDS, MAGIC_KUZNETZOV]

/** The bits above are flags, e.g. the length of a frame check sequence after each packet. The same mask as libpcap's. */
const LINK_TYPE_MASK = 0x03ffffff

/** Whether a pcap file begins at `at`; four bytes have to be there. */
export function isPcap(bytes: Buffer, at: number): boolean {
  return MAGICS.includes(readU32(bytes, at, true)) || MAGICS.includes(readU32(bytes, at, false))
}

/** Reads classic pcap files of either byte order. */
export class PcapReader extends CaptureReader {
  private readonly isLittleEndian: boolean
  private readonly recordHeaderLen: number
  /** Microseconds per unit of the fraction field. */
  private readonly fractionUs: number

  private constructor(window: InputWindow) {
    super(window)
    const { bytes, at } = window
    this.isLittleEndian = MAGICS.includes(readU32(bytes, at, true))
    const magic = readU32(bytes, at, this.isLittleEndian)
    this.recordHeaderLen = magic === MAGIC_KUZNETZOV ? KUZNETZOV_RECORD_HEADER_LEN : RECORD_HEADER_LEN
    this.fractionUs = magic === MAGIC_NANOSECONDS ? 0.001 : 1
    this.record.linkType = readU32(bytes, at + LINK_TYPE, this.isLittleEndian) & LINK_TYPE_MASK
  }

  /** @throws MirrorError ERR_CAPTURE_FORMAT when the file header is cut or of another version */
  static async open(window: InputWindow): Promise<PcapReader> {
    const { name } = window.input
    if (!(await window.ensure(FILE_HEADER_LEN))) {
      throw new MirrorError(
        'ERR_CAPTURE_FORMAT',
        `${name} ends inside the pcap file header: ${FILE_HEADER_LEN} bytes expected, ${window.end - window.at} came`,
      )
    }
    const reader = new PcapReader(window)
    const major = readU16(window.bytes, window.at + VERSION_MAJOR, reader.isLittleEndian)
    if (major !== 2) {
      const minor = readU16(window.bytes, window.at + VERSION_MINOR, reader.isLittleEndian)
      throw new MirrorError('ERR_CAPTURE_FORMAT', `${name} has pcap version ${major}.${minor}, expected 2.x`)
    }
    window.at += FILE_HEADER_LEN
    return reader
  }

  protected step(): boolean {
    const window = this.window
    const { bytes, at } = window
    const have = window.end - at
    const headerLen = this.recordHeaderLen
    if (have < headerLen) return this.wait(headerLen)
    const littleEndian = this.isLittleEndian
    const captured = readBits32(bytes, at + CAPTURED_LENGTH, littleEndian)
    if (captured < 0 || captured > MAX_PACKET_BYTES) {
      return this.malformed(`a captured length of ${captured >>> 0} bytes, at most ${MAX_PACKET_BYTES} can be`)
    }
    if (have < headerLen + captured) return this.wait(headerLen + captured)
    const seconds = readBits32(bytes, at, littleEndian) >>> 0
    const fraction = readBits32(bytes, at + FRACTION, littleEndian) >>> 0
    this.record.timeUs = seconds * 1e6 + fraction * this.fractionUs
    this.setExtent(at + headerLen, captured, readBits32(bytes, at + WIRE_LENGTH, littleEndian))
    window.at = at + headerLen + captured
    return true
  }
}
