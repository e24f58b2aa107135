import { expect, test } from 'vitest'
import { OUTCOME_NAMES } from '../../../src/base/drop.ts'
import { RequestDeadlines } from '../../../src/sinks/replay/request-deadlines.ts'

const LIMITS = { connectTimeoutMs: 10, headersTimeoutMs: 20, bodyTimeoutMs: 30, requestTimeoutMs: 100 }
const begun = () => {
  const deadlines = new RequestDeadlines(LIMITS)
  deadlines.begin(0)
  return deadlines
}
const at = (deadlines: RequestDeadlines, ms: number, bodyBytes = 0) =>
  OUTCOME_NAMES[deadlines.missed(ms * 1000, bodyBytes)] ?? ''

test('a request that waits for a connection has the total time only', () => {
  const deadlines = begun()
  expect(at(deadlines, 100)).toBe(at(deadlines, 0))
  expect(at(deadlines, 100.001)).toBe('timeout')
})

test('connecting has its own time, counted from its own beginning', () => {
  const deadlines = begun()
  deadlines.connecting(5_000)
  expect(at(deadlines, 15)).not.toBe('connectTimeout')
  expect(at(deadlines, 15.001)).toBe('connectTimeout')
})

test('the total time ends a connection attempt as such', () => {
  const deadlines = begun()
  deadlines.connecting(95_000)
  expect(at(deadlines, 101)).toBe('connectTimeout')
})

test('the head has time from the moment the request was written', () => {
  const deadlines = begun()
  deadlines.connecting(0)
  deadlines.written(9_000)
  expect(at(deadlines, 29)).not.toBe('timeout')
  expect(at(deadlines, 29.001)).toBe('timeout')
})

test('the body has time while bytes of it come, until the total is over', () => {
  const deadlines = begun()
  deadlines.written(0)
  deadlines.answering(10_000, 3)
  expect(at(deadlines, 40, 3)).not.toBe('timeout')
  for (const ms of [40, 69, 98]) expect(at(deadlines, ms, ms)).not.toBe('timeout')
  expect(at(deadlines, 101, 101)).toBe('timeout')
})

test('the next request begins anew', () => {
  const deadlines = begun()
  deadlines.written(0)
  deadlines.answering(0, 7)
  deadlines.begin(500_000)
  deadlines.written(500_000)
  expect(at(deadlines, 520, 0)).not.toBe('timeout')
  expect(at(deadlines, 520.001, 0)).toBe('timeout')
})
