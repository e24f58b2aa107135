import { describe, expect, it } from 'vitest'
import { replaceSection } from '../../bench/soak/docs.ts'
import { floodDatagrams } from '../../bench/soak/floods.ts'
import { type Arrived, KnownRequests, placeOfIds } from '../../bench/soak/known-requests.ts'
import { parseSoakOptions } from '../../bench/soak/options.ts'
import { accountsOf } from '../../bench/soak/reading.ts'
import { countLog, judgeRestarts, type LogCount } from '../../bench/soak/restarts.ts'
import { FLOODS, makeSchedule, nameOf, ORIGIN_FAULTS, THREAD_FAULTS } from '../../bench/soak/schedule.ts'
import { parseMetrics } from '../../bench/support/prometheus.ts'
import type { LiveSummary } from '../../bench/support/service.ts'

describe('the schedule of a soak', () => {
  const kinds = (receivers: number) => [
    ...ORIGIN_FAULTS.map((kind) => `origin: ${kind}`),
    ...FLOODS.map((kind) => `flood: ${kind}`),
    ...THREAD_FAULTS.map((kind) => `shard: ${kind}`),
    ...(receivers > 1 ? THREAD_FAULTS.map((kind) => `receiver: ${kind}`) : []),
    ...['burst ×5', 'process stopped, burst ×5', 'no traffic'],
  ]
  const kindOf = (name: string) => name.replace(/^(shard|receiver) \d+/, '$1')

  it.each([
    [60, 1],
    [300, 2],
    [3_600, 2],
    [36_000, 1],
  ])(
    'has every fault as often as there are rounds, and none in the calm at its ends: %i s, %i receivers',
    (seconds, receivers) => {
      for (let seed = 0; seed < 20; seed++) {
        const { events, rounds } = makeSchedule(seed, seconds, 2, receivers)
        const times = new Map<string, number>()
        for (const { fault } of events) times.set(kindOf(nameOf(fault)), (times.get(kindOf(nameOf(fault))) ?? 0) + 1)
        expect(Object.fromEntries(times), `seed ${seed}`).toEqual(
          Object.fromEntries(kinds(receivers).map((kind) => [kind, rounds])),
        )
        expect(events[0]!.startS, `seed ${seed}`).toBeGreaterThanOrEqual(6)
        const ends = events.map(({ startS, durationS }) => startS + durationS)
        expect(Math.max(...ends), `seed ${seed}`).toBeLessThanOrEqual(seconds - 9)
      }
    },
  )

  it('never breaks two things of one track at once', () => {
    for (const track of ['origin', 'inner'] as const) {
      const events = makeSchedule(3, 3_600, 2, 2).events.filter(({ fault }) => fault.track === track)
      for (let i = 1; i < events.length; i++)
        expect(events[i]!.startS).toBeGreaterThan(events[i - 1]!.startS + events[i - 1]!.durationS)
    }
  })

  it('is the same for the same seed, and another for another', () => {
    expect(makeSchedule(5, 60, 2, 2)).toEqual(makeSchedule(5, 60, 2, 2))
    expect(makeSchedule(5, 60, 2, 2)).not.toEqual(makeSchedule(6, 60, 2, 2))
  })
})

describe('the strict origin', () => {
  const known = new KnownRequests(60, 'origin:1')
  /** As replay sends the first request of a connection: read off what the judge itself would be content with. */
  const sample = (id: string, address: string): Arrived => {
    const [connection = 0, index = 0] = id.split('-').map(Number)
    const inside = (
      known as unknown as { known: { requestLine: string; fields: string[]; host: string; body: string }[] }
    ).known[connection * 25 + index]!
    return {
      requestLine: inside.requestLine,
      fields: [
        ...inside.fields.map((field) => (field.startsWith('Host: ') ? 'Host: origin:1' : field)),
        `X-Forwarded-For: ${address}`,
        'X-Forwarded-Port: 80',
        'X-Forwarded-Proto: http',
        `X-Forwarded-Host: ${inside.host}`,
        'X-Mirrorshard: 1',
      ],
      body: inside.body,
    }
  }
  const good = sample('7-3', '10.1.2.7')

  it('knows which request of which pass it is', () => {
    expect(known.judge(good)).toMatchObject({ is: 'known', number: 258 * 1_500 + 7 * 25 + 3 })
    expect(placeOfIds('10.0.0.7', '7-3', 1_500)).toEqual({ pass: 0, inPass: 178 })
  })

  it.each<[string, Arrived]>([
    ['another target', { ...good, requestLine: good.requestLine.replace('r3', 'r4') }],
    ['a field more', { ...good, fields: [...good.fields, 'X-More: 1'] }],
    ['a field less', { ...good, fields: good.fields.filter((field) => !field.startsWith('Accept')) }],
    ['fields in another order', { ...good, fields: [good.fields[1]!, good.fields[0]!, ...good.fields.slice(2)] }],
    ['no marker', { ...good, fields: good.fields.filter((field) => field !== 'X-Mirrorshard: 1') }],
    ['one byte of body more', { ...good, body: `${good.body}x` }],
  ])('calls altered what has %s', (_, arrived) => {
    expect(known.judge(arrived).is).toBe('altered')
  })

  it.each(['10.1.2.8', '11.1.2.7', '10.1.2.7, 10.1.2.7', ''])(
    'calls invented what no client of the mirror sent: %s',
    (address) => {
      const fields = good.fields.map((field) =>
        field.startsWith('X-Forwarded-For') ? `X-Forwarded-For: ${address}` : field,
      )
      expect(known.judge({ ...good, fields }).is).toBe('invented')
    },
  )
})

describe('floods', () => {
  it.each(FLOODS)('%s: hold no text of a request, and differ by seed', (kind) => {
    const { bytes, offsets } = floodDatagrams(kind, 1)
    expect(offsets.length).toBe(4_097)
    expect(bytes.includes(' HTTP/1.')).toBe(false)
    expect(bytes.equals(floodDatagrams(kind, 1).bytes)).toBe(true)
    expect(bytes.equals(floodDatagrams(kind, 2).bytes)).toBe(false)
  })
})

it('accounts of a scrape hold to the last packet, or it is said what does not', () => {
  const page = (held: number) => `mirrorshard_source_packets_total 10
mirrorshard_packets_processed_total 6
mirrorshard_packets_dropped_total{reason="ringFull"} 1
mirrorshard_packets_dropped_total{reason="shardLost"} 1
mirrorshard_fragments_held ${held}
mirrorshard_ring_packets 1
`
  expect(accountsOf(parseMetrics(page(1)))).toEqual([])
  expect(accountsOf(parseMetrics(page(2)))).toEqual(['packets: 10 in, 11 out, dropped and held'])
})

describe('the restart run', () => {
  const lines = async function* (texts: readonly string[]) {
    for (const text of texts) {
      const [status = '', address = '', id = ''] = text.split(' ')
      yield { status, address, id }
    }
  }
  const known = { perPass: 1_500, isIdempotent: (inPass: number) => inPass !== 0 }

  it('counts each request by its own number', async () => {
    const log = ['200 10.0.0.0 0-0', '200 10.0.0.0 0-1', '200 10.0.0.0 0-1', '200 10.0.1.0 0-0', '200 10.0.0.0 0-0']
    expect(await countLog(lines(log), known, 2)).toMatchObject({
      lines: 5,
      distinct: 3,
      again: 1,
      twice: 1,
      invented: 0,
    })
    expect(await countLog(lines(['200 10.0.2.0 0-0', '400  ']), known, 2)).toMatchObject({ invented: 2 })
  })

  const log: LogCount = {
    lines: 90,
    byStatus: { 200: 90 },
    distinct: 89,
    again: 1,
    twice: 0,
    invented: 0,
    example: null,
  }
  const judged = (more: Partial<LogCount>, replayed: Record<string, number> = { '2xx': 88, reset: 2, refused: 10 }) =>
    judgeRestarts({
      sent: { packets: 500, requests: 100 },
      summary: {
        packets: { received: 499, kernelDropped: 1, processed: 497, dropped: { ringFull: 2 } },
        requests: { parsed: 100, dropped: {}, replayed, held: 0, retried: 1 },
      } as unknown as LiveSummary,
      log: { ...log, ...more },
      restarts: { graceful: 1, hard: 1 },
      accounts: { looks: 3, wrong: [] },
      asked: 100,
    }).filter(({ isPassed }) => !isPassed)

  it('passes where answered − hard ≤ logged ≤ answered + in doubt + retried', () => {
    expect(judged({})).toEqual([])
    expect(judged({ lines: 87, byStatus: { 200: 87 }, distinct: 86 })).toEqual([])
    expect(judged({ lines: 91, byStatus: { 200: 91 } })).toEqual([])
  })

  it('fails outside of it, and for each thing that must not be', () => {
    expect(judged({ lines: 86, byStatus: { 200: 86 } })).toHaveLength(1)
    expect(judged({ lines: 92, byStatus: { 200: 92 } })).toHaveLength(1)
    expect(judged({ twice: 1 })).toHaveLength(1)
    expect(judged({ again: 2 })).toHaveLength(1)
    expect(judged({ invented: 1 })).toHaveLength(1)
    expect(judged({ byStatus: { 200: 89, 400: 1 } })).toHaveLength(1)
    expect(judged({}, { '2xx': 88, reset: 2, refused: 9 })).toHaveLength(1)
  })
})

it('options that make no sense are refused in words', () => {
  expect(parseSoakOptions(['--minutes', '5', '--seed', '7'])).toMatchObject({
    command: 'soak',
    minutes: 5,
    seed: 7,
    workers: 2,
  })
  expect(parseSoakOptions(['restarts', '--requests', '5000000'])).toMatchObject({
    requests: 5_000_000,
    everySeconds: 20,
  })
  for (const argv of [['--minutes', '0'], ['--workers', 'x'], ['sock'], ['docs'], ['restarts', 'more']])
    expect(() => parseSoakOptions(argv), argv.join(' ')).toThrow()
})

it('a page keeps what people wrote around the figures, and its marks', () => {
  const page = 'a\n<!-- f -->\nold\n<!-- end of f -->\nb\n'
  const written = replaceSection(page, 'f', 'new\n')
  expect(written).toBe('a\n<!-- f -->\nnew\n<!-- end of f -->\nb\n')
  expect(replaceSection(written, 'f', 'new')).toBe(written)
  expect(() => replaceSection(page, 'g', '')).toThrow('<!-- g -->')
})
