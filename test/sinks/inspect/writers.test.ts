/** What shards hand to the main thread: whole exchanges, in batches, in order. */
import { describe, expect, test } from 'vitest'
import type { Exchange } from '../../../src/exchange/exchange.ts'
import { RecordReader } from '../../../src/exchange/record/record-reader.ts'
import { openFormat } from '../../../src/sinks/inspect/formats.ts'
import { INSPECT_FORMATS, type InspectFormat } from '../../../src/sinks/inspect/options.ts'
import { openWriter } from '../../../src/sinks/inspect/writers.ts'
import { answer, ConnectionRig, get } from '../../http/support/connection-rig.ts'

/** An answer alone, an exchange with an interim answer, and one of which only the request was seen. */
function exchanges(): readonly Exchange[] {
  const rig = new ConnectionRig().server(answer(200)).client(get('/1'))
  rig
    .server('HTTP/1.1 100 x\r\n\r\n')
    .server(answer(201, 'ab'))
    .client(get(`/${'x'.repeat(3000)}`))
  rig.close()
  expect(rig.exchanges.map((text) => text.slice(0, 22))).toEqual([
    'null -> 200',
    'GET /1 -> (100) 201',
    `GET /${'x'.repeat(17)}`,
  ])
  return rig.full
}

function written(format: InspectFormat, times: number): Uint8Array[] {
  const batches: Uint8Array[] = []
  const writer = openWriter({ format, bodies: 'hash', redaction: null, steps: [] }, (bytes) => batches.push(bytes))
  const all = exchanges()
  for (let i = 0; i < times; i++) for (const exchange of all) writer.exchange(exchange)
  writer.flush()
  writer.flush()
  return batches
}

async function shown(format: InspectFormat, batches: readonly Uint8Array[]): Promise<string> {
  let text = ''
  const writer = openFormat(
    format,
    async (data) => {
      text += typeof data === 'string' ? data : Buffer.from(data).toString()
    },
    160,
    false,
    '1.2.3',
  )
  for (const batch of batches) await writer.take(batch)
  await writer.end()
  return text
}

describe.each(INSPECT_FORMATS)('%s', (format) => {
  test('batches are in memory of their own: what was handed on does not change', () => {
    const batches: Uint8Array[] = []
    const copies: Buffer[] = []
    const writer = openWriter({ format, bodies: 'hash', redaction: null, steps: [] }, (bytes) => {
      batches.push(bytes)
      copies.push(Buffer.from(bytes))
    })
    const all = exchanges()
    for (let i = 0; i < 100; i++) {
      for (const exchange of all) writer.exchange(exchange)
      if (i % 7 === 0) writer.flush()
    }
    writer.flush()
    expect(batches.length).toBeGreaterThan(10)
    for (const [i, batch] of batches.entries()) expect(Buffer.compare(batch, copies[i]!)).toBe(0)
    expect(new Set(batches.map(({ buffer }) => buffer)).size).toBe(batches.length)
  })

  test('nothing gathered, nothing handed on', () => {
    expect(written(format, 0)).toEqual([])
  })
})

test('lines are whole in every batch, in order', () => {
  const batches = written('ndjson', 200)
  expect(batches.length).toBeGreaterThan(1)
  for (const batch of batches) expect(batch.at(-1)).toBe(0x0a)
  const lines = Buffer.concat(batches).toString().trimEnd().split('\n')
  const methods = lines.map((line) => (JSON.parse(line) as { method: string | null }).method)
  expect(methods).toEqual(Array.from({ length: 600 }, (_, i) => (i % 3 === 0 ? null : 'GET')))
})

test('a line longer than a batch is whole, and so are those around it', () => {
  const batches: Uint8Array[] = []
  const writer = openWriter({ format: 'ndjson', bodies: 'keep', redaction: null, steps: [] }, (bytes) =>
    batches.push(bytes),
  )
  const rig = new ConnectionRig({ bodies: 'keep' })
  const long = '\xe4'.repeat(200_000)
  rig.client(get('/1')).client(`POST /2 HTTP/1.1\r\nContent-Length: ${long.length}\r\n\r\n${long}`).client(get('/3'))
  rig.close()
  for (const exchange of rig.full) writer.exchange(exchange)
  writer.flush()
  const lines = Buffer.concat(batches).toString().trimEnd().split('\n')
  expect(lines.map((line) => (JSON.parse(line) as { uri: string }).uri)).toEqual(['/1', '/2', '/3'])
  expect((JSON.parse(lines[1]!) as { body: string }).body).toBe(Buffer.from(long, 'latin1').toString('base64'))
})

test('HAR is one document of the exchanges whose request was seen, also where shards take turns, and without any', async () => {
  const batches = [...written('har', 100), ...written('har', 1)]
  expect(batches.length).toBeGreaterThan(2)
  const { entries } = (JSON.parse(await shown('har', batches)) as { log: { entries: { request: { url: string } }[] } })
    .log
  expect(entries).toHaveLength(202)
  expect(new Set(entries.map(({ request }) => request.url.slice(0, 22)))).toEqual(
    new Set(['http://10.0.0.2:80/1', 'http://10.0.0.2:80/xxx']),
  )
  expect(JSON.parse(await shown('har', []))).toMatchObject({ log: { entries: [] } })
})

test('a table is made of whole exchanges, whatever the batches, also where shards take turns', async () => {
  const one = written('table', 100)
  const other = written('table', 100)
  expect(one.length).toBeGreaterThan(2)
  const rows = (
    await shown(
      'table',
      one.flatMap((batch, i) => [batch, other[i]!]),
    )
  )
    .trimEnd()
    .split('\n')
  // A date and the head of the table.
  expect(rows).toHaveLength(602)
  expect(rows.filter((row) => row.includes('(request not seen)'))).toHaveLength(200)
  expect(rows.filter((row) => / 201 .* GET \/1$/.test(row))).toHaveLength(200)
  expect(rows.filter((row) => / {2}- {2}.* GET \/x+…$/.test(row))).toHaveLength(200)
  expect(await shown('table', [])).toBe('no HTTP/1 exchanges\n')
})

test('exchanges in records are whole in what is handed on at once', () => {
  for (const batch of written('table', 200)) {
    const reader = new RecordReader(Buffer.from(batch))
    let isInside = false
    for (let entry = reader.next(); entry !== null; entry = reader.next()) isInside = (entry.flags & 16) === 0
    expect(reader.fault).toBeNull()
    expect(isInside).toBe(false)
  }
})
