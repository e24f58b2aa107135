/** Who is the client, and what is evidence of a boundary. */
import { describe, expect, test } from 'vitest'
import { answer, CLIENT, ConnectionRig, get, SERVER } from './support/connection-rig.ts'

const inBytes = (rig: ConnectionRig, send: 'client' | 'server', text: string, first = {}) => {
  for (let i = 0; i < text.length; i++) rig[send](text[i]!, i === 0 ? first : {})
  return rig
}

describe('the side that opened the connection is the client', () => {
  test.each([80, 8080])('what a server on port %i sends first is no request', (port) => {
    for (const text of [get('/x'), 'POST /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n', 'GET /x HT']) {
      const rig = new ConnectionRig({ endpoints: [40_000, port] }).server(text).client(answer(200)).client(get('/y'))
      expect(rig.close()).toEqual([])
      expect(rig.count('requestsParsed')).toBe(0)
    }
  })

  test('also where both ports are a client’s, or both a service’s', () => {
    for (const endpoints of [
      [40_000, 50_000],
      [50_000, 40_000],
    ] as const)
      expect(new ConnectionRig({ endpoints }).server(get('/x')).close()).toEqual([])
  })

  test.each([
    ['a service’s to a client’s', [80, 40_000]],
    ['a service’s to an application’s', [700, 8080]],
    ['a service’s to a service’s', [20, 80]],
  ] as const)('whatever the ports: %s', (_which, endpoints) => {
    const speaks = new ConnectionRig({ endpoints }).server(get('/x')).client(answer(200)).server(get('/y'))
    expect(speaks.close()).toEqual([])
    const asks = new ConnectionRig({ endpoints }).client(get('/1')).server(answer(200)).client(get('/2'))
    expect(asks.close()).toEqual(['GET /1 -> 200', 'GET /2 -> none'])
    const proxied = new ConnectionRig({ endpoints }).client(`PROXY UNKNOWN\r\n${get('/1')}`)
    expect(proxied.close()).toEqual(['GET /1 -> none'])
  })

  test('but between equal ports of services whoever sends a request first is it', () => {
    const speaks = new ConnectionRig({ endpoints: [80, 80] }).server(get('/1'))
    expect(speaks.close()).toEqual(['GET /1 -> none'])
    const asks = new ConnectionRig({ endpoints: [80, 80] }).client(get('/1')).server(answer(200))
    expect(asks.close()).toEqual(['GET /1 -> 200'])
  })
})

describe('in the middle of a connection', () => {
  test('neither a request from a service’s port nor a response to one is evidence', () => {
    const rig = new ConnectionRig({ client: -1 }).server(get('/in-an-answer')).client(answer(299))
    expect(rig.close()).toEqual([])
  })

  test('a request line in segments of one byte is evidence like a whole one', () => {
    const rig = new ConnectionRig({ client: -1 })
    inBytes(rig, 'client', get('/1')).server(answer(200))
    expect(rig.close()).toContain('GET /1 -> none')
    expect(rig.count('resyncUnproven')).toBe(0)
  })

  test('what only begins like one is passed over, and counted once', () => {
    const rig = new ConnectionRig({ client: -1 }).client('GE').client('Tx /1').client(get('/2'), { isAckedTo: true })
    expect(rig.close()).toEqual(['GET /2 -> none'])
    expect(rig.count('resyncUnproven')).toBe('GETx /1'.length)
    const silent = new ConnectionRig({ client: -1 }).client('GET /x')
    silent.close()
    expect(silent.count('resyncUnproven')).toBe(6)
    const cut = new ConnectionRig({ client: -1 }).client('GET /x').gap(CLIENT, 5).client(' HTTP/1.1\r\n\r\n')
    expect(cut.close()).toEqual([])
    expect(cut.count('resyncUnproven')).toBe(6 + 13)
  })

  test('the response that comes while a request line is under way does not lose it', () => {
    const rig = new ConnectionRig({ client: -1 })
      .client('GE')
      .server('tail of an answer')
      .client('T /1 HTTP/1.1\r\n\r\n')
    expect(rig.close()).toEqual(['GET /1 -> none'])
  })
})

describe('behind a gap', () => {
  const lost = () => new ConnectionRig().client(get('/1')).server(answer(200)).gap(CLIENT, 100).server(answer(201))

  test('a request line in pieces, the first at a proven boundary, begins a request', () => {
    for (let cut = 1; cut < get('/2').length; cut++) {
      const text = get('/2')
      const rig = lost().client(text.slice(0, cut), { isAckedTo: true }).client(text.slice(cut)).server(answer(202))
      expect([cut, rig.exchanges.length]).toEqual([cut, 3])
      expect(rig.close()[0]).toBe('GET /1 -> 200')
      expect(rig.count('resyncUnproven')).toBe(0)
    }
    expect(inBytes(lost(), 'client', get('/2'), { isAckedTo: true }).close()).toContain('GET /2 -> none')
  })

  test('and one whose first piece is not proven does not', () => {
    expect(lost().client('GE').client('T /2 HTTP/1.1\r\n\r\n').close()).toEqual(['GET /1 -> 200', 'null -> 201'])
  })

  test('what follows a beginning that came to nothing is judged by itself', () => {
    const rig = lost().client('GE', { isAckedTo: true }).client(get('/2'), { isAckedTo: true })
    expect(rig.close()).toContain('GET /2 -> none')
    expect(rig.count('resyncUnproven')).toBe(2)
  })
})

describe('responses to HEAD requests that were not seen', () => {
  const toHead = (length: number) => `HTTP/1.1 200 x\r\nContent-Length: ${length}\r\n\r\n`
  const middle = () => new ConnectionRig({ client: -1 })

  test.each([0, 3, 1000])('get no body of the next answer, which says %i bytes', (length) => {
    const text = toHead(1000) + toHead(1000) + toHead(length) + 'x'.repeat(length)
    const split = inBytes(middle(), 'server', text)
    for (const rig of [middle().server(text), split]) {
      const { exchanges, full } = rig
      rig.close()
      expect(exchanges).toEqual(['null -> 200', 'null -> 200', 'null -> 200'])
      expect(full.map((e) => e.response!.bodyBytes)).toEqual([0, 0, length])
    }
  })

  test('are told from others: a body is a body, however it begins', () => {
    for (const body of ['HTT', 'HTTP/1.1 2', 'HTTP/1.x 200 OK', 'xHTTP/1.1 200 OK\r\n']) {
      const rig = middle()
      inBytes(rig, 'server', answer(200, body) + answer(201, 'b')).client(get('/1'), { isAckedTo: true })
      rig.server(answer(202))
      expect([body, rig.close()]).toEqual([body, ['null -> 200', 'null -> 201', 'GET /1 -> 202']])
      expect(rig.full.map((e) => e.response!.bodyBytes)).toEqual([body.length, 1, 0])
    }
  })

  test('leave the next request its own response', () => {
    const rig = middle().server(toHead(100), { isAckedTo: true }).server(toHead(50))
    rig.client(get('/3'), { isAckedTo: true }).server(answer(203, 'hello'))
    expect(rig.close()).toEqual(['null -> 200', 'null -> 200', 'GET /3 -> 203'])
    expect(rig.full[2]!.response!.bodyBytes).toBe(5)
  })

  test('end with the connection', () => {
    const rig = middle().server(toHead(100)).fin(SERVER)
    expect(rig.close()).toEqual(['null -> 200 incomplete'])
    const partly = middle()
      .server(`${toHead(100)}HTTP/1`)
      .gap(SERVER, 20)
    expect(partly.close()).toEqual(['null -> 200 incomplete'])
  })
})
