/** --to null: counts what would have been replayed and discards it. The harness for throughput. */
import { Outcome, RequestDrop } from '../base/drop.ts'
import type { ConnectionDirectory } from '../exchange/connection.ts'
import type { ExchangeId } from '../exchange/exchange-outlet.ts'
import type { MessageView } from '../exchange/message.ts'
import type { CounterBlock } from '../metrics/counters.ts'
import type { SharedRateLimiter } from './filter/rate-limiter.ts'
import { RequestSelection, type SelectionOptions } from './filter/selection.ts'
import { type Sink, type SinkSettings, WANTS_HEADS } from './sink.ts'

export interface NullSinkDeps {
  readonly connections: ConnectionDirectory
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly rateLimiter: SharedRateLimiter | null
}

/** The same filters as the replay sink, in the same order; what passes has the outcome `null` at once, so nothing is ever held. */
export class NullSink implements Sink {
  readonly wants = WANTS_HEADS
  readonly held = 0
  readonly unsettledConnections = 0
  private readonly counters: CounterBlock
  private readonly connections: ConnectionDirectory
  private selection: RequestSelection
  private limiter: SharedRateLimiter | null
  private readonly shed: boolean
  private readonly random: () => number

  /** @param options `shed`: live traffic beyond the rate is dropped; otherwise `hasRoom` holds back the feeder */
  constructor(options: SelectionOptions & { readonly shed: boolean }, counters: CounterBlock, deps: NullSinkDeps) {
    this.counters = counters
    this.connections = deps.connections
    this.random = deps.random
    this.selection = new RequestSelection(options, deps.random)
    this.limiter = deps.rateLimiter
    this.shed = options.shed
  }

  request(id: ExchangeId, message: MessageView): void {
    const refused = this.selection.refusal(message, this.connections.facts(id.connection))
    if (refused !== RequestDrop.none) this.counters.requestDrop(refused)
    else if (this.limiter !== null && !this.isWithinRate(this.limiter))
      this.counters.requestDrop(RequestDrop.rateLimited)
    else this.counters.outcome(Outcome.null)
  }

  change({ selection, rateLimiter }: SinkSettings): void {
    this.selection = new RequestSelection(selection, this.random)
    this.limiter = rateLimiter
  }

  hasRoom(): boolean {
    return this.shed || this.limiter === null || this.limiter.waitUs() === 0
  }

  drain(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** A packet can complete several requests: what comes after `hasRoom` said yes is taken, and paid for by waiting longer. */
  private isWithinRate(limiter: SharedRateLimiter): boolean {
    if (this.shed) return limiter.tryTake()
    limiter.take()
    return true
  }
}
