/** HTTP/1 over one connection: who says what in which turn. */
import { originFormOf } from '../origin-form.ts'
import type { Random } from './random.ts'
import { answerTo } from './sample-answer.ts'
import { makeRequest, requestHead, type SampleRequest } from './sample-request.ts'
import type { Tally } from './tally.ts'
import type { Side } from './tcp-conversation.ts'

/** Bytes that one side sends before the other continues. */
export interface Turn {
  readonly from: Side
  readonly bytes: Buffer
}

export interface HttpConversation {
  readonly requests: readonly SampleRequest[]
  readonly turns: readonly Turn[]
  /** The last answer ends with the connection. */
  readonly endsWithClose: boolean
}

export interface ConversationPlace {
  readonly connection: number
  readonly clientAddress: string
  readonly serverPort: number
}

const MOST_PIPELINED = 5

/** @param count requests on the connection, at least 1 */
export function converse(random: Random, place: ConversationPlace, count: number, tally: Tally): HttpConversation {
  const requests: SampleRequest[] = []
  const turns: Turn[] = []
  let endsWithClose = false
  // Requests sent together, before any of their answers.
  let together: SampleRequest[] = []
  let left = 1
  for (let index = 0; index < count; index++) {
    const isLast = index === count - 1
    const request = makeRequest(random, { ...place, index, isLast })
    requests.push(request)
    tally.requests++
    if (request.isChunked) tally.chunked++
    if (request.body.length > 0) tally.withBody++
    if (request.expectsContinue) {
      tally.continued++
      // Its body waits for an answer, so nothing can be sent together with it.
      turns.push(...exchangeTogether(together, random, tally), ...exchangeContinued(request, random))
      together = []
      left = 1
      continue
    }
    together.push(request)
    if (--left > 0 && !isLast) continue
    endsWithClose = isLast && request.version === '1.0'
    turns.push(...exchangeTogether(together, random, tally))
    together = []
    left = random.chance(0.2) ? random.between(2, MOST_PIPELINED) : 1
  }
  return { requests, turns, endsWithClose }
}

function exchangeTogether(requests: readonly SampleRequest[], random: Random, tally: Tally): Turn[] {
  if (requests.length === 0) return []
  if (requests.length > 1) tally.pipelined += requests.length
  const sent = requests.flatMap((request) => [
    // An empty line before a request is to be passed over (RFC 9112 section 2.2).
    ...(random.chance(0.01) ? [Buffer.from('\r\n')] : []),
    requestHead(request),
    request.wireBody,
  ])
  return [
    { from: 'client', bytes: Buffer.concat(sent) },
    { from: 'server', bytes: Buffer.concat(requests.map((request) => answer(request, random))) },
  ]
}

function exchangeContinued(request: SampleRequest, random: Random): Turn[] {
  return [
    { from: 'client', bytes: requestHead(request) },
    { from: 'server', bytes: Buffer.from('HTTP/1.1 100 Continue\r\n\r\n') },
    { from: 'client', bytes: request.wireBody },
    { from: 'server', bytes: answer(request, random) },
  ]
}

function answer(request: SampleRequest, random: Random): Buffer {
  const { status, reason, headers, body, isChunked } = answerTo(request.method, originFormOf(request.target))
  const fields = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const isBodiless = status === 204 || status === 304
  // What an HTTP/1.0 client is sent ends with the connection.
  const isUntilClose = request.version === '1.0'
  let framing = ''
  if (!isUntilClose && !isBodiless)
    framing = isChunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body.length}\r\n`
  const hints =
    random.chance(0.02) && !isUntilClose ? 'HTTP/1.1 103 Early Hints\r\nLink: </app.css>; rel=preload\r\n\r\n' : ''
  const head = Buffer.from(`${hints}HTTP/1.1 ${status} ${reason}\r\n${fields}${framing}\r\n`, 'latin1')
  if (request.method === 'HEAD' || isBodiless) return head
  if (isUntilClose || !isChunked) return Buffer.concat([head, body])
  const size = Buffer.from(`${body.length.toString(16)}\r\n`)
  return Buffer.concat(
    body.length === 0 ? [head, Buffer.from('0\r\n\r\n')] : [head, size, body, Buffer.from('\r\n0\r\n\r\n')],
  )
}
