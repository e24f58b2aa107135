/** Request heads against the plain way with strings; chunked bodies against bodies of stated length. */

import { MessageView } from '../../src/exchange/message.ts'
import { BodyReader } from '../../src/http/body-reader.ts'
import { HeadReader } from '../../src/http/head.ts'
import type { MicroBench, MicroCase } from './measure.ts'
import { packed } from './packets.ts'

const HEADS = 256
const FIELDS = 8
const BODIES = 64
const BODY_BYTES = 4096
const CHUNKS = 8
/** What a segment carries. */
const PIECE_BYTES = 1448

export function httpBench(): MicroBench[] {
  return [
    {
      name: 'micro/http-head',
      title: `request heads of ${FIELDS} fields, about 320 bytes`,
      unit: 'head',
      groups: [headCases()],
    },
    {
      name: 'micro/http-body',
      title: `bodies of ${BODY_BYTES} bytes in pieces of ${PIECE_BYTES}`,
      unit: 'body',
      groups: [bodyCases()],
    },
  ]
}

function headCases(): MicroCase[] {
  const heads = Array.from({ length: HEADS }, (_, n) => headOf(n))
  const { bytes, offsets } = packed(heads)
  const reader = new HeadReader({ maxHeadBytes: 65_536, maxFields: 128, lenientWhiteSpace: false })
  const view = new MessageView(128)
  // Ends of heads, fields, and Content-Length.
  let expected = 0
  for (let n = 0; n < HEADS; n++) expected += offsets[n + 1]! + FIELDS + n
  return [
    {
      name: 'search, toString, split',
      operations: HEADS,
      run: () => {
        let sum = 0
        for (let n = 0; n < HEADS; n++) {
          const end = bytes.indexOf('\r\n\r\n', offsets[n]) + 4
          const [, ...fields] = bytes.toString('latin1', offsets[n], end - 4).split('\r\n')
          let length = 0
          for (const field of fields) {
            const colon = field.indexOf(':')
            if (field.slice(0, colon).toLowerCase() === 'content-length') length = Number(field.slice(colon + 1))
          }
          sum += end + fields.length + length
        }
        return sum
      },
      expected,
    },
    {
      name: 'HeadReader',
      operations: HEADS,
      run: () => {
        let sum = 0
        for (let n = 0; n < HEADS; n++)
          sum += reader.request(bytes, offsets[n]!, bytes.length, view) + view.fieldCount + view.contentLength
        return sum
      },
      expected,
    },
  ]
}

function headOf(n: number): Buffer {
  const lines = [
    `POST /shop/cart/items/${n}?session=4711&q=0123456789abcdef HTTP/1.1`,
    `Host: shop${n % 7}.example.test`,
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'Accept: application/json, text/plain, */*',
    'Accept-Encoding: gzip, deflate, br',
    'Content-Type: application/json',
    `Content-Length: ${n}`,
    'Cookie: session=0123456789abcdef0123456789abcdef',
    'X-Request-Id: 0a1b2c3d',
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
}

function bodyCases(): MicroCase[] {
  const data = Buffer.alloc(BODY_BYTES, 1)
  const size = BODY_BYTES / CHUNKS
  const chunks = Array.from({ length: CHUNKS }, (_, i) => [
    Buffer.from(`${size.toString(16)}\r\n`),
    data.subarray(i * size, (i + 1) * size),
    Buffer.from('\r\n'),
  ])
  const chunked = Buffer.concat([...chunks.flat(), Buffer.from('0\r\n\r\n')])
  const reader = new BodyReader(65_536)
  let taken = 0
  const target = {
    bodyData: (bytes: Buffer, at: number, end: number) => {
      taken += end - at + bytes[at]! - bytes[end - 1]!
    },
  }
  const readBody = (bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES)
      reader.read(bytes, at, Math.min(at + PIECE_BYTES, bytes.length), target)
  }
  const runWith = (bytes: Buffer, start: () => void) => () => {
    taken = 0
    for (let n = 0; n < BODIES; n++) {
      start()
      readBody(bytes)
      if (!reader.isDone) return -1
    }
    return taken
  }
  const expected = BODIES * BODY_BYTES
  return [
    { name: 'Content-Length', operations: BODIES, run: runWith(data, () => reader.startLength(BODY_BYTES)), expected },
    {
      name: `chunked, ${CHUNKS} chunks`,
      operations: BODIES,
      run: runWith(chunked, () => reader.startChunked()),
      expected,
    },
  ]
}
