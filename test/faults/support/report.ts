/** Around the whole suite: forgets the figures of the last run, prints those of this one as tables, and writes docs/faults.md when asked to. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { type Figures, figureInWords, inWords, REPORT } from './figures.ts'

/** Path of the page to write; unset: none is written. */
const PAGE = process.env.FAULTS_PAGE

interface Entry {
  /** Name of the test, its groups in front. */
  readonly test: string
  /** `engine | fault` of the origin matrix, or a name where the test's own does not say enough. */
  readonly row: string | null
  readonly figures: Figures
}

export function setup(): void {
  rmSync(REPORT, { force: true })
}

export function teardown(): void {
  const entries = readEntries()
  const rows = entries.filter(isOfMatrix)
  if (rows.length > 0) console.log(`\n${matrixText(rows).join('\n')}\n`)
  if (PAGE === undefined) return
  writeFileSync(PAGE, page(entries))
  console.log(`written: ${PAGE}`)
}

function readEntries(): Entry[] {
  if (!existsSync(REPORT)) return []
  const entries = readFileSync(REPORT, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry)
  // Of a test that was tried again the last attempt counts.
  return [...new Map(entries.map((entry) => [entry.row ?? entry.test, entry])).values()]
}

function isOfMatrix({ row }: Entry): boolean {
  return row?.includes(' | ') ?? false
}

/** In columns, for a terminal: the fault, the engine, and what is short. */
function matrixText(rows: readonly Entry[]): string[] {
  const cells = rows.map(({ row, figures }) => {
    const [engine = '', fault = ''] = row!.split(' | ')
    return [fault, engine, ...Object.values(figures).map(figureInWords)]
  })
  const widths = cells[0]!.map((_, i) => Math.min(60, Math.max(...cells.map((line) => (line[i] ?? '').length))))
  return cells.map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '))
}

function page(entries: readonly Entry[]): string {
  const matrix = entries.filter(isOfMatrix)
  const others = entries.filter((entry) => !matrix.includes(entry))
  const commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim()
  const machine = `${(cpus()[0]?.model ?? 'unknown processor').trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, ${type()} ${release()}`
  return `${[
    '# Faults',
    '',
    'What `npm run test:faults` does to the built program, and what it saw in one run. Every fault is real: sockets, signals, threads,',
    'a full disk. Behind each the sums of `/metrics` must hold (every packet and every request is in exactly one place), and so must',
    'the bounds that the tests name; the figures are of one machine and one moment.',
    '',
    `Run on ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, commit ${commit}, ${machine}.`,
    'Written by `FAULTS_PAGE=docs/faults.md npm run test:faults`.',
    '',
    '## An origin that misbehaves',
    '',
    'One shard, 16 connections, a queue of 200 requests, time-outs of 0.8 s. For 1.2 s some ten requests a second meet the fault while',
    'eighty others are answered well; faults of the connection itself hit all, and what waited is then answered (2xx) when they are over. In the columns: what the faulty requests came to (outcomes, or',
    'reasons of drops), the slowest hundredth of the other requests from the mirror to the origin, requests sent a second time (idempotent',
    'ones, on a connection that had been closed), the first request that arrives after the fault, and memory, descriptors and sockets',
    'before and after. A POST was never executed twice.',
    '',
    ...table(
      ['fault', 'engine', ...Object.keys(matrix[0]?.figures ?? {})],
      matrix.map(({ row, figures }) => {
        const [engine = '', fault = ''] = row!.split(' | ')
        return [fault, engine, ...Object.values(figures).map(figureInWords)]
      }),
    ),
    '',
    '## Everything else',
    '',
    ...table(
      ['fault', 'seen'],
      others.map(({ test, row, figures }) => [row ?? test.replaceAll(' > ', ': '), inWords(figures)]),
    ),
  ].join('\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

/** Folders of this run's machine are nobody's business. */
function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|').replace(/\/\S*\/mirrorshard-[^/\s]+\//g, '…/')
}
