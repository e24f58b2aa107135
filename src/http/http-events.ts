/** What HTTP on one captured connection tells the stage after it (pairing, sinks). */
import type { MessageView } from '../exchange/message.ts'

/** Facts about a request, as bits. */
export const Pending = {
  /** HEAD: its response has no body. */
  head: 1,
  connect: 2,
  /** Asks for an upgrade to h2c and nothing else: what follows an accepted one begins with bytes that are no HTTP/1. */
  h2c: 4,
  /** HTTP/1.0 without keep-alive: the connection ends after its response (RFC 9112 section 9.3). */
  last: 8,
  /** The client sent it though the server had said that it closes: a request only if it is answered. */
  behindClose: 16,
} as const

/**
 * A request whose response may still come, in the order sent. Once it is answered the next one may have its object. `attachment` belongs to whoever pairs exchanges.
 */
export interface PendingRequest {
  /** Bits of Pending. */
  readonly is: number
  /** How far the client had the server's stream when it sent the first byte: a response that begins there answers this request. */
  readonly peerOffset: number
  /** Requests before it were lost: whether a response is its own, or theirs, must be proven. */
  isBehindLoss: boolean
  /** Stream offset after its last byte, once complete. */
  endOffset: number
  state: 'reading' | 'complete' | 'dropped'
  /** Offset of the first byte of its final response; NO_OFFSET until its head was seen. */
  answerOffset: number
  attachment: unknown
}

/** Views and bytes are borrowed. */
export interface HttpEvents {
  request(view: MessageView, pending: PendingRequest): void
  /** Also called after `request`: the request follows Connection: close, and no server read it. Whoever still holds it counts it. */
  requestDropped(pending: PendingRequest | null): void
  /** @param pending null: the request was not seen */
  responseHead(view: MessageView, pending: PendingRequest | null): void
  responseBody(bytes: Buffer, at: number, end: number): void
  /** @param timeUs of its last byte */
  responseEnd(pending: PendingRequest | null, isComplete: boolean, timeUs: number): void
  /** The responses to these requests will not be recognised. */
  responsesMissed(pending: readonly PendingRequest[]): void
  closed(): void
}
