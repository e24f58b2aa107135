/** A request and its response as captured, in memory of its own: what inspection (and later comparison) reads. */

import type { Connection } from './connection.ts'
import type { MessageView } from './message.ts'

export interface CapturedRequest {
  readonly timeUs: number
  /** Time of the last byte. */
  readonly endUs: number
  readonly method: string
  readonly target: string
  readonly version: string
  readonly headers: readonly (readonly [string, string])[]
  readonly bodyBytes: number
  /** Lower-case hex of the transfer-decoded body; null where it was not asked for. */
  readonly bodySha256: string | null
  readonly body: Buffer | null
}

export interface CapturedResponse {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly bodyBytes: number
  readonly bodySha256: string | null
  readonly body: Buffer | null
  /** Bytes of it are missing. */
  readonly isIncomplete: boolean
  readonly timeUs: number
  /** Time of the last byte. */
  readonly endUs: number
}

export interface Exchange {
  readonly connection: Connection
  /** Null: the request was not seen, or was dropped. */
  readonly request: CapturedRequest | null
  /** Null: no response was seen. */
  readonly response: CapturedResponse | null
  /** 1xx answers before it. */
  readonly interim: readonly CapturedResponse[]
}

/** What is done with bodies: nothing, hashed, or hashed and kept. */
export type BodyUse = 'none' | 'hash' | 'keep'

export interface ExchangeSink {
  exchange(exchange: Exchange): void
}

export function headersOf(view: MessageView): [string, string][] {
  const headers: [string, string][] = []
  for (let i = 0; i < view.fieldCount; i++) headers.push([view.fieldName(i), view.fieldValue(i)])
  return headers
}
