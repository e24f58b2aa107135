/**
 * The head of a message out of the pieces of its stream: at once where it lies whole in one piece, else gathered. What a head is framed by,
 * and what follows it, is MessageReader's.
 */

import type { StreamPiece } from '../reassembly/stream-parser.ts'
import { Fault } from './fault.ts'
import { HEAD_INCOMPLETE } from './head.ts'
import { MESSAGE_OVERHEAD, type Reservation, type ReservationOwner } from './http-memory.ts'
import { type MessageRole, type MessageStart, Skipped } from './message-role.ts'
import type { ParserContext } from './parser-context.ts'
import type { PartialHead } from './partial-head.ts'

/** Where a reader stands in its stream. */
export const State = {
  /** At a message boundary. */
  idle: 0,
  /** After the CR of an empty line before a message. */
  emptyLine: 1,
  /** Gathering a head that began in an earlier piece. */
  head: 2,
  body: 3,
  /** Gathering bytes until they say what they are: see `gathered`. */
  gather: 4,
  /** The other direction says what follows. */
  waiting: 5,
  /** Looking for a proven message boundary. */
  resync: 6,
  stopped: 7,
} as const

export abstract class HeadAssembly implements MessageStart, ReservationOwner {
  startUs = 0
  startOffset = 0
  startPeerOffset = 0
  protected state: number
  protected readonly context: ParserContext
  protected readonly role: MessageRole
  /** The head in hand, in State.head. */
  protected partial: PartialHead | null = null
  /** While bytes of a head, or of what may be one, are kept. */
  private reservation: Reservation | null = null
  /** No message was recognised on this stream yet. */
  private isFresh = true

  constructor(context: ParserContext, role: MessageRole, state: number) {
    this.context = context
    this.role = role
    this.state = state
  }

  /** The context's view holds a complete head; the message continues at `at` of the piece. Returns the index after what was taken. */
  protected abstract headComplete(piece: StreamPiece, at: number): number

  /** The head in hand will not come whole: nothing is read until a boundary is proven. */
  protected abstract loseBoundary(): void

  /** ReservationOwner: the head in hand has to make room. Uses the reader and the view of all, which are free between packets. */
  evict(): void {
    this.reservation = null
    this.tryPartialHead()
    if (this.state !== State.head) return
    this.role.skipped(this.partial!.length, Skipped.unproven)
    this.role.headLost(Fault.memoryLimit)
    this.loseBoundary()
  }

  protected beginHead(piece: StreamPiece, at: number): number {
    const { bytes, end } = piece
    const { role } = this
    this.startUs = piece.timeUs
    this.startOffset = piece.offset + (at - piece.at)
    this.startPeerOffset = piece.peerOffset
    role.begins()
    const headEnd = role.parse(bytes, at, end)
    if (headEnd > 0) return this.headComplete(piece, headEnd)
    const { reader } = this.context
    if (reader.firstLineRead) this.firstLine()
    if (headEnd === HEAD_INCOMPLETE) {
      this.partial = this.context.takePartialHead()
      this.partial.append(bytes, at, end)
      this.state = State.head
      this.reserve(this.partial.bytes.length)
      return end
    }
    this.headFault(reader.fault, bytes, at, end, reader.firstLineRead || role.looksLikeOne(bytes, at, end))
    return at
  }

  protected continueHead(piece: StreamPiece, at: number): number {
    const partial = this.partial!
    const capacity = partial.bytes.length
    const i = partial.append(piece.bytes, at, piece.end)
    if (partial.bytes.length > capacity) this.reserve(partial.bytes.length)
    if (!partial.shouldParse(this.context.maxHeadBytes)) return i
    return this.tryPartialHead() > 0 ? this.headComplete(piece, i) : i
  }

  /**
   * Parses what is gathered of a head; also where the head breaks off, so that its first line and its faults count however the
   * bytes were cut into pieces.
   */
  protected tryPartialHead(): number {
    const { bytes, length } = this.partial!
    const headEnd = this.role.parse(bytes, 0, length)
    const { reader } = this.context
    if (reader.firstLineRead) this.firstLine()
    if (headEnd < 0 && headEnd !== HEAD_INCOMPLETE) {
      const isMessage = reader.firstLineRead || this.role.looksLikeOne(bytes, 0, length)
      this.headFault(reader.fault, bytes, 0, length, isMessage)
      this.role.skipped(length, Skipped.ambiguous)
    }
    return headEnd
  }

  protected firstLine(): void {
    this.isFresh = false
    this.role.firstLine()
  }

  /** @param isMessage what is wrong is a message all the same, not another protocol */
  protected headFault(fault: number, bytes: Buffer, at: number, end: number, isMessage: boolean): void {
    const { role } = this
    this.state = State.stopped
    if (this.isFresh && !isMessage) {
      if (role.isOther(bytes, at, end)) this.state = State.resync
    } else {
      this.isFresh = false
      role.headFault(fault)
    }
    this.releasePartial()
  }

  protected reserve(bytes: number): void {
    const { memory } = this.context
    this.reservation ??= memory.open(this)
    memory.resize(this.reservation, bytes + MESSAGE_OVERHEAD)
  }

  protected release(): void {
    if (this.reservation === null) return
    this.context.memory.close(this.reservation)
    this.reservation = null
  }

  protected releasePartial(): void {
    if (this.partial === null) return
    this.context.givePartialHead(this.partial)
    this.partial = null
    this.release()
  }
}
