import { expect, test } from 'vitest'
import { CounterBlock } from '../../src/metrics/counters.ts'
import { RATE_LIMITER_BYTES, SharedRateLimiter } from '../../src/sinks/filter/rate-limiter.ts'
import { SELECT_ALL } from '../../src/sinks/filter/selection.ts'
import { NullSink } from '../../src/sinks/null-sink.ts'
import { directoryOf, factsOf } from '../support/exchanges.ts'
import { captured } from './replay/support/captured.ts'
import { dropsOf, outcomesOf } from './replay/support/ledger.ts'

const clock = { us: 1_700_000_000_000_500, nowUs: () => clock.us }
const ID = { connection: 1, stream: 0, index: 0 }
const connections = directoryOf(factsOf())
const limiter = () => new SharedRateLimiter(new SharedArrayBuffer(RATE_LIMITER_BYTES), 100, clock, 2)

test('--to null filters like replay, holds nothing, and counts the outcome null', async () => {
  const counters = new CounterBlock()
  const sink = new NullSink({ ...SELECT_ALL, methods: ['GET'], shed: true }, counters, {
    connections,
    random: () => 0,
    rateLimiter: null,
  })
  sink.request(ID, captured('GET / HTTP/1.1'))
  sink.request(ID, captured('POST / HTTP/1.1'))
  sink.request(ID, captured('GET / HTTP/1.1\nX-Mirrorshard: 1'))
  expect(outcomesOf(counters)).toEqual({ null: 1 })
  expect(dropsOf(counters)).toEqual({ method: 1, loop: 1 })
  expect([sink.held, sink.unsettledConnections, sink.hasRoom(), sink.wants.requestBody]).toEqual([0, 0, true, false])
  await sink.drain()
  await sink.close()
})

test('--rate drops live traffic and makes files wait', () => {
  const live = new CounterBlock()
  const shedding = new NullSink({ ...SELECT_ALL, shed: true }, live, {
    connections,
    random: () => 0,
    rateLimiter: limiter(),
  })
  for (let i = 0; i < 5; i++) shedding.request(ID, captured('GET / HTTP/1.1'))
  expect(dropsOf(live)).toEqual({ rateLimited: 3 })

  const offline = new CounterBlock()
  const waiting = new NullSink({ ...SELECT_ALL, shed: false }, offline, {
    connections,
    random: () => 0,
    rateLimiter: limiter(),
  })
  for (let i = 0; i < 5; i++) waiting.request(ID, captured('GET / HTTP/1.1'))
  expect(outcomesOf(offline)).toEqual({ null: 5 })
  expect(waiting.hasRoom()).toBe(false)
  clock.us += 40_000
  expect(waiting.hasRoom()).toBe(true)
})
