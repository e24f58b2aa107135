/** CONNECT and upgrades: what follows one is read when the head of its answer has said what it is. */
import type { PendingRequest } from './http-events.ts'

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
