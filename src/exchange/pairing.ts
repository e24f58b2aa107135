/**
 * Puts requests and responses of one connection together, in the order of the requests. Works on one-sided captures: what was
 * not seen is null.
 */
import { createHash, type Hash } from 'node:crypto'
import type { HttpEvents, PendingRequest } from '../http/http-connection.ts'
import type { MessageView } from '../http/message.ts'
import type { Connection } from './connection.ts'
import { type BodyUse, type CapturedRequest, type CapturedResponse, type ExchangeSink, headersOf } from './exchange.ts'

/** An exchange in the making. */
interface Item {
  request: CapturedRequest | null
  isRequestOver: boolean
  response: CapturedResponse | null
  isResponseOver: boolean
  interim: CapturedResponse[]
}

/** The response being read. */
interface Reading {
  readonly item: Item
  readonly isInterim: boolean
  readonly status: number
  readonly headers: [string, string][]
  readonly hash: Hash | null
  readonly chunks: Buffer[]
  keptBytes: number
  bodyBytes: number
  readonly timeUs: number
}

export interface PairingOptions {
  readonly bodies: BodyUse
  /** Longest response body kept with `bodies: 'keep'`; longer ones are hashed only. */
  readonly maxBodyBytes: number
  /** Counts exchanges whose request is complete and which were not yet handed on. */
  readonly held: { count: number }
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
    this.reading = {
      item,
      isInterim,
      status: view.status,
      headers: headersOf(view),
      hash: this.options.bodies === 'none' ? null : createHash('sha256'),
      chunks: [],
      keptBytes: 0,
      bodyBytes: 0,
      timeUs: view.firstUs,
    }
  }

  responseBody(bytes: Buffer, at: number, end: number): void {
    const reading = this.reading!
    const piece = bytes.subarray(at, end)
    reading.bodyBytes += piece.length
    reading.hash?.update(piece)
    if (this.options.bodies === 'keep' && reading.bodyBytes <= this.options.maxBodyBytes) {
      reading.chunks.push(Buffer.from(piece))
      reading.keptBytes += piece.length
    }
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
      body:
        this.options.bodies === 'keep' && isComplete && reading.keptBytes === reading.bodyBytes
          ? Buffer.concat(reading.chunks)
          : null,
      isIncomplete: !isComplete,
      timeUs: reading.timeUs,
      endUs: timeUs,
    }
    const { item } = reading
    if (reading.isInterim) {
      item.interim.push(response)
      return
    }
    item.response = response
    item.isResponseOver = true
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
    const item: Item = { request: null, isRequestOver, response: null, isResponseOver: false, interim: [] }
    this.items.push(item)
    return item
  }

  /** Hands on what is finished, oldest first. */
  private flush(): void {
    const { items, connection } = this
    let done = 0
    for (const { request, isRequestOver, response, isResponseOver, interim } of items) {
      if (!isRequestOver || !isResponseOver) break
      done++
      if (request !== null) this.options.held.count--
      if (request !== null || response !== null || interim.length > 0)
        this.sink.exchange({ connection, request, response, interim })
    }
    items.splice(0, done)
  }
}
