import { expect, test } from 'vitest'
import { RequestForwarder } from '../../src/exchange/request-forwarder.ts'
import { HttpConnection } from '../../src/http/http-connection.ts'
import { GapReason } from '../../src/reassembly/stream-parser.ts'
import { answer, CLIENT, CONNECTION, get, RigContext, SERVER } from '../http/support/connection-rig.ts'
import { bytesOf, pieceOf } from '../http/support/parsing.ts'

test('a request goes on as soon as it is complete, whatever becomes of its answer; then the end of the connection', () => {
  const seen: string[] = []
  const taker = {
    request: (message: { method(): string; target(): string }) => seen.push(`${message.method()} ${message.target()}`),
    connectionClosed: (connection: unknown) => seen.push(connection === CONNECTION ? 'closed' : 'another'),
  }
  const connection = new HttpConnection(
    new RigContext(),
    1,
    [40_000, 80],
    CLIENT,
    () => new RequestForwarder(CONNECTION, taker),
  )
  connection.data(CLIENT, pieceOf(bytesOf(get('/1')), 0))
  expect(seen).toEqual(['GET /1'])
  connection.data(CLIENT, pieceOf(bytesOf('POST /2 HTTP/1.1\r\nContent-Length: 9\r\n\r\nab'), 100))
  connection.data(SERVER, pieceOf(bytesOf(answer(200, 'x')), 0))
  connection.gap(CLIENT, 7, GapReason.lost)
  connection.gap(SERVER, 7, GapReason.lost)
  connection.data(CLIENT, pieceOf(bytesOf(get('/3')), 200))
  connection.close(0)
  expect(seen).toEqual(['GET /1', 'GET /3', 'closed'])
})
