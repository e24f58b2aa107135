import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { REQUEST_DROP_NAMES } from '../../../src/base/drop.ts'
import { matchesGlob } from '../../../src/sinks/filter/glob.ts'
import { RequestSelection, SELECT_ALL, type SelectionOptions } from '../../../src/sinks/filter/selection.ts'
import { captured, connection } from '../replay/support/captured.ts'

function reasonFor(head: string, options: Partial<SelectionOptions> = {}): string {
  const selection = new RequestSelection({ ...SELECT_ALL, ...options }, () => 0.5)
  return REQUEST_DROP_NAMES[selection.refusal(captured(head), connection())]!
}

describe('globs', () => {
  test.each([
    ['/api/*', '/api/', true],
    ['/api/*', '/api/a/b', true],
    ['/api/*', '/api', false],
    ['/api/*', '/v1/api/x', false],
    ['/a?c', '/abc', true],
    ['/a?c', '/ac', false],
    ['*', '', true],
    ['*.css', '/a.css/b.css', true],
    ['*.css', '/a.css/b', false],
    ['/a.c', '/abc', false],
    ['/A', '/a', false],
    ['/[ab]+(x)', '/[ab]+(x)', true],
    ['', '/', false],
  ])('%s against %s: %s', (glob, path, expected) => {
    expect(matchesGlob(glob, path)).toBe(expected)
  })

  test('the same answer as an anchored regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '?'), maxLength: 8 })
    fc.assert(
      fc.property(text, text, (glob, path) => {
        const oracle = new RegExp(`^${glob.replace(/\*/g, '[^]*').replace(/\?/g, '[^]').replace(/\//g, '\\/')}$`)
        expect(matchesGlob(glob, path)).toBe(oracle.test(path))
      }),
      { numRuns: 2_000 },
    )
  })

  test('a hostile path costs no more than glob times path', () => {
    const before = performance.now()
    expect(matchesGlob(`${'*a'.repeat(20)}b`, `/${'a'.repeat(60_000)}`)).toBe(false)
    expect(performance.now() - before).toBeLessThan(1_000)
  })
})

describe('filters', () => {
  test('each refusal has its reason, and the first in order counts', () => {
    expect(reasonFor('GET / HTTP/1.1')).toBe('')
    expect(reasonFor('CONNECT h:443 HTTP/1.1', { methods: ['GET'] })).toBe('connect')
    expect(reasonFor('GET / HTTP/1.1\nUpgrade: websocket\nX-Mirrorshard: 1')).toBe('upgrade')
    expect(reasonFor('GET / HTTP/1.1\nUpgrade: h2c')).toBe('')
    expect(reasonFor('GET / HTTP/1.1\nX-Mirrorshard: 1', { methods: ['POST'] })).toBe('loop')
    expect(reasonFor('POST / HTTP/1.1', { methods: ['GET', 'HEAD'], exclude: ['*'] })).toBe('method')
    expect(reasonFor('get / HTTP/1.1', { methods: ['GET'] })).toBe('method')
    expect(reasonFor('GET / HTTP/1.1', { exclude: ['*'], percent: 0 })).toBe('path')
    expect(reasonFor('GET / HTTP/1.1', { percent: 0 })).toBe('sampledOut')
  })

  test('globs see the path without query, in origin-form', () => {
    expect(reasonFor('GET /a?/b HTTP/1.1', { include: ['/a'] })).toBe('')
    expect(reasonFor('GET http://h/a?x HTTP/1.1', { include: ['/a'] })).toBe('')
    expect(reasonFor('GET http://h HTTP/1.1', { include: ['/'] })).toBe('')
    expect(reasonFor('GET /a#b HTTP/1.1', { include: ['/a'] })).toBe('')
    expect(reasonFor('GET /b HTTP/1.1', { include: ['/a', '/b'] })).toBe('')
    expect(reasonFor('GET /c HTTP/1.1', { include: ['/a', '/b'] })).toBe('path')
    expect(reasonFor('GET /a/secret HTTP/1.1', { include: ['/a/*'], exclude: ['*secret*'] })).toBe('path')
  })
})

describe('sampling', () => {
  const kept = (options: Partial<SelectionOptions>, heads: string[], over: (i: number) => object = () => ({})) => {
    const selection = new RequestSelection({ ...SELECT_ALL, ...options }, Math.random)
    return heads.map((head, i) => selection.refusal(captured(head), connection(over(i))) === 0)
  }
  const share = (decisions: boolean[]) => decisions.filter(Boolean).length / decisions.length
  const many = Array.from({ length: 20_000 }, (_, i) => `GET / HTTP/1.1\nX-User: user-${i}`)

  test.each(['random', 'connection', 'client', 'header:x-USER'] as const)(
    'by %s keeps the share asked for',
    (sampleBy) => {
      for (const percent of [1, 25, 90]) {
        expect(Math.abs(share(kept({ percent, sampleBy }, many)) - percent / 100)).toBeLessThan(0.02)
      }
    },
  )

  test('a key is decided the same way by every process, and a larger share keeps what a smaller one kept', () => {
    const small = kept({ percent: 10, sampleBy: 'header:X-User' }, many)
    expect(kept({ percent: 10, sampleBy: 'header:X-User' }, many)).toEqual(small)
    const large = kept({ percent: 30, sampleBy: 'header:X-User' }, many)
    expect(small.every((isKept, i) => !isKept || large[i])).toBe(true)
    // Fixed for ever: a fleet may run two versions at once.
    expect(small.slice(0, 40).flatMap((isKept, i) => (isKept ? [i] : []))).toMatchInlineSnapshot(`
      [
        14,
        21,
      ]
    `)
  })

  test('requests without the header are decided by their connection', () => {
    const heads = many.map(() => 'GET / HTTP/1.1')
    const decisions = kept({ percent: 50, sampleBy: 'header:X-User' }, heads, (i) => ({ flowHash: i >> 1 }))
    for (let i = 0; i < decisions.length; i += 2) expect(decisions[i]).toBe(decisions[i + 1])
    expect(Math.abs(share(decisions) - 0.5)).toBeLessThan(0.03)
  })

  test('random asks the given source only', () => {
    const values = [0.1, 0.9, 0.4999, 0.5]
    const selection = new RequestSelection({ ...SELECT_ALL, percent: 50, sampleBy: 'random' }, () => values.shift()!)
    const decide = () => selection.refusal(captured('GET / HTTP/1.1'), connection()) === 0
    expect([decide(), decide(), decide(), decide()]).toEqual([true, false, true, false])
  })
})
