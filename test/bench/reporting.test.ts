import { describe, expect, it } from 'vitest'
import { boundFor, exceeds, readBounds } from '../../bench/inside/bounds.ts'
import { foretell, saturatingShards } from '../../bench/inside/model.ts'
import { readCounts, workCalls } from '../../bench/inside/strace.ts'
import { gorRecords } from '../../bench/peers/programs.ts'
import { addProfile, type CpuProfile, newNode, selfTimes } from '../../bench/profile/aggregate.ts'
import { modulesIn } from '../../bench/profile/chunk-sources.ts'
import { describeFrame, drawFlameGraph } from '../../bench/profile/flame-graph.ts'
import { readV8Log } from '../../bench/profile/v8-log.ts'
import { chartOfTable, drawChart, readCell } from '../../bench/support/chart.ts'
import { isAsked, parseOptions } from '../../bench/support/options.ts'
import { fitLine, pairedRatios } from '../../bench/support/statistics.ts'
import { element, escapeXml } from '../../bench/support/svg.ts'

/** Enough of XML 1.0 to tell whether elements are closed in order, attributes quoted, and nothing is left unescaped. */
function wellFormed(xml: string): boolean {
  const open: string[] = []
  const rest = xml.replace(/^<\?xml [^?]*\?>\n/, '')
  const tag = /<(\/?)([a-z]+)((?: [a-zA-Z0-9:-]+="[^"<]*")*)(\/?)>/y
  const text = /[^<&]+|&(?:amp|lt|gt|quot|#\d+);/y
  for (let at = 0; at < rest.length; ) {
    tag.lastIndex = at
    text.lastIndex = at
    const match = tag.exec(rest)
    if (match !== null) {
      at = tag.lastIndex
      if (match[1] === '/') {
        if (open.pop() !== match[2]) return false
      } else if (match[4] === '') open.push(match[2]!)
      continue
    }
    if (text.exec(rest) === null) return false
    at = text.lastIndex
  }
  return open.length === 0
}

const ROWS = [
  ['<a> & "b"', '--workers', 'CPU s', 'packets/s', 'counts'],
  ['one', '0', '0.62 (0.58–0.71)', '1,234,567', 'ok'],
  ['two', '1', '', '5', 'ok'],
]

describe('a table as a picture', () => {
  it('has a panel for each column of figures, and names rows by what stands in front of them', () => {
    const chart = chartOfTable('title', '', ROWS, [])!
    expect(chart.rows).toEqual(['one, --workers 0', 'two, --workers 1'])
    expect(chart.panels.map(({ heading }) => heading)).toEqual(['CPU s', 'packets/s'])
    expect(chart.panels[0]!.values[0]).toMatchObject({ median: 0.62, least: 0.58, greatest: 0.71 })
    expect(chart.panels[0]!.values[1]).toBeNull()
  })

  it('is no picture where nothing is a figure', () => {
    expect(
      chartOfTable(
        't',
        '',
        [
          ['', 'verdict'],
          ['x', 'ok'],
        ],
        [],
      ),
    ).toBeNull()
  })

  it('reads back only what is a figure', () => {
    expect(readCell('1,234.5 ×')).toMatchObject({ median: 1234.5 })
    for (const text of ['', '–', 'ok', '20,000/s', '3 / 4', 'Infinity']) expect(readCell(text)).toBeNull()
  })

  it('is well-formed XML whatever the texts are', () => {
    const nasty = '<script>&amp;"\'\u0000\u0007]]>\ud800'
    const rows = [
      [nasty, nasty],
      [nasty, '5'],
      ['x', '0'],
    ]
    const svg = drawChart(chartOfTable(nasty, nasty, rows, [nasty])!)
    expect(wellFormed(svg)).toBe(true)
    expect(svg).not.toContain('<script>')
    expect(svg).not.toContain('NaN')
    expect(wellFormed('<a><b></a></b>')).toBe(false)
    expect(wellFormed('<a>&nbsp;</a>')).toBe(false)
  })

  it('escapes each of the five that XML knows, and nothing twice', () => {
    expect(escapeXml('<&">')).toBe('&lt;&amp;&quot;&gt;')
    expect(element('text', { x: 1.005, class: 'a"b' }, '&lt;')).toBe('<text x="1" class="a&quot;b">&lt;</text>')
  })
})

const BASE = 'file:///build/'
const frame = (functionName: string, url: string, lineNumber = 9) => ({
  functionName,
  url,
  lineNumber,
  columnNumber: 0,
})
/** main → parse → (gc), and idle time: samples stand for the time until the next one. */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)', ''), children: [2, 5] },
    { id: 2, callFrame: frame('main', `${BASE}src/main.js`), children: [3, 4] },
    { id: 3, callFrame: frame('parse', `${BASE}src/http/head.js`) },
    { id: 4, callFrame: frame('(garbage collector)', '') },
    { id: 5, callFrame: frame('(idle)', '') },
  ],
  samples: [2, 3, 3, 4, 5],
  timeDeltas: [10, 100, 200, 300, 50],
  startTime: 1000,
  endTime: 2660,
}

describe('a sampled profile', () => {
  const root = newNode({ name: 'all', kind: 'native', place: '' })
  addProfile(root, 'main thread', PROFILE, BASE)
  addProfile(root, 'worker 1', PROFILE, BASE)

  it('adds up to the time that was not idle, over all threads', () => {
    expect(root.totalUs).toBe(2 * 650)
    expect(selfTimes(root).reduce((sum, { us }) => sum + us, 0)).toBe(root.totalUs)
  })

  it('gives each function its own time once, most first', () => {
    expect(selfTimes(root).map(({ frame: { name, kind, place }, us }) => [name, kind, place, us])).toEqual([
      ['parse', 'ours', 'src/http/head.js:10', 1000],
      ['main', 'ours', 'src/main.js:10', 200],
      ['garbage collector', 'gc', '', 100],
    ])
    expect(selfTimes(root)[0]!.share).toBeCloseTo(1000 / 1300)
  })

  it('counts in a caller what it calls', () => {
    const main = [...root.children.get('main thread ')!.children.values()][0]!
    expect(describeFrame(main, root.totalUs)).toBe('main src/main.js:10, 50.0 % (0.7 ms), itself 7.7 %')
  })

  it('is a well-formed flame graph', () => {
    const svg = drawFlameGraph(root, 'a < b', ['Node & machine'])
    expect(wellFormed(svg)).toBe(true)
    expect(svg).toContain('<title>parse src/http/head.js:10')
  })
})

describe("V8's log", () => {
  const log = readV8Log(
    [
      'code-creation,JS,10,5,0x1000,64,parse file:///build/src/http/head.js:3:4,0xaa,~',
      'LoadIC,0x1010,10,21,5,0,1,0xbb,flags,,',
      'LoadIC,0x1010,20,21,5,1,P,0xbb,flags,,',
      'LoadIC,0x1010,90,21,5,P,N,0xbb,other\\x2Cname,,',
      'LoadIC,0x9999,30,1,1,0,1,0xbb,x,,',
      // Other code where the first lay.
      'code-creation,JS,10,95,0x1000,64,find file:///build/src/flow/flow-table.js:9:1,0xaa,~',
      'KeyedLoadIC,0x1000,96,40,2,0,1,0xbb,0,,',
      'code-deopt,97,100,0x1,0,5,deopt-eager,<file:///build/src/http/head.js:21:5> inlined at <file:///build/src/a.js:1:1>,wrong map',
    ],
    'file:///build/src/',
    50,
  )

  it('tells what a cache has become, where, and how late', () => {
    expect(log.sites).toHaveLength(2)
    expect(log.sites[0]).toMatchObject({ file: 'http/head.js', line: 21, column: 5, state: 'N', count: 3, late: 1 })
    expect([...log.sites[0]!.names]).toEqual(['flags', 'other,name'])
    expect(log.sites[1]).toMatchObject({ file: 'flow/flow-table.js', functionName: 'find', state: '1' })
  })

  it('tells what it could not place, and deoptimisations with their reason', () => {
    expect([log.unresolved, log.lateUnresolved]).toEqual([1, 0])
    expect(log.deoptimisations).toEqual([
      { timeUs: 97, kind: 'deopt-eager', place: 'http/head.js:21:5 inlined at a.js:1:1', reason: 'wrong map' },
    ])
  })
})

describe('figures', () => {
  it('a line through points on a line is that line', () => {
    const { slope, intercept } = fitLine([
      [1, 5],
      [2, 7],
      [10, 23],
    ])
    expect(slope).toBeCloseTo(2)
    expect(intercept).toBeCloseTo(3)
  })

  it('ratios are taken within rounds', () => {
    expect(pairedRatios([2, 30], [1, 10])).toEqual({ median: 2.5, least: 2, greatest: 3 })
  })

  it('the model is the lowest of its three bounds', () => {
    const costs = { receivingNs: 100, shardNs: 400 }
    expect(foretell(costs, 1, 16)).toEqual({ limit: 'shards', packetsPerSecond: 2.5e6 })
    expect(foretell(costs, 8, 16)).toEqual({ limit: 'receiving thread', packetsPerSecond: 1e7 })
    expect(foretell(costs, 8, 2)).toEqual({ limit: 'cores', packetsPerSecond: 4e6 })
    expect(saturatingShards(costs)).toBe(4)
  })
})

describe('the gate', () => {
  it('has bounds above what was measured, and refuses what is no measurement', () => {
    expect(boundFor('heapBytesPerPacket', 100)).toBe(115)
    expect(boundFor('copiedBytesPerByte', 1)).toBe(1.005)
    expect(() => boundFor('heapBytesPerPacket', Number.POSITIVE_INFINITY)).toThrow('no measurement')
    expect([exceeds(1, 1), exceeds(1.01, 1), exceeds(Number.NaN, 1)]).toEqual([false, true, true])
    expect(() => readBounds('{"a":null}')).toThrow('a is null')
  })

  it('counts the calls of strace, and not the waiting', () => {
    const counts = readCounts(
      [
        '% time     seconds  usecs/call     calls    errors syscall',
        '------ ----------- ----------- --------- --------- ----------------',
        ' 73.98    0.004663         666         7         2 futex',
        '  0.54    0.000034           1        20        20 recvmmsg',
        '  0.25    0.000016          16         1           writev',
        '------ ----------- ----------- --------- --------- ----------------',
        '100.00    0.006303          10        28        22 total',
      ].join('\n'),
    )
    expect(Object.fromEntries(counts)).toEqual({ futex: 7, recvmmsg: 20, writev: 1 })
    expect(workCalls(counts)).toBe(21)
  })
})

describe('options of these benches', () => {
  it('run some only when they are named', () => {
    expect(isAsked(parseOptions([]), 'gate', true)).toBe(false)
    expect(isAsked(parseOptions(['gate']), 'gate', true)).toBe(true)
    expect(isAsked(parseOptions(['profile']), 'profile/file', true)).toBe(true)
  })

  it('name a base and what is compared', () => {
    expect(parseOptions(['compare', '--base', 'main'])).toMatchObject({ base: 'main', compared: null, write: false })
    expect(() => parseOptions(['--bench', 'pipeline/lve'])).toThrow('--bench: expected pipeline/file')
  })
})

it('a record of GoReplay is a line, the request and a separator of its own', () => {
  const [first, second, rest] = gorRecords(2).split('\n\u{1F435}\u{1F648}\u{1F649}\n')
  expect(first).toMatch(/^1 0{24} \d{19} 0\nGET \/r0 HTTP\/1.1\r\n/)
  expect(second).toMatch(/\r\n\r\n$/)
  expect(rest).toBe('')
})

it('a line of a chunk belongs to the module whose comment stands last before it', () => {
  const text = [
    'import "a";',
    '// src/wire/seq.ts',
    'one',
    'two',
    '// node_modules/zod/x.js',
    '// src/http/head.ts',
    'three',
  ].join('\n')
  expect(modulesIn(text)).toEqual([
    { line: 2, source: 'wire/seq.ts' },
    { line: 5, source: 'node_modules/zod/x.js' },
    { line: 6, source: 'http/head.ts' },
  ])
})
