/** Curves over a few points of a logarithmic axis: panels side by side that share it. Every curve has its name, its colour and its own mark. */
import { INK, MUTED, RULE } from './chart.ts'
import type { Spread } from './statistics.ts'
import { element, svgDocument, textElement } from './svg.ts'

export interface Curve {
  readonly name: string
  /** One for each point; null: not measured. */
  readonly values: readonly (Spread | null)[]
  /** A line to compare with, which was not measured. */
  readonly isReference?: boolean
}

export interface LinePanel {
  readonly heading: string
  readonly curves: readonly Curve[]
  /** Top of the scale, which begins at zero. */
  readonly most: number
}

export interface LineChart {
  readonly title: string
  readonly subtitle: readonly string[]
  /** What the points are, and where on the axis. */
  readonly axis: string
  readonly points: readonly { readonly at: number; readonly label: string }[]
  readonly panels: readonly LinePanel[]
  readonly footnotes: readonly string[]
}

const WIDTH = 900
const MARGIN = 24
const LEFT = 46
const PANEL_HEIGHT = 250
const BETWEEN = 34
/** Okabe and Ito's: told apart with any colour vision. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7']
const STEPS = 4

export function drawLines(chart: LineChart): string {
  const parts: string[] = []
  let y = MARGIN + 14
  parts.push(textElement(MARGIN, y, chart.title, { 'font-size': 16, 'font-weight': 'bold', fill: INK }))
  for (const line of chart.subtitle) {
    y += 18
    parts.push(textElement(MARGIN, y, line, { 'font-size': 12, fill: MUTED }))
  }
  y += 30
  const width = (WIDTH - 2 * MARGIN - BETWEEN * (chart.panels.length - 1)) / chart.panels.length
  let bottom = y
  for (const [i, panel] of chart.panels.entries())
    bottom = Math.max(bottom, drawPanel(parts, chart, panel, MARGIN + i * (width + BETWEEN), y, width))
  y = bottom + 14
  parts.push(element('line', { x1: MARGIN, x2: WIDTH - MARGIN, y1: y, y2: y, stroke: RULE }))
  for (const note of chart.footnotes) {
    y += 16
    parts.push(textElement(MARGIN, y, note, { 'font-size': 10.5, fill: MUTED }))
  }
  return svgDocument(WIDTH, y + 16, chart.title, parts.join('\n'))
}

/** @returns where it ends */
function drawPanel(parts: string[], chart: LineChart, panel: LinePanel, left: number, top: number, width: number) {
  const [x0, x1] = [left + LEFT, left + width - 14]
  const [y0, y1] = [top + 14 + PANEL_HEIGHT, top + 14]
  const logs = chart.points.map(({ at }) => Math.log(at))
  const [first, last] = [Math.min(...logs), Math.max(...logs)]
  const x = (i: number) => x0 + ((logs[i]! - first) / (last - first)) * (x1 - x0)
  const y = (value: number) => y0 - (Math.min(value, panel.most) / panel.most) * (y0 - y1)
  parts.push(textElement(left, top, panel.heading, { 'font-size': 12.5, 'font-weight': 'bold', fill: INK }))
  for (let step = 0; step <= STEPS; step++) {
    const value = (panel.most * step) / STEPS
    parts.push(element('line', { x1: x0, x2: x1, y1: y(value), y2: y(value), stroke: step === 0 ? MUTED : RULE }))
    const text = `${Math.round(value * 100)} %`
    parts.push(textElement(x0 - 6, y(value) + 4, text, { 'font-size': 11, 'text-anchor': 'end', fill: MUTED }))
  }
  for (const [i, { label }] of chart.points.entries()) {
    parts.push(element('line', { x1: x(i), x2: x(i), y1: y0, y2: y0 + 4, stroke: MUTED }))
    parts.push(textElement(x(i), y0 + 17, label, { 'font-size': 11, 'text-anchor': 'middle', fill: MUTED }))
  }
  parts.push(textElement((x0 + x1) / 2, y0 + 34, chart.axis, { 'font-size': 11, 'text-anchor': 'middle', fill: MUTED }))
  let legendAt = y0 + 54
  for (const [c, curve] of panel.curves.entries()) {
    const colour = curve.isReference ? MUTED : COLOURS[c % COLOURS.length]!
    const dashes = curve.isReference ? { 'stroke-dasharray': '4 4' } : {}
    const measured = curve.values.flatMap((value, i) => (value === null ? [] : [{ value, i }]))
    const points = measured.map(({ value, i }) => `${x(i).toFixed(1)},${y(value.median).toFixed(1)}`).join(' ')
    parts.push(element('polyline', { points, fill: 'none', stroke: colour, 'stroke-width': 2, ...dashes }))
    for (const { value, i } of measured) {
      if (curve.isReference) continue
      const range = { x1: x(i), x2: x(i), y1: y(value.least), y2: y(value.greatest) }
      if (value.least < value.greatest)
        parts.push(element('line', { ...range, stroke: colour, 'stroke-width': 5, 'stroke-opacity': 0.35 }))
      parts.push(mark(c, x(i), y(value.median), colour))
    }
    const line = { x1: x0, x2: x0 + 22, y1: legendAt - 4, y2: legendAt - 4 }
    parts.push(element('line', { ...line, stroke: colour, 'stroke-width': 2, ...dashes }))
    if (!curve.isReference) parts.push(mark(c, x0 + 11, legendAt - 4, colour))
    parts.push(textElement(x0 + 30, legendAt, curve.name, { 'font-size': 11.5, fill: INK }))
    legendAt += 17
  }
  return legendAt - 6
}

/** Told apart also without colours. */
function mark(curve: number, x: number, y: number, fill: string): string {
  if (curve % 2 === 0) return element('circle', { cx: x, cy: y, r: 4, fill })
  return element('rect', { x: x - 3.5, y: y - 3.5, width: 7, height: 7, fill })
}
