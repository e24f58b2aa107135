import { MirrorError } from '../../base/errors.ts'
import { readBits32, readU16, readU32 } from './byte-order.ts'
import { CaptureReader, MAX_PACKET_BYTES } from './capture-reader.ts'
import type { InputWindow } from './input-window.ts'
import { INTERFACE_BLOCK_MIN_LEN, PcapngInterface } from './pcapng-interface.ts'

/*
 * pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each section with its own byte order and interfaces.
 *
 *  every block: type u32, length u32 (of the whole block, a multiple of 4), body, the same length u32
 *
 *  byte  Section Header     Enhanced Packet   Packet (obsolete)   Simple Packet
 *     8  byte-order magic   interface         interface u16,      wire length
 *                                             drops u16
 *    12  version u16, u16   time, high        time, high          the packet
 *    16  section length     time, low         time, low
 *    20  (64 bits)          captured length   captured length
 *    24  options            wire length       wire length
 *    28                     the packet        the packet
 */
const LENGTH = 4
const BLOCK_MIN_LEN = 12
const TRAILER_LEN = 4

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const PACKET = 2
const SIMPLE_PACKET = 3
const ENHANCED_PACKET = 6

const BYTE_ORDER = 8
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const MAJOR_VERSION = 12
const SUPPORTED_MAJOR = 1
const SECTION_HEADER_MIN_LEN = 28

const INTERFACE = 8
const TIME_HIGH = 12
const TIME_LOW = 16
const CAPTURED_LENGTH = 20
const WIRE_LENGTH = 24
const PACKET_DATA = 28

const SIMPLE_WIRE_LENGTH = 8
const SIMPLE_DATA = 12

/** Longest block that is believed, bytes. Chosen. */
const MAX_BLOCK_BYTES = 256 * 1024 * 1024

/**
 * Blocks known to carry no packet: names, statistics, IRIG time stamps, ARINC 429, journal entries, secrets, and custom
 * ones. Skipping others is worth a warning.
 */
const SILENT_BLOCKS: readonly number[] = [4, 5, 7, 8, 9, 10, 0xbad, 0x40000bad]

/** Whether a pcapng file begins at `at`; four bytes have to be there. */
export function isPcapng(bytes: Buffer, at: number): boolean {
  return readU32(bytes, at, true) === SECTION_HEADER
}

/** Reads pcapng files. */
export class PcapngReader extends CaptureReader {
  private isLittleEndian = true
  private interfaces: PcapngInterface[] = []
  private skippedBlocks = 0
  private skippedType = 0

  private constructor(window: InputWindow) {
    super(window)
    // A simple packet has no time: it gets that of the one before.
    this.record.timeUs = 0
  }

  /** @throws MirrorError ERR_CAPTURE_FORMAT when the first section header is cut, has no byte order, or is of another version */
  static async open(window: InputWindow): Promise<PcapngReader> {
    const { name } = window.input
    if (!(await window.ensure(SECTION_HEADER_MIN_LEN))) {
      throw new MirrorError(
        'ERR_CAPTURE_FORMAT',
        `${name} ends inside the first pcapng section header: at least ${SECTION_HEADER_MIN_LEN} bytes expected, ${window.end - window.at} came`,
      )
    }
    const littleEndian = findByteOrder(window.bytes, window.at)
    if (littleEndian === null) {
      const found = window.bytes.toString('hex', window.at + BYTE_ORDER, window.at + BYTE_ORDER + 4)
      throw new MirrorError(
        'ERR_CAPTURE_FORMAT',
        `${name} begins like pcapng, but its byte-order magic is ${found}, expected 1a2b3c4d or 4d3c2b1a`,
      )
    }
    const major = readU16(window.bytes, window.at + MAJOR_VERSION, littleEndian)
    if (major !== SUPPORTED_MAJOR) {
      throw new MirrorError('ERR_CAPTURE_FORMAT', `${name} has pcapng version ${major}, expected ${SUPPORTED_MAJOR}`)
    }
    return new PcapngReader(window)
  }

  protected step(): boolean {
    const window = this.window
    for (;;) {
      const { bytes, at } = window
      const have = window.end - at
      if (have < BLOCK_MIN_LEN) return this.wait(BLOCK_MIN_LEN)
      const type = readU32(bytes, at, this.isLittleEndian)
      if (type === SECTION_HEADER) {
        // Before the length: that is in the new section's byte order already.
        const littleEndian = findByteOrder(bytes, at)
        if (littleEndian === null) return this.malformed('a section header without the byte-order magic')
        this.isLittleEndian = littleEndian
      }
      const littleEndian = this.isLittleEndian
      const length = readU32(bytes, at + LENGTH, littleEndian)
      if (length < BLOCK_MIN_LEN || length % 4 !== 0 || length > MAX_BLOCK_BYTES) {
        return this.malformed(
          `a block length of ${length} bytes, expected a multiple of 4 from ${BLOCK_MIN_LEN} to ${MAX_BLOCK_BYTES}`,
        )
      }
      if (have < length) return this.wait(length)
      const lengthAgain = readU32(bytes, at + length - TRAILER_LEN, littleEndian)
      if (lengthAgain !== length) {
        return this.malformed(`a block that states ${length} bytes at its start and ${lengthAgain} at its end`)
      }
      if (type === ENHANCED_PACKET || type === PACKET) return this.packet(type, at, length)
      if (type === SIMPLE_PACKET) return this.simplePacket(at, length)
      if (type === SECTION_HEADER) {
        if (!this.startSection(at, length)) return false
      } else if (type === INTERFACE_DESCRIPTION) {
        if (!this.addInterface(at, length)) return false
      } else if (!SILENT_BLOCKS.includes(type)) {
        this.skippedBlocks++
        this.skippedType = type
      }
      window.at = at + length
    }
  }

  protected override summarise(): void {
    if (this.skippedBlocks === 0) return
    const type = this.skippedType.toString(16).padStart(8, '0')
    this.note(`${this.skippedBlocks} blocks of types that are not read were skipped (the last of type 0x${type})`)
  }

  private packet(type: number, at: number, length: number): boolean {
    const { bytes } = this.window
    const littleEndian = this.isLittleEndian
    const room = length - PACKET_DATA - TRAILER_LEN
    if (room < 0) return this.malformed(`a packet block of ${length} bytes, which is too short for its header`)
    const id =
      type === PACKET ? readU16(bytes, at + INTERFACE, littleEndian) : readU32(bytes, at + INTERFACE, littleEndian)
    const from = this.interfaces[id]
    if (from === undefined) return this.unknownInterface(id)
    const captured = readBits32(bytes, at + CAPTURED_LENGTH, littleEndian)
    if (captured < 0 || captured > room || captured > MAX_PACKET_BYTES) {
      return this.malformed(`a captured length of ${captured >>> 0} bytes in a block with room for ${room}`)
    }
    from.describe(
      this.record,
      readBits32(bytes, at + TIME_HIGH, littleEndian),
      readBits32(bytes, at + TIME_LOW, littleEndian),
    )
    this.setExtent(at + PACKET_DATA, captured, readBits32(bytes, at + WIRE_LENGTH, littleEndian))
    this.window.at = at + length
    return true
  }

  /** It names neither its interface, which is the first, nor a time: the last one seen stays in the record. */
  private simplePacket(at: number, length: number): boolean {
    const room = length - SIMPLE_DATA - TRAILER_LEN
    if (room < 0) return this.malformed(`a simple packet block of ${length} bytes, which is too short for its header`)
    const from = this.interfaces[0]
    if (from === undefined) return this.unknownInterface(0)
    const wireLength = readU32(this.window.bytes, at + SIMPLE_WIRE_LENGTH, this.isLittleEndian)
    const captured = from.snapLength > 0 && from.snapLength < wireLength ? from.snapLength : wireLength
    if (captured > room || captured > MAX_PACKET_BYTES) {
      return this.malformed(`a captured length of ${captured} bytes in a simple packet block with room for ${room}`)
    }
    this.record.linkType = from.linkType
    this.setExtent(at + SIMPLE_DATA, captured, wireLength | 0)
    this.window.at = at + length
    return true
  }

  private startSection(at: number, length: number): boolean {
    if (length < SECTION_HEADER_MIN_LEN) return this.malformed(`a section header of ${length} bytes`)
    const major = readU16(this.window.bytes, at + MAJOR_VERSION, this.isLittleEndian)
    if (major !== SUPPORTED_MAJOR) {
      return this.malformed(`a section of pcapng version ${major}, expected ${SUPPORTED_MAJOR}`)
    }
    this.interfaces = []
    return true
  }

  private addInterface(at: number, length: number): boolean {
    if (length < INTERFACE_BLOCK_MIN_LEN) return this.malformed(`an interface description of ${length} bytes`)
    const added = PcapngInterface.parse(this.window.bytes, at, length, this.isLittleEndian)
    if (added === null) return this.malformed('an interface description whose options do not add up')
    this.interfaces.push(added)
    return true
  }

  private unknownInterface(id: number): false {
    return this.malformed(`a packet of interface ${id}, and the section describes ${this.interfaces.length}`)
  }
}

/** Whether the section that starts at `at` is little-endian; null where its magic is neither. Twelve bytes have to be there. */
function findByteOrder(bytes: Buffer, at: number): boolean | null {
  if (readU32(bytes, at + BYTE_ORDER, true) === BYTE_ORDER_MAGIC) return true
  return readU32(bytes, at + BYTE_ORDER, false) === BYTE_ORDER_MAGIC ? false : null
}
