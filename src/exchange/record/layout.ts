/*
 * The record: exchanges as bytes, for files, a bus, and between threads. docs/record-format.md says the same for other programs.
 *
 * A record is a row of batches; a batch is a header and entries. All numbers are little-endian and unsigned unless said otherwise.
 *
 *  batch header, 48 bytes
 *   byte  size  field
 *      0     4  MAGIC           "MSRB"
 *      4     1  MAJOR           1; another is refused
 *      5     1  MINOR           0; a later one is read: what it adds is skipped by its length
 *      6     2  BATCH_FLAGS     bit 0: CRC is set. Bits 0 to 7 must be understood, 8 to 15 may be ignored
 *      8     2  HEADER_BYTES    48, or more where a later version has more to say
 *     10     2  PARTITION
 *     12     4  ENTRIES         number of entries
 *     16     8  NODE            who wrote it
 *     24     8  BATCH           number of the batch among those of the node and partition
 *     32     8  BASE_TIME_NS    since the Unix epoch
 *     40     4  BATCH_BYTES     of all entries
 *     44     4  CRC             CRC-32 (IEEE 802.3) of the header's bytes before it, those after it, and the entries; 0 where it is not set
 *
 *  entry, 32 bytes, then its parts without gaps: meta, layout, head, body
 *      0     4  LENGTH          of the whole entry, these 32 bytes included; what follows the parts is skipped
 *      4     1  KIND            request 1, response 2, gap 3, closed 4, body 5; another is skipped
 *      5     1  ENTRY_FLAGS
 *      6     2  META_BYTES
 *      8     8  CONNECTION      the same number for all entries of a connection, within a node
 *     16     4  SEQUENCE        of the request in its connection, from 0 (signed); below 0: responses whose request was not seen
 *     20     4  TIME_DELTA_US   from BASE_TIME_NS (signed): first byte of the message; of others, when it happened
 *     24     4  HEAD_BYTES
 *     28     4  BODY_BYTES      of this entry
 *
 *  meta of request and response, 80 bytes, then SHA-256 (32 bytes, flag), then the named client's address as text; none of other kinds
 *      0     1  IP_VERSION      4 or 6
 *      1     1  MINOR_VERSION   of HTTP/1.x: 0 or 1
 *      2     2  MESSAGE_FLAGS   MessageFlag
 *      4     4  VNI             2^32 - 1: none
 *      8     2  CLIENT_PORT
 *     10     2  SERVER_PORT
 *     12     2  STATUS          0 in requests
 *     14     2  FRACTION_NS     of the first byte's time, 0 to 999
 *     16    16  CLIENT_ADDRESS  network order; IPv4 in the first 4 bytes, the rest 0
 *     32    16  SERVER_ADDRESS
 *     48     8  DURATION_NS     from TIME_DELTA_US to the last byte (signed: it may have come before the first)
 *     56     8  BODY_LENGTH     of the body without transfer coding, also where it is not here
 *     64     4  LAYOUT_BYTES
 *     68     4  FIELDS          number of header fields
 *     72     4  STREAM          0 in HTTP/1
 *     76     2  NAMED_PORT      of the client that a PROXY header names
 *     78     2  NAMED_BYTES     of its address; 0: none named
 *
 *  layout: where the parts of the head lie, as LEB128 numbers of at most 5 bytes. Each is the distance from the one before it, the
 *  first from the start of the head: of a request the end of the method; start and end of the target (of a response: of the reason);
 *  then for each field start and end of the name, start and end of the value.
 */
export const BATCH_HEADER_BYTES = 48
/** "MSRB", read as a little-endian number. */
export const MAGIC = 0x4252534d
export const MAJOR = 1
export const MINOR = 0

export const Header = {
  magic: 0,
  major: 4,
  minor: 5,
  flags: 6,
  headerBytes: 8,
  partition: 10,
  entries: 12,
  node: 16,
  batch: 24,
  baseTimeNs: 32,
  bodyBytes: 40,
  crc: 44,
} as const

export const BatchFlag = { crc: 1 } as const
/** Flags that a reader must understand. */
export const CRITICAL_FLAGS = 0xff

export const ENTRY_HEADER_BYTES = 32

export const Entry = {
  length: 0,
  kind: 4,
  flags: 5,
  metaBytes: 6,
  connection: 8,
  sequence: 16,
  timeDeltaUs: 20,
  headBytes: 24,
  bodyBytes: 28,
} as const

export const RecordKind = {
  /** A complete request. */
  request: 1,
  /** A response, interim ones too. */
  response: 2,
  /** The request of this number is not in the record: it was dropped. With flag `ofResponse`: its response is not, and will not come. */
  gap: 3,
  /** No more entries of this connection follow. */
  closed: 4,
  /** More bytes of the body of the message of the same connection and number; its entry, or another of these, comes right before. */
  body: 5,
} as const

export const EntryFlag = {
  /** SHA-256 of the body follows the meta. */
  hash: 1,
  /** Bytes of the message are missing. */
  incomplete: 2,
  /** The body is here, whole or as far as it came; else only its length. */
  body: 4,
  /** The body continues in an entry of kind `body`. */
  more: 8,
  /** The last entry of its exchange. */
  exchangeEnd: 16,
  /** Of a gap. */
  ofResponse: 32,
} as const

export const META_BYTES = 80
export const HASH_BYTES = 32

export const Meta = {
  ipVersion: 0,
  minorVersion: 1,
  messageFlags: 2,
  vni: 4,
  clientPort: 8,
  serverPort: 10,
  status: 12,
  fractionNs: 14,
  clientAddress: 16,
  serverAddress: 32,
  durationNs: 48,
  bodyLength: 56,
  layoutBytes: 64,
  fields: 68,
  stream: 72,
  namedPort: 76,
  namedBytes: 78,
} as const

export const NO_VNI = 0xffffffff
/** Of a LEB128 number: 35 bits, for offsets below 2^32. */
export const MAX_VARINT_BYTES = 5
/** Offsets before those of the fields: method, target; or reason. */
export const REQUEST_OFFSETS = 3
export const RESPONSE_OFFSETS = 2
