/** One HTTP/1 connection as exchanges: numbers its requests, and says to an outlet what the outlet wants to hear. */
import type { ConnectionHandle } from '../exchange/connection.ts'
import {
  type ExchangeId,
  type ExchangeOutlet,
  isInterimStatus,
  ResponseState,
  type Wants,
} from '../exchange/exchange-outlet.ts'
import type { MessageView } from '../exchange/message.ts'
import type { HttpEvents, PendingRequest } from './http-events.ts'

export class HttpExchanges implements HttpEvents {
  private readonly connection: ConnectionHandle
  private readonly outlet: Partial<ExchangeOutlet>
  /** Where no responses are wanted. */
  private readonly borrowed: { connection: ConnectionHandle; stream: number; index: number }
  private readonly wantsResponses: boolean
  private readonly wantsBodies: boolean
  private readonly onClosed: (connection: ConnectionHandle) => void
  /** Requests whose head was read. */
  private requests = 0
  /** Responses, or rows of them, whose request was not seen. */
  private unseen = 0
  /** Interim responses to a request that was not seen: their final one is the next response of that kind. */
  private unfinished: ExchangeId | null = null
  /** The exchange whose response is being read. */
  private answering: ExchangeId | null = null

  /** @param onClosed called when the outlet knows of the end */
  constructor(
    connection: ConnectionHandle,
    outlet: Partial<ExchangeOutlet>,
    wants: Wants,
    onClosed: (connection: ConnectionHandle) => void,
  ) {
    this.connection = connection
    this.outlet = outlet
    this.borrowed = { connection, stream: 0, index: 0 }
    this.wantsResponses = wants.responseHead
    this.wantsBodies = wants.responseBody
    this.onClosed = onClosed
  }

  request(view: MessageView, pending: PendingRequest): void {
    this.outlet.request?.(this.idOf(pending), view)
  }

  requestDropped(pending: PendingRequest | null): void {
    if (pending !== null) this.outlet.requestDropped?.(this.idOf(pending))
  }

  responseHead(view: MessageView, pending: PendingRequest | null): void {
    if (!this.wantsResponses) return
    let id: ExchangeId
    if (pending !== null) {
      id = this.idOf(pending)
      if (this.unfinished !== null) this.outlet.responseEnd?.(this.unfinished, ResponseState.missing, 0)
      this.unfinished = null
    } else {
      id = this.unfinished ?? this.newId(--this.unseen)
      this.unfinished = isInterimStatus(view.status) ? id : null
    }
    this.answering = id
    this.outlet.response?.(id, view)
  }

  responseBody(bytes: Buffer, at: number, end: number): void {
    if (this.wantsBodies && this.answering !== null) this.outlet.responseData?.(this.answering, bytes, at, end)
  }

  responseEnd(_pending: PendingRequest | null, isComplete: boolean, timeUs: number): void {
    const id = this.answering
    if (id === null) return
    this.answering = null
    this.outlet.responseEnd?.(id, isComplete ? ResponseState.complete : ResponseState.incomplete, timeUs)
  }

  responsesMissed(pending: readonly PendingRequest[]): void {
    if (!this.wantsResponses) return
    for (const p of pending) this.outlet.responseEnd?.(this.idOf(p), ResponseState.missing, 0)
  }

  closed(): void {
    this.outlet.closed?.(this.connection)
    this.onClosed(this.connection)
  }

  /** Requests are first spoken of in their own order, so they can be numbered then. */
  private idOf(pending: PendingRequest): ExchangeId {
    if (!this.wantsResponses) {
      // Of each request only once: one object does for all.
      this.borrowed.index = this.requests++
      return this.borrowed
    }
    if (pending.attachment !== null) return pending.attachment as ExchangeId
    const id = this.newId(this.requests++)
    pending.attachment = id
    return id
  }

  private newId(index: number): ExchangeId {
    return { connection: this.connection, stream: 0, index }
  }
}
