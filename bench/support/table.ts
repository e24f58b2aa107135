/** Tables for a terminal of 100 columns. */
import type { Spread } from './statistics.ts'

/** Texts in columns, the first column to the left, the others to the right; the first row is the heading. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    `  ${row.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join('  ')}`.trimEnd(),
  )
}

export function count(n: number): string {
  return Math.round(n).toLocaleString('en-US')
}

/** `0.62 (0.58–0.71)`; the median alone where there was one run. */
export function spread({ median, least, greatest }: Spread, digits: number): string {
  if (least === greatest) return median.toFixed(digits)
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${greatest.toFixed(digits)})`
}

/** `1.20 / 0.80 = 1.50 ×`: a ratio never stands alone. */
export function ratio(a: number, b: number, digits: number): string {
  return `${a.toFixed(digits)} / ${b.toFixed(digits)} = ${(a / b).toFixed(2)} ×`
}
