/** The counters of all threads added up, and what can be read from the sum. */
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../base/drop.ts'
import {
  ADDED_LATENCIES,
  BLOCK_VALUES,
  COUNTERS,
  Counter,
  LATENCIES,
  OUTCOMES,
  PACKET_DROPS,
  PASSED_OVER_AT,
  REQUEST_DROPS,
  RESPONSE_DROPS,
  readCounterBlock,
} from '../metrics/counters.ts'
import { PassedOverTotals } from '../metrics/passed-over.ts'
import type { ScalarName } from '../metrics/scalars.ts'
import { targetOffsets } from '../metrics/target-counters.ts'
import { ADDED_LATENCY_BUCKETS, LATENCY_BUCKETS, type TimeBuckets } from '../metrics/time-buckets.ts'

/** Of one thread, as it published them last. */
export interface ThreadGauges {
  /** `main`, `receiver-0`, `shard-0`, … */
  readonly thread: string
  readonly heapBytes: number
  readonly externalBytes: number
}

export class Totals {
  private readonly values = new Float64Array(COUNTERS)

  /** Packets that the shards are done with. */
  private handledByShards = 0

  /** What came and was not read. */
  readonly passedOver = new PassedOverTotals()
  /** What each target counts, where there are several: in their order. */
  readonly targets: TargetTotals[] = []

  /** Threads that are alive and have looked at their memory. */
  readonly threads: ThreadGauges[] = []

  /**
   * Reads the blocks as they are published now. Those of the receiving threads are read last, so that no shard is seen to have
   * handled a packet that was not yet received. The first of `receiving` is the main thread's.
   */
  static read(receiving: readonly SharedArrayBuffer[], shards: readonly SharedArrayBuffer[] = []): Totals {
    const totals = new Totals()
    const block = new Float64Array(BLOCK_VALUES)
    const add = (memory: SharedArrayBuffer, thread: string) => {
      readCounterBlock(memory, 0, block)
      for (let i = 0; i < COUNTERS; i++) totals.values[i]! += block[i]!
      totals.passedOver.add(block, PASSED_OVER_AT)
      const heapBytes = block[Counter.heapBytes]!
      if (heapBytes > 0) totals.threads.push({ thread, heapBytes, externalBytes: block[Counter.externalBytes]! })
    }
    for (const [i, memory] of shards.entries()) {
      // Before the shard's own: no target is seen to have ended what was not handed to it.
      totals.addTargets(memory, block)
      add(memory, `shard-${i}`)
      totals.handledByShards += block[Counter.packetsProcessed]!
      for (let code = 1; code < PACKET_DROP_NAMES.length; code++) totals.handledByShards += block[PACKET_DROPS + code]!
    }
    for (const [i, memory] of receiving.entries()) add(memory, i === 0 ? 'main' : `receiver-${i - 1}`)
    return totals
  }

  /** Of a shard with several targets. What became of requests stays apart; times and the rest count for all together too. */
  private addTargets(memory: SharedArrayBuffer, block: Float64Array): void {
    for (const [t, offset] of targetOffsets(memory).entries()) {
      readCounterBlock(memory, offset, block)
      this.targets[t] ??= new TargetTotals()
      this.targets[t].add(block)
      for (let i = 0; i < COUNTERS; i++) if (!isOfTarget(i)) this.values[i]! += block[i]!
    }
  }

  /** Packets handed to the shards and not yet processed or dropped there. */
  packetsInRings(): number {
    return Math.max(0, this.get('packetsDispatched') - this.handledByShards)
  }

  /** Packets received and neither processed nor dropped: in rings, or fragments waiting for the rest of their datagram. */
  packetsHeld(): number {
    return this.packetsInRings() + this.get('fragmentsHeld')
  }

  get(name: ScalarName): number {
    return this.values[Counter[name]]!
  }

  /** Name → count; only what is not zero. */
  packetDrops(): Record<string, number> {
    return named(this.values, PACKET_DROPS, PACKET_DROP_NAMES)
  }

  requestDrops(): Record<string, number> {
    return named(this.values, REQUEST_DROPS, REQUEST_DROP_NAMES)
  }

  responseDrops(): Record<string, number> {
    return named(this.values, RESPONSE_DROPS, RESPONSE_DROP_NAMES)
  }

  outcomes(): Record<string, number> {
    return named(this.values, OUTCOMES, OUTCOME_NAMES)
  }

  packetsDropped(): number {
    return total(this.packetDrops())
  }

  requestsDropped(): number {
    return total(this.requestDrops())
  }

  requestsEnded(): number {
    return total(this.outcomes())
  }

  /** Requests recognised and neither dropped nor replayed, nor handed to several targets. */
  requestsHeld(): number {
    return this.get('requestsParsed') - this.requestsDropped() - this.requestsEnded() - this.get('requestsForwarded')
  }

  /** Written to answered, of answered requests. */
  latency(): TimeHistogram {
    return new TimeHistogram(
      this.values.subarray(LATENCIES, ADDED_LATENCIES),
      LATENCY_BUCKETS,
      this.get('latencySumUs'),
    )
  }

  /** Captured to written, of live requests. */
  addedLatency(): TimeHistogram {
    const counts = this.values.subarray(ADDED_LATENCIES, COUNTERS)
    return new TimeHistogram(counts, ADDED_LATENCY_BUCKETS, this.get('addedLatencySumUs'))
  }
}

/** One of several targets, over all shards: given = Σ dropped + Σ replayed + held. */
export class TargetTotals {
  private readonly values = new Float64Array(COUNTERS)

  add(block: Float64Array): void {
    for (let i = 0; i < COUNTERS; i++) this.values[i]! += block[i]!
  }

  get given(): number {
    return this.values[Counter.requestsForwarded]!
  }

  /** Name → count; only what is not zero. */
  dropped(): Record<string, number> {
    return named(this.values, REQUEST_DROPS, REQUEST_DROP_NAMES)
  }

  replayed(): Record<string, number> {
    return named(this.values, OUTCOMES, OUTCOME_NAMES)
  }

  /** Shards whose circuit breaker is open now. */
  get circuitsOpen(): number {
    return this.values[Counter.circuitOpen]!
  }

  get inFlight(): number {
    return this.values[Counter.replayInFlight]!
  }

  get held(): number {
    return this.given - total(this.dropped()) - total(this.replayed())
  }
}

/** Counts of what became of a target's requests: the shard's block has its own of the same name. */
function isOfTarget(counter: number): boolean {
  if (counter === Counter.requestsForwarded || counter === Counter.requestsHeld) return true
  return (
    (counter >= REQUEST_DROPS && counter < REQUEST_DROPS + REQUEST_DROP_NAMES.length) ||
    (counter >= OUTCOMES && counter < OUTCOMES + OUTCOME_NAMES.length)
  )
}

function named(values: Float64Array, at: number, names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let code = 1; code < names.length; code++) {
    const n = values[at + code]!
    if (n !== 0) counts[names[code]!] = n
  }
  return counts
}

/** Times in buckets, as of one reading. */
export class TimeHistogram {
  readonly count: number
  readonly sumUs: number
  private readonly counts: Float64Array
  private readonly buckets: TimeBuckets

  constructor(counts: Float64Array, buckets: TimeBuckets, sumUs: number) {
    this.counts = counts
    this.buckets = buckets
    this.sumUs = sumUs
    this.count = counts.reduce((a, b) => a + b, 0)
  }

  /** How many took less than `us`. */
  below(us: number): number {
    let n = 0
    for (let i = 0; i < this.buckets.count && this.buckets.end(i) <= us; i++) n += this.counts[i]!
    return n
  }

  /** Milliseconds below which the share `q` of them took; 0 where there are none. The upper end of a bucket. */
  ms(q: number): number {
    if (this.count === 0) return 0
    const rank = Math.min(this.count, Math.max(1, Math.ceil(this.count * q)))
    let n = 0
    let bucket = -1
    while (n < rank) n += this.counts[++bucket]!
    return this.buckets.end(bucket) / 1000
  }

  quantiles(): Quantiles {
    return { p50: this.ms(0.5), p90: this.ms(0.9), p99: this.ms(0.99), max: this.ms(1) }
  }
}

/** Milliseconds. */
export interface Quantiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}

/** Labels of a vector with every name, zero or not: what Prometheus likes. */
export function everyName(names: readonly string[]): readonly string[] {
  return names.slice(1)
}
