/**
 * How far the server's stream is known: what a client can have heard of its answers when it sent a byte. A client that has the final answer
 * to a request may give up the body that it has not sent yet, or send it all the same (RFC 9110 section 10.1.1, RFC 9112 section 9.3).
 */
import { NO_OFFSET } from '../reassembly/stream-parser.ts'
import type { PendingRequest } from './http-events.ts'

export class ServerProgress {
  /** Offset of the answer that says Connection: close; NO_OFFSET: none did. */
  closesAt: number = NO_OFFSET
  /** Offset of the piece being read. */
  at = 0
  /** Everything in front of it was delivered, or is known to be lost. */
  private end = NO_OFFSET
  /** From there on an answer may have been sent that was not recognised. */
  private unsureFrom = Number.POSITIVE_INFINITY
  /** A client's request line is evidence only with more of the server's stream than this. */
  private resumeFrom = Number.NEGATIVE_INFINITY

  /** @param isReadable what comes next in it will be recognised */
  delivered(end: number, isReadable: boolean): void {
    this.end = end
    if (!isReadable) this.isUnsureFrom(this.at)
  }

  gap(length: number): void {
    this.isUnsureFrom(this.end)
    if (this.end !== NO_OFFSET) this.end += length
  }

  /** The client sends a request, having heard so much. */
  requestBegins(peerOffset: number, isAtBoundary: boolean): void {
    if (isAtBoundary && peerOffset >= this.end) this.unsureFrom = Number.POSITIVE_INFINITY
  }

  /** @param asked null: whose it is is not known */
  finalAnswer(offset: number, asked: PendingRequest | null): void {
    if (asked === null) this.isUnsureFrom(offset)
    if (this.resumeFrom === Number.POSITIVE_INFINITY && asked?.state !== 'dropped') this.resumeFrom = offset
  }

  /** What follows may be a body or requests: only behind a further answer is a boundary proven. */
  requireAnswer(): void {
    this.resumeFrom = Number.POSITIVE_INFINITY
  }

  mayResume(peerOffset: number): boolean {
    return peerOffset > this.resumeFrom
  }

  /**
   * The client may have had the beginning of the final answer to the request in hand when it had so much of the server's stream.
   * @param before what it had when it began the request: the answer cannot stand in front of that
   */
  mayHaveAnswered(peerOffset: number, before: number, asked: PendingRequest | null): boolean {
    const answer = asked?.answerOffset ?? NO_OFFSET
    if (peerOffset === NO_OFFSET) return answer !== NO_OFFSET
    if (answer !== NO_OFFSET) return peerOffset > answer
    return peerOffset > Math.max(before, Math.min(this.end, this.unsureFrom))
  }

  private isUnsureFrom(offset: number): void {
    this.unsureFrom = Math.min(this.unsureFrom, offset)
  }
}
