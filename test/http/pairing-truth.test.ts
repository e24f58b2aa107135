/**
 * A client, a server and a mirror that loses segments, with the truth known: a response is paired with the request it answered, or with none.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CLIENT, ConnectionRig, SERVER } from './support/connection-rig.ts'

type Method = 'GET' | 'HEAD' | 'POST'
type Kind = 'length' | 'none' | '204' | '304' | 'chunked' | '100'

interface Asked {
  readonly method: Method
  readonly kind: Kind
  /** The mirror loses the request, or the response. */
  readonly isLost: boolean
  readonly isAnswerLost: boolean
}

/** What happens next: the client sends some requests, or the server its next answers. */
type Event = { readonly ask: readonly Asked[] } | { readonly answers: number; readonly acks: 'all' | 'read' }

interface Habits {
  /** The client waits for all answers before it sends more, or only until so many requests are under way. */
  readonly waits: boolean
  readonly window: number
  /** Requests that are sent before the mirror begins, without their answers. */
  readonly unseen: number
  /** The first requests, sent at once, are not lost. */
  readonly showsItself: boolean
}

/** Runs it and returns what was wrong: the target carries the request's number, and so does the reason phrase of its answer. */
function run(events: readonly Event[], { waits, window, unseen, showsItself }: Habits) {
  const rig = new ConnectionRig(unseen > 0 ? { client: -1 } : {})
  const waiting: { n: number; asked: Asked; end: number }[] = []
  const seen = { paired: 0, pairable: 0, asked: 0 }
  let n = 0
  let sentBytes = 0
  /** Of the client's stream, acknowledged before. */
  let acked = 0
  /** What was sent before the mirror began may be the beginning of a burst. */
  const isBurstOver = () => n > unseen || waiting.length < unseen
  const ask = (asked: Asked) => {
    const body = asked.method === 'POST' ? 'Content-Length: 5\r\n\r\nhello' : '\r\n'
    const text = `${asked.method} /${++n} HTTP/1.1\r\n${body}`
    if (n <= unseen) rig.before(CLIENT, text.length)
    else if (asked.isLost) rig.gap(CLIENT, text.length)
    else rig.client(text, { isAckedTo: acked === sentBytes })
    sentBytes += text.length
    waiting.push({ n, asked, end: sentBytes })
    seen.asked++
    if (!asked.isLost && !asked.isAnswerLost) seen.pairable++
  }
  const reply = (acks: 'all' | 'read') => {
    const next = waiting.shift()
    if (next === undefined) return
    const { kind, method, isAnswerLost } = next.asked
    const head = (status: number, fields: string) => `HTTP/1.1 ${status} ${next.n}\r\nX-N: ${next.n}\r\n${fields}\r\n`
    const body = method === 'HEAD' ? '' : 'body!'
    let text = head(200, 'Content-Length: 5\r\n') + body
    if (kind === 'none') text = head(200, 'Content-Length: 0\r\n')
    else if (kind === '204') text = head(204, '')
    else if (kind === '304') text = head(304, 'Content-Length: 5\r\n')
    else if (kind === 'chunked')
      text = head(200, 'Transfer-Encoding: chunked\r\n') + (body && '5\r\nbody!\r\n0\r\n\r\n')
    else if (kind === '100') text = `HTTP/1.1 100 Continue\r\n\r\n${text}`
    acked = acks === 'all' ? sentBytes : Math.max(next.end, acked)
    if (isAnswerLost) rig.gap(SERVER, text.length)
    else rig.server(text, { ack: acked })
  }
  const plain: Asked = { method: 'HEAD', kind: 'length', isLost: false, isAnswerLost: false }
  for (let i = 0; i < unseen || (showsItself && i < 2); i++) ask(plain)
  for (const event of events) {
    if ('ask' in event) {
      while (waits && waiting.length > 0 && isBurstOver()) reply('read')
      for (const asked of event.ask) {
        while (waiting.length >= window) reply('read')
        ask(asked)
      }
    } else for (let i = 0; i < event.answers; i++) reply(event.acks)
  }
  while (waiting.length > 0) reply('read')
  rig.close()
  const wrong: string[] = []
  for (const { request, response } of rig.full) {
    if (request === null || response === null) continue
    seen.paired++
    if (`/${response.target()}` !== request.target()) wrong.push(request.target())
  }
  return { ...seen, wrong }
}

const asked = (lost: number): fc.Arbitrary<Asked> =>
  fc.record({
    method: fc.constantFrom<Method>('GET', 'GET', 'HEAD', 'POST'),
    kind: fc.constantFrom<Kind>('length', 'length', 'none', '204', '304', 'chunked', '100'),
    isLost: fc.nat({ max: 99 }).map((x) => x < lost),
    isAnswerLost: fc.nat({ max: 99 }).map((x) => x < lost),
  })
const events = (lost: number, burst: number) =>
  fc.array(
    fc.oneof(
      fc.record({ ask: fc.array(asked(lost), { minLength: 1, maxLength: burst }) }),
      fc.record({
        answers: fc.integer({ min: 1, max: burst }),
        acks: fc.constantFrom('all' as const, 'read' as const),
      }),
    ),
    { minLength: 2, maxLength: 12 },
  )

const HABITS: readonly (readonly [string, Habits, number])[] = [
  ['one request at a time', { waits: true, window: 1, unseen: 0, showsItself: false }, 0.55],
  ['one request at a time, begun before the mirror', { waits: true, window: 1, unseen: 1, showsItself: false }, 0.3],
  ['in bursts', { waits: true, window: 6, unseen: 0, showsItself: false }, 0.05],
  [
    'in bursts, the first of HEAD and begun before the mirror',
    { waits: true, window: 6, unseen: 2, showsItself: false },
    0.02,
  ],
  ['several under way, as could be seen', { waits: false, window: 6, unseen: 0, showsItself: true }, 0.1],
]

test.each(HABITS)('what is paired is true, whatever the mirror lost: %s', (_how, habits, least) => {
  const sum = { pairable: 0, paired: 0 }
  fc.assert(
    fc.property(events(30, habits.window > 1 ? 4 : 1), (all) => {
      const { wrong, ...seen } = run(all, habits)
      sum.pairable += seen.pairable
      sum.paired += seen.paired
      expect(wrong).toEqual([])
    }),
    { numRuns: 2000 },
  )
  expect(sum.paired / sum.pairable).toBeGreaterThan(least)
})

test('without loss every exchange is paired', () => {
  fc.assert(
    fc.property(events(0, 4), fc.boolean(), (all, waits) => {
      const { paired, asked } = run(all, { waits, window: 6, unseen: 0, showsItself: false })
      expect(paired).toBe(asked)
    }),
  )
})
