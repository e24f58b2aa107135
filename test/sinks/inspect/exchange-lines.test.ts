/** The line format of inspect: a contract that other programs read. */
import { expect, test } from 'vitest'
import type { CapturedRequest, CapturedResponse, Exchange } from '../../../src/exchange/exchange.ts'
import { exchangeLine, rfc3339 } from '../../../src/sinks/inspect/exchange-lines.ts'

const START_US = Date.UTC(2024, 1, 29, 23, 59, 59) * 1000 + 7

const CONNECTION = {
  id: 1,
  clientAddress: '10.0.0.1',
  clientPort: 40_000,
  serverAddress: '10.0.0.2',
  serverPort: 80,
  proxied: null,
  vni: 5,
  clientHash: 0,
  flowHash: 0,
}
const REQUEST: CapturedRequest = {
  timeUs: START_US,
  endUs: START_US + 500,
  method: 'POST',
  target: '/x?y',
  version: '1.1',
  headers: [
    ['Host', 'a'],
    ['host', '\xe4"\n'],
  ],
  bodyBytes: 3,
  bodySha256: 'ab',
  body: null,
}
const RESPONSE: CapturedResponse = {
  status: 200,
  headers: [['A', 'b']],
  bodyBytes: 2,
  bodySha256: 'cd',
  body: null,
  isIncomplete: false,
  timeUs: START_US + 1000,
  endUs: START_US + 2750,
}
const line = (over: Partial<Exchange>) =>
  exchangeLine({ connection: CONNECTION, request: REQUEST, response: RESPONSE, interim: [], ...over })

test('a whole exchange is this line, keys in this order', () => {
  expect(line({})).toBe(
    '{"ts":"2024-02-29T23:59:59.000007Z","src":"10.0.0.1:40000","dst":"10.0.0.2:80","vni":5,"method":"POST","uri":"/x?y","version":"1.1",' +
      '"headers":[["Host","a"],["host","ä\\"\\n"]],"bodyBytes":3,"bodySha256":"ab",' +
      '"response":{"status":200,"headers":[["A","b"]],"bodyBytes":2,"bodySha256":"cd","elapsedMs":2.25}}',
  )
})

test('no response is null, no VNI is null', () => {
  expect(JSON.parse(line({ response: null, connection: { ...CONNECTION, vni: null } }))).toMatchObject({
    vni: null,
    method: 'POST',
    response: null,
  })
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
  expect(response).toEqual({ status: 200, headers: [['A', 'b']], bodyBytes: 2, bodySha256: 'cd' })
})

test('an incomplete response says so and has neither hash nor duration', () => {
  const { response } = JSON.parse(line({ response: { ...RESPONSE, isIncomplete: true, bodySha256: null } }))
  expect(response).toEqual({ status: 200, headers: [['A', 'b']], bodyBytes: 2, incomplete: true })
})

test('interim answers stand in interim, and only where there are any', () => {
  const interim = [{ ...RESPONSE, status: 100, headers: [], bodyBytes: 0 }]
  expect(JSON.parse(line({ interim })).interim).toMatchObject([{ status: 100 }])
  expect(line({})).not.toContain('interim')
  expect(JSON.parse(line({ request: null, response: null, interim }))).toMatchObject({
    ts: '2024-02-29T23:59:59.001007Z',
    method: null,
    response: null,
  })
})

test('--bodies none has no hash, --bodies base64 has the body too, an empty one as well', () => {
  const none = JSON.parse(
    line({ request: { ...REQUEST, bodySha256: null }, response: { ...RESPONSE, bodySha256: null } }),
  )
  expect([none, none.response].map((m) => 'bodySha256' in m)).toEqual([false, false])
  const kept = JSON.parse(
    line({ request: { ...REQUEST, body: Buffer.from([255, 0]) }, response: { ...RESPONSE, body: Buffer.alloc(0) } }),
  )
  expect([kept.body, kept.response.body]).toEqual(['/wA=', ''])
})

test('IPv6 endpoints stand in brackets', () => {
  const connection = { ...CONNECTION, clientAddress: '2001:db8::1', serverAddress: '::1' }
  expect(JSON.parse(line({ connection }))).toMatchObject({ src: '[2001:db8::1]:40000', dst: '[::1]:80' })
})

test('a line is one line, whatever was captured', () => {
  const wild = line({ request: { ...REQUEST, target: '/\r\n\u2028\0', headers: [['__proto__', '\n']] } })
  expect(wild).not.toMatch(/[\r\n\0]/)
  expect(JSON.parse(wild)).toMatchObject({ uri: '/\r\n\u2028\0', headers: [['__proto__', '\n']] })
})

test('times have microseconds, and a damaged capture\u2019s times stay inside the calendar', () => {
  expect(rfc3339(0)).toBe('1970-01-01T00:00:00.000000Z')
  expect(rfc3339(1_700_000_000_999_999)).toBe('2023-11-14T22:13:20.999999Z')
  expect(rfc3339(1_700_000_000_999_999.5)).toBe('2023-11-14T22:13:20.999999Z')
  expect(rfc3339(2 ** 32 * 1e6)).toBe('2106-02-07T06:28:16.000000Z')
  for (const time of [-1, -1e18, 1e18, 2 ** 53, 1e300])
    expect(rfc3339(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
})
