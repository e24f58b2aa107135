/**
 * Every counter of the product in one table, and the shared memory they are published through.
 *
 * A thread owns one CounterBlock: it adds to a plain Float64Array of its own and publishes the whole block once per
 * batch. The main thread reads all blocks and sums them; only it speaks Prometheus.
 *
 *  One block in the SharedArrayBuffer, 64-byte aligned, one writer each:
 *
 *   byte   field      written by   meaning
 *      0   VERSION    owner        u32, odd while a publication is under way (a sequence lock)
 *     64   values     owner        COUNTERS x float64, in the order of this file
 *
 *  Integers stay exact in a float64 up to 2^53, which no counter reaches.
 */
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../base/drop.ts'

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
    help: 'Packets that went all the way: TCP segments reassembled, and packets that carry no TCP for us.',
  },
  packetsOther: {
    metric: 'mirrorshard_packets_other_total',
    kind: 'counter',
    help: 'Of the processed packets: those without TCP (ARP, DNS, …) or filtered by --ports.',
  },
  packetsTruncated: {
    metric: 'mirrorshard_packets_truncated_total',
    kind: 'counter',
    help: 'Packets shorter than their IP header says: cut by the mirror or the capture.',
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
    help: 'Datagrams put together from IP fragments.',
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
    help: 'Share of the connections left out whole now, 0 to 1, at the shard that is worst off. Their packets are dropped with reason shed.',
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
    help: 'Fragmented IP datagrams that the kernel gave up putting together, of the whole network namespace, since the start (ReasmFails of /proc/net/snmp and snmp6). Mirrored ones among them never reached us: they are in no other count. With --interface fragments are put together here instead.',
  },
  receiveBufferBytes: {
    metric: 'mirrorshard_receive_buffer_bytes',
    kind: 'gauge',
    help: 'Receive buffer granted by the kernel, of all sockets together.',
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
    help: 'Open connections forgotten because memory was short: half-open ones first, then those without data, then silent ones.',
  },
  flowTableBytes: {
    metric: 'mirrorshard_flow_table_bytes',
    kind: 'gauge',
    help: 'Memory of the flow table: rows it has room for, which do not shrink.',
  },
  flowsLost: {
    metric: 'mirrorshard_flows_lost_total',
    kind: 'counter',
    help: 'Connections lost with a shard that died.',
  },
  flowsUnsettled: {
    metric: 'mirrorshard_flows_unsettled',
    kind: 'gauge',
    help: 'Connections open, or closed with requests still held: what is lost if the shard dies now.',
  },
  gaps: {
    metric: 'mirrorshard_reassembly_gaps_total',
    kind: 'counter',
    help: 'Holes declared: bytes that will not come.',
  },
  gapBytes: { metric: 'mirrorshard_reassembly_gap_bytes_total', kind: 'counter', help: 'Bytes in those holes.' },
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
    help: 'Bytes behind CONNECT or an accepted upgrade.',
  },
  otherProtocolBytes: {
    metric: 'mirrorshard_http_other_protocol_bytes_total',
    kind: 'counter',
    help: 'Bytes of connections that are not HTTP/1.',
  },

  connectionBytes: {
    metric: 'mirrorshard_http_connection_bytes',
    kind: 'gauge',
    help: 'Memory of the state of connections that carry data, and of requests remembered until their answer comes.',
  },
  messageBytes: {
    metric: 'mirrorshard_http_message_bytes',
    kind: 'gauge',
    help: 'Memory of messages being read, and with inspect of exchanges that wait for their answer.',
  },
  exchangesShed: {
    metric: 'mirrorshard_exchanges_shed_total',
    kind: 'counter',
    help: 'Exchanges that inspect printed without all of the answer, because --message-bytes was reached.',
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
    help: 'Requests sent again: idempotent, on a reused connection that closed before any byte of an answer.',
  },
  replayPoisoned: {
    metric: 'mirrorshard_replay_poisoned_connections_total',
    kind: 'counter',
    help: 'Connections closed because the origin sent bytes that answer no request (wire engine).',
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
    help: 'JavaScript heap in use, by thread; each thread looks once a second.',
  },
  externalBytes: {
    metric: 'mirrorshard_thread_external_bytes',
    kind: 'gauge',
    help: 'Memory outside of the heap that the thread’s objects hold: buffers.',
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

const VALUES_AT = 64
/** Bytes of one block, a multiple of 64. */
export const COUNTER_BLOCK_BYTES = Math.ceil((VALUES_AT + COUNTERS * 8) / 64) * 64

/** The counters of one thread. `values` is private to the thread; `publish` makes them visible. */
export class CounterBlock {
  readonly values = new Float64Array(COUNTERS)
  private readonly version: Int32Array
  private readonly shared: Float64Array

  /** @param byteOffset start of the block in `memory`, a multiple of 64. With no `memory` the block is for one thread. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(COUNTER_BLOCK_BYTES), byteOffset = 0) {
    this.version = new Int32Array(memory, byteOffset, 1)
    this.shared = new Float64Array(memory, byteOffset + VALUES_AT, COUNTERS)
    // A restarted shard goes on counting where its predecessor's last publication ended.
    this.values.set(this.shared)
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

  latency(us: number): void {
    this.values[LATENCIES + LATENCY_BUCKETS.of(us)]! += 1
    this.values[Counter.latencySumUs]! += us
  }

  /** @param us 0 or more */
  addedLatency(us: number): void {
    this.values[ADDED_LATENCIES + ADDED_LATENCY_BUCKETS.of(us)]! += 1
    this.values[Counter.addedLatencySumUs]! += us
  }

  /** Copies all values to shared memory. Once per batch: about a microsecond. */
  publish(): void {
    const version = this.version
    // Odd: readers that see it, or a change of it, read again.
    Atomics.store(version, 0, version[0]! | 1 | 0)
    this.shared.set(this.values)
    // Even again, after the values it covers.
    Atomics.store(version, 0, (version[0]! + 1) | 0)
  }
}

/** Readings, one after the other: longer than a publication takes while its thread has a processor. */
const READ_ATTEMPTS = 100
/** Where it has none, how often and how long the reader steps aside. Together longer than a busy machine keeps a thread waiting. */
const READ_WAITS = 100
const READ_WAIT_MS = 1

/**
 * Reads one block of another thread into `into`. Waits for a publication that is under way.
 * @returns false when its owner died in the middle of it, between two statements: the values are those before it, or after it
 */
export function readCounterBlock(memory: SharedArrayBuffer, byteOffset: number, into: Float64Array): boolean {
  const version = new Int32Array(memory, byteOffset, 1)
  const shared = new Float64Array(memory, byteOffset + VALUES_AT, COUNTERS)
  for (let waits = 0; waits <= READ_WAITS; waits++) {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const before = Atomics.load(version, 0)
      into.set(shared)
      if ((before & 1) === 0 && Atomics.load(version, 0) === before) return true
    }
    Atomics.wait(version, 0, Atomics.load(version, 0), READ_WAIT_MS)
  }
  return false
}
