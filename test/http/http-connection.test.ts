/** One connection, both directions: which response belongs to which request, and where HTTP ends. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { End, GapReason, Phase } from '../../src/reassembly/stream-parser.ts'
import { answer, CLIENT, ConnectionRig, FLOW_HASH, get, RigContext, SERVER } from './support/connection-rig.ts'
import { cuts } from './support/messages.ts'
import { bytesOf, cutAt } from './support/parsing.ts'

const WEB_SOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'
const CONNECT = 'CONNECT b:443 HTTP/1.1\r\n\r\n'
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\n\r\n'

describe('pairing', () => {
  test('each response belongs to the next request in line', () => {
    const rig = new ConnectionRig()
    rig.client(get('/1')).server(answer(200, 'a')).client(get('/2')).server(answer(404))
    expect(rig.close()).toEqual(['GET /1 -> 200', 'GET /2 -> 404'])
  })

  test('pipelined requests get their responses in order, also when these come in one piece', () => {
    const rig = new ConnectionRig()
    rig.client(get('/1') + get('/2') + get('/3')).server(answer(201, 'a') + answer(202) + answer(203))
    expect(rig.close()).toEqual(['GET /1 -> 201', 'GET /2 -> 202', 'GET /3 -> 203'])
  })

  test('a response to HEAD has no body, whatever its headers say', () => {
    const rig = new ConnectionRig()
    rig.client(`HEAD /1 HTTP/1.1\r\n\r\n${get('/2')}`)
    rig.server(`HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n${answer(202)}`)
    expect(rig.close()).toEqual(['HEAD /1 -> 200', 'GET /2 -> 202'])
  })

  test('only HEAD in capitals is HEAD', () => {
    const rig = new ConnectionRig()
    rig.client('head / HTTP/1.1\r\n\r\n').server(answer(200, 'body'))
    expect(rig.close()).toEqual(['head / -> 200'])
    expect(rig.full[0]!.response!.bodyBytes).toBe(4)
  })

  test('interim responses stand before the final one', () => {
    const rig = new ConnectionRig()
    rig.client('POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
    rig.server('HTTP/1.1 100 Continue\r\n\r\n').client('ab')
    rig.server(`HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${answer(200)}`)
    expect(rig.close()).toEqual(['POST / -> (100) (103) 200'])
  })

  test('a response before the request is complete is its response', () => {
    const rig = new ConnectionRig()
    rig
      .client('POST /1 HTTP/1.1\r\nContent-Length: 4\r\n\r\nab')
      .server(answer(413))
      .client(`cd${get('/2')}`)
      .server(answer(200))
    expect(rig.close()).toEqual(['POST /1 -> 413', 'GET /2 -> 200'])
  })

  test('the response to a dropped request is not taken for the next one\u2019s', () => {
    const rig = new ConnectionRig({ limits: { maxBodyBytes: 3 } })
    rig.client(`POST /1 HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd${get('/2')}`).server(answer(201) + answer(202))
    expect(rig.close()).toEqual(['null -> 201', 'GET /2 -> 202'])
    expect(rig.drops).toEqual({ bodyTooLarge: 1 })
  })

  test('a response without request, requests without responses', () => {
    expect(new ConnectionRig().server(answer(200)).close()).toEqual(['null -> 200'])
    expect(new ConnectionRig().client(get('/1') + get('/2')).close()).toEqual(['GET /1 -> none', 'GET /2 -> none'])
  })

  test('a response that runs until the connection ends is complete at FIN, incomplete otherwise', () => {
    const body = 'HTTP/1.1 200 OK\r\n\r\nabc'
    expect(new ConnectionRig().client(get('/')).server(body).fin(SERVER).close()).toEqual(['GET / -> 200'])
    for (const reason of [End.reset, End.input, End.expired, End.replaced]) {
      expect(new ConnectionRig().client(get('/')).server(body).close(reason)).toEqual(['GET / -> 200 incomplete'])
    }
  })

  test('a server that answers in another protocol ends HTTP on the connection', () => {
    const rig = new ConnectionRig()
      .client(`${get('/1')}POST /2 HTTP/1.1\r\nContent-Length: 9\r\n\r\n`)
      .server('220 smtp\r\n')
      .client(get('/3'))
    expect(rig.close()).toEqual(['GET /1 -> none'])
    expect(rig.drops).toEqual({ incomplete: 1 })
    expect(rig.context.protocolCounts.entries()).toEqual([['unknown:80', 1]])
  })

  test('an ambiguous response ends HTTP in its direction only', () => {
    const ambiguous = 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'
    const rig = new ConnectionRig().client(get('/1')).server(ambiguous)
    rig.client(get('/2')).server(answer(200))
    expect(rig.close()).toEqual(['GET /1 -> none', 'GET /2 -> none'])
    expect(rig.responseDrops).toEqual({ framing: 1 })
    expect(rig.count('afterAmbiguous')).toBe(ambiguous.length + answer(200).length)
  })

  test('a malformed first answer costs no requests', () => {
    const rig = new ConnectionRig().client(get('/1')).server('HTTP/1.1 200 OK\nContent-Length: 0\n\n').client(get('/2'))
    expect(rig.close()).toEqual(['GET /1 -> none', 'GET /2 -> none'])
    expect(rig.responseDrops).toEqual({ head: 1 })
  })

  test('a connection whose responses are not mirrored hands its requests on, held to a bound', () => {
    const rig = new ConnectionRig()
    for (let i = 0; i < 1500; i++) rig.client(get(`/${i}`), { ack: null })
    expect(rig.exchanges.length).toBe(1500 - 1024)
    expect(rig.close().length).toBe(1500)
  })

  test('responses that come after requests were given up are given to nobody else', () => {
    const rig = new ConnectionRig()
    rig.client(Array.from({ length: 1100 }, (_, i) => get(`/${i}`)).join(''))
    rig.server(answer(299).repeat(1100), { ack: 0 })
    expect(rig.close().filter((e) => !/^GET .* -> none$|^null -> 299$/.test(e))).toEqual([])
  })
})

describe('pairing after gaps', () => {
  test('a lost response leaves the next request its own response', () => {
    const rig = new ConnectionRig().client(get('/1'))
    rig.gap(SERVER, 60)
    rig.client(get('/2')).server(answer(202), { isAckedTo: true })
    expect(rig.close()).toEqual(['GET /1 -> none', 'GET /2 -> 202'])
  })

  test('a lost request leaves its response without one, and the next request its own', () => {
    const rig = new ConnectionRig().client(get('/1')).server(answer(201))
    rig.gap(CLIENT, 40).server(answer(202))
    rig.client(get('/3'), { isAckedTo: true }).server(answer(203))
    expect(rig.close()).toEqual(['GET /1 -> 201', 'null -> 202', 'GET /3 -> 203'])
  })

  test('the response to a lost pipelined request is not taken for that of the one after it', () => {
    const rig = new ConnectionRig().client(get('/1')).gap(CLIENT, 40)
    const lostEnd = get('/1').length + 40
    rig.client('HEAD /3 HTTP/1.1\r\n\r\n', { isAckedTo: true })
    rig.server(answer(201), { ack: lostEnd }).server(answer(202, 'body'), { ack: lostEnd })
    rig.client(get('/4')).server(answer(204), { ack: lostEnd + 50 })
    expect(rig.close()).not.toContain('HEAD /3 -> 202')
    expect(rig.exchanges[0]).toBe('GET /1 -> 201')
    expect(rig.full.find((e) => e.response?.status === 202)!.response!.bodyBytes).toBe(4)
  })

  test.each([
    ['in one burst', false],
    ['each acknowledged before the next', true],
  ])('the answers to lost HEAD requests are not those of the GET behind them: %s', (_how, isAckedTo) => {
    const head = 'HEAD /h HTTP/1.1\r\n\r\n'
    const toHead = 'HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n'
    for (const isSeen of [true, false]) {
      const rig = new ConnectionRig(isSeen ? {} : { client: -1 })
      if (isSeen)
        rig
          .client(get('/1'))
          .server(answer(201))
          .gap(CLIENT, 2 * head.length)
      else rig.before(CLIENT, 2 * head.length)
      rig.client(get('/2'), { isAckedTo }).server(toHead).server(toHead).server(answer(202, 'hello'))
      rig.client(get('/3'), { isAckedTo: true }).server(answer(203))
      const seen = rig.close().filter((e) => !e.endsWith('none') && !e.startsWith('null') && e !== 'GET /1 -> 201')
      expect(seen).toEqual(['GET /3 -> 203'])
    }
  })

  test('behind a lost response two pipelined requests are not given each other\u2019s answers', () => {
    const rig = new ConnectionRig().client(get('/1')).gap(SERVER, 60)
    rig
      .client(get('/2') + get('/3'))
      .server(answer(202), { isAckedTo: true })
      .server(answer(203), { isAckedTo: true })
    const seen = rig.close()
    expect(seen).not.toContain('GET /3 -> 202')
    expect(seen).not.toContain('GET /2 -> 203')
  })

  test('a gap in a response body of known length makes it incomplete, the next one is read', () => {
    const rig = new ConnectionRig()
      .client(get('/1') + get('/2'))
      .server('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab')
    rig.gap(SERVER, 7).server(answer(202))
    expect(rig.close()).toEqual(['GET /1 -> 200 incomplete', 'GET /2 -> 202'])
    expect(rig.responseDrops).toEqual({ gap: 1 })
  })
})

describe('CONNECT and upgrades', () => {
  test.each([
    ['CONNECT', CONNECT, answer(200), 'CONNECT b:443 -> 200'],
    ['WebSocket', get('/ws', WEB_SOCKET), SWITCHED, 'GET /ws -> 101'],
    ['h2c', get('/h2', H2C), SWITCHED, 'GET /h2 -> 101'],
  ])(
    '%s accepted: HTTP ends on the flow, and what looks like a request in the tunnel is not reported',
    (_name, ask, accept, exchange) => {
      // The Content-Length of a 2xx to CONNECT means nothing (RFC 9110 section 9.3.6).
      const rig = new ConnectionRig()
      rig
        .client(ask + get('/decoy'))
        .server(accept + answer(200))
        .client(get('/decoy'))
        .server(answer(200))
      expect(rig.context.tunnels.has(FLOW_HASH)).toBe(true)
      expect(rig.waitingBytes).toBe(0)
      expect(rig.close()).toEqual([exchange])
      expect(rig.count('tunnelBytes')).toBe(2 * get('/decoy').length + 2 * answer(200).length)
      expect(rig.count('afterAmbiguous')).toBe(0)
      expect(rig.context.tunnels.has(FLOW_HASH)).toBe(false)
    },
  )

  test.each([
    ['CONNECT', CONNECT, 407, 'CONNECT b:443 -> 407'],
    ['WebSocket', get('/ws', WEB_SOCKET), 200, 'GET /ws -> 200'],
    ['h2c', get('/h2', H2C), 200, 'GET /h2 -> 200'],
  ])('%s refused: requests behind it, in the same segment too, go on', (_name, ask, status, exchange) => {
    const rig = new ConnectionRig()
    rig
      .client(ask + get('/1'))
      .server(answer(status, 'no'))
      .server(answer(201))
      .client(get('/2'))
      .server(answer(202))
    expect(rig.context.tunnels.has(FLOW_HASH)).toBe(false)
    expect(rig.close()).toEqual([exchange, 'GET /1 -> 201', 'GET /2 -> 202'])
  })

  test.each([
    ['CONNECT', CONNECT],
    ['WebSocket', get('/ws', WEB_SOCKET)],
  ])('%s without an answer in time: HTTP ends', (_name, ask) => {
    const rig = new ConnectionRig().client(ask, { ack: null }).client(get('/decoy'), { ack: null })
    expect(rig.later(999_000).waitingBytes).toBe(get('/decoy').length)
    expect(rig.later().waitingBytes).toBe(0)
    expect(rig.connection.wakeAtUs).toBe(Number.POSITIVE_INFINITY)
    expect(rig.close().length).toBe(1)
    expect(rig.count('tunnelBytes')).toBe(get('/decoy').length)
  })

  test.each([
    ['101', get('/ws', WEB_SOCKET), 'HTTP/1.1 101 x\r\nUpgrade websocket\r\n\r\n'],
    ['101 to h2c', get('/h2', H2C), 'HTTP/1.1 101 x\nUpgrade: h2c\n\n'],
    ['200 to CONNECT', CONNECT, 'HTTP/1.1 200 x\r\n folded\r\n\r\n'],
  ])('a malformed %s: the client may have taken it for an accepted upgrade, so HTTP ends', (_name, ask, consent) => {
    const rig = new ConnectionRig()
      .client(ask + get('/decoy'))
      .server(consent)
      .client(get('/decoy'))
    rig.later().server(answer(200))
    expect(rig.close().length).toBe(1)
    expect(rig.count('requestsParsed')).toBe(1)
    expect(rig.count('tunnelBytes') > 0).toBe(true)
  })

  test('another malformed response to h2c accepts no upgrade', () => {
    const rig = new ConnectionRig().client(get('/h2', H2C) + get('/1'))
    rig.server('HTTP/1.1 404 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
    expect(rig.close()).toEqual(['GET /h2 -> none', 'GET /1 -> none'])
  })

  test('an upgrade to what may begin like a request, without a response in time: HTTP ends', () => {
    const rig = new ConnectionRig().client(get('/attach', 'Connection: Upgrade\r\nUpgrade: tcp\r\n'), { ack: null })
    rig.client(get('/decoy'), { ack: null }).later()
    expect(rig.close()).toEqual(['GET /attach -> none'])
    expect(rig.count('tunnelBytes')).toBe(get('/decoy').length)
  })

  test('h2c without a response in time: HTTP continues', () => {
    const rig = new ConnectionRig().client(get('/h2', H2C) + get('/1'), { ack: null })
    expect(rig.later().close()).toEqual(['GET /h2 -> none', 'GET /1 -> none'])
  })

  test('the store outside is full: the wait ends as at the time-out', () => {
    const rig = new ConnectionRig().client(CONNECT + get('/decoy'), { ack: null })
    rig.connection.giveUpPause()
    rig.client(get('/decoy'), { ack: null })
    expect(rig.close()).toEqual(['CONNECT b:443 -> none'])
  })

  test('interim responses do not end the wait', () => {
    const rig = new ConnectionRig()
      .client(get('/ws', WEB_SOCKET) + get('/decoy'))
      .server('HTTP/1.1 100 Continue\r\n\r\n')
    expect(rig.waitingBytes).toBe(get('/decoy').length)
    expect(rig.server(SWITCHED).close()).toEqual(['GET /ws -> (100) 101'])
  })

  test('a refusal whose body takes longer than the time-out is a refusal all the same', () => {
    const rig = new ConnectionRig().client(CONNECT + get('/1')).server('HTTP/1.1 407 x\r\nContent-Length: 4\r\n\r\nab')
    rig.later().server('cd').server(answer(201))
    expect(rig.close()).toEqual(['CONNECT b:443 -> 407', 'GET /1 -> 201'])
  })

  test('a refusal that runs until the connection ends is complete at FIN', () => {
    const rig = new ConnectionRig().client(get('/ws', WEB_SOCKET)).server('HTTP/1.1 403 x\r\n\r\nno').fin(SERVER)
    expect(rig.close()).toEqual(['GET /ws -> 403'])
    expect(rig.responseDrops).toEqual({})
  })

  test('an upgrade refused before its body was complete is not waited for', () => {
    const rig = new ConnectionRig()
      .client(`POST /h2 HTTP/1.1\r\n${WEB_SOCKET}Content-Length: 4\r\n\r\nab`)
      .server(answer(413))
    rig.client(`cd${get('/1')}`).server(answer(201))
    expect(rig.close()).toEqual(['POST /h2 -> 413', 'GET /1 -> 201'])
  })

  test('a late response to one upgrade does not end the wait for another', () => {
    const rig = new ConnectionRig().client(get('/h2', H2C) + get('/ws', WEB_SOCKET) + get('/decoy'))
    rig.later()
    expect(rig.waitingBytes).toBe(get('/decoy').length)
    rig.server(answer(200)).server(SWITCHED)
    expect(rig.close()).toEqual(['GET /h2 -> 200', 'GET /ws -> 101'])
  })

  test('an upgrade that was dropped may be accepted all the same: what follows waits', () => {
    const rig = new ConnectionRig({ limits: { maxBodyBytes: 1 } })
    rig.client(`POST /ws HTTP/1.1\r\n${WEB_SOCKET}Content-Length: 2\r\n\r\nab${get('/decoy')}`).server(SWITCHED)
    expect(rig.close()).toEqual(['null -> 101'])
    expect(rig.drops).toEqual({ bodyTooLarge: 1 })
  })

  test('the server closes without a response', () => {
    expect(
      new ConnectionRig()
        .client(CONNECT + get('/decoy'))
        .fin(SERVER)
        .close(),
    ).toEqual(['CONNECT b:443 -> none'])
    expect(
      new ConnectionRig()
        .client(get('/h2', H2C) + get('/1'))
        .fin(SERVER)
        .close(),
    ).toEqual(['GET /h2 -> none', 'GET /1 -> none'])
  })

  test('101 to a request that was not seen ends HTTP', () => {
    const rig = new ConnectionRig().server(SWITCHED).client(get('/decoy'))
    expect(rig.close()).toEqual(['null -> 101'])
  })

  test('a flow in the register, found in its middle, is a tunnel', () => {
    const context = new RigContext()
    context.tunnels.add(FLOW_HASH)
    const rig = new ConnectionRig({ context, client: -1 }).client(get('/decoy'), { isAckedTo: true })
    expect(rig.close()).toEqual([])
    expect(rig.count('tunnelBytes')).toBe(get('/decoy').length)
    expect(context.tunnels.has(FLOW_HASH)).toBe(false)
  })
})

describe('connections whose start was not seen', () => {
  test('the first whole request line or status line says who asks', () => {
    // Whether the answer is its own nobody knows: requests may have been under way before anything was seen.
    const rig = new ConnectionRig({ client: -1 }).client(get('/1')).server(answer(200)).client(get('/2'))
    expect(rig.server(answer(201)).close().toSorted()).toEqual(['GET /1 -> none', 'GET /2 -> 201', 'null -> 200'])
    expect(new ConnectionRig({ client: -1 }).server(answer(200)).client(get('/2')).server(answer(201)).close()).toEqual(
      ['null -> 200', 'GET /2 -> 201'],
    )
  })

  test('later data needs the other side\u2019s acknowledgement', () => {
    const rig = new ConnectionRig({ client: -1 })
      .client('tail')
      .client(get('/decoy'))
      .client(get('/1'), { isAckedTo: true })
    expect(rig.close()).toEqual(['GET /1 -> none'])
    expect(rig.count('resyncUnproven')).toBe(4 + get('/decoy').length)
  })

  test('a success without a length to a request that was not seen may be the response that accepted a CONNECT: no request is read after it', () => {
    const consent = 'HTTP/1.1 200 Connection established\r\n\r\n'
    const rig = new ConnectionRig({ client: -1 }).server(consent).client(get('/decoy'), { isAckedTo: true })
    expect(rig.close()).toEqual(['null -> 200'])
    expect(rig.count('requestsParsed')).toBe(0)
    const framed = new ConnectionRig({ client: -1 }).server(answer(200)).client(get('/1'), { isAckedTo: true })
    expect(framed.close()).toEqual(['null -> 200', 'GET /1 -> none'])
  })

  test('what never shows a line stays undecided, counted, and closes', () => {
    const rig = new ConnectionRig({ client: -1 }).client('abc').server('def')
    expect(rig.close()).toEqual([])
    expect(rig.count('resyncUnproven')).toBe(6)
  })
})

describe('other protocols', () => {
  test.each([
    ['tls', '\x16\x03\x01\x00\x05hello', ''],
    ['http2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ''],
    ['http2', '', '\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64'],
    ['ssh', '', 'SSH-2.0-OpenSSH_9\r\n'],
    ['ssh', 'SSH-2.0-x\r\n', ''],
    ['unknown', '\x00\x01\x02', ''],
  ])('%s is named, with the server\u2019s port', (name, client, server) => {
    const rig = new ConnectionRig()
    if (client !== '') rig.client(client)
    if (server !== '') rig.server(server)
    rig.client(get('/decoy'), { isAckedTo: true })
    expect(rig.close()).toEqual([])
    expect(rig.context.protocolCounts.entries()).toEqual([[`${name}:80`, 1]])
    expect(rig.count('otherProtocolBytes')).toBe(client.length + server.length + get('/decoy').length)
    expect(rig.count('requestsParsed')).toBe(0)
  })

  test('a server that answers in HTTP to what is no request is read', () => {
    const rig = new ConnectionRig()
      .client('DELETE/ HTTP/1.1\r\n\r\n')
      .server('HTTP/1.0 400 x\r\n\r\nno')
      .client(get('/decoy'))
      .fin(SERVER)
    expect(rig.close()).toEqual(['null -> 400'])
    expect(rig.context.protocolCounts.entries()).toEqual([])
  })

  test('a server that answers in another protocol names it', () => {
    const rig = new ConnectionRig().client('\x00\x01').server('SSH-2.0-x\r\n')
    expect(rig.close()).toEqual([])
    expect(rig.context.protocolCounts.entries()).toEqual([['ssh:80', 1]])
    expect(rig.count('otherProtocolBytes')).toBe(13)
  })

  test('TLS is recognised in mid-stream', () => {
    const rig = new ConnectionRig({ client: -1 }).client('\x17\x03\x03\x00\x05hello')
    rig.close()
    expect(rig.context.protocolCounts.entries()).toEqual([['tls:80', 1]])
  })

  test('a server port that is not taken is not read', () => {
    expect(new ConnectionRig({ ports: [8080] }).client(get('/')).close()).toEqual([])
    expect(new ConnectionRig({ ports: [80] }).client(get('/')).close()).toEqual(['GET / -> none'])
  })
})

test('any split of both streams gives the same exchanges, and every counter balances', () => {
  const asked = [
    get('/1'),
    'HEAD /2 HTTP/1.1\r\n\r\n',
    `POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    get('/4'),
  ].join('')
  const answered = [
    answer(201, 'abc'),
    'HTTP/1.1 200\r\nContent-Length: 9\r\n\r\n',
    'HTTP/1.1 100 \r\n\r\n',
    'HTTP/1.1 203 \r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    'HTTP/1.0 204 x\r\n\r\n',
  ].join('')
  fc.assert(
    fc.property(cuts, cuts, (clientCuts, serverCuts) => {
      const rig = new ConnectionRig()
      for (const piece of cutAt(bytesOf(asked), clientCuts)) rig.client(piece.toString('latin1'))
      for (const piece of cutAt(bytesOf(answered), serverCuts)) rig.server(piece.toString('latin1'))
      expect(rig.close()).toEqual(['GET /1 -> 201', 'HEAD /2 -> 200', 'POST /3 -> (100) 203', 'GET /4 -> 204'])
    }),
  )
})

test('whatever the two sides send, lose and end, nothing throws and every counter balances', () => {
  const part = fc.constantFrom(
    get('/1'),
    get('/ws', WEB_SOCKET),
    get('/h2', H2C),
    CONNECT,
    'HEAD / HTTP/1.1\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
    'cde',
    '\r\n0\r\n\r\n',
    'GET / HT',
    'GET / HTTP/1.1\nA',
    '\r',
    '\x16\x03\x01\x00',
    answer(200, 'abc'),
    SWITCHED,
    'HTTP/1.1 100 x\r\n\r\n',
    'HTTP/1.1 200 x\r\n\r\n',
    'HTTP/1.1 407 x\r\nContent-Length: 4\r\n\r\nab',
    'HTTP/1.1 2',
    'HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab',
    'HTTP/1.1 200 x\r\nA b\r\n\r\n',
    '\x05\x01\x00',
  )
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom(CLIENT, SERVER), part, fc.boolean(), fc.boolean()) },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constantFrom('gap'), fc.constantFrom(CLIENT, SERVER), fc.integer({ min: 1, max: 12 })),
    },
    { weight: 1, arbitrary: fc.constantFrom('later', 'full', 'finClient', 'finServer') },
  )
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 14 }),
      fc.constantFrom(-1, CLIENT),
      fc.integer({ min: 0, max: 4 }),
      (steps, client, reason) => {
        const rig = new ConnectionRig({ client })
        const ended = new Set<number>()
        for (const s of steps) {
          if (s === 'later') rig.later()
          else if (s === 'full') rig.connection.giveUpPause()
          else if (typeof s === 'string') {
            const direction = s === 'finClient' ? CLIENT : SERVER
            if (!ended.has(direction)) rig.fin(direction)
            ended.add(direction)
          } else if (s[0] === 'gap') {
            if (!ended.has(s[1])) rig.gap(s[1], s[2])
          } else {
            const [direction, text, isAckedTo, startsSegment] = s as [number, string, boolean, boolean]
            if (ended.has(direction)) continue
            if (direction === CLIENT) rig.client(text, { isAckedTo, startsSegment })
            else rig.server(text, { isAckedTo, startsSegment })
          }
        }
        rig.close(reason)
      },
    ),
    { numRuns: 2000 },
  )
})

describe('a connection that gave way inside a message and came back', () => {
  const back = () => new ConnectionRig({ client: -1, isInside: true })

  test('is not begun by the text of a request, which may stand in a body, nor by that of a response', () => {
    const rig = back()
    rig.client(get('/inside')).server(answer(200))
    expect(rig.close()).toEqual([])
    expect(rig.count('requestsParsed')).toBe(0)
  })

  test('is read again from a boundary that is proven, once the server has answered in HTTP: requests alone may be in a tunnel', () => {
    const rig = back()
    rig.client(get('/unanswered'), { isAckedTo: true }).server(answer(200), { isAckedTo: true })
    rig.client(get('/proven'), { isAckedTo: true }).server(answer(200), { isAckedTo: true })
    expect(rig.close()).toEqual(['null -> 200', 'GET /proven -> 200'])
  })

  test.each([
    ['an accepted upgrade', SWITCHED],
    ['a success without a length', 'HTTP/1.1 200 Connection established\r\n\r\n'],
    ['a success that is cut', 'HTTP/1.1 200 Connection establ'],
    ['a success that is malformed', 'HTTP/1.1 200 x\r\nA b\r\n\r\n'],
  ])('ends with %s, proven or not', (_what, consent) => {
    for (const isAckedTo of [true, false]) {
      const rig = back()
      rig.server(consent, { isAckedTo })
      rig.client(get('/inside'), { isAckedTo: true }).server(answer(200), { isAckedTo: true })
      rig.client(get('/inside'), { isAckedTo: true })
      rig.close()
      expect(rig.count('requestsParsed')).toBe(0)
    }
  })
})

test('an accepted upgrade ends the requests after a response to an unseen HEAD, in what its length says is its body and after what that makes malformed', () => {
  for (const length of [1000, 30]) {
    const rig = new ConnectionRig({ client: -1, isInside: true })
    rig.server(`HTTP/1.1 200 x\r\nContent-Length: ${length}\r\n\r\n`, { isAckedTo: true })
    if (length === 30) rig.server(answer(200))
    rig.server(SWITCHED).client(get('/inside'), { isAckedTo: true })
    rig.close()
    expect(rig.count('requestsParsed')).toBe(0)
  }
})

test('after gaps in both directions an accepted upgrade that nothing proves ends the requests, and a response with a length does not', () => {
  const requestsBehind = (unproven: string) => {
    const rig = new ConnectionRig({ client: CLIENT })
    rig.client(get('/before')).server(answer(200)).gap(CLIENT, 100).gap(SERVER, 100).server(unproven)
    rig.client(get('/behind'), { isAckedTo: true })
    rig.close()
    return rig.count('requestsParsed') - 1
  }
  expect(requestsBehind(SWITCHED)).toBe(0)
  expect(requestsBehind('HTTP/1.1 200 x\r\n\r\n')).toBe(0)
  expect(requestsBehind(answer(200))).toBe(1)
})

describe('what is no evidence of a request', () => {
  test('the first bytes of the server after a gap: they may be part of a response', () => {
    for (const lost of [[SERVER], [CLIENT, SERVER]]) {
      const rig = new ConnectionRig()
      for (const direction of lost) rig.gap(direction, 100)
      rig.server(get('/in-an-answer'))
      rig.close()
      expect(rig.count('requestsParsed')).toBe(0)
    }
  })

  test('the first bytes after a gap in the middle of a connection, whatever was seen before the response told which side is the client', () => {
    const rig = new ConnectionRig({ client: -1 }).client('tail').server(answer(200))
    rig.gap(CLIENT, 10).client(get('/in-a-body'))
    expect(rig.close()).toEqual(['null -> 200'])
    const late = new ConnectionRig({ client: -1 }).server(answer(200)).gap(CLIENT, 10).client(get('/in-a-body'))
    expect(late.close()).toEqual(['null -> 200'])
    const back = new ConnectionRig({ client: -1, isInside: true }).server(answer(200), { isAckedTo: true })
    back.gap(CLIENT, 10).client(get('/in-a-body'))
    expect(back.close()).toEqual(['null -> 200'])
  })

  test('what follows an accepted upgrade whose response has a truncated head and whose request was lost', () => {
    const rig = new ConnectionRig().client(get('/1')).server(answer(200)).gap(CLIENT, 100).gap(SERVER, 100)
    rig.server('HTTP/1.1 101 Switching Proto').gap(SERVER, 50, GapReason.truncated)
    rig.client(get('/in-a-tunnel'), { isAckedTo: true })
    expect(rig.close()).toEqual(['GET /1 -> 200'])
  })

  test('what follows an accepted upgrade whose request was lost, where something that looked like a request came before it', () => {
    const rig = new ConnectionRig().client(get('/1')).server(answer(200)).gap(CLIENT, 100)
    rig.client(get('/in-a-tunnel'), { isAckedTo: true })
    rig.server('HTTP/1.1 200 Connection established\r\n\r\n', { ack: get('/1').length + 100 })
    rig.client(get('/too'), { isAckedTo: true })
    rig.close()
    expect(rig.count('requestsParsed')).toBe(2)
  })
})

describe('a boundary', () => {
  const boundaries = (rig: ConnectionRig, ...steps: ((rig: ConnectionRig) => unknown)[]) =>
    steps.map((step) => {
      step(rig)
      return rig.connection.phase === Phase.boundary
    })

  test('is where neither side is in the middle of a message, and never in a tunnel', () => {
    const seen = boundaries(
      new ConnectionRig({ endpoints: [40_000, 8080] }),
      (rig) => rig.client(get('/1')),
      (rig) => rig.server('HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\na'),
      (rig) => rig.server('b'),
      (rig) => rig.client(CONNECT),
      (rig) => rig.server('HTTP/1.1 200 x\r\n\r\n'),
    )
    expect(seen).toEqual([true, false, true, false, false])
  })

  test('is in the middle of a response too where a system port sends it: its text begins no request', () => {
    const seen = boundaries(
      new ConnectionRig({ endpoints: [40_000, 80] }),
      (rig) => rig.client(get('/1')),
      (rig) => rig.server('HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\na'),
      (rig) => rig.client('GET /2 HTT'),
    )
    expect(seen).toEqual([true, true, false])
  })
})

test('responses in the segment that refuses an upgrade belong to the requests that waited after it', () => {
  const rig = new ConnectionRig().client(get('/ws', WEB_SOCKET) + get('/h2', H2C) + get('/1') + get('/2'))
  rig.server(answer(400, 'no') + answer(200) + answer(201) + answer(202))
  expect(rig.close()).toEqual(['GET /ws -> 400', 'GET /h2 -> 200', 'GET /1 -> 201', 'GET /2 -> 202'])
})

test('a tunnel whose five-tuple seems to begin another connection in the middle stays a tunnel', () => {
  const context = new RigContext()
  const rig = new ConnectionRig({ context }).client(CONNECT).server('HTTP/1.1 200 x\r\n\r\n')
  rig.close(End.replaced)
  new ConnectionRig({ context, client: -1 }).client(get('/in-a-tunnel'))
  expect(rig.count('requestsParsed')).toBe(1)
  new ConnectionRig({ context }).client(get('/of-a-new-one'))
  expect(rig.count('requestsParsed')).toBe(2)
})

test('the beginning of a first line that never comes whole is no message, and its bytes are counted', () => {
  for (const text of ['G', 'GET /x HT', '\r\nGET']) {
    const rig = new ConnectionRig().client(text)
    expect(rig.fin(CLIENT).close()).toEqual([])
    expect([rig.count('requestsParsed'), rig.count('resyncUnproven')]).toEqual([0, text.trim().length])
  }
  const rig = new ConnectionRig().client(get('/1')).server('HTTP/1.1 2')
  expect(rig.close()).toEqual(['GET /1 -> none'])
  expect([rig.count('responsesParsed'), rig.count('resyncUnproven')]).toEqual([0, 10])
})
