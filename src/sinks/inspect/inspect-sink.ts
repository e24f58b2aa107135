/** inspect: exchanges are paired, hashed and written. Loaded for it only: it needs node:crypto. */
import { Outcome, RequestDrop } from '../../base/drop.ts'
import type { ConnectionDirectory, ConnectionHandle } from '../../exchange/connection.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import type { ExchangeId, Wants } from '../../exchange/exchange-outlet.ts'
import type { MessageView } from '../../exchange/message.ts'
import type { HttpMemory } from '../../http/http-memory.ts'
import { Counter, type CounterBlock } from '../../metrics/counters.ts'
import { FilterSteps } from '../filter/filter-steps.ts'
import { Pairing } from '../pairing.ts'
import type { Sink } from '../sink.ts'
import { bodyUse, type InspectOptions } from './options.ts'
import { type ExchangeWriter, openWriter } from './writers.ts'

/** Where bytes of output go, and whether more may come. */
export interface DataOutput {
  /** Takes the memory over. */
  write(bytes: Uint8Array): void
  hasRoom(): boolean
}

export interface InspectSinkDeps {
  readonly connections: ConnectionDirectory
  readonly memory: HttpMemory
  readonly output: DataOutput
  /** Longest response body kept; longer ones are hashed only. */
  readonly maxBodyBytes: number
}

export class InspectSink implements Sink {
  readonly wants: Wants
  readonly unsettledConnections = 0
  private readonly pairing: Pairing
  private readonly writer: ExchangeWriter
  private readonly output: DataOutput

  constructor(options: InspectOptions, counters: CounterBlock, deps: InspectSinkDeps) {
    const bodies = bodyUse(options)
    this.wants = { requestBody: bodies !== 'none', responseHead: true, responseBody: true }
    this.output = deps.output
    this.writer = openWriter(options, (bytes) => deps.output.write(bytes), deps.maxBodyBytes)
    const steps = new FilterSteps(options.steps)
    const listener = {
      exchange: (exchange: Exchange) => {
        const { request, response, interim } = exchange
        if (!steps.isEmpty) {
          const status = response?.status ?? null
          if (request === null && !steps.passesAlone(status ?? interim[0]?.status ?? 0)) return
          const refused = request === null ? RequestDrop.none : steps.refusal(request, status)
          if (refused !== RequestDrop.none) return counters.requestDrop(refused)
        }
        if (request !== null) counters.outcome(Outcome.printed)
        this.writer.exchange(exchange)
      },
    }
    const onEvicted = () => counters.add(Counter.exchangesEvicted)
    const onWithdrawn = () => counters.requestDrop(RequestDrop.behindClose)
    const { maxBodyBytes, memory } = deps
    this.pairing = new Pairing({ bodies, maxBodyBytes, memory, onEvicted, onWithdrawn }, deps.connections, listener)
  }

  get held(): number {
    return this.pairing.held
  }

  request(id: ExchangeId, message: MessageView): void {
    this.pairing.request(id, message)
  }

  requestDropped(id: ExchangeId): void {
    this.pairing.requestDropped(id)
  }

  response(id: ExchangeId, head: MessageView): void {
    this.pairing.response(id, head)
  }

  responseData(id: ExchangeId, bytes: Buffer, at: number, end: number): void {
    this.pairing.responseData(id, bytes, at, end)
  }

  responseEnd(id: ExchangeId, state: number, timeUs: number): void {
    this.pairing.responseEnd(id, state, timeUs)
  }

  closed(connection: ConnectionHandle): void {
    this.pairing.closed(connection)
  }

  hasRoom(): boolean {
    return this.output.hasRoom()
  }

  flush(): void {
    this.writer.flush()
  }

  /** What is held ended with its connection. */
  drain(): Promise<void> {
    return Promise.resolve()
  }

  async close(): Promise<void> {
    this.flush()
  }
}
