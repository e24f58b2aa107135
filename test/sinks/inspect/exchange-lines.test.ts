/** The line format of inspect: a contract that other programs read. */
import { expect, test } from 'vitest'
import type { Exchange } from '../../../src/exchange/exchange.ts'
import { exchangeLine, rfc3339 } from '../../../src/sinks/inspect/exchange-lines.ts'
import { factsOf, type MessageFacts, ownedOf } from '../../support/exchanges.ts'

const START_US = Date.UTC(2024, 1, 29, 23, 59, 59) * 1000 + 7

const HASH = 'ab'.repeat(32)
const CONNECTION = factsOf({ vni: 5 })
const REQUEST_HEAD = 'POST /x?y HTTP/1.1\r\nHost: a\r\nhost: \xe4"\t\r\n\r\n'
const request = (over: MessageFacts = {}) =>
  ownedOf(REQUEST_HEAD, { firstUs: START_US, lastUs: START_US + 500, bodyBytes: 3, sha256: HASH, ...over })
const RESPONSE = { firstUs: START_US + 1000, lastUs: START_US + 2750, bodyBytes: 2, sha256: HASH }
const response = (over: MessageFacts = {}) => ownedOf('HTTP/1.1 200 x\r\nA: b\r\n\r\n', { ...RESPONSE, ...over })
const line = (over: Partial<Exchange>) =>
  exchangeLine({
    id: { connection: 1, stream: 0, index: 0 },
    connection: CONNECTION,
    request: request(),
    response: response(),
    interim: [],
    ...over,
  })

test('a whole exchange is this line, keys in this order', () => {
  expect(line({})).toBe(
    '{"ts":"2024-02-29T23:59:59.000007Z","src":"10.0.0.1:40000","dst":"10.0.0.2:80","vni":5,"method":"POST","uri":"/x?y","version":"1.1",' +
      '"headers":[["Host","a"],["host","ä\\""]],"bodyBytes":3,"bodySha256":"' +
      `${HASH}",` +
      '"response":{"status":200,"headers":[["A","b"]],"bodyBytes":2,' +
      `"bodySha256":"${HASH}","elapsedMs":2.25}}`,
  )
})

test('no response is null, no VNI is null', () => {
  expect(JSON.parse(line({ response: null, connection: { ...CONNECTION, vni: null } }))).toMatchObject({
    vni: null,
    method: 'POST',
    response: null,
  })
})

test('the ends that a PROXY header names stand after those of the connection', () => {
  const namedClient = { address: '2001:db8::7', port: 56_324 }
  const namedServer = { address: '198.51.100.1', port: 443 }
  expect(line({ connection: { ...CONNECTION, namedClient, namedServer } })).toContain(
    '"dst":"10.0.0.2:80","proxied":{"client":"[2001:db8::7]:56324","server":"198.51.100.1:443"},"vni":5,',
  )
})

test('a response without request has method null, no other key of a request, and the client is still src', () => {
  const { response, ...rest } = JSON.parse(line({ request: null }))
  expect(rest).toEqual({
    ts: '2024-02-29T23:59:59.001007Z',
    src: '10.0.0.1:40000',
    dst: '10.0.0.2:80',
    vni: 5,
    method: null,
  })
  expect(response).toEqual({ status: 200, headers: [['A', 'b']], bodyBytes: 2, bodySha256: HASH })
})

test('an incomplete response says so and has neither hash nor duration', () => {
  const parsed = JSON.parse(line({ response: response({ isIncomplete: true, sha256: null }) }))
  expect(parsed.response).toEqual({ status: 200, headers: [['A', 'b']], bodyBytes: 2, incomplete: true })
})

test('interim responses stand in interim, and only where there are any', () => {
  const interim = [ownedOf('HTTP/1.1 100 x\r\n\r\n', { ...RESPONSE, bodyBytes: 0 })]
  expect(JSON.parse(line({ interim })).interim).toMatchObject([{ status: 100 }])
  expect(line({})).not.toContain('interim')
  expect(JSON.parse(line({ request: null, response: null, interim }))).toMatchObject({
    ts: '2024-02-29T23:59:59.001007Z',
    method: null,
    response: null,
  })
})

test('--bodies none has no hash, --bodies base64 has the body too, an empty one as well', () => {
  const none = JSON.parse(line({ request: request({ sha256: null }), response: response({ sha256: null }) }))
  expect([none, none.response].map((m) => 'bodySha256' in m)).toEqual([false, false])
  const kept = JSON.parse(
    line({ request: request({ body: Buffer.from([255, 0]) }), response: response({ body: Buffer.alloc(0) }) }),
  )
  expect([kept.body, kept.response.body]).toEqual(['/wA=', ''])
})

test('IPv6 endpoints stand in brackets', () => {
  const connection = { ...CONNECTION, clientAddress: '2001:db8::1', serverAddress: '::1' }
  expect(JSON.parse(line({ connection }))).toMatchObject({ src: '[2001:db8::1]:40000', dst: '[::1]:80' })
})

test('a line is one line, whatever was captured', () => {
  const message = ownedOf('GET /1234 HTTP/1.1\r\n__proto__: x\r\n\r\n')
  message.bytes.write('/\r\n\x85\0', message.targetAt, 'latin1')
  message.bytes[message.fields[2]!] = 0x0a
  const wild = line({ request: message })
  expect(wild).not.toMatch(/[\r\n\0\x85]/)
  expect(JSON.parse(wild)).toMatchObject({ uri: '/\r\n\x85\0', headers: [['__proto__', '\n']] })
})

test('times have microseconds, and a damaged capture\u2019s times stay inside the calendar', () => {
  expect(rfc3339(0)).toBe('1970-01-01T00:00:00.000000Z')
  expect(rfc3339(1_700_000_000_999_999)).toBe('2023-11-14T22:13:20.999999Z')
  expect(rfc3339(1_700_000_000_999_999.5)).toBe('2023-11-14T22:13:20.999999Z')
  expect(rfc3339(2 ** 32 * 1e6)).toBe('2106-02-07T06:28:16.000000Z')
  for (const time of [-1, -1e18, 1e18, 2 ** 53, 1e300])
    expect(rfc3339(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
})
