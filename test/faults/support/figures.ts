/** What a test saw, as a line beside its name and as a row of a file from which docs/faults.md is written. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

export type Figures = Readonly<Record<string, string | number | Readonly<Record<string, number>>>>

/** A line of JSON for each test, or row of the matrix; report.ts makes tables of them. */
export const REPORT = fileURLToPath(new URL('../../../dist/faults.ndjson', import.meta.url))

/** @param row `engine | fault` of the origin matrix, or a name where that of the test does not say enough */
export function tellFigures(figures: Figures, row: string | null = null): void {
  const test = expect.getState().currentTestName ?? ''
  console.log(`      ${row ?? test.split(' > ').at(-1)}\n        ${inWords(figures)}`)
  mkdirSync(dirname(REPORT), { recursive: true })
  appendFileSync(REPORT, `${JSON.stringify({ test, row, figures })}\n`)
}

export function inWords(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name}: ${figureInWords(value)}`)
    .join('; ')
}

export function figureInWords(value: Figures[string]): string {
  return typeof value === 'object' ? countsInWords(value) : String(value)
}

export function countsInWords(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).filter(([, n]) => n !== 0)
  return entries.length === 0 ? 'none' : entries.map(([name, n]) => `${name} ${n}`).join(', ')
}
