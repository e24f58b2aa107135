/**
 * How far the server's stream is known: what a client can have received of its responses when it sent a byte. A client that has the final response
 * to a request may give up the body that it has not sent yet, or send it all the same (RFC 9110 section 10.1.1, RFC 9112 section 9.3).
 */
import { NO_OFFSET } from '../reassembly/stream-parser.ts'
import type { PendingRequest } from './http-events.ts'

export class ServerProgress {
  /** Offset of the response that says Connection: close; NO_OFFSET: none did. */
  closesAt: number = NO_OFFSET
  /** Offset of the piece being read. */
  at = 0
  /** How far the server had the client's stream when it began its last final response; NO_OFFSET: unknown. */
  private had: number = NO_OFFSET
  /** Everything before it was delivered, or is known to be lost. */
  private end = NO_OFFSET
  /** From `unsureFrom` on a response may have been sent that was not recognised. */
  private isUnsure = false
  private unsureFrom: number = NO_OFFSET

  /** @param isReadable what comes next in it will be recognised */
  delivered(end: number, isReadable: boolean): void {
    this.end = end
    if (!isReadable) this.unsure(this.at)
  }

  /** Returns where it begins; NO_OFFSET: unknown. */
  gap(length: number): number {
    const at = this.end
    this.unsure(at)
    this.had = NO_OFFSET
    if (at !== NO_OFFSET) this.end += length
    return at
  }

  /** What the client had when it sent a request at `startOffset` ends with a response that the server began when it had exactly all before that. */
  hadAllBefore(startOffset: number, peerOffset: number): boolean {
    return this.had === startOffset && this.end === peerOffset
  }

  /** The client sends a request, having received so much. */
  requestBegins(peerOffset: number, isAtBoundary: boolean): void {
    if (isAtBoundary && peerOffset >= this.end) this.isUnsure = false
  }

  /** @param peerOffset how far the server had the client's stream @param request null: whose it is is not known */
  finalAnswer(offset: number, peerOffset: number, request: PendingRequest | null): void {
    this.had = peerOffset
    if (request === null) this.unsure(offset)
  }

  /**
   * The client may have had the beginning of the final response to the request in hand when it had so much of the server's stream.
   * @param before what it had when it began the request: the response cannot stand before that
   */
  mayHaveAnswered(peerOffset: number, before: number, request: PendingRequest | null): boolean {
    const answer = request?.answerOffset ?? NO_OFFSET
    if (peerOffset === NO_OFFSET) return answer !== NO_OFFSET
    if (answer !== NO_OFFSET) return peerOffset > answer
    const sure = this.isUnsure ? Math.min(this.end, this.unsureFrom) : this.end
    return peerOffset > Math.max(before, sure)
  }

  private unsure(offset: number): void {
    this.unsureFrom = this.isUnsure ? Math.min(this.unsureFrom, offset) : offset
    this.isUnsure = true
  }
}
