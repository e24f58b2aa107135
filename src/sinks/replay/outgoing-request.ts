/** A captured request on its way to the origin, as the queue and the engines see it. */
import type { MessageView } from '../../exchange/message.ts'
import type { Lane } from './lanes.ts'

/**
 * Made by the engine's `prepare`, owned by the sink until it is counted. What is sent stands in the engine's own class:
 * bytes (WireRequest) or strings (FieldRequest).
 */
export class OutgoingRequest {
  readonly method: string
  /** Bytes of the captured head and of the body: what it counts for in the queue's bound. */
  readonly heldBytes: number
  readonly lane: Lane
  /** Time of the captured packet that completed it, microseconds. */
  capturedUs = 0
  /** Clock time at which it was queued. */
  queuedUs = 0
  /** It was sent before, on a connection that turned out to be closed. */
  isRetry = false
  /** It is the circuit breaker's probe. */
  isProbe = false
  /** Next in its lane. */
  next: OutgoingRequest | null = null

  constructor(method: string, heldBytes: number, lane: Lane) {
    this.method = method
    this.heldBytes = heldBytes
    this.lane = lane
  }
}

/** What a captured request would count for in the queue's bound. */
export function heldBytesOf(message: MessageView): number {
  return message.headEnd - message.headAt + (message.bodyEnd - message.bodyAt)
}
