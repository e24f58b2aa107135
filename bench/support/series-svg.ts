/** Time series as a picture: one panel per unit, stacked over one time axis, so that what happens together stands together. */

export interface Series {
  readonly name: string
  /** Null where nothing was measured: the line is broken there. */
  readonly values: readonly (number | null)[]
}

export interface Panel {
  readonly title: string
  readonly unit: string
  /** At most as many as COLOURS. */
  readonly series: readonly Series[]
}

export interface SeriesPlot {
  readonly title: string
  readonly subtitle: string
  readonly seconds: readonly number[]
  readonly panels: readonly Panel[]
}

const WIDTH = 960
const LEFT = 76
const RIGHT = 24
const HEAD = 64
const PANEL = 128
const BETWEEN = 44
const FOOT = 44
const TICKS = 4
/** Okabe and Ito's: told apart with any colour vision. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7']
const INK = '#333333'
const GRID = '#e2e2e2'

export function drawSeries(plot: SeriesPlot): string {
  const height = HEAD + plot.panels.length * (PANEL + BETWEEN) - BETWEEN + FOOT
  const [first = 0] = plot.seconds
  const last = plot.seconds.at(-1) ?? 1
  const inMinutes = last - first > 180
  const x = scale(first, Math.max(last, first + 1), LEFT, WIDTH - RIGHT)
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="11" fill="${INK}" role="img">`,
    `<title>${escapeText(plot.title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(LEFT, 26, plot.title, 'font-size="16" font-weight="bold"'),
    text(LEFT, 44, plot.subtitle, ''),
  ]
  for (const [i, panel] of plot.panels.entries()) {
    const top = HEAD + i * (PANEL + BETWEEN) + 18
    parts.push(...drawPanel(panel, plot.seconds, top, PANEL - 18, x))
  }
  const bottom = height - FOOT
  for (const tick of ticks(first / (inMinutes ? 60 : 1), last / (inMinutes ? 60 : 1), 10)) {
    if ((inMinutes ? tick * 60 : tick) > last || (inMinutes ? tick * 60 : tick) < first) continue
    const at = x(inMinutes ? tick * 60 : tick)
    parts.push(line(at, bottom, at, bottom + 4, INK), text(at, bottom + 17, label(tick), 'text-anchor="middle"'))
  }
  parts.push(text(WIDTH - RIGHT, bottom + 34, inMinutes ? 'minutes' : 'seconds', 'text-anchor="end"'), '</svg>')
  return `${parts.join('\n')}\n`
}

function drawPanel(
  { title, unit, series }: Panel,
  seconds: readonly number[],
  top: number,
  height: number,
  x: (value: number) => number,
): string[] {
  const values = series.flatMap((s) => s.values.filter((v) => v !== null))
  // From zero: a picture must not make a ripple look like a leak.
  const marks = ticks(0, Math.max(...values, 0) || 1, TICKS)
  const y = scale(0, marks.at(-1)!, top + height, top)
  const parts = [text(LEFT, top - 8, `${title}, ${unit}`, 'font-weight="bold"')]
  for (const mark of marks) {
    const at = y(mark)
    parts.push(
      line(LEFT, at, WIDTH - RIGHT, at, mark === 0 ? INK : GRID),
      text(LEFT - 8, at + 4, label(mark), 'text-anchor="end"'),
    )
  }
  if (values.length === 0) parts.push(text(LEFT + 8, top + height / 2, 'not in this build', 'fill="#888888"'))
  for (const [i, { name, values: own }] of series.entries()) {
    const colour = COLOURS[i]!
    for (const points of unbroken(own, seconds, x, y))
      parts.push(
        `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-linejoin="round"/>`,
      )
    if (series.length === 1) continue
    const at = WIDTH - RIGHT - (series.length - i) * 150
    parts.push(
      `<rect x="${at}" y="${top - 17}" width="14" height="10" fill="${colour}"/>`,
      text(at + 20, top - 8, name, ''),
    )
  }
  return parts
}

/** Runs of values without a gap, as points of a polyline. */
function unbroken(
  values: readonly (number | null)[],
  seconds: readonly number[],
  x: (value: number) => number,
  y: (value: number) => number,
): string[] {
  const runs: string[][] = [[]]
  for (const [i, value] of values.entries()) {
    if (value === null) runs.push([])
    else runs.at(-1)!.push(`${x(seconds[i]!).toFixed(1)},${y(value).toFixed(1)}`)
  }
  return runs.filter((points) => points.length > 0).map((points) => points.join(' '))
}

/** Round steps of 1, 2 or 5 from at or below `least` to at or above `greatest`, about `count` of them. */
export function ticks(least: number, greatest: number, count: number): number[] {
  const raw = Math.max(greatest - least, Number.MIN_VALUE) / count
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999) ?? 10)
  const marks: number[] = []
  for (let n = Math.floor(least / step); ; n++) {
    // Multiplied, not added up: 0.1 added three times is not 0.3.
    marks.push(Number((n * step).toPrecision(12)))
    if (n * step >= greatest) return marks
  }
}

function scale(from: number, to: number, start: number, end: number): (value: number) => number {
  return (value) => start + ((value - from) / (to - from)) * (end - start)
}

function label(n: number): string {
  return n.toLocaleString('en-US', { maximumFractionDigits: 6 })
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${colour}"/>`
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeText(content)}</text>`
}

function escapeText(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
