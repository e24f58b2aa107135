/** Around the whole suite: forgets the figures of the last run, prints those of this one as tables, and writes docs/faults.md when asked to. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { type Figures, figureInWords, REPORT } from './figures.ts'

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
    'a full disk. After each fault the sums of `/metrics` must balance: every packet and every request is in exactly one place. The',
    'limits that the tests set must hold too. The figures are from one machine at one time.',
    '',
    `Run on ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, commit ${commit}, ${machine}.`,
    'Written by `FAULTS_PAGE=docs/faults.md npm run test:faults`.',
    '',
    '## An origin that misbehaves',
    '',
    'One shard, 16 connections, a queue of 200 requests, time-outs of 0.8 s. For 1.2 s about ten requests a second meet the fault while',
    'eighty others are answered well. Faults of the connection itself hit all requests; those that waited are answered (2xx) when the fault',
    'is over. A POST was never executed twice. The columns:',
    '',
    '- *faulty requests came to*: their outcomes, or reasons of drops',
    '- *others: p99 ms*: the slowest hundredth of the other requests, from the mirror to the origin',
    '- *sent again*: requests sent a second time (idempotent ones, on a connection that had been closed)',
    '- *back after ms*: the first request that arrives after the fault',
    '- *sockets*, *descriptors*, *RSS MB*: at the end, or before → after',
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
    ...inGroups(others).flatMap((group, i) => [...(i === 0 ? [] : ['']), ...groupTable(group)]),
  ].join('\n')}\n`
}

/** Entries with the same first two figures share a table, in order of their first appearance. */
function inGroups(entries: readonly Entry[]): Entry[][] {
  const groups = new Map<string, Entry[]>()
  for (const entry of entries) {
    const kind = Object.keys(entry.figures).slice(0, 2).join()
    const group = groups.get(kind)
    if (group === undefined) groups.set(kind, [entry])
    else group.push(entry)
  }
  return [...groups.values()]
}

/** A column for each figure; empty where an entry does not have it. */
function groupTable(group: readonly Entry[]): string[] {
  const names = [...new Set(group.flatMap(({ figures }) => Object.keys(figures)))]
  return table(
    ['fault', ...names],
    group.map(({ test, row, figures }) => [
      row ?? test.replaceAll(' > ', ': '),
      ...names.map((name) => (figures[name] === undefined ? '' : figureInWords(figures[name]))),
    ]),
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

/** Folders of this run's machine are nobody's business. */
function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|').replace(/\/\S*\/mirrorshard-[^/\s]+\//g, '…/')
}
