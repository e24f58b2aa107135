/** HTTP parsers, each direction alone and the two of a connection: any split says the same. */
import { isDeepStrictEqual } from 'node:util'
import type { Random } from '../../../src/demo/traffic/random.ts'
import { Body } from '../../../src/http/message-role.ts'
import { End, GapReason } from '../../../src/reassembly/stream-parser.ts'
import { CLIENT, ConnectionRig, SERVER } from '../../http/support/connection-rig.ts'
import {
  cutAt,
  inBytes,
  type Limits,
  parseRequests,
  type RequestLog,
  ResponseLog,
  said,
  statedFraming,
} from '../../http/support/parsing.ts'
import type { Corpus } from '../corpus.ts'
import { Choices, type Input } from '../input.ts'
import { mutateHttp, mutateList } from '../mutate.ts'
import { hold, type Target } from '../target.ts'

/** Bytes by bytes is quadratic in some tests' helpers: longer streams are cut at random places only. */
const MOST_BYTEWISE = 3000

const HEAD_LIMITS: readonly Limits[] = [
  {},
  { maxHeadBytes: 200 },
  { maxFields: 4 },
  { maxBodyBytes: 60 },
  { keepBodies: false },
]

function side(random: Random, corpus: Corpus, isClient: boolean): Buffer {
  const turns = random.pick(corpus.conversations).filter((turn) => turn.isClient === isClient)
  return Buffer.concat(turns.slice(0, random.between(1, 4)).map((turn) => turn.bytes))
}

/** Part 0: limits, places to cut at; part 1: the stream. */
const makeStream = (isClient: boolean) => (random: Random, corpus: Corpus) => {
  let bytes = side(random, corpus, isClient)
  if (random.chance(0.1)) bytes = Buffer.from(`${isClient ? 'GET / HTTP/1.1' : 'HTTP/1.1 200 OK'}\r\n\r\n`)
  if (random.chance(0.95)) bytes = mutateHttp(random, bytes, side(random, corpus, isClient))
  const settings = random.bytes(random.between(2, 14))
  if (random.chance(0.6)) settings[0] = 0
  return [settings, bytes]
}

const placesOf = (choices: Choices, bytes: Buffer): number[] => {
  const rest = choices.rest()
  // Two bytes a place, so that every byte of a long stream can be one.
  return Array.from({ length: rest.length >> 1 }, (_, i) => rest.readUInt16BE(2 * i) % (bytes.length + 1))
}

export const httpRequest: Target = {
  name: 'http-request',
  fixedParts: 0,
  make: makeStream(true),
  run([settings, bytes = Buffer.alloc(0)]) {
    const choices = new Choices(settings)
    const limits = choices.pick(HEAD_LIMITS)
    const whole = parseRequests([bytes], limits)
    // Where bodies are not kept, one that lies in a single piece is lent all the same.
    const shownOf = (log: RequestLog) => {
      const { requests, ...rest } = said(log)
      return { ...rest, requests: limits.keepBodies === false ? requests.map((r) => ({ ...r, body: '' })) : requests }
    }
    const expected = shownOf(whole)
    const maxBody = limits.maxBodyBytes ?? 8 << 20
    for (const request of whole.requests) hold(request.bodyBytes <= maxBody, 'a body beyond its limit')
    const splits = [cutAt(bytes, placesOf(choices, bytes)), ...(bytes.length <= MOST_BYTEWISE ? [inBytes(bytes)] : [])]
    for (const split of splits) {
      const other = shownOf(parseRequests(split, limits))
      hold(isDeepStrictEqual(other, expected), () => differ(`split in ${split.length}`, other.events, expected.events))
    }
    return expected
  },
}

const FRAMINGS: readonly ((status: number) => number)[] = [
  statedFraming,
  statedFraming,
  () => Body.none,
  () => Body.stated,
]

export const httpResponse: Target = {
  name: 'http-response',
  fixedParts: 0,
  make: makeStream(false),
  run([settings, bytes = Buffer.alloc(0)]) {
    const choices = new Choices(settings)
    const limits = choices.pick(HEAD_LIMITS)
    const framing = choices.pick(FRAMINGS)
    const read = (pieces: readonly Buffer[]) => {
      const log = new ResponseLog(framing, limits)
      for (const piece of pieces) if (piece.length > 0) log.data(piece)
      log.end(End.fin)
      const { responses, events, skippedAmbiguous, skippedUnproven } = log
      return { responses, events, skipped: skippedAmbiguous + skippedUnproven }
    }
    const expected = read([bytes])
    const splits = [cutAt(bytes, placesOf(choices, bytes)), ...(bytes.length <= MOST_BYTEWISE ? [inBytes(bytes)] : [])]
    for (const split of splits) {
      const other = read(split)
      hold(isDeepStrictEqual(other, expected), () => differ(`split in ${split.length}`, other.events, expected.events))
    }
    return expected
  },
}

const KIND = {
  client: 0,
  server: 1,
  gapClient: 2,
  gapServer: 3,
  finClient: 4,
  finServer: 5,
  later: 6,
  cutClient: 7,
} as const

/** Part 0: limits, whether the start was seen; others: what happens, facts, then bytes. */
export const httpConnection: Target = {
  name: 'http-connection',
  fixedParts: 0,
  make(random, corpus) {
    const events = random.pick(corpus.conversations).map(({ isClient, bytes }) => {
      const text = random.chance(0.4) ? mutateHttp(random, bytes, side(random, corpus, isClient), 1) : bytes
      return Buffer.concat([
        Buffer.from([isClient ? KIND.client : KIND.server, random.chance(0.9) ? 0 : random.below(8)]),
        text,
      ])
    })
    const others = [KIND.gapClient, KIND.gapServer, KIND.later, KIND.finClient, KIND.finServer, KIND.cutClient].map(
      (kind) => Buffer.from([kind, random.below(256)]),
    )
    const settings = random.bytes(4)
    if (random.chance(0.5)) settings[1] = 0
    return [settings, ...mutateList(random, events, others, random.between(0, 4))]
  },
  run(input) {
    const whole = converse(input, false)
    if (isSplitAlike(input, whole.client)) {
      const split = converse(input, true)
      const requests = [split, whole].map(({ full }) =>
        full.map(({ request }) => request).filter((request) => request !== null),
      )
      const [cut, uncut] = requests.map((list) => list.map((request) => JSON.stringify(request))) as [
        string[],
        string[],
      ]
      // Behind a request to switch protocols the answers decide how far is read, and an answer that came in one segment with the one
      // before it is not seen in time: then fewer requests are read, never others.
      const waits = input.some((part) => /upgrade|connect/i.test(part.toString('latin1')))
      if (waits) {
        const [fewer, more] = cut.length < uncut.length ? [cut, uncut] : [uncut, cut]
        const left = [...more]
        const isSubset = fewer.every((request) => left.includes(request) && left.splice(left.indexOf(request), 1))
        hold(isSubset, () => differ('requests behind an upgrade, each segment in two', cut, uncut))
      } else {
        hold(isDeepStrictEqual(cut, uncut), () => differ('requests, each segment in two', cut, uncut))
        hold(isDeepStrictEqual(split, whole), () => differ('each segment in two', told(split), told(whole)))
      }
    }
    return whole
  },
}

/**
 * Where a connection begins in the middle, behind a gap, or with the server, a whole line of a message must stand at the beginning of a
 * segment: there the segments decide.
 */
function isSplitAlike([, ...events]: Input, client: number): boolean {
  const kinds = events
    .filter((event) => event.length > 2 || (event[0] ?? 0) % 8 > 1)
    .map((event) => (event[0] ?? 0) % 8)
  const isTruncated = kinds.some((kind) =>
    kind === KIND.gapClient || kind === KIND.gapServer || kind === KIND.cutClient
      ? GapReason.truncated
      : GapReason.lost,
  )
  return client === CLIENT && kinds[0] === KIND.client && !isTruncated
}

function converse([settings, ...events]: Input, splits: boolean) {
  const choices = new Choices(settings)
  const limits = choices.pick([{}, {}, { maxHeadBytes: 300 }, { maxBodyBytes: 100 }, { lenientWhiteSpace: true }])
  const client = choices.below(5) === 4 ? -1 : choices.below(8) === 7 ? SERVER : CLIENT
  const rig = new ConnectionRig({
    limits,
    client,
    bodies: choices.pick(['hash', 'keep', 'none'] as const),
    maxResponseBytes: choices.pick([1000, 50]),
  })
  const ended = [false, false]
  for (const event of events) {
    const kind = (event[0] ?? 0) % 8
    const facts = event[1] ?? 0
    const direction =
      kind === KIND.client || kind === KIND.gapClient || kind === KIND.finClient || kind === KIND.cutClient
        ? CLIENT
        : SERVER
    if (kind === KIND.later) {
      rig.later(1 + facts * 20_000)
      continue
    }
    if (ended[direction]) continue
    if (kind === KIND.client || kind === KIND.server) {
      const text = event.toString('latin1', 2)
      if (text.length === 0) continue
      const send = (piece: string, startsSegment: boolean) => {
        const sent = {
          startsSegment,
          isAckedTo: startsSegment && (facts & 1) !== 0,
          ...((facts & 2) !== 0 ? { ack: null } : {}),
        }
        if (direction === CLIENT) rig.client(piece, sent)
        else rig.server(piece, sent)
      }
      const middle = splits ? text.length >> 1 : 0
      if (middle > 0) send(text.slice(0, middle), true)
      send(text.slice(middle), middle === 0)
    } else if (kind === KIND.finClient || kind === KIND.finServer) {
      // Bytes that wait in front of it would have to come first.
      if (rig.waitingBytes > 0) continue
      ended[direction] = true
      rig.fin(direction)
    } else if (rig.waitingBytes === 0)
      rig.gap(direction, 1 + facts, kind === KIND.cutClient ? GapReason.truncated : GapReason.lost)
  }
  const exchanges = [...rig.close()]
  return { client, exchanges, drops: rig.drops, responseDrops: rig.responseDrops, full: rig.full.map(timeless) }
}

/** Without what two ways of cutting may differ in: times, and who the connection is. */
function timeless(exchange: unknown): { readonly request: unknown } {
  return JSON.parse(
    JSON.stringify(exchange, (key, value) => (/us$/i.test(key) || key === 'connection' ? undefined : value)),
  )
}

/** Exchanges, and what was dropped beside them. */
function told({ exchanges, drops, responseDrops, full }: ReturnType<typeof converse>): string[] {
  return [
    ...exchanges,
    `requests: ${JSON.stringify(drops)}`,
    `responses: ${JSON.stringify(responseDrops)}`,
    JSON.stringify(full),
  ]
}

function differ(how: string, got: readonly string[], expected: readonly string[]): string {
  const at = expected.findIndex((event, i) => event !== got[i])
  return `${how}: event ${at} of ${expected.length} (${got.length}) is ${got[at]}, whole it is ${expected[at]}`
}
