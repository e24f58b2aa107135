import type { ByteInput } from './byte-input.ts'

/** Small at first, so that hundreds of files can be open for a merge; whoever reads on gets the full size. */
const FIRST_BYTES = 64 * 1024
const FULL_BYTES = 512 * 1024
/** Before what was read ahead: room for the unfinished record of the window before. */
const HEADROOM = 64 * 1024

const NOTHING = Buffer.alloc(0)

/**
 * The part of an input that is in memory: unread bytes are [at, end) of `bytes`.
 *
 * It grows only when it is full of one unfinished record, by doubling: a length field that lies costs no memory that the
 * input did not really fill.
 */
export class InputWindow {
  readonly input: ByteInput
  bytes: Buffer
  at = 0
  end = 0
  private readonly fullBytes: number
  private readonly headroom: number
  /** Offset in the input of `bytes[0]`. */
  private origin = 0
  /** The other window of two that take turns, and the read into it, after the headroom, that is under way. */
  private spare: Buffer = NOTHING
  private ahead: Promise<number> | null = null
  private mayReadAhead = false

  /** @param windowBytes the size to begin and stay with, unless a record is larger; at least 1 */
  constructor(input: ByteInput, windowBytes?: number) {
    this.input = input
    this.fullBytes = windowBytes ?? FULL_BYTES
    this.headroom = windowBytes ?? HEADROOM
    this.bytes = Buffer.allocUnsafe(windowBytes ?? FIRST_BYTES)
  }

  /** Offset in the input (unpacked, for gzip) of the byte at `at`. */
  get offset(): number {
    return this.origin + this.at
  }

  /** From here on nobody else reads the input: it may be read before it is asked for. */
  allowReadAhead(): void {
    this.mayReadAhead = this.input.isReadAhead
  }

  /**
   * Reads once, after the unread bytes, which move to the front of `bytes` (maybe of another `bytes`).
   * @returns false at the end of the input
   * @throws MirrorError ERR_CAPTURE_READ
   */
  async more(): Promise<boolean> {
    let length: number
    if (this.ahead !== null) {
      length = await this.ahead
      this.ahead = null
      this.turnOver(length)
    } else {
      this.makeRoom()
      length = await this.input.read(this.bytes, this.end)
      this.end += length
    }
    if (length > 0 && this.mayReadAhead && this.bytes.length >= this.fullBytes) this.readAhead()
    return length > 0
  }

  /** Reads until `length` unread bytes are there; false when the input ends before. */
  async ensure(length: number): Promise<boolean> {
    while (this.end - this.at < length) {
      if (!(await this.more())) return false
    }
    return true
  }

  /** Lets go of the memory. */
  release(): void {
    this.origin += this.end
    this.bytes = NOTHING
    this.spare = NOTHING
    this.at = 0
    this.end = 0
  }

  /** The disk, or the copy out of the page cache, works while this window is walked over. */
  private readAhead(): void {
    if (this.spare.length === 0) this.spare = Buffer.allocUnsafe(this.headroom + this.fullBytes)
    this.ahead = this.input.read(this.spare, this.headroom)
    // Whoever comes for it is told; nobody may come, after a stop.
    this.ahead.catch(() => {})
  }

  /** Goes on in the spare window, into which `length` bytes were read. */
  private turnOver(length: number): void {
    const rest = this.end - this.at
    const { spare, headroom } = this
    if (rest > headroom) {
      // A record larger than the room for it: it grows where it is.
      this.makeRoom(length)
      this.end += spare.copy(this.bytes, this.end, headroom, headroom + length)
      return
    }
    this.bytes.copy(spare, headroom - rest, this.at, this.end)
    this.spare = this.bytes.length === spare.length ? this.bytes : NOTHING
    this.bytes = spare
    this.origin += this.at - (headroom - rest)
    this.at = headroom - rest
    this.end = headroom + length
  }

  /** @param least room after the unread bytes */
  private makeRoom(least = 0): void {
    const rest = this.end - this.at
    let capacity = this.bytes.length
    if (this.at > 0 && capacity < this.fullBytes) capacity = this.fullBytes
    while (capacity < 2 * rest || capacity - rest < least) capacity *= 2
    if (capacity > this.bytes.length) {
      const larger = Buffer.allocUnsafe(capacity)
      this.bytes.copy(larger, 0, this.at, this.end)
      this.bytes = larger
    } else if (this.at > 0) {
      this.bytes.copyWithin(0, this.at, this.end)
    }
    this.origin += this.at
    this.at = 0
    this.end = rest
  }
}
