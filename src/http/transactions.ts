/** The requests of one connection that wait for their responses, and which response belongs to which: in order, and by proof after a loss. */

import { MessageFlag, type MessageView } from '../exchange/message.ts'
import { NO_OFFSET } from '../reassembly/stream-parser.ts'
import { Pending, type PendingRequest } from './http-events.ts'
import { type HttpMemory, PENDING_BYTES } from './http-memory.ts'

/** Requests without a response kept for pairing: a connection whose responses are not mirrored must not grow for ever. */
const MAX_PENDING = 1024

export interface TransactionOwner {
  /** The responses to these requests will not be recognised. */
  answersMissed(pending: readonly PendingRequest[]): void
}

class RequestRecord implements PendingRequest {
  is = 0
  peerOffset: number = NO_OFFSET
  isBehindLoss = false
  /** What its client had of the server's stream ends with a response that began when the server had everything before the request, and nothing of it. */
  isFirstOwed = false
  endOffset = 0
  state: PendingRequest['state'] = 'reading'
  answerOffset: number = NO_OFFSET
  attachment: unknown = null
}

export class Transactions {
  /** The last request whose head was read. */
  last: RequestRecord | null = null
  /** The request being read, and the one whose response is being read. */
  reading: PendingRequest | null = null
  answering: PendingRequest | null = null
  /** The response being read is an interim one: its request waits on. */
  isInterim = false
  private readonly memory: HttpMemory
  private readonly owner: TransactionOwner
  private readonly pending: RequestRecord[] = []
  /** A gap hid responses while several requests were pending: pairing continues only where acknowledgements prove it. */
  private isUnsure = false
  /** A gap hid requests since the last one that was read. */
  private requestsWereLost = false
  /** Of the requests that wait, so many may have been answered: the answers were not proven to be theirs. */
  private unproven = 0
  /** The client sends requests before it has the answers to those before them: behind a loss nobody can tell how many answers come first. */
  private isPipelining = false

  /** @param beganInMiddle requests may wait that were sent before anything was seen */
  constructor(memory: HttpMemory, owner: TransactionOwner, beganInMiddle: boolean) {
    this.memory = memory
    this.requestsWereLost = beganInMiddle
    this.owner = owner
  }

  get count(): number {
    return this.pending.length
  }

  /** Requests were not seen whose response may still come. */
  get mayHaveLostRequests(): boolean {
    return this.requestsWereLost || this.pending[0]?.isBehindLoss === true
  }

  /** The next response belongs to a request that was lost, or to none. */
  get isNextUnseen(): boolean {
    return this.pending.length === 0 || this.pending[0]!.isBehindLoss
  }

  /**
   * The head of a request was read.
   * @param isFirstOwed see RequestRecord
   */
  begin(view: MessageView, peerOffset: number, isFirstOwed: boolean, isBehindClose: boolean): void {
    const { last } = this
    // Nothing of the answer to the one before had come.
    if (last !== null && peerOffset !== NO_OFFSET && peerOffset <= last.peerOffset) this.isPipelining = true
    const request = this.unusedRecord()
    request.is = factsOf(view) | (isBehindClose ? Pending.behindClose : 0)
    request.peerOffset = peerOffset
    request.isBehindLoss = this.requestsWereLost
    request.isFirstOwed = isFirstOwed
    request.endOffset = 0
    request.state = 'reading'
    request.answerOffset = NO_OFFSET
    request.attachment = null
    this.requestsWereLost = false
    this.last = request
    this.reading = request
    const { pending, memory } = this
    if (pending.length >= MAX_PENDING || (pending.length > 0 && !memory.hasRoomForPending)) {
      this.isUnsure = true
      this.owner.answersMissed(this.take(1))
    }
    memory.connection(PENDING_BYTES)
    pending.push(request)
  }

  /** The request being read has ended. */
  end(state: 'complete' | 'dropped', endOffset = 0): PendingRequest | null {
    const request = this.reading
    this.reading = null
    if (request === null) return null
    request.state = state
    request.endOffset = endOffset
    return request
  }

  /** The head of a response that begins at `offset` was read: the request it answers, or null when that was not seen. */
  answer(isInterim: boolean, offset: number, peerOffset: number): PendingRequest | null {
    this.isInterim = isInterim
    const request = this.pairOf(offset, peerOffset)
    // The next one was sent without this answer.
    if (request !== null && this.pending.length > 1 && this.pending[1]!.peerOffset <= offset) this.isPipelining = true
    this.answering = request
    if (isInterim || request === null) return request
    this.unproven = 0
    this.pending.shift()
    this.memory.connection(-PENDING_BYTES)
    request.answerOffset = offset
    return request
  }

  /** A final answer belongs to none that is known. Returns whether it may still be that of a request that waits. */
  mayBeOfOneWaiting(): boolean {
    if (this.unproven >= this.pending.length) return false
    this.unproven++
    return true
  }

  requestsLost(): void {
    this.requestsWereLost = true
  }

  /** Behind a loss the next request begins where at most so many before it are unanswered. */
  requestsFound(unanswered: number): void {
    if (unanswered > 0) this.isPipelining = true
    else {
      this.miss()
      this.requestsWereLost = false
      this.isUnsure = false
    }
  }

  responsesLost(): void {
    this.isUnsure = true
    // With one request pending the next response may be its own; with several nobody can tell whose it is.
    if (this.pending.length > 1) this.miss(this.pending.length)
  }

  /** The responses to the first `count` requests will not be recognised. */
  miss(count = this.pending.length): void {
    if (count > 0) this.owner.answersMissed(this.take(count))
  }

  /** Takes out the requests that the client sent before it had received so much: pipelined ones, which a server that closes does not read. */
  withdraw(peerOffset: number): PendingRequest[] {
    const { pending } = this
    let count = 0
    while (count < pending.length && pending[count]!.peerOffset <= peerOffset) count++
    return count === 0 ? [] : this.take(count)
  }

  /** All that wait follow Connection: close. */
  standBehindClose(): void {
    for (const asked of this.pending) asked.is |= Pending.behindClose
  }

  close(): void {
    // Those that a server would not have read were not read by it.
    const unread = this.pending.filter(({ is }) => (is & Pending.behindClose) !== 0)
    if (unread.length > 0) this.owner.answersMissed(unread)
    this.memory.connection(-this.pending.length * PENDING_BYTES)
    this.pending.length = 0
  }

  /** The record of the last request where that is answered: nobody looks at it any more. Without pipelining one does for a connection. */
  private unusedRecord(): RequestRecord {
    const { last } = this
    const isUsed =
      last === null || last.state === 'reading' || last.answerOffset === NO_OFFSET || last === this.answering
    return isUsed ? new RequestRecord() : last
  }

  private pairOf(offset: number, peerOffset: number): PendingRequest | null {
    const { pending } = this
    if (this.isUnsure || pending[0]?.isBehindLoss === true) {
      // The client had everything before this response when it sent the request, and the server had the request and nothing after it. The
      // response before began when it had all requests before this one: those of a client that waits for its answers were answered.
      if (this.isPipelining) return null
      const i = pending.findIndex((p) => p.peerOffset === offset)
      const request = pending[i]
      if (request === undefined || request.state !== 'complete' || request.endOffset !== peerOffset) return null
      const isBehindLoss = this.requestsWereLost || pending.some((p, k) => k <= i && p.isBehindLoss)
      if (isBehindLoss && !request.isFirstOwed) return null
      this.miss(i)
      this.isUnsure = false
      request.isBehindLoss = false
    }
    return pending[0] ?? null
  }

  /** Takes the oldest out of memory. */
  private take(count: number): PendingRequest[] {
    const { pending } = this
    this.memory.connection(-count * PENDING_BYTES)
    this.unproven = Math.max(this.unproven - count, 0)
    // Of a long array `shift` moves the beginning, `splice` a thousand elements: nine microseconds a request.
    return count === 1 ? [pending.shift()!] : pending.splice(0, count)
  }
}

function factsOf(view: MessageView): number {
  const { flags } = view
  let facts = isHead(view) ? Pending.head : 0
  if ((flags & MessageFlag.connect) !== 0) facts |= Pending.connect
  if ((flags & (MessageFlag.upgrade | MessageFlag.foreignUpgrade)) === MessageFlag.upgrade) facts |= Pending.h2c
  return view.isOneShot ? facts | Pending.last : facts
}

function isHead(view: MessageView): boolean {
  const { bytes, headAt } = view
  return (
    view.methodEnd - headAt === 4 &&
    bytes[headAt] === 0x48 &&
    bytes[headAt + 1] === 0x45 &&
    bytes[headAt + 2] === 0x41 &&
    bytes[headAt + 3] === 0x44
  )
}
