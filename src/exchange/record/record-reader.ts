/**
 * Reads batches of the record (layout.ts). Nothing in the bytes is trusted: every length and offset is checked before it is used, what
 * is wrong is a fault with its place, and no bytes make it throw.
 */
import { crc32 } from 'node:zlib'
import { CapturedConnection } from '../captured-connection.ts'
import type { ConnectionFacts, ConnectionHandle } from '../connection.ts'
import { FIELD_STRIDE, MessageFlag, OwnedMessage } from '../message.ts'
import { readI64, readU64 } from './bytes.ts'
import {
  BATCH_HEADER_BYTES,
  BatchFlag,
  CRITICAL_FLAGS,
  ENTRY_HEADER_BYTES,
  Entry,
  EntryFlag,
  HASH_BYTES,
  Header,
  MAGIC,
  MAJOR,
  MAX_VARINT_BYTES,
  META_BYTES,
  Meta,
  NO_VNI,
  REQUEST_OFFSETS,
  RESPONSE_OFFSETS,
  RecordKind,
} from './layout.ts'

export interface RecordFault {
  /** In the bytes given. */
  readonly offset: number
  /** What was expected and what came, as a clause. */
  readonly problem: string
}

/** What a batch says of itself. */
export interface BatchHeader {
  readonly minor: number
  readonly partition: number
  readonly entries: number
  readonly node: number
  readonly batch: number
  readonly baseTimeUs: number
  /** Of header and entries. */
  readonly bytes: number
}

/** An entry of a known kind. Memory of messages is that of the bytes read: it is theirs as long as nobody writes to it. */
export interface RecordEntry {
  /** A RecordKind. */
  readonly kind: number
  /** Bits of EntryFlag. */
  readonly flags: number
  readonly connection: ConnectionHandle
  readonly stream: number
  readonly sequence: number
  readonly timeUs: number
  /** Of request and response. */
  readonly message: OwnedMessage | null
  readonly facts: ConnectionFacts | null
  /** Of kind `body`. */
  readonly body: Buffer | null
}

/** Bytes of the batch that begins at `at`, or 0: fewer than its header are there, or a fault. For readers of streams. */
export function batchBytesAt(bytes: Buffer, at: number, end = bytes.length): number | RecordFault {
  if (end - at < BATCH_HEADER_BYTES) return 0
  const header = headerFault(bytes, at)
  if (header !== null) return header
  return bytes.readUInt16LE(at + Header.headerBytes) + bytes.readUInt32LE(at + Header.bodyBytes)
}

/** Reads one batch after the other from bytes that hold them whole. */
export class RecordReader {
  /** Why reading ended before the end of the bytes; null: it did not. */
  fault: RecordFault | null = null
  /** Of the batch that the last entry came from; null before the first. */
  header: BatchHeader | null = null
  /** Entries of a kind that this version does not know, passed over. */
  skipped = 0
  private readonly bytes: Buffer
  private at: number
  private readonly end: number
  private batchEnd: number
  private entriesLeft = 0

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
    this.batchEnd = at
  }

  /** The next entry of a known kind; null at the end, or where `fault` says why. */
  next(): RecordEntry | null {
    while (this.fault === null) {
      if (this.entriesLeft === 0) {
        if (this.at !== this.batchEnd)
          return this.fail(this.at, `the batch to end, got ${this.batchEnd - this.at} bytes more`)
        if (this.at === this.end || !this.beginBatch()) return null
        continue
      }
      const entry = this.entry()
      if (entry !== null) return entry
    }
    return null
  }

  private beginBatch(): boolean {
    const { bytes, at, end } = this
    if (end - at < BATCH_HEADER_BYTES) {
      this.fail(at, `a batch header of ${BATCH_HEADER_BYTES} bytes, got ${end - at}`)
      return false
    }
    const size = batchBytesAt(bytes, at, end)
    if (typeof size !== 'number') {
      this.fault = size
      return false
    }
    if (size > end - at) {
      this.fail(at, `a batch of ${size} bytes, got ${end - at}`)
      return false
    }
    const headerBytes = bytes.readUInt16LE(at + Header.headerBytes)
    const stated = bytes.readUInt32LE(at + Header.crc)
    const hasChecksum = (bytes.readUInt16LE(at + Header.flags) & BatchFlag.crc) !== 0
    const found = hasChecksum
      ? crc32(bytes.subarray(at + BATCH_HEADER_BYTES, at + size), crc32(bytes.subarray(at, at + Header.crc)))
      : 0
    if (found !== stated) {
      this.fail(
        at,
        hasChecksum
          ? `the checksum ${hex(found)} of the batch, got ${hex(stated)}`
          : `no checksum where its flag is not set, got ${hex(stated)}`,
      )
      return false
    }
    this.entriesLeft = bytes.readUInt32LE(at + Header.entries)
    this.header = {
      minor: bytes[at + Header.minor]!,
      partition: bytes.readUInt16LE(at + Header.partition),
      entries: this.entriesLeft,
      node: readU64(bytes, at + Header.node),
      batch: readU64(bytes, at + Header.batch),
      baseTimeUs: Number(bytes.readBigUInt64LE(at + Header.baseTimeNs) / 1000n),
      bytes: size,
    }
    this.at = at + headerBytes
    this.batchEnd = at + size
    return true
  }

  /** Null: an entry of an unknown kind, or a fault. */
  private entry(): RecordEntry | null {
    const { bytes, at, batchEnd } = this
    if (batchEnd - at < ENTRY_HEADER_BYTES)
      return this.fail(at, `an entry of at least ${ENTRY_HEADER_BYTES} bytes, got ${batchEnd - at}`)
    const length = bytes.readUInt32LE(at + Entry.length)
    if (length < ENTRY_HEADER_BYTES || length > batchEnd - at)
      return this.fail(at, `an entry of ${ENTRY_HEADER_BYTES} to ${batchEnd - at} bytes, got ${length}`)
    this.entriesLeft--
    this.at = at + length
    const kind = bytes[at + Entry.kind]!
    const timeUs = this.header!.baseTimeUs + bytes.readInt32LE(at + Entry.timeDeltaUs)
    switch (kind) {
      case RecordKind.request:
      case RecordKind.response:
        return this.messageEntry(at, at + length, kind, timeUs)
      case RecordKind.gap:
      case RecordKind.closed:
        return this.made(at, kind, timeUs, 0, null, null, null)
      case RecordKind.body: {
        const bodyAt = at + ENTRY_HEADER_BYTES + bytes.readUInt16LE(at + Entry.metaBytes)
        const bodyEnd = bodyAt + bytes.readUInt32LE(at + Entry.bodyBytes)
        if (bodyEnd > this.at) return this.fail(at, `parts within the entry's ${length} bytes, got ${bodyEnd - at}`)
        return this.made(at, kind, timeUs, 0, null, null, bytes.subarray(bodyAt, bodyEnd))
      }
      default:
        this.skipped++
        return null
    }
  }

  private messageEntry(at: number, end: number, kind: number, timeUs: number): RecordEntry | null {
    const { bytes } = this
    const flags = bytes[at + Entry.flags]!
    const metaBytes = bytes.readUInt16LE(at + Entry.metaBytes)
    const headBytes = bytes.readUInt32LE(at + Entry.headBytes)
    const bodyBytes = bytes.readUInt32LE(at + Entry.bodyBytes)
    const hasHash = (flags & EntryFlag.hash) !== 0
    const leastMeta = META_BYTES + (hasHash ? HASH_BYTES : 0)
    const metaAt = at + ENTRY_HEADER_BYTES
    if (metaBytes < leastMeta || metaBytes > end - metaAt)
      return this.fail(at, `a meta of ${leastMeta} to ${end - metaAt} bytes, got ${metaBytes}`)
    const layoutAt = metaAt + metaBytes
    const layoutBytes = bytes.readUInt32LE(metaAt + Meta.layoutBytes)
    const headAt = layoutAt + layoutBytes
    const bodyAt = headAt + headBytes
    const parts = bodyAt + bodyBytes - at
    if (parts > end - at) return this.fail(at, `parts within the entry's ${end - at} bytes, got ${parts}`)
    const namedBytes = bytes.readUInt16LE(metaAt + Meta.namedBytes)
    if (leastMeta + namedBytes > metaBytes)
      return this.fail(metaAt, `a named client of at most ${metaBytes - leastMeta} bytes, got ${namedBytes}`)
    const ipVersion = bytes[metaAt + Meta.ipVersion]!
    if (ipVersion !== 4 && ipVersion !== 6) return this.fail(metaAt, `IP version 4 or 6, got ${ipVersion}`)
    const status = bytes.readUInt16LE(metaAt + Meta.status)
    const isRequest = kind === RecordKind.request
    if (isRequest ? status !== 0 : status < 100 || status > 999)
      return this.fail(metaAt, `status ${isRequest ? '0 in a request' : '100 to 999'}, got ${status}`)
    const minorVersion = bytes[metaAt + Meta.minorVersion]!
    if (minorVersion > 1) return this.fail(metaAt, `HTTP/1.0 or 1.1, got 1.${minorVersion}`)
    const fraction = bytes.readUInt16LE(metaAt + Meta.fractionNs)
    if (fraction > 999) return this.fail(metaAt, `a fraction of 0 to 999 ns, got ${fraction}`)
    const message = this.laidOut(isRequest, metaAt, layoutAt, headAt, headBytes)
    if (message === null) return null
    message.bytes = bytes.subarray(headAt, bodyAt)
    message.headEnd = headBytes
    message.status = status
    message.minorVersion = minorVersion
    message.flags = bytes.readUInt16LE(metaAt + Meta.messageFlags)
    message.bodyBytes = readU64(bytes, metaAt + Meta.bodyLength)
    message.contentLength = message.has(MessageFlag.hasLength) ? message.bodyBytes : 0
    message.firstUs = timeUs + fraction / 1000
    message.lastUs = timeUs + readI64(bytes, metaAt + Meta.durationNs) / 1000
    message.isIncomplete = (flags & EntryFlag.incomplete) !== 0
    message.bodyKept = (flags & EntryFlag.body) !== 0
    if (message.bodyKept) {
      message.body = bytes.subarray(bodyAt, bodyAt + bodyBytes)
      message.bodyEnd = bodyBytes
      const isWhole = bodyBytes === message.bodyBytes || (flags & EntryFlag.more) !== 0
      if (!isWhole) return this.fail(at, `a body of ${message.bodyBytes} bytes, got ${bodyBytes}`)
    } else if (bodyBytes > 0) return this.fail(at, `no body without its flag, got ${bodyBytes} bytes`)
    const afterMeta = metaAt + META_BYTES
    if (hasHash) message.sha256 = bytes.toString('hex', afterMeta, afterMeta + HASH_BYTES)
    const facts = this.factsAt(at, metaAt, ipVersion)
    if (namedBytes > 0) {
      const textAt = metaAt + leastMeta
      facts.namedClient = {
        address: bytes.toString('latin1', textAt, textAt + namedBytes),
        port: bytes.readUInt16LE(metaAt + Meta.namedPort),
      }
    }
    return this.made(at, kind, timeUs, bytes.readUInt32LE(metaAt + Meta.stream), message, facts, null)
  }

  /** A message with the offsets of its head read and checked; null where they are wrong. */
  private laidOut(
    isRequest: boolean,
    metaAt: number,
    layoutAt: number,
    layoutEnd: number,
    headBytes: number,
  ): OwnedMessage | null {
    const { bytes } = this
    const fieldCount = bytes.readUInt32LE(metaAt + Meta.fields)
    const own = isRequest ? REQUEST_OFFSETS : RESPONSE_OFFSETS
    // Each offset takes a byte at least: no more memory is asked for than the entry has bytes.
    const offsets = own + fieldCount * FIELD_STRIDE
    if (offsets > layoutEnd - layoutAt)
      return this.fail(metaAt, `a layout for ${fieldCount} fields, got ${layoutEnd - layoutAt} bytes`)
    const fields: number[] = []
    const message = new OwnedMessage(fields)
    message.fieldCount = fieldCount
    let at = layoutAt
    let offset = 0
    for (let i = 0; i < offsets; i++) {
      let distance = 0
      let scale = 1
      const first = at
      for (; at < layoutEnd && at - first < MAX_VARINT_BYTES - 1 && bytes[at]! > 0x7f; at++, scale *= 128)
        distance += (bytes[at]! & 0x7f) * scale
      if (at === layoutEnd || bytes[at]! > 0x7f)
        return this.fail(first, `a number of at most ${MAX_VARINT_BYTES} bytes within the layout`)
      distance += bytes[at++]! * scale
      offset += distance
      if (offset > headBytes) return this.fail(first, `an offset within the head's ${headBytes} bytes, got ${offset}`)
      if (i >= own) fields.push(offset)
      else if (isRequest && i === 0) message.methodEnd = offset
      else if (i === own - 2) message.targetAt = offset
      else message.targetEnd = offset
    }
    if (at !== layoutEnd) return this.fail(at, `the layout to end, got ${layoutEnd - at} bytes more`)
    return message
  }

  private factsAt(at: number, metaAt: number, ipVersion: number): CapturedConnection {
    const { bytes } = this
    const wordsAt = (from: number) => [0, 4, 8, 12].map((w) => bytes.readInt32BE(metaAt + from + w))
    const vni = bytes.readUInt32LE(metaAt + Meta.vni)
    return new CapturedConnection(
      readU64(bytes, at + Entry.connection),
      ipVersion,
      wordsAt(Meta.clientAddress),
      bytes.readUInt16LE(metaAt + Meta.clientPort),
      wordsAt(Meta.serverAddress),
      bytes.readUInt16LE(metaAt + Meta.serverPort),
      vni === NO_VNI ? null : vni,
    )
  }

  private made(
    at: number,
    kind: number,
    timeUs: number,
    stream: number,
    message: OwnedMessage | null,
    facts: ConnectionFacts | null,
    body: Buffer | null,
  ): RecordEntry {
    const { bytes } = this
    return {
      kind,
      flags: bytes[at + Entry.flags]!,
      connection: readU64(bytes, at + Entry.connection),
      stream,
      sequence: bytes.readInt32LE(at + Entry.sequence),
      timeUs,
      message,
      facts,
      body,
    }
  }

  private fail(offset: number, problem: string): null {
    this.fault = { offset, problem: `expected ${problem}` }
    return null
  }
}

/** What makes the 48 bytes at `at` no header of a batch that can be read; null: nothing. */
function headerFault(bytes: Buffer, at: number): RecordFault | null {
  const magic = bytes.readUInt32LE(at + Header.magic)
  if (magic !== MAGIC) return { offset: at, problem: `expected a batch that begins with MSRB, got ${hex(magic)}` }
  const major = bytes[at + Header.major]!
  if (major !== MAJOR)
    return { offset: at + Header.major, problem: `expected version ${MAJOR} of the record, got ${major}` }
  const flags = bytes.readUInt16LE(at + Header.flags)
  const unknown = flags & CRITICAL_FLAGS & ~BatchFlag.crc
  if (unknown !== 0)
    return { offset: at + Header.flags, problem: `expected no flags that must be understood, got ${hex(unknown)}` }
  const headerBytes = bytes.readUInt16LE(at + Header.headerBytes)
  if (headerBytes < BATCH_HEADER_BYTES)
    return {
      offset: at + Header.headerBytes,
      problem: `expected a header of at least ${BATCH_HEADER_BYTES} bytes, got ${headerBytes}`,
    }
  return null
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}
