/**
 * The packet that nearly all are: neither SYN, FIN, RST nor urgent, of a connection under way without a pending gap, in order or a bare
 * acknowledgement, within the window and no older than the last. Does what the slow path would do, in a handful of comparisons.
 */
import type { PacketView } from '../decapsulation/packet-view.ts'
import { Direction, Flow } from '../flow/flow-state.ts'
import type { FlowTable } from '../flow/flow-table.ts'
import type { Lifecycle } from '../flow/lifecycle.ts'
import type { WatchList } from '../flow/watch-list.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { i32 } from '../wire/bytes.ts'
import { seqAdd, seqBefore, seqDistance } from '../wire/seq.ts'
import {
  NO_OPTIONS,
  NOP_NOP_TIMESTAMPS,
  TCP_ACK,
  TCP_DATA_OFFSET,
  TCP_FIRST_OPTION,
  TCP_FIRST_TSVAL,
  TCP_FLAGS,
  TCP_SEQ,
  TCP_WINDOW,
  TcpFlag,
  TIMESTAMPS_ONLY,
} from '../wire/tcp.ts'
import type { Delivery } from './delivery.ts'
import type { Disorders } from './disorders.ts'
import { type HalfStreams, MAX_JUMP } from './half-stream.ts'
import type { PendingGaps } from './pending-gaps.ts'

const FLAGS_THAT_MATTER = TcpFlag.syn | TcpFlag.fin | TcpFlag.rst | TcpFlag.urg | TcpFlag.ack
/** None of these in a direction: no packet of it needs more than this path. */
const OUT_OF_ORDER = Direction.fin | Direction.ended | Direction.truncated | Direction.hole | Direction.behindGap
/** What the slow path does with the first packet of a connection, and with one of a connection that is not read. */
const NOT_UNDER_WAY = Flow.closed | Flow.ignored | Flow.mayBeCopy | Flow.mayBeTwice | Flow.signed

export class FastPath {
  private readonly table: FlowTable
  private readonly half: HalfStreams
  private readonly disorders: Disorders
  private readonly watched: WatchList
  private readonly delivery: Delivery
  private readonly gaps: PendingGaps
  private readonly counters: CounterBlock
  private readonly idleUs: number

  constructor(parts: {
    readonly table: FlowTable
    readonly half: HalfStreams
    readonly disorders: Disorders
    readonly watched: WatchList
    readonly delivery: Delivery
    readonly gaps: PendingGaps
    readonly counters: CounterBlock
    readonly lifecycle: Lifecycle
  }) {
    this.table = parts.table
    this.half = parts.half
    this.disorders = parts.disorders
    this.watched = parts.watched
    this.delivery = parts.delivery
    this.gaps = parts.gaps
    this.counters = parts.counters
    this.idleUs = parts.lifecycle.idleUs
  }

  /** False: nothing was done, the packet is none of these. */
  take(view: PacketView, key: number): boolean {
    const { table, delivery } = this
    const { bytes, tcpAt, nowUs } = view
    const slot = key >> 1
    const peer = key ^ 1
    const own = table.directionFlags[key]! | 0
    const others = table.directionFlags[peer]! | 0
    const seq = i32(bytes, tcpAt + TCP_SEQ)
    const isUsual =
      (bytes[tcpAt + TCP_FLAGS]! & FLAGS_THAT_MATTER) === TcpFlag.ack &&
      seq === (table.nextSeq[key]! | 0) &&
      view.end === view.trueEnd &&
      (own & (Direction.known | Direction.seen | OUT_OF_ORDER)) === (Direction.known | Direction.seen) &&
      (others & (Direction.acked | OUT_OF_ORDER)) === Direction.acked &&
      (table.flags[slot]! & NOT_UNDER_WAY) === 0 &&
      nowUs - table.lastSeenUs[slot]! < this.idleUs &&
      this.disorders.of(slot) === null &&
      table.outOfWindow[key] === 0 &&
      (this.watched.size === 0 || !this.watched.has(slot))
    if (!isUsual) return false
    // Options: none, or the timestamps as everybody lays them out, not older than the last.
    const offset = bytes[tcpAt + TCP_DATA_OFFSET]! & 0xf0
    let payloadAt = tcpAt + TCP_FIRST_OPTION
    let tsval = 0
    if (offset !== NO_OPTIONS) {
      if (offset !== TIMESTAMPS_ONLY || i32(bytes, payloadAt) !== NOP_NOP_TIMESTAMPS) return false
      tsval = i32(bytes, tcpAt + TCP_FIRST_TSVAL)
      if (table.tsRecent[key] !== 0 && ((tsval - table.tsRecent[key]!) | 0) < 0) return false
      payloadAt += 12
    }
    const length = view.end - payloadAt
    // A server's bare acknowledgement while its connection is not open: see Acceptance.noteChallenge.
    if (length <= 0 && (own & (Direction.syn | Direction.acked)) === Direction.syn) return false
    // What lies beyond the window may have been discarded.
    if ((own & Direction.bounded) !== 0 && seqBefore(table.rightEdge[key]! | 0, seqAdd(seq, length))) return false
    // What it acknowledges: nothing new, or more of what was delivered of the other direction.
    const ack = i32(bytes, tcpAt + TCP_ACK)
    const isAckNew = ack !== table.highAck[peer]
    if (isAckNew) {
      const delivered = seqDistance(ack, table.nextSeq[peer]! | 0)
      const isPlausible =
        seqBefore(table.highAck[peer]! | 0, ack) &&
        ((others & Direction.known) === 0 || (delivered >= 0 && delivered <= MAX_JUMP))
      if (!isPlausible) return false
    } else if ((others & Direction.known) !== 0 && seqBefore(table.nextSeq[peer]! | 0, ack)) return false
    const parser = delivery.parsers[slot]
    const { piece } = delivery
    if (length > 0) {
      if (parser == null) return false
      piece.bytes = bytes
      piece.at = payloadAt
      piece.end = view.end
      piece.seq = seq
      piece.ack = ack
      piece.hasAck = true
      piece.timeUs = view.timeUs
      piece.startsSegment = true
      piece.isAckedTo = (own & Direction.acked) !== 0 && table.highAck[key] === seq
      if (delivery.mustWait(key, piece)) return false
    }
    this.counters.add(Counter.packetsProcessed)
    table.lastSeenUs[slot] = nowUs
    table.packets[slot] = (table.packets[slot]! + 1) | 0
    if (isAckNew) {
      table.highAck[peer] = ack
      if ((others & Direction.known) === 0) this.half.anchor(peer, ack)
    }
    // Not that of a server whose connection is not open yet: see Acceptance.
    if (tsval !== 0 && (length > 0 || (own & Direction.acked) !== 0)) table.tsRecent[key] = tsval
    if ((own & Direction.scaleKnown) !== 0) {
      const window = (bytes[tcpAt + TCP_WINDOW]! << 8) | bytes[tcpAt + TCP_WINDOW + 1]!
      const edge = seqAdd(ack, window << table.windowScale[key]!)
      if ((others & Direction.bounded) === 0 || seqBefore(table.rightEdge[peer]! | 0, edge)) {
        table.rightEdge[peer] = edge
        table.directionFlags[peer]! |= Direction.bounded
      }
    }
    if (length <= 0 || parser == null) return true
    const taken = delivery.deliverInOrder(key, piece, parser)
    if (taken < length) {
      piece.skip(taken)
      delivery.store(key, piece)
      this.half.noteSent(key, seqAdd(seq, length))
      this.gaps.enforceBounds(key)
    }
    if (parser.wakeAtUs !== Number.POSITIVE_INFINITY) this.watched.add(slot)
    return true
  }
}
