/**
 * What a shard makes of exchanges for inspect. Lines of NDJSON and entries of HAR depend on nothing but their exchange: they are made
 * here, as bytes that the main thread only writes. The rows of a table depend on those before them, from all shards: exchanges travel
 * as records (docs/decisions/0055), and the main thread makes the rows.
 */
import type { Exchange } from '../../exchange/exchange.ts'
import { EntryFlag } from '../../exchange/record/layout.ts'
import { RecordWriter } from '../../exchange/record/record-writer.ts'
import { exchangeLine } from './exchange-lines.ts'
import { harEntry } from './har.ts'
import type { InspectOptions } from './options.ts'
import { Redaction } from './redaction.ts'

export interface ExchangeWriter {
  exchange(exchange: Exchange): void
  /** Hands on what is gathered. */
  flush(): void
}

type Emit = (bytes: Uint8Array) => void

/** @param maxDecodedBytes longest body of an answer that is decompressed */
export function openWriter(
  { format, redaction }: InspectOptions,
  emit: Emit,
  maxDecodedBytes = 8 << 20,
): ExchangeWriter {
  if (format === 'table') return new RecordingWriter(emit)
  const redact = redaction === null ? null : new Redaction(redaction)
  if (format === 'har') return new TextWriter((exchange) => harEntry(exchange, redact, maxDecodedBytes), emit)
  return new TextWriter((exchange) => `${exchangeLine(exchange, redact)}\n`, emit)
}

/** Handed on together: few messages between threads, little memory on its way. */
const BATCH_CHARACTERS = 1 << 16
const BATCH_BYTES = 1 << 16

/** Text, in batches of UTF-8. */
class TextWriter implements ExchangeWriter {
  private readonly text: (exchange: Exchange) => string
  private readonly emit: Emit
  private batch = ''

  /** @param text of an exchange; empty: it is left out */
  constructor(text: (exchange: Exchange) => string, emit: Emit) {
    this.text = text
    this.emit = emit
  }

  exchange(exchange: Exchange): void {
    this.batch += this.text(exchange)
    if (this.batch.length >= BATCH_CHARACTERS) this.flush()
  }

  flush(): void {
    const { batch } = this
    if (batch === '') return
    this.batch = ''
    // Of its own: it is handed over to another thread.
    const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(batch))
    bytes.write(batch)
    this.emit(bytes)
  }
}

/** Records. What belongs to one exchange stands together, the last entry marked, and is handed on together: shards take turns. */
class RecordingWriter implements ExchangeWriter {
  private readonly records: RecordWriter
  private readonly emit: Emit
  /** Batches that were full in the middle of an exchange. */
  private full: Uint8Array[] = []
  private isInside = false

  constructor(emit: Emit) {
    this.emit = emit
    const options = { node: 0, partition: 0, batchBytes: BATCH_BYTES, hasChecksum: false }
    this.records = new RecordWriter(options, (batch) => {
      if (this.isInside) this.full.push(batch)
      else this.emit(batch)
    })
  }

  exchange({ id, connection, request, response, interim }: Exchange): void {
    const { records } = this
    this.isInside = true
    let left = interim.length + (request === null ? 0 : 1) + (response === null ? 0 : 1)
    const flags = () => (--left === 0 ? EntryFlag.exchangeEnd : 0)
    if (request !== null) records.request(id, connection, request, flags())
    for (const answer of interim) records.response(id, connection, answer, flags())
    if (response !== null) records.response(id, connection, response, flags())
    if (this.full.length > 0) {
      records.flush()
      this.emit(Buffer.concat(this.full))
      this.full = []
    }
    this.isInside = false
  }

  flush(): void {
    this.records.flush()
  }
}
