/** What a MessageReader does not decide itself: where requests and responses differ. */

import type { MessageView } from '../exchange/message.ts'
import type { BodyTarget } from './body-reader.ts'
import type { LineProbe } from './first-line.ts'

/** Where the message in hand begins. */
export interface MessageStart {
  /** Time of the packet that brought its first byte. */
  readonly startUs: number
  /** Offset of that byte in its stream. */
  readonly startOffset: number
  /** How far its sender had the other direction when it sent it; NO_OFFSET: unknown. */
  readonly startPeerOffset: number
}

/** How a body is framed besides its own headers. */
export const Body = {
  /** As the headers say. */
  stated: 0,
  /** None: to HEAD, 1xx, 204, 304 (RFC 9112 section 6.3). */
  none: 1,
  /** What follows is not HTTP: 101, or 2xx to CONNECT. */
  tunnel: 2,
  /** Of a response to a request that was not seen: as the headers say, unless another response follows at once. Then it was to HEAD. */
  unlessAnswer: 3,
} as const

/** Why bytes were passed over. */
export const Skipped = {
  /** No message boundary was proven. */
  unproven: 0,
  /** After an ambiguous message. */
  ambiguous: 1,
  /** After the last message of the connection. */
  behindClose: 2,
} as const

/** Faults are codes of Fault. Each message that is recognised ends once: complete, lost or malformed. */
export interface MessageRole extends BodyTarget {
  readonly isRequest: boolean
  /** The next message must wait. */
  readonly isPaused: boolean
  /** After the message in hand nothing is read until the reader is told to resume. */
  readonly waits: boolean
  /** After the message in hand nothing is read at all: the connection ends. */
  readonly isLast: boolean
  /** The message in hand is handed on where it lies, when it lies whole in one piece. */
  readonly takesWhole: boolean

  /** As HeadReader does, into the view of the context. */
  parse(bytes: Buffer, at: number, end: number): number
  /** One of Probe, for a first line that begins at `at`. */
  probe(bytes: Buffer, at: number, end: number): number
  newProbe(): LineProbe
  /** Malformed bytes that are a message of this kind all the same. */
  looksLikeOne(bytes: Buffer, at: number, end: number): boolean

  /** Something begins where a message may. */
  begins(): void
  /** Its first line was recognised. Idempotent. */
  firstLine(): void
  /** Its head is malformed: nothing is read after it. */
  headFault(fault: number): void
  /** Its head will not come whole. */
  headLost(fault: number): void
  /** Its head is complete. Returns one of Body. */
  head(view: MessageView, start: MessageStart): number
  /** Its body is [at, end) of `bytes`, the piece with the head: the message is complete. */
  whole(view: MessageView, bytes: Buffer, at: number, end: number, endOffset: number, timeUs: number): void
  /** Its body follows: what is needed of the head is copied. */
  bodyBegins(view: MessageView): void
  /** Bytes of its body will not come. */
  bodyGap(fault: number): void
  /** The end of its body was not reached. */
  bodyLost(fault: number, timeUs: number): void
  /** The end of its body was reached. */
  complete(endOffset: number, timeUs: number): void
  /** The reader waits after it. */
  waitBegins(): void

  /** The sender may have known the final response to the message in hand when it sent what follows. */
  isInDoubt(peerOffset: number, start: MessageStart): boolean
  /** Messages before the next one, the one in hand too, whose answer was not seen. */
  readonly unanswered: number
  /** A segment whose beginning may be a message or part of one: nothing tells. */
  unproven(bytes: Buffer, at: number, end: number): void
  /** The first bytes of the stream are no message of this kind. True: one may still follow at a proven boundary. */
  isOther(bytes: Buffer, at: number, end: number): boolean
  /** An unknown number of messages was lost. */
  lost(): void
  /** Behind a refused body a boundary was proven. @param unanswered messages before it whose answer may still come, at most */
  found(unanswered: number): void
  /** @param why one of Skipped */
  skipped(bytes: number, why: number): void
}
