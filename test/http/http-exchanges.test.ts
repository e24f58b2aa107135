/** What an outlet hears of a connection, and how its exchanges are numbered. */
import { expect, test } from 'vitest'
import type { ExchangeId, ExchangeOutlet, Wants } from '../../src/exchange/exchange-outlet.ts'
import { HttpConnection } from '../../src/http/http-connection.ts'
import { HttpExchanges } from '../../src/http/http-exchanges.ts'
import { End, GapReason } from '../../src/reassembly/stream-parser.ts'
import { answer, CLIENT, get, RigContext, SERVER } from './support/connection-rig.ts'
import { bytesOf, pieceOf } from './support/parsing.ts'

const ALL: Wants = { requestBody: true, responseHead: true, responseBody: true }
const REQUESTS: Wants = { requestBody: true, responseHead: false, responseBody: false }
const INTERIM = 'HTTP/1.1 100 x\r\n\r\n'

class Heard implements ExchangeOutlet {
  readonly calls: string[] = []
  readonly ids = new Set<ExchangeId>()
  private readonly connection: HttpConnection
  private readonly seqs: [number, number] = [0, 0]

  constructor(wants: Wants = ALL, client = CLIENT) {
    const events = () => new HttpExchanges(77, this, wants, (handle) => this.calls.push(`over ${handle}`))
    this.connection = new HttpConnection(new RigContext(), 1, [40_000, 80], client, events)
  }

  client(text: string): this {
    return this.send(CLIENT, text)
  }

  server(text: string): this {
    return this.send(SERVER, text)
  }

  gap(direction: 0 | 1, length: number): this {
    this.connection.gap(direction, length, GapReason.lost)
    this.seqs[direction] += length
    return this
  }

  close(): string[] {
    this.connection.close(End.fin)
    return this.calls
  }

  request(id: ExchangeId, message: { target(): string }): void {
    this.note(id, `request ${message.target()}`)
  }
  requestDropped(id: ExchangeId): void {
    this.note(id, 'dropped')
  }
  response(id: ExchangeId, head: { status: number }): void {
    this.note(id, `response ${head.status}`)
  }
  responseData(id: ExchangeId, _bytes: Buffer, at: number, end: number): void {
    this.note(id, `data ${end - at}`)
  }
  responseEnd(id: ExchangeId, state: number): void {
    this.note(id, ['complete', 'incomplete', 'missing'][state]!)
  }
  closed(connection: number): void {
    this.calls.push(`closed ${connection}`)
  }

  private note(id: ExchangeId, text: string): void {
    expect([id.connection, id.stream]).toEqual([77, 0])
    this.ids.add(id)
    this.calls.push(`${id.index} ${text}`)
  }

  private send(direction: 0 | 1, text: string): this {
    const ack = this.seqs[direction ^ 1]!
    this.connection.data(direction, pieceOf(bytesOf(text), this.seqs[direction], { ack }))
    this.seqs[direction] += text.length
    return this
  }
}

test('requests are numbered in their order, and all that is said of one brings the same object', () => {
  const heard = new Heard().client(get('/0') + get('/1')).server(INTERIM + answer(200, 'ab') + answer(204))
  expect(heard.close()).toEqual([
    '0 request /0',
    '1 request /1',
    '0 response 100',
    '0 complete',
    '0 response 200',
    '0 data 2',
    '0 complete',
    '1 response 204',
    '1 complete',
    'closed 77',
    'over 77',
  ])
  expect(heard.ids.size).toBe(2)
})

test('a response may come before its request is whole, and a request may be dropped after it', () => {
  const heard = new Heard().client('POST /0 HTTP/1.1\r\nContent-Length: 9\r\n\r\nab').server(answer(200))
  expect(heard.close()).toEqual(['0 response 200', '0 complete', '0 dropped', 'closed 77', 'over 77'])
})

test('responses whose request was not seen count down, an interim one with its final one', () => {
  const heard = new Heard().server(INTERIM + INTERIM + answer(200) + answer(201))
  expect(heard.close().filter((call) => call.includes('response'))).toEqual([
    '-1 response 100',
    '-1 response 100',
    '-1 response 200',
    '-2 response 201',
  ])
})

test('an interim response to a request that was not seen misses its final one when another request is answered', () => {
  const heard = new Heard().server(INTERIM).client(get('/0')).server(answer(200))
  expect(heard.close()).toEqual([
    '-1 response 100',
    '-1 complete',
    '0 request /0',
    '-1 missing',
    '0 response 200',
    '0 complete',
    'closed 77',
    'over 77',
  ])
})

test('responses lost in a gap are missing, one that lost bytes is incomplete', () => {
  const heard = new Heard().client(get('/0') + get('/1')).gap(SERVER, 100)
  expect(heard.calls.slice(2)).toEqual(['0 missing', '1 missing'])
  const cut = new Heard().client(get('/0')).server('HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nab').gap(SERVER, 7)
  expect(cut.calls.slice(1)).toEqual(['0 response 200', '0 data 2', '0 incomplete'])
})

test('an outlet that wants requests alone receives of nothing else', () => {
  const heard = new Heard(REQUESTS)
    .client(get('/0') + get('/1'))
    .server(INTERIM + answer(200, 'ab'))
    .gap(SERVER, 100)
    .client('POST /2 HTTP/1.1\r\nContent-Length: 9\r\n\r\nab')
    .gap(CLIENT, 7)
    .client(get('/3'))
  expect(heard.close()).toEqual(['0 request /0', '1 request /1', '2 dropped', '3 request /3', 'closed 77', 'over 77'])
})
