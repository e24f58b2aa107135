/**
 * A table as a picture: one panel for each column of figures, a horizontal bar for each row (the median), a line over it from
 * the least to the greatest run. Every panel begins at zero and has a scale of its own, so two sides of a ratio are seen as
 * they are.
 */
import type { Spread } from './statistics.ts'
import { element, svgDocument, textElement } from './svg.ts'

export interface Panel {
  /** The quantity with its unit, as the table's heading says it. */
  readonly heading: string
  /** One for each row; null: nothing to show. */
  readonly values: readonly (ChartValue | null)[]
}

export interface ChartValue extends Spread {
  /** As the table shows it. */
  readonly text: string
}

export interface Chart {
  readonly title: string
  readonly subtitle: string
  /** Labels of the rows. */
  readonly rows: readonly string[]
  readonly panels: readonly Panel[]
  /** Machine, Node, commit and the like: one line each. */
  readonly footnotes: readonly string[]
}

const WIDTH = 900
const MARGIN = 24
const BAR = 16
const ROW = 24
const CHARACTER = 6.7
/** Of all pictures: text, text of less weight, lines. */
export const INK = '#1c2430'
export const MUTED = '#5a6675'
export const RULE = '#d9dee5'
/** One colour for each row, the same in every panel; told apart also without seeing colours, by their lightness. */
const COLOURS = ['#2f6db5', '#e08a2e', '#3f9c6b', '#b2476d', '#7a6bb8', '#8a7a3c', '#4ba3b8', '#7d8791']
const MOST_LABEL = 330

export function drawChart(chart: Chart): string {
  const longest = Math.max(...chart.rows.map((row) => row.length), 1)
  const labelWidth = Math.min(MOST_LABEL, longest * CHARACTER + 12)
  const parts: string[] = []
  let y = MARGIN + 14
  for (const line of wrapped(chart.title, WIDTH - 2 * MARGIN, 9.2)) {
    parts.push(textElement(MARGIN, y, line, { 'font-size': 16, 'font-weight': 'bold', fill: INK }))
    y += 20
  }
  for (const line of wrapped(chart.subtitle, WIDTH - 2 * MARGIN)) {
    parts.push(textElement(MARGIN, y, line, { 'font-size': 12, fill: MUTED }))
    y += 17
  }
  y += 8
  for (const panel of chart.panels) {
    y = drawPanel(parts, panel, chart.rows, labelWidth, y)
    y += 14
  }
  parts.push(element('line', { x1: MARGIN, x2: WIDTH - MARGIN, y1: y, y2: y, stroke: RULE }))
  y += 17
  for (const note of chart.footnotes.flatMap((line) => wrapped(line, WIDTH - 2 * MARGIN, 6.2))) {
    parts.push(textElement(MARGIN, y, note, { 'font-size': 10.5, fill: MUTED }))
    y += 15
  }
  return svgDocument(WIDTH, y + 4, chart.title, parts.join('\n'))
}

function drawPanel(parts: string[], panel: Panel, rows: readonly string[], labelWidth: number, top: number): number {
  const longestText = Math.max(...panel.values.map((value) => value?.text.length ?? 0))
  const x0 = MARGIN + labelWidth
  const barWidth = WIDTH - MARGIN - x0 - longestText * CHARACTER - 14
  const greatest = Math.max(...panel.values.map((value) => value?.greatest ?? 0))
  const scale = greatest > 0 ? barWidth / greatest : 0
  let y = top + 12
  parts.push(textElement(x0, y, panel.heading, { 'font-size': 12.5, 'font-weight': 'bold', fill: INK }))
  y += 8
  const bottom = y + rows.length * ROW
  for (const [i, row] of rows.entries()) {
    const middle = y + i * ROW + ROW / 2
    parts.push(textElement(x0 - 8, middle + 4, clipped(row), { 'font-size': 12, 'text-anchor': 'end', fill: INK }))
    const value = panel.values[i] ?? null
    if (value === null) {
      parts.push(textElement(x0 + 6, middle + 4, '–', { 'font-size': 12, fill: MUTED }))
      continue
    }
    const bar = { x: x0, y: middle - BAR / 2, width: Math.max(0.5, value.median * scale), height: BAR, rx: 1.5 }
    parts.push(element('rect', { ...bar, fill: COLOURS[i % COLOURS.length]! }))
    if (value.least < value.greatest) parts.push(whisker(x0 + value.least * scale, x0 + value.greatest * scale, middle))
    const textAt = x0 + Math.max(value.median, value.greatest) * scale + 8
    parts.push(textElement(textAt, middle + 4, value.text, { 'font-size': 12, fill: INK }))
  }
  parts.push(element('line', { x1: x0, x2: x0, y1: y, y2: bottom, stroke: MUTED }))
  return bottom
}

function whisker(from: number, to: number, y: number): string {
  const line = (x1: number, y1: number, x2: number, y2: number) =>
    element('line', { x1, y1, x2, y2, stroke: INK, 'stroke-width': 1.5 })
  return line(from, y, to, y) + line(from, y - 4, from, y + 4) + line(to, y - 4, to, y + 4)
}

function clipped(label: string): string {
  const most = Math.floor((MOST_LABEL - 12) / CHARACTER)
  return label.length <= most ? label : `${label.slice(0, most - 1)}…`
}

function wrapped(text: string, width: number, character = CHARACTER): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').filter((part) => part !== '')) {
    if (line !== '' && (line.length + 1 + word.length) * character > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}

/** What a table's cells say, read back: the texts that `spread`, `count` and `toFixed` make. */
export function chartOfTable(
  title: string,
  subtitle: string,
  rows: readonly (readonly string[])[],
  footnotes: readonly string[],
): Chart | null {
  const [headings, ...body] = rows
  if (headings === undefined || body.length === 0) return null
  const columns = headings.map((heading, column) => ({
    heading,
    values: body.map((row) => readCell(row[column] ?? '')),
    isBlank: body.every((row) => ['', '–'].includes((row[column] ?? '').trim())),
  }))
  // What names a row stands in front: its first column, and option values.
  let labels = 1
  while (labels < columns.length && headings[labels]!.startsWith('--')) labels++
  const panels = columns
    .slice(labels)
    .filter(
      ({ values, isBlank }, i) =>
        !isBlank &&
        values.every((value, row) => value !== null || ['', '–'].includes(body[row]![labels + i]!.trim())) &&
        values.some((value) => value !== null && value.greatest > 0) &&
        values.every((value) => value === null || value.least >= 0),
    )
  if (panels.length === 0) return null
  const named = body.map((row) =>
    row
      .slice(0, labels)
      .map((text, i) => (headings[i]!.startsWith('--') ? `${headings[i]} ${text}` : text))
      .join(', '),
  )
  return { title, subtitle, rows: named, panels, footnotes }
}

const NUMBER = String.raw`-?[\d,]+(?:\.\d+)?`
const CELL = new RegExp(String.raw`^(${NUMBER})(?: \((${NUMBER})–(${NUMBER})\))?( ?[%×])?$`)

/** null where the cell is not a figure. */
export function readCell(cell: string): ChartValue | null {
  const text = cell.trim()
  const match = CELL.exec(text)
  if (match === null) return null
  const [median, least, greatest] = [match[1], match[2] ?? match[1], match[3] ?? match[1]].map((part) =>
    Number(part!.replaceAll(',', '')),
  )
  return { median: median!, least: least!, greatest: greatest!, text }
}
