/** http-parser-js: another parser than node's, more forgiving, as an unbound piece of code over the same bytes. */
import { createRequire } from 'node:module'
import type { Reader, Reading, SeenRequest } from './reader.ts'

/** The parts of its interface that are used here: numbered callbacks, as node's own binding has them. */
interface Parser {
  execute(chunk: Buffer): number | Error
  [callback: number]: (argument: never) => void
}
interface ParserClass {
  new (type: string): Parser
  encoding: string
  maxHeaderSize: number
  readonly REQUEST: string
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
  readonly methods: readonly string[]
}
interface Head {
  readonly method: number
  readonly url: string
  readonly headers: readonly string[]
}

const load = createRequire(import.meta.url)
const { HTTPParser } = load('http-parser-js') as { HTTPParser: ParserClass }
// Its default, ascii, takes the eighth bit away; a server that minds its bytes sets this.
HTTPParser.encoding = 'latin1'
HTTPParser.maxHeaderSize = 1 << 20

/** Fed with the bytes of one connection. */
export class ParserJsConnection {
  readonly requests: SeenRequest[] = []
  refusal: string | null = null
  private readonly parser = new HTTPParser(HTTPParser.REQUEST)
  private head: Head | null = null
  private body: Buffer[] = []

  constructor(complete: (request: SeenRequest) => void = () => {}) {
    const { parser } = this
    parser[HTTPParser.kOnHeadersComplete] = (head: Head) => {
      this.head = head
      this.body = []
    }
    parser[HTTPParser.kOnBody] = (bytes: Buffer) => {
      // A negative chunk size sends it back over the same bytes, without end: nothing but an exception stops it.
      if (bytes.length === 0) throw new Error(ENDLESS)
      this.body.push(Buffer.from(bytes))
    }
    parser[HTTPParser.kOnMessageComplete] = () => {
      const { method, url, headers } = this.head!
      const pairs: [string, string][] = []
      for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i]!, headers[i + 1]!])
      const request: SeenRequest = {
        method: HTTPParser.methods[method]!,
        target: url,
        headers: pairs,
        body: Buffer.concat(this.body),
      }
      this.requests.push(request)
      complete(request)
    }
  }

  private execute(bytes: Buffer): number | Error {
    try {
      return this.parser.execute(bytes)
    } catch (error) {
      return error as Error
    }
  }

  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && this.refusal === null; ) {
      const taken = this.execute(bytes.subarray(at))
      if (typeof taken !== 'number') this.refusal = (taken as Error & { code?: string }).code ?? taken.message
      // Behind an upgrade it stops and leaves the choice to its server: ours refuses each.
      else at += taken
    }
  }
}

const ENDLESS = 'reads without end'

export class ParserJsReader implements Reader {
  readonly name = 'http-parser-js'
  readonly version = (load('http-parser-js/package.json') as { version: string }).version

  async read(streams: readonly Buffer[]): Promise<Reading[]> {
    return streams.map((bytes) => {
      const connection = new ParserJsConnection()
      connection.take(bytes)
      return connection
    })
  }

  async close(): Promise<void> {}
}
