/** CONNECT and upgrades: what follows one is read when the head of its response has said what it is. */

import { MessageFlag, type MessageView } from '../exchange/message.ts'
import { Probe, probeStatusLine } from './first-line.ts'
import { Pending, type PendingRequest } from './http-events.ts'
import type { ParserContext } from './parser-context.ts'

export class Switching {
  /** The CONNECT or upgrade after which reading waits for the response. */
  awaited: PendingRequest | null = null
  private sinceUs = 0
  /** What the server sent last let the requests continue: they come before its next response. */
  hasResumed = false
  /** The response being read turns the connection into a tunnel. */
  isAccepted = false

  await(request: PendingRequest, nowUs: number): void {
    this.awaited = request
    this.sinceUs = nowUs
  }

  /** The wait is over. Returns what was waited for. */
  end(): PendingRequest | null {
    const request = this.awaited
    this.awaited = null
    return request
  }

  deadlineUs(waitUs: number): number {
    return this.sinceUs + waitUs
  }

  /** 101, or 2xx to CONNECT. */
  isAcceptedBy(status: number, request: PendingRequest | null): boolean {
    return status === 101 || (isConnect(request) && status >= 200 && status < 300)
  }
}

export function isConnect(request: PendingRequest | null): boolean {
  return request !== null && (request.is & Pending.connect) !== 0
}

/**
 * A success without a length, to a request that was not seen: a CONNECT that was accepted (RFC 9110 section 9.3.6), or a body that lasts
 * until the server closes. After neither comes a request that would be answered.
 */
export function mayAcceptConnect(view: MessageView): boolean {
  const { status } = view
  return status >= 200 && status < 300 && status !== 204 && !view.has(MessageFlag.hasLength | MessageFlag.chunked)
}

/**
 * What a segment where a response may begin would say: it may accept an upgrade or a CONNECT that was not seen. Of one that is truncated or
 * malformed nobody can tell what was requested.
 */
export function mayHideAcceptance(
  { reader, view }: ParserContext,
  bytes: Buffer,
  at: number,
  end: number,
  isMidMessage: boolean,
): boolean {
  if (probeStatusLine(bytes, at, end) !== Probe.yes) return false
  const headEnd = reader.response(bytes, at, end, view)
  if (view.status === 101) return true
  return headEnd < 0 ? isMidMessage : mayAcceptConnect(view)
}
