import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ByteRequest, ByteRequestBuilder } from '../../../src/sinks/replay/byte-request.ts'
import { HeadPlan } from '../../../src/sinks/replay/head-plan.ts'
import { captured, connection } from './support/captured.ts'

const ORIGIN = '127.0.0.1:8080'

test('whatever is given back and in whatever order, no request that is still needed changes a byte', () => {
  const step = fc.record({ size: fc.nat(3_000), back: fc.array(fc.nat(1_000), { maxLength: 3 }) })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 150 }), (steps) => {
      const builder = new ByteRequestBuilder(new HeadPlan(ORIGIN, false), ORIGIN)
      const needed: { request: ByteRequest; filler: string }[] = []
      for (const [n, { size, back }] of steps.entries()) {
        const filler = String.fromCharCode(97 + (n % 26)).repeat(size)
        const text = `GET /${n} HTTP/1.1\nHost: a\nX-Filler: ${filler}`
        needed.push({ request: builder.build(captured(text), connection())!, filler })
        for (const i of back) {
          const [done] = needed.length > 0 ? needed.splice(i % needed.length, 1) : []
          if (done !== undefined) builder.release(done.request)
        }
        for (const { request, filler } of needed) expect(request.headText()).toContain(`\r\nX-Filler: ${filler}\r\n`)
      }
    }),
    { numRuns: 100 },
  )
})

test('requests that are given back one by one use one block of memory', () => {
  const builder = new ByteRequestBuilder(new HeadPlan(ORIGIN, false), ORIGIN)
  const blocks = new Set<unknown>()
  for (let n = 0; n < 1_000; n++) {
    const request = builder.build(captured(`GET /${n} HTTP/1.1\nHost: a`), connection())!
    expect(request.block).not.toBe(null)
    blocks.add(request.block)
    builder.release(request)
  }
  expect(blocks.size).toBe(1)
})
