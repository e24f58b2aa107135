/** The formats of `inspect`, made from its NDJSON lines: as they are, a table for reading, or HAR 1.2 for browsers and tools. */
import { printable, printableJson } from '../base/printable.ts'

export interface InspectFormat {
  /** Whole lines of NDJSON. Resolves when more may come. */
  lines(text: string): Promise<void>
  end(): Promise<void>
}

type Write = (text: string) => Promise<void>
type Headers = readonly (readonly [string, string])[]

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly bodyBytes: number
  readonly body?: string
  readonly incomplete?: boolean
  readonly elapsedMs?: number
}

interface Line {
  readonly ts: string
  readonly src: string
  readonly dst: string
  readonly vni: number | null
  readonly method: string | null
  readonly uri?: string
  readonly version?: string
  readonly headers?: Headers
  readonly bodyBytes?: number
  readonly body?: string
  readonly response: Answer | null
}

export function openFormat(format: 'ndjson' | 'table' | 'har', write: Write): InspectFormat {
  if (format === 'table') return new TableFormat(write, process.stdout.columns ?? 160, process.stdout.isTTY === true)
  return format === 'har' ? new HarFormat(write) : { lines: write, end: async () => {} }
}

function parse(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

/** Below this many columns the table leaves out the client and what was sent. */
const NARROW_COLUMNS = 110
const LEAST_TARGET_COLUMNS = 16

/** One row an exchange, under a line for each new date. The target gives way to the width of the terminal. */
class TableFormat implements InspectFormat {
  private readonly write: Write
  private readonly width: number
  private readonly hasColour: boolean
  private readonly isNarrow: boolean
  private clientWidth = 21
  private serverWidth = 19
  private date = ''
  private rows = 0

  constructor(write: Write, width: number, hasColour: boolean) {
    this.write = write
    this.width = width
    this.hasColour = hasColour
    this.isNarrow = width < NARROW_COLUMNS
  }

  lines(text: string): Promise<void> {
    return this.write(
      parse(text)
        .map((line) => `${this.row(line)}\n`)
        .join(''),
    )
  }

  async end(): Promise<void> {
    if (this.rows === 0) await this.write('no HTTP/1 exchanges\n')
  }

  private row(line: Line): string {
    this.clientWidth = Math.max(this.clientWidth, line.src.length)
    this.serverWidth = Math.max(this.serverWidth, line.dst.length)
    const { response } = line
    const status = response === null ? '  -' : String(response.status).padStart(3)
    const sent = line.method === null ? '' : size(line.bodyBytes ?? 0)
    const received = response === null ? '' : `${size(response.bodyBytes)}${response.incomplete ? '!' : ''}`
    const took = response?.elapsedMs === undefined ? '' : milliseconds(response.elapsedMs)
    const head =
      this.rows++ === 0
        ? `${this.cells('TIME (UTC)', 'CLIENT', 'SERVER', 'ST.', 'SENT', 'RECEIVED', 'TOOK')}  REQUEST\n`
        : ''
    const date = line.ts.slice(0, 10)
    const dateLine = date === this.date ? '' : `${date}\n`
    this.date = date
    const cells = this.cells(line.ts.slice(11, 26), line.src, line.dst, this.colour(status), sent, received, took)
    const target = line.method === null ? '(request not seen)' : `${line.method} ${line.uri ?? ''}`
    return dateLine + head + this.fit(cells, printable(target, this.width + 1))
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

/** HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/). Written as it grows; sizes not known are -1, as it says. */
class HarFormat implements InspectFormat {
  private readonly write: Write
  private entries = 0

  constructor(write: Write) {
    this.write = write
  }

  async lines(text: string): Promise<void> {
    for (const line of parse(text)) {
      // HAR has no place for an answer without its request.
      if (line.method === null) continue
      const lead = this.entries++ === 0 ? HAR_HEAD : ',\n'
      await this.write(`${lead}${printableJson(harEntry(line))}`)
    }
  }

  async end(): Promise<void> {
    await this.write(`${this.entries === 0 ? HAR_HEAD : ''}\n]}}\n`)
  }
}

const HAR_HEAD = '{"log":{"version":"1.2","creator":{"name":"mirrorshard","version":"1"},"entries":[\n'

function harEntry(line: Line): Record<string, unknown> {
  const uri = line.uri ?? ''
  const host = line.headers?.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? line.dst
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(uri) ? uri : `http://${host}${uri}`
  const query = uri.split('#')[0]!.split('?').slice(1).join('?')
  const elapsed = line.response?.elapsedMs ?? -1
  return {
    startedDateTime: `${line.ts.slice(0, 23)}Z`,
    time: Math.max(0, elapsed),
    request: {
      method: line.method,
      url,
      httpVersion: `HTTP/${line.version}`,
      cookies: [],
      headers: harHeaders(line.headers),
      queryString: query === '' ? [] : query.split('&').map(queryPair),
      headersSize: -1,
      bodySize: line.bodyBytes ?? 0,
      ...(line.body === undefined
        ? {}
        : { postData: { mimeType: contentType(line.headers), text: line.body, encoding: 'base64' } }),
    },
    response: harResponse(line.response),
    cache: {},
    timings: { send: 0, wait: Math.max(0, elapsed), receive: 0 },
    serverIPAddress: line.dst.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''),
    connection: line.src,
  }
}

function harResponse(response: Answer | null): Record<string, unknown> {
  const { status = 0, headers = [], bodyBytes = -1, body } = response ?? {}
  return {
    status,
    statusText: '',
    httpVersion: 'HTTP/1.1',
    cookies: [],
    headers: harHeaders(headers),
    content: {
      size: Math.max(0, bodyBytes),
      mimeType: contentType(headers),
      ...(body === undefined ? {} : { text: body, encoding: 'base64' }),
    },
    redirectURL: headers.find(([name]) => name.toLowerCase() === 'location')?.[1] ?? '',
    headersSize: -1,
    bodySize: bodyBytes,
  }
}

function harHeaders(headers: Headers = []): { name: string; value: string }[] {
  return headers.map(([name, value]) => ({ name, value }))
}

function contentType(headers: Headers = []): string {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
}

function queryPair(pair: string): { name: string; value: string } {
  const [name = '', ...value] = pair.split('=')
  return { name, value: value.join('=') }
}
