/**
 * Two readers of the same bytes: ours and node:http.
 *
 * Where we accept a request, node reads the same one or refuses it; it never reads other bytes as a request. What node (20 to
 * 26) refuses and we accept, because production servers do:
 *
 *   methods node does not know                           any token is a method (RFC 9110 section 9.1)
 *   control characters and DEL in values                 kept as captured (RFC 9110 section 5.5 allows it)
 *   obs-text or a fragment in the target                 kept as captured
 *   control characters in chunk extensions               passed over
 *   an Upgrade without Connection: upgrade               waits for its answer like the others
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { damaged, pipelined, validRequest } from './support/messages.ts'
import { NODE_METHODS, NodeReader, type NodeRequest } from './support/node-server.ts'
import { bytesOf, parseRequests, type RequestLog } from './support/parsing.ts'

let node: NodeReader
beforeAll(async () => {
  node = await NodeReader.open()
})
afterAll(() => node.close())

const known = fc.constantFrom(...NODE_METHODS.filter((m) => m !== 'CONNECT'))

const plain = (requests: readonly NodeRequest[]) =>
  requests.map(({ method, target, headers, body }) => ({ method, target, headers, body }))

test('node:http reads the same requests in random valid streams', async () => {
  await fc.assert(
    fc.asyncProperty(pipelined(validRequest(known)), async ({ wire }) => {
      const bytes = bytesOf(wire)
      expect(plain(parseRequests([bytes]).requests)).toEqual(plain(await node.read(bytes)))
    }),
    { numRuns: 150 },
  )
})

/** What we said request by request: one we accepted, or null for one we dropped and read over. */
function verdicts(log: RequestLog): (NodeRequest | null)[] {
  let next = 0
  return log.events
    .filter((e) => !['wait', 'lost', 'other'].includes(e))
    .map((e) => (e.startsWith('-') ? null : log.requests[next++]!))
}

/** Throws where node reads something else than we did, up to where we stopped reading. */
async function compare(wire: string): Promise<'same' | 'node refuses some'> {
  const bytes = bytesOf(wire)
  const log = parseRequests([bytes])
  const ours = verdicts(log)
  const theirs = await node.read(bytes)
  ours.forEach((own, i) => {
    const other = theirs[i]
    if (own !== null && other !== undefined) expect(plain([other])).toEqual(plain([own]))
  })
  // Behind what is ambiguous we report nothing, so node may read what it likes.
  if (log.skippedAmbiguous === 0 && !log.events.includes('other'))
    expect(theirs.length).toBeLessThanOrEqual(ours.length)
  return theirs.length < ours.length ? 'node refuses some' : 'same'
}

test('in damaged streams node:http reads what we accept in the same way, or refuses it', async () => {
  await fc.assert(
    fc.asyncProperty(damaged(pipelined(validRequest(known)).map((p) => p.wire)), async (wire) => {
      await compare(wire)
    }),
    { numRuns: 400 },
  )
})

test.each([
  ['a method node does not know', 'M!y / HTTP/1.1\r\n\r\n'],
  ['a control character in a value', 'GET / HTTP/1.1\r\nA: \x01\r\n\r\n'],
])('we accept and node:http refuses: %s', async (_what, wire) => {
  expect(await compare(wire)).toBe('node refuses some')
})

test.each([
  ['obs-text in a value', 'GET / HTTP/1.1\r\nA: \xe4\xff\r\n\r\n'],
  [
    'leading zeros and quoted extensions',
    'POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n003;a="b;c"\r\nabc\r\n000\r\nA: b\r\n\r\n',
  ],
  ['Content-Length with leading zeros', 'POST / HTTP/1.1\r\nContent-Length: 0003\r\n\r\nabc'],
  ['100 requests in one piece', 'GET / HTTP/1.1\r\n\r\n'.repeat(100)],
])('both accept: %s', async (_what, wire) => {
  expect(await compare(wire)).toBe('same')
})
