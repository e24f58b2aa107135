/** The main thread's half of inspect's formats: what shards made, put together and written. */
import type { Exchange } from '../../exchange/exchange.ts'
import type { OwnedMessage } from '../../exchange/message.ts'
import { EntryFlag, RecordKind } from '../../exchange/record/layout.ts'
import { RecordReader } from '../../exchange/record/record-reader.ts'
import { HAR_END, HAR_SEPARATOR, harHead } from './har.ts'
import type { InspectFormat } from './options.ts'
import { Table } from './table.ts'

export interface FormatWriter {
  /** Bytes as a shard's writer made them. Resolves when more may come. */
  take(bytes: Uint8Array): Promise<void>
  end(): Promise<void>
}

type Write = (data: string | Uint8Array) => Promise<void>

/** @param columns of the terminal @param version of the program */
export function openFormat(
  format: InspectFormat,
  write: Write,
  columns: number,
  hasColour: boolean,
  version: string,
): FormatWriter {
  if (format === 'table') return new TableFormat(write, columns, hasColour)
  return format === 'har' ? new HarFormat(write, version) : { take: write, end: async () => {} }
}

class TableFormat implements FormatWriter {
  private readonly write: Write
  private readonly table: Table

  constructor(write: Write, columns: number, hasColour: boolean) {
    this.write = write
    this.table = new Table(columns, hasColour)
  }

  take(bytes: Uint8Array): Promise<void> {
    let text = ''
    for (const exchange of exchangesIn(bytes)) text += this.table.row(exchange)
    return this.write(text)
  }

  async end(): Promise<void> {
    if (this.table.isEmpty) await this.write('no HTTP/1 exchanges\n')
  }
}

class HarFormat implements FormatWriter {
  private readonly write: Write
  private readonly head: string
  private isEmpty = true

  constructor(write: Write, version: string) {
    this.write = write
    this.head = harHead(version)
  }

  async take(entries: Uint8Array): Promise<void> {
    if (!this.isEmpty) return await this.write(entries)
    this.isEmpty = false
    await this.write(this.head)
    await this.write(entries.subarray(HAR_SEPARATOR.length))
  }

  async end(): Promise<void> {
    await this.write(`${this.isEmpty ? this.head : ''}${HAR_END}`)
  }
}

/** Exchanges of whole batches, as a shard wrote them: each one's entries stand together, without bodies. */
function exchangesIn(bytes: Uint8Array): Exchange[] {
  const reader = new RecordReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  const exchanges: Exchange[] = []
  let request: OwnedMessage | null = null
  let answers: OwnedMessage[] = []
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    if (entry.kind === RecordKind.request) request = entry.message
    else if (entry.kind === RecordKind.response) answers.push(entry.message!)
    if ((entry.flags & EntryFlag.exchangeEnd) === 0) continue
    const { connection, stream, sequence, facts } = entry
    const last = answers.at(-1)
    const hasFinal = last !== undefined && !(last.status < 200 && last.status !== 101)
    exchanges.push({
      id: { connection, stream, index: sequence },
      connection: facts!,
      request,
      response: hasFinal ? last : null,
      interim: hasFinal ? answers.slice(0, -1) : answers,
    })
    request = null
    answers = []
  }
  if (reader.fault !== null) throw new Error(`record at byte ${reader.fault.offset}: ${reader.fault.problem}`)
  return exchanges
}
