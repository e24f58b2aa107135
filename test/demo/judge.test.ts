import { describe, expect, test } from 'vitest'
import { type Arrival, sha256 } from '../../src/demo/arrival.ts'
import { isPerfect, Judge } from '../../src/demo/judge.ts'
import type { Field, SampleRequest } from '../../src/demo/traffic/sample-request.ts'
import { verdictSentence } from '../../src/demo/verdict-text.ts'

const ORIGIN = '127.0.0.1:9000'

function sent(index: number, over: Partial<SampleRequest> = {}): SampleRequest {
  const body = Buffer.from('body')
  return {
    connection: 7,
    index,
    method: 'POST',
    target: '/cart?x=1',
    version: '1.1',
    headers: [
      ['Host', 'shop.example'],
      ['X-Request-Id', `7-${index}`],
      ['Cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['Connection', 'X-Hop'],
      ['X-Hop', 'gone'],
      ['X-Forwarded-For', '203.0.113.7'],
      ['Content-Length', '4'],
    ],
    body,
    wireBody: body,
    isChunked: false,
    expectsContinue: false,
    clientAddress: '10.0.0.1',
    serverPort: 80,
    ...over,
  }
}

/** As replay should deliver it. */
function arrived(index: number, over: Partial<Arrival> = {}): Arrival {
  return {
    method: 'POST',
    target: '/cart?x=1',
    headers: [
      ['host', ORIGIN],
      ['connection', 'keep-alive'],
      ['X-Request-Id', `7-${index}`],
      ['Cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['X-Forwarded-For', '203.0.113.7, 10.0.0.1'],
      ['X-Forwarded-Port', '80'],
      ['X-Forwarded-Proto', 'http'],
      ['X-Forwarded-Host', 'shop.example'],
      ['X-Mirrorshard', '1'],
      ['content-length', '4'],
    ],
    bodyBytes: 4,
    bodySha256: sha256(Buffer.from('body')),
    ...over,
  }
}

function without(name: string): readonly Field[] {
  return arrived(0).headers.filter(([n]) => n !== name)
}

function withValue(name: string, value: string): readonly Field[] {
  return arrived(0).headers.map(([n, v]) => (n === name ? [n, value] : [n, v]))
}

function judgeOf(requests: readonly SampleRequest[], arrivals: readonly Arrival[]) {
  const judge = new Judge(ORIGIN)
  for (const request of requests) judge.sends(request)
  for (const arrival of arrivals) judge.arrives(arrival)
  return judge.verdict()
}

describe('the judge', () => {
  test('passes requests that differ only as documented, whatever the order of connections', () => {
    const verdict = judgeOf([sent(0), sent(1)], [arrived(0), arrived(1)])
    expect(verdict).toMatchObject({
      sent: 2,
      exact: 2,
      altered: 0,
      missing: 0,
      duplicates: 0,
      invented: 0,
      outOfOrder: 0,
    })
    expect(isPerfect(verdict)).toBe(true)
    expect(verdictSentence(verdict)).toMatch(/^Passed: 2 requests/)
  })

  test.each<[string, Partial<Arrival>, RegExp]>([
    ['another method', { method: 'PUT' }, /method: expected "POST", got "PUT"/],
    ['another target', { target: '/cart?x=2' }, /target/],
    ['a shorter body', { bodyBytes: 3 }, /body length: expected "4", got "3"/],
    ['other bytes', { bodySha256: sha256(Buffer.from('ydob')) }, /body: other bytes/],
    ['a changed value', { headers: withValue('Cookie', 'a=2') }, /expected "Cookie: a=1", got "Cookie: a=2"/],
    ['a lost header', { headers: without('cookie') }, /expected "cookie: b=2"/],
    [
      'joined duplicates',
      { headers: without('cookie').map(([n, v]) => (n === 'Cookie' ? [n, 'a=1; b=2'] : [n, v])) },
      /Cookie/,
    ],
    [
      'another case',
      { headers: arrived(0).headers.map(([n, v]) => [n === 'Cookie' ? 'cookie' : n, v]) },
      /got "cookie: a=1"/,
    ],
    ['an added header', { headers: [...arrived(0).headers, ['X-Added', '1']] }, /expected nothing, got "X-Added: 1"/],
    ['a header meant for the next hop', { headers: [...arrived(0).headers, ['X-Hop', 'gone']] }, /X-Hop/],
    ['the captured Host', { headers: withValue('host', 'shop.example') }, /host: expected "127.0.0.1:9000"/],
    ['a broken chain of addresses', { headers: withValue('X-Forwarded-For', '10.0.0.1') }, /x-forwarded-for/],
    ['no loop guard', { headers: without('X-Mirrorshard') }, /x-mirrorshard: expected "1", got nothing/],
    [
      'a chunked body',
      { headers: [...without('content-length'), ['Transfer-Encoding', 'chunked']] },
      /transfer-encoding/,
    ],
  ])('sees an altered request: %s', (_, over, example) => {
    const verdict = judgeOf([sent(0)], [arrived(0, over)])
    expect(verdict).toMatchObject({ exact: 0, altered: 1, missing: 0, invented: 0 })
    expect(verdict.examples[0]).toMatch(example)
    expect(isPerfect(verdict)).toBe(false)
  })

  test('sees a missing request', () => {
    const verdict = judgeOf([sent(0), sent(1)], [arrived(0)])
    expect(verdict).toMatchObject({ sent: 2, exact: 1, missing: 1 })
    expect(verdict.examples).toEqual(['POST /cart?x=1: never arrived'])
    expect(verdictSentence(verdict)).toBe('Failed: of 2 requests 1 missing.')
  })

  test('sees a request that arrives twice', () => {
    const verdict = judgeOf([sent(0)], [arrived(0), arrived(0)])
    expect(verdict).toMatchObject({ exact: 1, duplicates: 1, invented: 0 })
    expect(isPerfect(verdict)).toBe(false)
  })

  test('sees a request that was never sent', () => {
    const verdict = judgeOf([sent(0)], [arrived(0), arrived(5), { ...arrived(0), headers: [] }])
    expect(verdict).toMatchObject({ exact: 1, duplicates: 0, invented: 2 })
    expect(isPerfect(verdict)).toBe(false)
  })

  test('sees a request that overtook the one before it on its connection', () => {
    const verdict = judgeOf([sent(0), sent(1)], [arrived(1), arrived(0)])
    expect(verdict).toMatchObject({ exact: 2, outOfOrder: 1 })
    expect(isPerfect(verdict)).toBe(false)
  })

  test('expects an absolute-form target without its authority, which X-Forwarded-Host carries', () => {
    const request = sent(0, {
      target: 'http://other.example?q',
      headers: [
        ['Host', 'shop.example'],
        ['X-Request-Id', '7-0'],
      ],
    })
    const headers: readonly Field[] = [
      ['host', ORIGIN],
      ['X-Request-Id', '7-0'],
      ['X-Forwarded-For', '10.0.0.1'],
      ['X-Forwarded-Port', '80'],
      ['X-Forwarded-Proto', 'http'],
      ['X-Forwarded-Host', 'other.example'],
      ['X-Mirrorshard', '1'],
      ['content-length', '4'],
    ]
    expect(judgeOf([request], [arrived(0, { target: '/?q', headers })]).examples).toEqual([])
  })

  test('gives three examples at most', () => {
    const verdict = judgeOf(
      [0, 1, 2, 3, 4].map((i) => sent(i)),
      [],
    )
    expect(verdict.missing).toBe(5)
    expect(verdict.examples).toHaveLength(3)
  })
})
