/** For sinks that read requests only: complete requests go straight on, responses are not looked at. */

import type { Connection } from '../exchange/connection.ts'
import type { MessageView } from '../exchange/message.ts'
import type { HttpEvents } from './http-connection.ts'

/** What the forwarder needs of a sink: see sinks/sink.ts. */
export interface RequestTaker {
  request(message: MessageView, connection: Connection): void
  connectionClosed(connection: Connection): void
}

export class RequestForwarder implements HttpEvents {
  private readonly connection: Connection
  private readonly taker: RequestTaker

  constructor(connection: Connection, taker: RequestTaker) {
    this.connection = connection
    this.taker = taker
  }

  request(view: MessageView): void {
    this.taker.request(view, this.connection)
  }

  closed(): void {
    this.taker.connectionClosed(this.connection)
  }

  requestDropped(): void {}
  responseHead(): void {}
  responseBody(): void {}
  responseEnd(): void {}
  responsesMissed(): void {}
}
