/** A replay sink over a raw origin, with the ledger that must balance at every moment. */
import { expect } from 'vitest'
import { type Clock, MonotonicClock } from '../../../../src/base/clock.ts'
import type { ConnectionFacts } from '../../../../src/exchange/connection.ts'
import type { MessageView } from '../../../../src/exchange/message.ts'
import { OpenConnections } from '../../../../src/exchange/open-connections.ts'
import { Counter, CounterBlock } from '../../../../src/metrics/counters.ts'
import type { ScalarName } from '../../../../src/metrics/scalars.ts'
import type { SharedRateLimiter } from '../../../../src/sinks/filter/rate-limiter.ts'
import type { EngineFactory, EngineName } from '../../../../src/sinks/replay/engine.ts'
import { loadEngine } from '../../../../src/sinks/replay/engines.ts'
import { REPLAY_DEFAULTS, type ReplaySinkOptions } from '../../../../src/sinks/replay/options.ts'
import { ReplaySink } from '../../../../src/sinks/replay/replay-sink.ts'
import { accountedFor, dropsOf, outcomesOf } from './ledger.ts'

export interface RigDeps {
  readonly rateLimiter?: SharedRateLimiter
  readonly clock?: Clock
  readonly engine?: EngineFactory
}

const ENGINES: Readonly<Record<EngineName, EngineFactory>> = {
  wire: await loadEngine('wire'),
  undici: await loadEngine('undici'),
}

export class SinkRig {
  readonly counters = new CounterBlock()
  readonly connections = new OpenConnections()
  readonly sink: ReplaySink
  given = 0

  constructor(origin: URL, options: Partial<ReplaySinkOptions> = {}, deps: RigDeps = {}) {
    this.sink = new ReplaySink({ ...REPLAY_DEFAULTS, origin, ...options }, this.counters, {
      connections: this.connections,
      clock: deps.clock ?? new MonotonicClock(),
      random: () => 0.5,
      rateLimiter: deps.rateLimiter ?? null,
      engine: deps.engine ?? ENGINES[options.engine ?? REPLAY_DEFAULTS.engine],
    })
  }

  give(message: MessageView, connection: ConnectionFacts): void {
    this.connections.open(connection)
    this.sink.request({ connection: connection.handle, stream: 0, index: this.given++ }, message)
    this.check()
  }

  close(connection: ConnectionFacts): void {
    this.sink.closed(connection.handle)
    this.connections.close(connection.handle)
  }

  /** Nothing is lost and nothing counted twice. */
  check(): void {
    expect(accountedFor(this.counters, this.sink.held)).toBe(this.given)
  }

  async drain(limitMs = 10_000): Promise<void> {
    await this.sink.drain(limitMs)
    this.check()
    expect(this.sink.held).toBe(0)
    expect(this.sink.unsettledConnections).toBe(0)
    for (const gauge of ['replayQueued', 'replayQueuedBytes', 'replayInFlight'] as const)
      expect(this.count(gauge)).toBe(0)
  }

  count(name: ScalarName): number {
    return this.counters.get(Counter[name])
  }

  get drops(): Record<string, number> {
    return dropsOf(this.counters)
  }

  get outcomes(): Record<string, number> {
    return outcomesOf(this.counters)
  }
}
