/** Entries of HAR 1.2, for people and their tools. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { harEntry, harHead } from '../../../src/sinks/inspect/har.ts'
import { bodyAsExactText } from '../../../src/sinks/inspect/media-type.ts'
import { Redaction } from '../../../src/sinks/inspect/redaction.ts'
import { factsOf, ownedOf } from '../../support/exchanges.ts'

const MAX = 1 << 20
const AT = Date.UTC(2026, 10, 28) * 1000

interface Entry {
  readonly startedDateTime: string
  readonly time: number
  readonly request: Record<string, unknown>
  readonly response: Record<string, unknown>
  readonly timings: Record<string, number>
}

interface Sent {
  readonly head?: string
  readonly body?: Buffer | string | null
  readonly isIncomplete?: boolean
}

/** @param answer null: none was seen */
function entryOf(request: Sent, answer: Sent | null = {}, redaction: Redaction | null = null): Entry {
  const bytes = ({ body = '' }: Sent) => (body === null ? {} : { body: Buffer.from(body) })
  const exchange = {
    id: { connection: 1, stream: 0, index: 0 },
    connection: factsOf({ serverAddress: '2001:db8::1', ipVersion: 6 }),
    request: ownedOf(`${request.head ?? 'GET / HTTP/1.1\r\nHost: a'}\r\n\r\n`, { ...bytes(request), firstUs: AT, lastUs: AT + 250 }),
    response:
      answer === null
        ? null
        : ownedOf(`${answer.head ?? 'HTTP/1.1 200 OK'}\r\n\r\n`, { ...bytes(answer), firstUs: AT + 1250, lastUs: AT + 3500, isIncomplete: answer.isIncomplete ?? false }),
    interim: [],
  } // biome-ignore format: a table
  return JSON.parse(harEntry(exchange, redaction, MAX).slice(1)) as Entry
}

const contentOf = (head: string, body: Buffer | string): Record<string, unknown> =>
  entryOf({}, { head: `HTTP/1.1 200 OK\r\n${head}`, body }).response.content as Record<string, unknown>

test('the creator is named with its version', () => {
  expect(JSON.parse(`${harHead('1.2.3')}]}}`)).toEqual({
    log: { version: '1.2', creator: { name: 'mirrorshard', version: '1.2.3' }, entries: [] },
  })
})

describe('the content of an answer', () => {
  const text = '{"a":"ä€"}'.repeat(50)

  test.each([
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['GZIP , br', brotliCompressSync(gzipSync(text))],
  ])('is decompressed: %s', (coding, body) => {
    const size = Buffer.byteLength(text)
    expect(contentOf(`Content-Type: application/json\r\nContent-Encoding: ${coding}`, body)).toEqual({
      size,
      compression: size - body.length,
      mimeType: 'application/json',
      text,
    })
  })

  test.each([
    ['text in its charset', 'Content-Type: text/html; charset="ISO-8859-1"', Buffer.from('gr\xfcn', 'latin1'), 'grün'],
    ['text in two bytes a character', 'Content-Type: text/plain; charset=utf-16le', Buffer.from('aä', 'utf16le'), 'aä'],
    ['text without a charset', 'Content-Type: text/css', 'ä{}', 'ä{}'],
    ['JSON of a kind of its own', 'Content-Type: application/problem+json', '{}', '{}'],
    ['text without a type', 'X: y', 'just words\n', 'just words\n'],
    ['nothing', 'Content-Type: text/html', '', ''],
  ])('is text where it is text: %s', (_what, head, body, shown) => {
    const content = contentOf(head, body)
    expect([content.text, content.encoding]).toEqual([shown, undefined])
    expect(content.size).toBe(Buffer.from(body).length)
  })

  test.each([
    ['an image', 'Content-Type: image/png', Buffer.from([0x89, 0x50, 0, 1])],
    ['bytes without a type', 'X: y', Buffer.from([0, 1, 2])],
    ['what does not fit its charset', 'Content-Type: text/plain', Buffer.from([0xff, 0xfe, 0xfd])],
    ['a charset nobody knows', 'Content-Type: text/plain; charset=klingon', Buffer.from('x')],
  ])('is base64 otherwise: %s', (_what, head, body) => {
    expect(contentOf(head, body)).toMatchObject({
      text: body.toString('base64'),
      encoding: 'base64',
      size: body.length,
    })
  })

  test.each([
    ['damaged', 'gzip', Buffer.from('not gzip'), /gzip: the body cannot be decoded/],
    ['truncated', 'gzip', gzipSync(text).subarray(0, 30), /gzip: the body cannot be decoded/],
    ['a bomb', 'gzip', gzipSync(Buffer.alloc(MAX + 1)), /gzip: the body is longer than 1048576 bytes when decoded/],
    ['a bomb of raw deflate', 'deflate', deflateRawSync(Buffer.alloc(MAX + 1)), /is longer than/],
    ['of an unknown coding', 'compress', Buffer.from('x'), /coding compress is not read/],
    ['named like a property of objects', 'constructor', Buffer.from('x'), /coding constructor is not read/],
  ])('stays as captured where it is %s, and says why', (_what, coding, body, comment) => {
    const content = contentOf(`Content-Type: text/plain\r\nContent-Encoding: ${coding}`, body)
    expect(content).toMatchObject({ text: body.toString('base64'), encoding: 'base64', size: body.length })
    expect(content.comment).toMatch(comment)
    expect(content).not.toHaveProperty('compression')
  })

  test('of an answer that has none though it names a coding is empty', () => {
    expect(contentOf('Content-Encoding: gzip\r\nContent-Type: text/html', '')).toMatchObject({ size: 0, text: '' })
  })

  test('is left out where bodies are not kept', () => {
    expect(entryOf({}, { head: 'HTTP/1.1 200 OK\r\nContent-Type: text/html', body: null }).response.content).toEqual({
      size: 0,
      mimeType: 'text/html',
    })
  })
})

describe('a request body is byte for byte what was captured', () => {
  test('as text, or as base64, whatever its type says', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ minLength: 1 }),
          fc.string({ minLength: 1 }).map((s) => Buffer.from(s)),
        ),
        fc.constantFrom('text/plain; charset=latin1', 'application/octet-stream', 'application/json', ''),
        (bytes, type) => {
          const head = `POST / HTTP/1.1\r\nHost: a${type === '' ? '' : `\r\nContent-Type: ${type}`}`
          const { postData, bodySize } = entryOf({ head, body: Buffer.from(bytes) }).request
          const { text, encoding } = postData as { text: string; encoding?: BufferEncoding }
          expect(Buffer.from(text, encoding ?? 'utf8')).toEqual(Buffer.from(bytes))
          expect(bodySize).toBe(bytes.length)
        },
      ),
    )
    expect(bodyAsExactText(Buffer.from('\ufeffx'))).toBe('\ufeffx')
  })

  test('a form has its parameters beside the text', () => {
    const head = 'POST /f HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded'
    expect(entryOf({ head, body: 'a=1+2&b=%C3%A4&c&=x&d=%ff' }).request.postData).toEqual({
      mimeType: 'application/x-www-form-urlencoded',
      text: 'a=1+2&b=%C3%A4&c&=x&d=%ff',
      params: [
        { name: 'a', value: '1 2' },
        { name: 'b', value: 'ä' },
        { name: 'c', value: '' },
        { name: '', value: 'x' },
        { name: 'd', value: '%ff' },
      ],
    })
  })

  test('an upload has its parts', () => {
    const body = Buffer.from(
      '--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nvälue\r\n' +
        '--X\r\nContent-Disposition: form-data; name="f"; filename="ü.png"\r\nContent-Type: image/png\r\n\r\n@\r\n--X--\r\n',
    )
    body[body.indexOf('@')] = 0xff
    const head = 'POST /f HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=X'
    const postData = entryOf({ head, body }).request.postData as Record<string, unknown>
    expect(postData.params).toEqual([
      { name: 'a', value: 'välue' },
      { name: 'f', fileName: 'ü.png', contentType: 'image/png' },
    ])
    expect(Buffer.from(postData.text as string, 'base64')).toEqual(body)
  })

  test('broken uploads have the parts that are whole, and never hang', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('--X', '\r\n', '--', 'Content-Disposition: form-data; name="a"', 'v', 'X')), (parts) => {
        const head = 'POST /f HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=X'
        expect(entryOf({ head, body: parts.join('') }).request).toBeDefined()
      }),
    ) // biome-ignore format: one line
  })
})

describe('cookies', () => {
  test('of the request: every pair, from every header, as captured', () => {
    const head = 'GET / HTTP/1.1\r\nCookie: a=1; b="x y"; flag; a=2\r\ncookie:c=%20=='
    expect(entryOf({ head }).request.cookies).toEqual([
      { name: 'a', value: '1' },
      { name: 'b', value: '"x y"' },
      { name: 'a', value: '2' },
      { name: 'c', value: '%20==' },
    ])
  })

  test('of the answer, with their attributes; Max-Age goes before Expires', () => {
    const head = [
      'HTTP/1.1 200 OK',
      'Set-Cookie: id=1=2; Path=/x; Domain=.a.example; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; secure; SameSite=Lax',
      'Set-Cookie: old=x; expires=Wed, 21-Oct-2026 07:28:00 GMT; Max-Age=60',
      'Set-Cookie: s=1; Expires=sometime',
      'Set-Cookie: nothing',
    ].join('\r\n')
    expect(entryOf({}, { head }).response.cookies).toEqual([
      {
        name: 'id',
        value: '1=2',
        path: '/x',
        domain: '.a.example',
        expires: '2026-10-21T07:28:00.000Z',
        httpOnly: true,
        secure: true,
        sameSite: 'Lax',
      },
      { name: 'old', value: 'x', expires: '2026-11-28T00:01:00.003Z', httpOnly: false, secure: false },
      { name: 's', value: '1', httpOnly: false, secure: false },
    ])
  })

  test('are redacted with their headers, whose size is not told either', () => {
    const redaction = new Redaction({ headers: ['cookie', 'set-cookie'], key: null })
    const { request, response } = entryOf(
      { head: 'GET / HTTP/1.1\r\nCookie: a=secret' },
      { head: 'HTTP/1.1 200 OK\r\nSet-Cookie: a=secret' },
      redaction,
    )
    expect(JSON.stringify([request, response])).not.toContain('secret')
    expect([request.cookies, response.cookies, request.headersSize, response.headersSize]).toEqual([[], [], -1, -1])
  })
})

describe('the rest of an entry', () => {
  test('has times of the capture point that add up, the address, the reason phrase and the sizes of heads', () => {
    const head = 'GET /a?x=1&y=%20z HTTP/1.0\r\nHost: a.example:81'
    const entry = entryOf({ head }, { head: 'HTTP/1.0 302 Moved Temporarily\r\nLocation: /b' })
    expect(entry).toMatchObject({
      startedDateTime: '2026-11-28T00:00:00.000Z',
      time: 3.5,
      timings: { blocked: -1, dns: -1, connect: -1, ssl: -1, send: 0.25, wait: 1, receive: 2.25 },
      serverIPAddress: '2001:db8::1',
      connection: '10.0.0.1:40000',
      request: {
        url: 'http://a.example:81/a?x=1&y=%20z',
        httpVersion: 'HTTP/1.0',
        queryString: [
          { name: 'x', value: '1' },
          { name: 'y', value: ' z' },
        ],
        headersSize: head.length + 4,
        bodySize: 0,
      },
      response: {
        status: 302,
        statusText: 'Moved Temporarily',
        httpVersion: 'HTTP/1.0',
        redirectURL: '/b',
        bodySize: 0,
      },
    })
    expect(entry.request).not.toHaveProperty('postData')
  })

  test('has an answer that was not seen as status 0, with sizes that nobody knows', () => {
    expect(entryOf({}, null)).toMatchObject({
      time: 0.25,
      response: { status: 0, headersSize: -1, bodySize: -1, content: { size: 0 }, comment: 'no response was captured' },
    })
  })

  test('says of an answer that it is incomplete', () => {
    expect(entryOf({}, { isIncomplete: true, body: null }).response.comment).toContain('incomplete')
  })

  test.each([
    ['GET http://x.example/y HTTP/1.1\r\nHost: a', 'http://x.example/y'],
    ['CONNECT x.example:443 HTTP/1.1\r\nHost: a', 'http://x.example:443'],
    ['OPTIONS * HTTP/1.1\r\nHost: a', 'http://a/'],
    ['GET /y HTTP/1.0', 'http://[2001:db8::1]:80/y'],
  ])('%j is %s', (head, url) => {
    expect(entryOf({ head }).request.url).toBe(url)
  })
})
