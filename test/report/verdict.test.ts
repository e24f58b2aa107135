/** The first line of the summary, in every situation. */
import { describe, expect, test } from 'vitest'
import { Counter, CounterBlock } from '../../src/metrics/counters.ts'
import type { ScalarName } from '../../src/metrics/scalars.ts'
import { samplingNote } from '../../src/report/sampling-note.ts'
import { makeSummary, type Summary, summaryInWords } from '../../src/report/summary.ts'
import { Totals } from '../../src/report/totals.ts'

const SPENT = { seconds: 1, cpuSeconds: 1, fromFirstPacket: { seconds: 1, cpuSeconds: 1 } }
const memory = new SharedArrayBuffer(1 << 16)
new CounterBlock(memory, 0).publish()
const EMPTY = makeSummary(Totals.read([memory]), [], false, SPENT)

type Part<T> = { readonly [K in keyof T]?: T[K] extends object | null ? Partial<NonNullable<T[K]>> : T[K] }

/** A run in which everything went well, but for what is given. */
function summaryOf(given: Part<Summary>): Summary {
  const well: Part<Summary> = {
    packets: { received: 10, processed: 10 },
    flows: { opened: 1 },
    requests: { parsed: 2, replayed: { printed: 2 } },
    responses: { parsed: 2 },
  }
  const merged: Record<string, unknown> = { ...EMPTY }
  for (const part of [well, given])
    for (const [key, value] of Object.entries(part))
      merged[key] =
        typeof value === 'object' ? { ...(merged[key] as object), ...(value as object) } : (value as unknown)
  return merged as unknown as Summary
}

const first = (given: Part<Summary>) => summaryInWords(summaryOf(given), 'printed')[0]!

const NOTHING_READ = { requests: { parsed: 0, replayed: {} }, responses: { parsed: 0 } }

const SITUATIONS: readonly (readonly [string, Part<Summary>, string])[] = [
  ['all is well', {}, 'Nothing was lost.'],
  [
    'nothing arrived',
    { packets: { received: 0, processed: 0 }, flows: { opened: 0 }, ...NOTHING_READ },
    'Nothing arrived: there was no packet to read.',
  ],
  [
    'no packet carries TCP for us',
    { packets: { received: 10, processed: 10, other: 10 }, flows: { opened: 0 }, ...NOTHING_READ },
    'Nothing was read: no TCP connection was seen in 10 packets.',
  ],
  [
    'only acknowledgements, resets or ends of connections that were open before',
    { packets: { received: 10, processed: 10, other: 4 }, flows: { opened: 0 }, ...NOTHING_READ },
    'Nothing was read: 6 TCP packets, none of which opens a connection or carries data of one.',
  ],
  [
    'a capture with a short snap length',
    { packets: { received: 10, processed: 10, truncated: 2 }, flows: { opened: 1, gaps: 2 }, ...NOTHING_READ },
    'Lost: 2 gaps in the captured streams (2 packets truncated), in no request that was recognised.',
  ],
  ['connections without a request', NOTHING_READ, 'No HTTP/1 request was seen in 1 connection.'],
  [
    'a connection that began with something else, and was answered',
    { flows: { unreadable: 1 }, responses: { parsed: 2, unasked: 2 }, requests: { parsed: 0, replayed: {} } },
    'Not everything was read: 1 connection that began with something other than an HTTP/1 request and got a response; 2 responses to requests that were not read.',
  ],
  [
    'a connection that began with something else, and was not answered',
    { otherProtocols: { unknown: { 80: 1 }, tls: { 443: 2, 8443: 1 } } },
    'Not everything was read: 1 connection of an unrecognised protocol; 3 connections of TLS.',
  ],
  [
    'a malformed PROXY header',
    { otherProtocols: { proxyHeader: { 80: 1 } } },
    'Not everything was read: 1 connection of a malformed PROXY header.',
  ],
  [
    'answers alone',
    { requests: { parsed: 0, replayed: {} }, responses: { parsed: 3, unasked: 3 } },
    'Not everything was read: 3 responses to requests that were not read.',
  ],
  [
    'an answer that is not whole',
    { responses: { parsed: 2, dropped: { framing: 1 } } },
    'Not everything was read: 1 response incomplete (framing 1).',
  ],
  ['a tunnel', { skippedBytes: { tunnel: 1234 } }, 'Not everything was read: 1,234 bytes in tunnels.'],
  [
    'a start in the middle',
    { skippedBytes: { resyncUnproven: 7 } },
    'Not everything was read: 7 bytes without a proven message boundary.',
  ],
  ['bytes behind close', { skippedBytes: { behindClose: 40 } }, 'Nothing was lost.'],
  [
    'requests behind close',
    { requests: { parsed: 3, dropped: { behindClose: 1 }, replayed: { printed: 2 } } },
    'Nothing was lost. Left out on purpose: 1 of 3 requests (behindClose 1).',
  ],
  [
    'a request refused for an early answer',
    { requests: { parsed: 3, dropped: { earlyAnswer: 1 }, replayed: { printed: 2 } } },
    'Lost: 1 request dropped (earlyAnswer 1).',
  ],
  [
    'a gap, and a tunnel',
    { flows: { opened: 1, gaps: 1 }, skippedBytes: { tunnel: 1 } },
    'Lost: 1 gap in the captured streams, in no request that was recognised. Not read: 1 byte in tunnels.',
  ],
  [
    'only what was asked for',
    { requests: { parsed: 3, dropped: { sampledOut: 3 }, replayed: {} } },
    'Nothing was lost. Left out on purpose: 3 of 3 requests (sampledOut 3).',
  ],
  [
    'a packet dropped here',
    { packets: { received: 10, dropped: { shed: 1 } } },
    'Lost: 1 packet dropped here (shed 1).',
  ],
  [
    'the kernel’s loss alone',
    { packets: { received: 0, kernelDropped: 3 }, flows: { opened: 0 } },
    "Lost: 3 packets in the kernel's receive buffer.",
  ],
  ['a worker that died', { flows: { opened: 1, lost: 1 } }, 'Lost: 1 connection with a worker.'],
]

test.each(SITUATIONS)('%s', (_situation, given, words) => {
  expect(first(given)).toBe(words)
})

describe('requests that were sent', () => {
  const words = (given: Part<Summary>) =>
    summaryInWords(summaryOf(given), 'replayed').find((line) => line.startsWith('  requests'))

  test('are answered or have failed: nobody replayed what found no origin', () => {
    const requests = { parsed: 105, dropped: { gap: 3 }, replayed: { '2xx': 90, '5xx': 10, connectTimeout: 2 } }
    expect(words({ requests })).toBe(
      '  requests   105 parsed, 100 answered (2xx 90, 5xx 10), 2 failed (connectTimeout 2), 3 dropped (gap 3)',
    )
    expect(words({ requests: { parsed: 2, replayed: { refused: 2 } } })).toBe(
      '  requests   2 parsed, 0 answered, 2 failed (refused 2)',
    )
    expect(first({ requests: { parsed: 2, replayed: { refused: 2 } } })).toBe(
      'Lost: 2 requests without an answer from the origin (refused 2).',
    )
  })

  test('at several targets, each', () => {
    const lines = summaryInWords(
      summaryOf({
        requests: { parsed: 4, forwarded: 4, replayed: {} },
        targets: { a: { given: 4, dropped: {}, replayed: { '2xx': 3, reset: 1 }, held: 0 } },
      }),
      'replayed',
    )
    expect(lines).toContain('  requests   4 parsed, 4 forwarded')
    expect(lines).toContain('  target     a: 4 given, 3 answered (2xx 3), 1 failed (reset 1)')
  })
})

describe('--percent that took nothing', () => {
  const sampledOut = { parsed: 7, dropped: { sampledOut: 7 }, replayed: {} }
  const summary = summaryOf({ flows: { opened: 3 }, requests: sampledOut })

  test('says that it picks whole connections, how many there were, and what picks requests', () => {
    expect(samplingNote(summary, { percent: 10, sampleBy: { by: 'connection' } })).toBe(
      '--percent 10 picks whole connections, and took none of 3 connections. --sample-by random picks single requests.',
    )
    expect(samplingNote(summary, { percent: 10, sampleBy: { by: 'header', name: 'x-user' } })).toContain(
      'by the value of the header x-user',
    )
    expect(samplingNote(summary, { percent: 10, sampleBy: { by: 'random' } })).toContain('none of 7 requests')
  })

  test('says nothing where something was taken, or nothing was wanted', () => {
    const sampling = { sampleBy: { by: 'connection' } } as const
    const some = summaryOf({ requests: { ...sampledOut, parsed: 8, replayed: { '2xx': 1 } } })
    expect(samplingNote(some, { percent: 10, ...sampling })).toBeNull()
    expect(samplingNote(summary, { percent: 0, ...sampling })).toBeNull()
    expect(samplingNote(summaryOf({}), { percent: 10, ...sampling })).toBeNull()
  })
})

test('whatever is added to a situation in which something is missing, nothing is said to be complete', () => {
  const missing = SITUATIONS.filter(([, , words]) => !words.startsWith('Nothing was lost'))
  for (const [, one] of missing)
    for (const [, other] of SITUATIONS) {
      const both: Record<string, unknown> = { ...other }
      for (const [key, value] of Object.entries(one)) both[key] = { ...(both[key] as object), ...(value as object) }
      expect(first(both as Part<Summary>)).not.toContain('Nothing was lost')
    }
})

test('every counter of bytes that nobody read is in the summary', () => {
  const names: readonly ScalarName[] = [
    'resyncUnproven',
    'afterAmbiguous',
    'tunnelBytes',
    'otherProtocolBytes',
    'behindCloseBytes',
  ]
  for (const name of names) {
    const block = new SharedArrayBuffer(1 << 16)
    const counters = new CounterBlock(block, 0)
    counters.add(Counter[name], 5)
    counters.publish()
    const { skippedBytes } = makeSummary(Totals.read([block]), [], false, SPENT)
    expect(Object.values(skippedBytes).filter((n) => n === 5)).toHaveLength(1)
  }
})
