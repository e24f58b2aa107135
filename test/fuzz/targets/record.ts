/** The reader of the record: whatever the bytes, messages in bounds or a fault with its place; what it reads is written and read back alike. */
import { isDeepStrictEqual } from 'node:util'
import type { Random } from '../../../src/demo/traffic/random.ts'
import type { ConnectionFacts } from '../../../src/exchange/connection.ts'
import type { OwnedMessage } from '../../../src/exchange/message.ts'
import { EntryFlag } from '../../../src/exchange/record/layout.ts'
import { batchBytesAt, RecordReader } from '../../../src/exchange/record/record-reader.ts'
import { MIN_BATCH_BYTES, RecordWriter } from '../../../src/exchange/record/record-writer.ts'
import { factsOf, ownedOf, shownMessage } from '../../support/exchanges.ts'
import { mutateBytes } from '../mutate.ts'
import { hold, type Target } from '../target.ts'

const HEADS = [
  'GET / HTTP/1.1\r\n\r\n',
  'POST /a?b HTTP/1.0\r\nHost: c\r\nContent-Length: 4\r\nX:\r\n\r\n',
  'HTTP/1.1 200 OK\r\nServer: d\r\nTransfer-Encoding: chunked\r\n\r\n',
  'HTTP/1.1 100 \r\n\r\n',
]
const LENGTHS = [0, 1, 31, 32, 47, 48, 79, 80, 127, 128, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff]
/** Longest text of a named client that is written. */
const MAX_NAMED = 255
/** Microseconds that are exact, with room for what is added to them. */
const MAX_EXACT_US = 2 ** 52
/** A duration is a number of nanoseconds: longer ones than 104 days are written as that. */
const MAX_EXACT_DURATION_US = 2 ** 53 / 1000 - 1

function batches(random: Random): Buffer {
  const out: Uint8Array[] = []
  const options = { node: random.word(), partition: 1, batchBytes: MIN_BATCH_BYTES, hasChecksum: random.chance(0.1) }
  const writer = new RecordWriter(options, (batch) => out.push(batch))
  for (let n = random.between(1, 6); n > 0; n--) {
    const body = random.bytes(random.chance(0.1) ? random.below(9000) : random.below(60))
    const facts = factsOf({
      handle: random.word(),
      vni: random.chance(0.5) ? random.below(1 << 24) : null,
      namedClient: random.chance(0.3) ? { address: '2001:db8::1', port: random.below(65_536) } : null,
    })
    const head = random.pick(HEADS)
    const firstUs = 1.7e15 + random.below(1e6)
    const message = ownedOf(head, {
      firstUs,
      lastUs: firstUs + random.below(1e6),
      ...(random.chance(0.5) ? { body } : { bodyBytes: body.length }),
      sha256: random.chance(0.3) ? random.hex(64) : null,
    })
    const id = { connection: facts.handle, stream: 0, index: n }
    if (message.status === 0) writer.request(id, facts, message)
    else writer.response(id, facts, message, EntryFlag.exchangeEnd)
    if (random.chance(0.2)) writer.gap(id, firstUs)
    if (random.chance(0.2)) writer.closed(id.connection, firstUs)
  }
  writer.flush()
  return Buffer.concat(out)
}

/** A number of 16 or 32 bits says something else. */
function lie(random: Random, bytes: Buffer): Buffer {
  const out = Buffer.from(bytes)
  if (out.length < 4) return out
  const at = random.below(out.length - 3)
  const isWide = random.chance(0.7)
  const value = random.chance(0.5) ? random.pick(LENGTHS) : out.readUInt32LE(at) + random.between(-40, 40)
  if (isWide) out.writeUInt32LE(value >>> 0, at)
  else out.writeUInt16LE(value & 0xffff, at)
  return out
}

interface Seen {
  readonly facts: ConnectionFacts
  readonly message: OwnedMessage
  readonly isWhole: boolean
}

function read(bytes: Buffer): { seen: Seen[]; fault: RecordReader['fault'] } {
  const reader = new RecordReader(bytes)
  const seen: Seen[] = []
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    const { facts, message, flags } = entry
    if (facts !== null && message !== null) seen.push({ facts, message, isWhole: (flags & EntryFlag.more) === 0 })
  }
  return { seen, fault: reader.fault }
}

/** What the writer can say again: numbers that are exact, a text that it does not cut. */
function isExact({ facts, message, isWhole }: Seen): boolean {
  const { firstUs, lastUs, bodyBytes } = message
  return (
    isWhole &&
    Number.isSafeInteger(facts.handle) &&
    Number.isSafeInteger(bodyBytes) &&
    firstUs >= 0 &&
    firstUs < MAX_EXACT_US &&
    lastUs >= 0 &&
    lastUs < MAX_EXACT_US &&
    Math.abs(lastUs - firstUs) < MAX_EXACT_DURATION_US &&
    (facts.namedClient?.address.length ?? 0) <= MAX_NAMED
  )
}

export const record: Target = {
  name: 'record',
  fixedParts: 0,
  make(random) {
    let bytes = batches(random)
    for (let n = random.below(4); n > 0; n--)
      bytes = random.chance(0.6) ? lie(random, bytes) : mutateBytes(random, bytes, batches(random))
    return [bytes]
  },
  run([bytes = Buffer.alloc(0)]) {
    const { seen, fault } = read(bytes)
    const taken = seen.reduce((sum, { message }) => sum + message.headEnd + message.body.length, 0)
    hold(taken <= bytes.length, () => `${taken} bytes of messages in ${bytes.length}`)
    for (const { message } of seen) {
      const { headEnd, fields } = message
      hold(message.bytes.length === headEnd, 'a head that is not all of its bytes')
      for (const [i, offset] of fields.entries())
        hold(offset <= headEnd && (i === 0 || offset >= fields[i - 1]!), () => `field offset ${i}: ${offset}`)
    }
    if (fault !== null) hold(fault.offset >= 0 && fault.offset <= bytes.length, `a fault at ${fault.offset}`)
    // A reader of streams finds the same batches.
    let at = 0
    for (let size = batchBytesAt(bytes, at); typeof size === 'number' && size > 0 && at + size <= bytes.length; ) {
      at += size
      size = batchBytesAt(bytes, at)
    }
    hold(fault !== null || at === bytes.length, () => `batches end at ${at} of ${bytes.length}`)
    const again: Uint8Array[] = []
    const exact = seen.filter(isExact)
    const options = { node: 1, partition: 1, batchBytes: MIN_BATCH_BYTES * 4, hasChecksum: true }
    const writer = new RecordWriter(options, (batch) => again.push(batch))
    for (const { facts, message } of exact) {
      const id = { connection: facts.handle, stream: 0, index: 0 }
      if (message.status === 0) writer.request(id, facts, message)
      else writer.response(id, facts, message)
    }
    writer.flush()
    const back = read(Buffer.concat(again))
    hold(back.fault === null, () => `what was written is no record: ${back.fault!.problem}`)
    const shown = (list: readonly Seen[]) => list.map(({ message, facts }) => [shownMessage(message), { ...facts }])
    const isWhole = ({ message }: Seen) => message.body.length === message.bodyBytes || !message.bodyKept
    hold(
      isDeepStrictEqual(shown(back.seen.filter(isWhole)), shown(exact.filter(isWhole))),
      'what was written reads back otherwise',
    )
    return { seen: shown(seen), fault }
  },
}
