/** A run as one page that needs nothing else: no script, nothing fetched. */
import { escapeXml } from '../support/svg.ts'
import { count } from '../support/table.ts'
import { drawRun } from './plots.ts'
import type { RunFile } from './run.ts'
import { inDoubtOf, recoveryOf } from './verdict.ts'

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; font-size: 14px } td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #d9dee5; vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } code { font-size: 13px }
.verdict { display: inline-block; padding: .2rem .8rem; border-radius: 4px; color: #fff; font-weight: bold } .passed { background: #1f7a4d } .failed { background: #b3261e }
td.passed { background: none; color: #1f7a4d; font-weight: bold; white-space: nowrap } td.failed { background: none; color: #b3261e; font-weight: bold } td.open { color: #5a6675 }
p.muted { color: #5a6675; margin: .1rem 0 } svg { max-width: 100%; height: auto; margin: .8rem 0 }`

export function renderPage(run: RunFile): string {
  const verdict = run.isPassed ? 'PASSED' : 'FAILED'
  const badge = `<span class="verdict ${run.isPassed ? 'passed' : 'failed'}">${verdict}</span>`
  const { options, evidence } = run
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>mirrorshard soak ${escapeXml(run.when)}: ${verdict}</title><style>${STYLE}</style></head><body>
<h1>mirrorshard soak ${badge}</h1>
<p class="muted">${escapeXml(run.when)}; ${options.minutes} min, seed ${options.seed}, ${count(options.rate)} packets/s, ${options.workers} workers, ${options.receivers} receiver${options.receivers > 1 ? 's' : ''}; ${evidence.events.length} events</p>
${run.machine.map((line) => `<p class="muted">${escapeXml(line)}</p>`).join('\n')}
<p class="muted">Again: <code>${escapeXml(run.command)}</code></p>
<h2>Totals</h2>
${table(['', 'count'], totalsOf(run), [1])}
<h2>Over time</h2>
<p class="muted">Bands: what was done to the service, from its beginning to its end (killed threads: until they ran again). A pointer that rests on one shows its name.</p>
${drawRun(run)
  .map(({ svg }) => svg.replace(/^<\?xml[^>]*>\s*/, ''))
  .join('\n')}
<h2>Events</h2>
${table(['event', 'at, s', 'lasted, s', 'recovered after, s', 'bound, s'], eventsOf(run), [1, 2, 3, 4])}
<h2>Verdict ${badge}</h2>
<table><tr><th></th><th>criterion</th><th>what was seen</th></tr>
${run.criteria.map(criterionRow).join('\n')}
</table>
</body></html>
`
}

function criterionRow({ name, isPassed, detail }: RunFile['criteria'][number]): string {
  const [word, kind] =
    isPassed === null ? ['not judged', 'open'] : isPassed ? ['passed', 'passed'] : ['FAILED', 'failed']
  return `<tr><td class="${kind}">${word}</td><td>${escapeXml(name)}</td><td>${escapeXml(detail)}</td></tr>`
}

function eventsOf({ evidence }: RunFile): string[][] {
  return evidence.events.map((event) => {
    const took = recoveryOf(event, evidence.events)
    return [
      event.name,
      event.startS.toFixed(1),
      event.endS === null ? '–' : (event.endS - event.startS).toFixed(1),
      took === null ? 'never' : took.toFixed(1),
      event.boundS.toFixed(0),
    ]
  })
}

/** Names and counts, sums first, then each reason. */
export function totalsOf({ evidence: { sent, origin, summary } }: RunFile): string[][] {
  const rows: [string, number][] = [
    ['packets sent', sent.packets],
    ['… of floods', sent.floodPackets],
    ['requests sent', sent.requests],
  ]
  if (summary !== null) {
    const { packets, requests, flows } = summary
    rows.push(
      ['packets received', packets.received],
      ['packets dropped by the kernel', packets.kernelDropped ?? 0],
      ...Object.entries(packets.dropped).map(([reason, n]): [string, number] => [`packets dropped: ${reason}`, n]),
      ['requests found', requests.parsed],
      ...Object.entries(requests.dropped).map(([reason, n]): [string, number] => [`requests dropped: ${reason}`, n]),
      ...Object.entries(requests.replayed).map(([outcome, n]): [string, number] => [
        `requests replayed: ${outcome}`,
        n,
      ]),
      ['requests retried', requests.retried],
      ['requests in doubt, retries included', inDoubtOf(summary)],
      ['gaps declared', flows.gaps],
      ['connections lost with a thread', flows.lost],
    )
  }
  rows.push(
    ['requests that came to the origin whole', origin.arrived],
    ['… different ones', origin.distinct],
    ['… a second time, as retries may', origin.again],
    ['… a second time, as nothing may', origin.twice],
    ['… altered', origin.altered],
    ['… invented', origin.invented],
    ['connections to the origin', origin.connections],
  )
  return rows.map(([name, n]) => [name, count(n)])
}

/** @param numbers columns of figures */
function table(headings: readonly string[], rows: readonly (readonly string[])[], numbers: readonly number[]): string {
  const cells = (row: readonly string[], tag: 'td' | 'th') =>
    `<tr>${row.map((text, i) => `<${tag}${numbers.includes(i) ? ' class="n"' : ''}>${escapeXml(text)}</${tag}>`).join('')}</tr>`
  return `<table>${cells(headings, 'th')}\n${rows.map((row) => cells(row, 'td')).join('\n')}</table>`
}
