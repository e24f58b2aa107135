/** The pipeline's filters: in their order, equal ones side by side any-of. */
import { describe, expect, test } from 'vitest'
import { REQUEST_DROP_NAMES } from '../../../src/base/drop.ts'
import type { PipelineStep } from '../../../src/config/pipeline.ts'
import { FilterSteps } from '../../../src/sinks/filter/filter-steps.ts'
import { ownedOf } from '../../support/exchanges.ts'

function refusal(steps: readonly PipelineStep[], head: string, status: number | null = 200): string {
  return REQUEST_DROP_NAMES[new FilterSteps(steps).refusal(ownedOf(`${head}\r\n\r\n`), status)]!
}

const path = (pattern: string): PipelineStep => ({ name: 'allow-path', pattern })
const notPath = (pattern: string): PipelineStep => ({ name: 'deny-path', pattern })
const method = (...methods: string[]): PipelineStep => ({ name: 'allow-method', methods })
const host = (glob: string): PipelineStep => ({ name: 'allow-host', glob })
const notHost = (glob: string): PipelineStep => ({ name: 'deny-host', glob })
const status = (...statuses: string[]): PipelineStep => ({ name: 'only-status', statuses })

const GET = 'GET /api/a?x=1 HTTP/1.1\r\nHost: Api.Example:8080'

describe('a filter', () => {
  test.each<[string, PipelineStep, string, string]>([
    ['a method that is allowed', method('GET', 'HEAD'), GET, ''],
    ['a method that is not', method('POST'), GET, 'method'],
    ['a method that is denied', { name: 'deny-method', methods: ['GET'] }, GET, 'method'],
    ['an expression anywhere in the path', path('pi/a'), GET, ''],
    ['an expression in the query', path('x=\\d$'), GET, ''],
    ['an expression that is not found', path('^/a$'), GET, 'path'],
    ['a path that is denied', notPath('^/api/'), GET, 'path'],
    ['the path of an absolute URL', path('^/y\\?z$'), 'GET http://h/y?z HTTP/1.1', ''],
    ['a host, whatever its case and port', host('api.example'), GET, ''],
    ['a host with its port', host('api.example:8080'), GET, ''],
    ['a host with another port', host('api.example:80'), GET, 'host'],
    ['a pattern of hosts', host('*.example'), GET, ''],
    ['the host of an absolute URL, which goes before Host', host('h'), 'GET http://h/y HTTP/1.1\r\nHost: other', ''],
    ['the host of CONNECT', host('h'), 'CONNECT h:443 HTTP/1.1\r\nHost: other', ''],
    ['an address of IPv6', host('[::1]'), 'GET / HTTP/1.1\r\nHost: [::1]:80', ''],
    ['no host, where one must match', host('*'), 'GET / HTTP/1.0', 'host'],
    ['no host, where one is denied', notHost('*'), 'GET / HTTP/1.0', ''],
  ])('%s', (_what, step, head, reason) => {
    expect(refusal([step], head)).toBe(reason)
  })

  test.each<[string[], number | null, string]>([
    [['2xx'], 204, ''],
    [['304', '5xx'], 503, ''],
    [['304', '5xx'], 304, ''],
    [['304'], 301, 'status'],
    [['2xx'], null, 'status'],
  ])('by status %j: %s', (statuses, given, reason) => {
    expect(refusal([status(...statuses)], GET, given)).toBe(reason)
  })
})

describe('several', () => {
  test('equal ones side by side: any of them', () => {
    expect(refusal([path('^/b'), path('^/api')], GET)).toBe('')
    expect(refusal([notPath('^/b'), notPath('^/api')], GET)).toBe('path')
  })

  test('equal ones apart: all of them', () => {
    expect(refusal([path('^/b'), method('GET'), path('^/api')], GET)).toBe('path')
    expect(refusal([path('^/api'), method('GET'), path('a\\?')], GET)).toBe('')
  })

  test('the first that refuses is the reason', () => {
    expect(refusal([method('POST'), path('^/b')], GET)).toBe('method')
    expect(refusal([path('^/b'), method('POST')], GET)).toBe('path')
  })
})

test('an answer whose request was not seen passes filters by status only', () => {
  expect(new FilterSteps([]).passesAlone(200)).toBe(true)
  expect(new FilterSteps([status('2xx')]).passesAlone(200)).toBe(true)
  expect(new FilterSteps([status('2xx')]).passesAlone(404)).toBe(false)
  expect(new FilterSteps([notPath('x')]).passesAlone(200)).toBe(false)
})

test('a path made to stall a matcher takes no time', () => {
  const target = `/${'a'.repeat(50_000)}!`
  const startedMs = performance.now()
  expect(refusal([path('^/(a+)+$')], `GET ${target} HTTP/1.1`)).toBe('path')
  expect(performance.now() - startedMs).toBeLessThan(2000)
})
