/**
 * Every exchange to several sinks. Each has its own queue and its own full-queue policy, so a slow one holds up no other:
 *
 *   drop   what it has no room for it drops and counts; the others continue
 *   wait   the reader of files waits for it, and with it all: nothing is lost. Live traffic never waits
 *
 * Each target counts in a block of its own: given = dropped + replayed + held. The shard's block counts what was handed to all.
 */
import type { ConnectionHandle } from '../exchange/connection.ts'
import { type ExchangeId, type ExchangeOutlet, unitedWants, type Wants } from '../exchange/exchange-outlet.ts'
import type { MessageView } from '../exchange/message.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import type { Sink } from './sink.ts'

export type WhenFull = 'drop' | 'wait'

export interface Branch {
  readonly sink: Sink
  readonly whenFull: WhenFull
  /** The block that the sink counts in. */
  readonly counters: CounterBlock
}

export class FanOut implements Sink, ExchangeOutlet {
  readonly wants: Wants
  private readonly branches: readonly Branch[]
  private readonly counters: CounterBlock
  // By what they want: none is called for anything else.
  private readonly hearsRequests: readonly Branch[]
  private readonly hearsDrops: readonly Sink[]
  private readonly hearsResponses: readonly Sink[]
  private readonly hearsBodies: readonly Sink[]
  private readonly hearsEnds: readonly Sink[]
  private readonly waitedFor: readonly Sink[]

  /** @param counters the shard's */
  constructor(branches: readonly Branch[], counters: CounterBlock) {
    const sinks = branches.map(({ sink }) => sink)
    this.branches = branches
    this.counters = counters
    this.wants = unitedWants(sinks.map(({ wants }) => wants))
    this.hearsRequests = branches.filter(({ sink }) => sink.request !== undefined)
    this.hearsDrops = sinks.filter((sink) => sink.requestDropped !== undefined)
    this.hearsResponses = sinks.filter(({ wants }) => wants.responseHead)
    this.hearsBodies = sinks.filter(({ wants }) => wants.responseBody)
    this.hearsEnds = sinks.filter((sink) => sink.closed !== undefined)
    this.waitedFor = branches.filter(({ whenFull }) => whenFull === 'wait').map(({ sink }) => sink)
  }

  get held(): number {
    return sum(this.branches, (sink) => sink.held)
  }

  get unsettledConnections(): number {
    return sum(this.branches, (sink) => sink.unsettledConnections)
  }

  request(id: ExchangeId, message: MessageView): void {
    this.counters.add(Counter.requestsForwarded)
    for (const { sink, counters } of this.hearsRequests) {
      counters.add(Counter.requestsForwarded)
      sink.request!(id, message)
    }
  }

  requestDropped(id: ExchangeId): void {
    for (const sink of this.hearsDrops) sink.requestDropped!(id)
  }

  response(id: ExchangeId, head: MessageView): void {
    for (const sink of this.hearsResponses) sink.response?.(id, head)
  }

  responseData(id: ExchangeId, bytes: Buffer, at: number, end: number): void {
    for (const sink of this.hearsBodies) sink.responseData?.(id, bytes, at, end)
  }

  responseEnd(id: ExchangeId, state: number, timeUs: number): void {
    for (const sink of this.hearsResponses) sink.responseEnd?.(id, state, timeUs)
  }

  closed(connection: ConnectionHandle): void {
    for (const sink of this.hearsEnds) sink.closed!(connection)
  }

  hasRoom(): boolean {
    return this.waitedFor.every((sink) => sink.hasRoom())
  }

  flush(): void {
    for (const { sink, counters } of this.branches) {
      sink.flush?.()
      counters.set(Counter.requestsHeld, sink.held)
      counters.publish()
    }
  }

  /** All at once: the longest drain is the drain of all. */
  async drain(limitMs: number): Promise<void> {
    await Promise.all(this.branches.map(({ sink }) => sink.drain(limitMs)))
  }

  async close(): Promise<void> {
    await Promise.all(this.branches.map(({ sink }) => sink.close()))
    this.flush()
  }
}

function sum(branches: readonly Branch[], value: (sink: Sink) => number): number {
  return branches.reduce((total, { sink }) => total + value(sink), 0)
}
