/** Whatever the two sides send before and behind early answers: what is passed on is in every reading that is possible. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { answer, ConnectionRig, get } from './support/connection-rig.ts'
import { certainAtOnce, certainIn, readingsOf, type Step } from './support/readings-oracle.ts'

const EXPECT = 'Expect: 100-continue\r\n'
const post = (target: string, length: number, fields = EXPECT) =>
  `POST ${target} HTTP/1.1\r\n${fields}Content-Length: ${String(length).padStart(3, '0')}\r\n\r\n`
const GET_BYTES = get('/s0').length
const POST_BYTES = post('/s0', 0).length

/** What a client may send in one segment, as its `n`th: the length of each body is that of something else it may send. */
const SENDS = {
  get: (n) => get(`/s${n}`),
  'post 5': (n) => post(`/s${n}`, 5),
  'post like a GET': (n) => post(`/s${n}`, GET_BYTES),
  'post like a POST': (n) => post(`/s${n}`, POST_BYTES),
  'post 400': (n) => post(`/s${n}`, 400),
  'post 5, no Expect': (n) => post(`/s${n}`, 5, ''),
  'post 5 with its body': (n) => `${post(`/s${n}`, 5)}hello`,
  'text of 5': () => 'hello',
  'text like a GET': () => 'x'.repeat(GET_BYTES),
  'text, then GET': (n) => `hello${get(`/s${n}`)}`,
  'GET, then text': (n) => `${get(`/s${n}`)}hello`,
  'POST, then GET': (n) => post(`/s${n}`, 400) + get(`/t${n}`),
  'GET, then POST': (n) => get(`/s${n}`) + post(`/t${n}`, 400),
  'beginning of a GET': () => 'GET',
  'rest of a GET': (n) => ` /s${n} HTTP/1.1\r\n\r\n`,
  'a log': (n) => `GET /s${n} HTTP/1.1\r\nPOST /t${n} HTTP/1.1\r\n`,
} satisfies Record<string, (n: number) => string>
type Send = keyof typeof SENDS
type Move = Send | 'final' | 'continue' | { readonly crossing: Send } | { readonly late: 'final' }

/** The conversation as the mirror shows it. Each answer has its own status, each request its own target. */
function stepsOf(moves: readonly Move[]): Step[] {
  const steps: Step[] = []
  const sent = { client: 0, server: 0 }
  /** What was sent before the last step of either side. */
  const before = { client: 0, server: 0 }
  let status = 200
  for (const [n, move] of moves.entries()) {
    const isServer = move === 'final' || move === 'continue' || (typeof move === 'object' && 'late' in move)
    if (isServer) {
      const text = move === 'continue' ? 'HTTP/1.1 100 Continue\r\n\r\n' : answer(++status === 204 ? ++status : status)
      const ack = typeof move === 'object' ? before.client : sent.client
      steps.push({ from: 'server', text, ack, status: move === 'continue' ? 100 : status })
      before.server = sent.server
      sent.server += text.length
    } else {
      const isCrossing = typeof move === 'object'
      const text = SENDS[isCrossing ? (move as { crossing: Send }).crossing : (move as Send)](n)
      steps.push({ from: 'client', text, ack: isCrossing ? before.server : sent.server })
      before.client = sent.client
      sent.client += text.length
    }
  }
  return steps
}

interface Judged {
  /** Requests that were certain as soon as they were whole, and those that became so when more had come. */
  readonly atOnce: number
  readonly later: number
  readonly passedOn: number
}

/** Reads the conversation, and fails where anything is passed on that is not in all readings. */
function judge(moves: readonly Move[]): Judged | null {
  const steps = stepsOf(moves)
  const readings = readingsOf(steps)
  if (readings.length === 0) return null
  const rig = new ConnectionRig()
  for (const step of steps) {
    // A server that acknowledges everything at once: of all evidence the least.
    if (step.from === 'client') rig.client(step.text, { ack: step.ack, isAckedTo: true })
    else rig.server(step.text, { ack: step.ack })
  }
  rig.close()
  const certain = certainIn(readings)
  const asked = rig.full.filter(({ request }) => request !== null)
  for (const { request, response } of asked) {
    const target = request!.target()
    if (!certain.includes(target)) throw new Error(`${target} is not in every reading of ${JSON.stringify(moves)}`)
    if (response === null) continue
    for (const { requests } of readings)
      if (requests.get(target) !== response.status)
        throw new Error(`${target} got ${response.status}, and may have none or another: ${JSON.stringify(moves)}`)
  }
  const atOnce = certainAtOnce(steps).length
  return { atOnce, later: certain.length - atOnce, passedOn: asked.length }
}

/** All sequences of `length` moves. */
function* sequences(moves: readonly Move[], length: number): Generator<Move[]> {
  if (length === 0) yield []
  else for (const before of sequences(moves, length - 1)) for (const move of moves) yield [...before, move]
}

test('every conversation of six steps that begins with a request: what is passed on is certain', () => {
  const moves: readonly Move[] = ['get', 'post 5', 'post like a GET', 'post like a POST', 'text of 5', 'final']
  const sum = { conversations: 0, atOnce: 0, later: 0, passedOn: 0 }
  for (const first of ['post 5', 'post like a GET', 'post like a POST', 'post 400'] as const)
    for (const rest of sequences(moves, 5)) {
      const judged = judge([first, ...rest])
      if (judged === null) continue
      sum.conversations++
      sum.atOnce += judged.atOnce
      sum.later += judged.later
      sum.passedOn += judged.passedOn
    }
  expect(sum.conversations).toBe(10_267)
  // The others stand behind a doubt, and no answer had come that proves their boundary.
  expect(sum.passedOn / sum.atOnce).toBeGreaterThan(0.75)
})

test('longer ones, with segments of two messages, and acknowledgements that cross answers', () => {
  const send = fc.constantFrom(...(Object.keys(SENDS) as Send[]))
  const move: fc.Arbitrary<Move> = fc.oneof(
    { weight: 8, arbitrary: send },
    { weight: 6, arbitrary: fc.constant('final' as const) },
    { weight: 1, arbitrary: fc.constant('continue' as const) },
    { weight: 1, arbitrary: send.map((crossing) => ({ crossing })) },
    { weight: 1, arbitrary: fc.constant({ late: 'final' } as const) },
  )
  let atOnce = 0
  let passedOn = 0
  fc.assert(
    fc.property(send, fc.array(move, { maxLength: 8 }), (first, rest) => {
      const judged = judge([first, ...rest])
      fc.pre(judged !== null)
      atOnce += judged!.atOnce
      passedOn += judged!.passedOn
    }),
    { numRuns: 4000, maxSkipsPerRun: 100 },
  )
  expect(passedOn / atOnce).toBeGreaterThan(0.85)
})
