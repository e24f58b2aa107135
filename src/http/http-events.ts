/** What HTTP on one captured connection tells the stage behind it (pairing, sinks). */
import type { MessageView } from '../exchange/message.ts'

/** Facts about a request, as bits. */
export const Pending = {
  /** HEAD: its answer has no body. */
  head: 1,
  connect: 2,
  /** Asks for an upgrade to h2c and nothing else: what follows an accepted one begins with bytes that are no HTTP/1. */
  h2c: 4,
  /** HTTP/1.0 without keep-alive: the connection ends behind its answer (RFC 9112 section 9.3). */
  last: 8,
  /** The client sent it though the server had said that it closes: a request only if it is answered. */
  behindClose: 16,
} as const

/**
 * A request whose answer may still come, in the order sent. Once it is answered the next one may have its object. `attachment` belongs to whoever pairs exchanges.
 */
export interface PendingRequest {
  /** Bits of Pending. */
  readonly is: number
  /** How far the client had the server's stream when it sent the first byte: a response that begins there answers this request. */
  readonly peerOffset: number
  /** Requests in front of it were lost: whether a response is its own, or theirs, must be proven. */
  isBehindLoss: boolean
  /** Stream offset behind its last byte, once complete. */
  endOffset: number
  state: 'reading' | 'complete' | 'dropped'
  /** Offset of the first byte of its final answer; NO_OFFSET until its head was seen. */
  answerOffset: number
  attachment: unknown
}

/** Views and bytes are borrowed. */
export interface HttpEvents {
  request(view: MessageView, pending: PendingRequest): void
  /** Behind `request` too: it stands behind Connection: close, and no server read it. Whoever still has it counts it. */
  requestDropped(pending: PendingRequest | null): void
  /** @param pending null: the request was not seen */
  responseHead(view: MessageView, pending: PendingRequest | null): void
  responseBody(bytes: Buffer, at: number, end: number): void
  /** @param timeUs of its last byte */
  responseEnd(pending: PendingRequest | null, isComplete: boolean, timeUs: number): void
  /** The answers to these requests will not be recognised. */
  responsesMissed(pending: readonly PendingRequest[]): void
  closed(): void
}
