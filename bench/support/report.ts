/** Collects what the benches found: prints it, keeps it as JSON and as pictures, and remembers every count that was wrong. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chartOfTable, drawChart } from './chart.ts'
import { describeMachine, type Machine, machineInWords } from './machine.ts'
import type { Spread } from './statistics.ts'
import { formatTable } from './table.ts'

/** Beside dist/, so that a build does not remove it. */
export const RESULTS = fileURLToPath(new URL('../../../bench/results/', import.meta.url))

export interface Result {
  readonly bench: string
  readonly variant: string
  readonly [figure: string]: unknown
}

/** One figure that a goal or another table may ask for by its key. */
export interface Figure extends Spread {
  readonly unit: string
  /** The variant it is of, where there were several. */
  readonly of?: string
}

interface Picture {
  readonly name: string
  readonly svg: string
}

export class Report {
  readonly wrong: string[] = []
  private readonly machine: Machine = describeMachine()
  private readonly results: Result[] = []
  private readonly keyed = new Map<string, Figure>()
  private readonly pictures: Picture[] = []
  private bench = ''
  private title = ''
  private described: string[] = []
  private readonly print: (line: string) => void

  constructor(print: (line: string) => void) {
    this.print = print
    for (const line of machineInWords(this.machine)) print(line)
  }

  heading(bench: string, text: string): void {
    this.bench = bench
    this.title = text
    this.described = []
    this.print('')
    this.print(`${bench}: ${text}`)
  }

  line(text: string): void {
    this.described.push(text)
    this.print(`  ${text}`)
  }

  /** Prints the table, and keeps it as a picture where any of its columns holds figures. */
  table(rows: readonly (readonly string[])[]): void {
    for (const line of formatTable(rows)) this.print(line)
    const chart = chartOfTable(
      `${this.bench}: ${this.title}`,
      this.described.join('. '),
      rows,
      machineInWords(this.machine),
    )
    if (chart !== null) this.picture(this.bench, drawChart(chart))
  }

  /** A picture that stands beside the tables; told and written at the end. */
  picture(name: string, svg: string): void {
    const plain = name.replaceAll('/', '-')
    const equal = this.pictures.filter((picture) => picture.name.replace(/-\d+$/, '') === plain).length
    this.pictures.push({ name: equal === 0 ? plain : `${plain}-${equal + 1}`, svg })
  }

  result(result: Result): void {
    this.results.push(result)
  }

  figure(key: string, figure: { median: number; least: number; greatest: number; unit: string; of?: string }): void {
    this.keyed.set(key, figure)
  }

  figures(): ReadonlyMap<string, Figure> {
    return this.keyed
  }

  /**
   * Compares counts that came out with those that must.
   * @returns `ok` or `WRONG`, for the table
   */
  check(where: string, counts: Readonly<Record<string, readonly [got: unknown, expected: unknown]>>): 'ok' | 'WRONG' {
    const wrong = Object.entries(counts).filter(([, [got, expected]]) => got !== expected)
    for (const [what, [got, expected]] of wrong)
      this.wrong.push(`${where}: ${what}: expected ${String(expected)}, got ${String(got)}`)
    return wrong.length === 0 ? 'ok' : 'WRONG'
  }

  /** A bench that could not be run to its end. */
  failed(bench: string, error: unknown): void {
    this.wrong.push(`${bench}: ${error instanceof Error ? error.message : String(error)}`)
  }

  /** Writes JSON and pictures and says what was wrong. @returns whether nothing was */
  finish(): boolean {
    mkdirSync(RESULTS, { recursive: true })
    const path = `${RESULTS}${new Date().toISOString().replace(/[:.]/g, '-')}`
    const { machine, results, wrong } = this
    writeFileSync(
      `${path}.json`,
      `${JSON.stringify({ machine, figures: Object.fromEntries(this.keyed), results, wrong }, null, 2)}\n`,
    )
    for (const { name, svg } of this.pictures) writeFileSync(`${path}-${name}.svg`, svg)
    this.print('')
    for (const text of wrong) this.print(`WRONG: ${text}`)
    this.print(`${wrong.length === 0 ? 'All counts right' : `${wrong.length} wrong`}; as JSON: ${path}.json`)
    if (this.pictures.length > 0)
      this.print(`as pictures: ${path}-…svg (${this.pictures.map(({ name }) => name).join(', ')})`)
    return wrong.length === 0
  }
}
