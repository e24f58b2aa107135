import { describe, expect, test } from 'vitest'
import { Outcome, RequestDrop } from '../../../src/base/drop.ts'
import { COUNTER_BLOCK_BYTES, Counter, CounterBlock } from '../../../src/metrics/counters.ts'
import { Totals } from '../../../src/report/totals.ts'
import { AnswerWatch } from '../../../src/report/watch/answer-watch.ts'
import { type CrashingThread, RunWatch } from '../../../src/report/watch/run-watch.ts'

const REFUSED = { outcome: 'refused', code: 'ECONNREFUSED', detail: null }
const GOOD = { isHealthy: true, reason: 'receiving' }

function open() {
  const told: string[] = []
  const watch = new RunWatch({
    origins: ['staging:80'],
    workers: 1,
    startedMs: 0,
    tell: (event, text) => told.push(`${event}: ${text}`),
  })
  const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
  const counters = new CounterBlock(memory)
  let second = 0
  return {
    told,
    counters,
    /** The events alone. */
    events: () => told.map((line) => line.split(':')[0]),
    unreached: () => watch.unreached(0, REFUSED, second * 1000 + 500),
    look(health = GOOD, crashing: readonly CrashingThread[] = []) {
      counters.publish()
      watch.look(Totals.read([memory]), health, crashing, ++second * 1000)
    },
  }
}

describe('what a run says of itself', () => {
  test('first things are told once, in their order', () => {
    const run = open()
    run.look()
    run.counters.add(Counter.packetsReceived, 10)
    run.look()
    run.counters.add(Counter.requestsParsed, 2)
    run.counters.outcome(Outcome['4xx'], 1)
    run.look()
    run.look()
    expect(run.told).toEqual([
      'first-packet: first mirrored packet seen, 2.0 s after the start',
      'first-request: first HTTP request seen, 3.0 s after the start',
      'first-answer: first answer of origin staging:80: 4xx, 3.0 s after the start',
    ])
  })

  test('requests that fail in an outage are told with the outage only, also those of its first second', () => {
    const run = open()
    run.counters.outcome(Outcome['2xx'], 100)
    run.unreached()
    run.counters.outcome(Outcome.refused, 5)
    run.counters.set(Counter.circuitOpen, 1)
    run.look()
    for (let n = 0; n < 3; n++) {
      run.counters.requestDrop(RequestDrop.circuitOpen, 50)
      run.look()
    }
    run.counters.set(Counter.circuitOpen, 0)
    run.counters.outcome(Outcome['2xx'], 100)
    run.look()
    run.look()
    expect(run.events()).toEqual(['first-answer', 'origin-down', 'origin-up'])
  })

  test('requests that fail among answers are a loss', () => {
    const run = open()
    for (let n = 0; n < 5; n++) {
      run.unreached()
      run.counters.outcome(Outcome['2xx'], 100)
      run.counters.outcome(Outcome.refused, 5)
      run.look()
    }
    expect(run.told.slice(1)).toEqual(['unanswered: requests were sent and got no complete answer: refused 10 so far'])
  })

  test('health and crash loops are told when they begin and when they end', () => {
    const run = open()
    run.look()
    const crashing = [{ thread: 'worker 1', deaths: 5, error: 'boom' }]
    run.look({ isHealthy: false, reason: 'crash loop: worker 1 died 5 times in a row: boom' }, crashing)
    run.look({ isHealthy: false, reason: 'crash loop: worker 1 died 6 times in a row: boom' }, crashing)
    run.look()
    expect(run.told).toEqual([
      'crash-loop: worker 1 is in a crash loop: 5 deaths in a row, the last: boom',
      'health-bad: health is bad (503): crash loop: worker 1 died 5 times in a row: boom',
      'crash-loop-ended: worker 1 runs steadily again',
      'health-good: health is good again after 2.0 s',
    ])
  })
})

describe('answers with 5xx', () => {
  function watch() {
    const told: string[] = []
    const answers = new AnswerWatch('staging:80', (event, text) => told.push(`${event}: ${text}`))
    let [answered, errors, second] = [0, 0, 0]
    return {
      told,
      look(more: number, bad: number) {
        answered += more
        errors += bad
        answers.look(answered, errors, ++second * 1000)
      },
    }
  }

  test('are told when most answers of three seconds are, and when next to none is for ten', () => {
    const run = watch()
    for (const bad of [0, 9, 9]) run.look(10, bad)
    expect(run.told).toEqual([])
    run.look(10, 9)
    for (let n = 0; n < 12; n++) run.look(100, n < 2 ? 50 : 1)
    expect(run.told).toEqual([
      'origin-errors: origin staging:80 answers with 5xx: 27 of the last 30 answers',
      'origin-errors-ended: origin staging:80 answers without 5xx again: there were 137 in 15 s',
    ])
  })

  test('a few of them, or a single slow trickle, are not', () => {
    const run = watch()
    for (let n = 0; n < 60; n++) run.look(100, 40)
    for (let n = 0; n < 9; n++) run.look(1, 1)
    expect(run.told).toEqual([])
  })
})
