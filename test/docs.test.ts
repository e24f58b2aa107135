import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { OUTCOME_NAMES, PACKET_DROP_NAMES, REQUEST_DROP_NAMES, RESPONSE_DROP_NAMES } from '../src/base/drop.ts'
import { flagName } from '../src/config/field.ts'
import { allOptions } from '../src/config/options.ts'
import type { Exchange } from '../src/exchange/exchange.ts'
import { PROTOCOLS } from '../src/http/protocol.ts'
import { COUNTER_BLOCK_BYTES, CounterBlock } from '../src/metrics/counters.ts'
import { FINDING_HELP } from '../src/report/diagnosis/finding.ts'
import { readingOf } from '../src/report/diagnosis/reading.ts'
import { Watch } from '../src/report/diagnosis/watch.ts'
import { describeMetrics } from '../src/report/render-metrics-docs.ts'
import { makeSummary } from '../src/report/summary.ts'
import { Totals } from '../src/report/totals.ts'
import { exchangeLine } from '../src/sinks/inspect/exchange-lines.ts'
import { anchorsOf } from './support/anchors.ts'
import { factsOf, ownedOf } from './support/exchanges.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** What stands in code spans: the names a page speaks of. */
function namesIn(page: string): Set<string> {
  return new Set([...page.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!))
}

describe('the references name what there is', () => {
  test('docs/summary.md has every key of the summary, and every protocol that is counted', () => {
    const spent = { seconds: 1, cpuSeconds: 1, fromFirstPacket: { seconds: 1, cpuSeconds: 1 } }
    // A live run: otherwise `addedLatencyMs` is null and shows no keys.
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    const counters = new CounterBlock(memory)
    counters.addedLatency(1)
    counters.publish()
    const summary = makeSummary(Totals.read([memory]), [], false, spent)
    const keys = Object.entries(summary).flatMap(([key, value]) => {
      const inner = Object.keys(value as object)
      return inner.length === 0 ? [key] : inner.map((name) => `${key}.${name}`)
    })
    const names = namesIn(read('docs/summary.md'))
    expect([...keys, ...PROTOCOLS].filter((name) => !names.has(name))).toEqual([])
  })

  test('docs/inspect-format.md has every key that inspect prints', () => {
    const names = namesIn(read('docs/inspect-format.md'))
    const lines = [exchange({ isIncomplete: false }), exchange({ isIncomplete: true })].map(
      (e) => JSON.parse(exchangeLine(e)) as Record<string, object>,
    )
    const keys = lines.flatMap((line) => [...Object.keys(line), ...Object.keys(line.response!)])
    expect(keys).toEqual(expect.arrayContaining(['body', 'interim', 'incomplete', 'elapsedMs']))
    expect(keys.filter((key) => !names.has(key))).toEqual([])
  })

  test('docs/replay.md names only reasons there are', () => {
    const table = read('docs/replay.md').split('## What is never sent')[1]!.split('\n## ')[0]!
    const reasons = [...table.matchAll(/^\|[^|]*\| (`[^|]*) \|/gm)].flatMap((row) => [...namesIn(row[1]!)])
    expect(reasons.length).toBeGreaterThan(10)
    expect(reasons.filter((name) => !REQUEST_DROP_NAMES.includes(name))).toEqual([])
  })
})

describe('docs/diagnose.md', () => {
  const page = read('docs/diagnose.md')

  test('has every finding there is with what it means, and no other', () => {
    const rows = [...page.matchAll(/^\| `(\w+)` \| ([^|]+) \| [^|]*\S[^|]* \|$/gm)].filter(([, , meaning]) =>
      meaning!.endsWith('.'),
    )
    expect(Object.fromEntries(rows.map(([, code, meaning]) => [code, meaning]))).toEqual(FINDING_HELP)
  })

  test('has every key of /diagnose', () => {
    const memory = new SharedArrayBuffer(COUNTER_BLOCK_BYTES)
    new CounterBlock(memory).publish()
    const reading = readingOf(0, Totals.read([memory]), [], null)
    const setup = {
      listen: [],
      interface: null,
      ports: null,
      vnis: null,
      datagramBytes: 9216,
      to: null,
      percent: 100,
      sampleBy: 'random',
    }
    const keys = [...Object.keys(new Watch(reading).diagnosis(reading, setup)), ...Object.keys(reading.refused)]
    const names = namesIn(page)
    expect(keys.filter((key) => !names.has(key))).toEqual([])
  })

  test('shows what was tried: at least ten set-ups that are wrong', () => {
    const tried = page.split('<!-- made by')[1]!.match(/^\| .* \|$/gm) ?? []
    expect(tried.length).toBeGreaterThan(12)
  })
})

describe('docs/security.md', () => {
  const rows = read('docs/security.md')
    .split('\n')
    .filter((line) => /^\| [^|]*\|/.test(line) && !/^\| (attacker|---)/.test(line))

  test('names for each line of its threat model a test that exists, by file and title', () => {
    expect(rows.length).toBeGreaterThan(30)
    const wrong = rows.filter((row) => {
      const [, file, title] = /`([\w./-]+)`(?:: "(.+)")? \|$/.exec(row) ?? []
      if (file === undefined || !existsSync(join(ROOT, 'test', file))) return true
      if (!file.endsWith('.test.ts')) return title !== undefined
      // As the argument of a test, whatever its form: a comment does not count.
      const text = read(join('test', file))
      return title === undefined || !["'", '`', '"'].some((quote) => text.includes(`${quote}${title}${quote},`))
    })
    expect(wrong).toEqual([])
  })

  test('names only options that exist', () => {
    const options = new Set(allOptions().map(({ key }) => `--${flagName(key)}`))
    const pages = ['docs/security.md', 'SECURITY.md', 'deploy/README.md'].map(read).join('\n')
    const named = [...pages.matchAll(/(?<=mirrorshard run .*|`)--[a-z][a-z-]+/g)].map(([name]) => name)
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter((name) => !options.has(name))).toEqual([])
  })
})

describe('docs/operations.md', () => {
  test('leads to each reason and outcome there is, and to no other', () => {
    const links = [...read('docs/operations.md').matchAll(/\[`\w+`\]\(metrics\.md#((\w+)-(\w+))\)/g)]
    const expected = [
      ...PACKET_DROP_NAMES.slice(1).map((name) => `packet-${name}`),
      ...REQUEST_DROP_NAMES.slice(1).map((name) => `request-${name}`),
      ...RESPONSE_DROP_NAMES.slice(1).map((name) => `response-${name}`),
      ...OUTCOME_NAMES.slice(1).map((name) => `outcome-${name}`),
    ]
    expect([...new Set(links.map(([, anchor]) => anchor))].sort()).toEqual(expected.sort())
  })

  test('names only metrics, reasons and labels that exist, as all pages do', () => {
    const metrics = new Set(
      describeMetrics().flatMap(({ name, type }) => (type === 'histogram' ? [name, `${name}_bucket`] : [name])),
    )
    const pages = pagesOf().map(read).join('\n')
    const named = [...pages.matchAll(/`[^`\n]*`/g)].flatMap(([span]) => span.match(/\bmirrorshard_[a-z_]+/g) ?? [])
    expect(named.length).toBeGreaterThan(100)
    expect([...new Set(named)].filter((name) => !metrics.has(name) && name !== 'mirrorshard_')).toEqual([])

    const selected = [...read('docs/operations.md').matchAll(/\{(reason|outcome)=~?"([^"]+)"/g)]
    expect(selected.length).toBeGreaterThan(5)
    const reasons = new Set([...PACKET_DROP_NAMES, ...REQUEST_DROP_NAMES])
    expect(selected.flatMap(([, , names]) => names!.split('\\|')).filter((name) => !reasons.has(name))).toEqual([])
  })
})

test('links between pages lead to files that exist, and to places in them', () => {
  const pages = pagesOf()
  expect(pages.length).toBeGreaterThan(20)
  const dead = pages.flatMap((page) => {
    const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!)
    return links
      .filter((link) => !/^https?:/.test(link))
      .filter((link) => {
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path)
        if (!existsSync(target)) return true
        return anchor !== undefined && target.endsWith('.md') && !anchorsOf(readFileSync(target, 'utf8')).has(anchor)
      })
      .map((link) => `${relative('', page)} → ${link}`)
  })
  expect(dead).toEqual([])
})

function pagesOf(): string[] {
  return ['', 'docs', 'src', 'workers', 'bench', 'test', 'native-notes', 'deploy', '.ci']
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: folder !== '', encoding: 'utf8' })
        .filter((name) => name.endsWith('.md'))
        .map((name) => join(folder, name)),
    )
}

/** An exchange that has everything. */
function exchange({ isIncomplete }: { isIncomplete: boolean }): Exchange {
  const facts = { body: Buffer.from('a'), sha256: 'aa', firstUs: 1, lastUs: 2 }
  return {
    id: { connection: 1, stream: 0, index: 0 },
    connection: factsOf(),
    request: ownedOf('GET / HTTP/1.1\r\n\r\n', facts),
    response: ownedOf('HTTP/1.1 200 x\r\n\r\n', { ...facts, isIncomplete }),
    interim: [ownedOf('HTTP/1.1 100 x\r\n\r\n', { ...facts, isIncomplete })],
  }
}
