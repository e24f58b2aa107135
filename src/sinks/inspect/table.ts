/** Exchanges as a table for reading: one row each, under a line for each new date. The target is truncated to the width of the terminal. */
import { printable } from '../../base/printable.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import { clientEnd, elapsedMsOf, rfc3339, serverEnd, startUs } from './exchange-lines.ts'

/** Below this many columns the table leaves out the client and what was sent. */
const NARROW_COLUMNS = 110
const LEAST_TARGET_COLUMNS = 16

export class Table {
  private readonly width: number
  private readonly hasColour: boolean
  private readonly isNarrow: boolean
  private clientWidth = 21
  private serverWidth = 19
  private date = ''
  private rows = 0

  /** @param width columns of the terminal */
  constructor(width: number, hasColour: boolean) {
    this.width = width
    this.hasColour = hasColour
    this.isNarrow = width < NARROW_COLUMNS
  }

  get isEmpty(): boolean {
    return this.rows === 0
  }

  /** Lines, each with its line feed: the row, and what has to stand above it. */
  row(exchange: Exchange): string {
    const { connection, request, response } = exchange
    const client = clientEnd(connection)
    const server = serverEnd(connection)
    this.clientWidth = Math.max(this.clientWidth, client.length)
    this.serverWidth = Math.max(this.serverWidth, server.length)
    const status = response === null ? '  -' : String(response.status).padStart(3)
    const sent = request === null ? '' : size(request.bodyBytes)
    const received = response === null ? '' : `${size(response.bodyBytes)}${response.isIncomplete ? '!' : ''}`
    const elapsedMs = response === null ? undefined : elapsedMsOf(response, request)
    const took = elapsedMs === undefined ? '' : milliseconds(elapsedMs)
    const head =
      this.rows++ === 0
        ? `${this.cells('TIME (UTC)', 'CLIENT', 'SERVER', 'ST.', 'SENT', 'RECEIVED', 'TOOK')}  REQUEST\n`
        : ''
    const time = rfc3339(startUs(exchange))
    const date = time.slice(0, 10)
    const dateLine = date === this.date ? '' : `${date}\n`
    this.date = date
    const cells = this.cells(time.slice(11, 26), client, server, this.colour(status), sent, received, took)
    const target = request === null ? '(request not seen)' : `${request.method()} ${request.target()}`
    return `${dateLine}${head}${this.fit(cells, printable(target, this.width + 1))}\n`
  }

  private cells(
    time: string,
    client: string,
    server: string,
    status: string,
    sent: string,
    received: string,
    took: string,
  ): string {
    if (this.isNarrow) {
      return `${time.slice(0, 12).padEnd(12)} ${server.padEnd(this.serverWidth)} ${status} ${received.padStart(8)} ${took.padStart(7)}`
    }
    const left = `${time.padEnd(15)}  ${client.padEnd(this.clientWidth)}  ${server.padEnd(this.serverWidth)}`
    return `${left}  ${status}  ${sent.padStart(8)}  ${received.padStart(8)}  ${took.padStart(8)}`
  }

  private fit(cells: string, target: string): string {
    // Colour codes take no room on the screen.
    const used = cells.replace(/\x1b\[\d+m/g, '').length + 2
    const room = Math.max(LEAST_TARGET_COLUMNS, this.width - used)
    return `${cells}  ${target.length <= room ? target : `${target.slice(0, room - 1)}…`}`
  }

  private colour(status: string): string {
    if (!this.hasColour) return status
    const code = { 2: 32, 3: 36, 4: 33, 5: 31 }[status[0] ?? ''] ?? 90
    return `\x1b[${code}m${status}\x1b[0m`
  }
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes}`
  return bytes < 10_000_000 ? `${(bytes / 1024).toFixed(0)}k` : `${(bytes / 1024 / 1024).toFixed(0)}M`
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(2)}ms` : ms < 10_000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`
}
