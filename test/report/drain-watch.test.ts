/** A drain is seen to go on. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DrainWatch } from '../../src/report/drain-watch.ts'
import type { ServiceLog } from '../../src/report/service-log.ts'
import { totalsOf } from './support/counts.ts'

const TOTALS = totalsOf({ scalars: { replayQueued: 3, replayInFlight: 2, requestsParsed: 5, circuitOpen: 1 } })
const draining = { totals: () => TOTALS, origin: 'http://staging:8080', timeoutMs: 15_000 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function streamOf(isTTY: boolean) {
  const written: string[] = []
  const stream = { isTTY, columns: 80, write: (text: string) => written.push(text) }
  return { stream: stream as unknown as NodeJS.WriteStream, written }
}

function logOf(format: 'json' | 'text' = 'text') {
  const lines: [string, string, object][] = []
  const log: Pick<ServiceLog, 'format' | 'event'> = {
    format,
    event: (...line) => lines.push(line as unknown as [string, string, object]),
  }
  return { log, lines }
}

describe('on a terminal', () => {
  test('in the live line, at once and each second, with the time that is left; the line goes at the end', () => {
    const { stream, written } = streamOf(true)
    const { log, lines } = logOf()
    const watch = new DrainWatch(stream, log, draining)
    expect(written.at(-1)).toBe('\r\x1b[Khttp://staging:8080 does not answer · draining, 15 s left · 5 held')
    vi.advanceTimersByTime(4000)
    expect(written.at(-1)).toContain('draining, 11 s left')
    watch.stop()
    expect(written.at(-1)).toBe('\r\x1b[K')
    vi.advanceTimersByTime(10_000)
    expect([written.at(-1), lines]).toEqual(['\r\x1b[K', []])
  })
})

describe('elsewhere', () => {
  test('in the log every three seconds, with numbers for machines', () => {
    const { stream, written } = streamOf(false)
    const { log, lines } = logOf()
    const watch = new DrainWatch(stream, log, draining)
    vi.advanceTimersByTime(2999)
    expect(lines).toEqual([])
    vi.advanceTimersByTime(3001)
    expect(lines).toHaveLength(2)
    expect(lines[1]).toEqual([
      'drain-progress',
      'draining, 9 s left: 3 queued, 2 in flight; http://staging:8080 does not answer',
      { queued: 3, inFlight: 2, secondsLeft: 9, origin: 'http://staging:8080', originAnswers: false },
    ])
    watch.stop()
    vi.advanceTimersByTime(10_000)
    expect([lines.length, written]).toEqual([2, []])
  })

  test('in the log on a terminal too, where JSON lines are asked for', () => {
    const { stream, written } = streamOf(true)
    const { log, lines } = logOf('json')
    const watch = new DrainWatch(stream, log, draining)
    vi.advanceTimersByTime(3000)
    watch.stop()
    expect([written, lines.length]).toEqual([[], 1])
  })

  test('over files nothing is said', () => {
    const { stream, written } = streamOf(false)
    new DrainWatch(stream, null, { ...draining, timeoutMs: null })
    vi.advanceTimersByTime(10_000)
    expect(written).toEqual([])
  })
})
