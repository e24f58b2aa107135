import type { ByteInput } from './byte-input.ts'

/** Small at first, so that hundreds of files can be open for a merge; whoever reads on gets the full size. */
const FIRST_BYTES = 64 * 1024
const FULL_BYTES = 1024 * 1024

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
  /** Offset in the input of `bytes[0]`. */
  private origin = 0

  /** @param windowBytes the size to begin and stay with, unless a record is larger; at least 1 */
  constructor(input: ByteInput, windowBytes?: number) {
    this.input = input
    this.fullBytes = windowBytes ?? FULL_BYTES
    this.bytes = Buffer.allocUnsafe(windowBytes ?? FIRST_BYTES)
  }

  /** Offset in the input (unpacked, for gzip) of the byte at `at`. */
  get offset(): number {
    return this.origin + this.at
  }

  /**
   * Reads once, behind the unread bytes, which move to the front of `bytes` (maybe of another `bytes`).
   * @returns false at the end of the input
   * @throws MirrorError ERR_CAPTURE_READ
   */
  async more(): Promise<boolean> {
    this.makeRoom()
    const length = await this.input.read(this.bytes, this.end)
    this.end += length
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
    this.at = 0
    this.end = 0
  }

  private makeRoom(): void {
    const rest = this.end - this.at
    let capacity = this.bytes.length
    if (this.at > 0 && capacity < this.fullBytes) capacity = this.fullBytes
    while (capacity < 2 * rest) capacity *= 2
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
