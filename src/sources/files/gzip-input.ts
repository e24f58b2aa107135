import { crc32, createInflateRaw, type InflateRaw } from 'node:zlib'
import type { ByteInput } from './byte-input.ts'
import { readU16, readU32 } from './byte-order.ts'

/*
 * A gzip member, RFC 1952 section 2.3 (little-endian). A file is one member or several, one after another.
 *
 *  byte  field
 *     0  ID1 ID2   1f 8b
 *     2  CM        8, deflate
 *     3  FLG       which optional fields follow
 *     4  MTIME XFL OS
 *    10  optional: FEXTRA (u16 length, data), FNAME and FCOMMENT (each up to a zero byte), FHCRC (u16)
 *        deflate data, then CRC32 (u32) and ISIZE (u32, modulo 2^32) of what it unpacks to
 */
const FIXED_HEADER_LEN = 10
const TRAILER_LEN = 8
const CM_DEFLATE = 8
const FHCRC = 0x02
const FEXTRA = 0x04
const FNAME = 0x08
const FCOMMENT = 0x10
const RESERVED_FLAGS = 0xe0

/** Packed bytes held at a time. Deflate unpacks to at most 1,032 times as much, which bounds the queue at 66 MiB. */
const PACKED_BYTES = 64 * 1024
/** Unpacked bytes per step of zlib. Where the data is damaged, this much before the damage is lost at most. */
const UNPACKED_BYTES = 64 * 1024

const INCOMPLETE = 0
const MALFORMED = -1

export function isGzip(bytes: Buffer, at: number, end: number): boolean {
  return end - at >= 2 && bytes[at] === 0x1f && bytes[at + 1] === 0x8b
}

/** Length of the member header at `at`, or INCOMPLETE, or MALFORMED. */
function memberHeaderLength(bytes: Buffer, at: number, end: number): number {
  if (end - at < FIXED_HEADER_LEN) return INCOMPLETE
  const flags = bytes[at + 3]!
  if (!isGzip(bytes, at, end) || bytes[at + 2] !== CM_DEFLATE || (flags & RESERVED_FLAGS) !== 0) return MALFORMED
  let next = at + FIXED_HEADER_LEN
  if ((flags & FEXTRA) !== 0) {
    if (end - next < 2) return INCOMPLETE
    next += 2 + readU16(bytes, next, true)
  }
  for (const flag of [FNAME, FCOMMENT]) {
    if ((flags & flag) === 0) continue
    const zero = next < end ? bytes.subarray(next, end).indexOf(0) : -1
    if (zero < 0) return INCOMPLETE
    next += zero + 1
  }
  if ((flags & FHCRC) !== 0) next += 2
  return next <= end ? next - at : INCOMPLETE
}

/**
 * The unpacked side of a gzip stream, member by member.
 *
 * Members are told apart here and not by `createGunzip`, because that discards what it unpacked last when the stream
 * is cut, its checksum is wrong, or something else stands behind it. Here all of that is handed out, with a warning.
 */
export class GzipInput implements ByteInput {
  readonly name: string
  readonly isUnpacked = true
  readonly isReadAhead = false
  readonly bytesTotal: number | null
  private readonly notes: string[] = []
  private readonly packedInput: ByteInput
  private readonly packed: Buffer
  private at = 0
  private end: number
  private state: 'header' | 'data' | 'trailer' | 'ended' = 'header'
  private members = 0
  private inflater: InflateRaw | null = null
  private failure: Error | null = null
  /** Resolves the wait for zlib; set while a step is under way. */
  private settle: () => void = () => {}
  private readonly unpacked: Buffer[] = []
  private checksum = 0
  private unpackedLength = 0
  private hasWrongChecksum = false

  /** @param start bytes of `packedInput` that were already read from it; copied */
  constructor(packedInput: ByteInput, start: Buffer) {
    this.packedInput = packedInput
    this.name = packedInput.name
    this.bytesTotal = packedInput.bytesTotal
    // Twice as much, so that a header may be as long as its extra field can be.
    this.packed = Buffer.allocUnsafe(Math.max(2 * PACKED_BYTES, start.length))
    this.end = start.copy(this.packed)
  }

  get warnings(): readonly string[] {
    return [...this.packedInput.warnings, ...this.notes]
  }

  get bytesRead(): number {
    return this.packedInput.bytesRead
  }

  async read(into: Buffer, at: number): Promise<number> {
    while (this.unpacked.length === 0) {
      if (this.state === 'header') await this.readHeader()
      else if (this.state === 'data') await this.readData()
      else if (this.state === 'trailer') await this.readTrailer()
      else return 0
    }
    let filled = at
    while (filled < into.length && this.unpacked.length > 0) {
      const piece = this.unpacked[0]!
      const length = piece.copy(into, filled)
      filled += length
      if (length === piece.length) this.unpacked.shift()
      else this.unpacked[0] = piece.subarray(length)
    }
    return filled - at
  }

  close(): Promise<void> {
    this.state = 'ended'
    this.inflater?.destroy()
    this.settle()
    return this.packedInput.close()
  }

  private async readHeader(): Promise<void> {
    while (this.end - this.at < 2 && (await this.readPacked()));
    if (this.members > 0) {
      if (this.at === this.end) return this.stop()
      if (!isGzip(this.packed, this.at, this.end)) {
        // Zeros are padding (tapes, block devices); anything else is worth a word.
        return this.stop(this.packed[this.at] === 0 ? undefined : 'what stands there is not gzip and was ignored')
      }
    }
    let length = memberHeaderLength(this.packed, this.at, this.end)
    while (length === INCOMPLETE && (await this.readPacked())) {
      length = memberHeaderLength(this.packed, this.at, this.end)
    }
    if (length === INCOMPLETE) return this.stop('the gzip stream is cut inside a member header')
    if (length === MALFORMED) return this.stop('the gzip member header is malformed')
    this.at += length
    this.members++
    this.startMember()
  }

  private startMember(): void {
    this.state = 'data'
    this.checksum = 0
    this.unpackedLength = 0
    const inflater = createInflateRaw({ chunkSize: UNPACKED_BYTES })
    inflater.on('data', (piece: Buffer) => {
      this.checksum = crc32(piece, this.checksum)
      this.unpackedLength += piece.length
      this.unpacked.push(piece)
    })
    inflater.on('error', (error: Error) => {
      this.failure = error
      this.settle()
    })
    this.inflater = inflater
  }

  private async readData(): Promise<void> {
    if (this.at === this.end && !(await this.readPacked())) return this.stop('the gzip stream is cut')
    const inflater = this.inflater!
    const piece = this.packed.subarray(this.at, Math.min(this.end, this.at + PACKED_BYTES))
    const before = inflater.bytesWritten
    await new Promise<void>((resolve) => {
      this.settle = resolve
      inflater.write(piece, () => resolve())
    })
    if (this.failure !== null) return this.stop(`the gzip data is damaged (${this.failure.message})`)
    const taken = inflater.bytesWritten - before
    this.at += taken
    // zlib takes all it is given, until the deflate data ends.
    if (taken === piece.length || this.state === 'ended') return
    inflater.destroy()
    this.state = 'trailer'
  }

  private async readTrailer(): Promise<void> {
    while (this.end - this.at < TRAILER_LEN) {
      if (!(await this.readPacked())) return this.stop('the gzip stream is cut inside its checksum')
    }
    const checksum = readU32(this.packed, this.at, true)
    const length = readU32(this.packed, this.at + 4, true)
    const isRight = checksum === this.checksum && length === this.unpackedLength % 2 ** 32
    // Once: a file may have any number of members.
    if (!isRight && !this.hasWrongChecksum) {
      this.hasWrongChecksum = true
      this.note('the checksum of the gzip data before it is wrong; the data was used')
    }
    this.at += TRAILER_LEN
    this.state = 'header'
  }

  /** Moves the rest to the front and reads once; false at the end of the input, or when the buffer is full of one header. */
  private async readPacked(): Promise<boolean> {
    this.packed.copyWithin(0, this.at, this.end)
    this.end -= this.at
    this.at = 0
    if (this.end === this.packed.length) return false
    const length = await this.packedInput.read(this.packed, this.end)
    this.end += length
    return length > 0
  }

  private stop(why?: string): void {
    if (why !== undefined) this.note(why)
    this.inflater?.destroy()
    this.state = 'ended'
  }

  private note(why: string): void {
    const offset = this.packedInput.bytesRead - (this.end - this.at)
    this.notes.push(`${this.name}: ${why} (at offset ${offset} of the packed file)`)
  }
}
