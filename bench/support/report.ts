/** Collects what the benches found: prints it, keeps it as JSON, and remembers every count that was wrong. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
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

export class Report {
  readonly wrong: string[] = []
  private readonly machine: Machine = describeMachine()
  private readonly results: Result[] = []
  private readonly keyed = new Map<string, Figure>()
  private readonly print: (line: string) => void

  constructor(print: (line: string) => void) {
    this.print = print
    for (const line of machineInWords(this.machine)) print(line)
  }

  heading(bench: string, text: string): void {
    this.print('')
    this.print(`${bench}: ${text}`)
  }

  line(text: string): void {
    this.print(`  ${text}`)
  }

  table(rows: readonly (readonly string[])[]): void {
    for (const line of formatTable(rows)) this.print(line)
  }

  result(result: Result): void {
    this.results.push(result)
  }

  figure(key: string, figure: Figure): void {
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

  /** Writes the JSON and says what was wrong. @returns whether nothing was */
  finish(): boolean {
    mkdirSync(RESULTS, { recursive: true })
    const path = `${RESULTS}${new Date().toISOString().replace(/[:.]/g, '-')}.json`
    writeFileSync(
      path,
      `${JSON.stringify({ machine: this.machine, figures: Object.fromEntries(this.keyed), results: this.results, wrong: this.wrong }, null, 2)}\n`,
    )
    this.print('')
    for (const text of this.wrong) this.print(`WRONG: ${text}`)
    this.print(`${this.wrong.length === 0 ? 'All counts right' : `${this.wrong.length} wrong`}; as JSON: ${path}`)
    return this.wrong.length === 0
  }
}
