import { describe, expect, test } from 'vitest'
import { type OriginReading, OriginWatch } from '../../../src/report/watch/origin-watch.ts'
import { eventOfUnreached, whyUnreached } from '../../../src/report/watch/origin-words.ts'
import type { Unreached } from '../../../src/sinks/replay/unreached.ts'

const REFUSED: Unreached = { outcome: 'refused', code: 'ECONNREFUSED', detail: null }

function open(workers = 2) {
  const told: [event: string, text: string, details: Record<string, unknown>][] = []
  const watch = new OriginWatch('staging:8080', workers, (event, text, details = {}) =>
    told.push([event, text, details]),
  )
  const reading: { -readonly [K in keyof OriginReading]: OriginReading[K] } = {
    answered: 0,
    failed: 0,
    dropped: 0,
    inFlight: 0,
    circuitsOpen: 0,
  }
  let second = 0
  return {
    told,
    unreached: (why: Unreached) => watch.unreached(why, second * 1000 + 500),
    /** A second passes, with so much more. */
    look(more: Partial<OriginReading> = {}) {
      reading.answered += more.answered ?? 0
      reading.failed += more.failed ?? 0
      reading.dropped += more.dropped ?? 0
      reading.inFlight = more.inFlight ?? 0
      reading.circuitsOpen = more.circuitsOpen ?? reading.circuitsOpen
      watch.look({ ...reading }, ++second * 1000)
    },
  }
}

describe('an origin, as the log sees it', () => {
  test('an outage is one line when it begins and one when it ends, with what it cost and how long it lasted', () => {
    const origin = open()
    origin.look({ answered: 100 })
    // In this second it still answered.
    origin.unreached(REFUSED)
    origin.look({ answered: 50, failed: 10, circuitsOpen: 1 })
    expect(origin.told).toEqual([])
    origin.look({ failed: 6, dropped: 4, circuitsOpen: 2 })
    for (let n = 0; n < 5; n++) {
      origin.unreached(REFUSED)
      origin.look({ failed: 1, dropped: 100 })
    }
    origin.look({ answered: 20, circuitsOpen: 0 })
    origin.look({ answered: 100 })
    expect(origin.told.map(([event, text]) => `${event}: ${text}`)).toEqual([
      'origin-down: origin staging:8080 is down: connection refused: nothing listens there (ECONNREFUSED); 16 requests failed, 4 dropped, circuit open in 2 of 2 workers',
      'origin-up: origin staging:8080 answers again after 7.5 s: 21 requests failed, 504 dropped meanwhile',
    ])
    expect(origin.told[1]![2]).toMatchObject({ failed: 21, dropped: 504, seconds: 7.5, circuitsOpen: 0 })
  })

  test('an outage counts from its own beginning, though single connections failed for hours before', () => {
    const origin = open()
    for (let n = 0; n < 3600; n++) {
      origin.unreached(REFUSED)
      origin.look({ answered: 99, failed: 1 })
    }
    origin.unreached(REFUSED)
    origin.look({ failed: 50 })
    origin.unreached(REFUSED)
    origin.look({ failed: 50 })
    origin.look({ answered: 1 })
    expect(origin.told[1]).toMatchObject(['origin-up', expect.anything(), { failed: 101, seconds: 4 }])
  })

  test('a failure now and then among answers is no outage', () => {
    const origin = open()
    for (let n = 0; n < 20; n++) {
      if (n % 3 === 0) origin.unreached(REFUSED)
      origin.look({ answered: n % 3 === 1 ? 0 : 10, failed: n % 3 === 0 ? 1 : 0 })
    }
    expect(origin.told).toEqual([])
  })

  test('the first request of all that fails is told at once: nothing needs to have worked before', () => {
    const origin = open(1)
    origin.unreached({ outcome: 'unreachable', code: 'ENOTFOUND', detail: null })
    origin.look({ failed: 1 })
    expect(origin.told.map(([event]) => event)).toEqual(['origin-name'])
  })

  test('another cause while it is down is told; the same cause is not', () => {
    const origin = open(1)
    for (const why of [REFUSED, REFUSED, { outcome: 'unreachable', code: 'EHOSTUNREACH', detail: null }, REFUSED]) {
      origin.unreached(why)
      origin.look({ failed: 1 })
    }
    expect(origin.told.map(([, text]) => text.split(':').slice(0, 3).join(':'))).toEqual([
      'origin staging:8080 is down: connection refused',
      'origin staging:8080 is still down after 2.5 s: no route to the host (EHOSTUNREACH); 3 requests failed, circuit still closed',
      'origin staging:8080 is still down after 3.5 s: connection refused',
    ])
  })

  test('requests in flight and no answer for 10 s: it is silent, until it answers', () => {
    const origin = open(1)
    origin.look({ answered: 10, inFlight: 3 })
    for (let n = 0; n <= 9; n++) origin.look({ inFlight: 4 })
    expect(origin.told).toEqual([])
    for (let n = 0; n < 5; n++) origin.look({ inFlight: 4 })
    origin.look({ failed: 4 })
    origin.look({ answered: 1 })
    expect(origin.told.map(([event, text]) => `${event}: ${text}`)).toEqual([
      'origin-silent: origin staging:8080 is silent: no answer for 10 s, while 4 requests wait for one',
      'origin-up: origin staging:8080 answers again after 16 s: 4 requests failed, 0 dropped meanwhile',
    ])
  })

  test('slow answers, and pauses between requests, are no silence', () => {
    const origin = open(1)
    for (let n = 0; n < 40; n++) origin.look({ answered: n % 8 === 0 ? 1 : 0, inFlight: 1 })
    for (let n = 0; n < 40; n++) origin.look({ inFlight: 0 })
    for (let n = 0; n < 40; n++) origin.look({ inFlight: n % 8 === 0 ? 0 : 1 })
    expect(origin.told).toEqual([])
  })

  test('a silence that turns into refused connections ends once', () => {
    const origin = open(1)
    for (let n = 0; n < 15; n++) origin.look({ inFlight: 4 })
    origin.unreached(REFUSED)
    origin.look({ failed: 4, circuitsOpen: 1 })
    origin.look({ answered: 3, circuitsOpen: 0 })
    origin.look({ answered: 3 })
    expect(origin.told.map(([event]) => event)).toEqual(['origin-silent', 'origin-down', 'origin-up'])
  })

  test('a circuit that stays open in a worker without requests is no second outage', () => {
    const origin = open()
    origin.unreached(REFUSED)
    origin.look({ failed: 5, circuitsOpen: 2 })
    origin.look({ answered: 5, circuitsOpen: 1 })
    for (let n = 0; n < 10; n++) origin.look({})
    expect(origin.told.map(([event]) => event)).toEqual(['origin-down', 'origin-up'])
    expect(origin.told[1]![1]).toMatch(/circuit open in 1 of 2 workers$/)
  })
})

describe('why an origin is not reached', () => {
  test.each([
    [
      { outcome: 'tls', code: 'CERT_HAS_EXPIRED', detail: null },
      'origin-tls',
      'its certificate has expired (CERT_HAS_EXPIRED)',
    ],
    [
      { outcome: 'tls', code: 'ERR_TLS_CERT_ALTNAME_INVALID', detail: "Host: a. is not in the cert's altnames: DNS:b" },
      'origin-tls',
      "its certificate is for another name; --tls-server-name says which to ask for (ERR_TLS_CERT_ALTNAME_INVALID: Host: a. is not in the cert's altnames: DNS:b)",
    ],
    [
      { outcome: 'tls', code: 'ECONNRESET', detail: null },
      'origin-tls',
      'it ends the handshake, perhaps for want of a client certificate (--tls-cert) (ECONNRESET)',
    ],
    [
      { outcome: 'unreachable', code: 'EAI_AGAIN', detail: null },
      'origin-name',
      'its name cannot be resolved now: the resolver does not answer (EAI_AGAIN)',
    ],
    [
      { outcome: 'connectTimeout', code: null, detail: null },
      'origin-down',
      'no connection within --connect-timeout-ms',
    ],
    [{ outcome: 'reset', code: null, detail: null }, 'origin-down', 'it closes new connections without an answer'],
    [{ outcome: 'unreachable', code: 'ESOMETHING', detail: null }, 'origin-down', 'it cannot be reached (ESOMETHING)'],
  ])('%j', (why, event, text) => {
    expect([eventOfUnreached(why), whyUnreached(why)]).toEqual([event, text])
  })
})
