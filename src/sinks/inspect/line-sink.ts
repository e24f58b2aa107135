/** Prints exchanges: one line each, handed on in batches. Counts complete requests as `printed`. */
import { Outcome } from '../../base/drop.ts'
import type { Exchange, ExchangeSink } from '../../exchange/exchange.ts'
import type { CounterBlock } from '../../metrics/counters.ts'
import { exchangeLine } from './exchange-lines.ts'
import type { Redaction } from './redaction.ts'

const BATCH_CHARACTERS = 1 << 16

export class LineSink implements ExchangeSink {
  private batch = ''
  private readonly write: (lines: string) => void
  private readonly counters: CounterBlock
  private readonly redaction: Redaction | null

  /** @param write takes whole lines, each with its line feed */
  constructor(write: (lines: string) => void, counters: CounterBlock, redaction: Redaction | null = null) {
    this.write = write
    this.counters = counters
    this.redaction = redaction
  }

  exchange(exchange: Exchange): void {
    if (exchange.request !== null) this.counters.outcome(Outcome.printed)
    this.batch += `${exchangeLine(exchange, this.redaction)}\n`
    if (this.batch.length >= BATCH_CHARACTERS) this.flush()
  }

  /** Hands on what is gathered. */
  flush(): void {
    if (this.batch === '') return
    this.write(this.batch)
    this.batch = ''
  }
}
