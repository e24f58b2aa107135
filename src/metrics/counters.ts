/**
 * Every counter of the product in one table, and the shared memory they are published through.
 *
 * A thread owns one CounterBlock: it adds to a plain Float64Array of its own and publishes the whole block once per
 * batch. The main thread reads all blocks and sums them; only it speaks Prometheus.
 *
 *  One block in the SharedArrayBuffer, 64-byte aligned (a triple buffer):
 *
 *   byte                  field    written by         meaning
 *      0                  HOLDERS  owner and reader,  u32: which of the three copies is the owner's to write, which was published last,
 *                                  by compare-and-    and which is the reader's. Drawn at `holders` below
 *                                  swap
 *     64 + COPY_BYTES i   copy i   owner, while it    BLOCK_VALUES x float64, in the order of this file
 *                                  holds it
 *
 *  The owner fills its copy and swaps it with the published one; the reader swaps its copy with the published one where that is newer, and
 *  reads. Neither waits for the other, and an owner that dies while it fills its copy leaves the publication before whole.
 *
 *  Why no word of a copy is read and written at once, on any processor (ECMA-262 section 29, Memory Model). The copies are written and read
 *  by plain accesses, which order nothing and may tear. But each copy has one holder at a time, and changes hands in HOLDERS only, whose
 *  accesses are sequentially consistent:
 *
 *  - owner to reader: the owner's writes to copy i come before its compare-and-swap in program order; the reader's compare-and-swap reads
 *    what that stored, so the one synchronizes with the other; the reader's reads of copy i come after it. So the writes happen before the
 *    reads, and every read gives the value of that publication.
 *  - reader to owner: the reader's reads of copy i come before the compare-and-swap by which it puts the copy back as the published one; the
 *    owner takes it by a later compare-and-swap of the same word, and writes after that. So the reads happen before the writes.
 *  - an owner that begins where another one ended reads the published copy, or the reader's, and both are only read by others meanwhile.
 *
 *  So the program has no data race here, and is sequentially consistent (Data Race Freedom). A sequence lock, with plain reads between two
 *  looks at a version, is not: an ordering load does not keep the plain loads before it from moving behind it, nor an ordering store
 *  the plain stores behind it from moving before it (arm64: LDAR, STLR).
 *
 *  One thread reads: the main one. Integers stay exact in a float64 up to 2^53, which no counter reaches.
 */
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../base/drop.ts'
import { PASSED_OVER_VALUES, passOver } from './passed-over.ts'

type Kind = 'counter' | 'gauge'
export interface ScalarCounter {
  readonly metric: string
  readonly kind: Kind
  readonly help: string
}

/** Single numbers. The key is the name in code; `metric` the name in Prometheus. */
export const SCALARS = {
  packetsReceived: {
    metric: 'mirrorshard_source_packets_total',
    kind: 'counter',
    help: 'Packets (capture records or mirrored datagrams) taken from the source.',
  },
  bytesReceived: {
    metric: 'mirrorshard_source_bytes_total',
    kind: 'counter',
    help: 'Bytes of those packets as captured.',
  },
  packetsProcessed: {
    metric: 'mirrorshard_packets_processed_total',
    kind: 'counter',
    help: 'Packets fully processed: TCP segments reassembled, and packets without TCP to read.',
  },
  packetsOther: {
    metric: 'mirrorshard_packets_other_total',
    kind: 'counter',
    help: 'Processed packets without TCP (ARP, DNS, …) or filtered by --ports.',
  },
  packetsTruncated: {
    metric: 'mirrorshard_packets_truncated_total',
    kind: 'counter',
    help: 'Packets shorter than their IP header says: truncated by the mirror or the capture.',
  },
  fragmentsHeld: {
    metric: 'mirrorshard_fragments_held',
    kind: 'gauge',
    help: 'IP fragments waiting for the rest of their datagram. They count as received and not yet as processed.',
  },
  fragmentBytes: {
    metric: 'mirrorshard_fragment_store_bytes',
    kind: 'gauge',
    help: 'Bytes held in the fragment store.',
  },
  datagramsReassembled: {
    metric: 'mirrorshard_fragment_datagrams_total',
    kind: 'counter',
    help: 'Datagrams reassembled from IP fragments.',
  },
  geneveCriticalOptions: {
    metric: 'mirrorshard_geneve_critical_options_total',
    kind: 'counter',
    help: 'Unknown critical GENEVE options that were skipped.',
  },
  packetsDispatched: {
    metric: 'mirrorshard_dispatch_packets_total',
    kind: 'counter',
    help: 'TCP packets handed to a shard.',
  },
  shedRatio: {
    metric: 'mirrorshard_dispatch_shed_ratio',
    kind: 'gauge',
    help: 'Share of connections shed now, 0 to 1, at the most overloaded shard. Their packets are dropped with reason shed.',
  },
  ringBytes: { metric: 'mirrorshard_ring_used_bytes', kind: 'gauge', help: 'Bytes waiting in the rings.' },
  kernelDropped: {
    metric: 'mirrorshard_kernel_drops_total',
    kind: 'counter',
    help: 'Datagrams the kernel dropped because the receive buffer was full.',
  },
  kernelReassemblyFailed: {
    metric: 'mirrorshard_kernel_reassembly_failures_total',
    kind: 'counter',
    help: 'Fragmented IP datagrams that the kernel failed to reassemble since startup, in the whole network namespace (ReasmFails of /proc/net/snmp and snmp6). Mirrored ones among them never reached us and are in no other count. With --interface mirrorshard reassembles fragments itself.',
  },
  receiveBufferBytes: {
    metric: 'mirrorshard_receive_buffer_bytes',
    kind: 'gauge',
    help: 'Receive buffer granted by the kernel, for all sockets together.',
  },

  flowsOpened: { metric: 'mirrorshard_flows_opened_total', kind: 'counter', help: 'TCP connections seen.' },
  flowsOpen: { metric: 'mirrorshard_flows_open', kind: 'gauge', help: 'TCP connections in the flow table.' },
  flowsExpired: {
    metric: 'mirrorshard_flows_expired_total',
    kind: 'counter',
    help: 'Connections closed by the idle time-out.',
  },
  flowsEvicted: {
    metric: 'mirrorshard_flows_evicted_total',
    kind: 'counter',
    help: 'Open connections evicted because memory was short: half-open ones first, then those without data, then silent ones.',
  },
  flowsMultipath: {
    metric: 'mirrorshard_flows_multipath_total',
    kind: 'counter',
    help: 'Connections not read, or not read further, because they are one of several of a multipath TCP connection (RFC 8684).',
  },
  flowsRepeated: {
    metric: 'mirrorshard_flows_repeated_total',
    kind: 'counter',
    help: 'Connections not read because they begin with both initial sequence numbers of one that ended: a second copy.',
  },
  flowTableBytes: {
    metric: 'mirrorshard_flow_table_bytes',
    kind: 'gauge',
    help: 'Memory of the flow table: the rows it has room for. It never shrinks.',
  },
  flowsLost: {
    metric: 'mirrorshard_flows_lost_total',
    kind: 'counter',
    help: 'Connections lost with a shard that died.',
  },
  flowsUnsettled: {
    metric: 'mirrorshard_flows_unsettled',
    kind: 'gauge',
    help: 'Connections that are open, or closed with requests still held: these are lost if the shard dies now.',
  },
  gaps: {
    metric: 'mirrorshard_reassembly_gaps_total',
    kind: 'counter',
    help: 'Gaps declared: bytes that will not arrive.',
  },
  gapBytes: { metric: 'mirrorshard_reassembly_gap_bytes_total', kind: 'counter', help: 'Bytes in those gaps.' },
  segmentBytes: {
    metric: 'mirrorshard_reassembly_bytes_total',
    kind: 'counter',
    help: 'Stream bytes delivered in order.',
  },
  segmentsOutOfOrder: {
    metric: 'mirrorshard_reassembly_out_of_order_total',
    kind: 'counter',
    help: 'Segments that had to wait for earlier bytes.',
  },
  segmentsDuplicate: {
    metric: 'mirrorshard_reassembly_duplicate_total',
    kind: 'counter',
    help: 'Segments that brought no new byte.',
  },
  segmentsWithoutAck: {
    metric: 'mirrorshard_reassembly_without_ack_total',
    kind: 'counter',
    help: 'Segments ignored because they carry no ACK flag: their receiver discards them (RFC 9293 section 3.10.7.4).',
  },
  segmentsAckUnsent: {
    metric: 'mirrorshard_reassembly_ack_unsent_total',
    kind: 'counter',
    help: 'Segments ignored because they acknowledge bytes that their peer was not seen to send (RFC 9293 section 3.10.7.4).',
  },
  segmentsAckOld: {
    metric: 'mirrorshard_reassembly_ack_old_total',
    kind: 'counter',
    help: 'Segments ignored because their acknowledgement is older than any window (RFC 5961 section 5.2).',
  },
  segmentsOldTimestamp: {
    metric: 'mirrorshard_reassembly_old_timestamp_total',
    kind: 'counter',
    help: 'Segments ignored because their timestamp is older than the last (PAWS, RFC 7323 section 5).',
  },
  segmentsOutOfWindow: {
    metric: 'mirrorshard_reassembly_out_of_window_total',
    kind: 'counter',
    help: 'Segments ignored because they are beyond the window of their receiver, or far from any possible window.',
  },
  segmentsUnsigned: {
    metric: 'mirrorshard_reassembly_signature_total',
    kind: 'counter',
    help: 'Segments ignored because they carry a TCP signature that their connection does not, or none where it does (RFC 2385, RFC 5925).',
  },
  segmentsSynData: {
    metric: 'mirrorshard_reassembly_syn_data_refused_total',
    kind: 'counter',
    help: 'SYNs whose data the server did not acknowledge (TCP Fast Open, RFC 7413).',
  },
  segmentsSynInWindow: {
    metric: 'mirrorshard_reassembly_syn_in_connection_total',
    kind: 'counter',
    help: 'SYNs in an open connection that do not belong to it: ignored until both sides have shown new sequence numbers (RFC 5961 section 4.2).',
  },
  resetsIgnored: {
    metric: 'mirrorshard_reassembly_resets_ignored_total',
    kind: 'counter',
    help: 'RSTs that their receiver ignores: not exactly at the next expected number (RFC 5961 section 3.2).',
  },
  overlapsDiffering: {
    metric: 'mirrorshard_reassembly_overlaps_differing_total',
    kind: 'counter',
    help: 'Overlaps in the out-of-order store whose bytes differ.',
  },
  outOfOrderBytes: {
    metric: 'mirrorshard_reassembly_out_of_order_bytes',
    kind: 'gauge',
    help: 'Bytes in the out-of-order store.',
  },
  resyncUnproven: {
    metric: 'mirrorshard_http_resync_unproven_bytes_total',
    kind: 'counter',
    help: 'Bytes skipped after a gap or a mid-stream start because no message boundary was proven.',
  },
  afterAmbiguous: {
    metric: 'mirrorshard_http_after_ambiguous_bytes_total',
    kind: 'counter',
    help: 'Bytes skipped because an ambiguous message ended HTTP on that direction.',
  },
  tunnelBytes: {
    metric: 'mirrorshard_http_tunnel_bytes_total',
    kind: 'counter',
    help: 'Bytes after an accepted CONNECT or upgrade.',
  },
  otherNetworkPackets: {
    metric: 'mirrorshard_reassembly_other_network_packets_total',
    kind: 'counter',
    help: 'Packets with the addresses and ports of an open connection that come from another network (VNI, VLAN tags) and do not fit it: two connections that --flow-key does not tell apart.',
  },
  behindCloseBytes: {
    metric: 'mirrorshard_http_behind_close_bytes_total',
    kind: 'counter',
    help: 'Bytes that clients sent after a Connection: close of either side, where no server reads a request (RFC 9112 section 9.6).',
  },
  unreadableConnections: {
    metric: 'mirrorshard_http_unreadable_connections_total',
    kind: 'counter',
    help: 'Connections whose client began with something other than an HTTP/1 request, although the server answered in HTTP/1.',
  },
  unaskedResponses: {
    metric: 'mirrorshard_http_unasked_responses_total',
    kind: 'counter',
    help: 'Final responses for which no request was read: it was lost, or was not recognised as one.',
  },
  otherProtocolBytes: {
    metric: 'mirrorshard_http_other_protocol_bytes_total',
    kind: 'counter',
    help: 'Bytes of connections that are not HTTP/1.',
  },

  connectionBytes: {
    metric: 'mirrorshard_http_connection_bytes',
    kind: 'gauge',
    help: 'Memory for the state of connections that carry data, and for requests remembered until their response arrives.',
  },
  messageBytes: {
    metric: 'mirrorshard_http_message_bytes',
    kind: 'gauge',
    help: 'Memory for messages being read, and with inspect for exchanges that wait for their response.',
  },
  exchangesShed: {
    metric: 'mirrorshard_exchanges_shed_total',
    kind: 'counter',
    help: 'Exchanges that inspect printed without the whole response, because --message-bytes was reached.',
  },

  requestsParsed: {
    metric: 'mirrorshard_requests_parsed_total',
    kind: 'counter',
    help: 'Requests whose first line was recognised.',
  },
  requestsHeld: {
    metric: 'mirrorshard_requests_held',
    kind: 'gauge',
    help: 'Requests being parsed, queued or in flight.',
  },
  requestsForwarded: {
    metric: 'mirrorshard_requests_forwarded_total',
    kind: 'counter',
    help: 'With several targets: complete requests handed to them. What became of each is counted by target.',
  },
  requestBodyBytes: {
    metric: 'mirrorshard_request_body_bytes_total',
    kind: 'counter',
    help: 'Transfer-decoded body bytes of complete requests.',
  },
  responsesParsed: {
    metric: 'mirrorshard_responses_parsed_total',
    kind: 'counter',
    help: 'Captured responses whose status line was recognised.',
  },
  responsesCompleted: {
    metric: 'mirrorshard_responses_completed_total',
    kind: 'counter',
    help: 'Captured responses read to their end.',
  },
  responsesHeld: { metric: 'mirrorshard_responses_held', kind: 'gauge', help: 'Captured responses being read.' },

  replayQueued: {
    metric: 'mirrorshard_replay_queued',
    kind: 'gauge',
    help: 'Requests waiting for their turn or for a connection.',
  },
  replayQueuedBytes: {
    metric: 'mirrorshard_replay_queued_bytes',
    kind: 'gauge',
    help: 'Memory held by queued and in-flight requests.',
  },
  replayInFlight: {
    metric: 'mirrorshard_replay_in_flight',
    kind: 'gauge',
    help: 'Requests written and not yet answered.',
  },
  replayConnections: {
    metric: 'mirrorshard_replay_connections_total',
    kind: 'counter',
    help: 'Connections opened to the origin.',
  },
  replayRetries: {
    metric: 'mirrorshard_replay_retries_total',
    kind: 'counter',
    help: 'Requests sent again: idempotent ones, on a reused connection that closed before any byte of an answer.',
  },
  replayPoisoned: {
    metric: 'mirrorshard_replay_poisoned_connections_total',
    kind: 'counter',
    help: 'Connections closed because the origin sent bytes that answer no request (--engine wire).',
  },
  replayBodyBytes: {
    metric: 'mirrorshard_replay_response_bytes_total',
    kind: 'counter',
    help: 'Body bytes of the origin\u2019s answers.',
  },
  circuitOpened: {
    metric: 'mirrorshard_replay_circuit_opened_total',
    kind: 'counter',
    help: 'Times the circuit breaker opened.',
  },
  circuitOpen: {
    metric: 'mirrorshard_replay_circuit_open',
    kind: 'gauge',
    help: 'Shards whose circuit breaker is open now.',
  },
  latencySumUs: {
    metric: 'mirrorshard_replay_latency_microseconds_sum',
    kind: 'counter',
    help: 'Sum of the latencies of answered requests.',
  },
  addedLatencySumUs: {
    metric: 'mirrorshard_replay_added_latency_microseconds_sum',
    kind: 'counter',
    help: 'Sum of the added latencies of live requests.',
  },
  heapBytes: {
    metric: 'mirrorshard_thread_heap_bytes',
    kind: 'gauge',
    help: 'JavaScript heap in use, by thread, sampled once a second.',
  },
  externalBytes: {
    metric: 'mirrorshard_thread_external_bytes',
    kind: 'gauge',
    help: 'Memory outside the heap that the thread’s objects hold: buffers.',
  },
} as const satisfies Readonly<Record<string, ScalarCounter>>

export type ScalarName = keyof typeof SCALARS
const SCALAR_NAMES = Object.keys(SCALARS) as ScalarName[]

/**
 * Buckets of times in whole microseconds, up to 2^29 us (nine minutes): each microsecond below `steps` has its own, from there on each
 * power of two has `steps` of equal width. So a bucket is at most 1 / `steps` of its lower bound wide.
 */
export class TimeBuckets {
  readonly count: number
  private readonly steps: number
  private readonly bits: number

  /** @param bits steps are 2^bits */
  constructor(bits: number) {
    this.bits = bits
    this.steps = 1 << bits
    this.count = this.steps + this.steps * (29 - bits)
  }

  of(us: number): number {
    if (us < this.steps) return us < 0 ? 0 : us | 0
    const v = us > 0x1fffffff ? 0x1fffffff : us | 0
    const shift = 31 - Math.clz32(v) - this.bits
    return this.steps + shift * this.steps + ((v >>> shift) & (this.steps - 1))
  }

  /** Upper bound (exclusive) of a bucket, microseconds. */
  end(bucket: number): number {
    const { steps } = this
    if (bucket < steps) return bucket + 1
    const shift = Math.floor((bucket - steps) / steps)
    return (steps + ((bucket - steps) % steps) + 1) * 2 ** shift
  }
}

/** Written to answered: 16 steps, at most 6.25 % wide. */
export const LATENCY_BUCKETS = new TimeBuckets(4)
/** Captured to written: 8 steps, at most 12.5 % wide. Coarser, because every publication copies it. */
export const ADDED_LATENCY_BUCKETS = new TimeBuckets(3)

/** Index of each scalar in a block. */
export const Counter = Object.freeze(Object.fromEntries(SCALAR_NAMES.map((name, i) => [name, i]))) as {
  readonly [K in ScalarName]: number
}

/** First index of each vector in a block; element `code` of a vector stands at base + code. */
export const PACKET_DROPS = SCALAR_NAMES.length
export const REQUEST_DROPS = PACKET_DROPS + PACKET_DROP_NAMES.length
export const RESPONSE_DROPS = REQUEST_DROPS + REQUEST_DROP_NAMES.length
export const OUTCOMES = RESPONSE_DROPS + RESPONSE_DROP_NAMES.length
export const LATENCIES = OUTCOMES + OUTCOME_NAMES.length
export const ADDED_LATENCIES = LATENCIES + LATENCY_BUCKETS.count
export const COUNTERS = ADDED_LATENCIES + ADDED_LATENCY_BUCKETS.count
/** Behind the counters, which can be added up, the tables of what was passed over, which cannot. */
export const PASSED_OVER_AT = COUNTERS
export const BLOCK_VALUES = PASSED_OVER_AT + PASSED_OVER_VALUES

const COPIES_AT = 64
/** A multiple of 64: no cache line belongs to two copies. */
const COPY_BYTES = Math.ceil((BLOCK_VALUES * 8) / 64) * 64
/** Bytes of one block, a multiple of 64. */
export const COUNTER_BLOCK_BYTES = COPIES_AT + 3 * COPY_BYTES

const HOLDERS = 0
/** HOLDERS, from bit 0 on: the owner's copy, the published one, the reader's, 2 bits each. Memory begins as zeros, which stand for 0, 1, 2. */
const AT_FIRST = 0 | (1 << 2) | (2 << 4)
/** The published copy is newer than the reader's. */
const FRESH = 1 << 6

function holders(own: number, published: number, read: number, fresh: number): number {
  return (own | (published << 2) | (read << 4) | fresh) ^ AT_FIRST
}

function ownCopy(word: number): number {
  return (word ^ AT_FIRST) & 3
}

function publishedCopy(word: number): number {
  return ((word ^ AT_FIRST) >> 2) & 3
}

function readCopy(word: number): number {
  return ((word ^ AT_FIRST) >> 4) & 3
}

function copiesOf(memory: SharedArrayBuffer, byteOffset: number): Float64Array[] {
  return [0, 1, 2].map((i) => new Float64Array(memory, byteOffset + COPIES_AT + i * COPY_BYTES, BLOCK_VALUES))
}

/** The counters of one thread. `values` is private to the thread; `publish` makes them visible. */
export class CounterBlock {
  readonly values = new Float64Array(BLOCK_VALUES)
  private readonly words: Int32Array
  private readonly copies: readonly Float64Array[]
  /** Behind it `values` and all copies hold zeros: the latencies of a thread that sends nothing, what was passed over in most. */
  private used: Float64Array

  /** @param byteOffset start of the block in `memory`, a multiple of 64. With no `memory` the block is for one thread. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(COUNTER_BLOCK_BYTES), byteOffset = 0) {
    this.words = new Int32Array(memory, byteOffset, 1)
    this.copies = copiesOf(memory, byteOffset)
    // A restarted worker goes on counting where the previous one's last publication ended.
    const word = Atomics.load(this.words, HOLDERS)
    this.values.set(this.copies[(word & FRESH) !== 0 ? publishedCopy(word) : readCopy(word)]!)
    // In the owner's copy, too: a worker that died while it filled it left there what it never published.
    const last = Math.max(...this.copies.map((copy) => copy.findLastIndex((value) => value !== 0)))
    this.used = this.values.subarray(0, last < LATENCIES ? LATENCIES : last < COUNTERS ? COUNTERS : BLOCK_VALUES)
  }

  add(counter: number, n = 1): void {
    this.values[counter]! += n
  }

  set(counter: number, n: number): void {
    this.values[counter] = n
  }

  get(counter: number): number {
    return this.values[counter]!
  }

  packetDrop(code: number, n = 1): void {
    this.values[PACKET_DROPS + code]! += n
  }

  requestDrop(code: number, n = 1): void {
    this.values[REQUEST_DROPS + code]! += n
  }

  responseDrop(code: number, n = 1): void {
    this.values[RESPONSE_DROPS + code]! += n
  }

  outcome(code: number, n = 1): void {
    this.values[OUTCOMES + code]! += n
  }

  /** A packet that is not read, for this number of it. @param kind of PassedOver */
  passOver(kind: number, number: number): void {
    passOver(this.values, PASSED_OVER_AT, kind, number)
    this.use(BLOCK_VALUES)
  }

  latency(us: number): void {
    this.use(COUNTERS)
    this.values[LATENCIES + LATENCY_BUCKETS.of(us)]! += 1
    this.values[Counter.latencySumUs]! += us
  }

  /** @param us 0 or more */
  addedLatency(us: number): void {
    this.use(COUNTERS)
    this.values[ADDED_LATENCIES + ADDED_LATENCY_BUCKETS.of(us)]! += 1
    this.values[Counter.addedLatencySumUs]! += us
  }

  /** @param length of `values`, in front of which something will stand */
  private use(length: number): void {
    if (length > this.used.length) this.used = this.values.subarray(0, length)
  }

  /** Copies all values to shared memory. Once per batch: about a microsecond. */
  publish(): void {
    const { words } = this
    let word = Atomics.load(words, HOLDERS)
    // The reader never moves the owner's copy: whatever it does meanwhile, this one stays ours.
    const own = ownCopy(word)
    this.copies[own]!.set(this.used)
    for (;;) {
      const next = holders(publishedCopy(word), own, readCopy(word), FRESH)
      // After the values it publishes.
      const found = Atomics.compareExchange(words, HOLDERS, word, next)
      if (found === word) return
      // The reader took a publication in between: at most once a reading.
      word = found
    }
  }
}

/**
 * Reads the last publication of a block into `into`, COUNTERS values or all BLOCK_VALUES, as they were published. The main thread's: a block
 * has one reader.
 */
export function readCounterBlock(memory: SharedArrayBuffer, byteOffset: number, into: Float64Array): void {
  const words = new Int32Array(memory, byteOffset, 1)
  let word = Atomics.load(words, HOLDERS)
  while ((word & FRESH) !== 0) {
    const next = holders(ownCopy(word), readCopy(word), publishedCopy(word), 0)
    // After the last reading of the copy it gives away, before the reading of the one it takes.
    const found = Atomics.compareExchange(words, HOLDERS, word, next)
    word = found === word ? next : found
  }
  into.set(copiesOf(memory, byteOffset)[readCopy(word)]!.subarray(0, into.length))
}
