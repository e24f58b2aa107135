import { closeSync, fchmodSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { describeSystemError, MirrorError } from '../../base/errors.ts'
import {
  CAPTURED_LENGTH,
  FILE_HEADER_LEN,
  FRACTION,
  LINK_TYPE,
  MAGIC_MICROSECONDS,
  RECORD_HEADER_LEN,
  SNAP_LENGTH,
  VERSION_MAJOR,
  VERSION_MINOR,
  WIRE_LENGTH,
} from './pcap-layout.ts'

/** The usual maximum: readers refuse files with longer packets. What is longer is cut, and keeps its length on the wire. */
const MAX_SNAP_LENGTH = 262_144
const BUFFER_BYTES = 1024 * 1024
const MAX_U32 = 0xffffffff

/**
 * Writes a classic little-endian pcap file with microseconds.
 *
 * Writing is synchronous, once per megabyte: what comes faster than the disk has to wait, it must not pile up in memory.
 * Only whole records are written, and a write that fails is taken back: the file is valid to its last record.
 */
export class PcapWriter {
  readonly path: string
  private readonly fd: number
  private readonly buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  private used = 0
  /** Bytes safely in the file, always whole records. */
  private written = 0
  private isClosed = false

  private constructor(path: string, fd: number) {
    this.path = path
    this.fd = fd
  }

  /**
   * Creates the file or empties it; only its owner may read it, since captures hold secrets.
   * @throws MirrorError ERR_OUTPUT
   */
  static create(path: string, linkType: number): PcapWriter {
    let fd: number
    try {
      fd = openSync(path, 'w', 0o600)
      makePrivate(fd)
    } catch (error) {
      throw outputError(path, error)
    }
    const writer = new PcapWriter(path, fd)
    writer.writeFileHeader(linkType)
    return writer
  }

  /**
   * Adds the packet [at, end) of `bytes`, which are copied.
   * @param wireLength raised to the captured length where it is below
   * @param timeUs since the Unix epoch; times that the format cannot say (before 1970, after 2106) become the nearest it can
   * @throws MirrorError ERR_OUTPUT when the buffer was full and could not be written; the writer is closed then
   */
  write(bytes: Uint8Array, at: number, end: number, wireLength: number, timeUs: number): void {
    if (this.isClosed) throw new MirrorError('ERR_OUTPUT', `cannot write ${this.path}: it is closed`)
    const captured = Math.min(end - at, MAX_SNAP_LENGTH)
    if (this.buffer.length - this.used < RECORD_HEADER_LEN + captured) this.flush()
    const { buffer, used } = this
    const wholeUs = Math.floor(timeUs)
    const seconds = Math.floor(wholeUs / 1e6)
    const isSayable = seconds >= 0 && seconds <= MAX_U32
    buffer.writeUInt32LE(isSayable ? seconds : seconds > MAX_U32 ? MAX_U32 : 0, used)
    buffer.writeUInt32LE(isSayable ? wholeUs - seconds * 1e6 : 0, used + FRACTION)
    buffer.writeUInt32LE(captured, used + CAPTURED_LENGTH)
    buffer.writeUInt32LE(Math.min(Math.max(wireLength, end - at), MAX_U32), used + WIRE_LENGTH)
    buffer.set(bytes.subarray(at, at + captured), used + RECORD_HEADER_LEN)
    this.used = used + RECORD_HEADER_LEN + captured
  }

  /** Writes what is buffered, so that others can read the file up to here. @throws MirrorError ERR_OUTPUT */
  flush(): void {
    if (this.isClosed) return
    let done = 0
    try {
      while (done < this.used) done += writeSync(this.fd, this.buffer, done, this.used - done)
    } catch (error) {
      this.abandon()
      throw outputError(this.path, error)
    }
    this.written += this.used
    this.used = 0
  }

  /** Writes what is buffered and closes the file. Idempotent. @throws MirrorError ERR_OUTPUT */
  close(): void {
    if (this.isClosed) return
    this.flush()
    this.isClosed = true
    try {
      closeSync(this.fd)
    } catch (error) {
      // Network file systems report a full disk here.
      throw outputError(this.path, error)
    }
  }

  private writeFileHeader(linkType: number): void {
    const header = this.buffer.fill(0, 0, FILE_HEADER_LEN)
    header.writeUInt32LE(MAGIC_MICROSECONDS, 0)
    header.writeUInt16LE(2, VERSION_MAJOR)
    header.writeUInt16LE(4, VERSION_MINOR)
    header.writeUInt32LE(MAX_SNAP_LENGTH, SNAP_LENGTH)
    header.writeUInt32LE(linkType, LINK_TYPE)
    this.used = FILE_HEADER_LEN
    // At once: a file that cannot be written is known before the capture begins, and an empty capture is valid too.
    this.flush()
  }

  private abandon(): void {
    this.used = 0
    this.isClosed = true
    try {
      if (fstatSync(this.fd).isFile()) ftruncateSync(this.fd, this.written)
      closeSync(this.fd)
    } catch {
      // The failed write is what gets reported.
    }
  }
}

/** A file that was there keeps its old mode, which may be open to all; devices and pipes are not ours to change. */
function makePrivate(fd: number): void {
  const stat = fstatSync(fd)
  if (!stat.isFile() || (stat.mode & 0o077) === 0) return
  try {
    fchmodSync(fd, 0o600)
  } catch {
    // Of another owner, or on a file system without modes: who may write there has decided who reads.
  }
}

function outputError(path: string, error: unknown): MirrorError {
  return new MirrorError('ERR_OUTPUT', `cannot write ${path}: ${describeSystemError(error)}`, { cause: error })
}
