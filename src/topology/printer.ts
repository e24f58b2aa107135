/** What a shard that prints has instead of a sink: exchanges are paired, hashed and written as lines. Loaded for `inspect` only: it needs node:crypto. */
import type { Connection } from '../exchange/connection.ts'
import type { HttpEvents } from '../http/http-connection.ts'
import type { HttpMemory } from '../http/http-memory.ts'
import { Counter, type CounterBlock } from '../metrics/counters.ts'
import { LineSink } from '../sinks/inspect/line-sink.ts'
import { Redaction, type RedactionOptions } from '../sinks/inspect/redaction.ts'
import { Pairing, type PairingOptions } from '../sinks/pairing.ts'

export class Printer {
  private readonly options: PairingOptions
  private readonly lines: LineSink

  constructor(
    options: Pick<PairingOptions, 'bodies' | 'maxBodyBytes'>,
    redaction: RedactionOptions | null,
    write: (lines: string) => void,
    counters: CounterBlock,
    memory: HttpMemory,
  ) {
    this.options = { ...options, held: { count: 0 }, memory, onShed: () => counters.add(Counter.exchangesShed) }
    this.lines = new LineSink(write, counters, redaction === null ? null : new Redaction(redaction))
  }

  /** Exchanges in the making whose request is complete. */
  get held(): number {
    return this.options.held.count
  }

  events(connection: Connection): HttpEvents {
    return new Pairing(connection, this.options, this.lines)
  }

  flush(): void {
    this.lines.flush()
  }
}
