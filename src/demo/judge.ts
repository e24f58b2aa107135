/** Compares what arrived at the origin with what was sent: each request exactly once, unaltered, in its connection's order. */
import { type Arrival, findDifference } from './arrival.ts'
import { ID_FIELD, type SampleRequest } from './traffic/sample-request.ts'

export interface Verdict {
  readonly sent: number
  /** Of those: arrived as they should, arrived otherwise, not arrived. */
  readonly exact: number
  readonly altered: number
  readonly missing: number
  /** Arrived once more. */
  readonly duplicates: number
  /** Arrived and never sent. */
  readonly invented: number
  /** Arrived after a later request of its connection. */
  readonly outOfOrder: number
  /** What differs, at most three. */
  readonly examples: readonly string[]
}

/** What is kept of a connection: which requests arrived, and the last of them. */
interface Arrived {
  readonly indexes: Set<number>
  last: number
}

const MOST_EXAMPLES = 3
/** Connections remembered to recognise duplicates: a bound for traffic without end. */
const MOST_CONNECTIONS = 100_000
const ID = ID_FIELD.toLowerCase()

export class Judge {
  private readonly originHost: string
  private readonly waiting = new Map<string, SampleRequest>()
  private readonly connections = new Map<string, Arrived>()
  private readonly examples: string[] = []
  private sent = 0
  private exact = 0
  private altered = 0
  private duplicates = 0
  private invented = 0
  private outOfOrder = 0

  /** @param originHost host:port that replay sends to */
  constructor(originHost: string) {
    this.originHost = originHost
  }

  /** To be called before the request can arrive. */
  sends(request: SampleRequest): void {
    this.sent++
    this.waiting.set(`${request.connection}-${request.index}`, request)
  }

  arrives(arrival: Arrival): void {
    const id = arrival.headers.find(([name]) => name.toLowerCase() === ID)?.[1] ?? ''
    const request = this.waiting.get(id)
    const [connection = '', index = ''] = id.split('-')
    if (request === undefined) {
      if (this.connections.get(connection)?.indexes.has(Number(index)))
        this.duplicates += this.note(`${what(arrival)}: arrived a second time`)
      else this.invented += this.note(`${what(arrival)}: was never sent (${ID_FIELD} ${JSON.stringify(id)})`)
      return
    }
    this.waiting.delete(id)
    const difference = findDifference(request, arrival, this.originHost)
    if (difference === null) this.exact++
    else this.altered += this.note(`${what(request)}: ${difference}`)
    this.follow(connection, request, arrival)
  }

  /** Requests sent that have not arrived. */
  get missing(): number {
    return this.waiting.size
  }

  verdict(): Verdict {
    const { sent, exact, altered, missing, duplicates, invented, outOfOrder } = this
    const absent = [...this.waiting.values()]
      .slice(0, MOST_EXAMPLES)
      .map((request) => `${what(request)}: never arrived`)
    const examples = [...this.examples, ...absent].slice(0, MOST_EXAMPLES)
    return { sent, exact, altered, missing, duplicates, invented, outOfOrder, examples }
  }

  private follow(connection: string, request: SampleRequest, arrival: Arrival): void {
    let arrived = this.connections.get(connection)
    if (arrived === undefined) {
      arrived = { indexes: new Set(), last: -1 }
      this.connections.set(connection, arrived)
      if (this.connections.size > MOST_CONNECTIONS) this.connections.delete(this.connections.keys().next().value!)
    }
    arrived.indexes.add(request.index)
    if (request.index < arrived.last)
      this.outOfOrder += this.note(`${what(arrival)}: arrived after a later request of its connection`)
    else arrived.last = request.index
  }

  /** @returns 1, for counting */
  private note(example: string): 1 {
    if (this.examples.length < MOST_EXAMPLES) this.examples.push(example)
    return 1
  }
}

/** Everything arrived, once, unaltered and in order. */
export function isPerfect(verdict: Verdict): boolean {
  return (
    verdict.exact === verdict.sent && verdict.duplicates === 0 && verdict.invented === 0 && verdict.outOfOrder === 0
  )
}

const LONGEST_TARGET = 48

function what({ method, target }: { readonly method: string; readonly target: string }): string {
  return `${method} ${target.length > LONGEST_TARGET ? `${target.slice(0, LONGEST_TARGET - 1)}…` : target}`
}
