/**
 * A final answer before the body was sent leaves two readings of what follows: the body, or another request (RFC 9110 section 10.1.1,
 * RFC 9112 section 9.3). Neither is passed on unless one of them is ruled out.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { answer, CLIENT, ConnectionRig, get, SERVER } from './support/connection-rig.ts'
import { cuts } from './support/messages.ts'
import { bytesOf, cutAt } from './support/parsing.ts'

const EXPECT = 'Expect: 100-continue\r\n'
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const post = (target: string, length: number, fields = '') =>
  `POST ${target} HTTP/1.1\r\n${fields}Content-Length: ${length}\r\n\r\n`
const CHUNKED = `POST /c HTTP/1.1\r\n${EXPECT}Transfer-Encoding: chunked\r\n\r\n`

/** What is asked behind the doubt: the first request may be a body, the second stands behind a further answer. */
function goesOn(rig: ConnectionRig, doubtful = get('/next1')): readonly string[] {
  rig.client(doubtful, { isAckedTo: true }).server(answer(200))
  rig.client(get('/next2'), { isAckedTo: true }).server(answer(200))
  return rig.close()
}

describe.each([401, 403, 413, 417, 200, 302, 500])('a request answered %i before its body', (status) => {
  test.each([
    ['with Expect', post('/a', 4000, EXPECT)],
    ['without', post('/a', 4000)],
    ['with chunks', CHUNKED],
    ['with as many bytes as the next request has', post('/a', get('/next1').length, EXPECT)],
    ['with one byte', post('/a', 1, EXPECT)],
    ['in HTTP/1.0', `POST /a HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 4000\r\n\r\n`],
  ])('%s, and given up, is not passed on, nor what follows at once', (_how, asked) => {
    const rig = new ConnectionRig().client(asked).server(answer(status, 'no'))
    const seen = goesOn(rig)
    expect(seen.filter((e) => /^(POST|ET|GET \/next1)/.test(e))).toEqual([])
    expect(seen).toContain('GET /next2 -> 200')
    expect(rig.drops).toEqual({ earlyAnswer: 1 })
  })

  test('is refused too where the client stops in the middle of the body', () => {
    const rig = new ConnectionRig().client(post('/a', 4000)).client('x'.repeat(1000)).server(answer(status))
    expect(goesOn(rig)).toEqual([`null -> ${status}`, 'null -> 200', 'GET /next2 -> 200'])
    expect(rig.drops).toEqual({ earlyAnswer: 1 })
  })

  test('is passed on where the body comes all the same', () => {
    for (const body of ['hello', 'GRAMS', 'G', '{"a": 1}', 'POST', 'a GET /x', 'PUT /x HTTP/1.2\r\n', 'A'.repeat(9)]) {
      const rig = new ConnectionRig()
        .client(post('/a', body.length, EXPECT))
        .server(answer(status))
        .client(body)
      rig.client(get('/next')).server(answer(204))
      expect([body, rig.close()]).toEqual([body, [`POST /a -> ${status}`, 'GET /next -> 204']])
    }
    const rig = new ConnectionRig().client(CHUNKED).server(answer(status)).client('5\r\nhello\r\n0\r\n\r\n')
    rig.client(get('/next')).server(answer(204))
    expect(rig.close()).toEqual([`POST /c -> ${status}`, 'GET /next -> 204'])
  })
})

test('a body whose text is a request is not told from one: it is refused', () => {
  for (const text of [
    get('/x'),
    `${get('/x')}more`,
    `tail${get('/x')}`,
    'FOO /x HTTP/1.0\r\n\r\n',
    'GET  /x  HTTP/1.1\n\n',
  ]) {
    const rig = new ConnectionRig()
      .client(post('/a', text.length, EXPECT))
      .server(answer(401))
      .client(text)
    expect(rig.close()).toEqual(['null -> 401'])
    expect(rig.drops).toEqual({ earlyAnswer: 1 })
  }
})

test('a request line that only begins in what the length says is the body is seen', () => {
  const line = 'PROPFIND /x HTTP/1.1\r\n\r\n'
  for (let length = 1; length < line.length; length++) {
    const rig = new ConnectionRig()
      .client(post('/a', length, EXPECT))
      .server(answer(401))
      .client(line)
    expect([length, rig.close()]).toEqual([length, ['null -> 401']])
    expect(rig.drops).toEqual({ earlyAnswer: 1 })
  }
})

test('a body that may continue as a request line is passed on when nothing follows, after a while or at the end', () => {
  for (const ends of [(rig: ConnectionRig) => rig.later(), (rig: ConnectionRig) => rig.fin(CLIENT)]) {
    const rig = new ConnectionRig()
      .client(post('/a', 7, EXPECT))
      .server(answer(401))
      .client('say GET')
    expect(rig.exchanges).toEqual([])
    expect(rig.connection.wakeAtUs).toBeLessThan(Number.POSITIVE_INFINITY)
    expect(ends(rig).exchanges).toEqual(['POST /a -> 401'])
    expect(rig.close()).toHaveLength(1)
  }
})

describe('no doubt is', () => {
  test('a body that came after 100 (Continue)', () => {
    const text = get('/in-the-body')
    const rig = new ConnectionRig()
      .client(post('/a', text.length, EXPECT))
      .server(CONTINUE)
      .client(text)
    rig.server(answer(200)).client(get('/next')).server(answer(200))
    expect(rig.close()).toEqual(['POST /a -> (100) 200', 'GET /next -> 200'])
  })

  test('a body that its client sent before it had a byte of the response', () => {
    const text = get('/in-the-body')
    const head = post('/a', text.length, EXPECT)
    for (const ack of [0, null]) {
      const rig = new ConnectionRig().client(head).server(answer(413), { ack: head.length }).client(text, { ack })
      expect(rig.close()).toEqual(ack === null ? ['null -> 413'] : ['POST /a -> 413'])
    }
  })

  test('a body sent at once, whatever the response', () => {
    const text = get('/in-the-body')
    const rig = new ConnectionRig().client(post('/a', text.length, EXPECT) + text).server(answer(417))
    expect(rig.close()).toEqual(['POST /a -> 417'])
  })

  test('a response to the request before it, which the client receives in the middle of the body', () => {
    const text = get('/in-the-body')
    const rig = new ConnectionRig().client(get('/1')).client(post('/2', text.length)).server(answer(201)).client(text)
    expect(rig.server(answer(202)).close()).toEqual(['GET /1 -> 201', 'POST /2 -> 202'])
  })
})

test('a client that acknowledges what the mirror lost may have had the response', () => {
  const text = get('/doubtful')
  const rig = new ConnectionRig()
    .client(post('/a', text.length, EXPECT))
    .gap(SERVER, 50)
    .client(text)
  expect(rig.close()).toEqual([])
  expect(rig.drops).toEqual({ earlyAnswer: 1 })
  const body = new ConnectionRig()
    .client(post('/a', 5, EXPECT))
    .gap(SERVER, 50)
    .client('hello')
    .client(get('/next'))
  expect(body.close()).toEqual(['POST /a -> none', 'GET /next -> none'])
})

test('responses that are not mirrored: what reads like a request is refused where the client had received something, else it is the body', () => {
  const text = get('/doubtful')
  const heard = new ConnectionRig().client(post('/a', text.length, EXPECT), { ack: 100 }).client(text, { ack: 125 })
  // The mirror brings nothing of the server: nobody waits for it.
  expect(heard.close()).toEqual([])
})

test('the response that comes after the doubtful bytes is waited for', () => {
  const head = post('/a', 500, EXPECT)
  const rig = new ConnectionRig().client(head)
  const early = answer(417)
  // The mirror brings the next request before the answer that its client had heard.
  rig.client(get('/next1'), { ack: early.length })
  expect(rig.waitingBytes).toBe(get('/next1').length)
  rig.server(early, { ack: head.length })
  expect(rig.close()).toEqual(['null -> 417'])
  expect(rig.drops).toEqual({ earlyAnswer: 1 })
})

test('a request too large to keep is given up by its client as well', () => {
  const rig = new ConnectionRig({ limits: { maxBodyBytes: 100 } }).client(post('/a', 4000)).server(answer(413))
  expect(goesOn(rig)).toEqual(['null -> 413', 'null -> 200', 'GET /next2 -> 200'])
  expect(rig.drops).toEqual({ bodyTooLarge: 1 })
})

test('an early response that closes ends the connection', () => {
  const rig = new ConnectionRig().client(post('/a', 5, EXPECT))
  rig.server('HTTP/1.1 417 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n').fin(SERVER).fin(CLIENT)
  expect(rig.close()).toEqual(['null -> 417'])
  expect(rig.drops).toEqual({ incomplete: 1 })
})

describe('behind a refused body, a second answer before a body proves nothing', () => {
  /** A GET of so many bytes. */
  const padded = (target: string, length: number) =>
    get(target, `X: ${'x'.repeat(length - get(target).length - 5)}\r\n`)

  test.each([EXPECT, ''])(
    'what may be the second body is refused, and what comes before a further answer (%j)',
    (fields) => {
      const rig = new ConnectionRig().client(post('/a', 400, fields)).server(answer(401))
      rig.client(post('/b', 400, fields), { isAckedTo: true }).server(answer(401))
      rig.client(padded('/x', 400), { isAckedTo: true }).client(get('/z'), { isAckedTo: true }).server(answer(200))
      rig.client(get('/last'), { isAckedTo: true }).server(answer(204))
      expect(rig.close()).toEqual(['null -> 401', 'null -> 401', 'null -> 200', 'GET /last -> none', 'null -> 204'])
      expect(rig.drops).toEqual({ earlyAnswer: 1 })
    },
  )

  test.each([
    ['a length', post('/b', 400)],
    ['chunks', CHUNKED],
    ['a length, behind another request', get('/n') + post('/b', 400)],
    ['a length, in a segment with the rest of the first body', `some body${post('/b', 400)}`],
  ])('a body that begins with the text of a request: %s', (_how, second) => {
    const text = 'GET /evil HTTP/1.1\r\nHost: a\r\n\r\n'
    const rig = new ConnectionRig().client(post('/a', 400, EXPECT)).server(answer(417))
    rig.client(second, { isAckedTo: true }).server(answer(200))
    rig.client(`${second === CHUNKED ? '190\r\n' : ''}${text}`, { isAckedTo: true })
    rig.client(get('/invented'), { isAckedTo: true })
    expect(rig.close().filter((e) => !e.startsWith('null'))).toEqual([])
  })

  test('with 100 (Continue) or without, a second body that is sent before its answer is followed to its end', () => {
    const text = get('/in-the-body')
    for (const interim of [CONTINUE, '']) {
      const rig = new ConnectionRig().client(post('/a', 400, EXPECT)).server(answer(401))
      rig.client(post('/b', text.length, EXPECT), { isAckedTo: true })
      if (interim !== '') rig.server(interim)
      rig.client(text, { isAckedTo: true }).server(answer(201))
      rig.client(get('/next'), { isAckedTo: true }).server(answer(200))
      expect(rig.close().at(-1)).toBe('GET /next -> 200')
    }
  })

  test('behind a further loss a segment that begins with a request line has to be answered, too', () => {
    const rig = new ConnectionRig().client(post('/a', 400, EXPECT)).server(answer(401))
    rig.client(get('/x'), { isAckedTo: true }).gap(CLIENT, 100).server(answer(200))
    rig.client(get('/1'), { isAckedTo: true }).server(answer(201))
    rig.client(get('/2'), { isAckedTo: true }).server(answer(202))
    expect(rig.close().filter((e) => !e.startsWith('null'))).toEqual(['GET /2 -> 202'])
  })

  test('text with many request lines is not followed: nothing is read behind it', () => {
    const rig = new ConnectionRig().client(post('/a', 4000, EXPECT)).server(answer(401))
    rig.client(`${get('/w')}GET /v HTTP`, { isAckedTo: true })
    rig.client(get('/x').repeat(40) + 'GET /x HTTP/1.1\r\n'.repeat(100), { isAckedTo: true }).server(answer(200))
    rig.client(get('/y'), { isAckedTo: true }).server(answer(200))
    expect(rig.close().filter((e) => !e.startsWith('null'))).toEqual([])
  })
})

test('any split of what follows an early answer is read the same', () => {
  const follows = fc.constantFrom(
    `hello${get('/n')}`,
    get('/n') + get('/m'),
    `12345GET /n HTTP/1.1\r\n\r\n`,
    `GRAMSPUT /n HTTP/1.1\r\nContent-Length: 0\r\n\r\n`,
    'GET A',
    `say G${get('/n')}`,
    `1234P${get('/n')}`,
    'PATCH /x HTTP/1.1\r\n\r\n',
  )
  fc.assert(
    fc.property(follows, fc.integer({ min: 1, max: 40 }), fc.boolean(), cuts, (text, length, isChunked, places) => {
      const read = (pieces: readonly Buffer[]) => {
        const rig = new ConnectionRig()
        rig.client(isChunked ? CHUNKED : post('/a', length, EXPECT)).server(answer(401))
        for (const piece of pieces) rig.client(piece.toString('latin1'))
        const exchanges = rig.close()
        return { exchanges, drops: rig.drops, skipped: rig.count('resyncUnproven') + rig.count('afterAmbiguous') }
      }
      const bytes = bytesOf(text)
      const whole = read([bytes])
      expect(read(cutAt(bytes, places))).toEqual(whole)
      expect(read(cutAt(bytes, [...bytes.keys()]))).toEqual(whole)
    }),
    { numRuns: 400 },
  )
})
