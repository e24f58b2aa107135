/** Many small panels of the same kind, one line in each: cost over size, the sizes on a logarithmic axis. */
import { INK, MUTED, RULE } from '../support/chart.ts'
import { element, svgDocument, textElement } from '../support/svg.ts'

export interface CostLine {
  readonly name: string
  readonly sizes: readonly number[]
  readonly cost: readonly number[]
}

const COLUMNS = 4
const WIDTH = 1080
const MARGIN = 28
const CELL_WIDTH = (WIDTH - 2 * MARGIN) / COLUMNS
const CELL_HEIGHT = 140
const PLOT = { left: 34, right: 16, top: 40, bottom: 24 }
const LINE = '#2f6db5'

export function drawCosts(
  title: string,
  subtitle: readonly string[],
  lines: readonly CostLine[],
  footnotes: readonly string[],
): string {
  const parts = [textElement(MARGIN, 36, title, { 'font-size': 16, 'font-weight': 'bold', fill: INK })]
  let y = 56
  for (const line of subtitle) {
    parts.push(textElement(MARGIN, y, line, { 'font-size': 12, fill: MUTED }))
    y += 17
  }
  const sizes = lines.flatMap((line) => line.sizes)
  const range = [Math.min(...sizes), Math.max(...sizes)] as const
  for (const [i, line] of lines.entries()) {
    const left = MARGIN + (i % COLUMNS) * CELL_WIDTH
    drawPanel(parts, line, range, left, y + Math.floor(i / COLUMNS) * CELL_HEIGHT)
  }
  y += Math.ceil(lines.length / COLUMNS) * CELL_HEIGHT + 14
  for (const note of footnotes) {
    parts.push(textElement(MARGIN, y, note, { 'font-size': 10.5, fill: MUTED }))
    y += 15
  }
  return svgDocument(WIDTH, y + 4, title, parts.join('\n'))
}

function drawPanel(parts: string[], line: CostLine, range: readonly [number, number], left: number, top: number): void {
  const x0 = left + PLOT.left
  const x1 = left + CELL_WIDTH - PLOT.right
  const y0 = top + CELL_HEIGHT - PLOT.bottom
  const y1 = top + PLOT.top
  // From zero: a picture must not make a ripple look like a slope.
  const greatest = niceAbove(Math.max(...line.cost))
  const x = (size: number) => x0 + ((x1 - x0) * Math.log(size / range[0])) / Math.log(range[1] / range[0])
  const y = (cost: number) => y0 - ((y0 - y1) * cost) / greatest
  for (const [row, words] of inTwoLines(line.name, 40).entries())
    parts.push(textElement(left + 4, top + 14 + row * 13, words, { 'font-size': 10.5, fill: INK }))
  for (const mark of [0, greatest / 2, greatest]) {
    parts.push(element('line', { x1: x0, x2: x1, y1: y(mark), y2: y(mark), stroke: mark === 0 ? MUTED : RULE }))
    parts.push(textElement(x0 - 4, y(mark) + 3, String(mark), { 'font-size': 9, 'text-anchor': 'end', fill: MUTED }))
  }
  for (let size = range[0]; size <= range[1]; size *= 10) {
    parts.push(element('line', { x1: x(size), x2: x(size), y1: y0, y2: y0 + 3, stroke: MUTED }))
    parts.push(textElement(x(size), y0 + 13, short(size), { 'font-size': 9, 'text-anchor': 'middle', fill: MUTED }))
  }
  const points = line.sizes.map((size, i) => `${x(size).toFixed(1)},${y(line.cost[i]!).toFixed(1)}`).join(' ')
  parts.push(element('polyline', { points, fill: 'none', stroke: LINE, 'stroke-width': 1.8 }))
  for (const [i, size] of line.sizes.entries())
    parts.push(element('circle', { cx: x(size), cy: y(line.cost[i]!), r: 2.2, fill: LINE }))
  const last = line.cost.at(-1)!
  const at = { x: x(line.sizes.at(-1)!), y: Math.min(y(last) - 6, y0 - 6) }
  parts.push(
    textElement(Math.min(at.x, x1), at.y, last.toFixed(2), {
      'font-size': 10,
      'font-weight': 'bold',
      'text-anchor': 'end',
      fill: INK,
    }),
  )
}

function niceAbove(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 5, 10].map((n) => n * unit).find((n) => n >= value)!
}

function short(n: number): string {
  return n >= 1e6 ? `${n / 1e6} M` : `${n / 1000} k`
}

function inTwoLines(text: string, most: number): string[] {
  if (text.length <= most) return [text]
  const space = text.lastIndexOf(' ', most)
  return [text.slice(0, space), text.slice(space + 1)]
}
