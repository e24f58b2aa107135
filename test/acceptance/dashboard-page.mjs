// A dashboard's layout with its data as an HTML page: where each panel stands, its title, axis and lines. It is not Grafana, which draws in its
// own way; it shows what a reader of the JSON cannot see: empty panels, panels that overlap, legends and units that say nothing.

const COLUMN = 58
const ROW = 30
const GAP = 8
const COLOURS = [
  '#73bf69',
  '#f2cc0c',
  '#5794f2',
  '#ff9830',
  '#f2495c',
  '#b877d9',
  '#8ab8ff',
  '#fade2a',
  '#96d98d',
  '#ffa6b0',
]

const escaped = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const scaled = (value, base, units) => {
  let i = 0
  for (; Math.abs(value) >= base && i < units.length - 1; i++) value /= base
  return `${Number(value.toPrecision(3))}${units[i]}`
}
/** As Grafana writes its units, nearly. */
const FORMATS = {
  percentunit: (value) => `${Number((value * 100).toPrecision(3))} %`,
  bytes: (value) => scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB']),
  binBps: (value) => scaled(value, 1024, [' B/s', ' KiB/s', ' MiB/s', ' GiB/s']),
  s: (value) =>
    value === 0
      ? '0 s'
      : value < 0.001
        ? `${(value * 1e6).toFixed(0)} µs`
        : value < 1
          ? `${(value * 1e3).toPrecision(3)} ms`
          : `${value.toPrecision(3)} s`,
  dtdurations: (value) => `${value.toFixed(0)} s`,
  pps: (value) => scaled(value, 1000, [' p/s', ' kp/s']),
  reqps: (value) => scaled(value, 1000, [' req/s', 'K req/s']),
  cps: (value) => scaled(value, 1000, [' c/s', 'K c/s']),
  short: (value) => scaled(value, 1000, ['', ' K', ' Mil']),
}

/** @param dataOf a target's result of query_range */
export function dashboardPage(dashboard, dataOf) {
  const drawn = dashboard.panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos
    const box = `left:${x * COLUMN}px;top:${y * ROW}px;width:${w * COLUMN - GAP}px;height:${h * ROW - GAP}px`
    if (panel.type === 'row') return `<h2 style="${box}">${escaped(panel.title)}</h2>`
    const series = panel.targets.flatMap((target) => seriesOf(target, dataOf(target)))
    const draw = { stat, bargauge, timeseries }[panel.type]
    return `<section style="${box}" title="${escaped(panel.description)}"><b>${escaped(panel.title)}</b>${draw(panel, series, w * COLUMN - GAP - 20, h * ROW - GAP - 62)}</section>`
  })
  const height = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h)) * ROW
  return `<!doctype html><meta charset="utf-8"><title>${escaped(dashboard.title)}</title><style>
body{background:#111217;color:#ccccdc;font:12px sans-serif;margin:8px;position:relative;width:${24 * COLUMN}px;height:${height}px}
section,h2{position:absolute;box-sizing:border-box;overflow:hidden}section{background:#181b1f;border:1px solid #2c3235;padding:6px 9px}h2{font-size:15px;margin:0}
i{font-style:normal;margin-right:9px;white-space:nowrap}p{margin:2px 0;font-size:11px;line-height:1.25}.stat{font-size:34px;margin-top:12px;text-align:center}</style>${drawn.join('\n')}`
}

function seriesOf(target, result) {
  if (!Array.isArray(result)) return []
  return result.map(({ metric, values }) => ({
    name: target.legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
    points: values.map(([at, value]) => [at, Number(value)]).filter(([, value]) => Number.isFinite(value)),
  }))
}

function format({ fieldConfig }) {
  const { unit } = fieldConfig.defaults
  const write = FORMATS[unit]
  if (write === undefined) throw new Error(`the page does not know the unit ${unit}`)
  return write
}

function colourOf({ fieldConfig }, value) {
  const steps = fieldConfig.defaults.thresholds?.steps ?? []
  return steps.filter((step) => step.value === null || step.value <= value).at(-1)?.color ?? '#ccccdc'
}

function stat(panel, [series]) {
  const last = series?.points.at(-1)?.[1]
  return last === undefined
    ? '<p>No data'
    : `<div class="stat" style="color:${colourOf(panel, last)}">${format(panel)(last)}</div>`
}

function bargauge(panel, series, width) {
  const max = panel.fieldConfig.defaults.max ?? Math.max(...series.map(({ points }) => points.at(-1)?.[1] ?? 0), 1)
  if (series.length === 0) return '<p>No data'
  return series
    .map(({ name, points }) => {
      const value = points.at(-1)?.[1] ?? 0
      const length = Math.max(1, (Math.min(1, value / max) * width) / 2)
      return `<p style="display:flex"><span style="width:150px">${escaped(name)}</span><span style="background:${colourOf(panel, value)};width:${length}px;margin-right:6px">&nbsp;</span>${format(panel)(value)}`
    })
    .join('')
}

function timeseries(panel, series, width, height) {
  const points = series.flatMap((one) => one.points)
  if (points.length === 0) return '<p>No data'
  const isStacked = panel.fieldConfig.defaults.custom.stacking.mode === 'normal'
  const times = points.map(([at]) => at)
  const [from, to] = [Math.min(...times), Math.max(...times)]
  const base = new Map()
  const lines = series.map((one) =>
    one.points.map(([at, value]) => {
      const below = isStacked ? (base.get(at) ?? 0) : 0
      base.set(at, below + value)
      return [at, below + value]
    }),
  )
  const top = panel.fieldConfig.defaults.max ?? (Math.max(...lines.flat().map(([, value]) => value)) || 1)
  const x = (at) => 62 + ((at - from) / (to - from || 1)) * (width - 62)
  const y = (value) => height - (value / top) * (height - 8)
  const paths = lines.map((line, i) => {
    const d = line.map(([at, value], n) => `${n === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('')
    return `<path d="${d}" fill="none" stroke="${COLOURS[i % COLOURS.length]}"/>`
  })
  const write = format(panel)
  const axis = [0, 0.5, 1].map(
    (share) =>
      `<text x="58" y="${y(top * share) + 4}" text-anchor="end" fill="#8e8e9a" font-size="10">${write(top * share)}</text><path d="M62 ${y(top * share)}H${width}" stroke="#25282d"/>`,
  )
  const limits = (panel.fieldConfig.defaults.thresholds?.steps ?? [])
    .filter(({ value }) => value !== null && value <= top)
    .map(({ value, color }) => `<path d="M62 ${y(value)}H${width}" stroke="${color}" stroke-dasharray="6 4"/>`)
  const legend = series.map(
    ({ name, points: of }, i) =>
      `<i><span style="color:${COLOURS[i % COLOURS.length]}">▬</span> ${escaped(name)} ${of.length === 0 ? '' : write(of.at(-1)[1])}</i>`,
  )
  return `<svg width="${width}" height="${height + 4}">${axis.join('')}${limits.join('')}${paths.join('')}</svg><p>${legend.slice(0, 14).join('')}`
}
