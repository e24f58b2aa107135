/**
 * Does the world read what we take the way we do, and what we send as exactly that? A short run with fixed seeds, over real sockets;
 * `npm run test:differential -- --seconds N --seed S` goes on for as long as one likes.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareCaptured, Differential, type Tally } from './differential.ts'
import { escaped } from './escaped.ts'
import { readAsWeDo } from './our-reading.ts'
import { StreamMaker } from './random-streams.ts'
import { NginxProgram, NginxReader, nginxVersion } from './readers/nginx.ts'
import { NodeHttpReader } from './readers/node-http.ts'
import { ParserJsReader } from './readers/parser-js.ts'
import type { Reader, Reading } from './readers/reader.ts'
import { keyOf, readShapes, renderSmugglingPage, type WorldReadings } from './smuggling-page.ts'
import { SHAPES } from './smuggling-shapes.ts'

const STREAMS = 150
const nginx = nginxVersion()
if (nginx === null) console.log('test/differential: nginx takes no part, it is not on PATH')

describe('captured streams, and what we replay of them', () => {
  let differential: Differential
  beforeAll(async () => {
    differential = await Differential.open()
  })
  afterAll(() => differential.close())

  const differences = () =>
    differential.report.differences.map(({ reader, what, stream }) => `${reader}: ${escaped(what)}: ${escaped(stream)}`)

  test('the smuggling corpus', async () => {
    await differential.compare(SHAPES.map(({ bytes }) => bytes))
    expect(differences()).toEqual([])
  })

  test.each([101, 102, 103])('random streams near the edges of the grammar, seed %i', async (seed) => {
    const maker = new StreamMaker(seed)
    await differential.compare(Array.from({ length: STREAMS }, () => maker.next()))
    expect(differences()).toEqual([])
  })

  test('the runs above compared a good deal with every reader and engine', () => {
    const { captured, replayed, sentinelsBehind, accepted } = differential.report
    expect(accepted).toBeGreaterThan(300)
    const same = [...captured, ...replayed].map(([name, tally]) => [name, tally.same] as const)
    const readers = nginx === null ? 2 : 3
    expect(same.length).toBe(readers + 2 * readers)
    expect(same.filter(([, n]) => n < 200)).toEqual([])
    // On the same connection: a byte too many or too few in a request would have shown in what follows it.
    for (const [name, { same }] of replayed) expect(sentinelsBehind.get(name)).toBe(same)
  })
})

describe('the comparison would tell', () => {
  const stream = Buffer.from('POST /a HTTP/1.1\r\nX: x\r\nContent-Length: 2\r\n\r\nabGET /b HTTP/1.1\r\n\r\n')
  const a = { method: 'POST', target: '/a', headers: [['X', 'x'] as const, ['Content-Length', '2'] as const] }
  const first = { ...a, body: Buffer.from('ab') }
  const second = { method: 'GET', target: '/b', headers: [], body: Buffer.alloc(0) }
  const told = (reading: Partial<Reading>) => {
    const tally: Tally = { same: 0, refused: new Map() }
    const what = compareCaptured(readAsWeDo([stream]), { requests: [], refusal: null, ...reading }, 'x', tally)
    return { what, same: tally.same, refused: [...tally.refused] }
  }

  test.each([
    ['another body', [{ ...first, body: Buffer.from('a') }, second]],
    ['another target', [first, { ...second, target: '/c' }]],
    ['another method', [first, { ...second, method: 'bGET' }]],
    ['a header less', [{ ...first, headers: a.headers.slice(1) }, second]],
    ['a request more', [first, second, second]],
    ['a request between', [first, first, second]],
  ])('of %s', (_what, requests) => {
    expect(told({ requests }).what).not.toBe(null)
  })

  test('and not of what is the same, or refused', () => {
    expect(told({ requests: [first, second] })).toEqual({ what: null, same: 2, refused: [] })
    expect(told({ requests: [first], refusal: 'no' })).toEqual({ what: null, same: 1, refused: [['no', 1]] })
  })
})

describe('docs/smuggling.md', () => {
  const world = JSON.parse(readFileSync(new URL('world-readings.json', import.meta.url), 'utf8')) as WorldReadings

  test('is what `npm run docs` makes', () => {
    const page = readFileSync(new URL('../../docs/smuggling.md', import.meta.url), 'utf8')
    expect(page).toBe(renderSmugglingPage(world))
  })

  test('has every shape', () => {
    expect(Object.keys(world.shapes).sort()).toEqual(SHAPES.map(keyOf).sort())
  })

  test('the programs of the versions that it names still read the shapes so', async () => {
    const program = nginx === null ? null : await NginxProgram.start(1)
    const readers: Reader[] = [await NodeHttpReader.open(), new ParserJsReader()]
    if (program !== null) readers.push(new NginxReader(program, 0, nginx!))
    try {
      for (const reader of readers) {
        const column = world.readers.findIndex(
          ({ name, version }) => name === reader.name && version === reader.version,
        )
        if (column < 0)
          console.log(`test/differential: docs/smuggling.md names another ${reader.name} than ${reader.version}`)
        else expect(await readShapes(reader)).toEqual(SHAPES.map((shape) => world.shapes[keyOf(shape)]![column]))
      }
    } finally {
      for (const reader of readers) await reader.close()
      await program?.close()
    }
  })
})
