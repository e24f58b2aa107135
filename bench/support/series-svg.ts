/** Time series as a picture: one panel per unit, stacked over one time axis, so that what happens together stands together. */

export interface Series {
  readonly name: string
  /** Null where nothing was measured: the line is broken there. */
  readonly values: readonly (number | null)[]
}

export interface Panel {
  readonly title: string
  readonly unit: string
  /** At most as many as COLOURS; none: there is nothing to show. */
  readonly series: readonly Series[]
}

/** A time in which something was done to what is plotted: shaded through all panels. */
export interface Band {
  readonly fromSeconds: number
  readonly toSeconds: number
  /** Which of the plot's kinds of bands. */
  readonly kind: string
  /** Shown where a pointer rests on it. */
  readonly label: string
}

export interface SeriesPlot {
  readonly title: string
  readonly subtitle: string
  readonly seconds: readonly number[]
  readonly panels: readonly Panel[]
  readonly bands?: readonly Band[]
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
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#b8860b', '#555555', '#7b3294']
/** Pale: lines stay in front. */
const BAND_COLOURS = ['#fbe0cf', '#d6e6f5', '#e3e3e3', '#dcefdc']
/** A moment, such as a kill, has no width. */
const LEAST_BAND = 2
/** A line of the legend, and a character of it. */
const LEGEND = 14
const CHARACTER = 6.6
const INK = '#333333'
const GRID = '#e2e2e2'

export function drawSeries(plot: SeriesPlot): string {
  const bands = plot.bands ?? []
  const kinds = [...new Set(bands.map(({ kind }) => kind))]
  const tops: number[] = []
  let below = HEAD
  for (const { series } of plot.panels) {
    tops.push(below + 18 + (legendLines(series) - 1) * LEGEND)
    below = tops.at(-1)! + PANEL - 18 + BETWEEN
  }
  const height = below - BETWEEN + FOOT
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
  for (const [i, kind] of kinds.entries()) {
    const at = WIDTH - RIGHT - (kinds.length - i) * 110
    parts.push(
      `<rect x="${at}" y="17" width="14" height="10" fill="${BAND_COLOURS[i % BAND_COLOURS.length]}"/>`,
      text(at + 20, 26, kind, ''),
    )
  }
  for (const [i, panel] of plot.panels.entries()) {
    const top = tops[i]!
    for (const band of bands) parts.push(drawBand(band, kinds.indexOf(band.kind), top, PANEL - 18, x))
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

function drawBand(
  { fromSeconds, toSeconds, label: name }: Band,
  kind: number,
  top: number,
  height: number,
  x: (value: number) => number,
): string {
  const from = x(fromSeconds)
  const width = Math.max(LEAST_BAND, x(toSeconds) - from)
  return `<rect x="${from.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${height}" fill="${BAND_COLOURS[kind % BAND_COLOURS.length]}"><title>${escapeText(name)}</title></rect>`
}

/** Of series beside the panel's title, each with its name; from right to left, as many lines as it takes. */
function legendPlaces(series: readonly Series[]): { readonly at: number; readonly line: number }[] {
  let line = 0
  let at = LEFT + 330
  return series.map(({ name }) => {
    const width = 30 + name.length * CHARACTER
    if (at + width > WIDTH - RIGHT) {
      line++
      at = LEFT + 330
    }
    const place = { at, line }
    at += width
    return place
  })
}

function legendLines(series: readonly Series[]): number {
  return series.length < 2 ? 1 : legendPlaces(series).at(-1)!.line + 1
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
  const parts = [text(LEFT, top - 8 - (legendLines(series) - 1) * LEGEND, `${title}, ${unit}`, 'font-weight="bold"')]
  for (const mark of marks) {
    const at = y(mark)
    parts.push(
      line(LEFT, at, WIDTH - RIGHT, at, mark === 0 ? INK : GRID),
      text(LEFT - 8, at + 4, label(mark), 'text-anchor="end"'),
    )
  }
  if (values.length === 0) {
    const why = series.length === 0 ? 'none' : 'not in this build'
    parts.push(text(LEFT + 8, top + height / 2, why, 'fill="#888888"'))
  }
  const places = legendPlaces(series)
  const lines = legendLines(series)
  for (const [i, { name, values: own }] of series.entries()) {
    const colour = COLOURS[i % COLOURS.length]!
    for (const points of unbroken(own, seconds, x, y))
      parts.push(
        `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-linejoin="round"/>`,
      )
    if (series.length === 1) continue
    const { at, line: onLine } = places[i]!
    const y0 = top - (lines - 1 - onLine) * LEGEND
    parts.push(
      `<rect x="${at.toFixed(1)}" y="${y0 - 17}" width="14" height="10" fill="${colour}"/>`,
      text(at + 20, y0 - 8, name, ''),
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
