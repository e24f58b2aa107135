import { expect, test } from 'vitest'
import { HttpConnection } from '../../src/http/http-connection.ts'
import { RequestForwarder } from '../../src/http/request-forwarder.ts'
import { answer, CLIENT, CONNECTION, get, RigContext, SERVER } from './support/connection-rig.ts'
import { bytesOf, pieceOf } from './support/parsing.ts'

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
  connection.gap(CLIENT, 7, false)
  connection.gap(SERVER, 7, false)
  connection.data(CLIENT, pieceOf(bytesOf(get('/3')), 200))
  connection.close(0)
  expect(seen).toEqual(['GET /1', 'GET /3', 'closed'])
})
