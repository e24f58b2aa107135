/** Writes batches of the record: layout.ts draws them. Entries are gathered until a batch is full, or `flush`. */
import { crc32 } from 'node:zlib'
import type { ConnectionFacts, ConnectionHandle } from '../connection.ts'
import type { ExchangeId } from '../exchange-outlet.ts'
import { FIELD_STRIDE, type MessageView, OwnedMessage } from '../message.ts'
import { writeI64, writeU64, writeVarint } from './bytes.ts'
import {
  BATCH_HEADER_BYTES,
  BatchFlag,
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
  MINOR,
  NO_VNI,
  REQUEST_OFFSETS,
  RecordKind,
} from './layout.ts'

export interface RecordWriterOptions {
  /** 0 to 2^53. */
  readonly node: number
  /** 0 to 65,535. */
  readonly partition: number
  /** A batch is handed on when it has so many bytes; longer bodies are cut into entries that fit. At least MIN_BATCH_BYTES. */
  readonly batchBytes: number
  /** Between threads nothing is damaged on its way. */
  readonly hasChecksum: boolean
}

export const MIN_BATCH_BYTES = 4096
/** Text of a named client that is written: longer than any address. */
const MAX_NAMED_BYTES = 255
/** Offsets are bounded by 2^31 in either direction: 35 minutes. */
const MAX_DELTA_US = 2 ** 31 - 1
/** Times are those that a u64 of nanoseconds holds, 1970 to 2554, less the room for a delta. */
const MAX_TIME_US = 2 ** 64 / 1000 - 2 ** 33
const MAX_EXACT = Number.MAX_SAFE_INTEGER

export class RecordWriter {
  private readonly options: RecordWriterOptions
  private readonly emit: (batch: Uint8Array) => void
  private bytes: Buffer
  private at = 0
  private entries = 0
  private batch = 0
  private baseUs = 0
  /** Where the entry being written began. */
  private entryAt = 0

  /** @param emit takes one batch after the other, each in memory of its own */
  constructor(options: RecordWriterOptions, emit: (batch: Uint8Array) => void) {
    this.options = options
    this.emit = emit
    this.bytes = Buffer.allocUnsafeSlow(options.batchBytes)
  }

  /** @param flags EntryFlag.exchangeEnd where no response will follow */
  request(id: ExchangeId, facts: ConnectionFacts, message: MessageView, flags = 0): void {
    this.message(RecordKind.request, id, facts, message, flags)
  }

  response(id: ExchangeId, facts: ConnectionFacts, message: MessageView, flags = 0): void {
    this.message(RecordKind.response, id, facts, message, flags)
  }

  /** @param flags EntryFlag.ofResponse: of the response */
  gap(id: ExchangeId, timeUs: number, flags = 0): void {
    this.begin(RecordKind.gap, flags, id.connection, id.index, timeUs, ENTRY_HEADER_BYTES)
    this.end(0, 0, 0)
  }

  closed(connection: ConnectionHandle, timeUs: number): void {
    this.begin(RecordKind.closed, 0, connection, 0, timeUs, ENTRY_HEADER_BYTES)
    this.end(0, 0, 0)
  }

  /** Hands on what is gathered. */
  flush(): void {
    if (this.entries === 0) return
    const { bytes, at, options } = this
    bytes.writeUInt32LE(MAGIC, Header.magic)
    bytes[Header.major] = MAJOR
    bytes[Header.minor] = MINOR
    bytes.writeUInt16LE(options.hasChecksum ? BatchFlag.crc : 0, Header.flags)
    bytes.writeUInt16LE(BATCH_HEADER_BYTES, Header.headerBytes)
    bytes.writeUInt16LE(options.partition, Header.partition)
    bytes.writeUInt32LE(this.entries, Header.entries)
    writeU64(bytes, Header.node, options.node)
    writeU64(bytes, Header.batch, this.batch++)
    bytes.writeBigUInt64LE(BigInt(this.baseUs) * 1000n, Header.baseTimeNs)
    bytes.writeUInt32LE(at - BATCH_HEADER_BYTES, Header.bodyBytes)
    const head = bytes.subarray(0, Header.crc)
    bytes.writeUInt32LE(
      options.hasChecksum ? crc32(bytes.subarray(BATCH_HEADER_BYTES, at), crc32(head)) : 0,
      Header.crc,
    )
    this.entries = 0
    this.at = 0
    if (at > bytes.length / 2 || bytes.length > options.batchBytes) {
      this.bytes = Buffer.allocUnsafeSlow(options.batchBytes)
      this.emit(bytes.subarray(0, at))
    } else {
      const batch = Buffer.allocUnsafeSlow(at)
      bytes.copy(batch, 0, 0, at)
      this.emit(batch)
    }
  }

  private message(kind: number, id: ExchangeId, facts: ConnectionFacts, message: MessageView, flags: number): void {
    const { headAt, headEnd, fieldCount, bodyKept } = message
    const owned = message instanceof OwnedMessage ? message : null
    const hash = owned?.sha256 ?? null
    const named = facts.namedClient?.address.slice(0, MAX_NAMED_BYTES) ?? ''
    const headBytes = headEnd - headAt
    const metaBytes = META_BYTES + (hash === null ? 0 : HASH_BYTES) + named.length
    const mostLayout = (REQUEST_OFFSETS + fieldCount * FIELD_STRIDE) * MAX_VARINT_BYTES
    const firstUs = clampedUs(message.firstUs)
    const wholeUs = Math.floor(firstUs)
    const least = ENTRY_HEADER_BYTES + metaBytes + mostLayout + headBytes
    let bodyAt = message.bodyAt
    const bodyEnd = bodyKept ? message.bodyEnd : bodyAt
    const body = message.body
    this.begin(kind, 0, id.connection, id.index, wholeUs, least + Math.min(bodyEnd - bodyAt, this.roomForBody))
    const { bytes } = this
    let at = this.at
    bytes[at + Meta.ipVersion] = facts.ipVersion
    bytes[at + Meta.minorVersion] = message.minorVersion
    bytes.writeUInt16LE(message.flags & 0xffff, at + Meta.messageFlags)
    bytes.writeUInt32LE(facts.vni ?? NO_VNI, at + Meta.vni)
    bytes.writeUInt16LE(facts.clientPort, at + Meta.clientPort)
    bytes.writeUInt16LE(facts.serverPort, at + Meta.serverPort)
    bytes.writeUInt16LE(message.status, at + Meta.status)
    bytes.writeUInt16LE(Math.min(999, Math.round((firstUs - wholeUs) * 1000)), at + Meta.fractionNs)
    for (let w = 0; w < 4; w++) {
      bytes.writeInt32BE(facts.clientWords[w]! | 0, at + Meta.clientAddress + 4 * w)
      bytes.writeInt32BE(facts.serverWords[w]! | 0, at + Meta.serverAddress + 4 * w)
    }
    const durationNs = Math.round((clampedUs(message.lastUs) - wholeUs) * 1000)
    writeI64(bytes, at + Meta.durationNs, Math.min(Math.max(-MAX_EXACT, durationNs), MAX_EXACT))
    writeU64(bytes, at + Meta.bodyLength, message.bodyBytes)
    bytes.writeUInt32LE(fieldCount, at + Meta.fields)
    bytes.writeUInt32LE(id.stream, at + Meta.stream)
    bytes.writeUInt16LE(facts.namedClient?.port ?? 0, at + Meta.namedPort)
    bytes.writeUInt16LE(named.length, at + Meta.namedBytes)
    const metaAt = at
    at += META_BYTES
    if (hash !== null) at += bytes.write(hash, at, HASH_BYTES, 'hex')
    if (named !== '') at += bytes.write(named, at, 'latin1')
    const layoutAt = at
    at = this.layout(message, at)
    bytes.writeUInt32LE(at - layoutAt, metaAt + Meta.layoutBytes)
    at += message.bytes.copy(bytes, at, headAt, headEnd)
    const part = Math.min(bodyEnd - bodyAt, bytes.length - at)
    at += body.copy(bytes, at, bodyAt, bodyAt + part)
    bodyAt += part
    this.at = at
    const end = flags & EntryFlag.exchangeEnd
    let own = hash === null ? 0 : EntryFlag.hash
    if (owned?.isIncomplete === true) own |= EntryFlag.incomplete
    if (bodyKept) own |= EntryFlag.body
    bytes[this.entryAt + Entry.flags] = own | (bodyAt < bodyEnd ? EntryFlag.more : end)
    this.end(metaBytes, headBytes, part)
    while (bodyAt < bodyEnd) {
      const next = Math.min(bodyEnd - bodyAt, this.options.batchBytes - BATCH_HEADER_BYTES - ENTRY_HEADER_BYTES)
      this.begin(RecordKind.body, 0, id.connection, id.index, wholeUs, ENTRY_HEADER_BYTES + next)
      body.copy(this.bytes, this.at, bodyAt, bodyAt + next)
      this.at += next
      bodyAt += next
      this.bytes[this.entryAt + Entry.flags] = bodyAt < bodyEnd ? EntryFlag.more : end
      this.end(0, 0, next)
    }
  }

  /** Bytes of a body for which a message's first entry makes room; the rest follows in others. */
  private get roomForBody(): number {
    return this.options.batchBytes / 2
  }

  private layout(message: MessageView, start: number): number {
    const { bytes } = this
    const { fields, headAt } = message
    let from = headAt
    let at = start
    if (message.status === 0) {
      at = writeVarint(bytes, at, message.methodEnd - from)
      from = message.methodEnd
    }
    at = writeVarint(bytes, at, message.targetAt - from)
    at = writeVarint(bytes, at, message.targetEnd - message.targetAt)
    from = message.targetEnd
    for (let i = 0; i < message.fieldCount * FIELD_STRIDE; i++) {
      at = writeVarint(bytes, at, fields[i]! - from)
      from = fields[i]!
    }
    return at
  }

  /** Makes room for an entry of at most `most` bytes, and writes its header but for the lengths. */
  private begin(kind: number, flags: number, connection: number, sequence: number, timeUs: number, most: number): void {
    const wholeUs = Math.floor(clampedUs(timeUs))
    const isFar = this.entries > 0 && Math.abs(wholeUs - this.baseUs) > MAX_DELTA_US
    if (this.entries > 0 && (isFar || this.at + most > this.options.batchBytes)) this.flush()
    if (this.entries === 0) {
      this.baseUs = wholeUs
      this.at = BATCH_HEADER_BYTES
    }
    // A head alone may be longer than a batch: then the batch is longer.
    if (this.at + most > this.bytes.length) {
      const longer = Buffer.allocUnsafeSlow(this.at + most)
      this.bytes.copy(longer, 0, 0, this.at)
      this.bytes = longer
    }
    const { bytes, at } = this
    bytes[at + Entry.kind] = kind
    bytes[at + Entry.flags] = flags
    writeU64(bytes, at + Entry.connection, connection)
    bytes.writeInt32LE(sequence | 0, at + Entry.sequence)
    bytes.writeInt32LE(wholeUs - this.baseUs, at + Entry.timeDeltaUs)
    this.entryAt = at
    this.at = at + ENTRY_HEADER_BYTES
  }

  private end(metaBytes: number, headBytes: number, bodyBytes: number): void {
    const { bytes, entryAt, at } = this
    bytes.writeUInt16LE(metaBytes, entryAt + Entry.metaBytes)
    bytes.writeUInt32LE(headBytes, entryAt + Entry.headBytes)
    bytes.writeUInt32LE(bodyBytes, entryAt + Entry.bodyBytes)
    bytes.writeUInt32LE(at - entryAt, entryAt + Entry.length)
    this.entries++
    if (at >= this.options.batchBytes) this.flush()
  }
}

function clampedUs(timeUs: number): number {
  return timeUs > 0 ? Math.min(timeUs, MAX_TIME_US) : 0
}
