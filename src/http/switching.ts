/** CONNECT and upgrades: what follows one is read when the head of its answer has said what it is. */
import type { PendingRequest } from './http-events.ts'
import { MessageFlag, type MessageView } from './message.ts'

export class Switching {
  /** The CONNECT or upgrade behind which reading waits for the answer. */
  awaited: PendingRequest | null = null
  private sinceUs = 0
  /** What the server sent last let the requests go on: they come before its next answer. */
  hasResumed = false
  /** The response being read turns the connection into a tunnel. */
  isAccepted = false

  await(asked: PendingRequest, nowUs: number): void {
    this.awaited = asked
    this.sinceUs = nowUs
  }

  /** The wait is over. Returns what was waited for. */
  end(): PendingRequest | null {
    const asked = this.awaited
    this.awaited = null
    return asked
  }

  deadlineUs(waitUs: number): number {
    return this.sinceUs + waitUs
  }

  /** 101, or 2xx to CONNECT. */
  isAcceptedBy(status: number, asked: PendingRequest | null): boolean {
    return status === 101 || (asked?.isConnect === true && status >= 200 && status < 300)
  }
}

/**
 * A success without a length, to a request that was not seen: a CONNECT that was accepted (RFC 9110 section 9.3.6), or a body that lasts
 * until the server closes. Behind neither comes a request that would be answered.
 */
export function mayAcceptConnect(view: MessageView): boolean {
  const { status } = view
  return status >= 200 && status < 300 && status !== 204 && !view.has(MessageFlag.hasLength | MessageFlag.chunked)
}
