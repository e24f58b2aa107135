/** The counters of all threads added up, and what can be read from the sum. */
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../base/drop.ts'
import {
  COUNTERS,
  Counter,
  LATENCIES,
  LATENCY_BUCKETS,
  latencyBucketEnd,
  OUTCOMES,
  PACKET_DROPS,
  REQUEST_DROPS,
  RESPONSE_DROPS,
  readCounterBlock,
  type ScalarName,
} from '../metrics/counters.ts'

export class Totals {
  private readonly values = new Float64Array(COUNTERS)

  /** Packets that the shards are done with. */
  private handledByShards = 0

  /**
   * Reads the blocks as they are published now. Those of the receiving threads are read last, so that no shard is seen to have
   * handled a packet that was not yet received.
   */
  static read(receiving: readonly SharedArrayBuffer[], shards: readonly SharedArrayBuffer[] = []): Totals {
    const totals = new Totals()
    const block = new Float64Array(COUNTERS)
    const add = (memory: SharedArrayBuffer) => {
      readCounterBlock(memory, 0, block)
      for (let i = 0; i < COUNTERS; i++) totals.values[i]! += block[i]!
    }
    for (const memory of shards) {
      add(memory)
      totals.handledByShards += block[Counter.packetsProcessed]!
      for (let code = 1; code < PACKET_DROP_NAMES.length; code++) totals.handledByShards += block[PACKET_DROPS + code]!
    }
    for (const memory of receiving) add(memory)
    return totals
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
    return this.named(PACKET_DROPS, PACKET_DROP_NAMES)
  }

  requestDrops(): Record<string, number> {
    return this.named(REQUEST_DROPS, REQUEST_DROP_NAMES)
  }

  responseDrops(): Record<string, number> {
    return this.named(RESPONSE_DROPS, RESPONSE_DROP_NAMES)
  }

  outcomes(): Record<string, number> {
    return this.named(OUTCOMES, OUTCOME_NAMES)
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

  /** Requests recognised and neither dropped nor replayed. */
  requestsHeld(): number {
    return this.get('requestsParsed') - this.requestsDropped() - this.requestsEnded()
  }

  latencyCount(): number {
    let n = 0
    for (let i = 0; i < LATENCY_BUCKETS; i++) n += this.values[LATENCIES + i]!
    return n
  }

  /** Answers that took less than `us`. */
  latenciesBelow(us: number): number {
    let n = 0
    for (let i = 0; i < LATENCY_BUCKETS && latencyBucketEnd(i) <= us; i++) n += this.values[LATENCIES + i]!
    return n
  }

  /** Milliseconds below which the share `q` of the answers took; 0 without answers. Within 6.25 %. */
  latencyMs(q: number): number {
    const count = this.latencyCount()
    if (count === 0) return 0
    const rank = Math.min(count, Math.max(1, Math.ceil(count * q)))
    let n = 0
    for (let i = 0; i < LATENCY_BUCKETS; i++) {
      n += this.values[LATENCIES + i]!
      if (n >= rank) return latencyBucketEnd(i) / 1000
    }
    return latencyBucketEnd(LATENCY_BUCKETS - 1) / 1000
  }

  private named(at: number, names: readonly string[]): Record<string, number> {
    const counts: Record<string, number> = {}
    for (let code = 1; code < names.length; code++) {
      const n = this.values[at + code]!
      if (n !== 0) counts[names[code]!] = n
    }
    return counts
  }
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0)
}

/** Labels of a vector with every name, zero or not: what Prometheus likes. */
export function everyName(names: readonly string[]): readonly string[] {
  return names.slice(1)
}
