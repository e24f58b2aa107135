/**
 * What protocols say, and sinks hear, of the exchanges of captured connections.
 *
 * For each exchange, in this order as far as they happen:
 *
 *   request or requestDropped          once; a response may come before either, while the request is still being read
 *   requestDropped after request       it is withdrawn: it follows Connection: close, and no server read it. Whoever still has it counts it
 *   response, responseData…, responseEnd   for each interim response (1xx except 101), then for the final one
 *   responseEnd `missing`              instead of a final response that will not be recognised
 *
 * `closed` comes once a connection, last; exchanges that have not ended then end with it. Exchanges of a connection begin in the order
 * of their requests. Heads and bytes are borrowed: they are valid until the call returns, and `keep` makes a copy. Calls come one after
 * the other on the shard's thread, none from inside another.
 */
import type { ConnectionHandle } from './connection.ts'
import type { MessageView } from './message.ts'

/**
 * One exchange. The object never changes and may be kept, and all calls about one exchange bring the same one, where responses are wanted
 * (`Wants.responseHead`). Else it is borrowed like the message: each request is spoken of once, and one object does for a connection.
 */
export interface ExchangeId {
  readonly connection: ConnectionHandle
  /** Of HTTP/2; 0 in HTTP/1. */
  readonly stream: number
  /** Of the request among those of the connection whose head was read, from 0; -1, -2, …: responses whose request was not seen. */
  readonly index: number
}

/** How a response ended. */
export const ResponseState = {
  complete: 0,
  /** Bytes of it are missing. */
  incomplete: 1,
  /** It will not come, or not be recognised. */
  missing: 2,
} as const

export interface ExchangeOutlet {
  /** A request is complete. */
  request(id: ExchangeId, message: MessageView): void
  /** A request whose head was read will not be complete, or was refused; or one that was complete is withdrawn. */
  requestDropped(id: ExchangeId): void
  /** The head of a response; its status tells an interim one. */
  response(id: ExchangeId, head: MessageView): void
  /** Transfer-decoded bytes [at, end) of the response whose head came last. */
  responseData(id: ExchangeId, bytes: Buffer, at: number, end: number): void
  /** @param state a ResponseState @param timeUs of the response's last byte; 0 where `missing` */
  responseEnd(id: ExchangeId, state: number, timeUs: number): void
  closed(connection: ConnectionHandle): void
}

/** What must be made for an outlet. Nobody pays for what no sink wants: bodies are not gathered, responses only framed. */
export interface Wants {
  /** Bodies of requests, not only their lengths. */
  readonly requestBody: boolean
  /** `response` and `responseEnd`; without it only requests and ends of connections come. */
  readonly responseHead: boolean
  /** `responseData`. */
  readonly responseBody: boolean
}

/** What any of them wants. */
export function unitedWants(all: readonly Wants[]): Wants {
  return {
    requestBody: all.some((wants) => wants.requestBody),
    responseHead: all.some((wants) => wants.responseHead),
    responseBody: all.some((wants) => wants.responseBody),
  }
}

/** An interim response is followed by another one to the same request (RFC 9110 section 15.2); 101 is not. */
export function isInterimStatus(status: number): boolean {
  return status < 200 && status !== 101
}
