import { expect, test } from 'vitest'
import { OUTCOME_NAMES } from '../../../src/base/drop.ts'
import type { Exchange } from '../../../src/exchange/exchange.ts'
import { CounterBlock, OUTCOMES } from '../../../src/metrics/counters.ts'
import { LineSink } from '../../../src/sinks/inspect/line-sink.ts'
import { answer, ConnectionRig, get } from '../../http/support/connection-rig.ts'

function exchanges(): readonly Exchange[] {
  const rig = new ConnectionRig().server(answer(200)).client(get('/1')).server(answer(201))
  rig.close()
  return rig.full
}

test('lines come whole, in batches, in order; only complete requests count as printed', () => {
  const written: string[] = []
  const counters = new CounterBlock()
  const sink = new LineSink((lines) => written.push(lines), counters)
  const [orphan, whole] = exchanges()
  for (let i = 0; i < 1000; i++) {
    sink.exchange(orphan!)
    sink.exchange(whole!)
  }
  expect(written.length).toBeGreaterThan(1)
  sink.flush()
  for (const lines of written) expect(lines.endsWith('\n')).toBe(true)
  const methods = written
    .join('')
    .trimEnd()
    .split('\n')
    .map((l) => JSON.parse(l).method)
  expect(methods).toEqual(Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? null : 'GET')))
  expect(counters.get(OUTCOMES + OUTCOME_NAMES.indexOf('printed'))).toBe(1000)
})

test('nothing gathered, nothing written', () => {
  const written: string[] = []
  const sink = new LineSink((lines) => written.push(lines), new CounterBlock())
  sink.flush()
  sink.exchange(exchanges()[1]!)
  expect(written).toEqual([])
  sink.flush()
  sink.flush()
  expect(written.length).toBe(1)
})
