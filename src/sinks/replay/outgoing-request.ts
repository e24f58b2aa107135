/** A captured request on its way to the origin, as the queues and the engines see it. */
import type { MessageView } from '../../exchange/message.ts'
import type { ConnectionQueue } from './connection-queues.ts'

/**
 * Made by the engine's `prepare`, owned by the scheduler until it has ended. What is sent stands in the engine's own class:
 * bytes (ByteRequest) or strings (FieldRequest).
 */
export class OutgoingRequest {
  readonly method: string
  /** Bytes of the captured head and of the body: what it counts for in the queue's bound. */
  readonly heldBytes: number
  /** Time of the captured packet that completed it, microseconds. */
  capturedUs = 0
  /** Clock time at which it was queued. */
  queuedUs = 0
  /** It was sent before, on a connection that turned out to be closed. */
  isRetry = false
  /** It is the circuit breaker's probe. */
  isProbe = false
  /** Its place, from `append` to its end: the queue of its captured connection, and its neighbours there. */
  queue: ConnectionQueue | null = null
  next: OutgoingRequest | null = null
  previous: OutgoingRequest | null = null

  constructor(method: string, heldBytes: number) {
    this.method = method
    this.heldBytes = heldBytes
  }
}

/** What a captured request would count for in the queue's bound. */
export function heldBytesOf(message: MessageView): number {
  return message.headEnd - message.headAt + (message.bodyEnd - message.bodyAt)
}
