/** The two ends of replay: hostile answers of an origin, and what is written to it, held against a reader of other people. */
import { createRequire } from 'node:module'
import { isDeepStrictEqual } from 'node:util'
import type { MessageView } from '../../../src/exchange/message.ts'
import { AnswerContext, AnswerReader, AnswerState } from '../../../src/sinks/replay/answer-reader.ts'
import { type ByteRequest, ByteRequestBuilder } from '../../../src/sinks/replay/byte-request.ts'
import { HeadPlan } from '../../../src/sinks/replay/head-plan.ts'
import { cutAt, inBytes, type Request, RequestLog } from '../../http/support/parsing.ts'
import { connection } from '../../sinks/replay/support/captured.ts'
import { Choices } from '../input.ts'
import { mutateHttp } from '../mutate.ts'
import { hold, type Target } from '../target.ts'

const STATE_NAMES = Object.keys(AnswerState)

/** Part 0: to HEAD, ends, places; part 1: what the origin sends. */
export const answers: Target = {
  name: 'answers',
  fixedParts: 0,
  make(random, corpus) {
    const turns = random.pick(corpus.conversations).filter(({ isClient }) => !isClient)
    const bytes = mutateHttp(random, turns.at(0)?.bytes ?? Buffer.alloc(0), turns.at(-1)?.bytes ?? Buffer.alloc(0))
    return [random.bytes(random.between(2, 12)), bytes]
  },
  run([settings, bytes = Buffer.alloc(0)]) {
    const choices = new Choices(settings)
    const toHead = choices.below(4) === 3
    const ends = choices.below(2) === 1
    const places = [...choices.rest()].map((byte, i) => byte * (1 + (i % 7)))
    const context = new AnswerContext()
    const whole = readAnswers([bytes], toHead, ends, context)
    const splits = [cutAt(bytes, places), ...(bytes.length <= 3000 ? [inBytes(bytes)] : [])]
    for (const split of splits) {
      const other = readAnswers(split, toHead, ends, context)
      hold(
        isDeepStrictEqual(other, whole),
        () => `split in ${split.length}: ${JSON.stringify(other)}, whole ${JSON.stringify(whole)}`,
      )
    }
    return whole
  },
}

/** The first answer, as the engine reads it: every piece in one buffer that the next one overwrites. */
function readAnswers(pieces: readonly Buffer[], toHead: boolean, ends: boolean, context: AnswerContext) {
  const reader = new AnswerReader(context)
  reader.begin(toHead)
  const input = Buffer.alloc(Math.max(1, ...pieces.map((piece) => piece.length)))
  let taken = 0
  for (const piece of pieces) {
    if (piece.length === 0) continue
    input.fill(0xee)
    piece.copy(input)
    const end = reader.read(input, 0, piece.length)
    hold(end >= 0 && end <= piece.length, `took ${end} of ${piece.length}`)
    taken += end
    if (end < piece.length) break
  }
  if (ends) {
    reader.ended()
    reader.judge()
  }
  reader.release()
  const isOver = reader.state === AnswerState.complete
  hold(reader.bodyBytes <= taken, 'a body longer than what came')
  return {
    state: STATE_NAMES[reader.state]!,
    status: reader.status,
    bodyBytes: reader.bodyBytes,
    keepsAlive: isOver && reader.keepsAlive,
    taken: isOver ? taken : -1,
  }
}

const ORIGIN_HOST = 'staging.example:8080'
const PLANS = [false, true].map(
  (keepsHost) => () => new ByteRequestBuilder(new HeadPlan(ORIGIN_HOST, keepsHost), ORIGIN_HOST),
)
const CONNECTION = connection({ handle: 1, clientPort: 40_000, clientHash: 1, flowHash: 2 })
const FORBIDDEN = [
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'expect',
]

/** Part 0: keep-host; part 1: a captured stream of requests. Each request read from it is written and read again. */
export const wireRequest: Target = {
  name: 'wire-request',
  fixedParts: 0,
  make(random, corpus) {
    const turns = random.pick(corpus.conversations).filter(({ isClient }) => isClient)
    const bytes = Buffer.concat(turns.map((turn) => turn.bytes))
    return [random.bytes(1), mutateHttp(random, bytes, turns[0]!.bytes, random.between(0, 4))]
  },
  run([settings, bytes = Buffer.alloc(0)]) {
    const keepsHost = new Choices(settings).below(2)
    const builder = PLANS[keepsHost]!()
    const written: { request: ByteRequest; text: string; body: string }[] = []
    let unsendable = 0
    const log = new (class extends RequestLog {
      override requestComplete(view: MessageView, endOffset: number): void {
        const request = builder.build(view, CONNECTION)
        if (request === null) unsendable++
        else written.push({ request, text: request.headText(), body: view.copyBody()?.toString('latin1') ?? '' })
        super.requestComplete(view, endOffset)
      }
    })()
    for (let at = 0; at < bytes.length; ) {
      at += log.data(bytes.subarray(at))
      if (log.parser.isWaiting) log.parser.resume()
    }
    log.end()
    hold(written.length + unsendable === log.requests.length, 'a request was neither written nor refused')
    for (const { request, text, body } of written) {
      // Memory is shared between requests, their bytes are not.
      hold(request.headText() === text, 'a later request wrote over an earlier one')
      mustReadBack(Buffer.concat([Buffer.from(text, 'latin1'), request.body ?? Buffer.alloc(0)]), body, log.requests)
    }
    return { written: written.map(({ text }) => text), unsendable }
  },
}

function mustReadBack(wire: Buffer, body: string, captured: readonly Request[]): void {
  const end = wire.indexOf('\r\n\r\n') + 4
  const lines = wire.toString('latin1', 0, end - 4).split('\r\n')
  hold(end > 3 && lines.every((line) => !/[\r\n]/.test(line)), 'a line break inside the head')
  const [method, target, version, ...more] = lines[0]!.split(' ')
  hold(version === 'HTTP/1.1' && more.length === 0, () => `the first line is ${JSON.stringify(lines[0])}`)
  const path = target!
  hold(path.startsWith('/') || path === '*', () => `the target ${JSON.stringify(path)} names a destination`)
  hold(
    captured.some((request) => request.method === method && request.body === body),
    'method and body are not those of a captured request',
  )
  const names = lines.slice(1).map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
  const count = (name: string) => names.filter((other) => other === name).length
  hold(count('host') === 1 && count('x-mirrorshard') >= 1, 'not one Host, or no marker')
  for (const name of FORBIDDEN) hold(count(name) === 0, `${name} is sent on`)
  const lengths = lines
    .slice(1)
    .filter((line) => /^content-length:/i.test(line))
    .map((line) => Number(line.slice(15).trim()))
  hold(
    lengths.length === (body === '' && lengths.length === 0 ? 0 : 1) && (lengths[0] ?? 0) === body.length,
    `lengths ${lengths}, body ${body.length}`,
  )
  hold(wire.toString('latin1', end) === body, 'the body is not the captured one')
  const theirs = readByNode(wire)
  if (theirs === null) return
  hold(
    theirs.length === 1 && theirs[0]!.body === body && theirs[0]!.method === method && theirs[0]!.target === target,
    () => `node reads ${JSON.stringify(theirs).slice(0, 400)}`,
  )
}

interface NodeParser {
  initialize(type: number, resource: object): void
  execute(bytes: Buffer): number | Error
  finish(): unknown
  close(): void
  [callback: number]: unknown
}

const { HTTPParser, methods } = createRequire(import.meta.url)('node:_http_common') as {
  HTTPParser: {
    new (): NodeParser
    REQUEST: number
    kOnHeaders: number
    kOnHeadersComplete: number
    kOnBody: number
    kOnMessageComplete: number
  }
  methods: readonly string[]
}

/** What llhttp, the parser of node:http, reads; null where it refuses what is legal: unknown methods, control characters in values. */
function readByNode(wire: Buffer): { method: string; target: string; body: string }[] | null {
  const read: { method: string; target: string; body: string }[] = []
  const parser = new HTTPParser()
  let target = ''
  parser.initialize(HTTPParser.REQUEST, {})
  // A head with many fields comes in several calls, the target with the first.
  parser[HTTPParser.kOnHeaders] = (_fields: string[], url: string) => {
    target ||= url
  }
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    _fields: string[] | undefined,
    method: number,
    url: string,
  ) => {
    read.push({ method: methods[method] ?? '', target: url || target, body: '' })
    return 0
  }
  parser[HTTPParser.kOnBody] = (chunk: Buffer) => {
    read.at(-1)!.body += chunk.toString('latin1')
  }
  let complete = 0
  parser[HTTPParser.kOnMessageComplete] = () => {
    complete++
  }
  const result = parser.execute(Buffer.from(wire))
  // Its C++ half holds on to it until then: two kilobytes each, for ever.
  parser.close()
  return result instanceof Error ? null : read.slice(0, complete)
}
