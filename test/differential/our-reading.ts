/** One stream, read by the product's own connection: what is passed on, what is dropped and why, and what is not looked at. */
import { REQUEST_DROP_NAMES } from '../../src/base/drop.ts'
import type { ConnectionFacts } from '../../src/exchange/connection.ts'
import type { MessageView } from '../../src/exchange/message.ts'
import { HttpConnection } from '../../src/http/http-connection.ts'
import type { HttpEvents, PendingRequest } from '../../src/http/http-events.ts'
import { Counter, REQUEST_DROPS } from '../../src/metrics/counters.ts'
import { Demand, End } from '../../src/reassembly/stream-parser.ts'
import { CLIENT, CONNECTION, FLOW_HASH, RigContext, SERVER } from '../http/support/connection-rig.ts'
import { pieceOf } from '../http/support/parsing.ts'

export interface TakenRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
}

export interface OurReading {
  /** In the order of their ends: a request that is passed on, or the reason for which one was dropped. */
  readonly verdicts: readonly (TakenRequest | string)[]
  readonly bytes: {
    readonly afterAmbiguous: number
    readonly otherProtocol: number
    readonly tunnel: number
    readonly behindClose: number
  }
}

/** As the product's defaults are. */
const LIMITS = { maxHeadBytes: 65_536, maxFields: 512 }
/** Whoever asked for a tunnel does not get it: HTTP goes on. */
const REFUSAL = Buffer.from('HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n')

export type RequestTaker = (view: MessageView, connection: ConnectionFacts, copy: TakenRequest) => void

/** @param take is lent each request that is passed on, as sinks are */
export function readAsWeDo(pieces: readonly Buffer[], take: RequestTaker = () => {}): OurReading {
  const context = new RigContext(LIMITS)
  const { counters } = context
  const verdicts: (TakenRequest | string)[] = []
  /** Requests that a server would answer, and answers given. */
  let asked = 0
  let answered = 0
  const seen = new Float64Array(REQUEST_DROP_NAMES.length)
  const freshDrop = (): string => {
    const code = REQUEST_DROP_NAMES.findIndex((_, i) => i > 0 && counters.get(REQUEST_DROPS + i) > seen[i]!)
    seen[code]!++
    return REQUEST_DROP_NAMES[code]!
  }
  const events: HttpEvents = {
    request(view) {
      asked++
      const copy = copyOf(view)
      verdicts.push(copy)
      take(view, CONNECTION, copy)
    },
    requestDropped(pending: PendingRequest | null) {
      if (pending !== null) asked++
      verdicts.push(freshDrop())
    },
    responseHead() {},
    responseBody() {},
    responseEnd() {},
    responsesMissed() {},
    closed() {},
  }
  const connection = new HttpConnection(context, FLOW_HASH, [40_000, 80], CLIENT, () => events)
  let serverSeq = 0
  let seq = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const lent = pieceOf(piece.subarray(at), seq)
      const taken = connection.data(CLIENT, lent)
      lent.bytes.fill(0x5a)
      at += taken
      seq += taken
      if (at === piece.length || connection.demand(CLIENT) !== Demand.paused) continue
      for (; answered < asked; answered++) {
        connection.data(SERVER, pieceOf(REFUSAL, serverSeq))
        serverSeq += REFUSAL.length
      }
      if (connection.demand(CLIENT) === Demand.paused) throw new Error('still waiting for an answer that came')
    }
  }
  connection.close(End.fin)
  if (context.requestsInParsing !== 0 || context.partialHeadsOut !== 0) throw new Error('something is still held')
  const parsed = counters.get(Counter.requestsParsed)
  if (parsed !== verdicts.length) throw new Error(`${parsed} requests parsed, ${verdicts.length} accounted for`)
  return {
    verdicts,
    bytes: {
      afterAmbiguous: counters.get(Counter.afterAmbiguous),
      otherProtocol: counters.get(Counter.otherProtocolBytes),
      tunnel: counters.get(Counter.tunnelBytes),
      behindClose: counters.get(Counter.behindCloseBytes),
    },
  }
}

/** `POST /a [5]` or `-reason`. */
export function lineOf(verdict: TakenRequest | string): string {
  if (typeof verdict === 'string') return `-${verdict}`
  const { method, target, body } = verdict
  return `${method} ${target}${body.length > 0 ? ` [${body.length}]` : ''}`
}

function copyOf(view: MessageView): TakenRequest {
  const headers: [string, string][] = []
  for (let i = 0; i < view.fieldCount; i++) headers.push([view.fieldName(i), view.fieldValue(i)])
  return {
    method: view.method(),
    target: view.target(),
    version: `1.${view.minorVersion}`,
    headers,
    body: view.copyBody() ?? Buffer.alloc(0),
  }
}
