/** What leaves pairing: exchanges in the order of the requests, each once, with what is known of both sides. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { answer, CLIENT, ConnectionRig, get, SERVER } from '../http/support/connection-rig.ts'
import { shownMessage } from '../support/exchanges.ts'

const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex')
const POST = 'POST /p HTTP/1.0\r\nA: 1\r\na: \xe4\r\nContent-Length: 3\r\n\r\nab\xff'

test('an exchange carries both messages as captured', () => {
  const rig = new ConnectionRig()
    .client(POST)
    .server('HTTP/1.1 201 x\r\nB: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n')
  rig.close()
  const { connection, request, response, interim } = rig.full[0]!
  expect(connection.clientAddress).toBe('10.0.0.1')
  expect(shownMessage(request!)).toMatchObject({
    method: 'POST',
    target: '/p',
    version: '1.0',
    headers: [
      ['A', '1'],
      ['a', '\xe4'],
      ['Content-Length', '3'],
    ],
    bodyBytes: 3,
    sha256: sha256('ab\xff'),
    body: null,
  })
  expect(shownMessage(response!)).toMatchObject({
    status: 201,
    headers: [
      ['B', '2'],
      ['Transfer-Encoding', 'chunked'],
    ],
    bodyBytes: 2,
    sha256: sha256('ok'),
    body: null,
    isIncomplete: false,
  })
  expect(interim).toEqual([])
})

test('times are those of the first and the last byte of each message', () => {
  const rig = new ConnectionRig()
  rig.client('POST / HTTP/1.1\r\nContent-Length: 1\r\n').client('\r\n').client('x')
  rig.server('HTTP/1.1 200 x\r\n').server('Content-Length: 1\r\n\r\n').server('y')
  rig.close()
  const { request, response } = rig.full[0]!
  expect([request!.firstUs, request!.lastUs, response!.firstUs, response!.lastUs]).toEqual(
    [10, 30, 40, 60].map((us) => 1_000_000 + us),
  )
})

describe('order', () => {
  test('a request waits for its response, those after it wait for it, and the end of the connection lets all go', () => {
    const rig = new ConnectionRig().client(get('/1') + get('/2') + get('/3'))
    expect(rig.exchanges).toEqual([])
    expect(rig.pairing.held).toBe(3)
    rig.server(answer(201))
    expect(rig.exchanges).toEqual(['GET /1 -> 201'])
    expect(rig.pairing.held).toBe(2)
    expect(rig.close()).toEqual(['GET /1 -> 201', 'GET /2 -> none', 'GET /3 -> none'])
    expect(rig.pairing.held).toBe(0)
  })

  test('a response that is complete before its request waits for the request', () => {
    const rig = new ConnectionRig().client('POST /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\na').server(answer(413))
    expect(rig.exchanges).toEqual([])
    rig.client('b')
    expect(rig.exchanges).toEqual(['POST /1 -> 413'])
    rig.close()
  })

  test('an answered request that is then cut off leaves its response alone', () => {
    const rig = new ConnectionRig().client('POST /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\na').server(answer(413))
    expect(rig.close()).toEqual(['null -> 413'])
    expect(rig.drops).toEqual({ incomplete: 1 })
  })

  test('a dropped request without a response leaves nothing', () => {
    const rig = new ConnectionRig().client('POST /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\na')
    expect(rig.close()).toEqual([])
  })

  test('requests whose responses are given up go at once', () => {
    const rig = new ConnectionRig().client(get('/1') + get('/2')).gap(SERVER, 100)
    expect(rig.exchanges).toEqual(['GET /1 -> none', 'GET /2 -> none'])
    rig.close()
  })
})

describe('interim responses', () => {
  test('of a request that was not seen stand before its final response', () => {
    expect(new ConnectionRig().server(`HTTP/1.1 100 x\r\n\r\n${answer(200)}`).close()).toEqual(['null -> (100) 200'])
  })

  test('without a final one are handed on at the end', () => {
    expect(new ConnectionRig().server('HTTP/1.1 100 x\r\n\r\n').close()).toEqual(['null -> (100) none'])
    expect(new ConnectionRig().client(get('/')).server('HTTP/1.1 100 x\r\n\r\n').close()).toEqual([
      'GET / -> (100) none',
    ])
  })

  test('of a request that was not seen do not hold up what follows', () => {
    const rig = new ConnectionRig().server('HTTP/1.1 100 x\r\n\r\n').client(get('/1')).server(answer(200))
    expect(rig.exchanges).toEqual(['null -> (100) none', 'GET /1 -> 200'])
    rig.close()
  })
})

describe('bodies', () => {
  const bodiesOf = (bodies: 'none' | 'hash' | 'keep', text: string) => {
    const rig = new ConnectionRig({ bodies }).client(POST).server(answer(200, text))
    rig.close()
    const { request, response } = rig.full[0]!
    return [request!, response!].map((message) => {
      const { bodyBytes, sha256, body } = shownMessage(message)
      return [bodyBytes, sha256, body]
    })
  }

  test('none: counted only', () => {
    expect(bodiesOf('none', 'ok')).toEqual([
      [3, null, null],
      [2, null, null],
    ])
  })

  test('hash: counted and hashed', () => {
    expect(bodiesOf('hash', 'ok')).toEqual([
      [3, sha256('ab\xff'), null],
      [2, sha256('ok'), null],
    ])
  })

  test('keep: hashed and kept', () => {
    expect(bodiesOf('keep', 'ok')).toEqual([
      [3, sha256('ab\xff'), 'ab\xff'],
      [2, sha256('ok'), 'ok'],
    ])
  })

  test('keep: a response longer than the bound is hashed only', () => {
    const long = 'x'.repeat(1001)
    expect(bodiesOf('keep', long)[1]).toEqual([1001, sha256(long), null])
    expect(bodiesOf('keep', long.slice(1))[1]).toEqual([1000, sha256(long.slice(1)), long.slice(1)])
  })

  // The rig overwrites each packet as soon as it was taken.
  test('a kept body is a copy', () => {
    const rig = new ConnectionRig({ bodies: 'keep' })
    rig.client(POST).server('HTTP/1.1 200 x\r\nContent-Length: 4\r\n\r\nab').server('cd')
    rig.close()
    expect(rig.full[0]!.request!.body!.toString('latin1')).toBe('ab\xff')
    expect(rig.full[0]!.response!.body!.toString()).toBe('abcd')
  })

  test('a response that lost bytes says so and has no hash', () => {
    const rig = new ConnectionRig()
      .client(get('/1'))
      .server('HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nab')
      .gap(SERVER, 7)
    rig.close()
    expect(rig.full[0]!.response).toMatchObject({ bodyBytes: 2, sha256: null, isIncomplete: true })
  })
})

test('a request lost in a gap is never handed on', () => {
  const rig = new ConnectionRig()
    .client('POST /1 HTTP/1.1\r\nContent-Length: 9\r\n\r\nab')
    .gap(CLIENT, 7)
    .server(answer(200))
  expect(rig.close()).toEqual(['null -> 200'])
})
