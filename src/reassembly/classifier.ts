/**
 * What a packet that does not take the fast path is, by its flags and numbers:
 *
 *   handshake      SYN: begins the connection, or another on the same five-tuple
 *   reset          RST: ends it, where its receiver believes it
 *   late           of a connection that ended
 *   other          its numbers are those of another connection on the same five-tuple, whose beginning was lost
 *   outOfWindow    its numbers are nobody's
 *   copy           the connection is captured twice with different numbers, and this is of the copy that is not read
 *   inWindow       everything else: judged, then taken, doubted or refused
 *
 * What is of no connection yet is the reassembler's: it may open one.
 */
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import { seqAdd, seqBefore } from '../wire/seq.ts'
import type { Disorders } from './disorders.ts'
import { type HalfStreams, isShortlyBefore } from './half-stream.ts'
import type { Handshake } from './handshake.ts'
import { Copy, type SecondCopies } from './second-copies.ts'
import type { Segment } from './segment.ts'

export const Kind = { handshake: 0, reset: 1, late: 2, other: 3, outOfWindow: 4, inWindow: 5, copy: 6 } as const

/** So many out-of-window packets in a row are a new connection whose SYN was lost. */
const OUT_OF_WINDOW_BEFORE_RESTART = 3

export class Classifier {
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly disorders: Disorders
  private readonly copies: SecondCopies
  private readonly handshake: Handshake

  constructor(table: FlowTable, half: HalfStreams, disorders: Disorders, copies: SecondCopies, handshake: Handshake) {
    this.table = table
    this.half = half
    this.disorders = disorders
    this.copies = copies
    this.handshake = handshake
  }

  /** One of Kind; counts packets out of the window. */
  classify(key: number, segment: Segment, nowUs: number): number {
    const { table, half } = this
    const slot = key >> 1
    if (!this.copies.isEmpty && this.isOfCopy(key, segment, nowUs)) return Kind.copy
    if (segment.isRst) return Kind.reset
    if (segment.isSyn) return Kind.handshake
    if ((table.flags[slot]! & Flow.closed) !== 0) return this.isBehindEnd(key, segment) ? Kind.other : Kind.late
    if (!half.has(key, Direction.known)) return Kind.inWindow
    const opening = this.disorders.of(slot)?.opening
    if (
      opening != null &&
      opening.client === key &&
      opening.clientFirst === segment.start &&
      this.isBegun(key, segment)
    )
      return Kind.other
    if (!half.isFar(key, segment.start)) {
      table.outOfWindow[key] = 0
      return Kind.inWindow
    }
    table.outOfWindow[key]! += 1
    return table.outOfWindow[key]! >= OUT_OF_WINDOW_BEFORE_RESTART ? Kind.other : Kind.outOfWindow
  }

  /** The packet belongs to a second copy of the connection; one that shows to be none begins. */
  isOfCopy(key: number, segment: Segment, nowUs: number): boolean {
    const what = this.copies.judge(key, segment, nowUs)
    if (what === Copy.begins) this.handshake.beginKept(key >> 1)
    return what === Copy.passedOver
  }

  /**
   * The peer's numbers that it acknowledges are none of the open connection's either: they are far, or, where the client begins again with
   * the number it had, of what the peer has not sent.
   */
  private isBegun(key: number, segment: Segment): boolean {
    const { half } = this
    const peer = key ^ 1
    if (!segment.hasAck) return false
    if (!half.has(peer, Direction.known) || half.isFar(peer, segment.ack)) return true
    return half.hasMoved(key) && this.table.base[key] === segment.start && seqBefore(half.sentEnd(peer), segment.ack)
  }

  /**
   * Late repetitions lie at or before the FIN; data after it is of another connection. Right after a RST it is of the same, and counts
   * only where the receiver went on acknowledging: it ignored the RST.
   */
  private isBehindEnd(key: number, segment: Segment): boolean {
    const { table, half } = this
    const flags = table.flags[key >> 1]!
    if (segment.length === 0 || !segment.hasAck || (flags & Flow.ignored) !== 0) return false
    if (!half.has(key, Direction.known)) return (flags & Flow.reset) === 0
    if (half.isFar(key, segment.start)) return true
    const ahead = (segment.start - table.nextSeq[key]!) | 0
    if ((flags & Flow.reset) === 0) return ahead >= 2
    // The acknowledgement of its FIN says nothing of what comes behind.
    const end = half.has(key, Direction.ended) ? seqAdd(table.finSeq[key]!, 1) : table.nextSeq[key]!
    return ahead >= 0 && half.has(key, Direction.acked) && isShortlyBefore(end, table.highAck[key]!)
  }
}
