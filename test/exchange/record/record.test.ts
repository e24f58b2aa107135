/** The record: what is written reads back, and no bytes make the reader throw. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ConnectionFacts } from '../../../src/exchange/connection.ts'
import { GENERATIONS, handleOf, MAX_SLOTS } from '../../../src/exchange/connection.ts'
import type { ExchangeId } from '../../../src/exchange/exchange-outlet.ts'
import type { OwnedMessage } from '../../../src/exchange/message.ts'
import { EntryFlag, RecordKind } from '../../../src/exchange/record/layout.ts'
import { batchBytesAt, type RecordEntry, RecordReader } from '../../../src/exchange/record/record-reader.ts'
import { RecordWriter, type RecordWriterOptions } from '../../../src/exchange/record/record-writer.ts'
import { factsOf, ownedOf, shownMessage, viewOf } from '../../support/exchanges.ts'

const OPTIONS: RecordWriterOptions = { node: 7, partition: 3, batchBytes: 4096, hasChecksum: true }

interface Given {
  readonly id: ExchangeId
  readonly facts: ConnectionFacts
  readonly message: OwnedMessage
}

function encode(given: readonly Given[], options: Partial<RecordWriterOptions> = {}): Buffer {
  const batches: Uint8Array[] = []
  const writer = new RecordWriter({ ...OPTIONS, ...options }, (batch) => batches.push(batch))
  for (const { id, facts, message } of given) {
    if (message.status === 0) writer.request(id, facts, message)
    else writer.response(id, facts, message, EntryFlag.exchangeEnd)
  }
  writer.flush()
  return Buffer.concat(batches)
}

/** All entries; bodies that were cut into several are put together. */
function decode(bytes: Buffer): { entries: RecordEntry[]; reader: RecordReader } {
  const reader = new RecordReader(bytes)
  const entries: RecordEntry[] = []
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    const last = entries.at(-1)
    if (entry.kind !== RecordKind.body || last?.message == null) entries.push(entry)
    else {
      last.message.body = Buffer.concat([last.message.body, entry.body!])
      last.message.bodyEnd = last.message.body.length
      entries[entries.length - 1] = { ...last, flags: entry.flags | (last.flags & ~EntryFlag.more) }
    }
  }
  return { entries, reader }
}

const shownFacts = (facts: ConnectionFacts) => ({
  handle: facts.handle,
  ipVersion: facts.ipVersion,
  clientWords: Array.from(facts.clientWords, (word) => word | 0),
  serverWords: Array.from(facts.serverWords, (word) => word | 0),
  ports: [facts.clientPort, facts.serverPort],
  vni: facts.vni,
  namedClient: facts.namedClient,
})

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const port = fc.integer({ min: 0, max: 65_535 })
const facts: fc.Arbitrary<ConnectionFacts> = fc
  .record({
    slot: fc.integer({ min: 0, max: MAX_SLOTS - 1 }),
    generation: fc.integer({ min: 0, max: GENERATIONS - 1 }),
    ipVersion: fc.constantFrom(4, 6),
    clientWords: fc.array(word, { minLength: 4, maxLength: 4 }),
    serverWords: fc.array(word, { minLength: 4, maxLength: 4 }),
    clientPort: port,
    serverPort: port,
    vni: fc.option(fc.integer({ min: 0, max: 2 ** 24 - 1 })),
    namedClient: fc.option(fc.record({ address: fc.constantFrom('198.51.100.7', '2001:db8::1'), port })),
  })
  .map(({ slot, generation, ...rest }) => factsOf({ handle: handleOf(slot, generation), ...rest }))
const token = fc.stringMatching(/^[A-Za-z!#-]{1,12}$/)
const value = fc.stringMatching(/^([\x21-\x7e\xa0-\xff]([\x20-\x7e\xa0-\xff]{0,20}[\x21-\x7e\xa0-\xff])?)?$/)
const fields = fc
  .array(fc.tuple(token, value, fc.constantFrom('', ' ', '\t  ')), { maxLength: 12 })
  .map((list) => list.map(([name, text, blanks]) => `X-${name}:${blanks}${text}${blanks}\r\n`).join(''))
const body = fc.option(fc.uint8Array({ maxLength: 9000 }).map((bytes) => Buffer.from(bytes)))
const time = fc.double({ min: 0, max: 4e15, noNaN: true }).map((us) => Math.round(us * 4) / 4)
const head = fc.oneof(
  fc
    .tuple(token, fc.stringMatching(/^\/[\x21-\x7e\xa1-\xff]{0,60}$/), fc.constantFrom('0', '1'), fields)
    .map(([method, target, minor, text]) => `${method} ${target} HTTP/1.${minor}\r\n${text}\r\n`),
  fc
    .tuple(fc.integer({ min: 100, max: 999 }), value, fields)
    .map(([status, reason, text]) => `HTTP/1.1 ${status} ${reason}\r\n${text}\r\n`),
)
const message = fc
  .tuple(head, body, time, fc.integer({ min: -(2 ** 42), max: 2 ** 42 }), fc.boolean(), fc.boolean(), fc.nat(40))
  .map(([text, bytes, firstUs, lasts, isHashed, isIncomplete, headAt]) =>
    ownedOf(text, {
      firstUs,
      lastUs: Math.max(0, firstUs + lasts / 4),
      headAt,
      sha256: isHashed ? 'c0de'.repeat(16) : null,
      isIncomplete,
      ...(bytes === null ? { bodyBytes: 2 ** 40 + 1 } : { body: bytes }),
    }),
  )
const given: fc.Arbitrary<Given> = fc
  .tuple(facts, fc.integer({ min: -5, max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 2 ** 31 }), message)
  .map(([of, index, stream, about]) => ({
    id: { connection: of.handle, stream, index },
    facts: of,
    message: about,
  }))

test('what is written reads back, whatever the batches', () => {
  fc.assert(
    fc.property(
      fc.array(given, { maxLength: 12 }),
      fc.constantFrom(4096, 5000, 1 << 16),
      fc.boolean(),
      (list, batchBytes, hasChecksum) => {
        const { entries, reader } = decode(encode(list, { batchBytes, hasChecksum }))
        expect(reader.fault).toBeNull()
        expect(entries.map(({ message: read }) => shownMessage(read!))).toEqual(
          list.map(({ message: wrote }) => shownMessage(wrote)),
        )
        expect(entries.map(({ facts: read }) => shownFacts(read!))).toEqual(list.map((one) => shownFacts(one.facts)))
        expect(entries.map(({ connection, stream, sequence }) => [connection, stream, sequence])).toEqual(
          list.map(({ id }) => [id.connection, id.stream, id.index]),
        )
        expect(entries.every(({ flags, kind }) => ((flags & EntryFlag.exchangeEnd) !== 0) === (kind === 2))).toBe(true)
      },
    ),
    { numRuns: 300 },
  )
})

test('a borrowed message is written like the one that was kept of it', () => {
  const view = viewOf('POST /a HTTP/1.1\r\nHost: b\r\n\r\n', { body: Buffer.from('xyz'), headAt: 9, firstUs: 5 })
  const id = { connection: 1, stream: 0, index: 0 }
  const bytesOf = (what: typeof view) => {
    const batches: Uint8Array[] = []
    const writer = new RecordWriter(OPTIONS, (batch) => batches.push(batch))
    writer.request(id, factsOf(), what)
    writer.flush()
    return Buffer.concat(batches)
  }
  expect(bytesOf(view).equals(bytesOf(view.keep()))).toBe(true)
})

describe('batches', () => {
  const ids = [0, 1, 2].map((index) => ({ connection: 1, stream: 0, index }))
  const one = (index: number, firstUs: number, bytes = 100): Given => ({
    id: ids[index]!,
    facts: factsOf(),
    message: ownedOf('POST / HTTP/1.1\r\n\r\n', { firstUs, body: Buffer.alloc(bytes, 0x61) }),
  })

  test('say who wrote them, and are numbered', () => {
    const bytes = encode([one(0, 1_000_000), one(1, 1_000_001, 20_000), one(2, 1_000_002)])
    const headers: unknown[] = []
    const reader = new RecordReader(bytes)
    for (let seen = reader.header, entry = reader.next(); entry !== null; entry = reader.next()) {
      if (reader.header === seen) continue
      seen = reader.header
      headers.push([seen!.node, seen!.partition, seen!.batch])
    }
    expect(headers).toEqual(headers.map((_, i) => [7, 3, i]))
    expect(headers.length).toBeGreaterThan(4)
  })

  test('can be found one after the other in a stream', () => {
    const bytes = encode([one(0, 0), one(1, 0, 20_000)])
    let at = 0
    for (let size = batchBytesAt(bytes, at); size !== 0; size = batchBytesAt(bytes, at)) {
      if (typeof size !== 'number') throw new Error(size.problem)
      expect(size).toBeLessThanOrEqual(4096)
      at += size
    }
    expect(at).toBe(bytes.length)
    expect(batchBytesAt(bytes.subarray(0, 47), 0)).toBe(0)
  })

  test('are as long as a head needs, where that is longer', () => {
    const long = ownedOf(`GET /${'x'.repeat(50_000)} HTTP/1.1\r\n\r\n`)
    const { entries } = decode(encode([one(0, 0), { ...one(1, 0), message: long }, one(2, 0)]))
    expect(entries.map((entry) => entry.message!.headEnd)).toEqual([19, long.headEnd, 19])
  })

  test('hold times up to 35 minutes apart; what lies further off begins another', () => {
    const times = [5e15, 5e15 + 2_000_000_000, 1, 5e15 - 2_000_000_000]
    const list = times.map((time, i) => one(i % 3, time, 0))
    const { entries } = decode(encode(list))
    expect(entries.map(({ timeUs }) => timeUs)).toEqual(times)
  })

  test('times that no number of nanoseconds since 1970 holds become its nearest end', () => {
    const { entries, reader } = decode(encode([one(0, -5, 0), one(1, 1e300, 0), one(2, Number.NaN, 0)]))
    expect(reader.fault).toBeNull()
    expect(entries.map(({ timeUs }) => timeUs)).toEqual([0, expect.closeTo(1.8446735e16, -10), 0])
  })
})

describe('other entries', () => {
  test('gaps and ends of connections', () => {
    const batches: Uint8Array[] = []
    const writer = new RecordWriter(OPTIONS, (batch) => batches.push(batch))
    writer.gap({ connection: handleOf(5, 9), stream: 0, index: 4 }, 10)
    writer.gap({ connection: handleOf(5, 9), stream: 0, index: 3 }, 11, EntryFlag.ofResponse)
    writer.closed(handleOf(5, 9), 12)
    writer.flush()
    const { entries } = decode(Buffer.concat(batches))
    expect(
      entries.map(({ kind, flags, connection, sequence, timeUs }) => [kind, flags, connection, sequence, timeUs]),
    ).toEqual([
      [RecordKind.gap, 0, handleOf(5, 9), 4, 10],
      [RecordKind.gap, EntryFlag.ofResponse, handleOf(5, 9), 3, 11],
      [RecordKind.closed, 0, handleOf(5, 9), 0, 12],
    ])
  })

  test('of a kind from a later version are passed over by their length, and so is what a later one adds to header, meta and entry', () => {
    const bytes = encode(
      [{ id: { connection: 1, stream: 0, index: 0 }, facts: factsOf(), message: ownedOf('GET / HTTP/1.1\r\n\r\n') }],
      { hasChecksum: false },
    )
    const entry = bytes.subarray(48)
    const unknown = Buffer.alloc(40)
    unknown.writeUInt32LE(40, 0)
    unknown[4] = 99
    const grown = Buffer.concat([
      entry.subarray(0, 32 + 80),
      Buffer.from('new'),
      entry.subarray(32 + 80),
      Buffer.from('more'),
    ])
    grown.writeUInt32LE(grown.length, 0)
    grown.writeUInt16LE(83, 6)
    const header = Buffer.concat([bytes.subarray(0, 48), Buffer.from('later')])
    header[5] = 9
    header.writeUInt16LE(53, 8)
    header.writeUInt32LE(3, 12)
    header.writeUInt32LE(40 + grown.length + 40, 40)
    const { entries, reader } = decode(Buffer.concat([header, unknown, grown, unknown]))
    expect(reader.fault).toBeNull()
    expect(reader.skipped).toBe(2)
    expect(entries.map(({ message: read }) => read!.target())).toEqual(['/'])
  })
})

describe('what is wrong', () => {
  const sample = (hasChecksum: boolean) =>
    encode(
      ['GET /a HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n', 'HTTP/1.1 200 OK\r\nServer: c\r\n\r\n'].map((text, i) => ({
        id: { connection: 1, stream: 0, index: i },
        facts: factsOf({ namedClient: { address: '198.51.100.7', port: 5 } }),
        message: ownedOf(text, { body: Buffer.from('body'), sha256: 'ab'.repeat(32) }),
      })),
      { hasChecksum },
    )

  test.each([
    ['another beginning', (b: Buffer) => b.writeUInt32LE(1, 0), 0, 'begins with MSRB'],
    ['an unknown major version', (b: Buffer) => (b[4] = 2), 4, 'version 1 of the record, got 2'],
    ['a flag that must be understood', (b: Buffer) => (b[6] = 3), 6, 'no flags that must be understood, got 0x2'],
    ['a header that is too short', (b: Buffer) => (b[8] = 47), 8, 'at least 48 bytes, got 47'],
    ['fewer bytes than the batch has', (b: Buffer) => b.writeUInt32LE(1 << 30, 40), 0, 'a batch of 1073741872 bytes'],
    ['more entries than there are', (b: Buffer) => (b[12] = 3), 0, 'an entry of at least 32 bytes, got 0'],
    ['fewer entries than there are', (b: Buffer) => (b[12] = 1), 0, 'the batch to end'],
    ['an entry longer than its batch', (b: Buffer) => b.writeUInt32LE(100_000, 48), 48, 'an entry of 32 to'],
    ['parts longer than the entry', (b: Buffer) => b.writeUInt32LE(100_000, 48 + 24), 48, 'parts within the entry'],
    [
      'fields that the layout has no room for',
      (b: Buffer) => b.writeUInt32LE(1 << 30, 80 + 68),
      80,
      'a layout for 1073741824 fields',
    ],
    ['an offset outside of the head', (b: Buffer) => (b[80 + 80 + 32 + 12] = 0x7f), 204, 'within the head'],
    ['no IP version', (b: Buffer) => (b[80] = 5), 80, 'IP version 4 or 6, got 5'],
  ])('%s is a fault with its place', (_name, damage, offset, problem) => {
    const bytes = sample(false)
    damage(bytes)
    const { reader } = decode(bytes)
    expect(reader.fault?.problem).toContain(problem)
    if (offset > 0) expect(reader.fault?.offset).toBe(offset)
  })

  test('a changed bit is found where there is a checksum', () => {
    const bytes = sample(true)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      const { entries, reader } = decode(changed)
      expect(reader.fault, `bit ${bit}`).not.toBeNull()
      expect(entries).toEqual([])
    }
  })

  test('cut anywhere, whole batches are read and the rest is a fault', () => {
    const whole = sample(true)
    const bytes = Buffer.concat([whole, whole])
    for (let n = 0; n < bytes.length; n++) {
      const { entries, reader } = decode(bytes.subarray(0, n))
      expect(entries).toHaveLength(n < whole.length ? 0 : 2)
      expect(reader.fault === null).toBe(n === 0 || n === whole.length)
    }
  })

  test('any change and any bytes give entries that lie in bounds, or a fault; nothing throws', () => {
    const bytes = sample(false)
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }))
    const changed = fc.array(change, { minLength: 1, maxLength: 6 }).map((changes) => {
      const copy = Buffer.from(bytes)
      for (const [at, to] of changes) copy[at] = to
      return copy
    })
    const anything = fc.uint8Array({ maxLength: 400 }).map((random) => Buffer.concat([bytes.subarray(0, 48), random]))
    fc.assert(
      fc.property(fc.oneof(changed, anything), (input) => {
        const { entries, reader } = decode(input)
        for (const { message: read } of entries) {
          if (read === null) continue
          const shown = shownMessage(read)
          expect(shown.headers).toHaveLength(read.fieldCount)
          for (const offset of read.fields) expect(offset).toBeLessThanOrEqual(read.headEnd)
        }
        if (reader.fault !== null) expect(reader.fault.offset).toBeLessThanOrEqual(input.length)
      }),
      { numRuns: 5000 },
    )
  })
})
