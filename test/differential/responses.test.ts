/**
 * Nothing in responses makes a request, or makes another one of it: whatever a server sends, in whatever pieces and with whatever gaps, the
 * requests passed on are those the client's bytes hold, or the first of them.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BodyUse } from '../../src/exchange/exchange.ts'
import { CLIENT, ConnectionRig, SERVER } from '../http/support/connection-rig.ts'

const request = (target: string, fields = '', body = '') => `POST ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: '

/** Parts of what a server, or somebody who writes part of its answers, could try. */
const TRICKS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n',
  'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(30),
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\nUpgrade: x\n\n',
  'HTTP/1.1 204 No Content\r\nContent-Length: 35\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n',
  'HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 999 x\r\n\r\n',
  'HTTP/2.0 200 OK\r\n\r\n',
  'HTTP/1.1 200 OK\r\n\r\n',
  SMUGGLED,
  `${SMUGGLED}${SMUGGLED}`,
  '\r\n',
  '0\r\n\r\n',
  '\0\x16\x03\x01',
]

/** A final response without Content-Length or chunks. */
const LASTS_UNTIL_CLOSE = /^HTTP\/1\.1 (?!1|204|304)(?![\s\S]*(?:Content-Length|chunked))/

const trick = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...TRICKS) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }).map((b) => Buffer.from(b).toString('latin1')) },
)
/** A server's step: bytes, or bytes that were lost. */
const answer = fc.oneof({ weight: 8, arbitrary: trick }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 60 }) })
const asked = fc.constantFrom('', 'x', 'chunks', 'h2c', 'websocket', 'tcp', 'CONNECT')
const steps = fc.array(fc.tuple(asked, fc.array(answer, { maxLength: 3 }), fc.boolean()), {
  minLength: 1,
  maxLength: 6,
})

function textOf(kind: string, i: number): string {
  if (kind === 'CONNECT') return `CONNECT a:${i} HTTP/1.1\r\nHost: a\r\n\r\n`
  if (kind === 'chunks') return request(`/${i}`, 'Transfer-Encoding: chunked\r\n', '4\r\nbody\r\n0\r\n\r\n')
  if (kind === 'x') return request(`/${i}`, `Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED)
  return request(`/${i}`, kind === '' ? '' : `${UPGRADE}${kind}\r\n`)
}

describe.each<BodyUse>(['none', 'hash'])('with bodies: %s', (bodies) => {
  test('whatever a server says, requests are those of the client, in order', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const rig = new ConnectionRig({ bodies })
        const sent: string[] = []
        list.forEach(([kind, answers, isSplit], i) => {
          const text = textOf(kind, i)
          sent.push(text.slice(0, text.indexOf(' HTTP/')))
          const at = isSplit ? Math.floor(text.length / 2) : 0
          if (at > 0) rig.client(text.slice(0, at))
          rig.client(text.slice(at))
          for (const one of answers) {
            if (typeof one === 'number') rig.gap(SERVER, one)
            else rig.server(one)
          }
        })
        rig.later().later()
        rig.close()
        const passedOn = rig.full.flatMap(({ request }) => (request === null ? [] : [request]))
        expect(passedOn.map((request) => `${request.method()} ${request.target()}`)).toEqual(
          sent.slice(0, passedOn.length),
        )
        for (const request of passedOn) {
          const kind = list[Number(/\d+$/.exec(request.target())![0])]![0]
          expect(request.bodyBytes).toBe(kind === 'x' ? SMUGGLED.length : kind === 'chunks' ? 4 : 0)
        }
        // Ordinary requests are all passed on, unless the server said that it speaks something else from then on, or reads nothing more.
        const isPlain = list.every(([kind]) => kind === '' || kind === 'x' || kind === 'chunks')
        const speaksHttp = list.every(([, answers]) =>
          answers.every(
            (one) =>
              typeof one === 'string' &&
              one.startsWith('HTTP/1.1 ') &&
              !one.startsWith('HTTP/1.1 101') &&
              !LASTS_UNTIL_CLOSE.test(one),
          ),
        )
        if (isPlain && speaksHttp) expect(passedOn.length).toBe(sent.length)
      }),
      { numRuns: 1500 },
    )
  })
})

test('a storm of interim answers ends neither the wait for an answer nor the connection', () => {
  const rig = new ConnectionRig({ bodies: 'none' })
  rig.client(request('/1', `${UPGRADE}websocket\r\n`) + SMUGGLED)
  for (let i = 0; i < 5_000; i++) rig.server('HTTP/1.1 102 Processing\r\n\r\n')
  expect(rig.waitingBytes).toBe(SMUGGLED.length)
  rig.server('HTTP/1.1 101 x\r\n\r\n')
  rig.close()
  expect(rig.count('requestsParsed')).toBe(1)
  expect(rig.count('tunnelBytes')).toBe(SMUGGLED.length)
})

describe('a connection whose beginning was not seen', () => {
  test('the text of a request in what comes from a system port is no request', () => {
    const rig = new ConnectionRig({ client: -1 })
    rig.server(SMUGGLED, { isAckedTo: true }).server(SMUGGLED, { isAckedTo: true })
    expect(rig.count('requestsParsed')).toBe(0)
    expect(rig.count('resyncUnproven')).toBe(2 * SMUGGLED.length)
    rig.client('GET /own HTTP/1.1\r\nHost: a\r\n\r\n')
    rig.close()
    expect(rig.full.flatMap(({ request }) => (request === null ? [] : [request.target()]))).toEqual(['/own'])
  })

  test('of the client it is one', () => {
    const rig = new ConnectionRig({ client: -1 }).client(SMUGGLED)
    rig.fin(CLIENT).close()
    expect(rig.count('requestsParsed')).toBe(1)
  })
})
