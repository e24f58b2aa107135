/** A request and the responses to it, in memory of their own: what inspection, recording and comparison read. */
import type { ConnectionFacts } from './connection.ts'
import type { ExchangeId } from './exchange-outlet.ts'
import type { OwnedMessage } from './message.ts'

export interface Exchange {
  readonly id: ExchangeId
  readonly connection: ConnectionFacts
  /** Null: the request was not seen, or was dropped. */
  readonly request: OwnedMessage | null
  /** Null: no response was seen. */
  readonly response: OwnedMessage | null
  /** 1xx responses before it. */
  readonly interim: readonly OwnedMessage[]
}

/** What is done with bodies: nothing, hashed, or hashed and kept. */
export type BodyUse = 'none' | 'hash' | 'keep'

export interface ExchangeListener {
  /** Valid for as long as it is kept. */
  exchange(exchange: Exchange): void
}
