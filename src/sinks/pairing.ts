/**
 * Pairs requests and responses, connection by connection in the order of the requests, for sinks that want whole exchanges.
 * Works on one-sided captures: what was not seen is null.
 */
import { createHash, type Hash } from 'node:crypto'
import type { ConnectionDirectory, ConnectionHandle } from '../exchange/connection.ts'
import type { BodyUse, ExchangeListener } from '../exchange/exchange.ts'
import { type ExchangeId, type ExchangeOutlet, isInterimStatus, ResponseState } from '../exchange/exchange-outlet.ts'
import type { MessageView, OwnedMessage } from '../exchange/message.ts'
import { type HttpMemory, MESSAGE_OVERHEAD, type Reservation, type ReservationOwner } from '../http/http-memory.ts'

export interface PairingOptions {
  readonly bodies: BodyUse
  /** Longest response body kept with `bodies: 'keep'`; longer ones are hashed only. */
  readonly maxBodyBytes: number
  readonly memory: HttpMemory
  /** An exchange lost its response, or the response's body, because memory was short. */
  readonly onEvicted: () => void
  /** A complete request was dropped after all: it follows Connection: close. */
  readonly onWithdrawn: () => void
}

export class Pairing implements ExchangeOutlet {
  /** Exchanges whose request is complete and which were not yet handed on. */
  held = 0
  private readonly options: PairingOptions
  private readonly connections: ConnectionDirectory
  private readonly listener: ExchangeListener
  /** Of open connections that had an exchange. */
  private readonly rows = new Map<ConnectionHandle, Row>()

  constructor(options: PairingOptions, connections: ConnectionDirectory, listener: ExchangeListener) {
    this.options = options
    this.connections = connections
    this.listener = listener
  }

  request(id: ExchangeId, message: MessageView): void {
    const { options } = this
    const row = this.rowOf(id)
    const item = row.itemOf(id)
    if (item === null) return
    const request = message.keep(options.bodies === 'keep')
    if (options.bodies !== 'none')
      request.sha256 = createHash('sha256').update(message.body.subarray(message.bodyAt, message.bodyEnd)).digest('hex')
    item.request = request
    item.isRequestOver = true
    this.held++
    this.flush(row)
    if (!item.isResponseOver) item.hold(options.memory, request.headEnd + request.body.length)
  }

  requestDropped(id: ExchangeId): void {
    const row = this.rowOf(id)
    const item = row.itemOf(id)
    // Null: it was handed on already, to make room.
    if (item === null) return
    if (item.request !== null) {
      item.request = null
      item.isResponseOver = true
      this.held--
      this.options.onWithdrawn()
    }
    item.isRequestOver = true
    this.flush(row)
  }

  response(id: ExchangeId, head: MessageView): void {
    const row = this.rowOf(id)
    const item = row.itemOf(id)
    row.reading = item === null ? null : new Reading(item, head.keep(), this.options)
  }

  responseData(id: ExchangeId, bytes: Buffer, at: number, end: number): void {
    this.rows.get(id.connection)?.reading?.take(bytes.subarray(at, end))
  }

  responseEnd(id: ExchangeId, state: number, timeUs: number): void {
    const row = this.rowOf(id)
    if (state === ResponseState.missing) {
      const item = row.itemOf(id)
      if (item !== null) item.isResponseOver = true
      this.flush(row)
      return
    }
    const { reading } = row
    if (reading === null) return
    row.reading = null
    const response = reading.end(state === ResponseState.complete, timeUs)
    const { item } = reading
    const { memory } = this.options
    if (isInterimStatus(response.status)) {
      // Not where it was handed on already, to make room.
      if (item.isResponseOver) return
      item.interim.push(response)
      item.hold(memory, weightOf(response))
      return
    }
    item.response = response
    item.isResponseOver = true
    this.flush(row)
    if (row.items.includes(item)) item.hold(memory, weightOf(response))
  }

  closed(connection: ConnectionHandle): void {
    const row = this.rows.get(connection)
    if (row === undefined) return
    for (const item of row.items) {
      item.isRequestOver = true
      item.isResponseOver = true
    }
    this.flush(row)
    this.rows.delete(connection)
  }

  /** The oldest exchange has to make room: it is handed on without its response. */
  private evict(row: Row, item: Item): void {
    this.options.onEvicted()
    // While its request is being read only the interim responses before it can go.
    if (!item.isRequestOver) {
      item.interim = []
      return
    }
    item.isResponseOver = true
    this.flush(row)
  }

  private rowOf({ connection }: ExchangeId): Row {
    let row = this.rows.get(connection)
    if (row === undefined) {
      row = new Row((of, item) => this.evict(of, item))
      this.rows.set(connection, row)
    }
    return row
  }

  /** Hands on what is finished, oldest first. */
  private flush(row: Row): void {
    const { items } = row
    let done = 0
    for (const item of items) {
      const { id, request, isRequestOver, response, isResponseOver, interim } = item
      if (!isRequestOver || !isResponseOver) break
      done++
      row.handedOn = Math.max(row.handedOn, id.index)
      item.release(this.options.memory)
      if (request !== null) this.held--
      if (request === null && response === null && interim.length === 0) continue
      const connection = this.connections.facts(id.connection)
      this.listener.exchange({ id, connection, request, response, interim })
    }
    items.splice(0, done)
  }
}

/** The exchanges of one connection that were not handed on, in order. */
class Row {
  readonly items: Item[] = []
  reading: Reading | null = null
  /** The highest number of those that were handed on. */
  handedOn = -1
  private readonly onEvicted: (row: Row, item: Item) => void

  constructor(onEvicted: (row: Row, item: Item) => void) {
    this.onEvicted = onEvicted
  }

  /**
   * Responses belong to the first, requests to the last: both are found at once. Null: it was handed on already, to make room; a response
   * whose request was not seen then stands alone.
   */
  itemOf(id: ExchangeId): Item | null {
    const last = this.items.at(-1)
    if (last?.id === id) return last
    if (id.index >= 0 && id.index <= this.handedOn) return null
    const known = this.items.find((item) => item.id === id)
    if (known !== undefined) return known
    const item = new Item(id, () => this.onEvicted(this, item))
    this.items.push(item)
    return item
  }
}

/** An exchange in the making. */
class Item implements ReservationOwner {
  readonly id: ExchangeId
  request: OwnedMessage | null = null
  isRequestOver: boolean
  response: OwnedMessage | null = null
  isResponseOver = false
  interim: OwnedMessage[] = []
  private reservation: Reservation | null = null
  private readonly onEvicted: () => void

  constructor(id: ExchangeId, onEvicted: () => void) {
    this.id = id
    this.isRequestOver = id.index < 0
    this.onEvicted = onEvicted
  }

  /** It waits, and `bytes` more are kept meanwhile. */
  hold(memory: HttpMemory, bytes: number): void {
    this.reservation ??= memory.open(this)
    memory.resize(this.reservation, this.reservation.bytes + bytes + MESSAGE_OVERHEAD)
  }

  /** It waits no more. */
  release(memory: HttpMemory): void {
    if (this.reservation !== null) memory.close(this.reservation)
    this.reservation = null
  }

  evict(): void {
    // What is kept from here on needs another.
    this.reservation = null
    this.onEvicted()
  }
}

/** The response being read. */
class Reading implements ReservationOwner {
  readonly item: Item
  private readonly message: OwnedMessage
  private readonly hash: Hash | null
  private readonly options: PairingOptions
  private chunks: Buffer[] = []
  private keptBytes = 0
  /** While its body is kept. */
  private reservation: Reservation | null = null
  private isKept: boolean

  constructor(item: Item, message: OwnedMessage, options: PairingOptions) {
    this.item = item
    this.message = message
    this.hash = options.bodies === 'none' ? null : createHash('sha256')
    this.options = options
    this.isKept = options.bodies === 'keep'
  }

  take(piece: Buffer): void {
    this.message.bodyBytes += piece.length
    this.hash?.update(piece)
    const { memory, maxBodyBytes } = this.options
    if (!this.isKept || this.message.bodyBytes > maxBodyBytes) return
    this.reservation ??= memory.open(this)
    memory.resize(this.reservation, this.reservation.bytes + piece.length + CHUNK_OVERHEAD)
    const chunk = Buffer.allocUnsafeSlow(piece.length)
    piece.copy(chunk)
    this.chunks.push(chunk)
    this.keptBytes += piece.length
  }

  end(isComplete: boolean, timeUs: number): OwnedMessage {
    const { message } = this
    if (this.reservation !== null) this.options.memory.close(this.reservation)
    message.lastUs = timeUs
    message.isIncomplete = !isComplete
    message.sha256 = isComplete && this.hash !== null ? this.hash.digest('hex') : null
    message.bodyKept = this.isKept && isComplete && this.keptBytes === message.bodyBytes
    if (message.bodyKept) {
      message.body = Buffer.concat(this.chunks)
      message.bodyEnd = this.keptBytes
    }
    return message
  }

  /** The body is hashed on, and not kept. */
  evict(): void {
    this.isKept = false
    this.chunks = []
    this.options.onEvicted()
  }
}

/** What the objects of a chunk weigh beside its bytes. */
const CHUNK_OVERHEAD = 256

function weightOf(response: OwnedMessage): number {
  return response.body.length + response.headEnd
}
