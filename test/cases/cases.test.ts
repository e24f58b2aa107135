/**
 * Situations of real networks, a small capture each: index.json says which requests must be printed, which may be, and what must not be
 * claimed. Read by inspect as a whole, on one thread.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parseArguments } from '../../src/cli/arguments.ts'
import { FIELDS, type InspectOptions } from '../../src/config/options.ts'
import { resolveOptions } from '../../src/config/resolve.ts'
import { type Summary, summaryInWords } from '../../src/report/summary.ts'
import { total } from '../../src/report/totals.ts'
import { openFormat } from '../../src/sinks/inspect/formats.ts'
import { runOffline } from '../../src/topology/offline-run.ts'
import { printingSinkConfig } from '../../src/topology/stage-configs.ts'

interface Wanted {
  readonly method: string
  readonly uri: string
  readonly bodySha256?: string
  readonly status?: number
}

interface Case {
  readonly file: string
  readonly title: string
  readonly why: string
  readonly options?: readonly string[]
  readonly required: readonly Wanted[]
  readonly allowed: readonly Wanted[]
  readonly counted?: string
}

interface Printed {
  readonly method: string | null
  readonly uri: string
  readonly bodySha256?: string
  readonly response: { readonly status: number } | null
}

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const CASES = JSON.parse(readFileSync(`${FOLDER}index.json`, 'utf8')) as Case[]
const CLAIM = /^must not say (.+?)(, unless every allowed request is printed)?$/
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

test.each(CASES.map((c) => [`${c.file}: ${c.title}`, c] as const))('%s', async (_title, c) => {
  const { printed, summary } = await inspect(c)
  const required = [...c.required]
  const allowed = [...c.allowed]
  const unexpected = printed.filter((request) => !take(request, required) && !take(request, allowed))
  expect({ missing: required, unexpected: unexpected.map(({ method, uri }) => `${method} ${uri}`) }).toEqual({
    missing: [],
    unexpected: [],
  })
  const { packets, requests } = summary
  expect(packets.received).toBe(packets.processed + total(packets.dropped))
  expect(requests.parsed).toBe(total(requests.dropped) + total(requests.replayed) + requests.held)
  expect(requests.replayed.printed ?? 0).toBe(printed.length)
  const [, text, isUnlessAll] = CLAIM.exec(c.counted ?? '') ?? []
  if (text === undefined || (isUnlessAll !== undefined && allowed.length === 0)) return
  expect(summaryInWords(summary, 'printed').join('\n')).not.toContain(text)
})

async function inspect(c: Case): Promise<{ printed: Printed[]; summary: Summary }> {
  const given = parseArguments('inspect', FIELDS.inspect, ['--workers', '0', ...(c.options ?? []), FOLDER + c.file])
  const options: InspectOptions = (await resolveOptions('inspect', given, {})).options
  let lines = ''
  const format = openFormat(
    'ndjson',
    async (data) => {
      lines += Buffer.from(data).toString()
    },
    160,
    false,
    '',
  )
  const { exitCode, summary } = await runOffline({
    options,
    sinkConfig: printingSinkConfig(options),
    ratePerSecond: null,
    maxPauseMs: null,
    speed: Number.POSITIVE_INFINITY,
    loops: 1,
    verb: 'printed',
    tellsSummary: false,
    writeOutput: (bytes) => format.take(bytes),
  })
  await format.end()
  expect(exitCode).toBe(0)
  const all = lines.split('\n').filter((line) => line !== '')
  return { printed: all.map((line) => JSON.parse(line) as Printed).filter(({ method }) => method !== null), summary }
}

/** Takes out of `wanted` what fits. */
function take(seen: Printed, wanted: Wanted[]): boolean {
  const i = wanted.findIndex(
    ({ method, uri, bodySha256, status }) =>
      seen.method === method &&
      seen.uri === uri &&
      (bodySha256 === undefined || (seen.bodySha256 ?? EMPTY) === bodySha256) &&
      (status === undefined || seen.response?.status === status),
  )
  if (i >= 0) wanted.splice(i, 1)
  return i >= 0
}
