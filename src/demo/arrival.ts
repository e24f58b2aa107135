/** What may differ between a captured request and its replay, told independently of the code that replays. */
import { createHash } from 'node:crypto'
import { originFormOf } from './origin-form.ts'
import type { Field, SampleRequest } from './traffic/sample-request.ts'

/** A request as the origin received it. Header text is latin-1. */
export interface Arrival {
  readonly method: string
  readonly target: string
  readonly headers: readonly Field[]
  readonly bodyBytes: number
  readonly bodySha256: string
}

/** Fields that replay makes anew or removes (src/sinks/replay/README.md): each has a check of its own below. */
const REMADE: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'expect',
  'content-length',
  'transfer-encoding',
  'x-forwarded-for',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-mirrorshard',
])

export function sha256(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex')
}

/**
 * Compares a replay with what was captured.
 * @param originHost host:port that the replay goes to
 * @returns the first difference beyond the documented changes, in words; null: none
 */
export function findDifference(sent: SampleRequest, arrival: Arrival, originHost: string): string | null {
  if (arrival.method !== sent.method) return differs('method', sent.method, arrival.method)
  const target = originFormOf(sent.target)
  if (arrival.target !== target) return differs('target', target, arrival.target)
  if (arrival.bodyBytes !== sent.body.length)
    return differs('body length', String(sent.body.length), String(arrival.bodyBytes))
  if (arrival.bodySha256 !== sha256(sent.body)) return 'body: other bytes of the same length'
  return findKeptDifference(sent, arrival) ?? findRemadeDifference(sent, arrival, originHost)
}

/** All other fields: names, values, order, case, duplicates. */
function findKeptDifference(sent: SampleRequest, arrival: Arrival): string | null {
  const named = new Set(
    values(sent.headers, 'connection').flatMap((value) => value.split(',').map((name) => name.trim().toLowerCase())),
  )
  const expected = sent.headers.filter(([name]) => !REMADE.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
  const got = arrival.headers.filter(([name]) => !REMADE.has(name.toLowerCase()))
  for (let i = 0; i < Math.max(expected.length, got.length); i++) {
    const difference = differs(`header ${i + 1}`, line(expected[i]), line(got[i]))
    if (difference !== null) return difference
  }
  return null
}

function findRemadeDifference(sent: SampleRequest, arrival: Arrival, originHost: string): string | null {
  const captured = (name: string) => values(sent.headers, name)
  const authority = /^https?:\/\/([^/?]*)/i.exec(sent.target)?.[1]
  const chain = captured('x-forwarded-for')
  const expected: Readonly<Record<string, readonly string[]>> = {
    host: [originHost],
    'keep-alive': [],
    'proxy-connection': [],
    te: [],
    trailer: [],
    upgrade: [],
    'http2-settings': [],
    expect: [],
    'transfer-encoding': [],
    'x-forwarded-for': [...chain.slice(0, -1), [...chain.slice(-1), sent.clientAddress].join(', ')],
    'x-forwarded-port': orElse(captured('x-forwarded-port'), String(sent.serverPort)),
    'x-forwarded-proto': orElse(captured('x-forwarded-proto'), 'http'),
    'x-forwarded-host': orElse(captured('x-forwarded-host'), authority ?? captured('host')[0]!),
    'x-mirrorshard': ['1'],
  }
  for (const [name, wanted] of Object.entries(expected)) {
    const difference = differs(name, wanted.join(' | '), values(arrival.headers, name).join(' | '))
    if (difference !== null) return difference
  }
  // Nothing to say without a body; a zero is allowed.
  const length = values(arrival.headers, 'content-length').join(' | ')
  if (sent.body.length > 0 || (length !== '' && length !== '0'))
    return differs('content-length', String(sent.body.length), length)
  return null
}

function values(headers: readonly Field[], name: string): string[] {
  return headers.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value)
}

function orElse(captured: readonly string[], absent: string): readonly string[] {
  return captured.length > 0 ? captured : [absent]
}

function line(field: Field | undefined): string {
  return field === undefined ? '' : `${field[0]}: ${field[1]}`
}

function differs(what: string, expected: string, got: string): string | null {
  return expected === got ? null : `${what}: expected ${shown(expected)}, got ${shown(got)}`
}

const LONGEST_SHOWN = 60

function shown(text: string): string {
  if (text === '') return 'nothing'
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text)
}
