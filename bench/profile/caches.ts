/**
 * Whether the hot path stays fast for V8: the state of its inline caches, and code that was thrown away. The program reads a
 * capture many times; what a cache has become at the end is what the steady state runs with, and what still changes in the
 * second half of the time is not steady.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { CHECKOUT } from '../support/machine.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { ChunkSources } from './chunk-sources.ts'
import { type CacheSite, readV8Log, type V8Log } from './v8-log.ts'

const NAME = 'caches'
const PASSES = 8
/** Share of transitions that may be of functions whose creation the log does not tell. */
const MOST_UNKNOWN = 0.1
/** Folders and files of the hot path on one thread, below src. No site in them may be megamorphic, and each must have been seen. */
export const HOT = [
  'wire',
  'sources/files',
  'decapsulation',
  'dispatch',
  'flow',
  'reassembly',
  'http',
  'exchange',
  'sinks/null-sink',
  'metrics/counters',
]
/** Where V8 is allowed to have given up, each with its reason; a site is a function in a file. */
const ALLOWED: ReadonlyMap<string, string> = new Map()
const LOG_OPTIONS = [
  '--log-ic',
  '--log-deopt',
  '--no-logfile-per-isolate',
  // Code that moves or is thrown away for its age would have to be followed.
  '--no-compact',
  '--no-flush-bytecode',
]

export async function benchCaches(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const capture = await benchCapture(options, directory)
  report.heading(NAME, `inline caches and deoptimisations, file → null, --workers 0, ${PASSES} passes`)
  report.line(captureInWords(capture))
  const logPath = join(directory, 'v8.log')
  const nodeOptions = [...LOG_OPTIONS, `--logfile=${logPath}`]
  const run = await replayFile(capture.path, 'null', 0, directory, { loops: PASSES, nodeOptions })
  report.check(NAME, losslessCounts(run.summary, capture.packets * PASSES, capture.requests * PASSES, 'null'))
  const lines = readFileSync(logPath, 'latin1').split('\n')
  const base = pathToFileURL(join(CHECKOUT, 'dist/src/')).href
  const { endUs } = readV8Log(lines, base, Number.POSITIVE_INFINITY)
  const chunks = new ChunkSources(join(CHECKOUT, 'dist/src'))
  const read = readV8Log(lines, base, endUs / 2)
  const log = { ...read, sites: read.sites.map((site) => ({ ...site, file: chunks.sourceOf(site.file, site.line) })) }
  tellCaches(log, report)
  tellDeoptimisations(log, run.summary.fromFirstPacket.seconds * 1e6, report)
}

function tellCaches({ sites, unresolved, lateUnresolved }: V8Log, report: Report): void {
  const transitions = sites.reduce((sum, { count }) => sum + count, 0)
  const hot = sites.filter(({ file }) => HOT.some((part) => file.startsWith(part)))
  const byState = (state: string) => hot.filter((site) => site.state === state).length
  report.line(
    `${hot.length} sites of the hot path changed state at least once: ${byState('1')} ended monomorphic, ${byState('P')} polymorphic, ${hot.filter(isMegamorphic).length} megamorphic, ${byState('X') + byState('0')} before they had feedback; ${unresolved} of ${transitions + unresolved} transitions were of functions in Node's start-up snapshot, ${lateUnresolved} of them late`,
  )
  const megamorphic = hot.filter(isMegamorphic)
  report.result({ bench: NAME, variant: 'inline caches', sites: hot.length, megamorphic: megamorphic.map(describe) })
  const rows = [['site', 'type', 'transitions', 'of them late', 'names', 'verdict']]
  for (const site of megamorphic)
    rows.push([
      describe(site),
      site.type,
      String(site.count),
      String(site.late),
      [...site.names].join(' '),
      ALLOWED.has(keyOf(site)) ? 'allowed' : 'MEGAMORPHIC',
    ])
  for (const site of hot.filter((one) => one.state === 'P').sort((a, b) => b.late - a.late))
    rows.push([
      describe(site),
      site.type,
      String(site.count),
      String(site.late),
      [...site.names].join(' '),
      'polymorphic',
    ])
  if (rows.length > 1) report.table(rows)
  const elsewhere = sites.filter((site) => isMegamorphic(site) && !hot.includes(site) && !site.file.includes(':'))
  for (const site of elsewhere) report.line(`outside the hot path, megamorphic: ${describe(site)}`)
  report.check(NAME, {
    'megamorphic sites in the hot path': [
      megamorphic
        .filter((site) => !ALLOWED.has(keyOf(site)))
        .map(describe)
        .join(', '),
      '',
    ],
    // Without any the log was not read right: each run begins with cold caches.
    ...Object.fromEntries(
      HOT.map((part) => [`transitions in ${part}`, [hot.some(({ file }) => file.startsWith(part)), true] as const]),
    ),
    // Node's own are unknown: they were made before the log began. Ours never are, unless the log is read wrong.
    'transitions of unknown functions are few': [unresolved < transitions * MOST_UNKNOWN, true],
  })
}

function tellDeoptimisations({ deoptimisations, endUs }: V8Log, tookUs: number, report: Report): void {
  // The log has no passes: they are all alike, and the last one ends with the log.
  const passUs = tookUs / PASSES
  const passOf = ({ timeUs }: { timeUs: number }) =>
    Math.min(PASSES, Math.max(0, PASSES - Math.floor((endUs - timeUs) / passUs)))
  const ours = deoptimisations.filter(({ place }) => !place.includes('node:'))
  report.line(`${ours.length} deoptimisations of our code, by pass (the first one compiles, and is the longest):`)
  const rows = [['pass', 'kind', 'place', 'reason']]
  for (const one of ours)
    rows.push([String(passOf(one)), one.kind, one.place.split(' inlined at ')[0]!.trim(), one.reason])
  if (rows.length > 1) report.table(rows)
  report.result({
    bench: NAME,
    variant: 'deoptimisations',
    deoptimisations: ours.map((one) => ({ ...one, pass: passOf(one) })),
  })
}

function isMegamorphic({ state }: CacheSite): boolean {
  return state === 'N' || state === 'G'
}

function keyOf({ file, functionName }: CacheSite): string {
  return `${file} ${functionName}`
}

function describe({ file, functionName, line, column }: CacheSite): string {
  return `${functionName} ${file}:${line}:${column}`
}
