import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MessageFlag, MessageView } from '../../src/exchange/message.ts'
import { HeadReader } from '../../src/http/head.ts'

const LIMITS = { maxHeadBytes: 4096, maxFields: 20, lenientWhiteSpace: false }
const FRAMING = MessageFlag.hasLength | MessageFlag.chunked

function read(skipsResponseFields: boolean, bytes: Buffer, end: number) {
  const reader = new HeadReader({ ...LIMITS, skipsResponseFields })
  const view = new MessageView(LIMITS.maxFields)
  const headEnd = reader.response(bytes, 0, end, view)
  return {
    headEnd,
    fault: headEnd === -2 ? reader.fault : 0,
    status: view.status,
    flags: view.flags & FRAMING,
    length: view.contentLength,
  }
}

const name = fc.constantFrom(
  'Server',
  'Date',
  'X-Trace-Id',
  'Cache-Control',
  'Content-Type',
  'Connection',
  'ETag',
  'Trailer',
  'Vary',
  't',
  'C',
)
const value = fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', '\t', ':', ';', '"', 'é', ','), maxLength: 20 })
const framing = fc.constantFrom(
  'Content-Length: 12',
  'content-length:  007',
  'CONTENT-LENGTH: x',
  'Transfer-Encoding: chunked',
  'transfer-encoding: gzip, Chunked',
  'Content-Length : 3',
  'Transfer-Encoding: gzip',
)
const line = fc.oneof({ weight: 4, arbitrary: fc.tuple(name, value).map(([n, v]) => `${n}: ${v}`) }, framing)
const head = fc
  .tuple(fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.0 404', 'HTTP/1.1 204 '), fc.array(line, { maxLength: 24 }))
  .map(([first, lines]) => Buffer.from(`${[first, ...lines].join('\r\n')}\r\n\r\nbody`, 'latin1'))

test('a response head of whose fields only the framing is read ends where, and is framed as, the whole reading says', () => {
  fc.assert(
    fc.property(head, fc.nat(), (bytes, cut) => {
      for (const end of [bytes.length, cut % bytes.length])
        expect(read(true, bytes, end)).toEqual(read(false, bytes, end))
    }),
    { numRuns: 3000 },
  )
})

test.each([
  ['a bare LF', 'X: a\nY: b'],
  ['a bare CR', 'X: a\rY: b'],
  ['NUL', 'X: a\0b'],
  ['a folded line', 'X: a\r\n folded'],
  ['a folded length', 'X: a\r\n\tContent-Length: 5'],
  ['a blank before the colon of a length', 'Content-Length : 5'],
])('what could hide a line is a fault where fields are passed over, too: %s', (_, lines) => {
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${lines}\r\nContent-Length: 4\r\n\r\n`, 'latin1')
  expect(read(true, bytes, bytes.length)).toEqual(read(false, bytes, bytes.length))
  expect(read(true, bytes, bytes.length).headEnd).toBe(-2)
})
