/** One HttpConnection, fed the way reassembly feeds it (order, waits, gaps), with real pairing behind it. */
import { REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES, RequestDrop } from '../../../src/base/drop.ts'
import type { BodyUse, Exchange } from '../../../src/exchange/exchange.ts'
import { HttpConnection } from '../../../src/http/http-connection.ts'
import type { HttpContext } from '../../../src/http/http-context.ts'
import { HttpExchanges } from '../../../src/http/http-exchanges.ts'
import { UNREAD_PROTOCOLS } from '../../../src/http/protocol.ts'
import { ProtocolCounts } from '../../../src/http/protocol-counts.ts'
import { ProtocolRegistry } from '../../../src/http/protocol-registry.ts'
import { TunnelRegister } from '../../../src/http/tunnel-register.ts'
import { Counter, REQUEST_DROPS, RESPONSE_DROPS } from '../../../src/metrics/counters.ts'
import { Demand, End, GapReason } from '../../../src/reassembly/stream-parser.ts'
import { Pairing } from '../../../src/sinks/pairing.ts'
import { directoryOf, factsOf } from '../../support/exchanges.ts'
import { bytesOf, type Limits, pieceOf, TestContext } from './parsing.ts'

export const CLIENT = 0
export const SERVER = 1
export const FLOW_HASH = 0x1234567
const PORTS = [40_000, 80] as const
const UPGRADE_WAIT_US = 1_000_000

export class RigContext extends TestContext implements HttpContext {
  readonly protocols = new ProtocolRegistry(UNREAD_PROTOCOLS)
  readonly protocolCounts = new ProtocolCounts()
  readonly tunnels = new TunnelRegister()
  readonly upgradeWaitUs = UPGRADE_WAIT_US
  showsUnanswered = true
  readonly ports: ReadonlySet<number> | null
  requestsInParsing = 0

  constructor(limits: Limits = {}, ports: readonly number[] | null = null) {
    super(limits)
    this.ports = ports === null ? null : new Set(ports)
  }
}

interface Held {
  readonly bytes: Buffer
  readonly seq: number
  readonly ack: number | undefined
  readonly startsSegment: boolean
  readonly isAckedTo: boolean
  readonly timeUs: number
}

export interface RigOptions {
  readonly limits?: Limits
  readonly ports?: readonly number[]
  /** -1: the start of the connection was not seen. */
  readonly client?: number
  /** It gave way inside a message, and came back. */
  readonly isInside?: boolean
  /** Of client and server. */
  readonly endpoints?: readonly [number, number]
  readonly bodies?: BodyUse
  readonly maxResponseBytes?: number
  readonly context?: RigContext
}

export interface SendFacts {
  /** Acknowledges this much of the other side's stream; default: all of it. null: carries no acknowledgement. */
  readonly ack?: number | null
  readonly isAckedTo?: boolean
  readonly startsSegment?: boolean
}

export class ConnectionRig {
  readonly context: RigContext
  readonly connection: HttpConnection
  /** `GET /a -> 200`, `null -> 200`, `GET /a -> none`, `GET /a -> (100) 200 incomplete`. */
  readonly exchanges: string[] = []
  readonly full: Exchange[] = []
  readonly pairing: Pairing
  /** Exchanges that lost their answer or its body to the bound on memory. */
  shed = 0
  timeUs = 1_000_000
  private readonly sent: [number, number] = [0, 0]
  private readonly delivered: [number, number] = [0, 0]
  private readonly queues: [Held[], Held[]] = [[], []]

  constructor(options: RigOptions = {}) {
    this.context = options.context ?? new RigContext(options.limits, options.ports ?? null)
    const wants = {
      bodies: options.bodies ?? 'hash',
      maxBodyBytes: options.maxResponseBytes ?? 1000,
      memory: this.context.memory,
      onEvicted: () => this.shed++,
      onWithdrawn: () => this.context.counters.requestDrop(RequestDrop.behindClose),
    } as const
    this.pairing = new Pairing(wants, CONNECTIONS, { exchange: (e) => this.note(e) })
    const all = { requestBody: true, responseHead: true, responseBody: true }
    const events = () => new HttpExchanges(CONNECTION.handle, this.pairing, all, () => {})
    const { client = CLIENT, isInside = false, endpoints = PORTS } = options
    this.connection = new HttpConnection(this.context, FLOW_HASH, endpoints, client, events, isInside)
  }

  client(text: string, facts: SendFacts = {}): this {
    return this.send(CLIENT, text, facts)
  }

  server(text: string, facts: SendFacts = {}): this {
    return this.send(SERVER, text, facts)
  }

  /** Bytes of `direction` that were sent and never captured. */
  gap(direction: number, length: number, why: number = GapReason.lost): this {
    this.sent[direction]! += length
    this.delivered[direction]! += length
    this.connection.gap(direction, length, why)
    return this.pump()
  }

  /** Bytes of `direction` that were sent before the mirror began. */
  before(direction: number, length: number): this {
    this.sent[direction]! += length
    this.delivered[direction]! += length
    return this
  }

  fin(direction: number): this {
    this.connection.end(direction, End.fin)
    return this.pump()
  }

  later(us = UPGRADE_WAIT_US): this {
    this.timeUs += us
    this.connection.tick(this.timeUs)
    return this.pump()
  }

  /** Closes, checks that every counter balances, and returns the exchanges. */
  close(reason: number = End.fin): readonly string[] {
    this.connection.close(reason)
    const { counters, requestsInParsing, partialHeadsOut } = this.context
    const left = {
      requestsInParsing,
      held: this.pairing.held,
      responses: this.count('responsesHeld'),
      partialHeadsOut,
      connectionBytes: this.count('connectionBytes'),
      messageBytes: this.count('messageBytes'),
    }
    if (Object.values(left).some((n) => n !== 0)) throw new Error(`not balanced at the end: ${JSON.stringify(left)}`)
    const requests = this.full.filter((e) => e.request !== null).length
    const dropped = Object.values(this.drops).reduce((a, b) => a + b, 0)
    if (counters.get(Counter.requestsParsed) !== requests + dropped) throw new Error('requests are not accounted for')
    const lost = Object.values(this.responseDrops).reduce((a, b) => a + b, 0)
    if (this.count('responsesParsed') !== this.count('responsesCompleted') + lost)
      throw new Error('responses are not accounted for')
    return this.exchanges
  }

  count(name: keyof typeof Counter): number {
    return this.context.counters.get(Counter[name])
  }

  get drops(): Record<string, number> {
    return this.named(REQUEST_DROPS, REQUEST_DROP_NAMES)
  }

  get responseDrops(): Record<string, number> {
    return this.named(RESPONSE_DROPS, RESPONSE_DROP_NAMES)
  }

  /** Bytes that wait outside, as in the out-of-order store. */
  get waitingBytes(): number {
    return this.sent[0] - this.delivered[0] + this.sent[1] - this.delivered[1]
  }

  private named(base: number, names: readonly string[]): Record<string, number> {
    const entries = names.map((name, code): [string, number] => [name, this.context.counters.get(base + code)])
    return Object.fromEntries(entries.filter(([name, n]) => name !== '' && n !== 0))
  }

  private send(direction: 0 | 1, text: string, facts: SendFacts): this {
    const bytes = bytesOf(text)
    const ack = facts.ack === undefined ? this.sent[direction ^ 1]! : (facts.ack ?? undefined)
    const { startsSegment = true, isAckedTo = false } = facts
    this.timeUs += 10
    this.queues[direction].push({
      bytes,
      seq: this.sent[direction]!,
      ack,
      startsSegment,
      isAckedTo,
      timeUs: this.timeUs,
    })
    this.sent[direction]! += bytes.length
    return this.pump()
  }

  /** As reassembly does it: a piece waits while its side is held, or while what it acknowledges was not delivered. */
  private pump(): this {
    for (let moved = true; moved; ) {
      moved = false
      for (const direction of [CLIENT, SERVER] as const) {
        const queue = this.queues[direction]
        for (let first = queue[0]; first !== undefined; first = queue[0]) {
          const demand = this.connection.demand(direction)
          if (demand === Demand.paused) break
          const isAhead = first.ack !== undefined && first.ack > this.delivered[direction ^ 1]!
          if (isAhead && demand === Demand.afterPeer) break
          const { bytes, seq, ack, ...facts } = first
          const piece = pieceOf(bytes, seq, ack === undefined ? facts : { ...facts, ack })
          const taken = this.connection.data(direction, piece)
          // The bytes were lent.
          piece.bytes.fill(0x5a)
          this.delivered[direction]! += taken
          queue.shift()
          if (taken > 0) moved = true
          if (taken === bytes.length) continue
          queue.unshift({
            ...first,
            bytes: bytes.subarray(taken),
            seq: seq + taken,
            startsSegment: taken === 0 && first.startsSegment,
          })
          if (taken === 0) break
        }
      }
    }
    // As the shard does it between packets.
    this.context.memory.enforce()
    return this
  }

  private note(e: Exchange): void {
    this.full.push(e)
    const request = e.request === null ? 'null' : `${e.request.method()} ${e.request.target()}`
    const interim = e.interim.map((r) => `(${r.status}) `).join('')
    const response =
      e.response === null ? 'none' : `${e.response.status}${e.response.isIncomplete ? ' incomplete' : ''}`
    this.exchanges.push(`${request} -> ${interim}${response}`)
  }
}

export const CONNECTION = factsOf()
export const CONNECTIONS = directoryOf(CONNECTION)

export const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${fields}\r\n`
export const answer = (status: number, body = '') =>
  `HTTP/1.1 ${status} x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
