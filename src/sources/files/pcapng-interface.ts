import type { CaptureRecord } from '../capture-record.ts'
import { readU16, readU32 } from './byte-order.ts'

/*
 * Body of an Interface Description Block (draft-ietf-opsawg-pcapng section 4.2), offsets from the block's start:
 * link type u16 at 8, snapLength u32 at 12, options from 16 on: code u16, length u16, value padded to 4 bytes.
 */
const LINK_TYPE = 8
const SNAP_LENGTH = 12
const OPTIONS = 16
const TRAILER_LEN = 4

const OPT_END = 0
const IF_TSRESOL = 9
const IF_TSOFFSET = 14

/** Microseconds in 2^32 seconds; below 2^53, so exact. */
const HIGH_UNIT_US = 2 ** 32 * 1e6

/** Shortest block that can hold an interface, bytes. */
export const INTERFACE_BLOCK_MIN_LEN = OPTIONS + TRAILER_LEN

/** What is known of one interface: how its packets' lengths and times are to be read. */
export class PcapngInterface {
  readonly linkType: number
  /** Longest captured packet, bytes; 0 = no limit. */
  readonly snapLength: number
  /** Microseconds per unit of the time stamp's low word. */
  private readonly lowUs: number
  /**
   * Microseconds per unit of its high word, as a whole number and the rest: the product with the whole number is exact,
   * so that a time in microseconds comes out to the digit, and a finer one is rounded once.
   */
  private readonly highWholeUs: number
  private readonly highRestUs: number
  private readonly offsetUs: number

  private constructor(linkType: number, snapLength: number, resolution: number, offsetUs: number) {
    this.linkType = linkType
    this.snapLength = snapLength
    const exponent = resolution & 0x7f
    const perSecond = (resolution & 0x80) === 0 ? 10 ** exponent : 2 ** exponent
    this.lowUs = 1e6 / perSecond
    // Divided as whole numbers, because the quotient's rounding error times the high word would be 0.1 us.
    const rest = HIGH_UNIT_US % perSecond
    this.highWholeUs = (HIGH_UNIT_US - rest) / perSecond
    this.highRestUs = rest / perSecond
    this.offsetUs = offsetUs
  }

  /**
   * @param length of the whole block at `at`, at least INTERFACE_BLOCK_MIN_LEN
   * @returns null when its options do not add up
   */
  static parse(bytes: Buffer, at: number, length: number, littleEndian: boolean): PcapngInterface | null {
    let resolution = 6
    let offsetUs = 0
    let option = at + OPTIONS
    const end = at + length - TRAILER_LEN
    while (end - option >= 4) {
      const code = readU16(bytes, option, littleEndian)
      if (code === OPT_END) break
      const valueLength = readU16(bytes, option + 2, littleEndian)
      const value = option + 4
      if (valueLength > end - value) return null
      if (code === IF_TSRESOL) {
        if (valueLength !== 1) return null
        resolution = bytes[value]!
      } else if (code === IF_TSOFFSET) {
        if (valueLength !== 8) return null
        offsetUs = readSigned64(bytes, value, littleEndian) * 1e6
      }
      option = value + ((valueLength + 3) & ~3)
    }
    const linkType = readU16(bytes, at + LINK_TYPE, littleEndian)
    return new PcapngInterface(linkType, readU32(bytes, at + SNAP_LENGTH, littleEndian), resolution, offsetUs)
  }

  /**
   * Gives `record` the link type and the time of a packet of this interface.
   * @param high and `low`: the time stamp's words as `readBits32` gives them
   */
  describe(record: CaptureRecord, high: number, low: number): void {
    const unsignedHigh = high >>> 0
    record.linkType = this.linkType
    record.timeUs =
      unsignedHigh * this.highWholeUs + (unsignedHigh * this.highRestUs + (low >>> 0) * this.lowUs) + this.offsetUs
  }
}

/** Nearest number; exact below 2^53. */
function readSigned64(bytes: Buffer, at: number, littleEndian: boolean): number {
  const high = readU32(bytes, littleEndian ? at + 4 : at, littleEndian) | 0
  return high * 2 ** 32 + readU32(bytes, littleEndian ? at : at + 4, littleEndian)
}
