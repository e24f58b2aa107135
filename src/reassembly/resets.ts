/**
 * RST: ends the connection where its receiver believes it, which is at exactly the next number (RFC 5961 section 3.2). One that stands
 * further on waits for what is missing before it, and until somebody continues as if there had been none.
 */
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import type { Lifecycle } from '../flow/lifecycle.ts'
import type { WatchList } from '../flow/watch-list.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { seqBefore, seqDistance } from '../wire/seq.ts'
import { type Acceptance, REFUSED } from './acceptance.ts'
import type { Disorders } from './disorders.ts'
import { type HalfStreams, isShortlyBefore } from './half-stream.ts'
import type { Segment } from './segment.ts'
import { End } from './stream-parser.ts'

const NO_RESET = null

export class Resets {
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly acceptance: Acceptance
  private readonly disorders: Disorders
  private readonly watched: WatchList
  private readonly lifecycle: Lifecycle
  private readonly counters: CounterBlock

  constructor(parts: {
    readonly table: FlowTable
    readonly half: HalfStreams
    readonly acceptance: Acceptance
    readonly disorders: Disorders
    readonly watched: WatchList
    readonly lifecycle: Lifecycle
    readonly counters: CounterBlock
  }) {
    this.table = parts.table
    this.half = parts.half
    this.acceptance = parts.acceptance
    this.disorders = parts.disorders
    this.watched = parts.watched
    this.lifecycle = parts.lifecycle
    this.counters = parts.counters
  }

  /** A RST of `key`. */
  meet(key: number, segment: Segment): void {
    const { table, half, acceptance } = this
    const slot = key >> 1
    if ((table.flags[slot]! & Flow.closed) !== 0) return
    if (acceptance.judgeSignature(key, segment) >= REFUSED) {
      this.counters.add(Counter.segmentsUnsigned)
      return
    }
    const isExpected = this.isExpected(key, segment.seq)
    if (acceptance.isResetTaken(key, segment)) {
      this.end(slot)
      return
    }
    if (!isExpected && this.isAtSackEdge(key, segment)) {
      // The gap is the receiver's: what waits behind it nobody read.
      this.disorders.forgetStore(key)
      this.end(slot)
      return
    }
    if (!isExpected) this.counters.add(Counter.resetsIgnored)
    // A SYN in its window ends a connection that is not open yet; the answer stands at number 0 (RFC 9293 sections 3.10.7.1 and 3.10.7.4).
    if (segment.hasAck && acceptance.isOpening(key)) table.flags[slot]! |= Flow.refused
    const ahead = seqDistance(table.nextSeq[key]!, segment.seq)
    if (ahead > 0 && half.has(key, Direction.known) && !half.isFar(key, segment.seq)) {
      this.disorders.need(slot).resets[key & 1] = segment.seq
      this.watched.add(slot)
    }
  }

  /** Who continues after a RST that waits has not been reset by it. */
  contradict(key: number, segment: Segment): void {
    const resets = this.disorders.of(key >> 1)?.resets
    if (resets === undefined) return
    // An acknowledgement by the receiver, or data of the sender after the RST.
    const peers = resets[(key & 1) ^ 1] ?? NO_RESET
    if (peers !== NO_RESET && (!this.isExpected(key ^ 1, peers) || seqBefore(peers, segment.ack)))
      resets[(key & 1) ^ 1] = NO_RESET
    const own = resets[key & 1] ?? NO_RESET
    if (own !== NO_RESET && seqBefore(own, segment.end)) resets[key & 1] = NO_RESET
  }

  /** A SYN of `key`, or data behind a RST of it that waits only for what the mirror lost: it was taken. Returns whether that ended it. */
  conclude(key: number, segment: Segment): boolean {
    const seq = this.disorders.of(key >> 1)?.resets[key & 1] ?? NO_RESET
    if (seq === NO_RESET || !this.isExpected(key, seq)) return false
    if (!segment.isSyn && !seqBefore(seq, segment.end)) return false
    this.end(key >> 1)
    return true
  }

  /** What stood before a RST may have come. */
  settle(slot: number): void {
    if (this.isNow(slot * 2) || this.isNow(slot * 2 + 1)) this.end(slot)
  }

  /** It stands where its receiver goes on: what is missing in front of it only the mirror has not brought yet. */
  private isExpected(key: number, seq: number): boolean {
    const { table, half } = this
    return half.has(key, Direction.acked) && seq === table.highAck[key] && isShortlyBefore(table.nextSeq[key]!, seq)
  }

  private isNow(key: number): boolean {
    const seq = this.disorders.of(key >> 1)?.resets[key & 1] ?? NO_RESET
    return seq !== NO_RESET && seq === this.table.nextSeq[key]
  }

  /** Linux takes a RST at the right edge of what it has selectively acknowledged, too (RFC 5961 section 3.2 as amended by it). */
  private isAtSackEdge(key: number, segment: Segment): boolean {
    const store = this.disorders.storeOf(key)
    if (store === null || !this.half.has(key, Direction.sack) || !this.half.has(key ^ 1, Direction.sack)) return false
    return store.end() === segment.seq
  }

  private end(slot: number): void {
    this.lifecycle.close(slot, End.reset)
    this.table.flags[slot]! |= Flow.reset
  }
}
