/** What holds for every input of the request parser. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cuts, damaged, noise, pipelined } from './support/messages.ts'
import { bytesOf, cutAt, inBytes, parseRequests, parseWhole, RequestLog, said } from './support/parsing.ts'

const anything = fc.oneof(
  pipelined().map((p) => p.wire),
  damaged(pipelined().map((p) => p.wire)),
  noise,
)

test('valid requests come out as they went in: method, target, headers in order with their case, body', () => {
  fc.assert(
    fc.property(pipelined(), ({ wire, requests }) => {
      const seen = parseWhole(wire).requests.map(({ method, target, headers, body }) => ({
        method,
        target,
        headers,
        body,
      }))
      expect(seen).toEqual(requests.map(({ method, target, headers, body }) => ({ method, target, headers, body })))
    }),
  )
})

test('the offset after a request is where the next one begins', () => {
  fc.assert(
    fc.property(pipelined(), cuts, ({ wire, requests }, places) => {
      const log = parseRequests(cutAt(bytesOf(wire), places))
      let at = 0
      const ends = requests.map((r) => {
        at = wire.indexOf(r.wire, at) + r.wire.length
        return at
      })
      expect(log.endOffsets).toEqual(ends)
    }),
  )
})

test('any split of any input gives the same events', () => {
  fc.assert(
    fc.property(anything, cuts, (wire, places) => {
      const whole = said(parseWhole(wire))
      expect(said(parseRequests(cutAt(bytesOf(wire), places)))).toEqual(whole)
      expect(said(parseRequests(inBytes(bytesOf(wire))))).toEqual(whole)
    }),
    { numRuns: 500 },
  )
})

test('any split gives the same events where heads, trailers and bodies reach their limits', () => {
  const limits = { maxHeadBytes: 60, maxFields: 3, maxBodyBytes: 20 }
  fc.assert(
    fc.property(anything, cuts, (wire, places) => {
      const whole = said(parseRequests([bytesOf(wire)], limits))
      expect(said(parseRequests(cutAt(bytesOf(wire), places), limits))).toEqual(whole)
      expect(said(parseRequests(inBytes(bytesOf(wire)), limits))).toEqual(whole)
    }),
    { numRuns: 500 },
  )
})

// The log itself throws when offsets leave their bounds, a request ends twice or not at all, or a gathered head is lost.
test('no input throws, and each request that began ends once, with gaps and ends anywhere', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: anything.map((wire) => ({ wire })) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 100 }).map((gap) => ({ gap })) },
  )
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 6 }),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 0, max: 4 }),
      (steps, inMiddle, isAckedTo, reason) => {
        const log = new RequestLog({}, { inMiddle, mayBegin: inMiddle })
        for (const s of steps) {
          if ('gap' in s) log.gap(s.gap)
          else
            for (let rest = bytesOf(s.wire); rest.length > 0; ) {
              const taken = log.data(rest, { isAckedTo })
              expect(taken).toBeGreaterThanOrEqual(0)
              expect(taken).toBeLessThanOrEqual(rest.length)
              rest = rest.subarray(taken)
              if (log.parser.isWaiting) log.parser.resume()
              else expect(rest.length).toBe(0)
            }
        }
        log.end(reason)
        expect(log.events.filter((e) => e === 'other').length).toBeLessThan(2)
      },
    ),
    { numRuns: 1000 },
  )
})

test('random bytes are no request', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(parseRequests([Buffer.from(bytes)]).requests).toEqual([])
    }),
  )
})

test('after an ambiguous message every byte is skipped and counted, once', () => {
  const fault = fc.constantFrom(
    'GET / HTTP/1.1\nHost: a\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
  )
  fc.assert(
    fc.property(pipelined(), fault, pipelined(), cuts, (before, wrong, after, places) => {
      const log = parseRequests(cutAt(bytesOf(before.wire + wrong + after.wire), places))
      expect(log.requests.length).toBe(before.requests.length)
      expect(log.skippedAmbiguous).toBe(wrong.length + after.wire.length)
      expect(log.skippedUnproven).toBe(0)
    }),
  )
})
