/**
 * Puts requests and responses of one connection together, in the order of the requests. Works on one-sided captures: what was
 * not seen is null.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Connection } from '../exchange/connection.ts'
import {
  type BodyUse,
  type CapturedRequest,
  type CapturedResponse,
  type ExchangeSink,
  headersOf,
} from '../exchange/exchange.ts'
import type { MessageView } from '../exchange/message.ts'
import type { HttpEvents, PendingRequest } from '../http/http-connection.ts'
import { type Holding, type HttpMemory, MESSAGE_OVERHEAD, type MessageHolder } from '../http/http-memory.ts'

/** An exchange in the making. */
class Item implements MessageHolder {
  request: CapturedRequest | null = null
  isRequestOver: boolean
  response: CapturedResponse | null = null
  isResponseOver = false
  interim: CapturedResponse[] = []
  private holding: Holding | null = null
  private readonly pairing: Pairing

  constructor(pairing: Pairing, isRequestOver: boolean) {
    this.pairing = pairing
    this.isRequestOver = isRequestOver
  }

  /** It waits, and `bytes` more are kept meanwhile. */
  hold(memory: HttpMemory, bytes: number): void {
    this.holding ??= memory.open(this)
    memory.resize(this.holding, this.holding.bytes + bytes + MESSAGE_OVERHEAD)
  }

  /** It waits no more. */
  release(memory: HttpMemory): void {
    if (this.holding !== null) memory.close(this.holding)
    this.holding = null
  }

  shed(): void {
    // What is kept from here on needs another.
    this.holding = null
    this.pairing.shed(this)
  }
}

/** The response being read. */
class Reading implements MessageHolder {
  readonly item: Item
  readonly isInterim: boolean
  readonly status: number
  readonly headers: [string, string][]
  readonly hash: Hash | null
  readonly timeUs: number
  chunks: Buffer[] = []
  keptBytes = 0
  bodyBytes = 0
  /** While its body is kept. */
  private holding: Holding | null = null
  private isKept: boolean
  private readonly options: PairingOptions

  constructor(item: Item, view: MessageView, isInterim: boolean, options: PairingOptions) {
    this.item = item
    this.isInterim = isInterim
    this.status = view.status
    this.headers = headersOf(view)
    this.hash = options.bodies === 'none' ? null : createHash('sha256')
    this.timeUs = view.firstUs
    this.options = options
    this.isKept = options.bodies === 'keep'
  }

  take(piece: Buffer): void {
    this.bodyBytes += piece.length
    this.hash?.update(piece)
    const { memory, maxBodyBytes } = this.options
    if (!this.isKept || this.bodyBytes > maxBodyBytes) return
    this.holding ??= memory.open(this)
    if (!memory.resize(this.holding, this.holding.bytes + piece.length + CHUNK_OVERHEAD)) return
    const chunk = Buffer.allocUnsafeSlow(piece.length)
    piece.copy(chunk)
    this.chunks.push(chunk)
    this.keptBytes += piece.length
  }

  /** The body where all of it was kept. */
  end(isComplete: boolean): Buffer | null {
    if (this.holding !== null) this.options.memory.close(this.holding)
    const isWhole = this.isKept && isComplete && this.keptBytes === this.bodyBytes
    return isWhole ? Buffer.concat(this.chunks) : null
  }

  /** The body is hashed on, and not kept. */
  shed(): void {
    this.isKept = false
    this.chunks = []
    this.options.onShed()
  }
}

/** What the objects of a chunk weigh beside its bytes. */
const CHUNK_OVERHEAD = 256

export interface PairingOptions {
  readonly bodies: BodyUse
  /** Longest response body kept with `bodies: 'keep'`; longer ones are hashed only. */
  readonly maxBodyBytes: number
  /** Counts exchanges whose request is complete and which were not yet handed on. */
  readonly held: { count: number }
  readonly memory: HttpMemory
  /** An exchange lost its answer, or the answer's body, because memory was short. */
  readonly onShed: () => void
}

export class Pairing implements HttpEvents {
  private readonly connection: Connection
  private readonly options: PairingOptions
  private readonly sink: ExchangeSink
  private readonly items: Item[] = []
  private reading: Reading | null = null
  /** Where interim answers to a request that was not seen wait for their final one. */
  private orphan: Item | null = null

  constructor(connection: Connection, options: PairingOptions, sink: ExchangeSink) {
    this.connection = connection
    this.options = options
    this.sink = sink
  }

  request(view: MessageView, pending: PendingRequest): void {
    const item = this.itemOf(pending)
    const body = view.body.subarray(view.bodyAt, view.bodyEnd)
    item.request = {
      timeUs: view.firstUs,
      endUs: view.lastUs,
      method: view.method(),
      target: view.target(),
      version: `1.${view.minorVersion}`,
      headers: headersOf(view),
      bodyBytes: view.bodyBytes,
      bodySha256: this.options.bodies === 'none' ? null : createHash('sha256').update(body).digest('hex'),
      body: this.options.bodies === 'keep' ? Buffer.from(body) : null,
    }
    item.isRequestOver = true
    this.options.held.count++
    this.flush()
    const kept = this.options.bodies === 'keep' ? body.length : 0
    if (!item.isResponseOver) item.hold(this.options.memory, view.headEnd - view.headAt + kept)
  }

  requestDropped(pending: PendingRequest | null): void {
    if (pending === null) return
    this.itemOf(pending).isRequestOver = true
    this.flush()
  }

  responseHead(view: MessageView, pending: PendingRequest | null): void {
    const isInterim = view.status < 200 && view.status !== 101
    const item = pending === null ? this.orphanItem() : this.itemOf(pending)
    if (this.orphan !== null && (pending !== null || !isInterim)) {
      // Its final answer is this one, or will not come.
      this.orphan.isResponseOver = pending !== null
      this.orphan = null
    }
    this.reading = new Reading(item, view, isInterim, this.options)
  }

  responseBody(bytes: Buffer, at: number, end: number): void {
    this.reading!.take(bytes.subarray(at, end))
  }

  responseEnd(_pending: PendingRequest | null, isComplete: boolean, timeUs: number): void {
    const reading = this.reading
    if (reading === null) return
    this.reading = null
    const response: CapturedResponse = {
      status: reading.status,
      headers: reading.headers,
      bodyBytes: reading.bodyBytes,
      bodySha256: isComplete && reading.hash !== null ? reading.hash.digest('hex') : null,
      body: reading.end(isComplete),
      isIncomplete: !isComplete,
      timeUs: reading.timeUs,
      endUs: timeUs,
    }
    const { item } = reading
    if (reading.isInterim) {
      // Not where it was handed on already, to make room.
      if (item.isResponseOver) return
      item.interim.push(response)
      item.hold(this.options.memory, weightOf(response))
      return
    }
    item.response = response
    item.isResponseOver = true
    this.flush()
    if (this.items.includes(item)) item.hold(this.options.memory, weightOf(response))
  }

  /** The oldest exchange has to make room: it is handed on without its answer. */
  shed(item: Item): void {
    this.options.onShed()
    // While its request is being read only the interim answers before it can go.
    if (!item.isRequestOver) {
      item.interim = []
      return
    }
    item.isResponseOver = true
    if (this.orphan === item) this.orphan = null
    this.flush()
  }

  responsesMissed(pending: readonly PendingRequest[]): void {
    for (const p of pending) this.itemOf(p).isResponseOver = true
    this.flush()
  }

  closed(): void {
    for (const item of this.items) {
      item.isRequestOver = true
      item.isResponseOver = true
    }
    this.flush()
  }

  private itemOf(pending: PendingRequest): Item {
    if (pending.attachment !== null) return pending.attachment as Item
    const item = this.newItem(false)
    pending.attachment = item
    return item
  }

  private orphanItem(): Item {
    this.orphan ??= this.newItem(true)
    return this.orphan
  }

  private newItem(isRequestOver: boolean): Item {
    const item = new Item(this, isRequestOver)
    this.items.push(item)
    return item
  }

  /** Hands on what is finished, oldest first. */
  private flush(): void {
    const { items, connection } = this
    let done = 0
    for (const item of items) {
      const { request, isRequestOver, response, isResponseOver, interim } = item
      if (!isRequestOver || !isResponseOver) break
      done++
      item.release(this.options.memory)
      if (request !== null) this.options.held.count--
      if (request !== null || response !== null || interim.length > 0)
        this.sink.exchange({ connection, request, response, interim })
    }
    items.splice(0, done)
  }
}

function weightOf(response: CapturedResponse): number {
  let bytes = response.body?.length ?? 0
  for (const [name, value] of response.headers) bytes += name.length + value.length + FIELD_OVERHEAD
  return bytes
}

/** What the objects of a header field weigh beside its characters. */
const FIELD_OVERHEAD = 96
