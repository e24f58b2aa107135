import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Decapsulator } from '../../src/decapsulation/decapsulator.ts'
import { Verdict } from '../../src/decapsulation/verdict.ts'
import type { SampleRequest } from '../../src/demo/traffic/sample-request.ts'
import { SampleTraffic } from '../../src/demo/traffic/sample-traffic.ts'
import type { Tally } from '../../src/demo/traffic/tally.ts'
import { Counter, CounterBlock } from '../../src/metrics/counters.ts'
import { LinkType } from '../../src/wire/link-type.ts'

interface Generated {
  readonly requests: SampleRequest[]
  readonly frames: { readonly frame: Buffer; readonly vni: number }[]
  readonly tally: Tally
}

function generate(seed: number, requests: number): Generated {
  const generated: Omit<Generated, 'tally'> = { requests: [], frames: [] }
  const traffic = new SampleTraffic(seed, {
    request: (request) => generated.requests.push(request),
    frame: (frame, vni) => generated.frames.push({ frame, vni }),
  })
  traffic.extend(requests)
  while (traffic.step()) {}
  return { ...generated, tally: traffic.tally }
}

function digest({ requests, frames }: Generated): string {
  const hash = createHash('sha256').update(JSON.stringify(requests))
  for (const { frame, vni } of frames) hash.update(`${vni} ${frame.length}`).update(frame)
  return hash.digest('hex')
}

function decapsulate(verifyChecksums: boolean, counters: CounterBlock): Decapsulator {
  const fragments = { datagrams: 64, bytes: 1 << 20, timeoutMs: 1_000 }
  return new Decapsulator(
    { vlanDepth: 2, tunnelDepth: 0, verifyChecksums, fragments, allowFrom: null, vnis: null },
    counters,
  )
}

describe('sample traffic', () => {
  test('is the same for the same seed, and another for another', () => {
    const one = digest(generate(1, 200))
    expect(digest(generate(1, 200))).toBe(one)
    expect(digest(generate(2, 200))).not.toBe(one)
  })

  test('has exactly the requests asked for, each with a name of its own', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 60 }), (seed, count) => {
        const { requests } = generate(seed, count)
        expect(requests).toHaveLength(count)
        expect(new Set(requests.map((r) => `${r.connection}-${r.index}`)).size).toBe(count)
      }),
      { numRuns: 30 },
    )
  })

  test('goes on where it ended when more is asked for', () => {
    const names: string[] = []
    const sink = { request: (r: SampleRequest) => names.push(`${r.connection}-${r.index}`), frame: () => {} }
    const traffic = new SampleTraffic(5, sink)
    traffic.extend(50)
    while (traffic.step()) {}
    traffic.extend(Number.POSITIVE_INFINITY)
    for (let i = 0; i < 5_000; i++) expect(traffic.step()).toBe(true)
    traffic.finish()
    while (traffic.step()) {}
    expect(names.length).toBeGreaterThan(300)
    expect(new Set(names).size).toBe(names.length)
  })

  test('contains every kind of traffic it tells of', () => {
    for (const [what, n] of Object.entries(generate(4_789, 2_000).tally)) expect(n, what).toBeGreaterThan(0)
  })

  test('is whole on the wire: no frame is refused, and checksums are right', () => {
    const counters = new CounterBlock()
    const decapsulator = decapsulate(false, counters)
    const verifying = decapsulate(true, new CounterBlock())
    const { frames, tally } = generate(7, 1_000)
    let other = 0
    let held = 0
    for (const [i, { frame }] of frames.entries()) {
      expect(frame.length).toBeLessThanOrEqual(1_522)
      const whole = counters.get(Counter.datagramsReassembled)
      decapsulator.nowUs = i
      verifying.nowUs = i
      const verdict = decapsulator.frame(frame, 0, frame.length, frame.length, LinkType.ethernet)
      if (verdict === Verdict.held) held++
      else if (verdict === Verdict.other) other++
      else expect(verdict, `frame ${i}`).toBe(Verdict.tcp)
      const isFragment = verdict === Verdict.held || counters.get(Counter.datagramsReassembled) > whole
      if (!isFragment)
        expect(verifying.frame(frame, 0, frame.length, frame.length, LinkType.ethernet), `frame ${i}`).toBe(verdict)
    }
    expect(other).toBe(tally.dnsFrames + tally.arpFrames)
    expect(held).toBe(tally.fragments - counters.get(Counter.datagramsReassembled))
    expect(held).toBeGreaterThan(0)
  })
})
